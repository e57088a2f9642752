package compat

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// TestTerraformNetwork replays the apply and destroy of aws_vpc, aws_subnet, aws_internet_gateway, aws_route_table,
// aws_route, aws_route_table_association, aws_eip and aws_nat_gateway.
func TestTerraformNetwork(t *testing.T) {
	t.Parallel()
	c := newClient(t, nil)
	vpc := c.tfVPC()
	subnet := c.tfSubnet(vpc)
	gateway := c.tfGateway(vpc)
	table, association := c.tfRoutes(vpc, subnet, gateway)
	address := c.tfAddress()
	nat := c.tfNAT(subnet, address)
	c.tfDefaultTable(vpc, nat)

	// Destroy, in the order of the dependencies; what Terraform tries at the same time is tried here before its time.
	refused(t, "DependencyViolation", c.ec2.DeleteSubnet, &ec2.DeleteSubnetInput{SubnetId: &subnet})
	refused(t, "DependencyViolation", c.ec2.DetachInternetGateway, &ec2.DetachInternetGatewayInput{InternetGatewayId: &gateway, VpcId: &vpc}) // public addresses are mapped
	must(t, c.ec2.DeleteRoute, &ec2.DeleteRouteInput{RouteTableId: &table, DestinationCidrBlock: aws.String("0.0.0.0/0")})
	refused(t, "InvalidRoute.NotFound", c.ec2.DeleteRoute, &ec2.DeleteRouteInput{RouteTableId: &table, DestinationCidrBlock: aws.String("0.0.0.0/0")})
	must(t, c.ec2.DisassociateRouteTable, &ec2.DisassociateRouteTableInput{AssociationId: &association})
	refused(t, "InvalidAssociationID.NotFound", c.ec2.DisassociateRouteTable, &ec2.DisassociateRouteTableInput{AssociationId: &association})
	must(t, c.ec2.DeleteRouteTable, &ec2.DeleteRouteTableInput{RouteTableId: &table})
	gone(t, "InvalidRouteTableID.NotFound", c.ec2.DescribeRouteTables, &ec2.DescribeRouteTablesInput{RouteTableIds: []string{table}})
	c.tfDeleteNAT(nat, address)
	deleted(t, c.ec2.DetachInternetGateway, &ec2.DetachInternetGatewayInput{InternetGatewayId: &gateway, VpcId: &vpc}, "DependencyViolation")
	refused(t, "Gateway.NotAttached", c.ec2.DetachInternetGateway, &ec2.DetachInternetGatewayInput{InternetGatewayId: &gateway, VpcId: &vpc})
	must(t, c.ec2.DeleteInternetGateway, &ec2.DeleteInternetGatewayInput{InternetGatewayId: &gateway})
	gone(t, "InvalidInternetGatewayID.NotFound", c.ec2.DescribeInternetGateways, &ec2.DescribeInternetGatewaysInput{InternetGatewayIds: []string{gateway}})
	want(t, "lingering interfaces", len(must(t, c.ec2.DescribeNetworkInterfaces, &ec2.DescribeNetworkInterfacesInput{Filters: filter("subnet-id", subnet)}).NetworkInterfaces), 0)
	deleted(t, c.ec2.DeleteSubnet, &ec2.DeleteSubnetInput{SubnetId: &subnet}, "DependencyViolation")
	gone(t, "InvalidSubnetID.NotFound", c.ec2.DescribeSubnets, &ec2.DescribeSubnetsInput{SubnetIds: []string{subnet}})
	deleted(t, c.ec2.DeleteVpc, &ec2.DeleteVpcInput{VpcId: &vpc}, "DependencyViolation") // the main table, the default group and ACL do not hold it
	gone(t, "InvalidVpcID.NotFound", c.ec2.DescribeVpcs, &ec2.DescribeVpcsInput{VpcIds: []string{vpc}})
}

