package firewall

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/ruleset"
)

// gateKey names one direction of one group.
type gateKey struct {
	group  string
	egress bool
}

// gate is one direction of one group: its sets, and the rules that look them up.
type gate struct {
	key   gateKey
	sets  []ruleset.Set
	rules []ruleset.Rule
	refs  []string // groups that its rules name
	from  []*model.SecurityGroupRule
}

func (g *gate) name() string {
	if g.key.egress {
		return g.key.group + " out"
	}
	return g.key.group + " in"
}

// The kinds of a set's key.
const (
	kindPorts = 'p' // address . protocol . port
	kindAny   = 'a' // address . protocol
	kindICMP  = 'c' // address . type . code
)

// layer is all CIDR rules of a gate that go into one set.
type layer struct {
	v6   bool
	bits int
	kind byte
}

// compileGates sorts the rules into gates and compiles each, unless it was compiled from the same rules before.
func compileGates(rules []*model.SecurityGroupRule, wanted map[string]bool, known map[gateKey]*gate) map[gateKey]*gate {
	byGate := map[gateKey][]*model.SecurityGroupRule{}
	for _, r := range rules {
		if wanted[r.GroupID] {
			k := gateKey{group: r.GroupID, egress: r.Egress}
			byGate[k] = append(byGate[k], r)
		}
	}
	gates := make(map[gateKey]*gate, len(byGate))
	for k, rs := range byGate {
		slices.SortFunc(rs, func(a, b *model.SecurityGroupRule) int { return strings.Compare(a.ID, b.ID) })
		if g := known[k]; g != nil && slices.Equal(g.from, rs) {
			gates[k] = g
			continue
		}
		gates[k] = compileGate(k, rs)
		gates[k].from = rs
	}
	return gates
}

func compileGate(key gateKey, rules []*model.SecurityGroupRule) *gate {
	g := &gate{key: key}
	layers := map[layer][]*model.SecurityGroupRule{}
	refs := map[string][]*model.SecurityGroupRule{}
	whole := map[bool][]string{} // rules that allow everything of a family
	for _, r := range rules {
		if r.RefGroupID != "" {
			refs[r.RefGroupID] = append(refs[r.RefGroupID], r)
			continue
		}
		if !r.CIDR.IsValid() {
			continue
		}
		v6 := r.CIDR.Addr().Is6()
		if r.Protocol == model.ProtoAll && r.CIDR.Bits() == 0 {
			whole[v6] = append(whole[v6], r.ID)
			continue
		}
		if kind, ok := kindOf(r.Protocol, v6); ok {
			l := layer{v6: v6, bits: r.CIDR.Bits(), kind: kind}
			layers[l] = append(layers[l], r)
		}
	}
	for _, v6 := range []bool{false, true} {
		if ids := whole[v6]; ids != nil {
			g.rules = append(g.rules, ruleset.Rule{Matches: []ruleset.Match{ruleset.Family{V6: v6}}, Actions: allow(key.egress), Because: ids})
		}
	}
	for _, l := range slices.SortedFunc(maps.Keys(layers), compareLayers) {
		g.addLayer(l, layers[l])
	}
	for _, ref := range slices.Sorted(maps.Keys(refs)) {
		g.addRef(ref, refs[ref])
	}
	return g
}

func compareLayers(a, b layer) int {
	if a.v6 != b.v6 {
		if a.v6 {
			return 1
		}
		return -1
	}
	if a.bits != b.bits {
		return a.bits - b.bits // wide ones match more packets
	}
	return int(b.kind) - int(a.kind) // ports first
}

// kindOf returns the kind of set that a protocol's rules go into; ok is false where the protocol cannot occur.
func kindOf(protocol int, v6 bool) (kind byte, ok bool) {
	switch protocol {
	case model.ProtoTCP, model.ProtoUDP:
		return kindPorts, true
	case model.ProtoICMP:
		return kindICMP, !v6
	case model.ProtoICMPv6:
		return kindICMP, v6
	}
	return kindAny, true
}

// setName returns the name of a layer's set: direction, family, kind, prefix length, group.
func (g *gate) setName(l layer) string {
	dir, family := "i", "4"
	if g.key.egress {
		dir = "o"
	}
	if l.v6 {
		family = "6"
	}
	return dir + family + string(l.kind) + strconv.Itoa(l.bits) + "-" + g.key.group
}

// addrField returns the far side's address: the destination on the way out, the source on the way in.
func (g *gate) addrField(v6 bool) ruleset.Field {
	switch {
	case g.key.egress && v6:
		return ruleset.DAddr6
	case g.key.egress:
		return ruleset.DAddr4
	case v6:
		return ruleset.SAddr6
	}
	return ruleset.SAddr4
}

