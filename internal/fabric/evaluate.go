package fabric

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/neargate/neargate/internal/fabric/firewall"
	"github.com/neargate/neargate/internal/ruleset"
)

// Packet is the first packet of a flow as it enters a router.
type Packet struct {
	In       string // interface that it comes from
	Src, Dst netip.Addr
	Proto    int
	SrcPort  int // ports of TCP and UDP
	DstPort  int
	Type     int // type and code of ICMP
	Code     int
}

// Stage is where a packet's fate was decided.
type Stage string

// The stages, in the order of the path.
const (
	StageSource  Stage = "source"  // it does not come from whom it says
	StageRoute   Stage = "route"   // there is no way to the destination
	StageRouter  Stage = "router"  // for the router itself, which takes no such thing
	StageEgress  Stage = "egress"  // the sender's groups do not let it out
	StageIngress Stage = "ingress" // the receiver's groups do not let it in
	StageGateway Stage = "gateway" // it has no public address to pass the internet gateway with
	StageOut     Stage = "out"     // it leaves through Result.Out
	StageLocal   Stage = "local"   // the router itself takes it
)

// Result is what becomes of a packet.
type Result struct {
	Passes  bool
	Stage   Stage
	Out     string   // interface that it leaves by
	Packet  Packet   // after translation
	Egress  []string // the sender's rules that let it out; empty if there was nothing to ask
	Ingress []string // the receiver's rules that let it in
}

// Evaluate works out what the router does with the first packet of a flow, from the very description that the kernel
// gets. Later packets of a flow that passes are not asked again.
func Evaluate(r *ruleset.Router, p Packet) Result {
	m := &machine{router: r, table: &r.Table, p: p}
	if !m.hook("prerouting") {
		return m.result(false, m.stage(StageSource))
	}
	if slices.Contains(r.Addresses, m.p.Dst) {
		return m.result(m.hook("input"), StageRouter)
	}
	out, ok := m.route()
	if !ok {
		return m.result(false, StageRoute)
	}
	m.out = out
	if !m.hook("forward") {
		return m.result(false, m.stage(StageEgress))
	}
	m.hook("postrouting")
	return m.result(true, StageOut)
}

// machine is a packet on its way.
type machine struct {
	router          *ruleset.Router
	table           *ruleset.Table
	p               Packet
	out             string
	mark            uint32
	chain           string // where it is, or ended
	egress, ingress []string
}

func (m *machine) result(passes bool, stage Stage) Result {
	if passes && stage == StageRouter {
		stage = StageLocal
	}
	return Result{Passes: passes, Stage: stage, Out: m.out, Packet: m.p, Egress: m.egress, Ingress: m.ingress}
}

// stage names the chain that dropped the packet.
func (m *machine) stage(otherwise Stage) Stage {
	switch m.chain {
	case firewall.RefusedOut:
		return StageEgress
	case firewall.RefusedIn:
		return StageIngress
	case chainFromIGW, chainToIGW:
		return StageGateway
	}
	return otherwise
}

// hook sends the packet through the base chains of one point and reports whether it comes out.
func (m *machine) hook(point string) bool {
	var chains []*ruleset.Chain
	for i := range m.table.Chains {
		if h := m.table.Chains[i].Hook; h != nil && h.Point == point {
			chains = append(chains, &m.table.Chains[i])
		}
	}
	slices.SortStableFunc(chains, func(a, b *ruleset.Chain) int { return a.Hook.Priority - b.Hook.Priority })
	for _, c := range chains {
		kind, ended := m.run(c)
		if !ended && c.Hook.Drop {
			m.chain = c.Name
			return false
		}
		if ended && kind == ruleset.Drop {
			return false
		}
	}
	return true
}

// run follows a chain's rules; ended reports that a final verdict was reached.
func (m *machine) run(c *ruleset.Chain) (kind ruleset.VerdictKind, ended bool) {
	m.chain = c.Name
	for i := range c.Rules {
		v := m.rule(&c.Rules[i])
		switch v.Kind {
		case ruleset.Accept, ruleset.Drop:
			return v.Kind, true
		case ruleset.Return:
			return 0, false
		case ruleset.Goto:
			return m.run(m.table.Chain(v.Chain))
		case ruleset.Jump:
			if kind, ended := m.run(m.table.Chain(v.Chain)); ended {
				return kind, true
			}
			m.chain = c.Name
		}
	}
	return 0, false
}

// rule returns the verdict of one rule, Continue if it does not match.
func (m *machine) rule(r *ruleset.Rule) ruleset.Verdict {
	because := r.Because
	for _, match := range r.Matches {
		ok, why := m.match(match)
		if !ok {
			return ruleset.Verdict{}
		}
		because = append(because[:len(because):len(because)], why...)
	}
	switch {
	case strings.HasPrefix(m.chain, "out-") && len(because) > 0:
		m.egress = because
	case strings.HasPrefix(m.chain, "in-") && len(because) > 0:
		m.ingress = because
	}
	for _, a := range r.Actions {
		switch a := a.(type) {
		case ruleset.Verdict:
			return a
		case ruleset.Reset:
			return ruleset.Verdict{Kind: ruleset.Drop}
		case ruleset.VerdictBy:
			if e := m.lookup(a.Map, a.Fields); e != nil {
				return e.Verdict
			}
			return ruleset.Verdict{}
		case ruleset.SetMark:
			m.mark = a.Value
		case ruleset.SetMarkBy:
			e := m.lookup(a.Map, a.Fields)
			if e == nil {
				return ruleset.Verdict{}
			}
			m.mark = e.Mark
		case ruleset.NATBy:
			m.translate(a)
		case ruleset.SNATTo:
			m.p.Src = a.Addr
		}
	}
	return ruleset.Verdict{}
}

