package fabric

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/neargate/neargate/internal/model"
)

func TestCut(t *testing.T) {
	all := netip.MustParsePrefix("0.0.0.0/0")
	client, server, natIP, public := netip.MustParseAddr("10.0.0.10"), netip.MustParseAddr("10.0.0.11"), netip.MustParseAddr("10.0.0.12"), netip.MustParseAddr("198.18.0.10")
	outside := netip.MustParseAddr("203.0.113.1")
	rule := func(group string, egress bool, proto, from, to int, cidr netip.Prefix) *model.SecurityGroupRule {
		return &model.SecurityGroupRule{ID: model.NewID("sgr"), GroupID: group, Egress: egress, Protocol: proto, From: from, To: to, CIDR: cidr}
	}
	http := rule("sg-server", false, model.ProtoTCP, 80, 80, all)
	narrow := rule("sg-server", false, model.ProtoTCP, 81, 81, netip.MustParsePrefix("10.0.0.0/24"))
	clientOut := rule("sg-client", true, model.ProtoAll, -1, -1, all)
	clientIn := rule("sg-client", false, model.ProtoAll, -1, -1, all)
	serverOut := rule("sg-server", true, model.ProtoAll, -1, -1, all)
	ping := rule("sg-server", false, model.ProtoICMP, -1, -1, all)
	eni := func(id string, ip netip.Addr, owner string, groups ...string) *model.NetworkInterface {
		return &model.NetworkInterface{ID: id, PrivateIPs: []netip.Addr{ip}, Groups: groups, OwnerKind: owner}
	}
	base := func() VPC {
		in := VPC{
			VPC:     &model.VPC{ID: "vpc-1"},
			Gateway: &model.InternetGateway{ID: "igw-1"},
			Rules:   []*model.SecurityGroupRule{http, narrow, clientOut, serverOut, ping},
			Interfaces: []*model.NetworkInterface{
				eni("eni-1", client, model.OwnerTask, "sg-client"), eni("eni-2", server, model.OwnerTask, "sg-server"), eni("eni-3", natIP, model.OwnerNatGateway),
			},
		}
		in.Interfaces[1].AutoPublicIP = public
		return in
	}
	flow := func(src, dst netip.Addr, proto, port int) Flow {
		return Flow{Proto: proto, Src: src, Dst: dst, DstPort: port, ReplySrc: dst, ReplyDst: src, ReplyPort: port}
	}
	fromOutside := Flow{Proto: model.ProtoTCP, Src: outside, Dst: public, DstPort: 80, ReplySrc: server, ReplyDst: outside, ReplyPort: 80}
	without := func(in *VPC, rules ...*model.SecurityGroupRule) {
		in.Rules = slices.DeleteFunc(slices.Clone(in.Rules), func(r *model.SecurityGroupRule) bool { return slices.Contains(rules, r) })
	}
	for _, c := range []struct {
		name   string
		before func(*VPC)
		change func(*VPC)
		flow   Flow
		want   bool
	}{
		{name: "nothing changed", flow: flow(client, server, model.ProtoTCP, 80)},
		{name: "untracked at the receiver", change: func(in *VPC) { without(in, http) }, flow: flow(client, server, model.ProtoTCP, 80), want: true},
		{name: "untracked, from outside", change: func(in *VPC) { without(in, http) }, flow: fromOutside, want: true},
		{name: "another port", change: func(in *VPC) { without(in, http) }, flow: flow(client, server, model.ProtoTCP, 81)},
		{name: "tracked: the rule is narrow", change: func(in *VPC) { without(in, narrow) }, flow: flow(client, server, model.ProtoTCP, 81)},
		{name: "tracked: answers are not open", before: func(in *VPC) { without(in, serverOut) }, change: func(in *VPC) { without(in, http) }, flow: flow(client, server, model.ProtoTCP, 80)},
		{name: "tracked: ICMP", change: func(in *VPC) { without(in, ping) }, flow: flow(client, server, model.ProtoICMP, 0)},
		{name: "tracked at the sender: nothing is let in", change: func(in *VPC) { without(in, clientOut) }, flow: flow(client, server, model.ProtoTCP, 80)},
		{name: "untracked at the sender", before: func(in *VPC) { in.Rules = append(in.Rules, clientIn) }, change: func(in *VPC) { without(in, clientOut) }, flow: flow(client, server, model.ProtoTCP, 80), want: true},
		{name: "through a NAT gateway", before: func(in *VPC) { in.Rules = append(in.Rules, clientIn) }, change: func(in *VPC) { without(in, clientOut) }, flow: flow(client, natIP, model.ProtoTCP, 80)},
		{name: "another rule still allows it", change: func(in *VPC) {
			without(in, http)
			in.Rules = append(in.Rules, rule("sg-server", false, model.ProtoTCP, 1, 100, netip.MustParsePrefix("10.0.0.0/8")))
		}, flow: flow(client, server, model.ProtoTCP, 80)},
		{name: "left the group", change: func(in *VPC) { in.Interfaces[1] = eni("eni-2", server, model.OwnerTask, "sg-other") }, flow: flow(client, server, model.ProtoTCP, 80), want: true},
		{name: "ENI gone", change: func(in *VPC) { in.Interfaces = in.Interfaces[:1] }, flow: flow(client, server, model.ProtoTCP, 81), want: true},
		{name: "address now another's", change: func(in *VPC) { in.Interfaces[1] = eni("eni-9", server, model.OwnerTask, "sg-server") }, flow: flow(client, server, model.ProtoTCP, 81), want: true},
		{name: "others stay", change: func(in *VPC) { in.Interfaces = in.Interfaces[1:] }, flow: flow(natIP, server, model.ProtoTCP, 81)},
		{name: "public address taken away", change: func(in *VPC) { in.Interfaces[1] = eni("eni-2", server, model.OwnerTask, "sg-server") }, flow: fromOutside, want: true},
		{name: "gateway detached", change: func(in *VPC) { in.Gateway = nil }, flow: fromOutside, want: true},
		{name: "inside, gateway detached", change: func(in *VPC) { in.Gateway = nil }, flow: flow(client, server, model.ProtoTCP, 81)},
	} {
		before := base()
		if c.before != nil {
			c.before(&before)
		}
		after := before
		after.Interfaces = slices.Clone(before.Interfaces)
		if c.change != nil {
			c.change(&after)
		}
		got := Cut(before, after)
		if (got.Match != nil && got.Match(c.flow)) != c.want {
			t.Errorf("%s: got %t", c.name, !c.want)
		}
	}
}
