package ec2

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store/storetest"
)

// ptr makes the requests below readable.
func ptr[T any](v T) *T { return &v }

// bed is a Server over an empty store, and the test that uses it.
type bed struct {
	*Server
	t *testing.T
}

func newBed(t *testing.T) bed {
	db, tables := storetest.New(t)
	return bed{New(Options{DB: db, Tables: tables, Clock: clock.New(1), Scope: model.Scope{Account: "000000000000", Region: "us-east-1"}}), t}
}

// ok calls an operation that must succeed.
func ok[I, O any](b bed, op func(context.Context, *I) (*O, error), in I) *O {
	b.t.Helper()
	out, err := op(b.t.Context(), &in)
	if err != nil {
		b.t.Fatalf("%T: %v", in, err)
	}
	return out
}

// refused calls an operation that must fail with that code.
func refused[I, O any](b bed, code string, op func(context.Context, *I) (*O, error), in I) {
	b.t.Helper()
	_, err := op(b.t.Context(), &in)
	var e *awsapi.Error
	if !errors.As(err, &e) || e.Code != code {
		b.t.Errorf("%T: got %v, want %s", in, err, code)
	}
}

func (b bed) vpc(cidr string) string {
	return *ok(b, b.CreateVpc, ec2api.CreateVpcInput{CidrBlock: &cidr}).Vpc.VpcId
}

func (b bed) subnet(vpc, cidr string) string {
	return *ok(b, b.CreateSubnet, ec2api.CreateSubnetInput{VpcId: &vpc, CidrBlock: &cidr}).Subnet.SubnetId
}

func (b bed) gateway(vpc string) string {
	id := ok(b, b.CreateInternetGateway, ec2api.CreateInternetGatewayInput{}).InternetGateway.InternetGatewayId
	ok(b, b.AttachInternetGateway, ec2api.AttachInternetGatewayInput{InternetGatewayId: id, VpcId: &vpc})
	return *id
}

func filter(name string, values ...string) []ec2api.Filter {
	return []ec2api.Filter{{Name: &name, Values: values}}
}

// What Terraform's aws_vpc reads right after it has made one (client-contracts 4): exactly one of each.
func TestCreateVpcMakesItsDefaults(t *testing.T) {
	b := newBed(t)
	vpc, other := b.vpc("10.0.0.0/16"), b.vpc("10.0.0.0/16")
	if vpc == other {
		t.Fatal("two VPCs have one identifier")
	}
	mine := filter("vpc-id", vpc)
	tables := ok(b, b.DescribeRouteTables, ec2api.DescribeRouteTablesInput{Filters: append(filter("association.main", "true"), mine...)}).RouteTables
	if len(tables) != 1 || len(tables[0].Routes) != 1 || *tables[0].Routes[0].GatewayId != "local" || tables[0].Routes[0].State != ec2api.RouteStateActive {
		t.Errorf("main route table: %+v", tables)
	}
	acls := ok(b, b.DescribeNetworkAcls, ec2api.DescribeNetworkAclsInput{Filters: append(filter("default", "true"), mine...)}).NetworkAcls
	if len(acls) != 1 || len(acls[0].Entries) != 4 {
		t.Errorf("default network ACL: %+v", acls)
	}
	groups := ok(b, b.DescribeSecurityGroups, ec2api.DescribeSecurityGroupsInput{Filters: append(filter("group-name", "default"), mine...)}).SecurityGroups
	if len(groups) != 1 || len(groups[0].IpPermissions) != 1 || *groups[0].IpPermissions[0].UserIdGroupPairs[0].GroupId != *groups[0].GroupId {
		t.Fatalf("default group: %+v", groups)
	}
	egress := groups[0].IpPermissionsEgress
	if len(egress) != 1 || *egress[0].IpProtocol != "-1" || egress[0].FromPort != nil || *egress[0].IpRanges[0].CidrIp != "0.0.0.0/0" {
		t.Errorf("default egress: %+v", egress)
	}
	for _, name := range []ec2api.VpcAttributeName{"enableDnsSupport", "enableDnsHostnames", "enableNetworkAddressUsageMetrics"} {
		ok(b, b.DescribeVpcAttribute, ec2api.DescribeVpcAttributeInput{VpcId: &vpc, Attribute: name})
	}
	ok(b, b.DeleteVpc, ec2api.DeleteVpcInput{VpcId: &vpc})
	refused(b, "InvalidVpcID.NotFound", b.DescribeVpcs, ec2api.DescribeVpcsInput{VpcIds: []string{vpc}})
	if left := b.tables.SecurityGroupRules.Len(b.db.View()); left != 2 {
		t.Errorf("%d rules are left, want the other VPC's two", left)
	}
}

