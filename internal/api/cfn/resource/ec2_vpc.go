package resource

import (
	"context"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/stack"
)

func (t *ec2Types) vpcTypes() []*Type {
	return []*Type{
		{
			Type: stack.Type{
				Name:       "AWS::EC2::VPC",
				Properties: props("CidrBlock*", "InstanceTenancy", "EnableDnsSupport", "EnableDnsHostnames", "Tags"),
				Attributes: []string{"VpcId", "CidrBlock", "CidrBlockAssociations", "DefaultNetworkAcl", "DefaultSecurityGroup", "Ipv6CidrBlocks"},
			},
			New: t.newVPC, Find: t.findVPC, Apply: t.applyVPC, Ready: t.vpcReady, Read: t.readVPC, Live: true, Taggable: true,
			Remove: func(ctx context.Context, r *Request) error {
				_, err := invoke(ctx, t.d, t.api.DeleteVpc, &ec2api.DeleteVpcInput{VpcId: &r.PhysicalID})
				return err
			},
		},
		{
			Type: stack.Type{
				Name:       "AWS::EC2::VPCCidrBlock",
				Properties: props("VpcId!*", "CidrBlock*", "AmazonProvidedIpv6CidrBlock*"),
				Attributes: []string{"Id"},
			},
			New: t.newVPCCidrBlock, Find: t.findVPCCidrBlock, Read: readID,
			Remove: func(ctx context.Context, r *Request) error {
				_, err := invoke(ctx, t.d, t.api.DisassociateVpcCidrBlock, &ec2api.DisassociateVpcCidrBlockInput{AssociationId: &r.PhysicalID})
				return err
			},
		},
		{
			Type: stack.Type{
				Name: "AWS::EC2::Subnet",
				Properties: props("VpcId!*", "CidrBlock*", "AvailabilityZone*", "AvailabilityZoneId*", "Ipv6CidrBlock*", "Ipv6Native*",
					"MapPublicIpOnLaunch", "AssignIpv6AddressOnCreation", "EnableDns64", "Tags"),
				Attributes: []string{"SubnetId", "AvailabilityZone", "AvailabilityZoneId", "CidrBlock", "VpcId", "Ipv6CidrBlocks"},
			},
			New: t.newSubnet, Find: t.findSubnet, Apply: t.applySubnet, Ready: t.subnetReady, Read: t.readSubnet, Taggable: true,
			Remove: func(ctx context.Context, r *Request) error {
				_, err := invoke(ctx, t.d, t.api.DeleteSubnet, &ec2api.DeleteSubnetInput{SubnetId: &r.PhysicalID})
				return err
			},
		},
	}
}

// readID is the Read of types whose only attribute is their ID.
func readID(_ context.Context, r *Request) (Attributes, error) {
	return Attributes{"Id": r.PhysicalID}, nil
}

func (t *ec2Types) newVPC(ctx context.Context, r *Request) (string, error) {
	in := &ec2api.CreateVpcInput{TagSpecifications: t.tags(r, ec2api.ResourceTypeVpc)}
	if err := r.fill(in, "CidrBlock", "InstanceTenancy"); err != nil {
		return "", err
	}
	out, err := invoke(ctx, t.d, t.api.CreateVpc, in)
	if err != nil {
		return "", err
	}
	return awsapi.Val(out.Vpc.VpcId), nil
}

func (t *ec2Types) findVPC(ctx context.Context, r *Request) (string, bool, error) {
	out, err := invoke(ctx, t.d, t.api.DescribeVpcs, &ec2api.DescribeVpcsInput{Filters: mine(r)})
	if err != nil {
		return "", false, err
	}
	return unknown(r, out.Vpcs, func(v *ec2api.Vpc) *string { return v.VpcId })
}

