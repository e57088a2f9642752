package cfn_test

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
)

func specTags(specs []ec2api.TagSpecification) map[string]string {
	out := make(map[string]string)
	for _, spec := range specs {
		for _, t := range spec.Tags {
			out[v(t.Key)] = v(t.Value)
		}
	}
	return out
}

func filtered(filters []ec2api.Filter) func(*thing) bool {
	return func(t *thing) bool {
		for _, f := range filters {
			if key, ok := strings.CutPrefix(v(f.Name), "tag:"); ok && !slices.Contains(f.Values, t.tags[key]) {
				return false
			}
		}
		return true
	}
}

func (f *front) CreateVpc(_ context.Context, in *ec2api.CreateVpcInput) (*ec2api.CreateVpcOutput, error) {
	return call(f, "CreateVpc", func() (*ec2api.CreateVpcOutput, error) {
		t := f.add("vpc", f.id("vpc"), specTags(in.TagSpecifications), map[string]string{"cidr": v(in.CidrBlock)})
		return &ec2api.CreateVpcOutput{Vpc: &ec2api.Vpc{VpcId: &t.id}}, nil
	})
}

func (f *front) DescribeVpcs(_ context.Context, in *ec2api.DescribeVpcsInput) (*ec2api.DescribeVpcsOutput, error) {
	return call(f, "DescribeVpcs", func() (*ec2api.DescribeVpcsOutput, error) {
		out := &ec2api.DescribeVpcsOutput{}
		for _, t := range f.list("vpc", in.VpcIds, filtered(in.Filters)) {
			out.Vpcs = append(out.Vpcs, ec2api.Vpc{VpcId: &t.id, State: "available", CidrBlock: s(t.text["cidr"])})
		}
		if len(in.VpcIds) > 0 && len(out.Vpcs) == 0 {
			return nil, awsapi.NewError("InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", in.VpcIds[0])
		}
		return out, nil
	})
}

func (f *front) ModifyVpcAttribute(_ context.Context, in *ec2api.ModifyVpcAttributeInput) (*ec2api.ModifyVpcAttributeOutput, error) {
	return call(f, "ModifyVpcAttribute", func() (*ec2api.ModifyVpcAttributeOutput, error) {
		return &ec2api.ModifyVpcAttributeOutput{}, nil
	})
}

func (f *front) DeleteVpc(_ context.Context, in *ec2api.DeleteVpcInput) (*ec2api.DeleteVpcOutput, error) {
	return call(f, "DeleteVpc", func() (*ec2api.DeleteVpcOutput, error) {
		return &ec2api.DeleteVpcOutput{}, f.drop(v(in.VpcId), "InvalidVpcID.NotFound")
	})
}

func (f *front) DescribeNetworkAcls(context.Context, *ec2api.DescribeNetworkAclsInput) (*ec2api.DescribeNetworkAclsOutput, error) {
	return &ec2api.DescribeNetworkAclsOutput{}, nil
}

func (f *front) CreateSubnet(_ context.Context, in *ec2api.CreateSubnetInput) (*ec2api.CreateSubnetOutput, error) {
	return call(f, "CreateSubnet", func() (*ec2api.CreateSubnetOutput, error) {
		t := f.add("subnet", f.id("subnet"), specTags(in.TagSpecifications), map[string]string{"cidr": v(in.CidrBlock), "az": v(in.AvailabilityZone), "vpc": v(in.VpcId)}, v(in.VpcId))
		return &ec2api.CreateSubnetOutput{Subnet: &ec2api.Subnet{SubnetId: &t.id}}, nil
	})
}

func (f *front) DescribeSubnets(_ context.Context, in *ec2api.DescribeSubnetsInput) (*ec2api.DescribeSubnetsOutput, error) {
	return call(f, "DescribeSubnets", func() (*ec2api.DescribeSubnetsOutput, error) {
		out := &ec2api.DescribeSubnetsOutput{}
		for _, t := range f.list("subnet", in.SubnetIds, filtered(in.Filters)) {
			out.Subnets = append(out.Subnets, ec2api.Subnet{SubnetId: &t.id, State: "available", VpcId: s(t.text["vpc"]), AvailabilityZone: s(t.text["az"])})
		}
		return out, nil
	})
}

