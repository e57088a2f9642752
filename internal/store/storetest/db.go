package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/neargate/neargate/internal/fault"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

func update(t testing.TB, db *store.DB, fn func(tx *store.Txn)) {
	t.Helper()
	if err := db.Update(t.Context(), func(tx *store.Txn) error { fn(tx); return nil }); err != nil {
		t.Errorf("update: %v", err)
	}
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func testReadYourWrites(t *testing.T, h Harness) {
	db, tables := On(t, h.Backend)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 50 {
				id := fmt.Sprintf("vpc-%d-%d", w, i)
				update(t, db, func(tx *store.Txn) { tables.VPCs.Put(tx, &model.VPC{ID: id, State: "pending"}) })
				if vpc, ok := tables.VPCs.Get(db.View(), id); !ok || vpc.State != "pending" {
					t.Errorf("%s is not seen after it was written", id)
				}
				update(t, db, func(tx *store.Txn) { tables.VPCs.Delete(tx, id) })
				if tables.VPCs.Has(db.View(), id) {
					t.Errorf("%s is seen after it was deleted", id)
				}
			}
		})
	}
	wg.Wait()
	rev, kvs, err := h.Backend.Load(t.Context())
	if err != nil || rev != db.Revision() || len(kvs) != 1 || kvs[0].Key != "guard/vpc" {
		t.Errorf("back end at revision %d (%d in memory) holds %d keys, %v", rev, db.Revision(), len(kvs), err)
	}
}

// testTwoDaemons counts one record up from two daemons at once; a lost update would show in the sum.
func testTwoDaemons(t *testing.T, h Harness) {
	const workers, rounds = 3, 20
	var wg sync.WaitGroup
	var dbs [2]*store.DB
	var tabs [2]*store.Tables
	for d := range dbs {
		dbs[d], tabs[d] = On(t, h.Backend)
		for range workers {
			wg.Go(func() {
				for range rounds {
					update(t, dbs[d], func(tx *store.Txn) {
						was, ok := tabs[d].Policies.Get(tx, "counter")
						next := &model.Policy{ARN: "counter"}
						if ok {
							next = tabs[d].Policies.Clone(was)
						}
						next.NextVersion++
						tabs[d].Policies.Put(tx, next)
					})
				}
			})
		}
	}
	wg.Wait()
	for d := range dbs {
		if err := dbs[d].WaitRevision(within(t), dbs[1-d].Revision()); err != nil {
			t.Fatal(err)
		}
		if got, _ := tabs[d].Policies.Get(dbs[d].View(), "counter"); got.NextVersion != 2*workers*rounds {
			t.Errorf("daemon %d counted to %d, want %d", d, got.NextVersion, 2*workers*rounds)
		}
	}
}

// testPhantom makes overlapping subnets from two daemons at once: exactly one of each pair may succeed.
func testPhantom(t *testing.T, h Harness) {
	const rounds = 20
	dbA, tabA := On(t, h.Backend)
	dbB, tabB := On(t, h.Backend)
	create := func(db *store.DB, tables *store.Tables, id string, cidr netip.Prefix) error {
		return db.Update(t.Context(), func(tx *store.Txn) error {
			for other := range tables.Subnets.By(tx, "vpc", "vpc-1") {
				if other.CIDR.Overlaps(cidr) {
					return fault.New(fault.Conflict, "subnet", id, "overlaps")
				}
			}
			tables.Subnets.Put(tx, &model.Subnet{ID: id, VPCID: "vpc-1", CIDR: cidr})
			return nil
		})
	}
	for i := range rounds {
		cidr := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i), 0}), 24)
		var errA, errB error
		var wg sync.WaitGroup
		wg.Go(func() { errA = create(dbA, tabA, fmt.Sprintf("subnet-a%d", i), cidr) })
		wg.Go(func() { errB = create(dbB, tabB, fmt.Sprintf("subnet-b%d", i), cidr) })
		wg.Wait()
		if (errA == nil) == (errB == nil) {
			t.Fatalf("round %d: %v and %v", i, errA, errB)
		}
	}
}

// testVerdict looks for errors that rest on records which never became durable.
func testVerdict(t *testing.T, h Harness) {
	db, tables := On(t, h.Backend)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 30 {
				name := fmt.Sprintf("name-%d", i)
				err := db.Update(t.Context(), func(tx *store.Txn) error {
					if tables.Clusters.Has(tx, name) {
						return fault.NewExists("cluster", name)
					}
					tables.Clusters.Put(tx, &model.Cluster{Name: name})
					return nil
				})
				if err != nil && fault.KindOf(err) != fault.Exists {
					t.Errorf("update: %v", err)
				}
				if !tables.Clusters.Has(db.View(), name) {
					t.Errorf("%s: %v, but it is not seen", name, err)
				}
			}
		})
	}
	wg.Wait()
}

