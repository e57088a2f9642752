package link_test

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/neargate/neargate/internal/linux/link"
	"github.com/neargate/neargate/internal/linux/netns"
	"github.com/neargate/neargate/internal/testkit/nettest"
)

func TestMain(m *testing.M) { nettest.Main(m) }

var (
	macA = net.HardwareAddr{2, 0, 0, 0, 0, 0xa}
	macB = net.HardwareAddr{2, 0, 0, 0, 0, 0xb}
)

func open(t *testing.T, name string) *link.Conn {
	t.Helper()
	c, err := link.Open(nettest.Namespace(t, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestEnsureVeth(t *testing.T) {
	near, far := open(t, "ng-test-near"), open(t, "ng-test-far")
	pair, err := near.EnsureVeth(link.End{Name: "ng1", MAC: macA}, far, link.End{Name: "eth1", MAC: macB}, 9001)
	if err != nil || !pair.Made {
		t.Fatalf("%+v, %v", pair, err)
	}
	again, err := near.EnsureVeth(link.End{Name: "ng1", MAC: macA}, far, link.End{Name: "eth1", MAC: macB}, 9001)
	if err != nil || again.Made || again.Near != pair.Near || again.Far != pair.Far {
		t.Fatalf("again: %+v, %v; was %+v", again, err, pair)
	}
	if got := nettest.Links(t, far.Namespace()); !slices.Equal(got, []string{"lo", "eth1"}) {
		t.Errorf("links: %v", got)
	}
	out := nettest.Exec(t, far.Namespace(), "ip", "link", "show", "eth1")
	for _, want := range []string{"mtu 9001", macB.String(), "LOWER_UP"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in %s", want, out)
		}
	}
	// The same name, but the owner's namespace is another one: the old pair goes.
	other := open(t, "ng-test-other")
	moved, err := near.EnsureVeth(link.End{Name: "ng1", MAC: macA}, other, link.End{Name: "eth1", MAC: macB}, 1500)
	if err != nil || !moved.Made {
		t.Fatalf("%+v, %v", moved, err)
	}
	if got := nettest.Links(t, far.Namespace()); !slices.Equal(got, []string{"lo"}) {
		t.Errorf("links of the former owner: %v", got)
	}
	for range 2 {
		if err := near.Delete("ng1"); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := other.Index("eth1"); ok {
		t.Error("the peer is left")
	}
}

func TestNothingInTheCallersNamespace(t *testing.T) {
	near, far := open(t, "ng-test-near"), open(t, "ng-test-far")
	if _, err := near.EnsureVeth(link.End{Name: "ng1", MAC: macA}, far, link.End{Name: "eth1", MAC: macB}, 9001); err != nil {
		t.Fatal(err)
	}
	here, err := netns.Current()
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	if got := nettest.Links(t, here); !slices.Equal(got, []string{"lo"}) {
		t.Errorf("links: %v", got)
	}
}

func TestSetAddresses(t *testing.T) {
	near, far := open(t, "ng-test-near"), open(t, "ng-test-far")
	pair, err := near.EnsureVeth(link.End{Name: "ng1", MAC: macA}, far, link.End{Name: "eth1", MAC: macB}, 9001)
	if err != nil {
		t.Fatal(err)
	}
	one, two := netip.MustParsePrefix("10.0.0.1/24"), netip.MustParsePrefix("10.0.0.2/24")
	for _, want := range [][]netip.Prefix{{one}, {one, two}, {two}, {two}, {}} {
		if err := far.SetAddresses(pair.Far, want, false); err != nil {
			t.Fatal(err)
		}
		out := nettest.Exec(t, far.Namespace(), "ip", "-4", "addr", "show", "eth1")
		if n := strings.Count(out, "inet "); n != len(want) {
			t.Errorf("want %v, got %s", want, out)
		}
		if out := nettest.Exec(t, far.Namespace(), "ip", "route"); out != "" {
			t.Errorf("a route came with the address: %s", out)
		}
	}
}
