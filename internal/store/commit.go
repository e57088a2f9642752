package store

import (
	"context"
	"fmt"
	"time"

	"github.com/neargate/neargate/internal/fault"
)

// maxPoints is the number of single records of one table up to which a commit names each as a condition; above, the
// table's guard stands for them all.
const maxPoints = 48

// needs is what must not have changed in the back end for a transaction to be right.
type needs struct {
	points map[string]dep // by key of the back end
	guards map[int]bool   // tables, by ordinal
}

func (tx *Txn) needs() needs {
	n := needs{points: map[string]dep{}, guards: map[int]bool{}}
	perTable := map[int]int{}
	for _, d := range tx.deps {
		if d.kind == pointDep {
			perTable[d.def.ord]++
		} else {
			n.guards[d.def.ord] = true
		}
	}
	for _, d := range tx.deps {
		switch {
		case d.kind != pointDep || n.guards[d.def.ord]:
		case perTable[d.def.ord] > maxPoints:
			n.guards[d.def.ord] = true
		default:
			n.points[recordKey(d.def.name, d.key)] = d
		}
	}
	return n
}

// cost returns an upper bound of what the transaction adds to a commit.
func (p *pending) cost() (ops, bytes int) {
	tables := map[int]bool{}
	for i := range p.tx.writes {
		w := &p.tx.writes[i]
		bytes += len(w.raw) + len(w.id) + 64
		tables[w.def.ord] = true
	}
	conds := len(p.needs.points) + len(p.needs.guards)
	return max(len(p.tx.writes)+len(tables), conds), bytes + 96*conds
}

// commitLoop sends what has queued up, one commit at a time: while one is on its way the next one grows.
func (db *DB) commitLoop() {
	defer db.wg.Done()
	stuck := 0
	for {
		select {
		case <-db.wake:
		case <-db.ctx.Done():
			return
		}
		for db.ctx.Err() == nil {
			batch, commit := db.take()
			if len(batch) == 0 {
				break
			}
			before := db.Revision()
			ctx, cancel := context.WithTimeout(db.ctx, commitTimeout)
			res, err := db.backend.Commit(ctx, commit)
			cancel()
			switch {
			case err != nil:
				stuck = 0
				db.abandon(batch, &fault.Fault{Noun: "store", Message: "the change may not have been stored", Err: fmt.Errorf("commit: %w", err)})
			case res.OK:
				stuck = 0
				db.accept(batch, res.Revision)
			case res.FenceLost:
				stuck = 0
				db.abandon(batch, fault.New(fault.Conflict, "leadership", "", "this process no longer leads"))
			default:
				// Somebody else was faster. If we had seen all that already, memory and back end disagree.
				if stuck++; before < res.Revision {
					stuck = 1
				}
				db.refuse(batch, res.Revision, stuck > 1)
			}
		}
	}
}

// take moves transactions from the queue into one commit.
func (db *DB) take() ([]*pending, Commit) {
	db.mu.Lock()
	defer db.mu.Unlock()
	limits := db.backend.Limits()
	var ops, bytes, n int
	for _, p := range db.queue {
		o, b := p.cost()
		if n > 0 && (ops+o > limits.Ops || bytes+b > limits.Bytes || !p.fence.equal(db.queue[0].fence)) {
			break
		}
		ops, bytes, n = ops+o, bytes+b, n+1
	}
	batch := db.queue[:n:n]
	db.queue = db.queue[n:]
	db.inflight = batch
	if n == 0 {
		return nil, Commit{}
	}

	// A record or guard that an earlier transaction of the same batch changes is still compared with what is durable:
	// nobody else may have changed it.
	commit := Commit{Fence: batch[0].fence}
	durable := db.durable.Load()
	conds, last, tables := map[string]int64{}, map[string]*write{}, map[*tableDef]bool{}
	for _, p := range batch {
		for key, d := range p.needs.points {
			var mod int64
			if e, ok := durable.tabs[d.def.ord].recs.get(d.key); ok {
				mod = e.mod
			}
			conds[key] = mod
		}
		for ord := range p.needs.guards {
			conds[guardKey(db.defs[ord].name)] = db.guards[ord]
		}
		for i := range p.tx.writes {
			w := &p.tx.writes[i]
			last[recordKey(w.def.name, w.id)] = w
			tables[w.def] = true
		}
	}
	for key, mod := range conds {
		commit.Conds = append(commit.Conds, Cond{Key: key, Mod: mod})
	}
	for key, w := range last {
		if w.e == nil {
			commit.Deletes = append(commit.Deletes, key)
		} else {
			commit.Puts = append(commit.Puts, KV{Key: key, Value: w.raw})
		}
	}
	for def := range tables {
		commit.Puts = append(commit.Puts, KV{Key: guardKey(def.name)})
	}
	return batch, commit
}

func (f *Fence) equal(g *Fence) bool {
	return f == g || (f != nil && g != nil && *f == *g)
}

