package store

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/neargate/neargate/internal/fault"
)

// Options tune a DB. The zero value is right for production.
type Options struct {
	Log *slog.Logger // slog.Default() if nil
	// DetectMutation keeps a hash of each record, so that CheckMutations finds callers that changed a shared record.
	// For tests.
	DetectMutation bool
}

// commitTimeout bounds one commit of the back end. After it the outcome is unknown and the callers are told so.
const commitTimeout = 20 * time.Second

// DB is the store of one process: all records in memory, written through to the back end.
type DB struct {
	backend Backend
	opts    Options
	log     *slog.Logger
	defs    []*tableDef
	byName  map[string]*tableDef

	ctx    context.Context // ends on Close
	cancel context.CancelFunc
	wg     sync.WaitGroup
	wake   chan struct{}

	durable atomic.Pointer[state] // what the back end has; written under mu

	mu       sync.Mutex
	head     *state     // durable with inflight and queue applied; under mu, as all below
	inflight []*pending // sent to the back end, not answered
	queue    []*pending // checked against head, not sent
	guards   []int64    // per table: revision of its guard key
	subs     [][]*Changes
	waiters  []waiter
	closed   bool
}

type waiter struct {
	rev int64
	ch  chan struct{}
}

// Open returns a DB on the back end that has no tables yet: declare them with NewTable, then call Start. Most callers
// want OpenTables, which does all three.
func Open(ctx context.Context, backend Backend) (*DB, error) {
	return OpenWith(ctx, backend, Options{})
}

// OpenWith is Open with options.
func OpenWith(ctx context.Context, backend Backend, opts Options) (*DB, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	db := &DB{backend: backend, opts: opts, log: opts.Log, byName: map[string]*tableDef{}, wake: make(chan struct{}, 1)}
	if db.log == nil {
		db.log = slog.Default()
	}
	db.ctx, db.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return db, nil
}

func (db *DB) declare(def *tableDef) {
	if db.durable.Load() != nil || db.byName[def.name] != nil {
		panic(fmt.Sprintf("store: table %s is declared after Start, or twice", def.name))
	}
	def.ord = len(db.defs)
	db.defs = append(db.defs, def)
	db.byName[def.name] = def
}

