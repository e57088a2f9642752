// Package route turns a VPC's route tables into Linux routing tables and the rules that select them by mark.
//
// The main table holds what is local to the VPC: the host routes of the ENIs (they follow from the router's interfaces)
// and a blackhole for the rest of the VPC's ranges, for AWS drops silently what nobody has. It is looked up first, as
// most packets stay inside; a route table of the VPC becomes a table of its own that holds the rest and is selected by
// the packet's mark. Routes more specific than the VPC's range come before the main table. Start at [Compile].
package route

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/neargate/neargate/internal/fabric/mark"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/ruleset"
)

// Priorities of policy rules, and where our routing tables begin. Below 256 lie the kernel's own.
const (
	inwardPriority  = 100
	mainPriority    = 1000
	outwardPriority = 2000
	nowherePriority = 3000
	nowhereTable    = 1 << 13 // for what no route table knows a way for
	tableBase       = 1 << 14 // outward tables; number added
	inwardTableBase = 1 << 15 // tables of routes that go before the main one
)

// Input is what routing depends on.
type Input struct {
	VPC         *model.VPC
	Subnets     []*model.Subnet
	RouteTables []*model.RouteTable
	Gateway     *model.InternetGateway // nil if none is attached
	GatewayIf   string
	GatewayHop  netip.Addr
	// Hop returns the interface and address of an ENI that packets can be forwarded to; ok is false if there is none.
	Hop func(eniID string) (dev string, via netip.Addr, ok bool)
	// NatENI returns the ENI of a usable NAT gateway.
	NatENI func(natID string) (eniID string, ok bool)
}

// Output is what Compile makes.
type Output struct {
	Policy []ruleset.PolicyRule
	Routes []ruleset.Route
	// Marks are the upper bits of the mark for each subnet.
	Marks map[string]uint32
}

// linkLocal and multicast never leave the router, whatever a default route says.
var never = []netip.Prefix{netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("224.0.0.0/4"), netip.MustParsePrefix("240.0.0.0/4")}

// Compile makes the routing of a VPC.
func Compile(in Input) Output {
	out := Output{Marks: make(map[string]uint32, len(in.Subnets))}
	for _, c := range in.VPC.CIDRs {
		out.Routes = append(out.Routes, ruleset.Route{Table: ruleset.MainTable, Dst: c.Block.Masked(), Blackhole: true})
	}
	for _, p := range never {
		out.Routes = append(out.Routes, ruleset.Route{Table: ruleset.MainTable, Dst: p, Blackhole: true})
	}
	// Without this the kernel would tell the sender at once that there is no route. On AWS nobody tells it anything: what
	// waits in a subnet without a way out ends with a timeout.
	out.Routes = append(out.Routes, ruleset.Route{Table: nowhereTable, Dst: netip.PrefixFrom(netip.IPv4Unspecified(), 0), Blackhole: true})
	out.Policy = append(out.Policy,
		ruleset.PolicyRule{Priority: mainPriority, Table: ruleset.MainTable}, ruleset.PolicyRule{Priority: nowherePriority, Table: nowhereTable})

	tables := slices.Clone(in.RouteTables)
	slices.SortFunc(tables, func(a, b *model.RouteTable) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	ids := make([]string, 0, len(tables))
	bySubnet := map[string]string{}
	for _, t := range tables {
		ids = append(ids, t.ID)
		for _, a := range t.Associations {
			if a.SubnetID != "" {
				bySubnet[a.SubnetID] = t.ID
			}
		}
	}
	numbers := mark.AssignTables(ids)
	used := map[string]bool{}
	for _, s := range in.Subnets {
		id, ok := bySubnet[s.ID]
		if !ok {
			id = in.VPC.MainRouteTableID
		}
		if n, ok := numbers[id]; ok {
			out.Marks[s.ID] = n << mark.TableShift
			used[id] = true
		}
	}
	for _, t := range tables {
		if used[t.ID] {
			out.addTable(in, t, numbers[t.ID])
		}
	}
	slices.SortFunc(out.Policy, func(a, b ruleset.PolicyRule) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Value, b.Value))
	})
	slices.SortStableFunc(out.Routes, func(a, b ruleset.Route) int {
		return cmp.Or(cmp.Compare(a.Table, b.Table), a.Dst.Addr().Compare(b.Dst.Addr()), cmp.Compare(a.Dst.Bits(), b.Dst.Bits()))
	})
	return out
}

// addTable adds the routes of one route table and the rules that lead to them.
func (out *Output) addTable(in Input, t *model.RouteTable, number uint32) {
	outward, inward := false, false
	for _, r := range t.Routes {
		if r.GatewayID == "local" || !r.Destination.IsValid() {
			continue
		}
		route := ruleset.Route{Table: tableBase + int(number), Dst: r.Destination.Masked()}
		if insideVPC(in.VPC, route.Dst) {
			route.Table = inwardTableBase + int(number)
			inward = true
		} else {
			outward = true
		}
		route.Dev, route.Via, route.Blackhole = in.target(r)
		out.Routes = append(out.Routes, route)
	}
	value := number << mark.TableShift
	if inward {
		out.Policy = append(out.Policy, ruleset.PolicyRule{Priority: inwardPriority, Value: value, Mask: mark.TableMask, Table: inwardTableBase + int(number)})
	}
	if outward {
		out.Policy = append(out.Policy, ruleset.PolicyRule{Priority: outwardPriority, Value: value, Mask: mark.TableMask, Table: tableBase + int(number)})
	}
}

// target returns where a route leads. A target that is gone leaves a blackhole, as on AWS.
func (in *Input) target(r model.Route) (dev string, via netip.Addr, blackhole bool) {
	eni := r.ENIID
	switch {
	case r.GatewayID != "":
		if in.Gateway != nil && in.Gateway.ID == r.GatewayID && r.Destination.Addr().Is4() {
			return in.GatewayIf, in.GatewayHop, false
		}
		return "", netip.Addr{}, true
	case r.NatID != "":
		var ok bool
		if eni, ok = in.NatENI(r.NatID); !ok {
			return "", netip.Addr{}, true
		}
	}
	if dev, via, ok := in.Hop(eni); ok {
		return dev, via, false
	}
	return "", netip.Addr{}, true
}

func insideVPC(vpc *model.VPC, p netip.Prefix) bool {
	for _, c := range vpc.CIDRs {
		if c.Block.Bits() <= p.Bits() && c.Block.Contains(p.Addr()) {
			return true
		}
	}
	return false
}
