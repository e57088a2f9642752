package keeper

import (
	"context"
	"encoding/json"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"

	"github.com/neargate/neargate/internal/keeper/health"
	"github.com/neargate/neargate/internal/keeper/sockets"
)

// checksRun is a load balancer's health checks at work. The states are written down at every change, so that no target
// begins anew because the keeper did.
type checksRun struct {
	env     *environment
	id      string
	file    string
	checker *health.Checker
	dirty   chan struct{}
	done    chan struct{} // closed when the writer has ended
}

// savedTarget is one target's state on disk.
type savedTarget struct {
	health.Key
	health.Target
}

func (e *environment) healthFile(id string) string {
	return filepath.Join(e.dir, "health", url.PathEscape(id)+".json")
}

func (e *environment) startChecks(spec LoadBalancerChecks) (running[LoadBalancerChecks], error) {
	r := &checksRun{env: e, id: spec.ID, file: e.healthFile(spec.ID), dirty: make(chan struct{}, 1), done: make(chan struct{})}
	r.checker = health.NewChecker(health.Options{
		Dial: func(ctx context.Context, source netip.Addr, network, address string) (net.Conn, error) {
			return sockets.Dialer{Netns: spec.Netns, Source: source}.DialContext(ctx, network, address)
		},
		Scale: e.scale,
		Report: func(key health.Key, h health.Health) {
			e.board.setHealth(spec.ID, key, h)
			select {
			case r.dirty <- struct{}{}:
			default:
			}
		},
		Logger: e.log,
	}, loadHealth(r.file))
	go r.write()
	if err := r.update(spec); err != nil {
		r.pause()
		return nil, err
	}
	return r, nil
}

func (r *checksRun) update(spec LoadBalancerChecks) error {
	if err := r.checker.Set(spec.Checks); err != nil {
		return err
	}
	r.env.board.keepTargets(r.id, spec.Checks)
	return nil
}

func (r *checksRun) pause() {
	r.checker.Stop()
	close(r.dirty)
	<-r.done
}

func (r *checksRun) remove() {
	r.pause()
	r.env.board.keepTargets(r.id, health.Config{})
}

// forgetHealth removes what a load balancer's checks have written down.
func (e *environment) forgetHealth(id string) { _ = os.Remove(e.healthFile(id)) }

// write keeps the file up to date until dirty is closed; the last state is written in any case.
func (r *checksRun) write() {
	defer close(r.done)
	for open := true; open; {
		_, open = <-r.dirty
		var saved []savedTarget
		for key, t := range r.checker.Snapshot() {
			saved = append(saved, savedTarget{key, t})
		}
		data, err := json.Marshal(saved)
		if err == nil {
			err = replaceFile(r.file, data)
		}
		if err != nil {
			r.env.log.Warn("save health", "loadBalancer", r.id, "error", err)
		}
	}
}

// loadHealth reads what write has written; without it, targets begin anew.
func loadHealth(file string) map[health.Key]health.Target {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	var saved []savedTarget
	if json.Unmarshal(data, &saved) != nil {
		return nil
	}
	out := make(map[health.Key]health.Target, len(saved))
	for _, s := range saved {
		out[s.Key] = s.Target
	}
	return out
}
