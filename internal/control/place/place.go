// Package place gives new tasks a zone, a subnet, a network interface and a host, and takes the interface back when a
// task has ended.
//
// It decides and writes records; the host makes the interface and runs the task. Each transaction places all that wait
// (round.go); which subnet is best is in plan.go. Start at [Placer].
package place

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/reconcile"
	"github.com/neargate/neargate/internal/store"
)

// Placer reconciles tasks by their identifiers.
type Placer struct {
	db     *store.DB
	tables *store.Tables
	clock  *clock.Clock
	scope  model.Scope
	host   string
	mu     sync.Mutex // one placement at a time: each has to see where the one before has put its tasks
}

// Options are what a Placer needs. Host is the machine that runs the tasks.
type Options struct {
	DB     *store.DB
	Tables *store.Tables
	Clock  *clock.Clock
	Scope  model.Scope
	Host   string
}

// New returns a reconciler that places tasks.
func New(o Options) *Placer {
	return &Placer{db: o.DB, tables: o.Tables, clock: o.Clock, scope: o.Scope, host: o.Host}
}

// Name returns the reconciler's name.
func (p *Placer) Name() string { return "task placement" }

// Sources returns what Reconcile has to look at.
func (p *Placer) Sources(ctx context.Context) []reconcile.Source[string] {
	return []reconcile.Source[string]{p.tables.Tasks.Changes(ctx)}
}

// batch is how many tasks one transaction places: as many as wait, but not more than a shared store takes at once.
const batch = 32

// Reconcile places a task that has no host, and cleans up after one that has stopped. Others that wait for a place get
// theirs in the same transaction, because each transaction waits for the disk.
func (p *Placer) Reconcile(ctx context.Context, id string) (reconcile.Result, error) {
	view := p.db.View()
	task, ok := p.tables.Tasks.Get(view, id)
	var err error
	switch {
	case !ok:
	case task.IsStopped():
		if p.tables.NetworkInterfaces.LenBy(view, "owner", id) > 0 {
			err = p.db.Update(ctx, func(tx *store.Txn) error { p.release(tx, id); return nil })
		}
	case task.Host == "":
		err = p.placeAll(ctx, id)
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("place task %s: %w", id, err)
	}
	return reconcile.Result{}, nil
}

// placeAll places a task and others that wait.
func (p *Placer) placeAll(ctx context.Context, id string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	// How the other tasks are spread is only a preference: it is read outside of the transaction, which would otherwise
	// be overtaken by each step that any of them makes.
	snapshot := p.db.View()
	if t, ok := p.tables.Tasks.Get(snapshot, id); !ok || t.Host != "" {
		return nil // placed meanwhile, together with another one
	}
	ids := []string{id}
	for t := range p.tables.Tasks.By(snapshot, "state", model.TaskProvisioning.String()) {
		if t.Host == "" && t.ID != id && len(ids) < batch {
			ids = append(ids, t.ID)
		}
	}
	return p.db.Update(ctx, func(tx *store.Txn) error {
		round := newRound(p, tx, snapshot)
		for _, id := range ids {
			task, ok := p.tables.Tasks.Get(tx, id)
			switch {
			case !ok || task.Host != "" || task.IsStopped():
			case task.Desired == model.DesiredStopped: // stopped before it was placed: there is nothing to stop
				p.tables.Tasks.Edit(tx, id, p.end)
			default:
				round.place(task)
			}
		}
		return nil
	})
}

// end makes a task that was never on a host STOPPED.
func (p *Placer) end(t *model.Task) {
	now := p.clock.Now()
	t.State, t.Desired, t.StoppingAt, t.StoppedAt, t.Attachment = model.TaskStopped, model.DesiredStopped, now, now, "DELETED"
	t.Version++
	for i := range t.Containers {
		t.Containers[i].LastStatus = "STOPPED"
	}
}

// release deletes what a stopped task had.
func (p *Placer) release(tx *store.Txn, id string) {
	var enis []string
	for eni := range p.tables.NetworkInterfaces.By(tx, "owner", id) {
		enis = append(enis, eni.ID)
	}
	for _, id := range enis {
		p.tables.NetworkInterfaces.Delete(tx, id)
	}
}

// Sweep removes the interfaces of tasks whose records are gone.
func (p *Placer) Sweep(ctx context.Context) error {
	view := p.db.View()
	var orphans []string
	for eni := range p.tables.NetworkInterfaces.List(view) {
		if eni.OwnerKind == model.OwnerTask && !p.tables.Tasks.Has(view, eni.OwnerID) {
			orphans = append(orphans, eni.ID)
		}
	}
	for some := range slices.Chunk(orphans, batch) {
		err := p.db.Update(ctx, func(tx *store.Txn) error {
			for _, id := range some {
				if eni, ok := p.tables.NetworkInterfaces.Get(tx, id); ok && !p.tables.Tasks.Has(tx, eni.OwnerID) {
					p.tables.NetworkInterfaces.Delete(tx, id)
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("remove interfaces without a task: %w", err)
		}
	}
	return nil
}
