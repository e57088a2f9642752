// Package reap forgets what has ended: stopped tasks, inactive services and clusters, task definitions that are being
// deleted and unused. AWS keeps them readable for about an hour, and so does this.
//
// Start at [Reaper.Run].
package reap

import (
	"context"
	"fmt"
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

// batch is how many records one transaction deletes: a store that others share takes about a hundred changes at once.
const batch = 40

// Reap does one round: it looks for what is old in a snapshot, and deletes what is still so, a batch at a
// time. Tasks come first: services and clusters wait for theirs.
func (r *Reaper) Reap(ctx context.Context) error {
	for _, kind := range []struct {
		old    func(store.Reader) []string
		isOld  func(store.Reader, string) bool
		delete func(*store.Txn, string)
	}{
		{r.tasks, r.isOldTask, r.tables.Tasks.Delete},
		{r.services, r.isOldService, r.tables.Services.Delete},
		{r.clusters, r.isOldCluster, r.tables.Clusters.Delete},
		{r.definitions, r.isUnused, r.tables.TaskDefinitions.Delete},
		{r.sessions, r.isOldSession, r.tables.Sessions.Delete},
	} {
		for some := range slices.Chunk(kind.old(r.db.View()), batch) {
			err := r.db.Update(ctx, func(tx *store.Txn) error {
				for _, id := range some {
					if kind.isOld(tx, id) {
						kind.delete(tx, id)
					}
				}
				return nil
			})
			if err != nil {
				return fmt.Errorf("forget ended records: %w", err)
			}
		}
	}
	return nil
}

func (r *Reaper) isLongAgo(t time.Time) bool { return !t.IsZero() && r.clock.Now().Sub(t) >= keep }

func (r *Reaper) tasks(v store.Reader) (ids []string) {
	for t := range r.tables.Tasks.By(v, "state", model.TaskStopped.String()) {
		if r.isOldTask(v, t.ID) {
			ids = append(ids, t.ID)
		}
	}
	return ids
}

// isOldTask reports whether a task stopped long ago and nothing of it is left.
func (r *Reaper) isOldTask(v store.Reader, id string) bool {
	t, ok := r.tables.Tasks.Get(v, id)
	return ok && t.IsStopped() && r.isLongAgo(t.StoppedAt) && r.tables.NetworkInterfaces.LenBy(v, "owner", id) == 0 && r.tables.Targets.LenBy(v, "task", id) == 0
}

func (r *Reaper) services(v store.Reader) (keys []string) {
	for s := range r.tables.Services.By(v, "status", model.ServiceInactive) {
		if r.isOldService(v, s.Key()) {
			keys = append(keys, s.Key())
		}
	}
	return keys
}

// isOldService reports whether a service was deleted long ago and its tasks are forgotten.
func (r *Reaper) isOldService(v store.Reader, key string) bool {
	s, ok := r.tables.Services.Get(v, key)
	return ok && s.Status == model.ServiceInactive && r.isLongAgo(s.DeletedAt) && r.tables.Tasks.LenBy(v, "service", key) == 0
}

func (r *Reaper) clusters(v store.Reader) (names []string) {
	for c := range r.tables.Clusters.List(v) {
		if r.isOldCluster(v, c.Name) {
			names = append(names, c.Name)
		}
	}
	return names
}

// isOldCluster reports whether a cluster was deleted long ago and nothing in it is described any more.
func (r *Reaper) isOldCluster(v store.Reader, name string) bool {
	c, ok := r.tables.Clusters.Get(v, name)
	return ok && c.Status == model.ClusterInactive && r.isLongAgo(c.DeletedAt) && r.tables.Services.LenBy(v, "cluster", name) == 0 && r.tables.Tasks.LenBy(v, "cluster", name) == 0
}

func (r *Reaper) definitions(v store.Reader) (keys []string) {
	for d := range r.tables.TaskDefinitions.By(v, "status", model.TaskDefinitionDeleteInProgress) {
		if r.isUnused(v, d.Key()) {
			keys = append(keys, d.Key())
		}
	}
	return keys
}

// isUnused reports whether a task definition that is being deleted is needed by no task and no service. The newest
// revision of a family stays until there is a newer one: revision numbers are never given out twice (aws-facts 1.1).
func (r *Reaper) isUnused(v store.Reader, key string) bool {
	d, ok := r.tables.TaskDefinitions.Get(v, key)
	if !ok || d.Status != model.TaskDefinitionDeleteInProgress {
		return false
	}
	newest := 0
	for other := range r.tables.TaskDefinitions.By(v, "family", d.Family) {
		newest = max(newest, other.Revision)
	}
	if newest == d.Revision {
		return false
	}
	for t := range r.tables.Tasks.By(v, "definition", key) {
		if !t.IsStopped() {
			return false
		}
	}
	for s := range r.tables.Services.By(v, "definition", key) {
		if s.Status != model.ServiceInactive {
			return false
		}
	}
	return true
}

func (r *Reaper) sessions(v store.Reader) (ids []string) {
	for s := range r.tables.Sessions.List(v) {
		if r.isOldSession(v, s.AccessKeyID) {
			ids = append(ids, s.AccessKeyID)
		}
	}
	return ids
}

func (r *Reaper) isOldSession(v store.Reader, id string) bool {
	s, ok := r.tables.Sessions.Get(v, id)
	return ok && r.isLongAgo(s.ExpiresAt)
}
