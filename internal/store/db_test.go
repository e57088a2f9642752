package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
	"github.com/neargate/neargate/internal/store/mem"
	"github.com/neargate/neargate/internal/store/storetest"
)

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