func TestWrongInputIsRefusedWithAWSCodes(t *testing.T) {
	b := newBed(t)
	vpc := b.vpc("10.0.0.0/16")
	b.subnet(vpc, "10.0.1.0/24")
	refused(b, "InvalidParameterValue", b.CreateVpc, ec2api.CreateVpcInput{CidrBlock: ptr("10.0.0/16")})
	refused(b, "InvalidVpc.Range", b.CreateVpc, ec2api.CreateVpcInput{CidrBlock: ptr("10.0.0.0/8")})
	refused(b, "InvalidVpc.Range", b.CreateVpc, ec2api.CreateVpcInput{CidrBlock: ptr("198.18.0.0/16")})
	refused(b, "UnsupportedOperation", b.CreateVpc, ec2api.CreateVpcInput{CidrBlock: ptr("10.1.0.0/16"), AmazonProvidedIpv6CidrBlock: ptr(true)})
	ok(b, b.CreateVpc, ec2api.CreateVpcInput{CidrBlock: ptr("10.1.0.0/16"), AmazonProvidedIpv6CidrBlock: ptr(false)}) // Terraform always sends it
	refused(b, "InvalidSubnet.Conflict", b.CreateSubnet, ec2api.CreateSubnetInput{VpcId: &vpc, CidrBlock: ptr("10.0.1.128/25")})
	refused(b, "InvalidSubnet.Range", b.CreateSubnet, ec2api.CreateSubnetInput{VpcId: &vpc, CidrBlock: ptr("10.9.0.0/24")})
	refused(b, "InvalidVpcID.NotFound", b.CreateSubnet, ec2api.CreateSubnetInput{VpcId: ptr("vpc-0"), CidrBlock: ptr("10.0.9.0/24")})
	refused(b, "InvalidParameterValue", b.CreateSubnet, ec2api.CreateSubnetInput{VpcId: &vpc, CidrBlock: ptr("10.0.9.0/24"), AvailabilityZone: ptr("eu-west-9z")})
	refused(b, "DependencyViolation", b.DeleteVpc, ec2api.DeleteVpcInput{VpcId: &vpc})
	refused(b, "InvalidParameterValue", b.DescribeVpcs, ec2api.DescribeVpcsInput{Filters: filter("no-such-filter", "x")})
	refused(b, "VPCIdNotSpecified", b.CreateSecurityGroup, ec2api.CreateSecurityGroupInput{GroupName: ptr("a"), Description: ptr("a")})
	refused(b, "InvalidAllocationID.NotFound", b.ReleaseAddress, ec2api.ReleaseAddressInput{AllocationId: ptr("eipalloc-0")})
	refused(b, "InvalidAssociationID.NotFound", b.DisassociateAddress, ec2api.DisassociateAddressInput{AssociationId: ptr("eipassoc-0")})
}