func (c *client) tfVPC() string {
	t := c.t
	made := must(t, c.ec2.CreateVpc, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16"), AmazonProvidedIpv6CidrBlock: aws.Bool(false), InstanceTenancy: types.TenancyDefault, TagSpecifications: tagged(types.ResourceTypeVpc, "main")})
	id := *made.Vpc.VpcId
	got := states(t, c.ec2.DescribeVpcs, &ec2.DescribeVpcsInput{VpcIds: []string{id}}, func(o *ec2.DescribeVpcsOutput) string { return string(oneOf(t, "VPC", o.Vpcs).State) }, "available", "pending").Vpcs[0]
	present(t, got, "OwnerId", "DhcpOptionsId", "CidrBlock", "InstanceTenancy", "State", "Tags")
	for _, a := range got.CidrBlockAssociationSet {
		present(t, a, "CidrBlockState.State") // the data source reads it without asking
	}
	must(t, c.ec2.ModifyVpcAttribute, &ec2.ModifyVpcAttributeInput{VpcId: &id, EnableDnsHostnames: &types.AttributeBooleanValue{Value: aws.Bool(true)}})
	attribute := func(name types.VpcAttributeName) *ec2.DescribeVpcAttributeOutput {
		return must(t, c.ec2.DescribeVpcAttribute, &ec2.DescribeVpcAttributeInput{VpcId: &id, Attribute: name})
	}
	hostnames, support, metrics := attribute(types.VpcAttributeNameEnableDnsHostnames).EnableDnsHostnames, attribute(types.VpcAttributeNameEnableDnsSupport).EnableDnsSupport,
		attribute(types.VpcAttributeNameEnableNetworkAddressUsageMetrics).EnableNetworkAddressUsageMetrics
	if hostnames == nil || support == nil || metrics == nil || hostnames.Value == nil || support.Value == nil || metrics.Value == nil {
		t.Fatal("an attribute is not in its answer: the provider takes that for 'not found'")
	}
	want(t, "attributes", []bool{*hostnames.Value, *support.Value, *metrics.Value}, []bool{true, true, false})
	in := filter("vpc-id", id)
	oneOf(t, "default ACL", must(t, c.ec2.DescribeNetworkAcls, &ec2.DescribeNetworkAclsInput{Filters: append(in, filter("default", "true")...)}).NetworkAcls)
	main := oneOf(t, "main table", must(t, c.ec2.DescribeRouteTables, &ec2.DescribeRouteTablesInput{Filters: append(in, filter("association.main", "true")...)}).RouteTables)
	local := oneOf(t, "local route", main.Routes)
	want(t, "local route", []string{*local.GatewayId, string(local.State), string(local.Origin)}, []string{"local", "active", "CreateRouteTable"})
	oneOf(t, "default group", must(t, c.ec2.DescribeSecurityGroups, &ec2.DescribeSecurityGroupsInput{Filters: append(in, filter("group-name", "default")...)}).SecurityGroups)
	oneOf(t, "VPC by its tag", must(t, c.ec2.DescribeVpcs, &ec2.DescribeVpcsInput{Filters: filter("tag:Name", "main")}).Vpcs)
	return id
}

func (c *client) tfSubnet(vpc string) string {
	t := c.t
	id := *must(t, c.ec2.CreateSubnet, &ec2.CreateSubnetInput{VpcId: &vpc, CidrBlock: aws.String("10.0.0.0/24"), AvailabilityZone: aws.String("us-east-1a"), TagSpecifications: tagged(types.ResourceTypeSubnet, "public")}).Subnet.SubnetId
	in := &ec2.DescribeSubnetsInput{SubnetIds: []string{id}}
	states(t, c.ec2.DescribeSubnets, in, func(o *ec2.DescribeSubnetsOutput) string { return string(oneOf(t, "subnet", o.Subnets).State) }, "available", "pending")
	must(t, c.ec2.ModifySubnetAttribute, &ec2.ModifySubnetAttributeInput{SubnetId: &id, MapPublicIpOnLaunch: &types.AttributeBooleanValue{Value: aws.Bool(true)}})
	got := eventually(t, c.ec2.DescribeSubnets, in, func(o *ec2.DescribeSubnetsOutput) bool { return aws.ToBool(o.Subnets[0].MapPublicIpOnLaunch) }).Subnets[0]
	present(t, got, "CidrBlock", "Ipv6Native", "AvailabilityZone", "AvailabilityZoneId", "SubnetArn", "OwnerId", "PrivateDnsNameOptionsOnLaunch", "Tags")
	if o := got.PrivateDnsNameOptionsOnLaunch; o != nil {
		want(t, "DNS options", *o, types.PrivateDnsNameOptionsOnLaunch{HostnameType: types.HostnameTypeIpName, EnableResourceNameDnsARecord: aws.Bool(false), EnableResourceNameDnsAAAARecord: aws.Bool(false)})
	}
	return id
}

func (c *client) tfGateway(vpc string) string {
	t := c.t
	id := *must(t, c.ec2.CreateInternetGateway, &ec2.CreateInternetGatewayInput{TagSpecifications: tagged(types.ResourceTypeInternetGateway, "main")}).InternetGateway.InternetGatewayId
	must(t, c.ec2.AttachInternetGateway, &ec2.AttachInternetGatewayInput{InternetGatewayId: &id, VpcId: &vpc})
	states(t, c.ec2.DescribeInternetGateways, &ec2.DescribeInternetGatewaysInput{InternetGatewayIds: []string{id}}, func(o *ec2.DescribeInternetGatewaysOutput) string {
		a := oneOf(t, "attachment", oneOf(t, "gateway", o.InternetGateways).Attachments)
		want(t, "VPC of the attachment", *a.VpcId, vpc)
		return string(a.State)
	}, "available", "attaching")
	return id
}

// tfRoutes makes a table with a default route, and associates the subnet with it.
func (c *client) tfRoutes(vpc, subnet, gateway string) (table, association string) {
	t := c.t
	table = *must(t, c.ec2.CreateRouteTable, &ec2.CreateRouteTableInput{VpcId: &vpc, TagSpecifications: tagged(types.ResourceTypeRouteTable, "public")}).RouteTable.RouteTableId
	in := &ec2.DescribeRouteTablesInput{RouteTableIds: []string{table}}
	oneOf(t, "table", must(t, c.ec2.DescribeRouteTables, in).RouteTables)
	must(t, c.ec2.CreateRoute, &ec2.CreateRouteInput{RouteTableId: &table, DestinationCidrBlock: aws.String("0.0.0.0/0"), GatewayId: &gateway})
	for _, r := range must(t, c.ec2.DescribeRouteTables, in).RouteTables[0].Routes {
		present(t, r, "State", "Origin", "GatewayId", "DestinationCidrBlock")
		absent(t, r, "NatGatewayId", "NetworkInterfaceId", "InstanceId", "TransitGatewayId", "VpcPeeringConnectionId", "DestinationIpv6CidrBlock", "DestinationPrefixListId")
	}
	made := must(t, c.ec2.AssociateRouteTable, &ec2.AssociateRouteTableInput{RouteTableId: &table, SubnetId: &subnet})
	association = *made.AssociationId
	found := states(t, c.ec2.DescribeRouteTables, &ec2.DescribeRouteTablesInput{Filters: filter("association.route-table-association-id", association)}, func(o *ec2.DescribeRouteTablesOutput) string {
		a := oneOf(t, "association", oneOf(t, "table of the association", o.RouteTables).Associations)
		if a.AssociationState == nil {
			return "associated" // so does the provider
		}
		return string(a.AssociationState.State)
	}, "associated", "associating")
	want(t, "table of the association", *found.RouteTables[0].RouteTableId, table)
	return table, association
}

func (c *client) tfAddress() string {
	t := c.t
	id := *must(t, c.ec2.AllocateAddress, &ec2.AllocateAddressInput{Domain: types.DomainTypeVpc, TagSpecifications: tagged(types.ResourceTypeElasticIp, "nat")}).AllocationId
	if !strings.HasPrefix(id, "eipalloc-") {
		t.Errorf("allocation %s", id)
	}
	got := oneOf(t, "address", must(t, c.ec2.DescribeAddresses, &ec2.DescribeAddressesInput{AllocationIds: []string{id}}).Addresses)
	present(t, got, "PublicIp", "NetworkBorderGroup", "PublicIpv4Pool", "Domain")
	absent(t, got, "AssociationId", "NetworkInterfaceId", "PrivateIpAddress", "InstanceId", "CarrierIp", "CustomerOwnedIp")
	want(t, "attributes", len(must(t, c.ec2.DescribeAddressesAttribute, &ec2.DescribeAddressesAttributeInput{AllocationIds: []string{id}, Attribute: types.AddressAttributeNameDomainName}).Addresses), 0)
	return id
}

func natState(t testing.TB) func(*ec2.DescribeNatGatewaysOutput) string {
	return func(o *ec2.DescribeNatGatewaysOutput) string {
		return string(oneOf(t, "NAT gateway", o.NatGateways).State)
	}
}

func (c *client) tfNAT(subnet, address string) string {
	t := c.t
	id := *must(t, c.ec2.CreateNatGateway, &ec2.CreateNatGatewayInput{SubnetId: &subnet, AllocationId: &address, ClientToken: aws.String("terraform-1"), ConnectivityType: types.ConnectivityTypePublic, TagSpecifications: tagged(types.ResourceTypeNatgateway, "nat")}).NatGateway.NatGatewayId
	got := states(t, c.ec2.DescribeNatGateways, &ec2.DescribeNatGatewaysInput{NatGatewayIds: []string{id}}, natState(t), "available", "pending").NatGateways[0]
	want(t, "mode and type", []string{string(got.AvailabilityMode), string(got.ConnectivityType), *got.SubnetId}, []string{"zonal", "public", subnet})
	a := oneOf(t, "address of the NAT gateway", got.NatGatewayAddresses)
	present(t, a, "AllocationId", "AssociationId", "NetworkInterfaceId", "PrivateIp", "PublicIp")
	want(t, "primary", aws.ToBool(a.IsPrimary), true)
	held := oneOf(t, "address", must(t, c.ec2.DescribeAddresses, &ec2.DescribeAddressesInput{AllocationIds: []string{address}}).Addresses)
	present(t, held, "AssociationId", "NetworkInterfaceId", "PrivateIpAddress")
	return id
}

// tfDefaultTable adopts the main table, as aws_default_route_table does: strips its routes and adds its own.
func (c *client) tfDefaultTable(vpc, nat string) {
	t := c.t
	main := oneOf(t, "main table", must(t, c.ec2.DescribeRouteTables, &ec2.DescribeRouteTablesInput{Filters: append(filter("vpc-id", vpc), filter("association.main", "true")...)}).RouteTables)
	must(t, c.ec2.CreateRoute, &ec2.CreateRouteInput{RouteTableId: main.RouteTableId, DestinationCidrBlock: aws.String("0.0.0.0/0"), NatGatewayId: &nat})
	for _, r := range must(t, c.ec2.DescribeRouteTables, &ec2.DescribeRouteTablesInput{RouteTableIds: []string{*main.RouteTableId}}).RouteTables[0].Routes {
		if aws.ToString(r.GatewayId) == "local" {
			continue
		}
		want(t, "NAT route", []string{aws.ToString(r.NatGatewayId), string(r.State), string(r.Origin)}, []string{nat, "active", "CreateRoute"})
		absent(t, r, "GatewayId", "NetworkInterfaceId")
	}
	must(t, c.ec2.DeleteRoute, &ec2.DeleteRouteInput{RouteTableId: main.RouteTableId, DestinationCidrBlock: aws.String("0.0.0.0/0")})
}

// tfDeleteNAT deletes a NAT gateway and then its address, whose association the provider still has in its state.
func (c *client) tfDeleteNAT(nat, address string) {
	t := c.t
	association := must(t, c.ec2.DescribeAddresses, &ec2.DescribeAddressesInput{AllocationIds: []string{address}}).Addresses[0].AssociationId
	must(t, c.ec2.DeleteNatGateway, &ec2.DeleteNatGatewayInput{NatGatewayId: &nat})
	states(t, c.ec2.DescribeNatGateways, &ec2.DescribeNatGatewaysInput{NatGatewayIds: []string{nat}}, natState(t), "deleted", "deleting")
	refused(t, "InvalidAssociationID.NotFound", c.ec2.DisassociateAddress, &ec2.DisassociateAddressInput{AssociationId: association})
	must(t, c.ec2.ReleaseAddress, &ec2.ReleaseAddressInput{AllocationId: &address, NetworkBorderGroup: aws.String("us-east-1")})
	gone(t, "InvalidAllocationID.NotFound", c.ec2.DescribeAddresses, &ec2.DescribeAddressesInput{AllocationIds: []string{address}})
}

// TestTerraformSecurityGroups replays aws_security_group, aws_vpc_security_group_*_rule and aws_default_security_group.
func TestTerraformSecurityGroups(t *testing.T) {
	t.Parallel()
	c := newClient(t, nil)
	vpc := c.makeVPC("10.0.0.0/16")
	id := must(t, c.ec2.CreateSecurityGroup, &ec2.CreateSecurityGroupInput{GroupName: aws.String("web"), Description: aws.String("Managed by Terraform"), VpcId: &vpc, TagSpecifications: tagged(types.ResourceTypeSecurityGroup, "web")}).GroupId
	in := &ec2.DescribeSecurityGroupsInput{GroupIds: []string{*id}}
	everything := oneOf(t, "default egress", oneOf(t, "group", must(t, c.ec2.DescribeSecurityGroups, in).SecurityGroups).IpPermissionsEgress)
	want(t, "default egress", []string{*everything.IpProtocol, *everything.IpRanges[0].CidrIp}, []string{"-1", "0.0.0.0/0"})
	oneOf(t, "rule of the default egress", must(t, c.ec2.DescribeSecurityGroupRules, &ec2.DescribeSecurityGroupRulesInput{Filters: filter("group-id", *id)}).SecurityGroupRules)

	zero, all := aws.Int32(0), aws.String("-1")
	must(t, c.ec2.RevokeSecurityGroupEgress, &ec2.RevokeSecurityGroupEgressInput{GroupId: id, IpPermissions: []types.IpPermission{{IpProtocol: all, FromPort: zero, ToPort: zero, IpRanges: []types.IpRange{{CidrIp: aws.String("0.0.0.0/0")}}}}})
	_, err := c.ec2.RevokeSecurityGroupEgress(t.Context(), &ec2.RevokeSecurityGroupEgressInput{GroupId: id, IpPermissions: []types.IpPermission{{IpProtocol: all, FromPort: zero, ToPort: zero, Ipv6Ranges: []types.Ipv6Range{{CidrIpv6: aws.String("::/0")}}}}})
	if code := codeOf(err); code != "InvalidPermission.NotFound" && (code != "InvalidParameterValue" || !strings.Contains(err.Error(), "remote-ipv6-range")) {
		t.Errorf("revoking the IPv6 rule that is not there: %v", err)
	}
	want(t, "egress", len(must(t, c.ec2.DescribeSecurityGroups, in).SecurityGroups[0].IpPermissionsEgress), 0)

	must(t, c.ec2.AuthorizeSecurityGroupIngress, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: id, IpPermissions: tcp(80, "0.0.0.0/0")})
	must(t, c.ec2.AuthorizeSecurityGroupEgress, &ec2.AuthorizeSecurityGroupEgressInput{GroupId: id, IpPermissions: []types.IpPermission{{IpProtocol: all, FromPort: zero, ToPort: zero, IpRanges: []types.IpRange{{CidrIp: aws.String("0.0.0.0/0")}}}}})
	got := must(t, c.ec2.DescribeSecurityGroups, in).SecurityGroups[0]
	present(t, got, "OwnerId", "VpcId", "Description", "SecurityGroupArn")
	web, out := oneOf(t, "ingress", got.IpPermissions), oneOf(t, "egress", got.IpPermissionsEgress)
	want(t, "ingress", []any{*web.IpProtocol, *web.FromPort, *web.ToPort}, []any{"tcp", int32(80), int32(80)})
	if aws.ToInt32(out.FromPort) != 0 || aws.ToInt32(out.ToPort) != 0 {
		t.Errorf("ports of protocol -1: %d-%d; anything but none or 0 is a change in each plan", *out.FromPort, *out.ToPort)
	}
	c.tfRules(vpc, *id)

	group := oneOf(t, "default group", must(t, c.ec2.DescribeSecurityGroups, &ec2.DescribeSecurityGroupsInput{Filters: append(filter("vpc-id", vpc), filter("group-name", "default")...)}).SecurityGroups)
	must(t, c.ec2.RevokeSecurityGroupIngress, &ec2.RevokeSecurityGroupIngressInput{GroupId: group.GroupId, IpPermissions: group.IpPermissions})
	must(t, c.ec2.RevokeSecurityGroupEgress, &ec2.RevokeSecurityGroupEgressInput{GroupId: group.GroupId, IpPermissions: group.IpPermissionsEgress})
	refused(t, "CannotDelete", c.ec2.DeleteSecurityGroup, &ec2.DeleteSecurityGroupInput{GroupId: group.GroupId})
	want(t, "interfaces of the group", len(must(t, c.ec2.DescribeNetworkInterfaces, &ec2.DescribeNetworkInterfacesInput{Filters: filter("group-id", *id)}).NetworkInterfaces), 0)
	deleted(t, c.ec2.DeleteSecurityGroup, &ec2.DeleteSecurityGroupInput{GroupId: id}, "DependencyViolation", "InvalidGroup.InUse")
	gone(t, "InvalidGroup.NotFound", c.ec2.DescribeSecurityGroups, in)
	refused(t, "InvalidGroup.NotFound", c.ec2.DeleteSecurityGroup, &ec2.DeleteSecurityGroupInput{GroupId: id})
	must(t, c.ec2.DeleteVpc, &ec2.DeleteVpcInput{VpcId: &vpc})
}

