package keeper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/neargate/neargate/internal/clock"
)

const (
	maxBatchBody = 256 << 20
	watchTime    = 25 * time.Second
	maxDrain     = 10 * time.Minute
)

func (k *keeper) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/info", k.handleInfo)
	mux.HandleFunc("GET /v1/objects", k.handleList)
	mux.HandleFunc("PUT /v1/objects", k.handlePut)
	mux.HandleFunc("DELETE /v1/objects/{kind}/{id}", k.handleDelete)
	mux.HandleFunc("POST /v1/tasks/{id}/drain", k.handleDrain)
	mux.HandleFunc("GET /v1/status", k.handleStatus)
	mux.HandleFunc("GET /v1/counters", k.handleCounters)
	mux.HandleFunc("PUT /v1/speed", k.handleSpeed)
	mux.HandleFunc("POST /v1/shutdown", k.handleShutdown)
	mux.HandleFunc("POST "+handoffPath, k.handleHandoff)
	return mux
}

func (k *keeper) handleInfo(w http.ResponseWriter, _ *http.Request) {
	writeResult(w, Info{
		Protocol: Protocol, Version: k.o.Version, PID: os.Getpid(), Epoch: k.env.board.currentEpoch(), Started: k.started,
		Speed: k.env.clock.Load().Speed(),
	})
}

func (k *keeper) handleList(w http.ResponseWriter, _ *http.Request) {
	writeResult(w, Inventory{
		KindResolver: k.resolvers.ids(), KindTask: k.tasks.ids(), KindLoadBalancer: k.checks.ids(),
		KindDoor: k.doors.ids(), KindEndpoint: k.endpoints.ids(),
	})
}

func (k *keeper) handlePut(w http.ResponseWriter, r *http.Request) {
	var b Batch
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBatchBody)).Decode(&b); err != nil {
		writeError(w, http.StatusBadRequest, fmt.Errorf("decode: %w", err))
		return
	}
	var out applyResult
	err := errors.Join(
		putAll(k.resolvers, b.Resolvers, &out),
		putAll(k.endpoints, b.Endpoints, &out),
		putAll(k.tasks, b.Tasks, &out),
		putAll(k.checks, b.LoadBalancers, &out),
		putAll(k.doors, b.Doors, &out),
	)
	if err != nil {
		writeError(w, http.StatusServiceUnavailable, err)
		return
	}
	writeResult(w, out)
}

// putAll puts the objects of one kind; those that fail are added to out.
func putAll[S object](s *shelf[S], specs []S, out *applyResult) error {
	for _, spec := range specs {
		err := s.put(spec)
		if errors.Is(err, errPaused) {
			return err
		}
		if err != nil {
			out.Faults = append(out.Faults, ObjectFault{Kind: s.kind, ID: spec.identity(), Error: err.Error()})
		}
	}
	return nil
}

func (k *keeper) handleDelete(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	var err error
	switch kind := Kind(r.PathValue("kind")); kind {
	case KindResolver:
		err = k.resolvers.delete(id)
	case KindTask:
		err = k.tasks.delete(id)
	case KindLoadBalancer:
		err = k.checks.delete(id)
	case KindDoor:
		err = k.doors.delete(id)
	case KindEndpoint:
		err = k.endpoints.delete(id)
	default:
		writeError(w, http.StatusNotFound, fmt.Errorf("no kind %q", kind))
		return
	}
	if err != nil {
		writeError(w, http.StatusServiceUnavailable, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (k *keeper) handleDrain(w http.ResponseWriter, r *http.Request) {
	timeout, err := time.ParseDuration(r.FormValue("timeout"))
	if err != nil {
		writeError(w, http.StatusBadRequest, fmt.Errorf("timeout: %w", err))
		return
	}
	run, ok := k.tasks.get(r.PathValue("id")).(*taskRun)
	if !ok {
		writeResult(w, DrainResult{Drained: true}) // not held, or not at work: nothing that waiting would help
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), min(timeout, maxDrain))
	defer cancel()
	writeResult(w, run.drain(ctx))
}

func (k *keeper) handleStatus(w http.ResponseWriter, r *http.Request) {
	since, _ := strconv.ParseUint(r.FormValue("since"), 10, 64)
	ctx, cancel := context.WithTimeout(r.Context(), watchTime)
	defer cancel()
	writeResult(w, k.env.board.wait(ctx, r.FormValue("epoch"), since))
}

func (k *keeper) handleCounters(w http.ResponseWriter, _ *http.Request) {
	var out Counters
	k.tasks.each(func(id string, run running[Task]) {
		for _, c := range run.(*taskRun).counters() {
			out.Logs = append(out.Logs, LogCounters{Task: id, Counters: c})
		}
	})
	k.resolvers.each(func(id string, run running[Resolver]) {
		c := run.(*resolverRun).resolver.Counters()
		out.Resolvers = append(out.Resolvers, ResolverCounters{VPC: id, Queries: c.Queries, Missing: c.Missing, Dropped: c.Dropped, Upstream: c.Upstream})
	})
	k.doors.each(func(_ string, run running[Door]) { out.Doors += run.(*doorRun).door.Connections() })
	k.endpoints.each(func(_ string, run running[Endpoint]) {
		e := run.(*endpointRun).endpoint
		out.Endpoints += e.Connections()
		out.Waiting += e.Waiting()
	})
	writeResult(w, out)
}

func (k *keeper) handleSpeed(w http.ResponseWriter, r *http.Request) {
	var in speedRequest
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Speed <= 0 {
		writeError(w, http.StatusBadRequest, errors.New("speed must be a positive number"))
		return
	}
	k.env.clock.Store(clock.New(in.Speed))
	w.WriteHeader(http.StatusNoContent)
}

func (k *keeper) handleShutdown(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusNoContent)
	_ = http.NewResponseController(w).Flush()
	k.end()
}

func writeResult(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func writeError(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(errorResponse{Error: err.Error()})
}