func (f *front) ModifySubnetAttribute(context.Context, *ec2api.ModifySubnetAttributeInput) (*ec2api.ModifySubnetAttributeOutput, error) {
	return call(f, "ModifySubnetAttribute", func() (*ec2api.ModifySubnetAttributeOutput, error) {
		return &ec2api.ModifySubnetAttributeOutput{}, nil
	})
}

func (f *front) DeleteSubnet(_ context.Context, in *ec2api.DeleteSubnetInput) (*ec2api.DeleteSubnetOutput, error) {
	return call(f, "DeleteSubnet", func() (*ec2api.DeleteSubnetOutput, error) {
		return &ec2api.DeleteSubnetOutput{}, f.drop(v(in.SubnetId), "InvalidSubnetID.NotFound")
	})
}

func (f *front) CreateInternetGateway(_ context.Context, in *ec2api.CreateInternetGatewayInput) (*ec2api.CreateInternetGatewayOutput, error) {
	return call(f, "CreateInternetGateway", func() (*ec2api.CreateInternetGatewayOutput, error) {
		t := f.add("igw", f.id("igw"), specTags(in.TagSpecifications), nil)
		return &ec2api.CreateInternetGatewayOutput{InternetGateway: &ec2api.InternetGateway{InternetGatewayId: &t.id}}, nil
	})
}

func (f *front) DescribeInternetGateways(_ context.Context, in *ec2api.DescribeInternetGatewaysInput) (*ec2api.DescribeInternetGatewaysOutput, error) {
	return call(f, "DescribeInternetGateways", func() (*ec2api.DescribeInternetGatewaysOutput, error) {
		out := &ec2api.DescribeInternetGatewaysOutput{}
		for _, t := range f.list("igw", in.InternetGatewayIds, filtered(in.Filters)) {
			g := ec2api.InternetGateway{InternetGatewayId: &t.id}
			for _, a := range f.list("attachment", nil, func(a *thing) bool { return a.refs[0] == t.id }) {
				g.Attachments = append(g.Attachments, ec2api.InternetGatewayAttachment{VpcId: &a.refs[1]})
			}
			out.InternetGateways = append(out.InternetGateways, g)
		}
		return out, nil
	})
}

func (f *front) DeleteInternetGateway(_ context.Context, in *ec2api.DeleteInternetGatewayInput) (*ec2api.DeleteInternetGatewayOutput, error) {
	return call(f, "DeleteInternetGateway", func() (*ec2api.DeleteInternetGatewayOutput, error) {
		return &ec2api.DeleteInternetGatewayOutput{}, f.drop(v(in.InternetGatewayId), "InvalidInternetGatewayID.NotFound")
	})
}

func (f *front) AttachInternetGateway(_ context.Context, in *ec2api.AttachInternetGatewayInput) (*ec2api.AttachInternetGatewayOutput, error) {
	return call(f, "AttachInternetGateway", func() (*ec2api.AttachInternetGatewayOutput, error) {
		id := v(in.InternetGatewayId) + "+" + v(in.VpcId)
		if f.things[id] != nil {
			return nil, awsapi.NewError("Resource.AlreadyAssociated", "already attached")
		}
		f.add("attachment", id, nil, nil, v(in.InternetGatewayId), v(in.VpcId))
		return &ec2api.AttachInternetGatewayOutput{}, nil
	})
}

func (f *front) DetachInternetGateway(_ context.Context, in *ec2api.DetachInternetGatewayInput) (*ec2api.DetachInternetGatewayOutput, error) {
	return call(f, "DetachInternetGateway", func() (*ec2api.DetachInternetGatewayOutput, error) {
		return &ec2api.DetachInternetGatewayOutput{}, f.drop(v(in.InternetGatewayId)+"+"+v(in.VpcId), "Gateway.NotAttached")
	})
}

