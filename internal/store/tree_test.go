package store

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// check fails if the tree is not ordered, balanced and counted.
func check(t *testing.T, n *node[int], lo, hi string) {
	t.Helper()
	if n == nil {
		return
	}
	if n.key <= lo || (hi != "" && n.key >= hi) {
		t.Fatalf("key %q is not between %q and %q", n.key, lo, hi)
	}
	if d := height(n.l) - height(n.r); d < -1 || d > 1 {
		t.Fatalf("heights %d and %d", height(n.l), height(n.r))
	}
	if n.h != max(height(n.l), height(n.r))+1 || int(n.n) != size(n.l)+size(n.r)+1 {
		t.Fatalf("height %d, size %d", n.h, n.n)
	}
	check(t, n.l, lo, n.key)
	check(t, n.r, n.key, hi)
}

func TestTreeMatchesMapAndKeepsOldRoots(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var root *node[int]
	model := map[string]int{}
	type snapshot struct {
		root  *node[int]
		model map[string]int
	}
	var old []snapshot
	for i := range 4000 {
		key := fmt.Sprintf("k%d", rng.IntN(300))
		if rng.IntN(2) == 0 {
			root = root.put(key, i)
			model[key] = i
		} else {
			root = root.del(key)
			delete(model, key)
		}
		if i%100 == 0 {
			check(t, root, "", "")
			old = append(old, snapshot{root: root, model: maps.Clone(model)})
		}
	}
	for _, s := range old {
		if got := maps.Collect(s.root.all()); !maps.Equal(got, s.model) {
			t.Fatalf("tree %v, model %v", got, s.model)
		}
		keys := slices.Sorted(maps.Keys(s.model))
		if size(s.root) != len(keys) {
			t.Fatalf("size %d, want %d", size(s.root), len(keys))
		}
		after := fmt.Sprintf("k%d", rng.IntN(300))
		var got []string
		s.root.each(after, func(key string, _ int) bool {
			got = append(got, key)
			return len(got) < 10
		})
		i, found := slices.BinarySearch(keys, after)
		if found {
			i++
		}
		if want := keys[i:min(i+10, len(keys))]; !slices.Equal(got, want) {
			t.Fatalf("after %s: %v, want %v", after, got, want)
		}
	}
	if next := root.del("not there"); next != root {
		t.Error("deleting nothing made a new tree")
	}
}

func FuzzRecordKey(f *testing.F) {
	f.Add("vpc", "vpc-1")
	f.Add("log-group", "/ecs/web/")
	f.Add("stack", "arn:aws:cloudformation:us-east-1:000000000000:stack/a/b#c\x00")
	f.Fuzz(func(t *testing.T, table, id string) {
		if !isTableName(table) || id == "" {
			return
		}
		gotTable, gotID, ok := parseRecordKey(recordKey(table, id))
		if !ok || gotTable != table || gotID != id {
			t.Errorf("%q, %q became %q, %q, %v", table, id, gotTable, gotID, ok)
		}
	})
}

func FuzzOpenSealed(f *testing.F) {
	f.Add([]byte(`v1 {"id":"vpc-1"}`))
	f.Add([]byte("v 1"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		schema, doc, err := open(raw)
		if err != nil {
			return
		}
		schema2, doc2, err := open(seal(schema, doc))
		if err != nil || schema2 != schema || string(doc2) != string(doc) {
			t.Errorf("%q: %d %q, then %d %q, %v", raw, schema, doc, schema2, doc2, err)
		}
	})
}
