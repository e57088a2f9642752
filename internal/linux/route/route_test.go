package route_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/neargate/neargate/internal/linux/link"
	"github.com/neargate/neargate/internal/linux/route"
	"github.com/neargate/neargate/internal/ruleset"
	"github.com/neargate/neargate/internal/testkit/nettest"
)

func TestMain(m *testing.M) { nettest.Main(m) }

func TestApply(t *testing.T) {
	ns, peer := nettest.Namespace(t, "ng-test-near"), nettest.Namespace(t, "ng-test-far")
	c, err := link.Open(ns)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	far, err := link.Open(peer)
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	if _, err := c.EnsureVeth(link.End{Name: "ng1", MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}}, far, link.End{Name: "eth1", MAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}}, 9001); err != nil {
		t.Fatal(err)
	}
	lo, _ := c.Index("lo")
	if err := c.SetAddresses(lo, []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")}, false); err != nil {
		t.Fatal(err)
	}
	prefix := netip.MustParsePrefix
	hosts := []ruleset.Interface{{Name: "ng1", Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.5")}, From: netip.MustParseAddr("10.0.0.1")}, {Name: "absent", Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.6")}}}
	first := []ruleset.Route{
		{Table: ruleset.MainTable, Dst: prefix("10.0.0.0/16"), Blackhole: true},
		{Table: 1000, Dst: prefix("0.0.0.0/0"), Dev: "ng1", Via: netip.MustParseAddr("10.0.0.5")},
		{Table: 1001, Dst: prefix("0.0.0.0/0"), Dev: "absent", Via: netip.MustParseAddr("10.0.0.6")},
	}
	second := []ruleset.Route{first[0], {Table: 1000, Dst: prefix("0.0.0.0/0"), Blackhole: true}}
	policy := []ruleset.PolicyRule{{Priority: 100, Table: ruleset.MainTable}, {Priority: 200, Value: 0x100000, Mask: 0xfff00000, Table: 1000}}
	show := func() string {
		routes := nettest.Exec(t, ns, "ip", "-4", "route", "show", "table", "all", "proto", "78")
		rules := nettest.Exec(t, ns, "ip", "-4", "rule")
		var lines []string
		for l := range strings.Lines(routes + rules) {
			lines = append(lines, strings.Join(strings.Fields(l), " "))
		}
		return strings.Join(lines, "\n")
	}
	for _, step := range []struct {
		routes []ruleset.Route
		policy []ruleset.PolicyRule
		want   string
	}{
		{first, policy, "default via 10.0.0.5 dev ng1 table 1000 onlink\nblackhole default table 1001\nblackhole 10.0.0.0/16\n10.0.0.5 dev ng1 scope link src 10.0.0.1\n" +
			"0: from all lookup local\n100: from all lookup main\n200: from all fwmark 0x100000/0xfff00000 lookup 1000"},
		{first, policy, "default via 10.0.0.5 dev ng1 table 1000 onlink\nblackhole default table 1001\nblackhole 10.0.0.0/16\n10.0.0.5 dev ng1 scope link src 10.0.0.1\n" +
			"0: from all lookup local\n100: from all lookup main\n200: from all fwmark 0x100000/0xfff00000 lookup 1000"},
		{second, policy[:1], "blackhole default table 1000\nblackhole 10.0.0.0/16\n10.0.0.5 dev ng1 scope link src 10.0.0.1\n" +
			"0: from all lookup local\n100: from all lookup main"},
		{nil, nil, "10.0.0.5 dev ng1 scope link src 10.0.0.1\n0: from all lookup local\n100: from all lookup main"},
	} {
		links, err := c.List()
		if err != nil {
			t.Fatal(err)
		}
		if err := route.Apply(c, step.routes, hosts, step.policy, links); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(step.want, show()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	// Somebody else's routes are not ours to touch.
	nettest.Exec(t, ns, "ip", "route", "add", "192.0.2.0/24", "dev", "ng1")
	if err := route.Apply(c, nil, nil, nil, nil); err != nil {
		t.Fatal(err)
	}
	if out := nettest.Exec(t, ns, "ip", "-4", "route"); strings.TrimSpace(out) != "192.0.2.0/24 dev ng1 scope link" {
		t.Errorf("left: %s", out)
	}
}
