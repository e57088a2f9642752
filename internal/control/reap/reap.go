// Package reap forgets what has ended: stopped tasks, inactive services and clusters, task definitions that are being
// deleted and unused. AWS keeps them readable for about an hour, and so does this.
//
// Start at [Reaper.Run].
package reap

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// keep is how long ended things stay readable (aws-facts 1.2: a stopped task at least one hour). It is not scaled:
// whoever reads a stop reason is a person.
const keep = time.Hour

// every is the time between two rounds.
const every = time.Minute

// Reaper forgets ended records.
type Reaper struct {
	db     *store.DB
	tables *store.Tables
	clock  *clock.Clock
}

// New returns a Reaper.
func New(db *store.DB, tables *store.Tables, clock *clock.Clock) *Reaper {
	return &Reaper{db: db, tables: tables, clock: clock}
}

// Run reaps until ctx ends.
func (r *Reaper) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := r.Reap(ctx); err != nil && ctx.Err() == nil {
			slog.ErrorContext(ctx, "reap ended records", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Reap does one round.
func (r *Reaper) Reap(ctx context.Context) error {
	if !r.hasWork(r.db.View()) {
		return nil
	}
	return r.db.Update(ctx, func(tx *store.Txn) error {
		for _, t := range r.tasks(tx) {
			r.tables.Tasks.Delete(tx, t)
		}
		for _, key := range r.services(tx) {
			r.tables.Services.Delete(tx, key)
		}
		for _, key := range r.definitions(tx) {
			r.tables.TaskDefinitions.Delete(tx, key)
		}
		for _, id := range r.sessions(tx) {
			r.tables.Sessions.Delete(tx, id)
		}
		return nil
	})
}

func (r *Reaper) hasWork(v store.Reader) bool {
	return len(r.tasks(v))+len(r.services(v))+len(r.definitions(v))+len(r.sessions(v)) > 0
}

func (r *Reaper) isOld(t time.Time) bool { return !t.IsZero() && r.clock.Now().Sub(t) >= keep }

// tasks returns stopped tasks that are old and whose interface is gone.
func (r *Reaper) tasks(v store.Reader) (ids []string) {
	for t := range r.tables.Tasks.By(v, "state", model.TaskStopped.String()) {
		if r.isOld(t.StoppedAt) && r.tables.NetworkInterfaces.LenBy(v, "owner", t.ID) == 0 {
			ids = append(ids, t.ID)
		}
	}
	return ids
}

func (r *Reaper) services(v store.Reader) (keys []string) {
	for s := range r.tables.Services.By(v, "status", model.ServiceInactive) {
		if r.isOld(s.DeletedAt) && r.tables.Tasks.LenBy(v, "service", s.Key()) == 0 {
			keys = append(keys, s.Key())
		}
	}
	return keys
}

// definitions returns task definitions that are being deleted and that neither a task nor a deployment uses.
func (r *Reaper) definitions(v store.Reader) (keys []string) {
	for d := range r.tables.TaskDefinitions.By(v, "status", model.TaskDefinitionDeleteInProgress) {
		used := slices.ContainsFunc(slices.Collect(r.tables.Tasks.By(v, "definition", d.Key())), func(t *model.Task) bool { return !t.IsStopped() })
		for s := range r.tables.Services.By(v, "definition", d.Key()) {
			used = used || s.Status != model.ServiceInactive
		}
		if !used {
			keys = append(keys, d.Key())
		}
	}
	return keys
}

func (r *Reaper) sessions(v store.Reader) (ids []string) {
	for s := range r.tables.Sessions.List(v) {
		if r.isOld(s.ExpiresAt) {
			ids = append(ids, s.AccessKeyID)
		}
	}
	return ids
}
