package store

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// Changes is a subscription to the keys of a table that change. It is level-triggered: it says which keys to look at,
// not what happened to them, and a key that changes many times before it is fetched is delivered once. It never drops a
// key, never holds up a writer, and its memory is bounded by the number of distinct keys.
type Changes struct {
	keys  func(val any) []string // nil: the record's ID
	first func() []string        // keys of the initial list
	stop  func()
	wake  chan struct{}

	mu       sync.Mutex
	pending  map[string]struct{}
	listed   bool
	reloaded bool
	ended    error
}

// Changes subscribes to the IDs of records that are created, updated or deleted. The subscription ends with ctx.
func (t *Table[T]) Changes(ctx context.Context) *Changes { return t.subscribe(ctx, nil) }

// ChangesBy is Changes for keys that a record maps to, such as the service of a task: when a record changes, the keys of
// the record before and after are delivered. The function must be pure and quick, it runs while a change is published.
func (t *Table[T]) ChangesBy(ctx context.Context, keys func(*T) []string) *Changes {
	return t.subscribe(ctx, func(val any) []string { return keys(val.(*T)) })
}

// ChangesByIndex is ChangesBy with the values of an index.
func (t *Table[T]) ChangesByIndex(ctx context.Context, index string) *Changes {
	return t.subscribe(ctx, t.def.indexes[t.index(index)].keys)
}

func (t *Table[T]) subscribe(ctx context.Context, keys func(val any) []string) *Changes {
	c := &Changes{keys: keys, wake: make(chan struct{}, 1), pending: map[string]struct{}{}}
	db, ord := t.db, t.def.ord
	c.first = func() []string {
		var all []string
		for id, e := range db.View().s.tabs[ord].recs.all() {
			if keys == nil {
				all = append(all, id)
			} else {
				all = append(all, keys(e.val)...)
			}
		}
		return all
	}
	db.mu.Lock()
	db.subs[ord] = append(db.subs[ord], c)
	db.mu.Unlock()
	unsubscribe := func(err error) {
		db.mu.Lock()
		db.subs[ord] = slices.DeleteFunc(db.subs[ord], func(s *Changes) bool { return s == c })
		db.mu.Unlock()
		c.mu.Lock()
		if c.ended == nil {
			c.ended = err
		}
		c.mu.Unlock()
		c.kick()
	}
	stopCtx := context.AfterFunc(ctx, func() { unsubscribe(ctx.Err()) })
	stopDB := context.AfterFunc(db.ctx, func() { unsubscribe(errClosed()) })
	c.stop = func() { stopCtx(); stopDB(); unsubscribe(context.Canceled) }
	return c
}

// Next waits until there are keys and returns them, sorted. The first call returns the keys of all existing records,
// at once and possibly none. full reports that the keys are a complete list (the first one) or that the store had to
// load anew after it had lost track: a moment to sweep. The error is that of ctx, or why the subscription has ended.
func (c *Changes) Next(ctx context.Context) (keys []string, full bool, err error) {
	for {
		c.mu.Lock()
		if c.ended != nil {
			c.mu.Unlock()
			return nil, false, c.ended
		}
		if !c.listed || c.reloaded || len(c.pending) > 0 {
			full, c.reloaded = !c.listed || c.reloaded, false
			pending, listed := c.pending, c.listed
			c.pending, c.listed = map[string]struct{}{}, true
			c.mu.Unlock()
			if !listed {
				// Listed after the pending keys were taken: what changes from here on is pending again.
				for _, key := range c.first() {
					pending[key] = struct{}{}
				}
			}
			return slices.Sorted(maps.Keys(pending)), full, nil
		}
		c.mu.Unlock()
		select {
		case <-c.wake:
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
}

// Stop ends the subscription; its context does the same.
func (c *Changes) Stop() { c.stop() }

// add notes a changed record. It is called with DB.mu held.
func (c *Changes) add(id string, before, after *entry) {
	c.mu.Lock()
	if c.keys == nil {
		c.pending[id] = struct{}{}
	} else {
		for _, e := range []*entry{before, after} {
			if e == nil {
				continue
			}
			for _, key := range c.keys(e.val) {
				if key != "" {
					c.pending[key] = struct{}{}
				}
			}
		}
	}
	c.mu.Unlock()
	c.kick()
}

func (c *Changes) markReloaded() {
	c.mu.Lock()
	c.reloaded = true
	c.mu.Unlock()
	c.kick()
}

func (c *Changes) kick() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}