func (g *gate) addLayer(l layer, rules []*model.SecurityGroupRule) {
	addrType := ruleset.IPv4
	if l.v6 {
		addrType = ruleset.IPv6
	}
	set := ruleset.Set{Name: g.setName(l), Key: append([]ruleset.Type{addrType}, keyTypes(l.kind, l.v6)...), Interval: true}
	byPrefix := map[netip.Prefix][]*model.SecurityGroupRule{}
	for _, r := range rules {
		p := r.CIDR.Masked()
		byPrefix[p] = append(byPrefix[p], r)
	}
	for p, rs := range byPrefix {
		first, last := p.Addr(), ruleset.LastAddr(p)
		for _, b := range boxes(l.kind, rs) {
			set.Elements = append(set.Elements, ruleset.Element{
				Key: b.low(ruleset.NewKey().Addr(first)).Concat(), End: b.high(ruleset.NewKey().Addr(last)).Concat(), Because: b.because})
		}
	}
	sortElements(set.Elements)
	g.sets = append(g.sets, set)
	g.rules = append(g.rules, ruleset.Rule{
		Matches: []ruleset.Match{ruleset.In{Fields: append([]ruleset.Field{g.addrField(l.v6)}, keyFields(l.kind, l.v6)...), Set: set.Name}},
		Actions: allow(g.key.egress),
	})
}

// addRef adds the rules that name one group, for both families: whoever is in that group's address set, and then
// everything, or certain protocols, ports, ICMP types.
func (g *gate) addRef(ref string, rules []*model.SecurityGroupRule) {
	g.refs = append(g.refs, ref)
	var everything []string
	byKind := map[byte][]*model.SecurityGroupRule{}
	icmp6 := []*model.SecurityGroupRule{}
	for _, r := range rules {
		switch r.Protocol {
		case model.ProtoAll:
			everything = append(everything, r.ID)
		case model.ProtoTCP, model.ProtoUDP:
			byKind[kindPorts] = append(byKind[kindPorts], r)
		case model.ProtoICMP:
			byKind[kindICMP] = append(byKind[kindICMP], r)
		case model.ProtoICMPv6:
			icmp6 = append(icmp6, r)
		default:
			byKind[kindAny] = append(byKind[kindAny], r)
		}
	}
	dir := "i"
	if g.key.egress {
		dir = "o"
	}
	rest := func(kind byte, v6 bool) string {
		family := "r"
		if kind == kindICMP && v6 {
			family = "6r"
		}
		return fmt.Sprintf("%s%s%c-%s-%s", dir, family, kind, g.key.group, ref)
	}
	for _, kind := range []byte{kindPorts, kindAny, kindICMP} {
		if byKind[kind] != nil {
			g.sets = append(g.sets, restSet(rest(kind, false), kind, false, byKind[kind]))
		}
	}
	if len(icmp6) > 0 {
		g.sets = append(g.sets, restSet(rest(kindICMP, true), kindICMP, true, icmp6))
	}
	for _, v6 := range []bool{false, true} {
		member := ruleset.In{Fields: []ruleset.Field{g.addrField(v6)}, Set: memberSet(ref, v6)}
		if everything != nil {
			g.rules = append(g.rules, ruleset.Rule{Matches: []ruleset.Match{member}, Actions: allow(g.key.egress), Because: everything})
		}
		for _, kind := range []byte{kindPorts, kindAny, kindICMP} {
			have := byKind[kind] != nil
			if kind == kindICMP && v6 {
				have = len(icmp6) > 0
			}
			if have {
				in := ruleset.In{Fields: keyFields(kind, v6), Set: rest(kind, v6)}
				g.rules = append(g.rules, ruleset.Rule{Matches: []ruleset.Match{member, in}, Actions: allow(g.key.egress)})
			}
		}
	}
}

// restSet is a set of what a rule says besides the address. A set of bare protocols has one field and no ranges.
func restSet(name string, kind byte, v6 bool, rules []*model.SecurityGroupRule) ruleset.Set {
	set := ruleset.Set{Name: name, Key: keyTypes(kind, v6), Interval: kind != kindAny}
	for _, b := range boxes(kind, rules) {
		e := ruleset.Element{Because: b.because}
		if set.Interval {
			e.Key, e.End = b.low(ruleset.NewKey()).Concat(), b.high(ruleset.NewKey()).Concat()
		} else {
			e.Key = b.low(ruleset.NewKey()).Single()
		}
		set.Elements = append(set.Elements, e)
	}
	sortElements(set.Elements)
	return set
}

func keyTypes(kind byte, v6 bool) []ruleset.Type {
	switch {
	case kind == kindPorts:
		return []ruleset.Type{ruleset.Proto, ruleset.Port}
	case kind == kindAny:
		return []ruleset.Type{ruleset.Proto}
	case v6:
		return []ruleset.Type{ruleset.ICMP6Type, ruleset.ICMP6Code}
	}
	return []ruleset.Type{ruleset.ICMPType, ruleset.ICMPCode}
}

func keyFields(kind byte, v6 bool) []ruleset.Field {
	switch {
	case kind == kindPorts:
		return []ruleset.Field{ruleset.L4Proto, ruleset.DPort}
	case kind == kindAny:
		return []ruleset.Field{ruleset.L4Proto}
	case v6:
		return []ruleset.Field{ruleset.FieldICMP6Type, ruleset.FieldICMP6Code}
	}
	return []ruleset.Field{ruleset.FieldICMPType, ruleset.FieldICMPCode}
}
