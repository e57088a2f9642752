package ec2

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/ipam"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// CreateSubnet makes a subnet in one availability zone.
func (s *Server) CreateSubnet(ctx context.Context, in *ec2api.CreateSubnetInput) (*ec2api.CreateSubnetOutput, error) {
	if err := only(in, "VpcId", "CidrBlock", "AvailabilityZone", "AvailabilityZoneId", "TagSpecifications"); err != nil {
		return nil, err
	}
	if in.CidrBlock == nil {
		return nil, missing("CidrBlock")
	}
	block, err := parseBlock("cidrBlock", *in.CidrBlock, "InvalidSubnet.Range")
	if err != nil {
		return nil, err
	}
	zone, err := s.zone(in.AvailabilityZone, in.AvailabilityZoneId)
	if err != nil {
		return nil, err
	}
	meta, err := s.meta(in.TagSpecifications, ec2api.ResourceTypeSubnet)
	if err != nil {
		return nil, err
	}
	subnet := &model.Subnet{
		Meta: meta, ID: model.NewID(model.PrefixSubnet), VPCID: awsapi.Val(in.VpcId), CIDR: block, AZ: zone,
		State: string(ec2api.SubnetStateAvailable), ACLAssociationID: model.NewID(model.PrefixNetworkACLAssoc), HostnameType: string(ec2api.HostnameTypeIpName),
	}
	var answer ec2api.Subnet
	err = s.update(ctx, func(tx *store.Txn) error {
		vpc, ok := s.tables.VPCs.Get(tx, subnet.VPCID)
		if !ok {
			return vpcNotFound(subnet.VPCID)
		}
		within := func(c model.VPCCIDR) bool { return c.Block.Bits() <= block.Bits() && c.Block.Contains(block.Addr()) }
		if !slices.ContainsFunc(vpc.CIDRs, within) {
			return awsapi.NewError("InvalidSubnet.Range", "The CIDR '%s' is invalid.", block)
		}
		for other := range s.tables.Subnets.By(tx, "vpc", vpc.ID) {
			if other.CIDR.Overlaps(block) {
				return awsapi.NewError("InvalidSubnet.Conflict", "The CIDR '%s' conflicts with another subnet", block)
			}
		}
		s.tables.Subnets.Put(tx, subnet)
		answer = s.subnet(tx, subnet)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ec2api.CreateSubnetOutput{Subnet: &answer}, nil
}

// zone returns the zone asked for by name or identifier; the first one if none is asked for.
func (s *Server) zone(name, id *string) (string, error) {
	zones := model.Zones(s.scope.Region)
	if name == nil && id == nil {
		return zones[0].Name, nil
	}
	names := make([]string, 0, len(zones))
	for _, z := range zones {
		if (name == nil || *name == z.Name) && (id == nil || *id == z.ID) {
			return z.Name, nil
		}
		names = append(names, z.Name)
	}
	asked, parameter := awsapi.Val(name), "availabilityZone"
	if name == nil {
		asked, parameter = *id, "availabilityZoneId"
	}
	return "", invalidValue(parameter, asked, "Subnets can currently only be created in the following availability zones: "+strings.Join(names, ", ")+".")
}

// DeleteSubnet deletes a subnet without network interfaces.
func (s *Server) DeleteSubnet(ctx context.Context, in *ec2api.DeleteSubnetInput) (*ec2api.DeleteSubnetOutput, error) {
	id := awsapi.Val(in.SubnetId)
	err := s.update(ctx, func(tx *store.Txn) error {
		subnet, ok := s.tables.Subnets.Get(tx, id)
		if !ok {
			return subnetNotFound(id)
		}
		if s.tables.NetworkInterfaces.LenBy(tx, "subnet", id) > 0 {
			return inUse("subnet", id)
		}
		for rt := range s.tables.RouteTables.By(tx, "vpc", subnet.VPCID) {
			if slices.ContainsFunc(rt.Associations, func(a model.RouteTableAssoc) bool { return a.SubnetID == id }) {
				s.tables.RouteTables.Edit(tx, rt.ID, func(rt *model.RouteTable) {
					rt.Associations = slices.DeleteFunc(rt.Associations, func(a model.RouteTableAssoc) bool { return a.SubnetID == id })
				})
			}
		}
		s.tables.Subnets.Delete(tx, id)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ec2api.DeleteSubnetOutput{}, nil
}

// DescribeSubnets lists subnets.
func (s *Server) DescribeSubnets(_ context.Context, in *ec2api.DescribeSubnetsInput) (*ec2api.DescribeSubnetsOutput, error) {
	view := s.db.View()
	block := func(n *model.Subnet) []string { return one(n.CIDR.String()) }
	zone := func(n *model.Subnet) []string { return one(n.AZ) }
	isDefault := func(n *model.Subnet) []string { return boolean(n.DefaultForAZ) }
	none := func(*model.Subnet) []string { return nil }
	out, next, err := describe(query{ids: in.SubnetIds, filters: in.Filters, maxResults: in.MaxResults, nextToken: in.NextToken}, noun[model.Subnet, ec2api.Subnet]{
		id:      func(n *model.Subnet) string { return n.ID },
		missing: subnetNotFound,
		tags:    func(n *model.Subnet) model.Tags { return n.Tags },
		fields: fields[model.Subnet]{
			"subnet-id":                  func(n *model.Subnet) []string { return one(n.ID) },
			"vpc-id":                     func(n *model.Subnet) []string { return one(n.VPCID) },
			"availability-zone":          zone,
			"availabilityZone":           zone,
			"availability-zone-id":       func(n *model.Subnet) []string { return one(s.zoneID(n.AZ)) },
			"availabilityZoneId":         func(n *model.Subnet) []string { return one(s.zoneID(n.AZ)) },
			"available-ip-address-count": func(n *model.Subnet) []string { return one(number(s.freeAddresses(view, n))) },
			"cidr":                       block,
			"cidr-block":                 block,
			"cidrBlock":                  block,
			"default-for-az":             isDefault,
			"defaultForAz":               isDefault,
			"map-public-ip-on-launch":    func(n *model.Subnet) []string { return boolean(n.MapPublicIPOnLaunch) },
			"owner-id":                   func(*model.Subnet) []string { return one(s.scope.Account) },
			"state":                      func(n *model.Subnet) []string { return one(n.State) },
			"subnet-arn":                 func(n *model.Subnet) []string { return one(s.arn("subnet", n.ID)) },
			"ipv6-native":                func(*model.Subnet) []string { return boolean(false) },
			"ipv6-cidr-block-association.association-id":  none,
			"ipv6-cidr-block-association.ipv6-cidr-block": none,
			"ipv6-cidr-block-association.state":           none,
		},
		convert: func(n *model.Subnet) ec2api.Subnet { return s.subnet(view, n) },
	}, func(id string) (*model.Subnet, bool) { return s.tables.Subnets.Get(view, id) }, s.tables.Subnets.List(view))
	if err != nil {
		return nil, err
	}
	return &ec2api.DescribeSubnetsOutput{Subnets: out, NextToken: next}, nil
}

func (s *Server) subnet(r store.Reader, n *model.Subnet) ec2api.Subnet {
	return ec2api.Subnet{
		AssignIpv6AddressOnCreation: awsapi.Ptr(false), AvailabilityZone: awsapi.Ptr(n.AZ), AvailabilityZoneId: awsapi.Ptr(s.zoneID(n.AZ)),
		AvailableIpAddressCount: awsapi.Ptr(int32(s.freeAddresses(r, n))), CidrBlock: awsapi.Ptr(n.CIDR.String()),
		DefaultForAz: awsapi.Ptr(n.DefaultForAZ), EnableDns64: awsapi.Ptr(false), Ipv6Native: awsapi.Ptr(false),
		MapCustomerOwnedIpOnLaunch: awsapi.Ptr(false), MapPublicIpOnLaunch: awsapi.Ptr(n.MapPublicIPOnLaunch), OwnerId: s.owner(),
		PrivateDnsNameOptionsOnLaunch: &ec2api.PrivateDnsNameOptionsOnLaunch{
			HostnameType: ec2api.HostnameType(n.HostnameType), EnableResourceNameDnsARecord: awsapi.Ptr(n.ResourceNameDNSA),
			EnableResourceNameDnsAAAARecord: awsapi.Ptr(false),
		},
		State: ec2api.SubnetState(n.State), SubnetArn: awsapi.Ptr(s.arn("subnet", n.ID)), SubnetId: awsapi.Ptr(n.ID), Tags: tagList(n.Tags), VpcId: awsapi.Ptr(n.VPCID),
	}
}

// freeAddresses returns how many addresses of a subnet can still be handed out.
func (s *Server) freeAddresses(r store.Reader, n *model.Subnet) int {
	free := ipam.Capacity(n.CIDR)
	for eni := range s.tables.NetworkInterfaces.By(r, "subnet", n.ID) {
		free -= len(eni.PrivateIPs)
	}
	return free
}

// freeAddress returns an address of the subnet that no ENI has. The transaction depends on the subnet's ENIs after it.
func (s *Server) freeAddress(r store.Reader, n *model.Subnet, seed string) (netip.Addr, error) {
	taken := s.takenAddresses(r, n)
	addr, ok := ipam.Private(n.CIDR, func(a netip.Addr) bool { return taken[a] }, seed)
	if !ok {
		return netip.Addr{}, awsapi.NewError("InsufficientFreeAddressesInSubnet", "The specified subnet does not have enough free addresses to satisfy the request.")
	}
	return addr, nil
}

func (s *Server) takenAddresses(r store.Reader, n *model.Subnet) map[netip.Addr]bool {
	taken := map[netip.Addr]bool{}
	for eni := range s.tables.NetworkInterfaces.By(r, "subnet", n.ID) {
		for _, a := range eni.PrivateIPs {
			taken[a] = true
		}
	}
	return taken
}

func (s *Server) zoneID(name string) string {
	for _, z := range model.Zones(s.scope.Region) {
		if z.Name == name {
			return z.ID
		}
	}
	return ""
}

// arn returns the ARN of an EC2 resource.
func (s *Server) arn(kind, id string) string { return s.scope.ARN("ec2", "%s/%s", kind, id) }

// ModifySubnetAttribute changes one attribute of a subnet.
func (s *Server) ModifySubnetAttribute(ctx context.Context, in *ec2api.ModifySubnetAttributeInput) (*ec2api.ModifySubnetAttributeOutput, error) {
	if err := only(in, "SubnetId", "MapPublicIpOnLaunch", "PrivateDnsHostnameTypeOnLaunch"); err != nil {
		return nil, err
	}
	if in.PrivateDnsHostnameTypeOnLaunch != "" && in.PrivateDnsHostnameTypeOnLaunch != ec2api.HostnameTypeIpName {
		return nil, awsapi.NewError("UnsupportedOperation", "Neargate names interfaces by address only: PrivateDnsHostnameTypeOnLaunch must be ip-name.")
	}
	id := awsapi.Val(in.SubnetId)
	err := s.update(ctx, func(tx *store.Txn) error {
		ok := s.tables.Subnets.Edit(tx, id, func(n *model.Subnet) {
			if in.MapPublicIpOnLaunch != nil {
				n.MapPublicIPOnLaunch = attributeIsTrue(in.MapPublicIpOnLaunch)
			}
		})
		if !ok {
			return subnetNotFound(id)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ec2api.ModifySubnetAttributeOutput{}, nil
}
