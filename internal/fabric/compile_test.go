package fabric_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/neargate/neargate/internal/fabric"
	"github.com/neargate/neargate/internal/fabric/edge"
	"github.com/neargate/neargate/internal/fabric/nat"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/ruleset"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares text with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }

// twoTier is a load balancer in a public subnet, a task in a private one, and a NAT gateway.
func twoTier() fabric.VPC {
	local := model.Route{Destination: prefix("10.0.0.0/16"), GatewayID: "local"}
	day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return fabric.VPC{
		VPC: &model.VPC{ID: "vpc-1", CIDRs: []model.VPCCIDR{{Block: prefix("10.0.0.0/16")}}, DNSSupport: true, MainRouteTableID: "rtb-main"},
		Subnets: []*model.Subnet{
			{ID: "subnet-public", CIDR: prefix("10.0.0.0/24")},
			{ID: "subnet-private", CIDR: prefix("10.0.1.0/24")},
		},
		RouteTables: []*model.RouteTable{
			{ID: "rtb-main", Meta: model.Meta{CreatedAt: day}, Routes: []model.Route{local, {Destination: prefix("0.0.0.0/0"), NatID: "nat-1"}}},
			{ID: "rtb-public", Meta: model.Meta{CreatedAt: day.Add(time.Hour)},
				Routes:       []model.Route{local, {Destination: prefix("0.0.0.0/0"), GatewayID: "igw-1"}, {Destination: prefix("192.0.2.0/24"), GatewayID: "igw-gone"}},
				Associations: []model.RouteTableAssoc{{SubnetID: "subnet-public"}}},
		},
		Gateway:     &model.InternetGateway{ID: "igw-1"},
		NatGateways: []*model.NatGateway{{ID: "nat-1", State: model.NatAvailable, ENIID: "eni-0000000000000000c", PrivateIP: addr("10.0.0.12"), PublicIP: addr("198.18.0.12")}},
		Interfaces: []*model.NetworkInterface{
			{ID: "eni-0a00000000000000a", SubnetID: "subnet-public", PrivateIPs: []netip.Addr{addr("10.0.0.10")}, MAC: "02:00:00:00:00:0a", Groups: []string{"sg-lb"},
				SourceDestCheck: true, OwnerKind: model.OwnerLoadBalancer, AutoPublicIP: addr("198.18.0.10")},
			{ID: "eni-0b00000000000000b", SubnetID: "subnet-private", PrivateIPs: []netip.Addr{addr("10.0.1.11")}, MAC: "02:00:00:00:00:0b", Groups: []string{"sg-task", "sg-extra"},
				SourceDestCheck: true, OwnerKind: model.OwnerTask},
			{ID: "eni-0000000000000000c", SubnetID: "subnet-public", PrivateIPs: []netip.Addr{addr("10.0.0.12")}, MAC: "02:00:00:00:00:0c",
				OwnerKind: model.OwnerNatGateway},
		},
		Rules: []*model.SecurityGroupRule{
			{ID: "sgr-lb-http", GroupID: "sg-lb", Protocol: model.ProtoTCP, From: 80, To: 80, CIDR: prefix("0.0.0.0/0")},
			{ID: "sgr-lb-http6", GroupID: "sg-lb", Protocol: model.ProtoTCP, From: 80, To: 80, CIDR: prefix("::/0")},
			{ID: "sgr-lb-out", GroupID: "sg-lb", Egress: true, Protocol: model.ProtoTCP, From: 8080, To: 8080, RefGroupID: "sg-task"},
			{ID: "sgr-task-in", GroupID: "sg-task", Protocol: model.ProtoTCP, From: 8080, To: 8080, RefGroupID: "sg-lb"},
			{ID: "sgr-task-self", GroupID: "sg-task", Protocol: model.ProtoAll, From: -1, To: -1, RefGroupID: "sg-task"},
			{ID: "sgr-task-ping", GroupID: "sg-task", Protocol: model.ProtoICMP, From: 8, To: -1, CIDR: prefix("10.0.0.0/16")},
			{ID: "sgr-task-out", GroupID: "sg-task", Egress: true, Protocol: model.ProtoAll, From: -1, To: -1, CIDR: prefix("0.0.0.0/0")},
			{ID: "sgr-extra-low", GroupID: "sg-extra", Protocol: model.ProtoTCP, From: 9000, To: 9010, CIDR: prefix("10.0.0.0/24")},
			{ID: "sgr-extra-high", GroupID: "sg-extra", Protocol: model.ProtoTCP, From: 9005, To: 9020, CIDR: prefix("10.0.0.0/24")},
			{ID: "sgr-extra-gre", GroupID: "sg-extra", Protocol: 47, From: -1, To: -1, CIDR: prefix("10.0.0.0/24")},
			{ID: "sgr-unused", GroupID: "sg-unused", Protocol: model.ProtoTCP, From: 1, To: 2, CIDR: prefix("10.0.0.0/24")},
		},
	}
}