// accept publishes a batch that is durable at revision rev.
func (db *DB) accept(batch []*pending, rev int64) {
	db.mu.Lock()
	if durable := db.durable.Load(); durable.rev == rev-1 {
		// Nobody else has written in between, so the result is known without waiting for the watch.
		var writes []write
		for _, p := range batch {
			for _, w := range p.tx.writes {
				if w.e != nil {
					w.e.mod = rev
				}
				db.guards[w.def.ord] = rev
				writes = append(writes, w)
			}
		}
		next := &state{rev: rev, tabs: batch[len(batch)-1].after}
		db.publish(next, writes, false)
		db.inflight = nil
		if len(db.queue) == 0 {
			db.head = next
		}
		db.mu.Unlock()
	} else {
		db.mu.Unlock()
		if err := db.WaitRevision(db.ctx, rev); err != nil {
			// Done and durable, only this process ends before it has seen it.
			db.log.Debug("store closed before a commit was seen", "revision", rev)
		}
		db.mu.Lock()
		db.inflight = nil
		db.rebase()
		db.mu.Unlock()
	}
	for _, p := range batch {
		p.settle(nil)
	}
}

// refuse handles a batch that did not happen because others had written up to revision rev: once they are seen, what
// still holds goes to the front of the queue, the rest runs again.
func (db *DB) refuse(batch []*pending, rev int64, reload bool) {
	if reload {
		db.log.Warn("store memory disagrees with the back end, loading again", "revision", rev)
		if err := db.reload(db.ctx); err != nil {
			db.abandon(batch, &fault.Fault{Noun: "store", Message: "the change was not stored", Err: err})
			return
		}
	}
	if err := db.WaitRevision(db.ctx, rev); err != nil {
		db.abandon(batch, err)
		return
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	db.inflight = nil
	db.queue = append(batch, db.queue...)
	db.rebase()
}

// abandon fails a batch.
func (db *DB) abandon(batch []*pending, err error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.inflight = nil
	for _, p := range batch {
		p.settle(err)
	}
	db.rebase()
}

// follow applies what others write, and loads anew if it has lost track.
func (db *DB) follow() {
	defer db.wg.Done()
	pause := time.Duration(0)
	for db.ctx.Err() == nil {
		before := db.Revision()
		err := db.backend.Watch(db.ctx, before, func(events []Event) { db.observe(events) })
		if db.ctx.Err() != nil {
			return
		}
		db.log.Warn("store watch ended, loading again", "error", err, "revision", db.Revision())
		if err := db.reload(db.ctx); err != nil && db.ctx.Err() == nil {
			db.log.Error("store cannot load its records", "error", err)
			pause = min(max(2*pause, 100*time.Millisecond), 5*time.Second)
		} else {
			pause = 100 * time.Millisecond
		}
		select {
		case <-time.After(pause):
		case <-db.ctx.Done():
		}
	}
}

// observe applies the changes of complete revisions. What this process has committed and published is skipped.
func (db *DB) observe(events []Event) {
	db.mu.Lock()
	defer db.mu.Unlock()
	durable := db.durable.Load()
	next := &state{rev: durable.rev, tabs: append([]*tableState(nil), durable.tabs...)}
	var changed []write
	for _, ev := range events {
		if ev.Mod <= durable.rev {
			continue
		}
		next.rev = max(next.rev, ev.Mod)
		def, id, err := db.locate(ev.Key)
		switch {
		case !ev.Deleted:
			err = db.readOne(next.tabs, ev.KV, nil)
		case err == nil:
			next.tabs[def.ord] = def.with(next.tabs[def.ord], id, nil)
		}
		if err != nil && !isGuard(ev.Key) {
			// A newer member of the cluster writes what we cannot read. Going on without that record is the least harm:
			// everything else stays current, and a restart of this process refuses to start with the same words.
			db.log.Error("store cannot read a change", "key", ev.Key, "error", err)
			continue
		}
		if def != nil {
			changed = append(changed, write{def: def, id: id})
		}
	}
	if next.rev > durable.rev {
		db.publish(next, changed, false)
		db.rebase()
	}
}

// reload makes memory equal to the back end; subscribers get exactly the keys that differ, and are told.
func (db *DB) reload(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	rev, kvs, err := db.backend.Load(ctx)
	if err != nil {
		return fmt.Errorf("load records: %w", err)
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	was := db.durable.Load()
	if rev < was.rev {
		return nil // we have committed meanwhile; the watch goes on from there
	}
	next := &state{rev: rev, tabs: make([]*tableState, len(db.defs))}
	for i, def := range db.defs {
		next.tabs[i] = def.empty()
	}
	if next.tabs, err = db.read(next.tabs, kvs, was); err != nil {
		return err
	}
	var changed []write
	for i, def := range db.defs {
		for id, e := range next.tabs[i].recs.all() {
			if old, ok := was.tabs[i].recs.get(id); !ok || old != e {
				changed = append(changed, write{def: def, id: id})
			}
		}
		for id := range was.tabs[i].recs.all() {
			if _, ok := next.tabs[i].recs.get(id); !ok {
				changed = append(changed, write{def: def, id: id})
			}
		}
	}
	db.publish(next, changed, true)
	db.rebase()
	return nil
}
