package fabric_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/neargate/neargate/internal/fabric"
	"github.com/neargate/neargate/internal/model"
)

// large is a VPC of that many ENIs in 200 groups with 1,000 rules.
func large(enis int) fabric.VPC {
	block := netip.MustParsePrefix("10.0.0.0/16")
	in := fabric.VPC{
		VPC:         &model.VPC{ID: "vpc-1", CIDRs: []model.VPCCIDR{{Block: block}}, DNSSupport: true, MainRouteTableID: "rtb-1"},
		Subnets:     []*model.Subnet{{ID: "subnet-1", CIDR: netip.MustParsePrefix("10.0.0.0/17")}},
		RouteTables: []*model.RouteTable{{ID: "rtb-1", Routes: []model.Route{{Destination: block, GatewayID: "local"}}}},
		Gateway:     &model.InternetGateway{ID: "igw-1"},
	}
	group := func(i int) string { return fmt.Sprintf("sg-%017x", i%200) }
	for i := range 1000 {
		r := &model.SecurityGroupRule{ID: fmt.Sprintf("sgr-%d", i), GroupID: group(i), Egress: i%5 == 0, Protocol: model.ProtoTCP, From: 80 + i, To: 90 + i}
		if i%3 == 0 {
			r.RefGroupID = group(i * 7)
		} else {
			r.CIDR = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i), byte(i >> 3), 0}), 16+i%9).Masked()
		}
		in.Rules = append(in.Rules, r)
	}
	a := block.Addr()
	for i := range enis {
		a = a.Next()
		in.Interfaces = append(in.Interfaces, &model.NetworkInterface{
			ID: fmt.Sprintf("eni-%017x", i*7919), SubnetID: "subnet-1", PrivateIPs: []netip.Addr{a}, MAC: "02:00:00:00:00:01",
			Groups: []string{group(i)}, SourceDestCheck: true, OwnerKind: model.OwnerTask,
		})
	}
	return in
}

func BenchmarkCompile(b *testing.B) {
	for _, n := range []int{2, 500, 1000} {
		in := large(n)
		b.Run(fmt.Sprintf("enis=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				fabric.Compile(in)
			}
		})
		b.Run(fmt.Sprintf("again/enis=%d", n), func(b *testing.B) {
			var c fabric.Compiler
			for b.Loop() {
				c.Compile(in)
			}
		})
	}
}