// tfRules replays a rule that is a resource of its own.
func (c *client) tfRules(vpc, group string) {
	t := c.t
	other := must(t, c.ec2.CreateSecurityGroup, &ec2.CreateSecurityGroupInput{GroupName: aws.String("task"), Description: aws.String("d"), VpcId: &vpc}).GroupId
	rule := oneOf(t, "securityGroupRuleSet", must(t, c.ec2.AuthorizeSecurityGroupIngress, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: other, IpPermissions: []types.IpPermission{{
		IpProtocol: aws.String("-1"), UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: &group}},
	}}}).SecurityGroupRules)
	must(t, c.ec2.CreateTags, &ec2.CreateTagsInput{Resources: []string{*rule.SecurityGroupRuleId}, Tags: []types.Tag{{Key: aws.String("Name"), Value: aws.String("alb")}}})
	read := &ec2.DescribeSecurityGroupRulesInput{SecurityGroupRuleIds: []string{*rule.SecurityGroupRuleId}}
	got := oneOf(t, "rule", must(t, c.ec2.DescribeSecurityGroupRules, read).SecurityGroupRules)
	want(t, "ports of protocol -1", []int32{*got.FromPort, *got.ToPort}, []int32{-1, -1})
	want(t, "source", *got.ReferencedGroupInfo.GroupId, group)
	want(t, "direction", *got.IsEgress, false)
	want(t, "tags", len(got.Tags), 1)
	absent(t, got, "Description", "CidrIpv4", "CidrIpv6", "PrefixListId")
	described := must(t, c.ec2.DescribeSecurityGroups, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{*other}}).SecurityGroups[0]
	if user := described.IpPermissions[0].UserIdGroupPairs[0].UserId; user != nil && *user != *described.OwnerId {
		t.Errorf("the pair's userId is %s, the group's owner %s: Terraform would show another source", *user, *described.OwnerId)
	}
	refused(t, "DependencyViolation", c.ec2.DeleteSecurityGroup, &ec2.DeleteSecurityGroupInput{GroupId: &group}) // the rule refers to it
	must(t, c.ec2.RevokeSecurityGroupIngress, &ec2.RevokeSecurityGroupIngressInput{GroupId: other, SecurityGroupRuleIds: []string{*rule.SecurityGroupRuleId}})
	refused(t, "InvalidSecurityGroupRuleId.NotFound", c.ec2.DescribeSecurityGroupRules, read)
	must(t, c.ec2.DeleteSecurityGroup, &ec2.DeleteSecurityGroupInput{GroupId: other})
}
