package ec2

import (
	"context"
	"net/netip"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// DescribeNetworkInterfaces lists network interfaces, also those of tasks, load balancers and NAT gateways.
func (s *Server) DescribeNetworkInterfaces(_ context.Context, in *ec2api.DescribeNetworkInterfacesInput) (*ec2api.DescribeNetworkInterfacesOutput, error) {
	view := s.db.View()
	type eni = model.NetworkInterface
	association := func(get func(*ec2api.NetworkInterfaceAssociation) *string) field[eni] {
		return func(e *eni) []string {
			if a := s.publicAssociation(view, e); a != nil && get(a) != nil {
				return one(*get(a))
			}
			return nil
		}
	}
	addresses := func(e *eni) (values []string) {
		for _, a := range e.PrivateIPs {
			values = append(values, a.String())
		}
		return values
	}
	out, next, err := describe(query{ids: in.NetworkInterfaceIds, filters: in.Filters, maxResults: in.MaxResults, nextToken: in.NextToken}, noun[eni, ec2api.NetworkInterface]{
		id:      func(e *eni) string { return e.ID },
		missing: interfaceNotFound,
		tags:    func(e *eni) model.Tags { return e.Tags },
		fields: fields[eni]{
			"network-interface-id":             func(e *eni) []string { return one(e.ID) },
			"subnet-id":                        func(e *eni) []string { return one(e.SubnetID) },
			"vpc-id":                           func(e *eni) []string { return one(e.VPCID) },
			"availability-zone":                func(e *eni) []string { return one(e.AZ) },
			"description":                      func(e *eni) []string { return one(e.Description) },
			"group-id":                         func(e *eni) []string { return e.Groups },
			"group-name":                       func(e *eni) []string { return s.groupNames(view, e) },
			"interface-type":                   func(e *eni) []string { return one(e.InterfaceType) },
			"mac-address":                      func(e *eni) []string { return one(e.MAC) },
			"owner-id":                         func(*eni) []string { return one(s.scope.Account) },
			"private-ip-address":               addresses,
			"addresses.private-ip-address":     addresses,
			"private-dns-name":                 func(e *eni) []string { return one(model.PrivateDNSName(s.scope.Region, e.PrimaryIP())) },
			"requester-id":                     func(e *eni) []string { return nonEmpty(e.RequesterID) },
			"requester-managed":                func(e *eni) []string { return boolean(e.RequesterManaged) },
			"source-dest-check":                func(e *eni) []string { return boolean(e.SourceDestCheck) },
			"status":                           func(e *eni) []string { return one(e.Status) },
			"attachment.attachment-id":         func(e *eni) []string { return nonEmpty(e.AttachmentID) },
			"attachment.instance-owner-id":     func(e *eni) []string { return nonEmpty(e.InstanceOwnerID) },
			"attachment.instance-id":           func(*eni) []string { return nil },
			"attachment.status":                func(e *eni) []string { return ifSet(e.AttachmentID, "attached") },
			"attachment.device-index":          func(e *eni) []string { return ifSet(e.AttachmentID, number(e.DeviceIndex)) },
			"attachment.delete-on-termination": func(e *eni) []string { return ifSet(e.AttachmentID, "false") },
			"association.public-ip":            association(func(a *ec2api.NetworkInterfaceAssociation) *string { return a.PublicIp }),
			"addresses.association.public-ip":  association(func(a *ec2api.NetworkInterfaceAssociation) *string { return a.PublicIp }),
			"association.allocation-id":        association(func(a *ec2api.NetworkInterfaceAssociation) *string { return a.AllocationId }),
			"association.association-id":       association(func(a *ec2api.NetworkInterfaceAssociation) *string { return a.AssociationId }),
			"association.ip-owner-id":          association(func(a *ec2api.NetworkInterfaceAssociation) *string { return a.IpOwnerId }),
		},
		convert: func(e *eni) ec2api.NetworkInterface { return s.networkInterface(view, e) },
	}, func(id string) (*eni, bool) { return s.tables.NetworkInterfaces.Get(view, id) }, s.tables.NetworkInterfaces.List(view))
	if err != nil {
		return nil, err
	}
	return &ec2api.DescribeNetworkInterfacesOutput{NetworkInterfaces: out, NextToken: next}, nil
}

func (s *Server) groupNames(r store.Reader, e *model.NetworkInterface) (names []string) {
	for _, id := range e.Groups {
		if group, ok := s.tables.SecurityGroups.Get(r, id); ok {
			names = append(names, group.Name)
		}
	}
	return names
}

// publicAssociation returns the public address that an interface has, nil if it has none: an Elastic IP, or one that
// came with the interface.
func (s *Server) publicAssociation(r store.Reader, e *model.NetworkInterface) *ec2api.NetworkInterfaceAssociation {
	if address, ok := s.tables.Addresses.FirstBy(r, "eni", e.ID); ok {
		return &ec2api.NetworkInterfaceAssociation{
			AllocationId: awsapi.Ptr(address.AllocationID), AssociationId: awsapi.Ptr(address.AssociationID), IpOwnerId: s.owner(),
			PublicDnsName: s.publicName(r, e, address.PublicIP), PublicIp: awsapi.Ptr(address.PublicIP.String()),
		}
	}
	if !e.AutoPublicIP.IsValid() {
		return nil
	}
	owner := "amazon"
	if e.OwnerKind == model.OwnerLoadBalancer {
		owner = "amazon-elb"
	}
	return &ec2api.NetworkInterfaceAssociation{
		IpOwnerId: &owner, PublicDnsName: s.publicName(r, e, e.AutoPublicIP), PublicIp: awsapi.Ptr(e.AutoPublicIP.String()),
	}
}

// publicName returns the public DNS name, which is empty unless the VPC has DNS hostnames.
func (s *Server) publicName(r store.Reader, e *model.NetworkInterface, ip netip.Addr) *string {
	vpc, ok := s.tables.VPCs.Get(r, e.VPCID)
	if !ok || !vpc.DNSHostnames || !vpc.DNSSupport {
		return awsapi.Ptr("")
	}
	return awsapi.Ptr(model.PublicDNSName(s.scope.Region, ip))
}

func (s *Server) networkInterface(r store.Reader, e *model.NetworkInterface) ec2api.NetworkInterface {
	association := s.publicAssociation(r, e)
	name := awsapi.Ptr(model.PrivateDNSName(s.scope.Region, e.PrimaryIP()))
	out := ec2api.NetworkInterface{
		Association: association, AvailabilityZone: awsapi.Ptr(e.AZ), AvailabilityZoneId: awsapi.Ptr(s.zoneID(e.AZ)), Description: awsapi.Ptr(e.Description),
		InterfaceType: ec2api.NetworkInterfaceType(e.InterfaceType), MacAddress: awsapi.Ptr(e.MAC), NetworkInterfaceId: awsapi.Ptr(e.ID), OwnerId: s.owner(),
		PrivateDnsName: name, PrivateIpAddress: awsapi.Ptr(e.PrimaryIP().String()), RequesterManaged: awsapi.Ptr(e.RequesterManaged),
		RequesterId: awsapi.NonZero(e.RequesterID), SourceDestCheck: awsapi.Ptr(e.SourceDestCheck), Status: ec2api.NetworkInterfaceStatus(e.Status),
		SubnetId: awsapi.Ptr(e.SubnetID), TagSet: tagList(e.Tags), VpcId: awsapi.Ptr(e.VPCID),
	}
	for i, ip := range e.PrivateIPs {
		private := ec2api.NetworkInterfacePrivateIpAddress{Primary: awsapi.Ptr(i == 0), PrivateDnsName: name, PrivateIpAddress: awsapi.Ptr(ip.String())}
		if i == 0 {
			private.Association = association
		}
		out.PrivateIpAddresses = append(out.PrivateIpAddresses, private)
	}
	for i, group := range s.groupNames(r, e) {
		out.Groups = append(out.Groups, ec2api.GroupIdentifier{GroupId: awsapi.Ptr(e.Groups[i]), GroupName: awsapi.Ptr(group)})
	}
	if strings.HasPrefix(e.AttachmentID, model.PrefixENIAttachment) {
		out.Attachment = &ec2api.NetworkInterfaceAttachment{
			AttachTime: awsapi.Ptr(e.CreatedAt), AttachmentId: awsapi.Ptr(e.AttachmentID), DeleteOnTermination: awsapi.Ptr(false),
			DeviceIndex: awsapi.Ptr(int32(e.DeviceIndex)), InstanceOwnerId: awsapi.NonZero(e.InstanceOwnerID), Status: ec2api.AttachmentStatusAttached,
		}
	}
	return out
}
