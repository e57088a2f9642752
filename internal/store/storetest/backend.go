package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/neargate/neargate/internal/store"
)

// Harness is a fresh back end under test.
type Harness struct {
	Backend store.Backend
	Compact func(ctx context.Context) error // drops all history
}

// TestBackend is the conformance suite: what a store.Backend promises, and what a DB on top of it promises.
func TestBackend(t *testing.T, open func(t testing.TB) Harness) {
	tests := []struct {
		name string
		run  func(t *testing.T, h Harness)
	}{
		{"commit is conditional", testConditions},
		{"load shows what was committed", testLoad},
		{"watch delivers whole revisions in order", testWatch},
		{"watch from a compacted revision says so", testCompacted},
		{"commit takes what limits promise", testLimits},
		{"one leads at a time", testLead},
		{"read your writes", testReadYourWrites},
		{"two daemons are serial", testTwoDaemons},
		{"no phantom between two daemons", testPhantom},
		{"a verdict is about durable records", testVerdict},
		{"random operations match a model", testModel},
		{"changes miss nothing", testChanges},
		{"lost history is loaded again", testReload},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

func commit(t *testing.T, b store.Backend, c store.Commit) store.Result {
	t.Helper()
	res, err := b.Commit(t.Context(), c)
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	return res
}

func puts(keys ...string) (kvs []store.KV) {
	for _, key := range keys {
		kvs = append(kvs, store.KV{Key: key, Value: []byte("value of " + key)})
	}
	return kvs
}

func testConditions(t *testing.T, h Harness) {
	b := h.Backend
	first := commit(t, b, store.Commit{Conds: []store.Cond{{Key: "rec/x/1", Mod: 0}}, Puts: puts("rec/x/1", "guard/x")})
	if !first.OK {
		t.Fatal("the first commit was refused")
	}
	second := commit(t, b, store.Commit{Conds: []store.Cond{{Key: "rec/x/1", Mod: 0}}, Puts: puts("rec/x/2", "guard/x")})
	if second.OK || second.Revision != first.Revision || second.FenceLost {
		t.Errorf("condition 'absent' on an existing key: %+v", second)
	}
	third := commit(t, b, store.Commit{
		Conds: []store.Cond{{Key: "rec/x/1", Mod: first.Revision}, {Key: "rec/x/2", Mod: 0}},
		Puts:  puts("guard/x"), Deletes: []string{"rec/x/1", "rec/x/none"},
	})
	if !third.OK || third.Revision <= first.Revision {
		t.Errorf("right conditions: %+v", third)
	}
	fourth := commit(t, b, store.Commit{Conds: []store.Cond{{Key: "rec/x/1", Mod: first.Revision}}, Puts: puts("guard/x")})
	if fourth.OK || fourth.Revision != third.Revision {
		t.Errorf("condition on a deleted key: %+v", fourth)
	}
	fifth := commit(t, b, store.Commit{Fence: &store.Fence{Key: "nobody", Create: 7}, Puts: puts("guard/x")})
	if fifth.OK || !fifth.FenceLost {
		t.Errorf("fence that does not exist: %+v", fifth)
	}
}

func testLoad(t *testing.T, h Harness) {
	var keys []string
	for i := range 2500 { // more than a page
		keys = append(keys, fmt.Sprintf("rec/x/%06d", i))
	}
	first := commit(t, h.Backend, store.Commit{Puts: puts(keys...)})
	second := commit(t, h.Backend, store.Commit{Puts: puts("rec/a/with/slash and\x01"), Deletes: keys[:10]})
	rev, kvs, err := h.Backend.Load(t.Context())
	if err != nil || rev != second.Revision || len(kvs) != 2491 {
		t.Fatalf("load: revision %d, %d keys, %v", rev, len(kvs), err)
	}
	slices.SortFunc(kvs, func(a, b store.KV) int { return int(b.Mod - a.Mod) })
	if kv := kvs[0]; kv.Key != "rec/a/with/slash and\x01" || string(kv.Value) != "value of "+kv.Key || kv.Mod != second.Revision {
		t.Errorf("key %q, value %q, revision %d", kv.Key, kv.Value, kv.Mod)
	}
	if kvs[1].Mod != first.Revision {
		t.Errorf("revision %d, want %d", kvs[1].Mod, first.Revision)
	}
}

func testWatch(t *testing.T, h Harness) {
	from := commit(t, h.Backend, store.Commit{Puts: puts("rec/x/before")}).Revision
	const rounds = 50
	var wg sync.WaitGroup
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		wg.Go(func() {
			count, last := map[int64]int{}, from
			err := h.Backend.Watch(ctx, from, func(events []store.Event) {
				seen := map[int64]int{}
				for _, ev := range events {
					if ev.Mod < last {
						t.Errorf("revision %d after %d", ev.Mod, last)
					}
					last = ev.Mod
					seen[ev.Mod]++
					if ev.Key == "rec/x/end" {
						cancel()
					}
				}
				for rev, n := range seen {
					if count[rev] != 0 {
						t.Errorf("revision %d was delivered in parts", rev)
					}
					count[rev] = n
				}
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("watch: %v", err)
			}
			if len(count) != rounds+1 {
				t.Errorf("%d revisions, want %d", len(count), rounds+1)
			}
		})
	}
	for i := range rounds {
		c := store.Commit{Puts: puts("rec/x/a", "rec/x/b", "rec/x/c")}
		if i%2 == 1 {
			c = store.Commit{Puts: puts("rec/x/a"), Deletes: []string{"rec/x/b", "rec/x/c"}}
		}
		commit(t, h.Backend, c)
	}
	commit(t, h.Backend, store.Commit{Puts: puts("rec/x/end")})
	wg.Wait()
}

func testCompacted(t *testing.T, h Harness) {
	from := commit(t, h.Backend, store.Commit{Puts: puts("rec/x/a")}).Revision
	commit(t, h.Backend, store.Commit{Puts: puts("rec/x/a")})
	commit(t, h.Backend, store.Commit{Puts: puts("rec/x/a")})
	if err := h.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := h.Backend.Watch(ctx, from, func([]store.Event) {}); !errors.Is(err, store.ErrCompacted) {
		t.Errorf("watch: %v", err)
	}
}

func testLimits(t *testing.T, h Harness) {
	limits := h.Backend.Limits()
	c := store.Commit{}
	value := make([]byte, limits.Bytes/limits.Ops-40)
	for i := range limits.Ops {
		key := fmt.Sprintf("rec/x/%08d", i)
		c.Conds = append(c.Conds, store.Cond{Key: key})
		c.Puts = append(c.Puts, store.KV{Key: key, Value: value})
	}
	if !commit(t, h.Backend, c).OK {
		t.Error("refused")
	}
}

func testLead(t *testing.T, h Harness) {
	var mu sync.Mutex
	leading := 0
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			err := h.Backend.Lead(t.Context(), "control", func(context.Context) {
				mu.Lock()
				leading++
				if leading != 1 {
					t.Errorf("%d lead at once", leading)
				}
				mu.Unlock()
				time.Sleep(time.Millisecond)
				mu.Lock()
				leading--
				mu.Unlock()
			})
			if err != nil {
				t.Errorf("lead: %v", err)
			}
		})
	}
	wg.Wait()

	ctx, cancel := context.WithCancel(t.Context())
	err := h.Backend.Lead(ctx, "control", func(ctx context.Context) { cancel(); <-ctx.Done() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("lead until its context ended: %v", err)
	}
}
