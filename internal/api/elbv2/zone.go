package elbv2

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/elbv2api"
	"github.com/neargate/neargate/internal/ipam"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// minFreeAddresses is what AWS asks of each subnet of a load balancer (aws-facts 3.1).
const minFreeAddresses = 8

// subnetIDs returns the subnets that a call names, in either of the two ways.
func subnetIDs(subnets []string, mappings []elbv2api.SubnetMapping) ([]string, error) {
	if len(subnets) > 0 && len(mappings) > 0 {
		return nil, invalid("You can specify either subnets or subnet mappings, not both")
	}
	ids := slices.Clone(subnets)
	for _, m := range mappings {
		if m.AllocationId != nil || m.PrivateIPv4Address != nil || m.IPv6Address != nil || m.SourceNatIpv6Prefix != nil {
			return nil, awsapi.NewError(elbv2api.ErrInvalidConfigurationRequest, "Addresses cannot be chosen for the subnets of an application load balancer")
		}
		ids = append(ids, awsapi.Val(m.SubnetId))
	}
	slices.Sort(ids)
	if n := len(ids); n != len(slices.Compact(slices.Clone(ids))) {
		return nil, awsapi.NewError(elbv2api.ErrInvalidConfigurationRequest, "A subnet cannot be specified more than once")
	}
	return ids, nil
}

// zonesFor checks the subnets of a load balancer and sets its VPC.
func (s *Server) zonesFor(r store.Reader, lb *model.LoadBalancer, ids []string) ([]*model.Subnet, error) {
	if len(ids) < 2 {
		return nil, invalid("At least two subnets in two different Availability Zones must be specified")
	}
	var list []*model.Subnet
	zones := map[string]bool{}
	for _, id := range ids {
		subnet, ok := s.tables.Subnets.Get(r, id)
		if !ok {
			return nil, awsapi.NewError(elbv2api.ErrSubnetNotFound, "The subnet ID '%s' does not exist", id)
		}
		if lb.VPCID == "" {
			lb.VPCID = subnet.VPCID
		}
		if subnet.VPCID != lb.VPCID {
			return nil, awsapi.NewError(elbv2api.ErrInvalidConfigurationRequest, "All subnets must belong to the same VPC: '%s' is in %s, not in %s", id, subnet.VPCID, lb.VPCID)
		}
		if zones[subnet.AZ] {
			return nil, awsapi.NewError(elbv2api.ErrInvalidConfigurationRequest, "A load balancer cannot be attached to multiple subnets in the same Availability Zone")
		}
		zones[subnet.AZ] = true
		list = append(list, subnet)
	}
	if lb.Scheme == string(elbv2api.LoadBalancerSchemeEnumInternetFacing) && s.tables.InternetGateways.LenBy(r, "vpc", lb.VPCID) == 0 {
		return nil, awsapi.NewError(elbv2api.ErrInvalidSubnet, "VPC %s has no internet gateway", lb.VPCID)
	}
	slices.SortFunc(list, func(a, b *model.Subnet) int { return strings.Compare(a.AZ, b.AZ) })
	return list, nil
}

// securityGroups checks the groups of a load balancer; the VPC's default group if there are none.
func (s *Server) securityGroups(r store.Reader, vpcID string, ids []string) ([]string, error) {
	if len(ids) > maxSecurityGroup {
		return nil, awsapi.NewError(elbv2api.ErrInvalidSecurityGroup, "A load balancer can have at most %d security groups", maxSecurityGroup)
	}
	for _, id := range ids {
		group, ok := s.tables.SecurityGroups.Get(r, id)
		if !ok {
			return nil, awsapi.NewError(elbv2api.ErrInvalidSecurityGroup, "One or more security groups are invalid: '%s' does not exist", id)
		}
		if group.VPCID != vpcID {
			return nil, awsapi.NewError(elbv2api.ErrInvalidConfigurationRequest, "One or more security groups are invalid: '%s' belongs to %s, the load balancer to %s", id, group.VPCID, vpcID)
		}
	}
	if len(ids) > 0 {
		return slices.Compact(slices.Sorted(slices.Values(ids))), nil
	}
	vpc, ok := s.tables.VPCs.Get(r, vpcID)
	if !ok {
		return nil, awsapi.NewError(elbv2api.ErrInvalidSubnet, "VPC %s does not exist", vpcID)
	}
	return []string{vpc.DefaultGroupID}, nil
}

// addZone gives the load balancer an interface in the subnet: its node in that zone.
func (s *Server) addZone(tx *store.Txn, lb *model.LoadBalancer, subnet *model.Subnet) error {
	used := 0
	for eni := range s.tables.NetworkInterfaces.By(tx, "subnet", subnet.ID) {
		used += len(eni.PrivateIPs)
	}
	if ipam.Capacity(subnet.CIDR)-used < minFreeAddresses {
		return awsapi.NewError(elbv2api.ErrInvalidSubnet, "Not enough IP space available in %s. ELB requires at least %d free IP addresses in each subnet.", subnet.ID, minFreeAddresses)
	}
	eni := &model.NetworkInterface{
		Meta: model.Meta{CreatedAt: s.clock.Now()}, ID: model.NewID(model.PrefixENI), VPCID: lb.VPCID, SubnetID: subnet.ID, AZ: subnet.AZ, MAC: model.NewMAC(),
		Groups: slices.Clone(lb.SecurityGroups), Status: model.ENIInUse, Description: "ELB app/" + lb.Name + "/" + lb.ID, InterfaceType: "interface",
		RequesterManaged: true, RequesterID: "amazon-elb", InstanceOwnerID: "amazon-elb", SourceDestCheck: true,
		AttachmentID: model.NewID(model.PrefixENIAttachment), DeviceIndex: freeDevice(lb, s.deviceOf(tx)),
		OwnerKind: model.OwnerLoadBalancer, OwnerID: lb.ID, Host: lb.Host,
	}
	ip, err := s.freeAddress(tx, subnet, eni.ID)
	if err != nil {
		return err
	}
	eni.PrivateIPs = []netip.Addr{ip}
	if lb.Scheme == string(elbv2api.LoadBalancerSchemeEnumInternetFacing) {
		if eni.AutoPublicIP, err = s.freePublicAddress(tx, eni.ID); err != nil {
			return err
		}
	}
	s.tables.NetworkInterfaces.Put(tx, eni)
	lb.Zones = append(lb.Zones, model.LBZone{AZ: subnet.AZ, SubnetID: subnet.ID, ENIID: eni.ID, IP: ip, PublicIP: eni.AutoPublicIP})
	slices.SortFunc(lb.Zones, func(a, b model.LBZone) int { return strings.Compare(a.AZ, b.AZ) })
	return nil
}

