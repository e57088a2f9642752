// Package mem is a store back end in memory, for tests and for tools that work offline. It behaves like the one over
// etcd, except that nothing survives the process. Several DBs may share one Backend, as several daemons share etcd.
package mem

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/neargate/neargate/internal/store"
)

// Backend is a store.Backend in memory. New makes one.
type Backend struct {
	mu      sync.Mutex
	rev     int64
	keys    map[string]store.KV
	history [][]store.Event // changes of the revisions after compacted
	compact int64
	changed chan struct{} // closed on the next change
	leaders map[string]chan struct{}
	limits  store.Limits
	fault   func(store.Commit) error
}

// New returns an empty back end.
func New() *Backend {
	return &Backend{
		rev:     1,
		keys:    map[string]store.KV{},
		compact: 1,
		changed: make(chan struct{}),
		leaders: map[string]chan struct{}{},
		limits:  store.Limits{Ops: 4096, Bytes: 1 << 20},
	}
}

// SetFault makes commits fail with the error that f returns, if any; nil ends that.
func (b *Backend) SetFault(f func(store.Commit) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fault = f
}

// Compact forgets the history, so that a watcher that is behind must load again; current ones are cut off too.
func (b *Backend) Compact(context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.history, b.compact = nil, b.rev
	b.wake()
	return nil
}

// Limits returns the limits of one commit.
func (b *Backend) Limits() store.Limits { return b.limits }

// Load returns all keys.
func (b *Backend) Load(ctx context.Context) (int64, []store.KV, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	kvs := slices.SortedFunc(maps.Values(b.keys), func(x, y store.KV) int { return strings.Compare(x.Key, y.Key) })
	return b.rev, kvs, ctx.Err()
}

// Commit does a conditional transaction.
func (b *Backend) Commit(ctx context.Context, c store.Commit) (store.Result, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return store.Result{}, err
	}
	if b.fault != nil {
		if err := b.fault(c); err != nil {
			return store.Result{}, err
		}
	}
	if len(c.Conds) > b.limits.Ops || len(c.Puts)+len(c.Deletes) > b.limits.Ops {
		return store.Result{}, errors.New("mem: too many operations in one commit")
	}
	if c.Fence != nil {
		if kv, ok := b.keys[c.Fence.Key]; !ok || kv.Mod != c.Fence.Create {
			return store.Result{FenceLost: true}, nil
		}
	}
	for _, cond := range c.Conds {
		if b.keys[cond.Key].Mod != cond.Mod {
			return store.Result{Revision: b.newestGuard()}, nil
		}
	}
	b.rev++
	var events []store.Event
	for _, kv := range c.Puts {
		kv.Mod, kv.Value = b.rev, slices.Clone(kv.Value)
		b.keys[kv.Key] = kv
		events = append(events, store.Event{KV: kv})
	}
	for _, key := range c.Deletes {
		if _, ok := b.keys[key]; ok {
			delete(b.keys, key)
			events = append(events, store.Event{KV: store.KV{Key: key, Mod: b.rev}, Deleted: true})
		}
	}
	b.history = append(b.history, events)
	b.wake()
	return store.Result{OK: true, Revision: b.rev}, nil
}

func (b *Backend) newestGuard() (rev int64) {
	for key, kv := range b.keys {
		if strings.HasPrefix(key, store.GuardPrefix) {
			rev = max(rev, kv.Mod)
		}
	}
	return rev
}

func (b *Backend) wake() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// Watch delivers the changes after a revision.
func (b *Backend) Watch(ctx context.Context, after int64, deliver func([]store.Event)) error {
	for {
		b.mu.Lock()
		if after < b.compact {
			b.mu.Unlock()
			return store.ErrCompacted
		}
		var events []store.Event
		for _, batch := range b.history[after-b.compact:] {
			events = append(events, batch...)
		}
		after = b.rev
		changed := b.changed
		b.mu.Unlock()
		if len(events) > 0 {
			deliver(events)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Lead runs fn while it is the only one under that name. Leadership in memory is never lost.
func (b *Backend) Lead(ctx context.Context, name string, fn func(context.Context)) error {
	b.mu.Lock()
	seat, ok := b.leaders[name]
	if !ok {
		seat = make(chan struct{}, 1)
		b.leaders[name] = seat
	}
	b.mu.Unlock()
	select {
	case seat <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-seat }()
	fn(ctx)
	return ctx.Err()
}
