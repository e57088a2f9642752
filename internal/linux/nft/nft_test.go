package nft_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/neargate/neargate/internal/linux/netns"
	"github.com/neargate/neargate/internal/linux/nft"
	"github.com/neargate/neargate/internal/ruleset"
	"github.com/neargate/neargate/internal/testkit/nettest"
)

func TestMain(m *testing.M) { nettest.Main(m) }

// everything is a table with one of each kind of set, match and action.
func everything() *ruleset.Table {
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.3.255")
	six := netip.MustParseAddr("2001:db8::1")
	drop := []ruleset.Action{ruleset.Verdict{Kind: ruleset.Drop}}
	accept := []ruleset.Action{ruleset.Verdict{Kind: ruleset.Accept}}
	rules := []ruleset.Rule{
		{Actions: []ruleset.Action{ruleset.SetMarkBy{Fields: []ruleset.Field{ruleset.IIF, ruleset.SAddr4}, Map: "own4"}}},
		{Actions: []ruleset.Action{ruleset.SetMarkBy{Fields: []ruleset.Field{ruleset.IIF, ruleset.SAddr6}, Map: "own6"}}},
		{Matches: []ruleset.Match{ruleset.Is{Field: ruleset.Mark, Value: ruleset.MarkKey(0), Not: true}}, Actions: accept},
		{Matches: []ruleset.Match{ruleset.Is{Field: ruleset.IIF, Value: ruleset.IfKey("igw0")}}, Actions: []ruleset.Action{ruleset.SetMark{Value: 0xffe00000}, ruleset.Verdict{Kind: ruleset.Return}}},
		{Matches: []ruleset.Match{ruleset.Within{Field: ruleset.SAddr4, Prefix: netip.MustParsePrefix("10.0.0.0/16")}}, Actions: drop},
		{Matches: []ruleset.Match{ruleset.Within{Field: ruleset.DAddr4, Prefix: netip.MustParsePrefix("10.64.0.0/10")}}, Actions: drop},
		{Matches: []ruleset.Match{ruleset.In{Fields: []ruleset.Field{ruleset.DAddr4}, Set: "addrs", Not: true}}, Actions: drop},
		{Matches: []ruleset.Match{ruleset.In{Fields: []ruleset.Field{ruleset.IIF}, Set: "drops"}}, Actions: drop},
	}
	gates := []ruleset.Rule{
		{Matches: []ruleset.Match{ruleset.State{Mask: ruleset.Established | ruleset.Related}}, Actions: accept},
		{Matches: []ruleset.Match{ruleset.State{Mask: ruleset.Invalid}}, Actions: drop},
		{Actions: []ruleset.Action{ruleset.VerdictBy{Fields: []ruleset.Field{ruleset.LowMark}, Map: "gates"}}},
		{Actions: []ruleset.Action{ruleset.VerdictBy{Fields: []ruleset.Field{ruleset.Mark}, Map: "gates"}}},
		{Matches: []ruleset.Match{ruleset.Is{Field: ruleset.L4Proto, Value: "\x06"}}, Actions: []ruleset.Action{ruleset.Reset{}}},
	}
	one := []ruleset.Rule{
		{Matches: []ruleset.Match{ruleset.In{Fields: []ruleset.Field{ruleset.SAddr4, ruleset.L4Proto, ruleset.DPort}, Set: "ports4"}}, Actions: accept},
		{Matches: []ruleset.Match{ruleset.In{Fields: []ruleset.Field{ruleset.DAddr6, ruleset.L4Proto, ruleset.DPort}, Set: "ports6"}}, Actions: accept},
		{Matches: []ruleset.Match{ruleset.In{Fields: []ruleset.Field{ruleset.SAddr4, ruleset.FieldICMPType, ruleset.FieldICMPCode}, Set: "icmp4"}}, Actions: accept},
		{Matches: []ruleset.Match{ruleset.In{Fields: []ruleset.Field{ruleset.SAddr4}, Set: "addrs"}, ruleset.In{Fields: []ruleset.Field{ruleset.L4Proto, ruleset.DPort}, Set: "pp"}}, Actions: accept},
		{Matches: []ruleset.Match{ruleset.Family{}}, Actions: []ruleset.Action{ruleset.Verdict{Kind: ruleset.Return}}},
		{Matches: []ruleset.Match{ruleset.Family{V6: true}}, Actions: []ruleset.Action{ruleset.Verdict{Kind: ruleset.Return}}},
		{Actions: []ruleset.Action{ruleset.Verdict{Kind: ruleset.Goto, Chain: "end"}}},
	}
	return &ruleset.Table{
		Sets: []ruleset.Set{
			{Name: "addrs", Key: []ruleset.Type{ruleset.IPv4}, Elements: []ruleset.Element{{Key: ruleset.AddrKey(a)}}},
			{Name: "drops", Key: []ruleset.Type{ruleset.IfName}, Counted: true, Elements: []ruleset.Element{{Key: ruleset.IfKey("ng1")}}},
			{Name: "gates", Key: []ruleset.Type{ruleset.Mark32}, Value: ruleset.VerdictValue, Elements: []ruleset.Element{
				{Key: ruleset.MarkKey(0x10), Verdict: ruleset.Verdict{Kind: ruleset.Jump, Chain: "one"}},
				{Key: ruleset.MarkKey(0x11), Verdict: ruleset.Verdict{Kind: ruleset.Goto, Chain: "end"}},
				{Key: ruleset.MarkKey(0x12), Verdict: ruleset.Verdict{Kind: ruleset.Accept}},
			}},
			{Name: "icmp4", Key: []ruleset.Type{ruleset.IPv4, ruleset.ICMPType, ruleset.ICMPCode}, Interval: true, Elements: []ruleset.Element{
				{Key: ruleset.NewKey().Addr(a).Byte(8).Byte(0).Concat(), End: ruleset.NewKey().Addr(b).Byte(8).Byte(255).Concat()},
			}},
			{Name: "own4", Key: []ruleset.Type{ruleset.IfName, ruleset.IPv4}, Value: ruleset.MarkValue, Elements: []ruleset.Element{
				{Key: ruleset.NewKey().If("ng1").Addr(a).Concat(), Mark: 0x00100010},
			}},
			{Name: "own6", Key: []ruleset.Type{ruleset.IfName, ruleset.IPv6}, Value: ruleset.MarkValue, Elements: []ruleset.Element{
				{Key: ruleset.NewKey().If("ng1").Addr(six).Concat(), Mark: 0x00100010},
			}},
			{Name: "ports4", Key: []ruleset.Type{ruleset.IPv4, ruleset.Proto, ruleset.Port}, Interval: true, Elements: []ruleset.Element{
				{Key: ruleset.NewKey().Addr(a).Byte(6).Port(80).Concat(), End: ruleset.NewKey().Addr(b).Byte(6).Port(90).Concat()},
				{Key: ruleset.NewKey().Addr(a).Byte(17).Port(53).Concat(), End: ruleset.NewKey().Addr(a).Byte(17).Port(53).Concat()},
			}},
			{Name: "ports6", Key: []ruleset.Type{ruleset.IPv6, ruleset.Proto, ruleset.Port}, Interval: true, Elements: []ruleset.Element{
				{Key: ruleset.NewKey().Addr(six).Byte(6).Port(0).Concat(), End: ruleset.NewKey().Addr(six).Byte(6).Port(65535).Concat()},
			}},
			{Name: "pp", Key: []ruleset.Type{ruleset.Proto, ruleset.Port}, Interval: true},
			{Name: "to-private", Key: []ruleset.Type{ruleset.IPv4}, Value: ruleset.AddrValue, Elements: []ruleset.Element{{Key: ruleset.AddrKey(a), Addr: b}}},
			{Name: "to-public", Key: []ruleset.Type{ruleset.IPv4}, Value: ruleset.AddrValue},
		},
		Chains: []ruleset.Chain{
			{Name: "raw", Hook: &ruleset.Hook{Type: "filter", Point: "prerouting", Priority: ruleset.PriorityRaw}, Rules: rules},
			{Name: "gate", Hook: &ruleset.Hook{Type: "filter", Point: "forward", Drop: true}, Rules: gates},
			{Name: "out", Hook: &ruleset.Hook{Type: "nat", Point: "postrouting", Priority: ruleset.PrioritySrcNAT}, Rules: []ruleset.Rule{
				{Matches: []ruleset.Match{ruleset.Is{Field: ruleset.OIF, Value: ruleset.IfKey("igw0")}}, Actions: []ruleset.Action{ruleset.NATBy{Source: true, Map: "to-public"}}},
				{Matches: []ruleset.Match{ruleset.Is{Field: ruleset.L4Proto, Value: "\x06"}}, Actions: []ruleset.Action{ruleset.SNATTo{Addr: a, Low: 10536, High: 65535}}},
				{Actions: []ruleset.Action{ruleset.SNATTo{Addr: a}}},
			}},
			{Name: "in", Hook: &ruleset.Hook{Type: "nat", Point: "prerouting", Priority: ruleset.PriorityDstNAT}, Rules: []ruleset.Rule{
				{Actions: []ruleset.Action{ruleset.NATBy{Map: "to-private"}}},
			}},
			{Name: "end", Rules: []ruleset.Rule{{Actions: drop}}},
			{Name: "one", Rules: one},
		},
	}
}

