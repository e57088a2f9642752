package fabric

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/ruleset"
)

// randomVPC makes a VPC with overlapping rules of all kinds.
func randomVPC(r *rand.Rand, enis, rules int) VPC {
	block := netip.MustParsePrefix("10.0.0.0/16")
	in := VPC{
		VPC:     &model.VPC{ID: "vpc-1", CIDRs: []model.VPCCIDR{{Block: block}}},
		Subnets: []*model.Subnet{{ID: "subnet-1", CIDR: netip.MustParsePrefix("10.0.0.0/24")}},
	}
	groups := []string{"sg-1", "sg-2", "sg-3", "sg-4"}
	some := func() []string {
		var out []string
		for _, g := range groups {
			if r.IntN(3) == 0 {
				out = append(out, g)
			}
		}
		return out
	}
	for i := range enis {
		in.Interfaces = append(in.Interfaces, &model.NetworkInterface{
			ID: model.NewID(model.PrefixENI), SubnetID: "subnet-1", PrivateIPs: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, byte(10 + i)})},
			MAC: model.NewMAC(), Groups: some(), SourceDestCheck: true, OwnerKind: model.OwnerTask,
		})
	}
	protocols := []int{model.ProtoAll, model.ProtoTCP, model.ProtoTCP, model.ProtoTCP, model.ProtoUDP, model.ProtoICMP, 47, model.ProtoICMPv6}
	for range rules {
		rule := &model.SecurityGroupRule{ID: model.NewID(model.PrefixSecurityGroupRule), GroupID: groups[r.IntN(len(groups))],
			Egress: r.IntN(2) == 0, Protocol: protocols[r.IntN(len(protocols))], From: -1, To: -1}
		switch rule.Protocol {
		case model.ProtoTCP, model.ProtoUDP:
			rule.From = 78 + r.IntN(6)
			rule.To = rule.From + r.IntN(4)
		case model.ProtoICMP, model.ProtoICMPv6:
			if r.IntN(3) > 0 {
				rule.From = r.IntN(10)
				if r.IntN(2) == 0 {
					rule.To = r.IntN(3)
				}
			}
		}
		switch r.IntN(5) {
		case 0, 1:
			rule.RefGroupID = groups[r.IntN(len(groups))]
		case 2:
			rule.CIDR = netip.MustParsePrefix("::/0")
		default:
			a := netip.AddrFrom4([4]byte{10, 0, 0, byte(8 + r.IntN(16))})
			rule.CIDR = netip.PrefixFrom(a, []int{0, 8, 24, 28, 30, 31, 32}[r.IntN(7)]).Masked()
		}
		in.Rules = append(in.Rules, rule)
	}
	return in
}

// TestEvaluateAgreesWithRules compares the compiled path with the records read rule by rule.
func TestEvaluateAgreesWithRules(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		in := randomVPC(r, 8, 4+r.IntN(40))
		router := Compile(in)
		plain := newGates(in)
		for range 300 {
			from, to := in.Interfaces[r.IntN(8)], in.Interfaces[r.IntN(8)]
			if from == to {
				continue
			}
			p := Packet{In: model.VethName(from.ID), Src: from.PrimaryIP(), Dst: to.PrimaryIP(),
				Proto: []int{model.ProtoTCP, model.ProtoUDP, model.ProtoICMP, 47, 132}[r.IntN(5)], SrcPort: 40000}
			key := 0
			switch p.Proto {
			case model.ProtoTCP, model.ProtoUDP:
				p.DstPort = 76 + r.IntN(14)
				key = p.DstPort
			case model.ProtoICMP:
				p.Type, p.Code = r.IntN(11), r.IntN(4)
			}
			out, in := allowsPacket(plain, from.Groups, true, p, key, p.Dst), allowsPacket(plain, to.Groups, false, p, key, p.Src)
			got := Evaluate(router, p)
			stage := StageOut
			if !out {
				stage = StageEgress
			} else if !in {
				stage = StageIngress
			}
			if got.Passes != (out && in) || got.Stage != stage {
				t.Fatalf("%+v: %+v, want egress %t, ingress %t\n%s", p, got, out, in, router.Table.Script())
			}
			if got.Passes && (len(got.Egress) == 0 || len(got.Ingress) == 0) {
				t.Fatalf("%+v: no deciding rule: %+v", p, got)
			}
		}
		checkNoOverlap(t, router)
	}
}

func allowsPacket(g *gates, groups []string, egress bool, p Packet, port int, far netip.Addr) bool {
	if p.Proto != model.ProtoICMP {
		return g.allows(groups, egress, p.Proto, port, far)
	}
	for _, group := range groups {
		for _, r := range g.rules[group] {
			if r.Egress != egress || r.Protocol != model.ProtoAll && r.Protocol != model.ProtoICMP {
				continue
			}
			if r.Protocol == model.ProtoICMP && (r.From >= 0 && r.From != p.Type || r.From >= 0 && r.To >= 0 && r.To != p.Code) {
				continue
			}
			if r.RefGroupID != "" && g.members[r.RefGroupID][far] || r.CIDR.IsValid() && r.CIDR.Contains(far) {
				return true
			}
		}
	}
	return false
}

// checkNoOverlap fails if two elements of a set have a key in common: the kernel would refuse the second.
func checkNoOverlap(t *testing.T, router *ruleset.Router) {
	t.Helper()
	for i := range router.Table.Sets {
		s := &router.Table.Sets[i]
		for a := range s.Elements {
			for b := range a {
				if overlap(s, &s.Elements[a], &s.Elements[b]) {
					t.Fatalf("set %s: elements %d and %d overlap\n%s", s.Name, a, b, router.Table.Script())
				}
			}
		}
	}
}

func overlap(s *ruleset.Set, a, b *ruleset.Element) bool {
	if !s.Interval {
		return a.Key == b.Key
	}
	off := 0
	for _, t := range s.Key {
		end := off + t.Size()
		if a.End[off:end] < b.Key[off:end] || b.End[off:end] < a.Key[off:end] {
			return false
		}
		off += t.Padded()
	}
	return true
}
