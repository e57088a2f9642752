package ec2

import (
	"context"
	"net/netip"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// Sizes that a VPC's and a subnet's IPv4 block may have, as prefix lengths (aws-facts 2.2).
const (
	minBlockBits = 16
	maxBlockBits = 28
	// maxVPCCIDRs is the default quota of IPv4 blocks of a VPC (aws-facts 2.4).
	maxVPCCIDRs = 5
)

const defaultGroupName = "default"

// CreateVpc makes a VPC with its main route table, default security group and default network ACL.
func (s *Server) CreateVpc(ctx context.Context, in *ec2api.CreateVpcInput) (*ec2api.CreateVpcOutput, error) {
	if err := only(in, "CidrBlock", "InstanceTenancy", "TagSpecifications"); err != nil {
		return nil, err
	}
	if in.CidrBlock == nil {
		return nil, awsapi.NewError("MissingParameter", "Either 'cidrBlock' or 'ipv4IpamPoolId' should be provided.")
	}
	block, err := parseBlock("cidrBlock", *in.CidrBlock, "InvalidVpc.Range")
	if err != nil {
		return nil, err
	}
	switch in.InstanceTenancy {
	case "", ec2api.TenancyDefault:
	default:
		return nil, awsapi.NewError("UnsupportedOperation", "The tenancy '%s' is not supported: Neargate runs Fargate tasks only.", in.InstanceTenancy)
	}
	meta, err := s.meta(in.TagSpecifications, ec2api.ResourceTypeVpc)
	if err != nil {
		return nil, err
	}
	vpc := s.newVPC(meta, block)
	err = s.update(ctx, func(tx *store.Txn) error {
		s.tables.VPCs.Put(tx, vpc)
		s.tables.RouteTables.Put(tx, &model.RouteTable{
			Meta: model.Meta{CreatedAt: meta.CreatedAt}, ID: vpc.MainRouteTableID, VPCID: vpc.ID, Routes: []model.Route{localRoute(block)},
			Associations: []model.RouteTableAssoc{{ID: model.NewID(model.PrefixRouteTableAssoc), Main: true}},
		})
		s.putDefaultGroup(tx, vpc)
		return nil
	})
	if err != nil {
		return nil, err
	}
	answer := s.vpc(vpc)
	answer.State = ec2api.VpcStatePending // as on AWS: it is available when it is described
	return &ec2api.CreateVpcOutput{Vpc: &answer}, nil
}

func (s *Server) newVPC(meta model.Meta, block netip.Prefix) *model.VPC {
	return &model.VPC{
		Meta: meta, ID: model.NewID(model.PrefixVPC), State: string(ec2api.VpcStateAvailable),
		CIDRs:   []model.VPCCIDR{{AssociationID: model.NewID(model.PrefixVPCCIDRAssoc), Block: block, State: "associated"}},
		Tenancy: string(ec2api.TenancyDefault), DHCPOptionsID: s.dhcpOptionsID(), DNSSupport: true,
		MainRouteTableID: model.NewID(model.PrefixRouteTable), DefaultGroupID: model.NewID(model.PrefixSecurityGroup),
		DefaultACLID: model.NewID(model.PrefixNetworkACL),
	}
}

// putDefaultGroup makes the group that members without another one are in: everything from itself, everything out.
func (s *Server) putDefaultGroup(tx *store.Txn, vpc *model.VPC) {
	meta := model.Meta{CreatedAt: vpc.CreatedAt}
	s.tables.SecurityGroups.Put(tx, &model.SecurityGroup{
		Meta: meta, ID: vpc.DefaultGroupID, VPCID: vpc.ID, Name: defaultGroupName, Description: "default VPC security group",
	})
	s.tables.SecurityGroupRules.Put(tx, &model.SecurityGroupRule{
		Meta: meta, ID: model.NewID(model.PrefixSecurityGroupRule), GroupID: vpc.DefaultGroupID,
		Protocol: model.ProtoAll, From: -1, To: -1, RefGroupID: vpc.DefaultGroupID,
	})
	s.tables.SecurityGroupRules.Put(tx, allowAllEgress(meta, vpc.DefaultGroupID))
}

// parseBlock reads an IPv4 block; host bits are cleared, as EC2 does. code is for a block of a wrong size.
func parseBlock(parameter, text, code string) (netip.Prefix, error) {
	block, err := netip.ParsePrefix(text)
	if err != nil || !block.Addr().Is4() {
		return netip.Prefix{}, invalidValue(parameter, text, "This is not a valid CIDR block.")
	}
	if block.Bits() < minBlockBits || block.Bits() > maxBlockBits {
		return netip.Prefix{}, awsapi.NewError(code, "The CIDR '%s' is invalid.", text)
	}
	block = block.Masked()
	for _, own := range []netip.Prefix{netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("224.0.0.0/4")} {
		if own.Overlaps(block) {
			return netip.Prefix{}, awsapi.NewError(code, "The CIDR '%s' is invalid.", text)
		}
	}
	if model.PublicPool.Overlaps(block) || model.ServicePool.Overlaps(block) {
		return netip.Prefix{}, awsapi.NewError(code, "The CIDR '%s' is invalid: 198.18.0.0/15 is Neargate's own Internet.", text)
	}
	return block, nil
}

// DeleteVpc deletes a VPC that nothing is in any more, with what CreateVpc made.
func (s *Server) DeleteVpc(ctx context.Context, in *ec2api.DeleteVpcInput) (*ec2api.DeleteVpcOutput, error) {
	id := awsapi.Val(in.VpcId)
	err := s.update(ctx, func(tx *store.Txn) error {
		vpc, ok := s.tables.VPCs.Get(tx, id)
		if !ok {
			return vpcNotFound(id)
		}
		if s.vpcIsUsed(tx, vpc) {
			return inUse("vpc", id)
		}
		s.tables.RouteTables.Delete(tx, vpc.MainRouteTableID)
		s.deleteGroup(tx, vpc.DefaultGroupID)
		s.tables.VPCs.Delete(tx, id)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ec2api.DeleteVpcOutput{}, nil
}

// vpcIsUsed reports whether anything is in the VPC but its defaults.
func (s *Server) vpcIsUsed(r store.Reader, vpc *model.VPC) bool {
	t := s.tables
	for nat := range t.NatGateways.By(r, "vpc", vpc.ID) {
		if nat.State != model.NatDeleted && nat.State != model.NatFailed {
			return true
		}
	}
	return t.Subnets.LenBy(r, "vpc", vpc.ID) > 0 || t.NetworkInterfaces.LenBy(r, "vpc", vpc.ID) > 0 ||
		t.InternetGateways.LenBy(r, "vpc", vpc.ID) > 0 ||
		t.RouteTables.LenBy(r, "vpc", vpc.ID) > 1 || t.SecurityGroups.LenBy(r, "vpc", vpc.ID) > 1
}

// DescribeVpcs lists VPCs.
func (s *Server) DescribeVpcs(_ context.Context, in *ec2api.DescribeVpcsInput) (*ec2api.DescribeVpcsOutput, error) {
	view := s.db.View()
	out, next, err := describe(query{ids: in.VpcIds, filters: in.Filters, maxResults: in.MaxResults, nextToken: in.NextToken}, noun[model.VPC, ec2api.Vpc]{
		id:      func(v *model.VPC) string { return v.ID },
		missing: vpcNotFound,
		tags:    func(v *model.VPC) model.Tags { return v.Tags },
		fields: fields[model.VPC]{
			"vpc-id":          func(v *model.VPC) []string { return one(v.ID) },
			"cidr":            func(v *model.VPC) []string { return one(v.PrimaryCIDR().String()) },
			"cidr-block":      func(v *model.VPC) []string { return one(v.PrimaryCIDR().String()) },
			"cidrBlock":       func(v *model.VPC) []string { return one(v.PrimaryCIDR().String()) },
			"dhcp-options-id": func(v *model.VPC) []string { return one(v.DHCPOptionsID) },
			"is-default":      func(v *model.VPC) []string { return boolean(v.IsDefault) },
			"isDefault":       func(v *model.VPC) []string { return boolean(v.IsDefault) },
			"owner-id":        func(*model.VPC) []string { return one(s.scope.Account) },
			"state":           func(v *model.VPC) []string { return one(v.State) },
			"cidr-block-association.cidr-block": func(v *model.VPC) []string {
				var blocks []string
				for _, c := range v.CIDRs {
					blocks = append(blocks, c.Block.String())
				}
				return blocks
			},
			"cidr-block-association.association-id": func(v *model.VPC) []string {
				var ids []string
				for _, c := range v.CIDRs {
					ids = append(ids, c.AssociationID)
				}
				return ids
			},
			"cidr-block-association.state":                func(*model.VPC) []string { return one("associated") },
			"ipv6-cidr-block-association.association-id":  func(*model.VPC) []string { return nil },
			"ipv6-cidr-block-association.state":           func(*model.VPC) []string { return nil },
			"ipv6-cidr-block-association.ipv6-cidr-block": func(*model.VPC) []string { return nil },
		},
		convert: s.vpc,
	}, func(id string) (*model.VPC, bool) { return s.tables.VPCs.Get(view, id) }, s.tables.VPCs.List(view))
	if err != nil {
		return nil, err
	}
	return &ec2api.DescribeVpcsOutput{Vpcs: out, NextToken: next}, nil
}

func (s *Server) vpc(v *model.VPC) ec2api.Vpc {
	out := ec2api.Vpc{
		CidrBlock: awsapi.Ptr(v.PrimaryCIDR().String()), DhcpOptionsId: &v.DHCPOptionsID, InstanceTenancy: ec2api.Tenancy(v.Tenancy),
		IsDefault: &v.IsDefault, OwnerId: s.owner(), State: ec2api.VpcState(v.State), Tags: tagList(v.Tags), VpcId: &v.ID,
	}
	for _, c := range v.CIDRs {
		out.CidrBlockAssociationSet = append(out.CidrBlockAssociationSet, cidrAssociation(c))
	}
	return out
}

func cidrAssociation(c model.VPCCIDR) ec2api.VpcCidrBlockAssociation {
	return ec2api.VpcCidrBlockAssociation{
		AssociationId: awsapi.Ptr(c.AssociationID), CidrBlock: awsapi.Ptr(c.Block.String()),
		CidrBlockState: &ec2api.VpcCidrBlockState{State: ec2api.VpcCidrBlockStateCode(c.State)},
	}
}

// AssociateVpcCidrBlock adds an IPv4 block to a VPC, and its local route to every route table.
func (s *Server) AssociateVpcCidrBlock(ctx context.Context, in *ec2api.AssociateVpcCidrBlockInput) (*ec2api.AssociateVpcCidrBlockOutput, error) {
	if err := only(in, "VpcId", "CidrBlock"); err != nil {
		return nil, err
	}
	if in.CidrBlock == nil {
		return nil, missing("CidrBlock")
	}
	block, err := parseBlock("cidrBlock", *in.CidrBlock, "InvalidVpc.Range")
	if err != nil {
		return nil, err
	}
	id := awsapi.Val(in.VpcId)
	added := model.VPCCIDR{AssociationID: model.NewID(model.PrefixVPCCIDRAssoc), Block: block, State: "associated"}
	err = s.update(ctx, func(tx *store.Txn) error {
		vpc, ok := s.tables.VPCs.Get(tx, id)
		if !ok {
			return vpcNotFound(id)
		}
		if len(vpc.CIDRs) >= maxVPCCIDRs {
			return awsapi.NewError("CidrLimitExceeded", "This network %s has met its maximum number of allowed CIDRs: %d", id, maxVPCCIDRs)
		}
		for _, c := range vpc.CIDRs {
			if c.Block.Overlaps(block) {
				return awsapi.NewError("InvalidVpc.Range", "The CIDR '%s' conflicts with %s of the VPC.", block, c.Block)
			}
		}
		for rt := range s.tables.RouteTables.By(tx, "vpc", id) {
			for _, r := range rt.Routes {
				// A route to the same or a smaller range would be hidden by, or hide, the local route (aws-facts 2.2).
				if block.Bits() <= r.Destination.Bits() && block.Contains(r.Destination.Addr()) {
					return awsapi.NewError("InvalidVpc.Range", "The CIDR '%s' conflicts with the route %s of %s.", block, r.Destination, rt.ID)
				}
			}
		}
		for rt := range s.tables.RouteTables.By(tx, "vpc", id) {
			s.tables.RouteTables.Edit(tx, rt.ID, func(rt *model.RouteTable) {
				rt.Routes = append([]model.Route{localRoute(block)}, rt.Routes...)
			})
		}
		s.tables.VPCs.Edit(tx, id, func(v *model.VPC) { v.CIDRs = append(v.CIDRs, added) })
		return nil
	})
	if err != nil {
		return nil, err
	}
	association := cidrAssociation(added)
	association.CidrBlockState.State = ec2api.VpcCidrBlockStateCodeAssociating
	return &ec2api.AssociateVpcCidrBlockOutput{VpcId: &id, CidrBlockAssociation: &association}, nil
}

// DisassociateVpcCidrBlock takes an additional IPv4 block away that no subnet uses.
func (s *Server) DisassociateVpcCidrBlock(ctx context.Context, in *ec2api.DisassociateVpcCidrBlockInput) (*ec2api.DisassociateVpcCidrBlockOutput, error) {
	association := awsapi.Val(in.AssociationId)
	var vpcID string
	var removed model.VPCCIDR
	err := s.update(ctx, func(tx *store.Txn) error {
		vpc, at := s.vpcOfCIDR(tx, association)
		if vpc == nil {
			return awsapi.NewError("InvalidVpcCidrBlockAssociationID.NotFound", "The vpc CIDR block association ID '%s' does not exist", association)
		}
		vpcID, removed = vpc.ID, vpc.CIDRs[at]
		if at == 0 {
			return awsapi.NewError("OperationNotPermitted", "The vpc CIDR block with association ID %s may not be disassociated. It is the primary IPv4 CIDR block of the VPC", association)
		}
		for subnet := range s.tables.Subnets.By(tx, "vpc", vpc.ID) {
			if removed.Block.Overlaps(subnet.CIDR) {
				return awsapi.NewError("InvalidCidrBlock.InUse", "The vpc CIDR block with association ID %s is in use by subnet %s", association, subnet.ID)
			}
		}
		for rt := range s.tables.RouteTables.By(tx, "vpc", vpc.ID) {
			s.tables.RouteTables.Edit(tx, rt.ID, func(rt *model.RouteTable) { removeRoute(rt, removed.Block) })
		}
		s.tables.VPCs.Edit(tx, vpc.ID, func(v *model.VPC) { v.CIDRs = append(v.CIDRs[:at:at], v.CIDRs[at+1:]...) })
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := cidrAssociation(removed)
	out.CidrBlockState.State = ec2api.VpcCidrBlockStateCodeDisassociating
	return &ec2api.DisassociateVpcCidrBlockOutput{VpcId: &vpcID, CidrBlockAssociation: &out}, nil
}

func (s *Server) vpcOfCIDR(r store.Reader, association string) (*model.VPC, int) {
	for vpc := range s.tables.VPCs.List(r) {
		for i, c := range vpc.CIDRs {
			if c.AssociationID == association {
				return vpc, i
			}
		}
	}
	return nil, 0
}

// ModifyVpcAttribute changes one attribute of a VPC.
func (s *Server) ModifyVpcAttribute(ctx context.Context, in *ec2api.ModifyVpcAttributeInput) (*ec2api.ModifyVpcAttributeOutput, error) {
	id, set := awsapi.Val(in.VpcId), 0
	for _, a := range []*ec2api.AttributeBooleanValue{in.EnableDnsHostnames, in.EnableDnsSupport, in.EnableNetworkAddressUsageMetrics} {
		if a != nil {
			set++
		}
	}
	if set != 1 {
		return nil, awsapi.NewError("InvalidParameterCombination", "Exactly one of EnableDnsHostnames, EnableDnsSupport and EnableNetworkAddressUsageMetrics must be given")
	}
	if attributeIsTrue(in.EnableNetworkAddressUsageMetrics) {
		return nil, awsapi.NewError("UnsupportedOperation", "Neargate has no network address usage metrics: leave EnableNetworkAddressUsageMetrics false.")
	}
	err := s.update(ctx, func(tx *store.Txn) error {
		ok := s.tables.VPCs.Edit(tx, id, func(v *model.VPC) {
			switch {
			case in.EnableDnsHostnames != nil:
				v.DNSHostnames = attributeIsTrue(in.EnableDnsHostnames)
			case in.EnableDnsSupport != nil:
				v.DNSSupport = attributeIsTrue(in.EnableDnsSupport)
			}
		})
		if !ok {
			return vpcNotFound(id)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ec2api.ModifyVpcAttributeOutput{}, nil
}

// DescribeVpcAttribute reads one attribute of a VPC.
func (s *Server) DescribeVpcAttribute(_ context.Context, in *ec2api.DescribeVpcAttributeInput) (*ec2api.DescribeVpcAttributeOutput, error) {
	id := awsapi.Val(in.VpcId)
	vpc, ok := s.tables.VPCs.Get(s.db.View(), id)
	if !ok {
		return nil, vpcNotFound(id)
	}
	out := &ec2api.DescribeVpcAttributeOutput{VpcId: &id}
	switch in.Attribute {
	case ec2api.VpcAttributeNameEnableDnsSupport:
		out.EnableDnsSupport = &ec2api.AttributeBooleanValue{Value: &vpc.DNSSupport}
	case ec2api.VpcAttributeNameEnableDnsHostnames:
		out.EnableDnsHostnames = &ec2api.AttributeBooleanValue{Value: &vpc.DNSHostnames}
	case ec2api.VpcAttributeNameEnableNetworkAddressUsageMetrics:
		out.EnableNetworkAddressUsageMetrics = &ec2api.AttributeBooleanValue{Value: &vpc.AddressUsageMetrics}
	default:
		return nil, invalidValue("attribute", string(in.Attribute), "")
	}
	return out, nil
}
