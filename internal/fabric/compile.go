package fabric

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/neargate/neargate/internal/fabric/firewall"
	"github.com/neargate/neargate/internal/fabric/mark"
	"github.com/neargate/neargate/internal/fabric/route"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/ruleset"
)

// Names of what every VPC's namespace has.
const (
	// GatewayIf is the VPC's end of the link to the edge.
	GatewayIf = "igw0"

	setOwn4      = "own4"       // interface . source address -> mark
	setOwn6      = "own6"       // the same for IPv6
	setUnchecked = "unchecked"  // interface -> mark, for ENIs without source check
	setReceivers = "receivers"  // interface -> group set
	setToPrivate = "to-private" // public address -> private address
	setToPublic  = "to-public"  // private address -> public address
	setPublic    = "public"     // the public addresses
	setHasPublic = "has-public" // the private addresses that have a public one
	setResolver  = "resolver"   // address . protocol . port of the VPC's resolver
	setSpoofed   = "spoofed"    // counts, per ENI, packets with a foreign source address
	setNotOut    = "not-out"    // counts, per ENI, flows that its egress rules refuse
	setNotIn     = "not-in"     // counts, per ENI, flows that its ingress rules refuse
	chainFromIGW = "from-gateway"
	chainToIGW   = "to-gateway"
)

// Counter is a set that counts, per interface, packets that are dropped.
type Counter struct{ Set, What string }

// Counters lists the sets that count what is dropped.
func Counters() []Counter {
	return []Counter{{Set: setSpoofed, What: "spoofed"}, {Set: setNotOut, What: "egress"}, {Set: setNotIn, What: "ingress"}}
}

// Addresses of the two ends of a VPC's link to the edge. They are on no interface: only next hops with a permanent
// neighbour entry.
var (
	EdgeHop   = netip.AddrFrom4([4]byte{169, 254, 0, 1})
	RouterHop = netip.AddrFrom4([4]byte{169, 254, 0, 2})
)

// VPC is all records that decide what the VPC's namespace does.
type VPC struct {
	VPC         *model.VPC
	Subnets     []*model.Subnet
	RouteTables []*model.RouteTable
	Rules       []*model.SecurityGroupRule
	Interfaces  []*model.NetworkInterface
	Gateway     *model.InternetGateway // the one attached to it, or nil
	NatGateways []*model.NatGateway
	Addresses   []*model.Address // those associated with its ENIs; others are ignored
}

// Compile makes the packet path of the VPC. The result is the same for the same records, in whatever order they come.
func Compile(in VPC) *ruleset.Router { return new(Compiler).Compile(in) }

// Compiler is Compile with a memory: what has not changed since the last time is not made anew, and comes out as the
// very same slices, which also makes comparing cheap. One Compiler serves one VPC and one goroutine.
type Compiler struct {
	groups firewall.Memo
	enis   map[*model.NetworkInterface]*eniKeys
}

// eniKeys are an ENI's parts of set keys.
type eniKeys struct {
	name, ifKey, groupSet string
	own                   []string
}

func newKeys(e *model.NetworkInterface) *eniKeys {
	k := &eniKeys{name: model.VethName(e.ID)}
	k.ifKey = ruleset.IfKey(k.name)
	if len(e.Groups) > 0 {
		k.groupSet = firewall.SetKey(e.Groups)
	}
	for _, a := range e.PrivateIPs {
		k.own = append(k.own, ruleset.NewKey().If(k.name).Addr(a).Concat())
	}
	return k
}

// Compile makes the packet path of the VPC.
func (m *Compiler) Compile(in VPC) *ruleset.Router {
	c := &compiler{memo: m, in: in, enis: make(map[string]*model.NetworkInterface, len(in.Interfaces)), subnets: make(map[string]*model.Subnet, len(in.Subnets))}
	return c.compile()
}

type compiler struct {
	memo    *Compiler
	in      VPC
	enis    map[string]*model.NetworkInterface
	subnets map[string]*model.Subnet
	out     ruleset.Router
}

