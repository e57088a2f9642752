package fabric

import (
	"net/netip"
	"slices"

	"github.com/neargate/neargate/internal/model"
)

// Flow is one tracked flow of a VPC's namespace: as its first packet came in, and as its answers look.
type Flow struct {
	Proto     int
	Src, Dst  netip.Addr
	DstPort   int
	ReplySrc  netip.Addr // who really answers: the destination after translation
	ReplyDst  netip.Addr // whom the answers are sent to: the source after translation
	ReplyPort int        // the port that really answers
}

// Ending says which flows end when a VPC's records change.
type Ending struct {
	Match func(Flow) bool // nil: none
	// Prompt reports that somebody waits for it. Flows of an ENI that is gone have nobody at one end already.
	Prompt bool
}

// Cut works out which flows end when a VPC's records change:
//
//   - flows of an address that has gone from the VPC, or whose public address was taken away;
//   - flows that AWS does not track, when the rule that allowed them is gone. AWS tracks a flow unless the rule that
//     allows it is for all addresses and the other direction allows all addresses and ports; flows through a NAT
//     gateway are always tracked, and so is everything but TCP and UDP (aws-facts 2.4).
//
// Tracked flows go on when their rule is gone, so nothing is said about them.
func Cut(before, after VPC) Ending {
	gone, unpublished := goneAddresses(before, after)
	suspects := untrackedRuleGone(before, after)
	if len(gone) == 0 && !suspects {
		return Ending{}
	}
	var old, now *gates
	if suspects {
		old, now = newGates(before), newGates(after)
	}
	match := func(f Flow) bool {
		if gone[f.Src] || gone[f.Dst] || gone[f.ReplySrc] || gone[f.ReplyDst] {
			return true
		}
		if !suspects || (f.Proto != model.ProtoTCP && f.Proto != model.ProtoUDP) {
			return false
		}
		return endsAt(old, now, f.Src, f.ReplySrc, f, true) || endsAt(old, now, f.ReplySrc, f.Src, f, false)
	}
	return Ending{Match: match, Prompt: suspects || unpublished}
}

// endsAt reports whether one end of a flow did not track it and refuses it now. A member of a group is known by its
// private address, so the sender is the original source, and the receiver who really answers.
func endsAt(old, now *gates, own, far netip.Addr, f Flow, egress bool) bool {
	before, after := old.enis[own], now.enis[own]
	if before == nil || after == nil || before.OwnerKind == model.OwnerNatGateway {
		return false
	}
	if e := old.enis[far]; e != nil && e.OwnerKind == model.OwnerNatGateway {
		return false
	}
	port := f.ReplyPort
	if egress {
		port = f.DstPort
	}
	untracked := old.allowsAll(before.Groups, egress, f.Proto, port, port) && old.allowsAll(before.Groups, !egress, f.Proto, 0, 65535)
	return untracked && !now.allows(after.Groups, egress, f.Proto, port, far)
}

// goneAddresses returns the private addresses that left the VPC and the public ones that were taken away from addresses
// that stay; unpublished reports that there are some of the latter.
func goneAddresses(before, after VPC) (gone map[netip.Addr]bool, unpublished bool) {
	gone = map[netip.Addr]bool{}
	have := make(map[netip.Addr]string, len(after.Interfaces))
	for _, e := range after.Interfaces {
		for _, a := range e.PrivateIPs {
			have[a] = e.ID
		}
	}
	for _, e := range before.Interfaces {
		for _, a := range e.PrivateIPs {
			if have[a] != e.ID { // gone, or another's already
				gone[a] = true
			}
		}
	}
	public := PublicAddresses(after)
	for private, address := range PublicAddresses(before) {
		if public[private] != address {
			gone[address] = true
			unpublished = unpublished || !gone[private]
		}
	}
	return gone, unpublished
}

// untrackedRuleGone reports whether a rule for all addresses has gone, or an ENI has left a group.
func untrackedRuleGone(before, after VPC) bool {
	have := make(map[*model.SecurityGroupRule]bool, len(after.Rules))
	for _, r := range after.Rules {
		have[r] = true // records are never changed in place
	}
	for _, r := range before.Rules {
		if r.CIDR.IsValid() && r.CIDR.Bits() == 0 && !have[r] {
			return true
		}
	}
	groups := make(map[string][]string, len(after.Interfaces))
	for _, e := range after.Interfaces {
		groups[e.ID] = e.Groups
	}
	for _, e := range before.Interfaces {
		if now, ok := groups[e.ID]; ok && !slices.Equal(now, e.Groups) {
			return true
		}
	}
	return false
}

// gates answers from the records themselves, rule by rule.
type gates struct {
	rules   map[string][]*model.SecurityGroupRule
	enis    map[netip.Addr]*model.NetworkInterface
	members map[string]map[netip.Addr]bool
}

func newGates(in VPC) *gates {
	g := &gates{rules: map[string][]*model.SecurityGroupRule{}, enis: map[netip.Addr]*model.NetworkInterface{}, members: map[string]map[netip.Addr]bool{}}
	for _, r := range in.Rules {
		g.rules[r.GroupID] = append(g.rules[r.GroupID], r)
	}
	for _, e := range in.Interfaces {
		for _, a := range e.PrivateIPs {
			g.enis[a] = e
			for _, group := range e.Groups {
				if g.members[group] == nil {
					g.members[group] = map[netip.Addr]bool{}
				}
				g.members[group][a] = true
			}
		}
	}
	return g
}

// allowsAll reports whether a rule for all addresses allows the whole range of ports.
func (g *gates) allowsAll(groups []string, egress bool, proto, low, high int) bool {
	for _, group := range groups {
		for _, r := range g.rules[group] {
			if r.Egress == egress && r.CIDR.IsValid() && r.CIDR.Bits() == 0 && r.CIDR.Addr().Is4() && covers(r, proto, low, high) {
				return true
			}
		}
	}
	return false
}

// allows reports whether some rule allows the far address.
func (g *gates) allows(groups []string, egress bool, proto, port int, far netip.Addr) bool {
	for _, group := range groups {
		for _, r := range g.rules[group] {
			if r.Egress != egress || !covers(r, proto, port, port) {
				continue
			}
			if r.RefGroupID != "" && g.members[r.RefGroupID][far] || r.CIDR.IsValid() && r.CIDR.Contains(far) {
				return true
			}
		}
	}
	return false
}

func covers(r *model.SecurityGroupRule, proto, low, high int) bool {
	if r.Protocol == model.ProtoAll {
		return true
	}
	if r.Protocol != proto {
		return false
	}
	return r.From < 0 || r.From <= low && high <= r.To
}