// testModel does random transactions on two daemons and compares with plain maps; then a third daemon loads it all.
func testModel(t *testing.T, h Harness) {
	rng := rand.New(rand.NewPCG(1, 2))
	want := map[string]string{} // subnet to VPC
	var dbs [2]*store.DB
	var tabs [2]*store.Tables
	for d := range dbs {
		dbs[d], tabs[d] = On(t, h.Backend)
	}
	compare := func(what string, r store.Reader, tables *store.Tables, want map[string]string) {
		t.Helper()
		got, byVPC, wantByVPC := map[string]string{}, map[string][]string{}, map[string][]string{}
		last := ""
		for s := range tables.Subnets.List(r) {
			if s.ID <= last {
				t.Fatalf("%s: %s is listed after %s", what, s.ID, last)
			}
			last = s.ID
			got[s.ID] = s.VPCID
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", what, diff)
		}
		for id, vpc := range want {
			wantByVPC[vpc] = append(wantByVPC[vpc], id)
		}
		for vpc, ids := range wantByVPC {
			slices.Sort(ids)
			for s := range tables.Subnets.By(r, "vpc", vpc) {
				byVPC[vpc] = append(byVPC[vpc], s.ID)
			}
			if tables.Subnets.LenBy(r, "vpc", vpc) != len(ids) {
				t.Fatalf("%s: LenBy %s", what, vpc)
			}
		}
		if diff := cmp.Diff(wantByVPC, byVPC); diff != "" {
			t.Fatalf("%s, index (-want +got):\n%s", what, diff)
		}
		if n := len(slices.Collect(tables.Subnets.Values(r, "vpc"))); n != len(wantByVPC) {
			t.Fatalf("%s: %d values in the index, want %d", what, n, len(wantByVPC))
		}
	}
	for range 150 {
		d := rng.IntN(2)
		db, tables := dbs[d], tabs[d]
		if err := db.WaitRevision(within(t), dbs[1-d].Revision()); err != nil {
			t.Fatal(err)
		}
		seed, fails := rng.Uint64(), rng.IntN(5) == 0
		var next map[string]string
		err := db.Update(t.Context(), func(tx *store.Txn) error {
			rng := rand.New(rand.NewPCG(seed, 0)) // the same again if it runs again
			next = map[string]string{}
			for id, vpc := range want {
				next[id] = vpc
			}
			for range rng.IntN(8) {
				id, vpc := fmt.Sprintf("subnet-%d", rng.IntN(30)), fmt.Sprintf("vpc-%d", rng.IntN(4))
				if rng.IntN(3) == 0 {
					tables.Subnets.Delete(tx, id)
					delete(next, id)
				} else {
					tables.Subnets.Put(tx, &model.Subnet{ID: id, VPCID: vpc})
					next[id] = vpc
				}
			}
			compare("in the transaction", tx, tables, next)
			if fails {
				return errors.New("undone")
			}
			return nil
		})
		if fails != (err != nil) {
			t.Fatalf("update: %v", err)
		}
		if !fails {
			want = next
		}
		compare("after it", db.View(), tables, want)
	}
	db, tables := On(t, h.Backend)
	compare("loaded anew", db.View(), tables, want)
}

