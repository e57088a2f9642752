package compat

import (
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func filter(name string, values ...string) []types.Filter {
	return []types.Filter{{Name: &name, Values: values}}
}

func tagged(kind types.ResourceType, name string) []types.TagSpecification {
	return []types.TagSpecification{{ResourceType: kind, Tags: []types.Tag{{Key: aws.String("Name"), Value: &name}}}}
}

func tcp(port int32, cidr string) []types.IpPermission {
	return []types.IpPermission{{IpProtocol: aws.String("tcp"), FromPort: &port, ToPort: &port, IpRanges: []types.IpRange{{CidrIp: &cidr}}}}
}

// quick makes the SDK's waiters look often: AWS's delays are short here.
const quick, patience = 5 * time.Millisecond, time.Minute

func scenarioEC2(c *client) {
	c.ec2VPC()
	vpc := c.makeVPC("10.0.0.0/16")
	public := c.ec2Subnets(vpc)
	c.ec2Routes(vpc, public)
	c.ec2Groups(vpc)
	c.ec2Interfaces(vpc, public)
	c.ec2Gateways(vpc, public)
	c.ec2Reads(vpc)
}

// makeVPC makes a VPC and waits for it.
func (c *client) makeVPC(cidr string) string {
	c.t.Helper()
	out := must(c.t, c.ec2.CreateVpc, &ec2.CreateVpcInput{CidrBlock: &cidr, TagSpecifications: tagged(types.ResourceTypeVpc, "main")})
	waiter := ec2.NewVpcAvailableWaiter(c.ec2, func(o *ec2.VpcAvailableWaiterOptions) { o.MinDelay, o.MaxDelay = quick, quick })
	if err := waiter.Wait(c.t.Context(), &ec2.DescribeVpcsInput{VpcIds: []string{*out.Vpc.VpcId}}, patience); err != nil {
		c.t.Fatal(err)
	}
	return *out.Vpc.VpcId
}

func (c *client) ec2VPC() {
	t := c.t
	id := c.makeVPC("10.9.0.0/16")
	for attribute, set := range map[types.VpcAttributeName]*ec2.ModifyVpcAttributeInput{
		types.VpcAttributeNameEnableDnsHostnames: {VpcId: &id, EnableDnsHostnames: &types.AttributeBooleanValue{Value: aws.Bool(true)}},
		types.VpcAttributeNameEnableDnsSupport:   {VpcId: &id, EnableDnsSupport: &types.AttributeBooleanValue{Value: aws.Bool(true)}},
	} {
		must(t, c.ec2.ModifyVpcAttribute, set)
		got := must(t, c.ec2.DescribeVpcAttribute, &ec2.DescribeVpcAttributeInput{VpcId: &id, Attribute: attribute})
		value := got.EnableDnsHostnames
		if attribute == types.VpcAttributeNameEnableDnsSupport {
			value = got.EnableDnsSupport
		}
		if value == nil || !*value.Value {
			t.Errorf("%s: %+v", attribute, got)
		}
	}
	more := must(t, c.ec2.AssociateVpcCidrBlock, &ec2.AssociateVpcCidrBlockInput{VpcId: &id, CidrBlock: aws.String("10.10.0.0/16")})
	want(t, "blocks", len(must(t, c.ec2.DescribeVpcs, &ec2.DescribeVpcsInput{VpcIds: []string{id}}).Vpcs[0].CidrBlockAssociationSet), 2)
	must(t, c.ec2.DisassociateVpcCidrBlock, &ec2.DisassociateVpcCidrBlockInput{AssociationId: more.CidrBlockAssociation.AssociationId})
	eventually(t, c.ec2.DescribeVpcs, &ec2.DescribeVpcsInput{VpcIds: []string{id}}, func(o *ec2.DescribeVpcsOutput) bool {
		return len(o.Vpcs[0].CidrBlockAssociationSet) == 1
	})
	for range 5 {
		c.makeVPC("10.20.0.0/16")
	}
	seen, pages := 0, 0
	for p := ec2.NewDescribeVpcsPaginator(c.ec2, &ec2.DescribeVpcsInput{Filters: filter("cidr", "10.20.0.0/16"), MaxResults: aws.Int32(5)}); p.HasMorePages(); pages++ {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		seen += len(page.Vpcs)
	}
	want(t, "VPCs of the pages", seen, 5)
	must(t, c.ec2.DeleteVpc, &ec2.DeleteVpcInput{VpcId: &id})
	gone(t, "InvalidVpcID.NotFound", c.ec2.DescribeVpcs, &ec2.DescribeVpcsInput{VpcIds: []string{id}})
}

// ec2Subnets makes eight subnets, and returns the first, which gives public addresses.
func (c *client) ec2Subnets(vpc string) string {
	t := c.t
	var ids []string
	for i, cidr := range []string{"10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24", "10.0.4.0/24", "10.0.5.0/24", "10.0.6.0/24"} {
		zone := []string{"us-east-1a", "us-east-1b"}[i%2]
		out := must(t, c.ec2.CreateSubnet, &ec2.CreateSubnetInput{VpcId: &vpc, CidrBlock: &cidr, AvailabilityZone: &zone, TagSpecifications: tagged(types.ResourceTypeSubnet, cidr)})
		present(t, out.Subnet, "SubnetId", "SubnetArn", "OwnerId", "AvailabilityZoneId", "AvailableIpAddressCount", "State")
		ids = append(ids, *out.Subnet.SubnetId)
	}
	waiter := ec2.NewSubnetAvailableWaiter(c.ec2, func(o *ec2.SubnetAvailableWaiterOptions) { o.MinDelay, o.MaxDelay = quick, quick })
	if err := waiter.Wait(t.Context(), &ec2.DescribeSubnetsInput{SubnetIds: ids}, patience); err != nil {
		t.Fatal(err)
	}
	must(t, c.ec2.ModifySubnetAttribute, &ec2.ModifySubnetAttributeInput{SubnetId: &ids[0], MapPublicIpOnLaunch: &types.AttributeBooleanValue{Value: aws.Bool(true)}})
	var seen []string
	for p := ec2.NewDescribeSubnetsPaginator(c.ec2, &ec2.DescribeSubnetsInput{Filters: filter("vpc-id", vpc), MaxResults: aws.Int32(5)}); p.HasMorePages(); {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want(t, "no more than asked for", len(page.Subnets) <= 5, true)
		for _, s := range page.Subnets {
			seen = append(seen, *s.SubnetId)
			want(t, "MapPublicIpOnLaunch of "+*s.SubnetId, *s.MapPublicIpOnLaunch, *s.SubnetId == ids[0])
		}
	}
	slices.Sort(seen)
	want(t, "subnets of the pages", seen, slices.Sorted(slices.Values(ids)))
	for name, f := range map[string][]types.Filter{"tag": filter("tag:Name", "10.0.1.0/24"), "wildcard": filter("tag:Name", "10.0.1.*"), "cidr": filter("cidr-block", "10.0.1.0/24")} {
		out := must(t, c.ec2.DescribeSubnets, &ec2.DescribeSubnetsInput{Filters: f})
		if len(out.Subnets) != 1 || *out.Subnets[0].SubnetId != ids[1] {
			t.Errorf("filter by %s: %d subnets", name, len(out.Subnets))
		}
	}
	zone := must(t, c.ec2.DescribeSubnets, &ec2.DescribeSubnetsInput{Filters: append(filter("availability-zone", "us-east-1b"), filter("vpc-id", vpc)...)})
	want(t, "subnets of a zone", len(zone.Subnets), 3)
	refused(t, "InvalidSubnet.Conflict", c.ec2.CreateSubnet, &ec2.CreateSubnetInput{VpcId: &vpc, CidrBlock: aws.String("10.0.0.128/25")})
	refused(t, "InvalidSubnet.Range", c.ec2.CreateSubnet, &ec2.CreateSubnetInput{VpcId: &vpc, CidrBlock: aws.String("10.1.0.0/24")})
	refused(t, "DependencyViolation", c.ec2.DeleteVpc, &ec2.DeleteVpcInput{VpcId: &vpc})
	must(t, c.ec2.DeleteSubnet, &ec2.DeleteSubnetInput{SubnetId: &ids[6]})
	gone(t, "InvalidSubnetID.NotFound", c.ec2.DescribeSubnets, &ec2.DescribeSubnetsInput{SubnetIds: ids[6:]})
	return ids[0]
}

func (c *client) ec2Routes(vpc, subnet string) {
	t := c.t
	gateway := must(t, c.ec2.CreateInternetGateway, &ec2.CreateInternetGatewayInput{TagSpecifications: tagged(types.ResourceTypeInternetGateway, "main")}).InternetGateway.InternetGatewayId
	must(t, c.ec2.AttachInternetGateway, &ec2.AttachInternetGatewayInput{InternetGatewayId: gateway, VpcId: &vpc})
	refused(t, "Resource.AlreadyAssociated", c.ec2.AttachInternetGateway, &ec2.AttachInternetGatewayInput{InternetGatewayId: gateway, VpcId: &vpc})
	got := must(t, c.ec2.DescribeInternetGateways, &ec2.DescribeInternetGatewaysInput{Filters: filter("attachment.vpc-id", vpc)})
	want(t, "attachments", got.InternetGateways[0].Attachments, []types.InternetGatewayAttachment{{State: "available", VpcId: &vpc}})

	table := must(t, c.ec2.CreateRouteTable, &ec2.CreateRouteTableInput{VpcId: &vpc, TagSpecifications: tagged(types.ResourceTypeRouteTable, "public")}).RouteTable.RouteTableId
	other := must(t, c.ec2.CreateRouteTable, &ec2.CreateRouteTableInput{VpcId: &vpc}).RouteTable.RouteTableId
	must(t, c.ec2.CreateRoute, &ec2.CreateRouteInput{RouteTableId: table, DestinationCidrBlock: aws.String("0.0.0.0/0"), GatewayId: gateway})
	must(t, c.ec2.CreateRoute, &ec2.CreateRouteInput{RouteTableId: table, DestinationCidrBlock: aws.String("0.0.0.0/0"), GatewayId: gateway}) // the same again is fine
	must(t, c.ec2.ReplaceRoute, &ec2.ReplaceRouteInput{RouteTableId: table, DestinationCidrBlock: aws.String("0.0.0.0/0"), GatewayId: gateway})
	must(t, c.ec2.CreateRoute, &ec2.CreateRouteInput{RouteTableId: other, DestinationCidrBlock: aws.String("0.0.0.0/0"), GatewayId: gateway})
	must(t, c.ec2.DeleteRoute, &ec2.DeleteRouteInput{RouteTableId: other, DestinationCidrBlock: aws.String("0.0.0.0/0")})
	refused(t, "InvalidRoute.NotFound", c.ec2.DeleteRoute, &ec2.DeleteRouteInput{RouteTableId: other, DestinationCidrBlock: aws.String("0.0.0.0/0")})

	first := must(t, c.ec2.AssociateRouteTable, &ec2.AssociateRouteTableInput{RouteTableId: other, SubnetId: &subnet})
	refused(t, "Resource.AlreadyAssociated", c.ec2.AssociateRouteTable, &ec2.AssociateRouteTableInput{RouteTableId: table, SubnetId: &subnet})
	second := must(t, c.ec2.ReplaceRouteTableAssociation, &ec2.ReplaceRouteTableAssociationInput{AssociationId: first.AssociationId, RouteTableId: table})
	if *second.NewAssociationId == *first.AssociationId {
		t.Error("the replaced association has the old one's ID")
	}
	found := must(t, c.ec2.DescribeRouteTables, &ec2.DescribeRouteTablesInput{Filters: filter("association.subnet-id", subnet)})
	if len(found.RouteTables) != 1 || len(found.RouteTables[0].Routes) != 2 || *found.RouteTables[0].RouteTableId != *table {
		t.Errorf("tables of the subnet: %+v", found.RouteTables)
	}
	main := must(t, c.ec2.DescribeRouteTables, &ec2.DescribeRouteTablesInput{Filters: append(filter("association.main", "true"), filter("vpc-id", vpc)...)})
	want(t, "main tables", len(main.RouteTables), 1)
	refused(t, "DependencyViolation", c.ec2.DeleteRouteTable, &ec2.DeleteRouteTableInput{RouteTableId: table})
	refused(t, "DependencyViolation", c.ec2.DeleteRouteTable, &ec2.DeleteRouteTableInput{RouteTableId: main.RouteTables[0].RouteTableId})
	must(t, c.ec2.DeleteRouteTable, &ec2.DeleteRouteTableInput{RouteTableId: other})
	gone(t, "InvalidRouteTableID.NotFound", c.ec2.DescribeRouteTables, &ec2.DescribeRouteTablesInput{RouteTableIds: []string{*other}})
	must(t, c.ec2.DisassociateRouteTable, &ec2.DisassociateRouteTableInput{AssociationId: second.NewAssociationId})
	must(t, c.ec2.AssociateRouteTable, &ec2.AssociateRouteTableInput{RouteTableId: table, SubnetId: &subnet})

	spare := must(t, c.ec2.CreateInternetGateway, &ec2.CreateInternetGatewayInput{}).InternetGateway.InternetGatewayId
	refused(t, "InvalidParameterValue", c.ec2.AttachInternetGateway, &ec2.AttachInternetGatewayInput{InternetGatewayId: spare, VpcId: &vpc})
	refused(t, "Gateway.NotAttached", c.ec2.DetachInternetGateway, &ec2.DetachInternetGatewayInput{InternetGatewayId: spare, VpcId: &vpc})
	must(t, c.ec2.DeleteInternetGateway, &ec2.DeleteInternetGatewayInput{InternetGatewayId: spare})
	refused(t, "DependencyViolation", c.ec2.DeleteInternetGateway, &ec2.DeleteInternetGatewayInput{InternetGatewayId: gateway})
}

func (c *client) ec2Groups(vpc string) {
	t := c.t
	group := must(t, c.ec2.CreateSecurityGroup, &ec2.CreateSecurityGroupInput{GroupName: aws.String("web"), Description: aws.String("d"), VpcId: &vpc, TagSpecifications: tagged(types.ResourceTypeSecurityGroup, "web")}).GroupId
	refused(t, "InvalidGroup.Duplicate", c.ec2.CreateSecurityGroup, &ec2.CreateSecurityGroupInput{GroupName: aws.String("web"), Description: aws.String("d"), VpcId: &vpc})
	exists := ec2.NewSecurityGroupExistsWaiter(c.ec2, func(o *ec2.SecurityGroupExistsWaiterOptions) { o.MinDelay, o.MaxDelay = quick, quick })
	if err := exists.Wait(t.Context(), &ec2.DescribeSecurityGroupsInput{GroupIds: []string{*group}}, patience); err != nil {
		t.Fatal(err)
	}
	granted := must(t, c.ec2.AuthorizeSecurityGroupIngress, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: group, IpPermissions: tcp(80, "0.0.0.0/0")})
	if len(granted.SecurityGroupRules) != 1 || !*granted.Return {
		t.Fatalf("granted: %+v", granted)
	}
	rule := granted.SecurityGroupRules[0].SecurityGroupRuleId
	refused(t, "InvalidPermission.Duplicate", c.ec2.AuthorizeSecurityGroupIngress, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: group, IpPermissions: tcp(80, "0.0.0.0/0")})
	refused(t, "InvalidParameterValue", c.ec2.AuthorizeSecurityGroupIngress, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: group, IpPermissions: tcp(80, "0.0.0.0/99")})
	must(t, c.ec2.AuthorizeSecurityGroupIngress, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: group, IpPermissions: []types.IpPermission{{
		IpProtocol: aws.String("-1"), UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: group, Description: aws.String("self")}},
	}}})
	must(t, c.ec2.AuthorizeSecurityGroupEgress, &ec2.AuthorizeSecurityGroupEgressInput{GroupId: group, IpPermissions: tcp(443, "10.0.0.0/8")})
	described := tcp(80, "0.0.0.0/0")
	described[0].IpRanges[0].Description = aws.String("everybody")
	must(t, c.ec2.UpdateSecurityGroupRuleDescriptionsIngress, &ec2.UpdateSecurityGroupRuleDescriptionsIngressInput{GroupId: group, IpPermissions: described})
	out := tcp(443, "10.0.0.0/8")
	out[0].IpRanges[0].Description = aws.String("inside")
	must(t, c.ec2.UpdateSecurityGroupRuleDescriptionsEgress, &ec2.UpdateSecurityGroupRuleDescriptionsEgressInput{GroupId: group, IpPermissions: out})
	rules := map[string]int{}
	for p := ec2.NewDescribeSecurityGroupRulesPaginator(c.ec2, &ec2.DescribeSecurityGroupRulesInput{Filters: filter("group-id", *group), MaxResults: aws.Int32(5)}); p.HasMorePages(); {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.SecurityGroupRules {
			rules[aws.ToString(r.Description)]++
		}
	}
	want(t, "rules by description", rules, map[string]int{"everybody": 1, "self": 1, "inside": 1, "": 1})
	must(t, c.ec2.ModifySecurityGroupRules, &ec2.ModifySecurityGroupRulesInput{GroupId: group, SecurityGroupRules: []types.SecurityGroupRuleUpdate{{
		SecurityGroupRuleId: rule, SecurityGroupRule: &types.SecurityGroupRuleRequest{IpProtocol: aws.String("tcp"), FromPort: aws.Int32(8080), ToPort: aws.Int32(8081), CidrIpv4: aws.String("192.0.2.0/24")},
	}}})
	changed := must(t, c.ec2.DescribeSecurityGroupRules, &ec2.DescribeSecurityGroupRulesInput{SecurityGroupRuleIds: []string{*rule}}).SecurityGroupRules[0]
	want(t, "changed rule", []any{*changed.FromPort, *changed.ToPort, *changed.CidrIpv4, *changed.IsEgress}, []any{int32(8080), int32(8081), "192.0.2.0/24", false})
	absent(t, changed, "CidrIpv6", "PrefixListId", "ReferencedGroupInfo")
	must(t, c.ec2.RevokeSecurityGroupIngress, &ec2.RevokeSecurityGroupIngressInput{GroupId: group, SecurityGroupRuleIds: []string{*rule}})
	refused(t, "InvalidPermission.NotFound", c.ec2.RevokeSecurityGroupIngress, &ec2.RevokeSecurityGroupIngressInput{GroupId: group, IpPermissions: tcp(80, "0.0.0.0/0")})
	must(t, c.ec2.RevokeSecurityGroupEgress, &ec2.RevokeSecurityGroupEgressInput{GroupId: group, IpPermissions: tcp(443, "10.0.0.0/8")})

	user := must(t, c.ec2.CreateSecurityGroup, &ec2.CreateSecurityGroupInput{GroupName: aws.String("user"), Description: aws.String("d"), VpcId: &vpc}).GroupId
	must(t, c.ec2.AuthorizeSecurityGroupIngress, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: user, IpPermissions: []types.IpPermission{{IpProtocol: aws.String("udp"), FromPort: aws.Int32(53), ToPort: aws.Int32(53), UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: group}}}}})
	refused(t, "DependencyViolation", c.ec2.DeleteSecurityGroup, &ec2.DeleteSecurityGroupInput{GroupId: group})
	want(t, "groups of the VPC", len(must(t, c.ec2.DescribeSecurityGroups, &ec2.DescribeSecurityGroupsInput{Filters: filter("vpc-id", vpc)}).SecurityGroups), 3)
	must(t, c.ec2.DescribeSecurityGroupReferences, &ec2.DescribeSecurityGroupReferencesInput{GroupId: []string{*group}})
	must(t, c.ec2.DeleteSecurityGroup, &ec2.DeleteSecurityGroupInput{GroupId: user})
	must(t, c.ec2.DeleteSecurityGroup, &ec2.DeleteSecurityGroupInput{GroupId: group})
	gone(t, "InvalidGroup.NotFound", c.ec2.DescribeSecurityGroups, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{*group}})
}

