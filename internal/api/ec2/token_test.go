package ec2

import (
	"testing"

	"github.com/neargate/neargate/internal/awsapi/ec2api"
)

// An SDK repeats a call whose answer it did not hear, with the same token; nothing may be made twice.
func TestClientTokens(t *testing.T) {
	b := newBed(t)
	vpc, other := b.vpc("10.0.0.0/16"), b.vpc("10.1.0.0/16")
	subnet, second := b.subnet(vpc, "10.0.1.0/24"), b.subnet(vpc, "10.0.2.0/24")

	table := ec2api.CreateRouteTableInput{VpcId: &vpc, ClientToken: ptr("table")}
	first := ok(b, b.CreateRouteTable, table)
	if again := ok(b, b.CreateRouteTable, table); *again.RouteTable.RouteTableId != *first.RouteTable.RouteTableId {
		t.Error("one token made two route tables")
	}
	refused(b, "IdempotentParameterMismatch", b.CreateRouteTable, ec2api.CreateRouteTableInput{VpcId: &other, ClientToken: ptr("table")})
	if n := len(ok(b, b.DescribeRouteTables, ec2api.DescribeRouteTablesInput{Filters: filter("vpc-id", vpc)}).RouteTables); n != 2 {
		t.Errorf("%d route tables, want the main one and one more", n)
	}
	ok(b, b.CreateRouteTable, ec2api.CreateRouteTableInput{VpcId: &other}) // no token is no token in common

	eni := ec2api.CreateNetworkInterfaceInput{SubnetId: &subnet, ClientToken: ptr("eni")}
	one := ok(b, b.CreateNetworkInterface, eni)
	if again := ok(b, b.CreateNetworkInterface, eni); *again.NetworkInterface.NetworkInterfaceId != *one.NetworkInterface.NetworkInterfaceId {
		t.Error("one token made two network interfaces")
	}
	refused(b, "IdempotentParameterMismatch", b.CreateNetworkInterface, ec2api.CreateNetworkInterfaceInput{SubnetId: &second, ClientToken: ptr("eni")})
	ok(b, b.CreateNetworkInterface, ec2api.CreateNetworkInterfaceInput{SubnetId: &subnet})
}

// What names groups as EC2-Classic did, or leads into another VPC, is refused and not ignored.
func TestRefusedNames(t *testing.T) {
	b := newBed(t)
	vpc := b.vpc("10.0.0.0/16")
	group := ok(b, b.CreateSecurityGroup, ec2api.CreateSecurityGroupInput{GroupName: ptr("app"), Description: ptr("app"), VpcId: &vpc}).GroupId
	refused(b, "InvalidParameterCombination", b.DeleteSecurityGroup, ec2api.DeleteSecurityGroupInput{GroupId: group, GroupName: ptr("app")})
	refused(b, "InvalidParameterCombination", b.UpdateSecurityGroupRuleDescriptionsEgress, ec2api.UpdateSecurityGroupRuleDescriptionsEgressInput{GroupName: ptr("app")})
	refused(b, "InvalidParameterCombination", b.AuthorizeSecurityGroupIngress, ec2api.AuthorizeSecurityGroupIngressInput{GroupId: group, SourceSecurityGroupOwnerId: ptr("000000000000")})
	pair := func(p ec2api.UserIdGroupPair) ec2api.AuthorizeSecurityGroupIngressInput {
		p.GroupId = group
		return ec2api.AuthorizeSecurityGroupIngressInput{GroupId: group, IpPermissions: []ec2api.IpPermission{{IpProtocol: ptr("-1"), UserIdGroupPairs: []ec2api.UserIdGroupPair{p}}}}
	}
	refused(b, "InvalidGroup.NotFound", b.AuthorizeSecurityGroupIngress, pair(ec2api.UserIdGroupPair{VpcId: ptr("vpc-1")}))
	refused(b, "InvalidGroup.NotFound", b.AuthorizeSecurityGroupIngress, pair(ec2api.UserIdGroupPair{VpcPeeringConnectionId: ptr("pcx-1")}))
	ok(b, b.AuthorizeSecurityGroupIngress, pair(ec2api.UserIdGroupPair{VpcId: &vpc}))

	address := ok(b, b.AllocateAddress, ec2api.AllocateAddressInput{})
	refused(b, "InvalidParameterValue", b.ReleaseAddress, ec2api.ReleaseAddressInput{AllocationId: address.AllocationId, NetworkBorderGroup: ptr("eu-west-1")})
	ok(b, b.ReleaseAddress, ec2api.ReleaseAddressInput{AllocationId: address.AllocationId, NetworkBorderGroup: address.NetworkBorderGroup})
}
