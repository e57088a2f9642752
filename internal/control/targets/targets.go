// Package targets ends the draining of targets: when the deregistration delay is over, a target's record and its health
// go, and with them its server in every load balancer.
//
// Who registers and deregisters is not its matter: users do through api/elbv2, the service scheduler (control/deploy) does
// for tasks. Both set Target.DrainingSince; from then on no new request goes to the target, and this package waits. The
// thinking is in plan.go. Start at [Targets].
package targets

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/reconcile"
	"github.com/neargate/neargate/internal/store"
)

// Targets reconciles target groups by their ARNs.
type Targets struct {
	db     *store.DB
	tables *store.Tables
	clock  *clock.Clock
}

// New returns a reconciler for the targets of target groups.
func New(db *store.DB, tables *store.Tables, clock *clock.Clock) *Targets {
	return &Targets{db: db, tables: tables, clock: clock}
}

// Name returns the reconciler's name.
func (t *Targets) Name() string { return "targets" }

// Sweep has nothing to do: a group's end deletes its targets.
func (t *Targets) Sweep(context.Context) error { return nil }

// Sources returns what Reconcile has to look at: groups, their targets and health, and who forwards to them.
func (t *Targets) Sources(ctx context.Context) []reconcile.Source[string] {
	return []reconcile.Source[string]{
		t.tables.TargetGroups.Changes(ctx),
		t.tables.Targets.ChangesByIndex(ctx, "target-group"),
		t.tables.TargetHealth.ChangesByIndex(ctx, "target-group"),
		t.tables.Listeners.ChangesByIndex(ctx, "target-group"),
		t.tables.Rules.ChangesByIndex(ctx, "target-group"),
	}
}

// Reconcile removes the targets of a group that have drained.
func (t *Targets) Reconcile(ctx context.Context, arn string) (reconcile.Result, error) {
	var p plan
	err := t.db.Update(ctx, func(tx *store.Txn) error {
		p = planGroup(t.facts(tx, arn), slices.Collect(t.tables.Targets.By(tx, "target-group", arn)),
			slices.Collect(t.tables.TargetHealth.By(tx, "target-group", arn)))
		for _, key := range p.remove {
			t.tables.Targets.Delete(tx, key)
		}
		for _, key := range p.forget {
			t.tables.TargetHealth.Delete(tx, key)
		}
		return nil
	})
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("end draining of target group %s: %w", arn, err)
	}
	if p.recheck > 0 {
		return reconcile.Result{After: max(p.recheck, time.Millisecond), Reason: "targets drain"}, nil
	}
	return reconcile.Result{}, nil
}

func (t *Targets) facts(r store.Reader, arn string) facts {
	f := facts{now: t.clock.Now()}
	group, ok := t.tables.TargetGroups.Get(r, arn)
	if !ok {
		return f
	}
	f.exists = true
	f.used = t.tables.Listeners.LenBy(r, "target-group", arn)+t.tables.Rules.LenBy(r, "target-group", arn) > 0
	f.delay = t.clock.Seconds(model.AttributeInt(group.Attributes, model.AttrDeregistrationDelay))
	return f
}