func TestSecurityGroupRules(t *testing.T) {
	b := newBed(t)
	vpc := b.vpc("10.0.0.0/16")
	group := ok(b, b.CreateSecurityGroup, ec2api.CreateSecurityGroupInput{GroupName: ptr("app"), Description: ptr("app"), VpcId: &vpc}).GroupId
	lb := ok(b, b.CreateSecurityGroup, ec2api.CreateSecurityGroupInput{GroupName: ptr("lb"), Description: ptr("lb"), VpcId: &vpc}).GroupId
	refused(b, "InvalidGroup.Duplicate", b.CreateSecurityGroup, ec2api.CreateSecurityGroupInput{GroupName: ptr("app"), Description: ptr("app"), VpcId: &vpc})

	// Terraform revokes the default egress rule with ports 0, whatever the answer said.
	all := []ec2api.IpPermission{{IpProtocol: ptr("-1"), FromPort: ptr(int32(0)), ToPort: ptr(int32(0)), IpRanges: []ec2api.IpRange{{CidrIp: ptr("0.0.0.0/0")}}}}
	ok(b, b.RevokeSecurityGroupEgress, ec2api.RevokeSecurityGroupEgressInput{GroupId: group, IpPermissions: all})
	refused(b, "InvalidPermission.NotFound", b.RevokeSecurityGroupEgress, ec2api.RevokeSecurityGroupEgressInput{GroupId: group, IpPermissions: all})

	http := []ec2api.IpPermission{{IpProtocol: ptr("tcp"), FromPort: ptr(int32(80)), ToPort: ptr(int32(80)),
		UserIdGroupPairs: []ec2api.UserIdGroupPair{{GroupId: lb, Description: ptr("from the balancer")}}, IpRanges: []ec2api.IpRange{{CidrIp: ptr("10.0.0.9/16")}}}}
	rules := ok(b, b.AuthorizeSecurityGroupIngress, ec2api.AuthorizeSecurityGroupIngressInput{GroupId: group, IpPermissions: http}).SecurityGroupRules
	if len(rules) != 2 {
		t.Fatalf("got %d rules, want 2", len(rules))
	}
	if got := *rules[0].CidrIpv4; got != "10.0.0.0/16" { // host bits are cleared
		t.Errorf("CIDR %s", got)
	}
	refused(b, "InvalidPermission.Duplicate", b.AuthorizeSecurityGroupIngress, ec2api.AuthorizeSecurityGroupIngressInput{GroupId: group, IpPermissions: http})
	refused(b, "DependencyViolation", b.DeleteSecurityGroup, ec2api.DeleteSecurityGroupInput{GroupId: lb})

	described := ok(b, b.DescribeSecurityGroups, ec2api.DescribeSecurityGroupsInput{GroupIds: []string{*group}}).SecurityGroups[0]
	if len(described.IpPermissions) != 1 || len(described.IpPermissions[0].UserIdGroupPairs) != 1 || len(described.IpPermissions[0].IpRanges) != 1 {
		t.Errorf("permissions: %+v", described.IpPermissions)
	}
	ok(b, b.ModifySecurityGroupRules, ec2api.ModifySecurityGroupRulesInput{GroupId: group, SecurityGroupRules: []ec2api.SecurityGroupRuleUpdate{{
		SecurityGroupRuleId: rules[0].SecurityGroupRuleId,
		SecurityGroupRule:   &ec2api.SecurityGroupRuleRequest{IpProtocol: ptr("tcp"), FromPort: ptr(int32(81)), ToPort: ptr(int32(81)), CidrIpv4: ptr("10.0.0.0/16")}}}})
	one := ok(b, b.DescribeSecurityGroupRules, ec2api.DescribeSecurityGroupRulesInput{SecurityGroupRuleIds: []string{*rules[0].SecurityGroupRuleId}}).SecurityGroupRules[0]
	if *one.FromPort != 81 || *one.IsEgress {
		t.Errorf("modified rule: %+v", one)
	}
	ok(b, b.RevokeSecurityGroupIngress, ec2api.RevokeSecurityGroupIngressInput{GroupId: group, SecurityGroupRuleIds: []string{*rules[0].SecurityGroupRuleId, *rules[1].SecurityGroupRuleId}})
	refused(b, "InvalidSecurityGroupRuleId.NotFound", b.RevokeSecurityGroupIngress, ec2api.RevokeSecurityGroupIngressInput{GroupId: group, SecurityGroupRuleIds: []string{*rules[0].SecurityGroupRuleId}})
	ok(b, b.DeleteSecurityGroup, ec2api.DeleteSecurityGroupInput{GroupId: lb})

	for name, p := range map[string]ec2api.IpPermission{
		"no ports":       {IpProtocol: ptr("tcp"), IpRanges: []ec2api.IpRange{{CidrIp: ptr("10.0.0.0/8")}}},
		"reversed ports": {IpProtocol: ptr("udp"), FromPort: ptr(int32(9)), ToPort: ptr(int32(8)), IpRanges: []ec2api.IpRange{{CidrIp: ptr("10.0.0.0/8")}}},
		"bad range":      {IpProtocol: ptr("-1"), IpRanges: []ec2api.IpRange{{CidrIp: ptr("10.0.0.0/99")}}},
	} {
		t.Run(name, func(t *testing.T) {
			refused(bed{b.Server, t}, "InvalidParameterValue", b.AuthorizeSecurityGroupIngress, ec2api.AuthorizeSecurityGroupIngressInput{GroupId: group, IpPermissions: []ec2api.IpPermission{p}})
		})
	}
}