// describe prints all of a router.
func describe(r *ruleset.Router) string {
	out := r.Table.Script()
	for _, i := range r.Interfaces {
		out += fmt.Sprintf("# interface %s %v %s from %s\n", i.Name, i.Addrs, i.MAC, i.From)
	}
	out += fmt.Sprintf("# addresses %v\n", r.Addresses)
	for _, p := range r.Policy {
		out += fmt.Sprintf("# rule %d mark %#x/%#x table %d\n", p.Priority, p.Value, p.Mask, p.Table)
	}
	for _, x := range r.Routes {
		out += fmt.Sprintf("# route table %d %s", x.Table, x.Dst)
		if x.Blackhole {
			out += " blackhole\n"
		} else {
			out += fmt.Sprintf(" via %s dev %s\n", x.Via, x.Dev)
		}
	}
	return out
}

func TestGolden(t *testing.T) {
	golden(t, "two-tier.nft", describe(fabric.Compile(twoTier())))
	closed := twoTier()
	closed.Gateway, closed.NatGateways, closed.VPC = nil, nil, &model.VPC{ID: "vpc-1", CIDRs: closed.VPC.CIDRs, MainRouteTableID: "rtb-main"}
	golden(t, "no-gateway.nft", describe(fabric.Compile(closed)))
	golden(t, "nat.nft", nat.Compile(addr("10.0.0.12")).Script())
	golden(t, "edge.nft", describe(edge.Compile([]edge.VPC{
		{Link: edge.LinkName("vpc-0123456789abcdef0"), Public: []netip.Addr{addr("198.18.0.10"), addr("198.18.0.12")}},
		{Link: edge.LinkName("vpc-0aaaaaaaaaaaaaaaa"), Public: []netip.Addr{addr("198.18.0.12"), addr("198.18.0.11")}},
	}, []netip.Addr{addr("198.19.0.10")}, fabric.RouterHop)))
}

func shuffle[T any](list []T) {
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}

func TestCompileIsDeterministic(t *testing.T) {
	for name, in := range map[string]fabric.VPC{"two-tier": twoTier(), "large": large(300)} {
		want := describe(fabric.Compile(in))
		var again fabric.Compiler
		again.Compile(in)
		for range 5 {
			shuffle(in.Subnets)
			shuffle(in.RouteTables)
			shuffle(in.Rules)
			shuffle(in.Interfaces)
			if diff := cmp.Diff(want, describe(fabric.Compile(in))); diff != "" {
				t.Fatalf("%s: another order gives another result:\n%s", name, diff)
			}
			if diff := cmp.Diff(want, describe(again.Compile(in))); diff != "" {
				t.Fatalf("%s: a compiler with a memory gives another result:\n%s", name, diff)
			}
		}
	}
}

// TestMemory changes records step by step and compares a compiler that remembers with one that does not.
func TestMemory(t *testing.T) {
	in := large(60)
	var c fabric.Compiler
	for i := range 16 {
		switch i % 4 {
		case 0:
			in.Rules = in.Rules[1:]
		case 1:
			in.Interfaces = in.Interfaces[1:]
		case 2:
			edited := *in.Rules[i]
			edited.To += 100
			in.Rules[i] = &edited
		case 3:
			edited := *in.Interfaces[i/4]
			edited.Groups = append(edited.Groups[:1:1], in.Interfaces[i/4+1].Groups...)
			in.Interfaces[i/4] = &edited
		}
		if diff := cmp.Diff(describe(fabric.Compile(in)), describe(c.Compile(in))); diff != "" {
			t.Fatalf("step %d:\n%s", i, diff)
		}
	}
}