func (f *front) AllocateAddress(_ context.Context, in *ec2api.AllocateAddressInput) (*ec2api.AllocateAddressOutput, error) {
	return call(f, "AllocateAddress", func() (*ec2api.AllocateAddressOutput, error) {
		t := f.add("eip", f.id("eipalloc"), specTags(in.TagSpecifications), map[string]string{"ip": fmt.Sprintf("198.18.0.%d", f.serial%250)})
		return &ec2api.AllocateAddressOutput{AllocationId: &t.id, PublicIp: s(t.text["ip"])}, nil
	})
}

func (f *front) DescribeAddresses(_ context.Context, in *ec2api.DescribeAddressesInput) (*ec2api.DescribeAddressesOutput, error) {
	return call(f, "DescribeAddresses", func() (*ec2api.DescribeAddressesOutput, error) {
		out := &ec2api.DescribeAddressesOutput{}
		for _, t := range f.list("eip", nil, filtered(in.Filters)) {
			if len(in.PublicIps) == 0 || slices.Contains(in.PublicIps, t.text["ip"]) {
				out.Addresses = append(out.Addresses, ec2api.Address{AllocationId: &t.id, PublicIp: s(t.text["ip"])})
			}
		}
		if len(in.PublicIps) > 0 && len(out.Addresses) == 0 {
			return nil, awsapi.NewError("InvalidAddress.NotFound", "no such address")
		}
		return out, nil
	})
}

func (f *front) ReleaseAddress(_ context.Context, in *ec2api.ReleaseAddressInput) (*ec2api.ReleaseAddressOutput, error) {
	return call(f, "ReleaseAddress", func() (*ec2api.ReleaseAddressOutput, error) {
		return &ec2api.ReleaseAddressOutput{}, f.drop(v(in.AllocationId), "InvalidAllocationID.NotFound")
	})
}

func (f *front) CreateNatGateway(_ context.Context, in *ec2api.CreateNatGatewayInput) (*ec2api.CreateNatGatewayOutput, error) {
	return call(f, "CreateNatGateway", func() (*ec2api.CreateNatGatewayOutput, error) {
		t := f.add("nat", f.id("nat"), specTags(in.TagSpecifications), map[string]string{"polls": ""}, v(in.SubnetId), v(in.AllocationId))
		return &ec2api.CreateNatGatewayOutput{NatGateway: &ec2api.NatGateway{NatGatewayId: &t.id}}, nil
	})
}

func (f *front) DescribeNatGateways(_ context.Context, in *ec2api.DescribeNatGatewaysInput) (*ec2api.DescribeNatGatewaysOutput, error) {
	return call(f, "DescribeNatGateways", func() (*ec2api.DescribeNatGatewaysOutput, error) {
		out := &ec2api.DescribeNatGatewaysOutput{}
		for _, t := range f.list("nat", in.NatGatewayIds, filtered(in.Filter)) {
			state := ec2api.NatGatewayState("available")
			if t.text["polls"] += "."; len(t.text["polls"]) < 3 || f.stuck["nat"] {
				state = "pending"
			}
			out.NatGateways = append(out.NatGateways, ec2api.NatGateway{NatGatewayId: &t.id, State: state})
		}
		return out, nil
	})
}

func (f *front) DeleteNatGateway(_ context.Context, in *ec2api.DeleteNatGatewayInput) (*ec2api.DeleteNatGatewayOutput, error) {
	return call(f, "DeleteNatGateway", func() (*ec2api.DeleteNatGatewayOutput, error) {
		return &ec2api.DeleteNatGatewayOutput{}, f.drop(v(in.NatGatewayId), "NatGatewayNotFound")
	})
}

func (f *front) CreateRouteTable(_ context.Context, in *ec2api.CreateRouteTableInput) (*ec2api.CreateRouteTableOutput, error) {
	return call(f, "CreateRouteTable", func() (*ec2api.CreateRouteTableOutput, error) {
		t := f.add("rtb", f.id("rtb"), specTags(in.TagSpecifications), nil, v(in.VpcId))
		return &ec2api.CreateRouteTableOutput{RouteTable: &ec2api.RouteTable{RouteTableId: &t.id}}, nil
	})
}