func TestRoutesAndGateways(t *testing.T) {
	b := newBed(t)
	vpc := b.vpc("10.0.0.0/16")
	subnet := b.subnet(vpc, "10.0.1.0/24")
	igw := b.gateway(vpc)
	table := ok(b, b.CreateRouteTable, ec2api.CreateRouteTableInput{VpcId: &vpc}).RouteTable.RouteTableId
	world := ptr("0.0.0.0/0")
	ok(b, b.CreateRoute, ec2api.CreateRouteInput{RouteTableId: table, DestinationCidrBlock: world, GatewayId: &igw})
	refused(b, "MissingParameter", b.CreateRoute, ec2api.CreateRouteInput{RouteTableId: table, DestinationCidrBlock: ptr("1.0.0.0/8")})
	refused(b, "InvalidParameterValue", b.CreateRoute, ec2api.CreateRouteInput{RouteTableId: table, DestinationCidrBlock: ptr("10.0.1.0/24"), GatewayId: &igw})
	refused(b, "InvalidParameterValue", b.DeleteRoute, ec2api.DeleteRouteInput{RouteTableId: table, DestinationCidrBlock: ptr("10.0.0.0/16")})

	address := ok(b, b.AllocateAddress, ec2api.AllocateAddressInput{Domain: "vpc"})
	nat := ok(b, b.CreateNatGateway, ec2api.CreateNatGatewayInput{SubnetId: &subnet, AllocationId: address.AllocationId}).NatGateway
	if nat.State != ec2api.NatGatewayStatePending || nat.AvailabilityMode != "zonal" {
		t.Errorf("new NAT gateway: %+v", nat)
	}
	refused(b, "RouteAlreadyExists", b.CreateRoute, ec2api.CreateRouteInput{RouteTableId: table, DestinationCidrBlock: world, NatGatewayId: nat.NatGatewayId})
	ok(b, b.ReplaceRoute, ec2api.ReplaceRouteInput{RouteTableId: table, DestinationCidrBlock: world, NatGatewayId: nat.NatGatewayId})
	refused(b, "InvalidIPAddress.InUse", b.ReleaseAddress, ec2api.ReleaseAddressInput{AllocationId: address.AllocationId})
	refused(b, "DependencyViolation", b.DetachInternetGateway, ec2api.DetachInternetGatewayInput{InternetGatewayId: &igw, VpcId: &vpc})
	refused(b, "DependencyViolation", b.DeleteSubnet, ec2api.DeleteSubnetInput{SubnetId: &subnet})

	association := ok(b, b.AssociateRouteTable, ec2api.AssociateRouteTableInput{RouteTableId: table, SubnetId: &subnet}).AssociationId
	found := ok(b, b.DescribeRouteTables, ec2api.DescribeRouteTablesInput{Filters: filter("association.route-table-association-id", *association)}).RouteTables
	if len(found) != 1 || *found[0].RouteTableId != *table || *found[0].Routes[1].NatGatewayId != *nat.NatGatewayId || found[0].Routes[1].GatewayId != nil {
		t.Errorf("route table: %+v", found)
	}
	refused(b, "DependencyViolation", b.DeleteRouteTable, ec2api.DeleteRouteTableInput{RouteTableId: table})
	main := *ok(b, b.DescribeRouteTables, ec2api.DescribeRouteTablesInput{Filters: filter("association.main", "true")}).RouteTables[0].Associations[0].RouteTableAssociationId
	moved := ok(b, b.ReplaceRouteTableAssociation, ec2api.ReplaceRouteTableAssociationInput{AssociationId: &main, RouteTableId: table}).NewAssociationId
	if *moved == main {
		t.Error("a replaced association keeps its identifier")
	}
	ok(b, b.DeleteNatGateway, ec2api.DeleteNatGatewayInput{NatGatewayId: nat.NatGatewayId})
	if got := ok(b, b.DescribeNatGateways, ec2api.DescribeNatGatewaysInput{NatGatewayIds: []string{*nat.NatGatewayId}}).NatGateways[0].State; got != ec2api.NatGatewayStateDeleting {
		t.Errorf("state %s right after the deletion", got)
	}
}