func (c *client) ec2Interfaces(vpc, subnet string) {
	t := c.t
	eni := must(t, c.ec2.CreateNetworkInterface, &ec2.CreateNetworkInterfaceInput{SubnetId: &subnet, Description: aws.String("mine"), PrivateIpAddress: aws.String("10.0.0.77"), TagSpecifications: tagged(types.ResourceTypeNetworkInterface, "mine")}).NetworkInterface
	id := *eni.NetworkInterfaceId
	want(t, "address", *eni.PrivateIpAddress, "10.0.0.77")
	refused(t, "InvalidIPAddress.InUse", c.ec2.CreateNetworkInterface, &ec2.CreateNetworkInterfaceInput{SubnetId: &subnet, PrivateIpAddress: aws.String("10.0.0.77")})
	waiter := ec2.NewNetworkInterfaceAvailableWaiter(c.ec2, func(o *ec2.NetworkInterfaceAvailableWaiterOptions) { o.MinDelay, o.MaxDelay = quick, quick })
	if err := waiter.Wait(t.Context(), &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{id}}, patience); err != nil {
		t.Fatal(err)
	}
	refused(t, "DependencyViolation", c.ec2.DeleteSubnet, &ec2.DeleteSubnetInput{SubnetId: &subnet})
	must(t, c.ec2.ModifyNetworkInterfaceAttribute, &ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: &id, Description: &types.AttributeValue{Value: aws.String("yours")}})
	want(t, "description", *must(t, c.ec2.DescribeNetworkInterfaceAttribute, &ec2.DescribeNetworkInterfaceAttributeInput{NetworkInterfaceId: &id, Attribute: types.NetworkInterfaceAttributeDescription}).Description.Value, "yours")
	address := must(t, c.ec2.AllocateAddress, &ec2.AllocateAddressInput{Domain: types.DomainTypeVpc, TagSpecifications: tagged(types.ResourceTypeElasticIp, "mine")})
	associated := must(t, c.ec2.AssociateAddress, &ec2.AssociateAddressInput{AllocationId: address.AllocationId, NetworkInterfaceId: &id})
	found := must(t, c.ec2.DescribeNetworkInterfaces, &ec2.DescribeNetworkInterfacesInput{Filters: filter("association.public-ip", *address.PublicIp)})
	if len(found.NetworkInterfaces) != 1 {
		t.Errorf("interfaces with the address: %d", len(found.NetworkInterfaces))
	} else {
		present(t, found.NetworkInterfaces[0], "MacAddress", "InterfaceType", "OwnerId", "SourceDestCheck", "Groups", "TagSet", "VpcId", "AvailabilityZone", "Association.PublicIp")
	}
	held := must(t, c.ec2.DescribeAddresses, &ec2.DescribeAddressesInput{Filters: filter("association-id", *associated.AssociationId)}).Addresses
	if len(held) != 1 || *held[0].PrivateIpAddress != "10.0.0.77" {
		t.Errorf("addresses of the association: %+v", held)
	}
	refused(t, "InvalidIPAddress.InUse", c.ec2.ReleaseAddress, &ec2.ReleaseAddressInput{AllocationId: address.AllocationId})
	must(t, c.ec2.DisassociateAddress, &ec2.DisassociateAddressInput{AssociationId: associated.AssociationId})
	want(t, "attributes", len(must(t, c.ec2.DescribeAddressesAttribute, &ec2.DescribeAddressesAttributeInput{AllocationIds: []string{*address.AllocationId}, Attribute: types.AddressAttributeNameDomainName}).Addresses), 0)
	must(t, c.ec2.ReleaseAddress, &ec2.ReleaseAddressInput{AllocationId: address.AllocationId})
	gone(t, "InvalidAllocationID.NotFound", c.ec2.DescribeAddresses, &ec2.DescribeAddressesInput{AllocationIds: []string{*address.AllocationId}})
	must(t, c.ec2.DeleteNetworkInterface, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: &id})
	gone(t, "InvalidNetworkInterfaceID.NotFound", c.ec2.DescribeNetworkInterfaces, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{id}})
}