func TestEvaluate(t *testing.T) {
	r := fabric.Compile(twoTier())
	lb, task, gw := model.VethName("eni-0a00000000000000a"), model.VethName("eni-0b00000000000000b"), model.VethName("eni-0000000000000000c")
	tcp := func(in, src, dst string, port int) fabric.Packet {
		return fabric.Packet{In: in, Src: addr(src), Dst: addr(dst), Proto: model.ProtoTCP, SrcPort: 40000, DstPort: port}
	}
	for _, c := range []struct {
		name   string
		packet fabric.Packet
		want   fabric.Result
	}{
		{"balancer to task", tcp(lb, "10.0.0.10", "10.0.1.11", 8080), fabric.Result{Passes: true, Stage: fabric.StageOut, Out: task, Egress: []string{"sgr-lb-out"}, Ingress: []string{"sgr-task-in"}}},
		{"wrong port", tcp(lb, "10.0.0.10", "10.0.1.11", 8081), fabric.Result{Stage: fabric.StageEgress, Out: task}},
		{"task to balancer", tcp(task, "10.0.1.11", "10.0.0.10", 81), fabric.Result{Stage: fabric.StageIngress, Out: lb, Egress: []string{"sgr-task-out"}}},
		{"spoofed", tcp(task, "10.0.0.10", "10.0.1.11", 8080), fabric.Result{Stage: fabric.StageSource}},
		{"nobody there", tcp(task, "10.0.1.11", "10.0.1.99", 80), fabric.Result{Stage: fabric.StageRoute}},
		{"link-local", tcp(task, "10.0.1.11", "169.254.169.254", 80), fabric.Result{Stage: fabric.StageRoute}},
		{"task to the Internet goes to the NAT gateway", tcp(task, "10.0.1.11", "203.0.113.1", 443), fabric.Result{Passes: true, Stage: fabric.StageOut, Out: gw, Egress: []string{"sgr-task-out"}}},
		{"NAT gateway to the Internet", tcp(gw, "10.0.0.12", "203.0.113.1", 443), fabric.Result{Passes: true, Stage: fabric.StageOut, Out: fabric.GatewayIf}},
		{"route to a gateway that is gone", tcp(gw, "10.0.0.12", "192.0.2.1", 443), fabric.Result{Stage: fabric.StageRoute}},
		{"from outside", tcp(fabric.GatewayIf, "203.0.113.1", "198.18.0.10", 80), fabric.Result{Passes: true, Stage: fabric.StageOut, Out: lb, Ingress: []string{"sgr-lb-http"}}},
		{"from outside to nobody", tcp(fabric.GatewayIf, "203.0.113.1", "198.18.0.99", 80), fabric.Result{Stage: fabric.StageGateway}},
		{"from outside with an inside address", tcp(fabric.GatewayIf, "10.0.0.10", "198.18.0.10", 80), fabric.Result{Stage: fabric.StageGateway}},
		{"resolver", tcp(task, "10.0.1.11", "10.0.0.2", 53), fabric.Result{Passes: true, Stage: fabric.StageLocal}},
		{"router", tcp(task, "10.0.1.11", "10.0.1.1", 80), fabric.Result{Stage: fabric.StageRouter}},
		{"ping", fabric.Packet{In: gw, Src: addr("10.0.0.12"), Dst: addr("10.0.1.11"), Proto: model.ProtoICMP, Type: 8}, fabric.Result{Passes: true, Stage: fabric.StageOut, Out: task, Ingress: []string{"sgr-task-ping"}}},
		{"other ICMP", fabric.Packet{In: gw, Src: addr("10.0.0.12"), Dst: addr("10.0.1.11"), Proto: model.ProtoICMP, Type: 13}, fabric.Result{Stage: fabric.StageIngress, Out: task}},
		{"protocol by number", fabric.Packet{In: gw, Src: addr("10.0.0.12"), Dst: addr("10.0.1.11"), Proto: 47}, fabric.Result{Passes: true, Stage: fabric.StageOut, Out: task, Ingress: []string{"sgr-extra-gre"}}},
		{"two rules at once", tcp(gw, "10.0.0.12", "10.0.1.11", 9007), fabric.Result{Passes: true, Stage: fabric.StageOut, Out: task, Ingress: []string{"sgr-extra-high", "sgr-extra-low"}}},
	} {
		got := fabric.Evaluate(r, c.packet)
		translated := got.Packet
		got.Packet = fabric.Packet{}
		if diff := cmp.Diff(c.want, got, cmpopts.EquateComparable(fabric.Packet{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		switch c.name {
		case "NAT gateway to the Internet":
			if translated.Src != addr("198.18.0.12") {
				t.Errorf("%s: source %s", c.name, translated.Src)
			}
		case "from outside":
			if translated.Dst != addr("10.0.0.10") {
				t.Errorf("%s: destination %s", c.name, translated.Dst)
			}
		}
	}
}