func open(t testing.TB, name string) (*nft.Conn, *netns.Namespace) {
	t.Helper()
	ns := nettest.Namespace(t, name)
	c, err := nft.Open(ns)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, ns
}

func TestReplaceEqualsScript(t *testing.T) {
	nettest.Require(t)
	nettest.Tool(t, "nft")
	table := everything()
	want := nettest.LoadRules(t, "ng-test-script", table.Script())
	c, ns := open(t, "ng-test-own")
	for range 2 {
		if err := c.Replace(table); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, nettest.Rules(t, ns)); diff != "" {
			t.Fatalf("listing differs from that of nft (-nft +own):\n%s", diff)
		}
	}
	if err := c.Delete(); err != nil {
		t.Fatal(err)
	}
	if got := nettest.Rules(t, ns); got != "" {
		t.Errorf("left after delete: %s", got)
	}
	if err := c.Delete(); err != nil {
		t.Errorf("second delete: %v", err)
	}
}

func TestUpdate(t *testing.T) {
	nettest.Require(t)
	nettest.Tool(t, "nft")
	from, to := everything(), everything()
	// Less chains, sets and elements, others changed, others new.
	to.Chains = slices.DeleteFunc(to.Chains, func(c ruleset.Chain) bool { return c.Name == "one" || c.Name == "in" })
	to.Sets = slices.DeleteFunc(to.Sets, func(s ruleset.Set) bool { return s.Name == "ports6" || s.Name == "to-private" })
	gates := to.Set("gates")
	gates.Elements = []ruleset.Element{
		{Key: ruleset.MarkKey(0x11), Verdict: ruleset.Verdict{Kind: ruleset.Accept}},
		{Key: ruleset.MarkKey(0x13), Verdict: ruleset.Verdict{Kind: ruleset.Jump, Chain: "two"}},
	}
	ports := to.Set("ports4")
	ports.Elements = slices.Clone(ports.Elements)[:1]
	ports.Elements[0].End = ruleset.NewKey().Addr(netip.MustParseAddr("10.0.7.255")).Byte(6).Port(90).Concat()
	to.Set("own4").Elements[0].Mark = 7
	to.Sets = append([]ruleset.Set{{Name: "a-new", Key: []ruleset.Type{ruleset.IPv4}, Elements: []ruleset.Element{{Key: "\x01\x02\x03\x04"}}}}, to.Sets...)
	to.Chains = append(to.Chains, ruleset.Chain{Name: "two", Rules: []ruleset.Rule{{
		Matches: []ruleset.Match{ruleset.In{Fields: []ruleset.Field{ruleset.SAddr4}, Set: "a-new"}},
		Actions: []ruleset.Action{ruleset.Verdict{Kind: ruleset.Return}},
	}}})
	c, ns := open(t, "ng-test-own")
	if err := c.Replace(from); err != nil {
		t.Fatal(err)
	}
	if err := c.Update(from, to); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(nettest.LoadRules(t, "ng-test-script", to.Script()), nettest.Rules(t, ns)); diff != "" {
		t.Fatalf("after update (-nft +own):\n%s", diff)
	}
	if err := c.Update(to, from); err != nil {
		t.Fatal(err)
	}
	if err := c.Update(from, from); err != nil {
		t.Fatal(err)
	}
	// A wrong idea of what is there must fail and change nothing.
	before := nettest.Rules(t, ns)
	if err := c.Update(to, from); err == nil {
		t.Error("an update from a wrong state succeeded")
	}
	if diff := cmp.Diff(before, nettest.Rules(t, ns)); diff != "" {
		t.Errorf("a failed batch changed something:\n%s", diff)
	}
	if err := c.Replace(to); err != nil {
		t.Error(err)
	}
}

func TestManyElements(t *testing.T) {
	c, ns := open(t, "ng-test-many")
	nettest.Tool(t, "nft")
	set := ruleset.Set{Name: "many", Key: []ruleset.Type{ruleset.IfName, ruleset.IPv4}, Value: ruleset.MarkValue}
	for i := range 5000 {
		a := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		set.Elements = append(set.Elements, ruleset.Element{Key: ruleset.NewKey().If("ng1").Addr(a).Concat(), Mark: uint32(i)})
	}
	table := &ruleset.Table{Sets: []ruleset.Set{set}}
	if err := c.Replace(table); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(nettest.Rules(t, ns), `concat`); n != 5000 {
		t.Errorf("%d elements", n)
	}
}