func (s *Server) deviceOf(r store.Reader) func(eniID string) int {
	return func(id string) int {
		if eni, ok := s.tables.NetworkInterfaces.Get(r, id); ok {
			return eni.DeviceIndex
		}
		return 0
	}
}

// freeDevice returns the number of the load balancer's next interface: eth1, eth2, ...
func freeDevice(lb *model.LoadBalancer, deviceOf func(eniID string) int) int {
	taken := map[int]bool{}
	for _, z := range lb.Zones {
		taken[deviceOf(z.ENIID)] = true
	}
	n := 1
	for taken[n] {
		n++
	}
	return n
}

// SetSubnets changes the zones of a load balancer. The interface of a subnet that stays is kept.
func (s *Server) SetSubnets(ctx context.Context, in *elbv2api.SetSubnetsInput) (*elbv2api.SetSubnetsOutput, error) {
	if err := only(in, "LoadBalancerArn", "Subnets", "SubnetMappings", "IpAddressType"); err != nil {
		return nil, err
	}
	ids, err := subnetIDs(in.Subnets, in.SubnetMappings)
	if err != nil {
		return nil, err
	}
	arn := awsapi.Val(in.LoadBalancerArn)
	out := &elbv2api.SetSubnetsOutput{}
	err = s.update(ctx, func(tx *store.Txn) error {
		old, ok := s.tables.LoadBalancers.Get(tx, arn)
		if !ok {
			return loadBalancerNotFound(arn)
		}
		lb := s.tables.LoadBalancers.Clone(old)
		if in.IpAddressType != "" {
			if lb.IPAddressType, err = ipAddressType(in.IpAddressType); err != nil {
				return err
			}
		}
		subnets, err := s.zonesFor(tx, lb, ids)
		if err != nil {
			return err
		}
		lb.Zones = slices.DeleteFunc(lb.Zones, func(z model.LBZone) bool {
			gone := !slices.Contains(ids, z.SubnetID)
			if gone {
				s.tables.NetworkInterfaces.Delete(tx, z.ENIID)
			}
			return gone
		})
		for _, subnet := range subnets {
			if !slices.ContainsFunc(lb.Zones, func(z model.LBZone) bool { return z.SubnetID == subnet.ID }) {
				if err := s.addZone(tx, lb, subnet); err != nil {
					return err
				}
			}
		}
		s.tables.LoadBalancers.Put(tx, lb)
		out.AvailabilityZones, out.IpAddressType = describeZones(lb), elbv2api.IpAddressType(lb.IPAddressType)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// SetSecurityGroups changes the groups of a load balancer and of its interfaces.
func (s *Server) SetSecurityGroups(ctx context.Context, in *elbv2api.SetSecurityGroupsInput) (*elbv2api.SetSecurityGroupsOutput, error) {
	if err := only(in, "LoadBalancerArn", "SecurityGroups"); err != nil {
		return nil, err
	}
	arn := awsapi.Val(in.LoadBalancerArn)
	var groups []string
	err := s.update(ctx, func(tx *store.Txn) error {
		lb, ok := s.tables.LoadBalancers.Get(tx, arn)
		if !ok {
			return loadBalancerNotFound(arn)
		}
		if len(in.SecurityGroups) == 0 {
			return awsapi.NewError(elbv2api.ErrInvalidSecurityGroup, "At least one security group must be specified")
		}
		var err error
		if groups, err = s.securityGroups(tx, lb.VPCID, in.SecurityGroups); err != nil {
			return err
		}
		s.tables.LoadBalancers.Edit(tx, arn, func(l *model.LoadBalancer) { l.SecurityGroups = slices.Clone(groups) })
		for _, z := range lb.Zones {
			s.tables.NetworkInterfaces.Edit(tx, z.ENIID, func(e *model.NetworkInterface) { e.Groups = slices.Clone(groups) })
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &elbv2api.SetSecurityGroupsOutput{SecurityGroupIds: groups}, nil
}

// SetIpAddressType changes the address type.
func (s *Server) SetIpAddressType(ctx context.Context, in *elbv2api.SetIpAddressTypeInput) (*elbv2api.SetIpAddressTypeOutput, error) {
	arn := awsapi.Val(in.LoadBalancerArn)
	kind, err := ipAddressType(in.IpAddressType)
	if err != nil {
		return nil, err
	}
	err = s.update(ctx, func(tx *store.Txn) error {
		if !s.tables.LoadBalancers.Edit(tx, arn, func(l *model.LoadBalancer) { l.IPAddressType = kind }) {
			return loadBalancerNotFound(arn)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &elbv2api.SetIpAddressTypeOutput{IpAddressType: elbv2api.IpAddressType(kind)}, nil
}
