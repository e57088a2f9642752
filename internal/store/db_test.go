package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/neargate/neargate/internal/fault"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/reconcile"
	"github.com/neargate/neargate/internal/store"
	"github.com/neargate/neargate/internal/store/mem"
	"github.com/neargate/neargate/internal/store/storetest"
)

var _ reconcile.Source[string] = (*store.Changes)(nil)

func put[T any](t testing.TB, db *store.DB, table *store.Table[T], recs ...*T) {
	t.Helper()
	if err := db.Update(t.Context(), func(tx *store.Txn) error {
		for _, rec := range recs {
			table.Put(tx, rec)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func subnet(id, vpc string) *model.Subnet { return &model.Subnet{ID: id, VPCID: vpc} }

func ids(r store.Reader, tables *store.Tables, vpc string) (ids []string) {
	for s := range tables.Subnets.By(r, "vpc", vpc) {
		ids = append(ids, s.ID)
	}
	return ids
}

func TestTransactionSeesItsOwnWritesAndOthersDoNot(t *testing.T) {
	db, tables := storetest.New(t)
	put(t, db, tables.Subnets, subnet("subnet-1", "vpc-1"), subnet("subnet-2", "vpc-1"), subnet("subnet-3", "vpc-2"))
	old := db.View()
	err := db.Update(t.Context(), func(tx *store.Txn) error {
		tables.Subnets.Put(tx, subnet("subnet-0", "vpc-1"))
		tables.Subnets.Put(tx, subnet("subnet-2", "vpc-2"))
		tables.Subnets.Delete(tx, "subnet-3")
		if got, want := ids(tx, tables, "vpc-1"), []string{"subnet-0", "subnet-1"}; !slices.Equal(got, want) {
			t.Errorf("inside: %v, want %v", got, want)
		}
		if got := ids(db.View(), tables, "vpc-1"); len(got) != 2 || got[1] != "subnet-2" {
			t.Errorf("outside before commit: %v", got)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := ids(db.View(), tables, "vpc-2"), []string{"subnet-2"}; !slices.Equal(got, want) {
		t.Errorf("after: %v, want %v", got, want)
	}
	if got := ids(old, tables, "vpc-2"); !slices.Equal(got, []string{"subnet-3"}) {
		t.Errorf("old view has changed: %v", got)
	}
}

func TestFailedTransactionLeavesNothing(t *testing.T) {
	db, tables := storetest.New(t)
	wrong := errors.New("wrong")
	rev := db.Revision()
	if err := db.Update(t.Context(), func(tx *store.Txn) error {
		tables.VPCs.Put(tx, &model.VPC{ID: "vpc-1"})
		return wrong
	}); !errors.Is(err, wrong) {
		t.Fatalf("got %v", err)
	}
	if tables.VPCs.Len(db.View()) != 0 || db.Revision() != rev {
		t.Error("a failed transaction has left something")
	}
}

// Two daemons and many goroutines each count up one record and insert only if a list is still as they saw it.
func TestConcurrentDaemonsAreSerial(t *testing.T) {
	backend := mem.New()
	const workers, rounds = 4, 25
	var wg sync.WaitGroup
	var dbs []*store.DB
	var tabs []*store.Tables
	for range 2 {
		db, tables := storetest.On(t, backend)
		dbs, tabs = append(dbs, db), append(tabs, tables)
	}
	for d := range dbs {
		for w := range workers {
			wg.Go(func() {
				for i := range rounds {
					err := dbs[d].Update(t.Context(), func(tx *store.Txn) error {
						n := tabs[d].Subnets.LenBy(tx, "vpc", "vpc-1")
						tabs[d].Subnets.Put(tx, subnet(fmt.Sprintf("subnet-%06d", n), "vpc-1")) // a phantom would overwrite
						tabs[d].Subnets.Put(tx, subnet(fmt.Sprintf("other-%d-%d-%d", d, w, i), "vpc-2"))
						return nil
					})
					if err != nil {
						t.Errorf("update: %v", err)
					}
				}
			})
		}
	}
	wg.Wait()
	want := 2 * workers * rounds
	for d := range dbs {
		if err := dbs[d].WaitRevision(context.Background(), dbs[1-d].Revision()); err != nil {
			t.Fatal(err)
		}
		if got := tabs[d].Subnets.LenBy(dbs[d].View(), "vpc", "vpc-1"); got != want {
			t.Errorf("daemon %d: %d records, want %d", d, got, want)
		}
	}
}

func TestStartRefusesWhatItCannotRead(t *testing.T) {
	tests := []struct{ name, key, value, want string }{
		{"unknown table", "rec/rocket/r-1", `v1 {}`, "table rocket, which this Neargate does not know"},
		{"newer schema", "rec/vpc/vpc-1", `v7 {"id":"vpc-1"}`, "record vpc-1: written with schema 7 by a newer Neargate"},
		{"damaged", "rec/vpc/vpc-1", `v1 {"id":`, "table vpc, record vpc-1: decode"},
		{"no schema", "rec/vpc/vpc-1", `{"id":"vpc-1"}`, "no schema number"},
		{"foreign key", "something", `else`, `key "something", which is no record`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			backend := mem.New()
			if _, err := backend.Commit(t.Context(), store.Commit{Puts: []store.KV{{Key: test.key, Value: []byte(test.value)}}}); err != nil {
				t.Fatal(err)
			}
			if _, _, err := store.OpenTables(t.Context(), backend, store.Options{}); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestUpgradeReadsOlderSchemas(t *testing.T) {
	backend := mem.New()
	if _, err := backend.Commit(t.Context(), store.Commit{Puts: []store.KV{{Key: "rec/thing/a", Value: []byte(`v1 {"label":"x"}`)}}}); err != nil {
		t.Fatal(err)
	}
	type thing struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	db, err := store.Open(t.Context(), backend)
	if err != nil {
		t.Fatal(err)
	}
	things := store.NewTable(db, store.TableSpec[thing]{Name: "thing", Key: func(r *thing) string { return r.ID }, Schema: 2,
		Upgrade: func(from int, doc []byte) ([]byte, error) {
			return bytes.ReplaceAll(doc, []byte(`"label"`), []byte(`"id":"a","name"`)), nil
		}})
	if err := db.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if rec, ok := things.Get(db.View(), "a"); !ok || rec.Name != "x" {
		t.Errorf("got %+v", rec)
	}
}

func TestFailedCommitIsReportedAndUndone(t *testing.T) {
	backend := mem.New()
	db, tables := storetest.On(t, backend)
	disk := errors.New("disk is full")
	backend.SetFault(func(store.Commit) error { return disk })
	err := db.Update(t.Context(), func(tx *store.Txn) error {
		tables.VPCs.Put(tx, &model.VPC{ID: "vpc-1"})
		return nil
	})
	if !errors.Is(err, disk) || fault.KindOf(err) != fault.Internal {
		t.Errorf("got %v", err)
	}
	backend.SetFault(nil)
	put(t, db, tables.VPCs, &model.VPC{ID: "vpc-2"})
	if tables.VPCs.Has(db.View(), "vpc-1") || !tables.VPCs.Has(db.View(), "vpc-2") {
		t.Error("the failed record is there, or the next one is not")
	}
}

// A transaction that has read what another is about to commit must not succeed when that other fails.
func TestDependentsOfAFailedCommitRunAgain(t *testing.T) {
	backend := mem.New()
	db, tables := storetest.On(t, backend)
	arrived, release := make(chan struct{}), make(chan struct{})
	first := true
	backend.SetFault(func(store.Commit) error {
		if !first {
			return nil
		}
		first = false
		close(arrived)
		<-release
		return errors.New("disk is full")
	})
	failed := make(chan error)
	go func() {
		failed <- db.Update(t.Context(), func(tx *store.Txn) error {
			tables.Clusters.Put(tx, &model.Cluster{Name: "base"})
			return nil
		})
	}()
	<-arrived
	var saw []bool
	dependent, verdict := make(chan error), make(chan error)
	started := make(chan struct{}, 10)
	go func() {
		dependent <- db.Update(t.Context(), func(tx *store.Txn) error {
			saw = append(saw, tables.Clusters.Has(tx, "base"))
			tables.Clusters.Put(tx, &model.Cluster{Name: "dependent"})
			started <- struct{}{}
			return nil
		})
	}()
	go func() {
		verdict <- db.Update(t.Context(), func(tx *store.Txn) error {
			defer func() { started <- struct{}{} }()
			if tables.Clusters.Has(tx, "base") {
				return fault.NewExists("cluster", "base")
			}
			return nil
		})
	}()
	<-started
	<-started
	close(release)
	if err := <-failed; err == nil {
		t.Error("the first did not fail")
	}
	if err := <-dependent; err != nil {
		t.Error(err)
	}
	if err := <-verdict; err != nil {
		t.Errorf("verdict about a record that never was: %v", err)
	}
	if !slices.Equal(saw, []bool{true, false}) || tables.Clusters.Has(db.View(), "base") {
		t.Errorf("dependent saw %v", saw)
	}
}

func TestEndedContextMeansNotDone(t *testing.T) {
	backend := mem.New()
	db, tables := storetest.On(t, backend)
	arrived, release := make(chan struct{}, 1), make(chan struct{})
	backend.SetFault(func(store.Commit) error {
		arrived <- struct{}{}
		<-release
		return nil
	})
	first := make(chan error)
	go func() {
		first <- db.Update(t.Context(), func(tx *store.Txn) error {
			tables.Clusters.Put(tx, &model.Cluster{Name: "first"})
			return nil
		})
	}()
	<-arrived
	ctx, cancel := context.WithCancel(t.Context())
	err := db.Update(ctx, func(tx *store.Txn) error {
		tables.Clusters.Put(tx, &model.Cluster{Name: "second"})
		cancel()
		return nil
	})
	close(release)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("second: %v", err)
	}
	if err := <-first; err != nil {
		t.Errorf("first: %v", err)
	}
	if tables.Clusters.Has(db.View(), "second") {
		t.Error("withdrawn transaction was done")
	}
}

func TestStoreKeepsItsOwnCopy(t *testing.T) {
	db, tables := storetest.New(t)
	rec := &model.VPC{ID: "vpc-1", Meta: model.Meta{Tags: model.Tags{"a": "1"}}}
	put(t, db, tables.VPCs, rec)
	rec.Tags["a"] = "2"
	got, _ := tables.VPCs.Get(db.View(), "vpc-1")
	if got.Tags["a"] != "1" {
		t.Error("the store shares the caller's record")
	}
	rev := db.Revision()
	put(t, db, tables.VPCs, tables.VPCs.Clone(got))
	if db.Revision() != rev {
		t.Error("an equal record was written")
	}
}

func TestChangedSharedRecordIsFound(t *testing.T) {
	db, tables, err := store.OpenTables(t.Context(), mem.New(), store.Options{DetectMutation: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	put(t, db, tables.VPCs, &model.VPC{ID: "vpc-1"}, &model.VPC{ID: "vpc-2"})
	if err := db.CheckMutations(); err != nil {
		t.Error(err)
	}
	rec, _ := tables.VPCs.Get(db.View(), "vpc-2")
	rec.State = "changed"
	if err := db.CheckMutations(); err == nil || !strings.Contains(err.Error(), "vpc-2") || strings.Contains(err.Error(), "vpc-1") {
		t.Errorf("got %v", err)
	}
}

func TestTooLargeATransaction(t *testing.T) {
	db, tables := storetest.New(t)
	err := db.Update(t.Context(), func(tx *store.Txn) error {
		tables.Stacks.Put(tx, &model.Stack{ARN: "s", Template: strings.Repeat("x", 2<<20)})
		return nil
	})
	if fault.KindOf(err) != fault.Limit {
		t.Errorf("got %v", err)
	}
}

func TestClosedStoreFails(t *testing.T) {
	db, tables := storetest.New(t)
	changes := tables.VPCs.Changes(t.Context())
	db.Close()
	err := db.Update(t.Context(), func(tx *store.Txn) error {
		tables.VPCs.Put(tx, &model.VPC{ID: "vpc-1"})
		return nil
	})
	if fault.KindOf(err) != fault.Internal {
		t.Errorf("update: %v", err)
	}
	for {
		if _, _, err := changes.Next(t.Context()); err != nil {
			break
		}
	}
}

func BenchmarkViewGet(b *testing.B) {
	db, tables := filled(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, ok := tables.Subnets.Get(db.View(), known[i%len(known)]); !ok {
			b.Fatal("missing")
		}
	}
}

func BenchmarkIndexOf100(b *testing.B) {
	db, tables := filled(b)
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for range tables.Subnets.By(db.View(), "vpc", "vpc-7") {
			n++
		}
		if n != 100 {
			b.Fatal(n)
		}
	}
}

func BenchmarkClone(b *testing.B) {
	db, tables := filled(b)
	rec, _ := tables.Subnets.Get(db.View(), known[5])
	b.ReportAllocs()
	for b.Loop() {
		tables.Subnets.Clone(rec)
	}
}

func BenchmarkUpdateInMemory(b *testing.B) {
	db, tables := filled(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		rec := &model.Subnet{ID: known[i%len(known)], VPCID: "vpc-7", State: fmt.Sprint(i)}
		if err := db.Update(b.Context(), func(tx *store.Txn) error { tables.Subnets.Put(tx, rec); return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

var known []string

// filled returns a store of 10,000 subnets in 100 VPCs.
func filled(b *testing.B) (*store.DB, *store.Tables) {
	b.Helper()
	db, tables, err := store.OpenTables(b.Context(), mem.New(), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(db.Close)
	known = nil
	for v := range 100 {
		var recs []*model.Subnet
		for s := range 100 {
			rec := &model.Subnet{ID: fmt.Sprintf("subnet-%d-%d", v, s), VPCID: fmt.Sprintf("vpc-%d", v), AZ: "us-east-1a",
				State: "available", Meta: model.Meta{Tags: model.Tags{"Name": "private", "stack": "demo"}}}
			recs, known = append(recs, rec), append(known, rec.ID)
		}
		put(b, db, tables.Subnets, recs...)
	}
	return db, tables
}