func (c *compiler) compile() *ruleset.Router {
	enis := slices.Clone(c.in.Interfaces)
	slices.SortFunc(enis, func(a, b *model.NetworkInterface) int { return strings.Compare(a.ID, b.ID) })
	for _, e := range enis {
		c.enis[e.ID] = e
	}
	for _, s := range c.in.Subnets {
		c.subnets[s.ID] = s
	}
	groups := map[string][]netip.Addr{}
	var groupSets []string
	seen := map[string]bool{}
	keys := make([]*eniKeys, len(enis))
	known := make(map[*model.NetworkInterface]*eniKeys, len(enis))
	for i, e := range enis {
		k := c.memo.enis[e]
		if k == nil {
			k = newKeys(e)
		}
		keys[i], known[e] = k, k
		if k.groupSet != "" && !seen[k.groupSet] {
			seen[k.groupSet] = true
			groupSets = append(groupSets, k.groupSet)
		}
		for _, g := range e.Groups {
			groups[g] = append(groups[g], e.PrivateIPs...)
		}
	}
	c.memo.enis = known
	fw := firewall.Compile(firewall.Input{Rules: c.in.Rules, Members: groups, GroupSets: groupSets}, &c.memo.groups)
	routing := route.Compile(route.Input{
		VPC: c.in.VPC, Subnets: c.in.Subnets, RouteTables: c.in.RouteTables, Gateway: c.in.Gateway,
		GatewayIf: GatewayIf, GatewayHop: EdgeHop, Hop: c.hop, NatENI: c.natENI,
	})
	c.out.Policy, c.out.Routes = routing.Policy, routing.Routes

	own4 := ruleset.Set{Name: setOwn4, Key: []ruleset.Type{ruleset.IfName, ruleset.IPv4}, Value: ruleset.MarkValue}
	own6 := ruleset.Set{Name: setOwn6, Key: []ruleset.Type{ruleset.IfName, ruleset.IPv6}, Value: ruleset.MarkValue}
	unchecked := ruleset.Set{Name: setUnchecked, Key: []ruleset.Type{ruleset.IfName}, Value: ruleset.MarkValue}
	receivers := ruleset.Set{Name: setReceivers, Key: []ruleset.Type{ruleset.IfName}, Value: ruleset.MarkValue}
	names := make([]ruleset.Element, 0, len(enis))
	for i, e := range enis {
		if len(e.PrivateIPs) == 0 {
			continue
		}
		name, ifKey := keys[i].name, keys[i].ifKey
		number := uint32(mark.Closed)
		switch {
		case keys[i].groupSet != "":
			number = fw.Numbers[keys[i].groupSet]
		case e.OwnerKind == model.OwnerNatGateway:
			number = mark.Open
		}
		value := routing.Marks[e.SubnetID] | number
		names = append(names, ruleset.Element{Key: ifKey})
		receivers.Elements = append(receivers.Elements, ruleset.Element{Key: ifKey, Mark: mark.Receiver | number})
		if !e.SourceDestCheck {
			unchecked.Elements = append(unchecked.Elements, ruleset.Element{Key: ifKey, Mark: value})
		}
		for j, a := range e.PrivateIPs {
			el := ruleset.Element{Key: keys[i].own[j], Mark: value}
			if a.Is4() {
				own4.Elements = append(own4.Elements, el)
			} else {
				own6.Elements = append(own6.Elements, el)
			}
		}
		from := netip.Addr{}
		if s := c.subnets[e.SubnetID]; s != nil {
			from = s.Router()
		}
		c.out.Interfaces = append(c.out.Interfaces, ruleset.Interface{Name: name, Addrs: e.PrivateIPs, MAC: e.MAC, From: from, Label: e.ID})
	}
	slices.SortFunc(c.out.Interfaces, func(a, b ruleset.Interface) int { return strings.Compare(a.Name, b.Name) })
	for _, es := range [][]ruleset.Element{own4.Elements, own6.Elements, unchecked.Elements, receivers.Elements, names} {
		sortElements(es)
	}
	sets := append(fw.Sets, own4, own6, unchecked, receivers, c.resolver())
	for _, k := range Counters() {
		sets = append(sets, ruleset.Set{Name: k.Set, Key: []ruleset.Type{ruleset.IfName}, Counted: true, Elements: names})
	}
	sets = append(sets, c.publicSets()...)
	slices.SortFunc(sets, func(a, b ruleset.Set) int { return strings.Compare(a.Name, b.Name) })
	c.out.Table.Sets = sets
	c.out.Table.Chains = append(c.baseChains(), fw.Chains...)
	c.out.Addresses = c.addresses()
	return &c.out
}

// hop returns where an ENI can be reached as a next hop.
func (c *compiler) hop(id string) (dev string, via netip.Addr, ok bool) {
	e := c.enis[id]
	if e == nil || e.SourceDestCheck || e.OwnerKind == model.OwnerNone || !e.PrimaryIP().IsValid() {
		return "", netip.Addr{}, false
	}
	return model.VethName(e.ID), e.PrimaryIP(), true
}

func (c *compiler) natENI(id string) (string, bool) {
	for _, n := range c.in.NatGateways {
		if n.ID == id && (n.State == model.NatAvailable || n.State == model.NatPending) && n.ENIID != "" {
			return n.ENIID, true
		}
	}
	return "", false
}