// Start loads all records and begins to follow the back end. It refuses records it cannot read: of a table it does
// not know, of a newer schema, or damaged ones.
func (db *DB) Start(ctx context.Context) error {
	rev, kvs, err := db.backend.Load(ctx)
	if err != nil {
		return fmt.Errorf("load records: %w", err)
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.durable.Load() != nil {
		return errors.New("store: started twice")
	}
	db.guards = make([]int64, len(db.defs))
	db.subs = make([][]*Changes, len(db.defs))
	first := &state{rev: rev, tabs: make([]*tableState, len(db.defs))}
	for i, def := range db.defs {
		first.tabs[i] = def.empty()
	}
	if first.tabs, err = db.read(first.tabs, kvs, nil); err != nil {
		return err
	}
	db.head = first
	db.durable.Store(first)
	db.wg.Add(2)
	go db.follow()
	go db.commitLoop()
	return nil
}

// read applies loaded keys to tabs, reusing entries of old that have the same revision. db.mu is held.
func (db *DB) read(tabs []*tableState, kvs []KV, old *state) ([]*tableState, error) {
	for _, kv := range kvs {
		if err := db.readOne(tabs, kv, old); err != nil {
			return nil, err
		}
	}
	return tabs, nil
}

func (db *DB) readOne(tabs []*tableState, kv KV, old *state) error {
	if name, ok := strings.CutPrefix(kv.Key, GuardPrefix); ok {
		if def := db.byName[name]; def != nil {
			db.guards[def.ord] = kv.Mod
		}
		return nil
	}
	def, id, err := db.locate(kv.Key)
	if err != nil {
		return err
	}
	if old != nil {
		if e, ok := old.tabs[def.ord].recs.get(id); ok && e.mod == kv.Mod {
			tabs[def.ord] = def.with(tabs[def.ord], id, e)
			return nil
		}
	}
	e, err := db.newEntry(def, id, kv)
	if err != nil {
		return err
	}
	tabs[def.ord] = def.with(tabs[def.ord], id, e)
	return nil
}

func (db *DB) locate(key string) (*tableDef, string, error) {
	table, id, ok := parseRecordKey(key)
	if !ok {
		return nil, "", fmt.Errorf("store holds the key %q, which is no record of Neargate", key)
	}
	def := db.byName[table]
	if def == nil {
		return nil, "", fmt.Errorf("store holds a record %s of table %s, which this Neargate does not know (was it written by a newer one?)", id, table)
	}
	return def, id, nil
}

func (db *DB) newEntry(def *tableDef, id string, kv KV) (*entry, error) {
	val, err := def.decodeRecord(id, kv.Value)
	if err != nil {
		return nil, err
	}
	e := &entry{val: val, mod: kv.Mod}
	if db.opts.DetectMutation {
		doc, err := def.encode(val)
		if err != nil {
			return nil, fmt.Errorf("table %s, record %s: encode: %w", def.name, id, err)
		}
		e.sum = maphash.Bytes(sumSeed, doc)
	}
	return e, nil
}

// View returns a snapshot of everything durable now.
func (db *DB) View() View {
	s := db.durable.Load()
	if s == nil {
		panic("store: View before Start")
	}
	return View{s: s}
}

// Revision returns the revision of the newest snapshot.
func (db *DB) Revision() int64 { return db.View().Revision() }

// WaitRevision returns when Views show the revision or a later one.
func (db *DB) WaitRevision(ctx context.Context, rev int64) error {
	db.mu.Lock()
	if db.View().Revision() >= rev {
		db.mu.Unlock()
		return nil
	}
	w := waiter{rev: rev, ch: make(chan struct{})}
	db.waiters = append(db.waiters, w)
	db.mu.Unlock()
	select {
	case <-w.ch:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-db.ctx.Done():
		return errClosed()
	}
}

// Lead waits until this process leads under that name and calls fn with a context that ends when it no longer does.
// It returns nil when fn has returned (call it again to lead again), or ctx's error. An Update under fn's context fails
// once the leadership is lost, even before this process has noticed.
func (db *DB) Lead(ctx context.Context, name string, fn func(ctx context.Context)) error {
	return db.backend.Lead(ctx, name, fn)
}

// Close ends the DB: transactions not yet durable fail. The back end stays open.
func (db *DB) Close() {
	db.mu.Lock()
	if db.closed {
		db.mu.Unlock()
		return
	}
	db.closed = true
	db.cancel()
	db.mu.Unlock()
	db.wg.Wait()
	db.mu.Lock()
	defer db.mu.Unlock()
	for _, p := range append(db.inflight, db.queue...) {
		p.settle(errClosed())
	}
	db.inflight, db.queue = nil, nil
}

func errClosed() error {
	return fault.New(fault.Internal, "store", "", "the store is closed")
}

// CheckMutations returns an error that names records which were changed without Put. It needs Options.DetectMutation.
func (db *DB) CheckMutations() error {
	var errs []error
	for i, ts := range db.durable.Load().tabs {
		for id, e := range ts.recs.all() {
			doc, err := db.defs[i].encode(e.val)
			if err != nil || maphash.Bytes(sumSeed, doc) != e.sum {
				errs = append(errs, fmt.Errorf("record %s of table %s was changed in place, it is now %s", id, db.defs[i].name, doc))
			}
		}
	}
	return errors.Join(errs...)
}

// publish makes s what Views show, and tells subscribers about the changed keys. db.mu is held.
func (db *DB) publish(s *state, changed []write, reloaded bool) {
	was := db.durable.Load()
	db.durable.Store(s)
	for _, w := range changed {
		if subs := db.subs[w.def.ord]; len(subs) > 0 {
			before, _ := was.tabs[w.def.ord].recs.get(w.id)
			after, _ := s.tabs[w.def.ord].recs.get(w.id)
			for _, sub := range subs {
				sub.add(w.id, before, after)
			}
		}
	}
	if reloaded {
		for _, subs := range db.subs {
			for _, sub := range subs {
				sub.markReloaded()
			}
		}
	}
	rest := db.waiters[:0]
	for _, w := range db.waiters {
		if w.rev <= s.rev {
			close(w.ch)
		} else {
			rest = append(rest, w)
		}
	}
	db.waiters = rest
}