func (c *client) ec2Gateways(vpc, subnet string) {
	t := c.t
	address := must(t, c.ec2.AllocateAddress, &ec2.AllocateAddressInput{Domain: types.DomainTypeVpc})
	made := must(t, c.ec2.CreateNatGateway, &ec2.CreateNatGatewayInput{SubnetId: &subnet, AllocationId: address.AllocationId, ClientToken: aws.String("once"), TagSpecifications: tagged(types.ResourceTypeNatgateway, "nat")})
	again := must(t, c.ec2.CreateNatGateway, &ec2.CreateNatGatewayInput{SubnetId: &subnet, AllocationId: address.AllocationId, ClientToken: aws.String("once"), TagSpecifications: tagged(types.ResourceTypeNatgateway, "nat")})
	want(t, "the same token makes the same gateway", *again.NatGateway.NatGatewayId, *made.NatGateway.NatGatewayId)
	in := &ec2.DescribeNatGatewaysInput{NatGatewayIds: []string{*made.NatGateway.NatGatewayId}}
	available := ec2.NewNatGatewayAvailableWaiter(c.ec2, func(o *ec2.NatGatewayAvailableWaiterOptions) { o.MinDelay, o.MaxDelay = quick, quick })
	got, err := available.WaitForOutput(t.Context(), in, patience)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "its address", *got.NatGateways[0].NatGatewayAddresses[0].PublicIp, *address.PublicIp)
	table := must(t, c.ec2.DescribeRouteTables, &ec2.DescribeRouteTablesInput{Filters: filter("association.subnet-id", subnet)}).RouteTables[0].RouteTableId
	refused(t, "RouteAlreadyExists", c.ec2.CreateRoute, &ec2.CreateRouteInput{RouteTableId: table, DestinationCidrBlock: aws.String("0.0.0.0/0"), NatGatewayId: made.NatGateway.NatGatewayId})
	want(t, "gateways of the VPC", len(must(t, c.ec2.DescribeNatGateways, &ec2.DescribeNatGatewaysInput{Filter: filter("vpc-id", vpc)}).NatGateways), 1)
	must(t, c.ec2.DeleteNatGateway, &ec2.DeleteNatGatewayInput{NatGatewayId: made.NatGateway.NatGatewayId})
	deleted := ec2.NewNatGatewayDeletedWaiter(c.ec2, func(o *ec2.NatGatewayDeletedWaiterOptions) { o.MinDelay, o.MaxDelay = quick, quick })
	if err := deleted.Wait(t.Context(), in, patience); err != nil {
		t.Fatal(err)
	}
	must(t, c.ec2.ReleaseAddress, &ec2.ReleaseAddressInput{AllocationId: address.AllocationId})
}

