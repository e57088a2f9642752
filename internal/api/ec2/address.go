package ec2

import (
	"context"
	"net/netip"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/ipam"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// AllocateAddress takes a public address out of the edge's pool.
func (s *Server) AllocateAddress(ctx context.Context, in *ec2api.AllocateAddressInput) (*ec2api.AllocateAddressOutput, error) {
	if err := only(in, "Domain", "TagSpecifications", "PublicIpv4Pool", "NetworkBorderGroup"); err != nil {
		return nil, err
	}
	if in.Domain != "" && in.Domain != ec2api.DomainTypeVpc {
		return nil, awsapi.NewError("InvalidParameterValue", "Value (%s) for parameter domain is invalid: EC2-Classic is gone, use vpc.", in.Domain)
	}
	if p := awsapi.Val(in.PublicIpv4Pool); p != "" && p != "amazon" {
		return nil, awsapi.NewError("InvalidPublicIpv4PoolID.NotFound", "The public IPv4 pool '%s' does not exist", p)
	}
	if err := s.checkBorderGroup(in.NetworkBorderGroup); err != nil {
		return nil, err
	}
	meta, err := s.meta(in.TagSpecifications, ec2api.ResourceTypeElasticIp)
	if err != nil {
		return nil, err
	}
	address := &model.Address{Meta: meta, AllocationID: model.NewID(model.PrefixAllocation)}
	err = s.update(ctx, func(tx *store.Txn) error {
		ip, err := s.freePublicAddress(tx, address.AllocationID)
		if err != nil {
			return err
		}
		address.PublicIP = ip
		s.tables.Addresses.Put(tx, address)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ec2api.AllocateAddressOutput{
		AllocationId: &address.AllocationID, Domain: ec2api.DomainTypeVpc, NetworkBorderGroup: &s.scope.Region,
		PublicIp: awsapi.Ptr(address.PublicIP.String()), PublicIpv4Pool: awsapi.Ptr("amazon"),
	}, nil
}

// checkBorderGroup refuses a network border group that is not the region's.
func (s *Server) checkBorderGroup(asked *string) error {
	if g := awsapi.Val(asked); g != "" && g != s.scope.Region {
		return invalidValue("NetworkBorderGroup", g, "The only network border group is "+s.scope.Region+".")
	}
	return nil
}

// freePublicAddress returns a public address that neither an Elastic IP nor an ENI has.
func (s *Server) freePublicAddress(r store.Reader, seed string) (netip.Addr, error) {
	taken := func(ip netip.Addr) bool {
		return s.tables.Addresses.LenBy(r, "ip", ip.String()) > 0 || s.tables.NetworkInterfaces.LenBy(r, "public-ip", ip.String()) > 0
	}
	ip, ok := ipam.Public(taken, seed)
	if !ok {
		return netip.Addr{}, awsapi.NewError("InsufficientAddressCapacity", "Neargate's pool of public addresses, %s, is used up.", model.PublicPool)
	}
	return ip, nil
}

// ReleaseAddress gives an address back that is associated with nothing.
func (s *Server) ReleaseAddress(ctx context.Context, in *ec2api.ReleaseAddressInput) (*ec2api.ReleaseAddressOutput, error) {
	if err := s.checkBorderGroup(in.NetworkBorderGroup); err != nil {
		return nil, err
	}
	err := s.update(ctx, func(tx *store.Txn) error {
		address, err := s.findAddress(tx, in.AllocationId, in.PublicIp)
		if err != nil {
			return err
		}
		if address.AssociationID != "" {
			return awsapi.NewError("InvalidIPAddress.InUse", "Address with allocation id [%s] cannot be released because it is in use.", address.AllocationID)
		}
		s.tables.Addresses.Delete(tx, address.AllocationID)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ec2api.ReleaseAddressOutput{}, nil
}

func (s *Server) findAddress(r store.Reader, allocation, publicIP *string) (*model.Address, error) {
	switch {
	case allocation != nil:
		if address, ok := s.tables.Addresses.Get(r, *allocation); ok {
			return address, nil
		}
		return nil, allocationNotFound(*allocation)
	case publicIP != nil:
		if address, ok := s.tables.Addresses.FirstBy(r, "ip", *publicIP); ok {
			return address, nil
		}
		return nil, awsapi.NewError("InvalidAddress.NotFound", "Address '%s' not found.", *publicIP)
	}
	return nil, missing("AllocationId")
}

// AssociateAddress maps an Elastic IP to a network interface.
func (s *Server) AssociateAddress(ctx context.Context, in *ec2api.AssociateAddressInput) (*ec2api.AssociateAddressOutput, error) {
	if err := only(in, "AllocationId", "PublicIp", "NetworkInterfaceId", "PrivateIpAddress", "AllowReassociation"); err != nil {
		return nil, err
	}
	if in.NetworkInterfaceId == nil {
		return nil, missing("NetworkInterfaceId")
	}
	fresh := model.NewID(model.PrefixAddressAssoc)
	var association string
	err := s.update(ctx, func(tx *store.Txn) error {
		association = fresh
		address, err := s.findAddress(tx, in.AllocationId, in.PublicIp)
		if err != nil {
			return err
		}
		eni, ok := s.tables.NetworkInterfaces.Get(tx, *in.NetworkInterfaceId)
		if !ok {
			return interfaceNotFound(*in.NetworkInterfaceId)
		}
		if eni.RequesterManaged {
			return awsapi.NewError("OperationNotPermitted", "You are not allowed to manage '%s': it belongs to %s.", eni.ID, eni.RequesterID)
		}
		if _, ok := s.tables.InternetGateways.FirstBy(tx, "vpc", eni.VPCID); !ok {
			return awsapi.NewError("Gateway.NotAttached", "Network %s is not attached to any internet gateway", eni.VPCID)
		}
		private := eni.PrimaryIP()
		if asked := awsapi.Val(in.PrivateIpAddress); asked != "" && asked != private.String() {
			return invalidValue("PrivateIpAddress", asked, "It is not the primary address of the network interface.")
		}
		if address.AssociationID != "" && address.ENIID == eni.ID {
			association = address.AssociationID
			return nil
		}
		if address.ServiceManaged != "" || (address.AssociationID != "" && !isTrue(in.AllowReassociation)) {
			return awsapi.NewError("Resource.AlreadyAssociated", "resource %s is already associated with associate-id %s", address.AllocationID, address.AssociationID)
		}
		if other, ok := s.tables.Addresses.FirstBy(tx, "eni", eni.ID); ok {
			if !isTrue(in.AllowReassociation) {
				return awsapi.NewError("Resource.AlreadyAssociated", "resource %s is already associated with associate-id %s", eni.ID, other.AssociationID)
			}
			s.tables.Addresses.Edit(tx, other.AllocationID, disassociate)
		}
		s.tables.Addresses.Edit(tx, address.AllocationID, func(a *model.Address) {
			a.AssociationID, a.ENIID, a.PrivateIP = association, eni.ID, private
		})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ec2api.AssociateAddressOutput{AssociationId: &association}, nil
}

func disassociate(a *model.Address) {
	a.AssociationID, a.ENIID, a.PrivateIP, a.ServiceManaged = "", "", netip.Addr{}, ""
}

// DisassociateAddress takes an Elastic IP off its network interface.
func (s *Server) DisassociateAddress(ctx context.Context, in *ec2api.DisassociateAddressInput) (*ec2api.DisassociateAddressOutput, error) {
	err := s.update(ctx, func(tx *store.Txn) error {
		var address *model.Address
		switch {
		case in.AssociationId != nil:
			found, ok := s.tables.Addresses.FirstBy(tx, "association", *in.AssociationId)
			if !ok {
				return associationNotFound(*in.AssociationId)
			}
			address = found
		case in.PublicIp != nil:
			found, err := s.findAddress(tx, nil, in.PublicIp)
			if err != nil {
				return err
			}
			address = found
		default:
			return missing("AssociationId")
		}
		if address.AssociationID == "" {
			return nil
		}
		if eni, ok := s.tables.NetworkInterfaces.Get(tx, address.ENIID); ok && eni.RequesterManaged {
			return awsapi.NewError("AuthFailure", "You do not have permission to access the specified resource.")
		}
		s.tables.Addresses.Edit(tx, address.AllocationID, disassociate)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ec2api.DisassociateAddressOutput{}, nil
}

// DescribeAddresses lists Elastic IPs.
func (s *Server) DescribeAddresses(_ context.Context, in *ec2api.DescribeAddressesInput) (*ec2api.DescribeAddressesOutput, error) {
	view := s.db.View()
	byIP := map[string]bool{}
	for _, ip := range in.PublicIps {
		if _, err := s.findAddress(view, nil, &ip); err != nil {
			return nil, err
		}
		byIP[ip] = true
	}
	out, _, err := describe(query{ids: in.AllocationIds, filters: in.Filters}, noun[model.Address, ec2api.Address]{
		id:      func(a *model.Address) string { return a.AllocationID },
		missing: allocationNotFound,
		tags:    func(a *model.Address) model.Tags { return a.Tags },
		fields: fields[model.Address]{
			"allocation-id":              func(a *model.Address) []string { return one(a.AllocationID) },
			"association-id":             func(a *model.Address) []string { return nonEmpty(a.AssociationID) },
			"domain":                     func(*model.Address) []string { return one("vpc") },
			"instance-id":                func(*model.Address) []string { return nil },
			"network-border-group":       func(*model.Address) []string { return one(s.scope.Region) },
			"network-interface-id":       func(a *model.Address) []string { return nonEmpty(a.ENIID) },
			"network-interface-owner-id": func(a *model.Address) []string { return ifSet(a.ENIID, s.scope.Account) },
			"private-ip-address":         func(a *model.Address) []string { return ifSet(a.ENIID, a.PrivateIP.String()) },
			"public-ip":                  func(a *model.Address) []string { return one(a.PublicIP.String()) },
		},
		convert: func(a *model.Address) ec2api.Address { return s.address(view, a) },
	}, func(id string) (*model.Address, bool) { return s.tables.Addresses.Get(view, id) }, func(yield func(*model.Address) bool) {
		for a := range s.tables.Addresses.List(view) {
			if (len(byIP) == 0 || byIP[a.PublicIP.String()]) && !yield(a) {
				return
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return &ec2api.DescribeAddressesOutput{Addresses: out}, nil
}

func (s *Server) address(r store.Reader, a *model.Address) ec2api.Address {
	out := ec2api.Address{
		AllocationId: awsapi.Ptr(a.AllocationID), Domain: ec2api.DomainTypeVpc, NetworkBorderGroup: &s.scope.Region,
		PublicIp: awsapi.Ptr(a.PublicIP.String()), PublicIpv4Pool: awsapi.Ptr("amazon"), Tags: tagList(a.Tags),
	}
	if a.AssociationID != "" {
		out.AssociationId, out.NetworkInterfaceId, out.NetworkInterfaceOwnerId = awsapi.Ptr(a.AssociationID), awsapi.Ptr(a.ENIID), s.owner()
		out.PrivateIpAddress = awsapi.Ptr(a.PrivateIP.String())
		if eni, ok := s.tables.NetworkInterfaces.Get(r, a.ENIID); ok {
			out.SubnetId = awsapi.Ptr(eni.SubnetID)
		}
	}
	return out
}

// DescribeAddressesAttribute lists reverse DNS names of Elastic IPs: there are none.
func (s *Server) DescribeAddressesAttribute(_ context.Context, in *ec2api.DescribeAddressesAttributeInput) (*ec2api.DescribeAddressesAttributeOutput, error) {
	view := s.db.View()
	for _, id := range in.AllocationIds {
		if !s.tables.Addresses.Has(view, id) {
			return nil, allocationNotFound(id)
		}
	}
	return &ec2api.DescribeAddressesAttributeOutput{}, nil
}

func nonEmpty(value string) []string { return ifSet(value, value) }

// ifSet returns value if condition is not empty.
func ifSet(condition, value string) []string {
	if condition == "" {
		return nil
	}
	return one(value)
}