func TestInterfacesTakeAddressesAndGiveThemBack(t *testing.T) {
	b := newBed(t)
	vpc := b.vpc("10.0.0.0/16")
	subnet := b.subnet(vpc, "10.0.1.0/28")
	free := func() int32 {
		return *ok(b, b.DescribeSubnets, ec2api.DescribeSubnetsInput{SubnetIds: []string{subnet}}).Subnets[0].AvailableIpAddressCount
	}
	var enis []*string
	for range free() {
		enis = append(enis, ok(b, b.CreateNetworkInterface, ec2api.CreateNetworkInterfaceInput{SubnetId: &subnet}).NetworkInterface.NetworkInterfaceId)
	}
	refused(b, "InsufficientFreeAddressesInSubnet", b.CreateNetworkInterface, ec2api.CreateNetworkInterfaceInput{SubnetId: &subnet})
	ok(b, b.DeleteNetworkInterface, ec2api.DeleteNetworkInterfaceInput{NetworkInterfaceId: enis[0]})
	if free() != 1 {
		t.Errorf("%d addresses are free, want 1", free())
	}
	refused(b, "InvalidIPAddress.InUse", b.CreateNetworkInterface, ec2api.CreateNetworkInterfaceInput{SubnetId: &subnet,
		PrivateIpAddress: ok(b, b.DescribeNetworkInterfaces, ec2api.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{*enis[1]}}).NetworkInterfaces[0].PrivateIpAddress})
}

func TestTagsFindResourcesAndPagesHoldAll(t *testing.T) {
	b := newBed(t)
	for i := range 12 {
		vpc := b.vpc(fmt.Sprintf("10.%d.0.0/16", i))
		ok(b, b.CreateTags, ec2api.CreateTagsInput{Resources: []string{vpc}, Tags: []ec2api.Tag{{Key: ptr("n"), Value: ptr(fmt.Sprintf("web-%02d", i))}}})
	}
	if got := ok(b, b.DescribeVpcs, ec2api.DescribeVpcsInput{Filters: filter("tag:n", "web-0*")}).Vpcs; len(got) != 10 {
		t.Errorf("web-0* finds %d VPCs, want 10", len(got))
	}
	var seen []string
	for token, pages := (*string)(nil), 0; pages == 0 || token != nil; pages++ {
		out := ok(b, b.DescribeVpcs, ec2api.DescribeVpcsInput{MaxResults: ptr(int32(5)), NextToken: token})
		for _, v := range out.Vpcs {
			seen = append(seen, *v.VpcId)
		}
		token = out.NextToken
	}
	if slices.Sort(seen); len(slices.Compact(seen)) != 12 {
		t.Errorf("pages held %d VPCs, want 12", len(slices.Compact(seen)))
	}
	refused(b, "InvalidNextToken", b.DescribeVpcs, ec2api.DescribeVpcsInput{NextToken: ptr("%%%")})
	if got := ok(b, b.DescribeTags, ec2api.DescribeTagsInput{Filters: filter("resource-type", "vpc")}).Tags; len(got) != 12 {
		t.Errorf("DescribeTags lists %d, want 12", len(got))
	}
}

// Two subnets that overlap must not both be made, however the calls interleave.
func TestConcurrentSubnetsDoNotOverlap(t *testing.T) {
	b := newBed(t)
	vpc := b.vpc("10.0.0.0/16")
	results := make(chan error, 16)
	for range cap(results) {
		go func() {
			_, err := b.CreateSubnet(t.Context(), &ec2api.CreateSubnetInput{VpcId: &vpc, CidrBlock: ptr("10.0.1.0/24")})
			results <- err
		}()
	}
	made := 0
	for range cap(results) {
		if err := <-results; err == nil {
			made++
		}
	}
	if made != 1 {
		t.Errorf("%d of %d calls made the same subnet", made, cap(results))
	}
}

func TestWildcard(t *testing.T) {
	for _, c := range []struct {
		pattern, value string
		want           bool
	}{
		{"abc", "abc", true}, {"a*", "abc", true}, {"*c", "abc", true}, {"a?c", "abc", true}, {"a*b*c", "a-b-b-c", true}, {"", "", true}, {"*", "", true},
		{"abc", "abcd", false}, {"a?", "a", false}, {"A*", "abc", false}, {`a\*`, "a*", true}, {`a\*`, "ab", false}, {`*\?`, "x?", true},
	} {
		if got := wildcard(c.pattern, c.value); got != c.want {
			t.Errorf("wildcard(%q, %q) = %v", c.pattern, c.value, got)
		}
	}
}

func FuzzWildcard(f *testing.F) {
	f.Add("a*b?c", "a-b-c")
	f.Add(`\*`, "*")
	f.Fuzz(func(t *testing.T, pattern, value string) {
		wildcard(pattern, value)
		if !wildcard("*", value) {
			t.Errorf("* does not match %q", value)
		}
	})
}
