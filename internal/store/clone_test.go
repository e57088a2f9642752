package store

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

type part struct {
	Names []string
	Up    *part
}

type everything struct {
	Text  string
	When  time.Time
	Addr  netip.Addr
	List  []part
	Table map[string][]int
	Refs  map[string]*part
	Ptr   *int
	Fixed [2]*int
	Plain map[string]string
	None  []string
	Empty []string
}

func TestCloneIsDeep(t *testing.T) {
	make1 := func() *everything {
		one, two := 1, 2
		return &everything{
			Text: "a", When: time.Unix(5, 0), Addr: netip.MustParseAddr("10.0.0.1"),
			List:  []part{{Names: []string{"x"}, Up: &part{Names: []string{"y"}, Up: &part{}}}},
			Table: map[string][]int{"a": {1}}, Refs: map[string]*part{"r": {Names: []string{"z"}}},
			Ptr: &one, Fixed: [2]*int{&two, nil}, Plain: map[string]string{"k": "v"}, Empty: []string{},
		}
	}
	orig := make1()
	next := cloneWith(clonerOf[everything](), orig)
	same := cmpopts.EquateComparable(netip.Addr{})
	if diff := cmp.Diff(orig, next, same); diff != "" {
		t.Fatalf("clone differs (-orig +clone):\n%s", diff)
	}
	if next.None != nil || next.Empty == nil {
		t.Error("nil and empty slices are not told apart")
	}
	next.List[0].Names[0] = "changed"
	next.List[0].Up.Names[0] = "changed"
	next.List[0].Up.Up.Names = []string{"changed"}
	next.Table["a"][0] = 9
	next.Table["b"] = nil
	next.Refs["r"].Names[0] = "changed"
	*next.Ptr = 9
	*next.Fixed[0] = 9
	next.Plain["k"] = "changed"
	if diff := cmp.Diff(make1(), orig, same); diff != "" {
		t.Errorf("editing the clone changed the original (-want +got):\n%s", diff)
	}
}
