package targets

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
	"github.com/neargate/neargate/internal/store/storetest"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func target(last byte, draining time.Time) *model.Target {
	return &model.Target{TargetGroupARN: "g", IP: netip.AddrFrom4([4]byte{10, 0, 0, last}), Port: 80, DrainingSince: draining}
}

func health(last byte) *model.TargetHealth {
	return &model.TargetHealth{TargetGroupARN: "g", IP: netip.AddrFrom4([4]byte{10, 0, 0, last}), Port: 80}
}

func TestPlanGroup(t *testing.T) {
	used := facts{exists: true, used: true, delay: time.Minute, now: start}
	unused, gone := used, facts{now: start}
	unused.used = false
	list := []*model.Target{target(1, time.Time{}), target(2, start.Add(-20*time.Second)), target(3, start.Add(-50*time.Second)), target(4, start.Add(-time.Minute))}
	seen := []*model.TargetHealth{health(1), health(4), health(9)}
	for name, c := range map[string]struct {
		facts facts
		want  plan
	}{
		"delay is over for one": {used, plan{remove: []string{"g|10.0.0.4:80"}, forget: []string{"g|10.0.0.4:80", "g|10.0.0.9:80"}, recheck: 10 * time.Second}},
		"unused drains at once": {unused, plan{remove: []string{"g|10.0.0.2:80", "g|10.0.0.3:80", "g|10.0.0.4:80"}, forget: []string{"g|10.0.0.4:80", "g|10.0.0.9:80"}}},
		"deleted group": {gone, plan{remove: []string{"g|10.0.0.1:80", "g|10.0.0.2:80", "g|10.0.0.3:80", "g|10.0.0.4:80"},
			forget: []string{"g|10.0.0.1:80", "g|10.0.0.4:80", "g|10.0.0.9:80"}}},
	} {
		if diff := cmp.Diff(c.want, planGroup(c.facts, list, seen), cmp.AllowUnexported(plan{})); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestReconcile(t *testing.T) {
	db, tables := storetest.New(t)
	err := db.Update(t.Context(), func(tx *store.Txn) error {
		tables.TargetGroups.Put(tx, &model.TargetGroup{ARN: "g", Attributes: map[string]string{model.AttrDeregistrationDelay: "60"}})
		tables.Listeners.Put(tx, &model.Listener{ARN: "l", DefaultActions: []model.Action{{Forward: &model.ForwardAction{Groups: []model.WeightedGroup{{TargetGroupARN: "g"}}}}}})
		tables.Targets.Put(tx, target(1, time.Time{}))
		tables.Targets.Put(tx, target(2, start))
		tables.TargetHealth.Put(tx, health(2))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	result, err := New(db, tables, clock.Fixed(start.Add(59*time.Second))).Reconcile(t.Context(), "g")
	if err != nil || result.After != time.Second || tables.Targets.Len(db.View()) != 2 {
		t.Errorf("%+v %v", result, err)
	}
	result, err = New(db, tables, clock.Fixed(start.Add(60*time.Second))).Reconcile(t.Context(), "g")
	v := db.View()
	if err != nil || result.After != 0 || tables.Targets.Len(v) != 1 || tables.TargetHealth.Len(v) != 0 {
		t.Errorf("%+v %v, %d targets and %d health records are left", result, err, tables.Targets.Len(v), tables.TargetHealth.Len(v))
	}
}