func (t *ec2Types) applyVPC(ctx context.Context, r *Request) error {
	if r.Old != nil && r.changed("InstanceTenancy") {
		return r.invalid("#/InstanceTenancy", "cannot be changed")
	}
	// One attribute per call, support first: host names need it.
	for _, name := range []string{"EnableDnsSupport", "EnableDnsHostnames"} {
		if !r.changed(name) {
			continue
		}
		in := &ec2api.ModifyVpcAttributeInput{VpcId: &r.PhysicalID}
		v, err := boolValue(r, name)
		if err != nil {
			return err
		}
		if v.Value == nil {
			v.Value = p(name == "EnableDnsSupport") // back to the default
		}
		if name == "EnableDnsSupport" {
			in.EnableDnsSupport = v
		} else {
			in.EnableDnsHostnames = v
		}
		if _, err := invoke(ctx, t.d, t.api.ModifyVpcAttribute, in); err != nil {
			return err
		}
	}
	return t.retag(ctx, r, r.PhysicalID)
}

func (t *ec2Types) vpc(ctx context.Context, id string) (ec2api.Vpc, error) {
	out, err := invoke(ctx, t.d, t.api.DescribeVpcs, &ec2api.DescribeVpcsInput{VpcIds: []string{id}})
	if err != nil {
		return ec2api.Vpc{}, err
	}
	v, _ := first(out.Vpcs)
	return v, nil
}

func (t *ec2Types) vpcReady(ctx context.Context, r *Request) (State, error) {
	v, err := t.vpc(ctx, r.PhysicalID)
	return State{Done: v.State == "available", Why: "state of the VPC: " + string(v.State)}, err
}

