package listener

import (
	"testing"

	"github.com/neargate/neargate/internal/keeper"
	"github.com/neargate/neargate/internal/keeper/health"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
	"github.com/neargate/neargate/internal/store/storetest"
)

func TestHealthBook(t *testing.T) {
	db, tables := storetest.New(t)
	b := newHealthBook(db, tables)
	known, gone := sample().targets[0], sample().targets[1]
	if err := db.Update(t.Context(), func(tx *store.Txn) error { tables.Targets.Put(tx, known); return nil }); err != nil {
		t.Fatal(err)
	}
	say := func(target *model.Target, state string) keeper.Status {
		return keeper.Status{Targets: []keeper.TargetStatus{{Group: groupA, Target: targetID(target), Health: health.Health{State: state}}}}
	}
	write := func(keys []string) string {
		t.Helper()
		if err := b.write(t.Context(), keys); err != nil {
			t.Fatal(err)
		}
		h, ok := tables.TargetHealth.Get(db.View(), known.Key())
		if !ok {
			return ""
		}
		return h.State
	}
	late := b.note(say(known, health.Initial))
	if got := write(b.note(say(known, health.Healthy))); got != health.Healthy {
		t.Errorf("state %q", got)
	}
	if got := write(late); got != health.Healthy {
		t.Errorf("an older report that is written late made the target %q", got)
	}
	write(b.note(say(gone, health.Healthy)))
	if tables.TargetHealth.Has(db.View(), gone.Key()) {
		t.Error("a target that is not registered has a record")
	}
	if keys := b.missing(records{targets: sample().targets}); len(keys) != 3 { // not the one that drains
		t.Errorf("missing %v", keys)
	}
	full := say(gone, health.Healthy)
	full.Full = true
	b.note(full)
	if b.get(known.Key()) != nil {
		t.Error("a full report did not replace what was known")
	}
}