func (f *front) DescribeRouteTables(_ context.Context, in *ec2api.DescribeRouteTablesInput) (*ec2api.DescribeRouteTablesOutput, error) {
	return call(f, "DescribeRouteTables", func() (*ec2api.DescribeRouteTablesOutput, error) {
		out := &ec2api.DescribeRouteTablesOutput{}
		for _, t := range f.list("rtb", in.RouteTableIds, filtered(in.Filters)) {
			table := ec2api.RouteTable{RouteTableId: &t.id}
			for _, r := range f.list("route", nil, func(r *thing) bool { return r.refs[0] == t.id }) {
				table.Routes = append(table.Routes, ec2api.Route{DestinationCidrBlock: s(r.text["to"]), Origin: "CreateRoute"})
			}
			for _, a := range f.list("association", nil, func(a *thing) bool { return a.refs[0] == t.id }) {
				table.Associations = append(table.Associations, ec2api.RouteTableAssociation{RouteTableAssociationId: &a.id, SubnetId: &a.refs[1], RouteTableId: &t.id})
			}
			out.RouteTables = append(out.RouteTables, table)
		}
		return out, nil
	})
}

func (f *front) DeleteRouteTable(_ context.Context, in *ec2api.DeleteRouteTableInput) (*ec2api.DeleteRouteTableOutput, error) {
	return call(f, "DeleteRouteTable", func() (*ec2api.DeleteRouteTableOutput, error) {
		return &ec2api.DeleteRouteTableOutput{}, f.drop(v(in.RouteTableId), "InvalidRouteTableID.NotFound")
	})
}

func (f *front) CreateRoute(_ context.Context, in *ec2api.CreateRouteInput) (*ec2api.CreateRouteOutput, error) {
	return call(f, "CreateRoute", func() (*ec2api.CreateRouteOutput, error) {
		id := v(in.RouteTableId) + "|" + v(in.DestinationCidrBlock)
		if f.things[id] != nil {
			return nil, awsapi.NewError("RouteAlreadyExists", "The route identified by %s already exists.", v(in.DestinationCidrBlock))
		}
		f.add("route", id, nil, map[string]string{"to": v(in.DestinationCidrBlock)}, v(in.RouteTableId), v(in.GatewayId)+v(in.NatGatewayId))
		return &ec2api.CreateRouteOutput{}, nil
	})
}

func (f *front) ReplaceRoute(_ context.Context, in *ec2api.ReplaceRouteInput) (*ec2api.ReplaceRouteOutput, error) {
	return call(f, "ReplaceRoute", func() (*ec2api.ReplaceRouteOutput, error) {
		f.things[v(in.RouteTableId)+"|"+v(in.DestinationCidrBlock)].refs[1] = v(in.GatewayId) + v(in.NatGatewayId)
		return &ec2api.ReplaceRouteOutput{}, nil
	})
}

func (f *front) DeleteRoute(_ context.Context, in *ec2api.DeleteRouteInput) (*ec2api.DeleteRouteOutput, error) {
	return call(f, "DeleteRoute", func() (*ec2api.DeleteRouteOutput, error) {
		return &ec2api.DeleteRouteOutput{}, f.drop(v(in.RouteTableId)+"|"+v(in.DestinationCidrBlock), "InvalidRoute.NotFound")
	})
}

func (f *front) AssociateRouteTable(_ context.Context, in *ec2api.AssociateRouteTableInput) (*ec2api.AssociateRouteTableOutput, error) {
	return call(f, "AssociateRouteTable", func() (*ec2api.AssociateRouteTableOutput, error) {
		t := f.add("association", f.id("rtbassoc"), nil, nil, v(in.RouteTableId), v(in.SubnetId))
		return &ec2api.AssociateRouteTableOutput{AssociationId: &t.id}, nil
	})
}