// metadataPort is where task metadata and credentials are served.
const metadataPort = 80

// resolver is where tasks may reach the router itself: DNS and task metadata. Security groups do not apply to it, as on AWS.
func (c *compiler) resolver() ruleset.Set {
	set := ruleset.Set{Name: setResolver, Key: []ruleset.Type{ruleset.IPv4, ruleset.Proto, ruleset.Port}}
	if c.in.VPC.DNSSupport {
		for _, a := range []netip.Addr{c.in.VPC.ResolverAddress(), model.LinkLocalResolver} {
			for _, proto := range []int{model.ProtoTCP, model.ProtoUDP} {
				set.Elements = append(set.Elements, ruleset.Element{Key: ruleset.NewKey().Addr(a).Byte(proto).Port(53).Concat()})
			}
		}
	}
	set.Elements = append(set.Elements, ruleset.Element{Key: ruleset.NewKey().Addr(model.TaskMetadata).Byte(model.ProtoTCP).Port(metadataPort).Concat()})
	sortElements(set.Elements)
	return set
}

// addresses are the router's own: the first host address of each subnet, the resolver's, and that of task metadata.
func (c *compiler) addresses() []netip.Addr {
	out := []netip.Addr{model.TaskMetadata}
	for _, s := range c.in.Subnets {
		out = append(out, s.Router())
	}
	if c.in.VPC.DNSSupport {
		out = append(out, c.in.VPC.ResolverAddress(), model.LinkLocalResolver)
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}

// PublicAddresses returns the public address of each private address of the VPC that has one and can use it.
func PublicAddresses(in VPC) map[netip.Addr]netip.Addr {
	public := map[netip.Addr]netip.Addr{}
	if in.Gateway == nil {
		return public
	}
	primary := make(map[string]netip.Addr, len(in.Interfaces))
	for _, e := range in.Interfaces {
		primary[e.ID] = e.PrimaryIP()
		if e.AutoPublicIP.IsValid() && e.PrimaryIP().IsValid() {
			public[e.PrimaryIP()] = e.AutoPublicIP
		}
	}
	for _, n := range in.NatGateways {
		if n.PublicIP.IsValid() && n.PrivateIP.IsValid() && (n.State == model.NatAvailable || n.State == model.NatPending) {
			public[n.PrivateIP] = n.PublicIP
		}
	}
	// An Elastic IP takes the place of the automatic address.
	for _, a := range in.Addresses {
		private, ours := primary[a.ENIID]
		if a.ENIID == "" || !ours {
			continue
		}
		if a.PrivateIP.IsValid() {
			private = a.PrivateIP
		}
		if private.IsValid() && a.PublicIP.IsValid() {
			public[private] = a.PublicIP
		}
	}
	return public
}

func (c *compiler) publicSets() []ruleset.Set {
	if c.in.Gateway == nil {
		return nil
	}
	v4 := []ruleset.Type{ruleset.IPv4}
	toPrivate := ruleset.Set{Name: setToPrivate, Key: v4, Value: ruleset.AddrValue}
	toPublic := ruleset.Set{Name: setToPublic, Key: v4, Value: ruleset.AddrValue}
	public := ruleset.Set{Name: setPublic, Key: v4}
	hasPublic := ruleset.Set{Name: setHasPublic, Key: v4}
	type pair struct{ private, public netip.Addr }
	var pairs []pair
	for private, pub := range PublicAddresses(c.in) {
		pairs = append(pairs, pair{private, pub})
	}
	slices.SortFunc(pairs, func(a, b pair) int { return cmp.Or(a.public.Compare(b.public), a.private.Compare(b.private)) })
	for i, p := range pairs {
		if i > 0 && pairs[i-1].public == p.public {
			continue // two records claim one address: the lower private address has it
		}
		toPrivate.Elements = append(toPrivate.Elements, ruleset.Element{Key: ruleset.AddrKey(p.public), Addr: p.private})
		public.Elements = append(public.Elements, ruleset.Element{Key: ruleset.AddrKey(p.public)})
		toPublic.Elements = append(toPublic.Elements, ruleset.Element{Key: ruleset.AddrKey(p.private), Addr: p.public})
		hasPublic.Elements = append(hasPublic.Elements, ruleset.Element{Key: ruleset.AddrKey(p.private)})
	}
	sets := []ruleset.Set{toPrivate, toPublic, public, hasPublic}
	for i := range sets {
		sortElements(sets[i].Elements)
	}
	return sets
}

func sortElements(es []ruleset.Element) {
	slices.SortFunc(es, func(a, b ruleset.Element) int { return strings.Compare(a.Key, b.Key) })
}