func (c *client) ec2Reads(vpc string) {
	t := c.t
	zones := must(t, c.ec2.DescribeAvailabilityZones, &ec2.DescribeAvailabilityZonesInput{Filters: filter("state", "available")}).AvailabilityZones
	if len(zones) < 2 {
		t.Fatalf("%d zones", len(zones))
	}
	present(t, zones[0], "ZoneName", "ZoneId", "GroupName", "State", "RegionName", "OptInStatus", "ZoneType")
	want(t, "regions", *must(t, c.ec2.DescribeRegions, &ec2.DescribeRegionsInput{RegionNames: []string{"us-east-1"}}).Regions[0].RegionName, "us-east-1")
	must(t, c.ec2.CreateTags, &ec2.CreateTagsInput{Resources: []string{vpc}, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("é & <b>")}, {Key: aws.String("gone"), Value: aws.String("")}}})
	must(t, c.ec2.DeleteTags, &ec2.DeleteTagsInput{Resources: []string{vpc}, Tags: []types.Tag{{Key: aws.String("gone")}}})
	tags := map[string]string{}
	for _, tag := range must(t, c.ec2.DescribeTags, &ec2.DescribeTagsInput{Filters: filter("resource-id", vpc)}).Tags {
		tags[*tag.Key] = *tag.Value
	}
	want(t, "tags", tags, map[string]string{"Name": "main", "a": "é & <b>"})
	want(t, "attributes", len(must(t, c.ec2.DescribeAccountAttributes, &ec2.DescribeAccountAttributesInput{AttributeNames: []types.AccountAttributeName{types.AccountAttributeNameSupportedPlatforms}}).AccountAttributes), 1)
	acls := must(t, c.ec2.DescribeNetworkAcls, &ec2.DescribeNetworkAclsInput{Filters: append(filter("vpc-id", vpc), filter("default", "true")...)}).NetworkAcls
	want(t, "default ACLs", len(acls), 1)
	options := must(t, c.ec2.DescribeVpcs, &ec2.DescribeVpcsInput{VpcIds: []string{vpc}}).Vpcs[0].DhcpOptionsId
	dhcp := must(t, c.ec2.DescribeDhcpOptions, &ec2.DescribeDhcpOptionsInput{DhcpOptionsIds: []string{*options}}).DhcpOptions
	want(t, "DHCP options", len(dhcp), 1)
	must(t, c.ec2.DescribePrefixLists, &ec2.DescribePrefixListsInput{Filters: filter("prefix-list-name", "com.amazonaws.us-east-1.s3")})
	must(t, c.ec2.DescribeManagedPrefixLists, &ec2.DescribeManagedPrefixListsInput{Filters: filter("prefix-list-name", "com.amazonaws.us-east-1.s3")})
	want(t, "endpoints", len(must(t, c.ec2.DescribeVpcEndpoints, &ec2.DescribeVpcEndpointsInput{Filters: filter("vpc-id", vpc)}).VpcEndpoints), 0)
	want(t, "instances", len(must(t, c.ec2.DescribeInstances, &ec2.DescribeInstancesInput{Filters: filter("vpc-id", vpc)}).Reservations), 0)
	must(t, c.ec2.DetachInternetGateway, &ec2.DetachInternetGatewayInput{
		VpcId: &vpc, InternetGatewayId: must(t, c.ec2.DescribeInternetGateways, &ec2.DescribeInternetGatewaysInput{Filters: filter("attachment.vpc-id", vpc)}).InternetGateways[0].InternetGatewayId,
	})
}