func (f *front) DisassociateRouteTable(_ context.Context, in *ec2api.DisassociateRouteTableInput) (*ec2api.DisassociateRouteTableOutput, error) {
	return call(f, "DisassociateRouteTable", func() (*ec2api.DisassociateRouteTableOutput, error) {
		return &ec2api.DisassociateRouteTableOutput{}, f.drop(v(in.AssociationId), "InvalidAssociationID.NotFound")
	})
}

func (f *front) CreateSecurityGroup(_ context.Context, in *ec2api.CreateSecurityGroupInput) (*ec2api.CreateSecurityGroupOutput, error) {
	return call(f, "CreateSecurityGroup", func() (*ec2api.CreateSecurityGroupOutput, error) {
		t := f.add("sg", f.id("sg"), specTags(in.TagSpecifications), map[string]string{"name": v(in.GroupName)}, v(in.VpcId))
		f.add("rule", f.id("sgr"), nil, map[string]string{"rule": ruleText(true, allowAll()), "group": t.id}, "")
		return &ec2api.CreateSecurityGroupOutput{GroupId: &t.id}, nil
	})
}

func allowAll() ec2api.IpPermission {
	return ec2api.IpPermission{IpProtocol: s("-1"), IpRanges: []ec2api.IpRange{{CidrIp: s("0.0.0.0/0")}}}
}

func (f *front) DescribeSecurityGroups(_ context.Context, in *ec2api.DescribeSecurityGroupsInput) (*ec2api.DescribeSecurityGroupsOutput, error) {
	return call(f, "DescribeSecurityGroups", func() (*ec2api.DescribeSecurityGroupsOutput, error) {
		out := &ec2api.DescribeSecurityGroupsOutput{}
		for _, t := range f.list("sg", in.GroupIds, filtered(in.Filters)) {
			out.SecurityGroups = append(out.SecurityGroups, ec2api.SecurityGroup{GroupId: &t.id, GroupName: s(t.text["name"]), VpcId: &t.refs[0]})
		}
		return out, nil
	})
}

func (f *front) DeleteSecurityGroup(_ context.Context, in *ec2api.DeleteSecurityGroupInput) (*ec2api.DeleteSecurityGroupOutput, error) {
	return call(f, "DeleteSecurityGroup", func() (*ec2api.DeleteSecurityGroupOutput, error) {
		for _, r := range f.list("rule", nil, func(r *thing) bool { return r.text["group"] == v(in.GroupId) }) {
			delete(f.things, r.id)
		}
		return &ec2api.DeleteSecurityGroupOutput{}, f.drop(v(in.GroupId), "InvalidGroup.NotFound")
	})
}

func ruleText(egress bool, p ec2api.IpPermission) string {
	text := fmt.Sprintf("%v %s %d-%d", egress, v(p.IpProtocol), awsapi.Val(p.FromPort), awsapi.Val(p.ToPort))
	for _, r := range p.IpRanges {
		text += " " + v(r.CidrIp)
	}
	for _, r := range p.UserIdGroupPairs {
		text += " " + v(r.GroupId)
	}
	return text
}

func (f *front) authorize(group string, egress bool, list []ec2api.IpPermission) ([]ec2api.SecurityGroupRule, error) {
	var out []ec2api.SecurityGroupRule
	for _, p := range list {
		text := ruleText(egress, p)
		if len(f.list("rule", nil, func(r *thing) bool { return r.text["group"] == group && r.text["rule"] == text })) > 0 {
			return nil, awsapi.NewError("InvalidPermission.Duplicate", "the specified rule already exists")
		}
		peer := ""
		for _, r := range p.UserIdGroupPairs {
			peer = v(r.GroupId)
		}
		t := f.add("rule", f.id("sgr"), nil, map[string]string{"rule": text, "group": group}, peer)
		out = append(out, ec2api.SecurityGroupRule{SecurityGroupRuleId: &t.id})
	}
	return out, nil
}

func (f *front) revoke(group string, egress bool, list []ec2api.IpPermission) error {
	for _, p := range list {
		found := f.list("rule", nil, func(r *thing) bool { return r.text["group"] == group && r.text["rule"] == ruleText(egress, p) })
		if len(found) == 0 {
			return awsapi.NewError("InvalidPermission.NotFound", "The specified rule does not exist")
		}
		delete(f.things, found[0].id)
	}
	return nil
}

