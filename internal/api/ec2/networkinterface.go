package ec2

import (
	"context"
	"net/netip"
	"slices"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/ipam"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// maxGroups is the quota of security groups of an interface (aws-facts 2.4).
const maxGroups = 5

// CreateNetworkInterface makes an interface that is attached to nothing. It keeps its address; packets reach no one.
func (s *Server) CreateNetworkInterface(ctx context.Context, in *ec2api.CreateNetworkInterfaceInput) (*ec2api.CreateNetworkInterfaceOutput, error) {
	if err := only(in, "SubnetId", "Description", "Groups", "PrivateIpAddress", "PrivateIpAddresses", "InterfaceType", "TagSpecifications", "ClientToken"); err != nil {
		return nil, err
	}
	if in.InterfaceType != "" && in.InterfaceType != "interface" {
		return nil, awsapi.NewError("UnsupportedOperation", "Neargate makes network interfaces of the type interface only, not %s.", in.InterfaceType)
	}
	private := awsapi.Val(in.PrivateIpAddress)
	if len(in.PrivateIpAddresses) > 1 || (len(in.PrivateIpAddresses) == 1 && private != "") {
		return nil, awsapi.NewError("PrivateIpAddressLimitExceeded", "A network interface has one private address in Neargate")
	}
	if len(in.PrivateIpAddresses) == 1 {
		private = awsapi.Val(in.PrivateIpAddresses[0].PrivateIpAddress)
	}
	meta, err := s.meta(in.TagSpecifications, ec2api.ResourceTypeNetworkInterface)
	if err != nil {
		return nil, err
	}
	var answer ec2api.NetworkInterface
	token := awsapi.Val(in.ClientToken)
	err = s.update(ctx, func(tx *store.Txn) error {
		if had, ok := s.tables.NetworkInterfaces.FirstBy(tx, "token", token); ok && token != "" {
			answer = s.networkInterface(tx, had)
			return sameToken(token, had.SubnetID == awsapi.Val(in.SubnetId) && had.Description == awsapi.Val(in.Description))
		}
		subnet, ok := s.tables.Subnets.Get(tx, awsapi.Val(in.SubnetId))
		if !ok {
			return subnetNotFound(awsapi.Val(in.SubnetId))
		}
		groups, err := s.groupsFor(tx, subnet.VPCID, in.Groups)
		if err != nil {
			return err
		}
		eni := &model.NetworkInterface{
			Meta: meta, ID: model.NewID(model.PrefixENI), VPCID: subnet.VPCID, SubnetID: subnet.ID, AZ: subnet.AZ, MAC: model.NewMAC(), Groups: groups,
			Status: model.ENIAvailable, Description: awsapi.Val(in.Description), InterfaceType: "interface", SourceDestCheck: true,
			ClientToken: token,
		}
		ip, err := s.askedAddress(tx, subnet, private, eni.ID)
		if err != nil {
			return err
		}
		eni.PrivateIPs = []netip.Addr{ip}
		s.tables.NetworkInterfaces.Put(tx, eni)
		answer = s.networkInterface(tx, eni)
		return nil
	})
	if err != nil {
		return nil, err
	}
	answer.Status = ec2api.NetworkInterfaceStatus(model.ENIPending)
	return &ec2api.CreateNetworkInterfaceOutput{NetworkInterface: &answer, ClientToken: in.ClientToken}, nil
}

// askedAddress returns the address asked for if it is free, any free one if none is asked for.
func (s *Server) askedAddress(r store.Reader, subnet *model.Subnet, text, seed string) (netip.Addr, error) {
	if text == "" {
		return s.freeAddress(r, subnet, seed)
	}
	ip, err := netip.ParseAddr(text)
	if err != nil || !subnet.CIDR.Contains(ip) || ipam.IsReserved(subnet.CIDR, ip) {
		return netip.Addr{}, awsapi.NewError("InvalidParameterValue", "Address %s does not fall within the subnet's address range", text)
	}
	if s.takenAddresses(r, subnet)[ip] {
		return netip.Addr{}, awsapi.NewError("InvalidIPAddress.InUse", "Address %s is in use.", text)
	}
	return ip, nil
}

// groupsFor checks groups for an interface of that VPC; the VPC's default group if there are none.
func (s *Server) groupsFor(r store.Reader, vpcID string, ids []string) ([]string, error) {
	if len(ids) > maxGroups {
		return nil, awsapi.NewError("SecurityGroupsPerInterfaceLimitExceeded", "The maximum number of security groups per interface is %d.", maxGroups)
	}
	for _, id := range ids {
		group, ok := s.tables.SecurityGroups.Get(r, id)
		if !ok {
			return nil, groupNotFound(id)
		}
		if group.VPCID != vpcID {
			return nil, awsapi.NewError("InvalidGroup.NotFound", "Security group %s and the subnet belong to different networks.", id)
		}
	}
	if len(ids) > 0 {
		return slices.Compact(slices.Sorted(slices.Values(ids))), nil
	}
	vpc, ok := s.tables.VPCs.Get(r, vpcID)
	if !ok {
		return nil, vpcNotFound(vpcID)
	}
	return []string{vpc.DefaultGroupID}, nil
}

// DeleteNetworkInterface deletes an interface that the user made.
func (s *Server) DeleteNetworkInterface(ctx context.Context, in *ec2api.DeleteNetworkInterfaceInput) (*ec2api.DeleteNetworkInterfaceOutput, error) {
	id := awsapi.Val(in.NetworkInterfaceId)
	err := s.update(ctx, func(tx *store.Txn) error {
		eni, ok := s.tables.NetworkInterfaces.Get(tx, id)
		if !ok {
			return interfaceNotFound(id)
		}
		if eni.OwnerKind != model.OwnerNone {
			return awsapi.NewError("InvalidNetworkInterface.InUse", "Network interface '%s' is currently in use.", id)
		}
		for address := range s.tables.Addresses.By(tx, "eni", id) {
			s.tables.Addresses.Edit(tx, address.AllocationID, disassociate)
		}
		s.tables.NetworkInterfaces.Delete(tx, id)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ec2api.DeleteNetworkInterfaceOutput{}, nil
}

// ModifyNetworkInterfaceAttribute changes an interface's groups, description, or source/destination check.
func (s *Server) ModifyNetworkInterfaceAttribute(ctx context.Context, in *ec2api.ModifyNetworkInterfaceAttributeInput) (*ec2api.ModifyNetworkInterfaceAttributeOutput, error) {
	if err := only(in, "NetworkInterfaceId", "Groups", "Description", "SourceDestCheck"); err != nil {
		return nil, err
	}
	id := awsapi.Val(in.NetworkInterfaceId)
	err := s.update(ctx, func(tx *store.Txn) error {
		eni, ok := s.tables.NetworkInterfaces.Get(tx, id)
		if !ok {
			return interfaceNotFound(id)
		}
		groups := eni.Groups
		if len(in.Groups) > 0 {
			if eni.OwnerKind == model.OwnerNatGateway || eni.OwnerKind == model.OwnerLoadBalancer {
				return awsapi.NewError("OperationNotPermitted", "You are not allowed to manage '%s': it belongs to %s.", id, eni.RequesterID)
			}
			var err error
			if groups, err = s.groupsFor(tx, eni.VPCID, in.Groups); err != nil {
				return err
			}
		}
		s.tables.NetworkInterfaces.Edit(tx, id, func(e *model.NetworkInterface) {
			e.Groups = groups
			if in.Description != nil {
				e.Description = awsapi.Val(in.Description.Value)
			}
			if in.SourceDestCheck != nil {
				e.SourceDestCheck = attributeIsTrue(in.SourceDestCheck)
			}
		})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ec2api.ModifyNetworkInterfaceAttributeOutput{}, nil
}

// DescribeNetworkInterfaceAttribute reads one attribute of an interface.
func (s *Server) DescribeNetworkInterfaceAttribute(_ context.Context, in *ec2api.DescribeNetworkInterfaceAttributeInput) (*ec2api.DescribeNetworkInterfaceAttributeOutput, error) {
	view := s.db.View()
	id := awsapi.Val(in.NetworkInterfaceId)
	eni, ok := s.tables.NetworkInterfaces.Get(view, id)
	if !ok {
		return nil, interfaceNotFound(id)
	}
	all := s.networkInterface(view, eni)
	out := &ec2api.DescribeNetworkInterfaceAttributeOutput{NetworkInterfaceId: &id}
	switch in.Attribute {
	case "description":
		out.Description = &ec2api.AttributeValue{Value: all.Description}
	case "groupSet":
		out.Groups = all.Groups
	case "sourceDestCheck":
		out.SourceDestCheck = &ec2api.AttributeBooleanValue{Value: all.SourceDestCheck}
	case "attachment":
		out.Attachment = all.Attachment
	default:
		return nil, invalidValue("attribute", string(in.Attribute), "Valid attributes are description, groupSet, sourceDestCheck and attachment.")
	}
	return out, nil
}
