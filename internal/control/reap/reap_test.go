package reap

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
	"github.com/neargate/neargate/internal/store/storetest"
)

func TestReap(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	old, young := now.Add(-keep), now.Add(-keep+time.Second)
	db, tables := storetest.New(t)
	task := func(id, service string, state model.TaskState, stopped time.Time, definition string) *model.Task {
		return &model.Task{ID: id, Cluster: "c", Service: service, State: state, StoppedAt: stopped, DefinitionKey: definition}
	}
	definition := func(revision int, status string) *model.TaskDefinition {
		return &model.TaskDefinition{Family: "app", Revision: revision, Status: status}
	}
	service := func(name, status string, deleted time.Time, definition string) *model.Service {
		return &model.Service{Cluster: "c", Name: name, Status: status, DeletedAt: deleted, Deployments: []model.Deployment{{ID: name, DefinitionKey: definition}}}
	}
	err := db.Update(t.Context(), func(tx *store.Txn) error {
		for i := range 100 { // more than one batch
			tables.Tasks.Put(tx, task(fmt.Sprintf("old%03d", i), "gone", model.TaskStopped, old, "app:1"))
		}
		tables.Tasks.Put(tx, task("young", "", model.TaskStopped, young, "app:1"))
		tables.Tasks.Put(tx, task("running", "", model.TaskRunning, time.Time{}, "app:2"))
		tables.Tasks.Put(tx, task("wired", "", model.TaskStopped, old, "app:1"))
		tables.NetworkInterfaces.Put(tx, &model.NetworkInterface{ID: "eni-1", OwnerID: "wired"})
		tables.Tasks.Put(tx, task("target", "", model.TaskStopped, old, "app:1"))
		tables.Targets.Put(tx, &model.Target{TargetGroupARN: "tg", Port: 80, TaskID: "target"})
		tables.Services.Put(tx, service("gone", model.ServiceInactive, old, "app:1"))
		tables.Services.Put(tx, service("just", model.ServiceInactive, young, "app:1"))
		tables.Services.Put(tx, service("there", model.ServiceActive, time.Time{}, "app:3"))
		tables.Clusters.Put(tx, &model.Cluster{Name: "c", Status: model.ClusterInactive, DeletedAt: old})
		tables.Clusters.Put(tx, &model.Cluster{Name: "empty", Status: model.ClusterInactive, DeletedAt: old})
		tables.Clusters.Put(tx, &model.Cluster{Name: "active", Status: model.ClusterActive})
		for revision := range 4 {
			tables.TaskDefinitions.Put(tx, definition(revision+1, model.TaskDefinitionDeleteInProgress)) // 2 and 3 are in use
		}
		tables.TaskDefinitions.Put(tx, definition(5, model.TaskDefinitionInactive))
		tables.TaskDefinitions.Put(tx, &model.TaskDefinition{Family: "last", Revision: 7, Status: model.TaskDefinitionDeleteInProgress})
		tables.Sessions.Put(tx, &model.Session{AccessKeyID: "old", ExpiresAt: old})
		tables.Sessions.Put(tx, &model.Session{AccessKeyID: "valid", ExpiresAt: now})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r := New(db, tables, clock.Fixed(now))
	if err := r.Reap(t.Context()); err != nil {
		t.Fatal(err)
	}
	v := db.View()
	for _, test := range []struct {
		name string
		got  []string
		want []string
	}{
		{"tasks", slices.Collect(tables.Tasks.IDs(v)), []string{"running", "target", "wired", "young"}},
		{"services", slices.Collect(tables.Services.IDs(v)), []string{"c/just", "c/there"}},
		{"clusters", slices.Collect(tables.Clusters.IDs(v)), []string{"active", "c"}},
		{"definitions", slices.Collect(tables.TaskDefinitions.IDs(v)), []string{"app:2", "app:3", "app:5", "last:7"}},
		{"sessions", slices.Collect(tables.Sessions.IDs(v)), []string{"valid"}},
	} {
		if diff := cmp.Diff(test.want, test.got); diff != "" {
			t.Errorf("%s left (-want +got):\n%s", test.name, diff)
		}
	}
	before := db.Revision()
	if err := r.Reap(t.Context()); err != nil || db.Revision() != before {
		t.Errorf("a second round wrote something, %v", err)
	}
}