func (t *ec2Types) readVPC(ctx context.Context, r *Request) (Attributes, error) {
	v, err := t.vpc(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	a := Attributes{"VpcId": r.PhysicalID, "CidrBlock": awsapi.Val(v.CidrBlock)}
	var associations, v6 []string
	for _, c := range v.CidrBlockAssociationSet {
		associations = append(associations, awsapi.Val(c.AssociationId))
	}
	for _, c := range v.Ipv6CidrBlockAssociationSet {
		if c.Ipv6CidrBlockState == nil || c.Ipv6CidrBlockState.State == "associated" {
			v6 = append(v6, awsapi.Val(c.Ipv6CidrBlock))
		}
	}
	a["CidrBlockAssociations"], a["Ipv6CidrBlocks"] = associations, v6
	inVPC := func(more ec2api.Filter) []ec2api.Filter {
		return []ec2api.Filter{{Name: p("vpc-id"), Values: []string{r.PhysicalID}}, more}
	}
	groups, err := invoke(ctx, t.d, t.api.DescribeSecurityGroups, &ec2api.DescribeSecurityGroupsInput{
		Filters: inVPC(ec2api.Filter{Name: p("group-name"), Values: []string{"default"}})})
	if err != nil {
		return nil, err
	}
	if g, ok := first(groups.SecurityGroups); ok {
		a["DefaultSecurityGroup"] = awsapi.Val(g.GroupId)
	}
	acls, err := invoke(ctx, t.d, t.api.DescribeNetworkAcls, &ec2api.DescribeNetworkAclsInput{
		Filters: inVPC(ec2api.Filter{Name: p("default"), Values: []string{"true"}})})
	if err != nil {
		return nil, err
	}
	if acl, ok := first(acls.NetworkAcls); ok {
		a["DefaultNetworkAcl"] = awsapi.Val(acl.NetworkAclId)
	}
	return a, nil
}

func (t *ec2Types) newVPCCidrBlock(ctx context.Context, r *Request) (string, error) {
	in := &ec2api.AssociateVpcCidrBlockInput{}
	if err := r.fill(in, "VpcId", "CidrBlock", "AmazonProvidedIpv6CidrBlock"); err != nil {
		return "", err
	}
	out, err := invoke(ctx, t.d, t.api.AssociateVpcCidrBlock, in)
	if err != nil {
		return "", err
	}
	if out.Ipv6CidrBlockAssociation != nil {
		return awsapi.Val(out.Ipv6CidrBlockAssociation.AssociationId), nil
	}
	return awsapi.Val(out.CidrBlockAssociation.AssociationId), nil
}

func (t *ec2Types) findVPCCidrBlock(ctx context.Context, r *Request) (string, bool, error) {
	v, err := t.vpc(ctx, r.text("VpcId"))
	if err != nil {
		return "", false, err
	}
	for _, c := range v.CidrBlockAssociationSet {
		if awsapi.Val(c.CidrBlock) == r.text("CidrBlock") && awsapi.Val(c.CidrBlock) != awsapi.Val(v.CidrBlock) {
			return awsapi.Val(c.AssociationId), true, nil
		}
	}
	if strings.EqualFold(r.text("AmazonProvidedIpv6CidrBlock"), "true") && len(v.Ipv6CidrBlockAssociationSet) > 0 {
		return awsapi.Val(v.Ipv6CidrBlockAssociationSet[0].AssociationId), true, nil
	}
	return "", false, nil
}

func (t *ec2Types) newSubnet(ctx context.Context, r *Request) (string, error) {
	in := &ec2api.CreateSubnetInput{TagSpecifications: t.tags(r, ec2api.ResourceTypeSubnet)}
	if err := r.fill(in, "VpcId", "CidrBlock", "AvailabilityZone", "AvailabilityZoneId", "Ipv6CidrBlock", "Ipv6Native"); err != nil {
		return "", err
	}
	out, err := invoke(ctx, t.d, t.api.CreateSubnet, in)
	if err != nil {
		return "", err
	}
	return awsapi.Val(out.Subnet.SubnetId), nil
}

func (t *ec2Types) findSubnet(ctx context.Context, r *Request) (string, bool, error) {
	out, err := invoke(ctx, t.d, t.api.DescribeSubnets, &ec2api.DescribeSubnetsInput{Filters: mine(r)})
	if err != nil {
		return "", false, err
	}
	return unknown(r, out.Subnets, func(s *ec2api.Subnet) *string { return s.SubnetId })
}

func (t *ec2Types) applySubnet(ctx context.Context, r *Request) error {
	for _, name := range []string{"MapPublicIpOnLaunch", "AssignIpv6AddressOnCreation", "EnableDns64"} {
		if !r.changed(name) {
			continue
		}
		v, err := boolValue(r, name)
		if err != nil {
			return err
		}
		if v.Value == nil {
			v.Value = p(false)
		}
		if r.Old == nil && !*v.Value {
			continue // the default; and an IPv4 subnet need not be asked about IPv6
		}
		in := &ec2api.ModifySubnetAttributeInput{SubnetId: &r.PhysicalID}
		switch name {
		case "MapPublicIpOnLaunch":
			in.MapPublicIpOnLaunch = v
		case "AssignIpv6AddressOnCreation":
			in.AssignIpv6AddressOnCreation = v
		default:
			in.EnableDns64 = v
		}
		if _, err := invoke(ctx, t.d, t.api.ModifySubnetAttribute, in); err != nil {
			return err
		}
	}
	return t.retag(ctx, r, r.PhysicalID)
}

func (t *ec2Types) subnet(ctx context.Context, r *Request) (ec2api.Subnet, error) {
	out, err := invoke(ctx, t.d, t.api.DescribeSubnets, &ec2api.DescribeSubnetsInput{SubnetIds: []string{r.PhysicalID}})
	if err != nil {
		return ec2api.Subnet{}, err
	}
	s, _ := first(out.Subnets)
	return s, nil
}

func (t *ec2Types) subnetReady(ctx context.Context, r *Request) (State, error) {
	s, err := t.subnet(ctx, r)
	return State{Done: s.State == "available", Why: "state of the subnet: " + string(s.State)}, err
}

func (t *ec2Types) readSubnet(ctx context.Context, r *Request) (Attributes, error) {
	s, err := t.subnet(ctx, r)
	if err != nil {
		return nil, err
	}
	var v6 []string
	for _, c := range s.Ipv6CidrBlockAssociationSet {
		v6 = append(v6, awsapi.Val(c.Ipv6CidrBlock))
	}
	return Attributes{
		"SubnetId": r.PhysicalID, "AvailabilityZone": awsapi.Val(s.AvailabilityZone), "AvailabilityZoneId": awsapi.Val(s.AvailabilityZoneId),
		"CidrBlock": awsapi.Val(s.CidrBlock), "VpcId": awsapi.Val(s.VpcId), "Ipv6CidrBlocks": v6,
	}, nil
}