func (m *machine) translate(a ruleset.NATBy) {
	field, addr := ruleset.DAddr4, &m.p.Dst
	if a.Source {
		field, addr = ruleset.SAddr4, &m.p.Src
	}
	if e := m.lookup(a.Map, []ruleset.Field{field}); e != nil {
		*addr = e.Addr
	}
}

func (m *machine) match(match ruleset.Match) (ok bool, because []string) {
	switch match := match.(type) {
	case ruleset.In:
		key, has := m.key(match.Fields)
		if !has {
			return false, nil
		}
		e := m.find(match.Set, key)
		if e == nil {
			return match.Not, nil
		}
		return !match.Not, e.Because
	case ruleset.Is:
		key, has := m.key([]ruleset.Field{match.Field})
		return has && (key == match.Value) != match.Not, nil
	case ruleset.Within:
		addr := m.p.Src
		if match.Field == ruleset.DAddr4 || match.Field == ruleset.DAddr6 {
			addr = m.p.Dst
		}
		return match.Prefix.Contains(addr), nil
	case ruleset.Family:
		return m.p.Src.Is6() == match.V6, nil
	case ruleset.State:
		return match.Mask&ruleset.New != 0, nil
	}
	return false, nil
}

func (m *machine) lookup(set string, fields []ruleset.Field) *ruleset.Element {
	key, ok := m.key(fields)
	if !ok {
		return nil
	}
	return m.find(set, key)
}

func (m *machine) find(name, key string) *ruleset.Element {
	set := m.table.Set(name)
	if set == nil {
		return nil
	}
	if !set.Interval {
		i, ok := slices.BinarySearchFunc(set.Elements, key, func(e ruleset.Element, k string) int { return strings.Compare(e.Key, k) })
		if !ok {
			return nil
		}
		return &set.Elements[i]
	}
	for i := range set.Elements {
		if set.Elements[i].Contains(set.Key, key) {
			return &set.Elements[i]
		}
	}
	return nil
}

// key returns the packet's fields as a set's key; ok is false if the packet lacks one.
func (m *machine) key(fields []ruleset.Field) (key string, ok bool) {
	k := ruleset.NewKey()
	for _, f := range fields {
		switch f {
		case ruleset.IIF:
			k.If(m.p.In)
		case ruleset.OIF:
			k.If(m.out)
		case ruleset.Mark:
			k.Mark(m.mark)
		case ruleset.LowMark:
			k.Mark(m.mark & ruleset.LowMarkMask)
		case ruleset.L4Proto:
			k.Byte(m.p.Proto)
		case ruleset.SAddr4, ruleset.SAddr6:
			if m.p.Src.Is4() != (f == ruleset.SAddr4) {
				return "", false
			}
			k.Addr(m.p.Src)
		case ruleset.DAddr4, ruleset.DAddr6:
			if m.p.Dst.Is4() != (f == ruleset.DAddr4) {
				return "", false
			}
			k.Addr(m.p.Dst)
		case ruleset.DPort:
			k.Port(m.p.DstPort)
		case ruleset.FieldICMPType, ruleset.FieldICMPCode, ruleset.FieldICMP6Type, ruleset.FieldICMP6Code:
			v6 := f == ruleset.FieldICMP6Type || f == ruleset.FieldICMP6Code
			if want := map[bool]int{false: 1, true: 58}[v6]; m.p.Proto != want {
				return "", false
			}
			if f == ruleset.FieldICMPType || f == ruleset.FieldICMP6Type {
				k.Byte(m.p.Type)
			} else {
				k.Byte(m.p.Code)
			}
		}
	}
	if len(fields) == 1 {
		return k.Single(), true
	}
	return k.Concat(), true
}

// route returns the interface towards the destination.
func (m *machine) route() (dev string, ok bool) {
	for _, p := range m.router.Policy {
		if m.mark&p.Mask != p.Value {
			continue
		}
		if p.Table == ruleset.MainTable {
			for i := range m.router.Interfaces {
				if slices.Contains(m.router.Interfaces[i].Addrs, m.p.Dst) {
					return m.router.Interfaces[i].Name, true
				}
			}
		}
		var best *ruleset.Route
		for i := range m.router.Routes {
			r := &m.router.Routes[i]
			if r.Table == p.Table && r.Dst.Contains(m.p.Dst) && (best == nil || r.Dst.Bits() > best.Dst.Bits()) {
				best = r
			}
		}
		if best != nil {
			return best.Dev, !best.Blackhole
		}
	}
	return "", false
}
