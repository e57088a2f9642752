package ec2

import (
	"context"
	"net/netip"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// CreateNatGateway makes a public NAT gateway. It is pending until node has wired it (control/gateway says available).
func (s *Server) CreateNatGateway(ctx context.Context, in *ec2api.CreateNatGatewayInput) (*ec2api.CreateNatGatewayOutput, error) {
	if err := only(in, "SubnetId", "AllocationId", "ConnectivityType", "ClientToken", "TagSpecifications", "PrivateIpAddress", "AvailabilityMode"); err != nil {
		return nil, err
	}
	if in.AvailabilityMode != "" && in.AvailabilityMode != ec2api.AvailabilityModeZonal {
		return nil, awsapi.NewError("UnsupportedOperation", "Neargate has zonal NAT gateways only: leave AvailabilityMode out or set it to zonal.")
	}
	if in.ConnectivityType == ec2api.ConnectivityTypePrivate {
		return nil, awsapi.NewError("UnsupportedOperation", "Neargate has public NAT gateways only: leave ConnectivityType out or set it to public.")
	}
	switch {
	case awsapi.Val(in.SubnetId) == "":
		return nil, missing("SubnetId")
	case awsapi.Val(in.AllocationId) == "":
		return nil, missing("AllocationId")
	}
	meta, err := s.meta(in.TagSpecifications, ec2api.ResourceTypeNatgateway)
	if err != nil {
		return nil, err
	}
	var nat *model.NatGateway
	err = s.update(ctx, func(tx *store.Txn) error {
		if token := awsapi.Val(in.ClientToken); token != "" {
			if had, ok := s.tables.NatGateways.FirstBy(tx, "token", token); ok {
				nat = had
				return sameToken(token, had.SubnetID == *in.SubnetId && had.AllocationID == *in.AllocationId)
			}
		}
		nat, err = s.newNat(tx, in, meta)
		return err
	})
	if err != nil {
		return nil, err
	}
	answer := s.natGateway(nat)
	return &ec2api.CreateNatGatewayOutput{NatGateway: &answer, ClientToken: in.ClientToken}, nil
}

func (s *Server) newNat(tx *store.Txn, in *ec2api.CreateNatGatewayInput, meta model.Meta) (*model.NatGateway, error) {
	subnet, ok := s.tables.Subnets.Get(tx, *in.SubnetId)
	if !ok {
		return nil, subnetNotFound(*in.SubnetId)
	}
	address, ok := s.tables.Addresses.Get(tx, *in.AllocationId)
	if !ok {
		return nil, allocationNotFound(*in.AllocationId)
	}
	if address.AssociationID != "" {
		return nil, awsapi.NewError("Resource.AlreadyAssociated", "Elastic IP address %s is already associated", address.AllocationID)
	}
	nat := &model.NatGateway{
		Meta: meta, ID: model.NewID(model.PrefixNatGateway), VPCID: subnet.VPCID, SubnetID: subnet.ID, Connectivity: string(ec2api.ConnectivityTypePublic),
		State: model.NatPending, AllocationID: address.AllocationID, AssociationID: model.NewID(model.PrefixAddressAssoc), ENIID: model.NewID(model.PrefixENI),
		PublicIP: address.PublicIP, ClientToken: awsapi.Val(in.ClientToken),
	}
	ip, err := s.askedAddress(tx, subnet, awsapi.Val(in.PrivateIpAddress), nat.ENIID)
	if err != nil {
		return nil, err
	}
	nat.PrivateIP = ip
	s.tables.NatGateways.Put(tx, nat)
	s.tables.NetworkInterfaces.Put(tx, &model.NetworkInterface{
		Meta: model.Meta{CreatedAt: meta.CreatedAt}, ID: nat.ENIID, VPCID: subnet.VPCID, SubnetID: subnet.ID, AZ: subnet.AZ,
		PrivateIPs: []netip.Addr{ip}, MAC: model.NewMAC(), Status: model.ENIInUse, Description: "Interface for NAT Gateway " + nat.ID,
		InterfaceType: "nat_gateway", RequesterManaged: true, RequesterID: s.scope.Account, AttachmentID: model.NewID(model.PrefixENIAttachment),
		InstanceOwnerID: "amazon-aws", OwnerKind: model.OwnerNatGateway, OwnerID: nat.ID,
	})
	s.tables.Addresses.Edit(tx, address.AllocationID, func(a *model.Address) {
		a.AssociationID, a.ENIID, a.PrivateIP = nat.AssociationID, nat.ENIID, ip
	})
	return nat, nil
}

// DeleteNatGateway starts the deletion; the gateway is deleting at once and deleted when node has taken it down.
func (s *Server) DeleteNatGateway(ctx context.Context, in *ec2api.DeleteNatGatewayInput) (*ec2api.DeleteNatGatewayOutput, error) {
	id := awsapi.Val(in.NatGatewayId)
	err := s.update(ctx, func(tx *store.Txn) error {
		nat, ok := s.tables.NatGateways.Get(tx, id)
		if !ok {
			return natNotFound(id)
		}
		if nat.State == model.NatDeleted || nat.State == model.NatDeleting {
			return nil
		}
		s.tables.NatGateways.Edit(tx, id, func(n *model.NatGateway) { n.State = model.NatDeleting })
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ec2api.DeleteNatGatewayOutput{NatGatewayId: &id}, nil
}

// DescribeNatGateways lists NAT gateways; deleted ones stay for about an hour.
func (s *Server) DescribeNatGateways(_ context.Context, in *ec2api.DescribeNatGatewaysInput) (*ec2api.DescribeNatGatewaysOutput, error) {
	view := s.db.View()
	filters := in.Filter
	out, next, err := describe(query{ids: in.NatGatewayIds, filters: filters, maxResults: in.MaxResults, nextToken: in.NextToken}, noun[model.NatGateway, ec2api.NatGateway]{
		id:      func(n *model.NatGateway) string { return n.ID },
		missing: natNotFound,
		tags:    func(n *model.NatGateway) model.Tags { return n.Tags },
		fields: fields[model.NatGateway]{
			"nat-gateway-id": func(n *model.NatGateway) []string { return one(n.ID) },
			"state":          func(n *model.NatGateway) []string { return one(n.State) },
			"subnet-id":      func(n *model.NatGateway) []string { return one(n.SubnetID) },
			"vpc-id":         func(n *model.NatGateway) []string { return one(n.VPCID) },
		},
		convert: s.natGateway,
	}, func(id string) (*model.NatGateway, bool) { return s.tables.NatGateways.Get(view, id) }, s.tables.NatGateways.List(view))
	if err != nil {
		return nil, err
	}
	return &ec2api.DescribeNatGatewaysOutput{NatGateways: out, NextToken: next}, nil
}

func (s *Server) natGateway(n *model.NatGateway) ec2api.NatGateway {
	out := ec2api.NatGateway{
		AvailabilityMode: ec2api.AvailabilityModeZonal, ConnectivityType: ec2api.ConnectivityType(n.Connectivity), CreateTime: awsapi.Ptr(n.CreatedAt),
		FailureCode: awsapi.NonZero(n.FailureCode), FailureMessage: awsapi.NonZero(n.FailureMessage), NatGatewayId: awsapi.Ptr(n.ID),
		State: ec2api.NatGatewayState(n.State), SubnetId: awsapi.Ptr(n.SubnetID), Tags: tagList(n.Tags), VpcId: awsapi.Ptr(n.VPCID),
	}
	if !n.DeletedAt.IsZero() {
		out.DeleteTime = awsapi.Ptr(n.DeletedAt)
	}
	status := ec2api.NatGatewayAddressStatusSucceeded
	if n.State == model.NatFailed {
		status = ec2api.NatGatewayAddressStatusFailed
	}
	out.NatGatewayAddresses = []ec2api.NatGatewayAddress{{
		AllocationId: awsapi.Ptr(n.AllocationID), AssociationId: awsapi.Ptr(n.AssociationID), IsPrimary: awsapi.Ptr(true), NetworkInterfaceId: awsapi.Ptr(n.ENIID),
		PrivateIp: awsapi.Ptr(n.PrivateIP.String()), PublicIp: awsapi.Ptr(n.PublicIP.String()), Status: status,
	}}
	return out
}
