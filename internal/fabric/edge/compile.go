// Package edge is the packet path of the edge namespace, "the Internet": it routes public addresses to the VPCs that
// hold them and lets a VPC send only from its own.
//
// AWS service addresses and the simulated outside client are on the edge's lo; a public address that nobody holds and
// any other destination are unreachable, which clients are told at once. Nothing here keeps state: there is no
// connection tracking in the edge. Start at [Compile].
package edge

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/ruleset"
)

// VPC is what the edge knows of one VPC: the edge's end of its link, and the public addresses in use there.
type VPC struct {
	Link   string
	Public []netip.Addr
}

// Compile makes the edge's packet path. Hop is the next hop on each link.
func Compile(vpcs []VPC, local []netip.Addr, hop netip.Addr) *ruleset.Router {
	own := ruleset.Set{Name: "own4", Key: []ruleset.Type{ruleset.IfName, ruleset.IPv4}}
	out := &ruleset.Router{Addresses: slices.Clone(local)}
	slices.SortFunc(out.Addresses, netip.Addr.Compare)
	out.Addresses = slices.Compact(out.Addresses)
	taken := map[netip.Addr]bool{}
	sorted := slices.Clone(vpcs)
	slices.SortFunc(sorted, func(a, b VPC) int { return strings.Compare(a.Link, b.Link) })
	for _, v := range sorted {
		for _, a := range v.Public {
			if taken[a] {
				continue
			}
			taken[a] = true
			own.Elements = append(own.Elements, ruleset.Element{Key: ruleset.NewKey().If(v.Link).Addr(a).Concat()})
			out.Routes = append(out.Routes, ruleset.Route{Table: ruleset.MainTable, Dst: netip.PrefixFrom(a, a.BitLen()), Dev: v.Link, Via: hop})
		}
	}
	slices.SortFunc(own.Elements, func(a, b ruleset.Element) int { return strings.Compare(a.Key, b.Key) })
	slices.SortFunc(out.Routes, func(a, b ruleset.Route) int { return a.Dst.Addr().Compare(b.Dst.Addr()) })
	accept := []ruleset.Action{ruleset.Verdict{Kind: ruleset.Accept}}
	out.Table = ruleset.Table{
		Sets: []ruleset.Set{own},
		Chains: []ruleset.Chain{{
			Name: "prerouting",
			Hook: &ruleset.Hook{Type: "filter", Point: "prerouting", Priority: ruleset.PriorityRaw, Drop: true},
			Rules: []ruleset.Rule{
				{Matches: []ruleset.Match{ruleset.In{Fields: []ruleset.Field{ruleset.IIF, ruleset.SAddr4}, Set: own.Name}}, Actions: accept},
				{Matches: []ruleset.Match{ruleset.Is{Field: ruleset.IIF, Value: ruleset.IfKey("lo")}}, Actions: accept},
			},
		}},
	}
	return out
}

// LinkName returns the edge's end of a VPC's link: "v" and the first 14 hexadecimal digits of its identifier.
func LinkName(vpcID string) string {
	digits := strings.TrimPrefix(vpcID, model.PrefixVPC+"-")
	if len(digits) > 14 {
		digits = digits[:14]
	}
	return "v" + digits
}
