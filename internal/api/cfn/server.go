// Package cfn serves CloudFormation: its API, and the runner that makes a stack's resources.
//
// The handlers check a request, write what is asked into the stack's record and return; [Server.Run] carries it out. A
// running operation is a state in the store (Stack.Operation, and on each resource the step that is under way), so that a
// runner that is killed at any point is followed by one that goes on, without making a thing twice or losing one. The
// template language is package stack; the resource types are package resource, which call the other services' APIs.
//
// Where to start: create.go for what a request becomes, operation.go for what an operation does, step.go for one resource.
package cfn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/neargate/neargate/internal/api/cfn/resource"
	"github.com/neargate/neargate/internal/awsapi/cfnapi"
	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// Options are what a Server needs.
type Options struct {
	DB       *store.DB
	Tables   *store.Tables
	Clock    *clock.Clock
	Services resource.Services
	Log      *slog.Logger
	Poll     time.Duration // first pause between two looks at something that takes time; 0 means 100 ms
	Timeout  time.Duration // for a resource to become ready, unless its type has its own; 0 means 30 minutes
	Retry    time.Duration // for a resource that something still depends on to be deletable; 0 means 15 minutes
}

// Server implements [cfnapi.API].
type Server struct {
	db     *store.DB
	tables *store.Tables
	clock  *clock.Clock
	types  *resource.Registry
	ec2    resource.Services
	log    *slog.Logger
	poll   time.Duration
	limit  time.Duration
	retry  time.Duration

	mu      sync.Mutex
	driven  map[string]*driven // by stack ARN
	stamped time.Time
}

var _ cfnapi.API = (*Server)(nil)

// driven is a stack whose operation is being carried out.
type driven struct {
	operation string // its ID
	cancel    context.CancelCauseFunc
	again     bool // the record has changed meanwhile
}

// New returns a server. Nothing is carried out before [Server.Run].
func New(o Options) *Server {
	s := &Server{
		db: o.DB, tables: o.Tables, clock: o.Clock, types: resource.New(o.Services), ec2: o.Services, log: o.Log,
		poll: o.Poll, limit: o.Timeout, retry: o.Retry, driven: make(map[string]*driven),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.poll == 0 {
		s.poll = 100 * time.Millisecond
	}
	if s.limit == 0 {
		s.limit = 30 * time.Minute
	}
	if s.retry == 0 {
		s.retry = 15 * time.Minute
	}
	return s
}

// errSuperseded ends an operation that a later request has taken over: a delete during a create, a cancelled update.
var errSuperseded = errors.New("another operation has begun")

// Run carries out the stacks' operations until ctx ends, those first that an earlier runner has left. One runner at a
// time may run: where there are several daemons, the leader's.
func (s *Server) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	changes := s.tables.Stacks.Changes(ctx)
	defer changes.Stop()
	for {
		keys, _, err := changes.Next(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil // asked to stop
			}
			return fmt.Errorf("watch stacks: %w", err)
		}
		for _, arn := range keys {
			if s.begin(arn) {
				wg.Add(1)
				go func() {
					defer wg.Done()
					s.drive(ctx, arn)
				}()
			}
		}
	}
}

// begin reports whether somebody has to start driving the stack; a runner that is on it already is told to look again.
func (s *Server) begin(arn string) bool {
	st, ok := s.tables.Stacks.Get(s.db.View(), arn)
	if !ok {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if d, ok := s.driven[arn]; ok {
		d.again = true
		if d.cancel != nil && d.operation != st.OperationID {
			d.cancel(errSuperseded)
		}
		return false
	}
	if st.Operation == "" {
		return false
	}
	s.driven[arn] = &driven{}
	return true
}

// drive carries out one operation of a stack after the other until there is none.
func (s *Server) drive(ctx context.Context, arn string) {
	for failures := 0; ; {
		st, ok := s.tables.Stacks.Get(s.db.View(), arn)
		s.mu.Lock()
		d := s.driven[arn]
		if ctx.Err() != nil || !ok || st.Operation == "" {
			if d.again && ctx.Err() == nil {
				d.again = false
				s.mu.Unlock()
				continue
			}
			delete(s.driven, arn)
			s.mu.Unlock()
			return
		}
		opCtx, cancel := context.WithCancelCause(ctx)
		d.operation, d.cancel, d.again = st.OperationID, cancel, false
		s.mu.Unlock()
		err := s.operate(opCtx, st)
		cancel(nil)
		if err == nil || errors.Is(err, errSuperseded) || ctx.Err() != nil {
			failures = 0
			continue
		}
		// Not a failure of the stack but of ours (the store, a defect): keep the state and try again.
		s.log.Error("stack operation interrupted", "stack", st.Name, "operation", st.Operation, "err", err)
		failures++
		select {
		case <-ctx.Done():
		case <-time.After(min(time.Duration(failures)*s.poll*10, 10*time.Second)):
		}
	}
}

// stamp returns the time, different and later at every call: events are ordered by it.
func (s *Server) stamp() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now().Truncate(time.Microsecond)
	if !now.After(s.stamped) {
		now = s.stamped.Add(time.Microsecond)
	}
	s.stamped = now
	return now
}

// write runs a transaction that must not be cut short: it records what has happened already.
func (s *Server) write(ctx context.Context, fn func(tx *store.Txn) error) error {
	return s.db.Update(context.WithoutCancel(ctx), fn)
}

// event adds a line to a stack's history.
func (s *Server) event(tx *store.Txn, st *model.Stack, at time.Time, r *model.StackResource, status, reason string) {
	e := &model.StackEvent{
		StackARN: st.ARN, StackName: st.Name, ID: model.NewUUID(), LogicalID: st.Name, PhysicalID: st.ARN, Type: "AWS::CloudFormation::Stack",
		Status: status, Reason: reason, Token: st.ClientToken, At: at,
	}
	if r != nil {
		e.ID = r.LogicalID + "-" + status + "-" + at.UTC().Format("2006-01-02T15:04:05.000000Z")
		e.LogicalID, e.PhysicalID, e.Type, e.Properties = r.LogicalID, r.PhysicalID, r.Type, r.Properties
		if r.Pending != "" {
			e.Properties = r.Pending
		}
	}
	s.tables.StackEvents.Put(tx, e)
}

// setStatus moves a stack to a state and tells its history.
func (s *Server) setStatus(tx *store.Txn, st *model.Stack, status, reason string) {
	at := s.stamp()
	st.Status, st.StatusReason = status, reason
	s.tables.Stacks.Put(tx, st)
	s.event(tx, st, at, nil, status, reason)
}