func (f *front) AuthorizeSecurityGroupIngress(_ context.Context, in *ec2api.AuthorizeSecurityGroupIngressInput) (*ec2api.AuthorizeSecurityGroupIngressOutput, error) {
	return call(f, "AuthorizeSecurityGroupIngress", func() (*ec2api.AuthorizeSecurityGroupIngressOutput, error) {
		rules, err := f.authorize(v(in.GroupId), false, in.IpPermissions)
		return &ec2api.AuthorizeSecurityGroupIngressOutput{SecurityGroupRules: rules}, err
	})
}

func (f *front) AuthorizeSecurityGroupEgress(_ context.Context, in *ec2api.AuthorizeSecurityGroupEgressInput) (*ec2api.AuthorizeSecurityGroupEgressOutput, error) {
	return call(f, "AuthorizeSecurityGroupEgress", func() (*ec2api.AuthorizeSecurityGroupEgressOutput, error) {
		rules, err := f.authorize(v(in.GroupId), true, in.IpPermissions)
		return &ec2api.AuthorizeSecurityGroupEgressOutput{SecurityGroupRules: rules}, err
	})
}

func (f *front) RevokeSecurityGroupIngress(_ context.Context, in *ec2api.RevokeSecurityGroupIngressInput) (*ec2api.RevokeSecurityGroupIngressOutput, error) {
	return call(f, "RevokeSecurityGroupIngress", func() (*ec2api.RevokeSecurityGroupIngressOutput, error) {
		return &ec2api.RevokeSecurityGroupIngressOutput{}, f.revoke(v(in.GroupId), false, in.IpPermissions)
	})
}

func (f *front) RevokeSecurityGroupEgress(_ context.Context, in *ec2api.RevokeSecurityGroupEgressInput) (*ec2api.RevokeSecurityGroupEgressOutput, error) {
	return call(f, "RevokeSecurityGroupEgress", func() (*ec2api.RevokeSecurityGroupEgressOutput, error) {
		return &ec2api.RevokeSecurityGroupEgressOutput{}, f.revoke(v(in.GroupId), true, in.IpPermissions)
	})
}

func (f *front) DescribeSecurityGroupRules(_ context.Context, in *ec2api.DescribeSecurityGroupRulesInput) (*ec2api.DescribeSecurityGroupRulesOutput, error) {
	return call(f, "DescribeSecurityGroupRules", func() (*ec2api.DescribeSecurityGroupRulesOutput, error) {
		out := &ec2api.DescribeSecurityGroupRulesOutput{}
		for _, t := range f.list("rule", nil, func(r *thing) bool { return slices.Contains(in.Filters[0].Values, r.text["group"]) }) {
			var egress bool
			var protocol, peer string
			var from, to int32
			_, _ = fmt.Sscanf(t.text["rule"], "%v %s %d-%d %s", &egress, &protocol, &from, &to, &peer)
			r := ec2api.SecurityGroupRule{SecurityGroupRuleId: &t.id, IsEgress: &egress, IpProtocol: &protocol, FromPort: &from, ToPort: &to}
			if strings.HasPrefix(peer, "sg-") {
				r.ReferencedGroupInfo = &ec2api.ReferencedSecurityGroup{GroupId: &peer}
			} else {
				r.CidrIpv4 = &peer
			}
			out.SecurityGroupRules = append(out.SecurityGroupRules, r)
		}
		return out, nil
	})
}

func (f *front) CreateTags(_ context.Context, in *ec2api.CreateTagsInput) (*ec2api.CreateTagsOutput, error) {
	return call(f, "CreateTags", func() (*ec2api.CreateTagsOutput, error) {
		for _, t := range in.Tags {
			f.things[in.Resources[0]].tags[v(t.Key)] = v(t.Value)
		}
		return &ec2api.CreateTagsOutput{}, nil
	})
}