// testChanges follows a table by its change keys only and must end with its content.
func testChanges(t *testing.T, h Harness) {
	dbA, tabA := On(t, h.Backend)
	dbB, tabB := On(t, h.Backend)
	update(t, dbA, func(tx *store.Txn) { tabA.Subnets.Put(tx, &model.Subnet{ID: "subnet-old", VPCID: "vpc-old"}) })
	if err := dbB.WaitRevision(within(t), dbA.Revision()); err != nil {
		t.Fatal(err)
	}
	ctx := within(t)
	changes, byVPC := tabB.Subnets.Changes(ctx), tabB.Subnets.ChangesByIndex(ctx, "vpc")
	keys, full, err := changes.Next(ctx)
	if err != nil || !full || !slices.Equal(keys, []string{"subnet-old"}) {
		t.Fatalf("first list: %q, %v, %v", keys, full, err)
	}
	if keys, full, err := byVPC.Next(ctx); err != nil || !full || !slices.Equal(keys, []string{"vpc-old"}) {
		t.Fatalf("first list by VPC: %q, %v, %v", keys, full, err)
	}

	copied, vpcs := map[string]string{"subnet-old": "vpc-old"}, map[string]bool{}
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 200 {
			update(t, dbA, func(tx *store.Txn) {
				id := fmt.Sprintf("subnet-%d", i%17)
				if i%5 == 4 {
					tabA.Subnets.Delete(tx, id)
				} else {
					tabA.Subnets.Put(tx, &model.Subnet{ID: id, VPCID: fmt.Sprintf("vpc-%d", i%3)})
				}
			})
		}
		update(t, dbA, func(tx *store.Txn) {
			tabA.Subnets.Delete(tx, "subnet-old")
			tabA.Subnets.Put(tx, &model.Subnet{ID: "subnet-end", VPCID: "vpc-end"})
		})
	})
	for copied["subnet-end"] == "" {
		keys, full, err := changes.Next(ctx)
		if err != nil || full {
			t.Fatalf("changes: %v, %v", full, err)
		}
		view := dbB.View()
		for _, key := range keys {
			if s, ok := tabB.Subnets.Get(view, key); ok {
				copied[key] = s.VPCID
			} else {
				delete(copied, key)
			}
		}
	}
	wg.Wait()
	want := map[string]string{}
	for s := range tabB.Subnets.List(dbB.View()) {
		want[s.ID] = s.VPCID
	}
	if diff := cmp.Diff(want, copied); diff != "" {
		t.Errorf("copy by changes (-want +got):\n%s", diff)
	}
	for !vpcs["vpc-end"] || !vpcs["vpc-old"] { // the value that a deleted record had counts, too
		keys, _, err := byVPC.Next(ctx)
		if err != nil {
			t.Fatalf("changes by VPC: %v", err)
		}
		for _, key := range keys {
			vpcs[key] = true
		}
	}
	changes.Stop()
	if _, _, err := changes.Next(ctx); err == nil {
		t.Error("a stopped subscription goes on")
	}
}

// slow is a back end whose watch can be held up.
type slow struct {
	store.Backend
	gate sync.Mutex
}

func (s *slow) Watch(ctx context.Context, after int64, deliver func([]store.Event)) error {
	s.gate.Lock()
	s.gate.Unlock() //lint:ignore SA2001 waiting is all that is wanted
	return s.Backend.Watch(ctx, after, deliver)
}

func testReload(t *testing.T, h Harness) {
	dbA, tabA := On(t, h.Backend)
	update(t, dbA, func(tx *store.Txn) {
		tabA.VPCs.Put(tx, &model.VPC{ID: "vpc-deleted"})
		tabA.VPCs.Put(tx, &model.VPC{ID: "vpc-changed"})
		tabA.VPCs.Put(tx, &model.VPC{ID: "vpc-same"})
	})
	late := &slow{Backend: h.Backend}
	late.gate.Lock()
	dbB, tabB := On(t, late)
	ctx := within(t)
	changes := tabB.VPCs.Changes(ctx)
	if keys, full, err := changes.Next(ctx); err != nil || !full || len(keys) != 3 {
		t.Fatalf("first list: %q, %v, %v", keys, full, err)
	}
	update(t, dbA, func(tx *store.Txn) {
		tabA.VPCs.Delete(tx, "vpc-deleted")
		tabA.VPCs.Put(tx, &model.VPC{ID: "vpc-changed", State: "available"})
		tabA.VPCs.Put(tx, &model.VPC{ID: "vpc-new"})
	})
	update(t, dbA, func(tx *store.Txn) { tabA.Clusters.Put(tx, &model.Cluster{Name: "other"}) })
	if err := h.Compact(ctx); err != nil {
		t.Fatal(err)
	}
	late.gate.Unlock()
	// The keys come while the store compares, and with the last of them the word that it was loaded anew.
	seen := map[string]bool{}
	for full := false; !full; {
		keys, loaded, err := changes.Next(ctx)
		if err != nil {
			t.Fatalf("after the history was lost: %v", err)
		}
		for _, key := range keys {
			seen[key] = true
		}
		full = loaded
	}
	if keys := slices.Sorted(maps.Keys(seen)); !slices.Equal(keys, []string{"vpc-changed", "vpc-deleted", "vpc-new"}) {
		t.Errorf("after the history was lost: %q", keys)
	}
	if tabB.VPCs.Has(dbB.View(), "vpc-deleted") || !tabB.VPCs.Has(dbB.View(), "vpc-new") {
		t.Error("memory is not what the back end has")
	}
	update(t, dbB, func(tx *store.Txn) { tabB.VPCs.Delete(tx, "vpc-same") })
	if err := dbA.WaitRevision(ctx, dbB.Revision()); err != nil || tabA.VPCs.Has(dbA.View(), "vpc-same") {
		t.Errorf("the other daemon does not see what was written after the reload: %v", err)
	}
}
