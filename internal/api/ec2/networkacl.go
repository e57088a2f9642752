package ec2

import (
	"context"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/model"
)

// Numbers of the default network ACL's entries: allow everything, then deny everything (aws-facts 2.2).
const (
	aclAllowAll = 100
	aclDenyAll  = 32767
)

// DescribeNetworkAcls lists each VPC's default network ACL. It lets everything through; others cannot be made yet.
func (s *Server) DescribeNetworkAcls(_ context.Context, in *ec2api.DescribeNetworkAclsInput) (*ec2api.DescribeNetworkAclsOutput, error) {
	view := s.db.View()
	subnets := func(get func(*model.Subnet) string) field[model.VPC] {
		return func(v *model.VPC) (values []string) {
			for subnet := range s.tables.Subnets.By(view, "vpc", v.ID) {
				values = append(values, get(subnet))
			}
			return values
		}
	}
	byACL := func(id string) (*model.VPC, bool) {
		for v := range s.tables.VPCs.List(view) {
			if v.DefaultACLID == id {
				return v, true
			}
		}
		return nil, false
	}
	out, next, err := describe(query{ids: in.NetworkAclIds, filters: in.Filters, maxResults: in.MaxResults, nextToken: in.NextToken}, noun[model.VPC, ec2api.NetworkAcl]{
		id:      func(v *model.VPC) string { return v.ID }, // the order of the list is that of the VPCs
		missing: func(id string) error { return notFound("InvalidNetworkAclID.NotFound", "network acl", id) },
		tags:    func(*model.VPC) model.Tags { return nil },
		fields: fields[model.VPC]{
			"network-acl-id":             func(v *model.VPC) []string { return one(v.DefaultACLID) },
			"vpc-id":                     func(v *model.VPC) []string { return one(v.ID) },
			"default":                    func(*model.VPC) []string { return boolean(true) },
			"owner-id":                   func(*model.VPC) []string { return one(s.scope.Account) },
			"association.subnet-id":      subnets(func(n *model.Subnet) string { return n.ID }),
			"association.association-id": subnets(func(n *model.Subnet) string { return n.ACLAssociationID }),
			"association.network-acl-id": func(v *model.VPC) []string { return one(v.DefaultACLID) },
		},
		convert: func(v *model.VPC) ec2api.NetworkAcl {
			acl := ec2api.NetworkAcl{IsDefault: awsapi.Ptr(true), NetworkAclId: awsapi.Ptr(v.DefaultACLID), OwnerId: s.owner(), VpcId: awsapi.Ptr(v.ID)}
			for subnet := range s.tables.Subnets.By(view, "vpc", v.ID) {
				acl.Associations = append(acl.Associations, ec2api.NetworkAclAssociation{
					NetworkAclAssociationId: awsapi.Ptr(subnet.ACLAssociationID), NetworkAclId: awsapi.Ptr(v.DefaultACLID), SubnetId: awsapi.Ptr(subnet.ID),
				})
			}
			for _, egress := range []bool{true, false} {
				acl.Entries = append(acl.Entries, aclEntry(aclAllowAll, ec2api.RuleActionAllow, egress), aclEntry(aclDenyAll, ec2api.RuleActionDeny, egress))
			}
			return acl
		},
	}, byACL, s.tables.VPCs.List(view))
	if err != nil {
		return nil, err
	}
	return &ec2api.DescribeNetworkAclsOutput{NetworkAcls: out, NextToken: next}, nil
}

func aclEntry(number int32, action ec2api.RuleAction, egress bool) ec2api.NetworkAclEntry {
	return ec2api.NetworkAclEntry{CidrBlock: awsapi.Ptr("0.0.0.0/0"), Egress: &egress, Protocol: awsapi.Ptr("-1"), RuleAction: action, RuleNumber: &number}
}

// dhcpOptionsID returns the identifier of the region's default DHCP options. It is made from the region's name, so
// that it is the same in every VPC and after every restart.
func (s *Server) dhcpOptionsID() string {
	id := make([]byte, 0, 17)
	for i := range 17 {
		id = append(id, "0123456789abcdef"[(int(s.scope.Region[i%len(s.scope.Region)])+i)%16])
	}
	return model.PrefixDHCPOptions + "-" + string(id)
}

// DescribeDhcpOptions lists the default DHCP options: Amazon's resolver and the region's domain.
func (s *Server) DescribeDhcpOptions(_ context.Context, in *ec2api.DescribeDhcpOptionsInput) (*ec2api.DescribeDhcpOptionsOutput, error) {
	all := []string{s.dhcpOptionsID()}
	values := map[string]string{"domain-name": model.InternalDomain(s.scope.Region), "domain-name-servers": "AmazonProvidedDNS"}
	out, next, err := describe(query{ids: in.DhcpOptionsIds, filters: in.Filters, maxResults: in.MaxResults, nextToken: in.NextToken}, noun[string, ec2api.DhcpOptions]{
		id:      func(o *string) string { return *o },
		missing: func(id string) error { return notFound("InvalidDhcpOptionID.NotFound", "dhcpOption", id) },
		tags:    func(*string) model.Tags { return nil },
		fields: fields[string]{
			"dhcp-options-id": func(o *string) []string { return one(*o) },
			"key":             func(*string) []string { return []string{"domain-name", "domain-name-servers"} },
			"value":           func(*string) []string { return []string{values["domain-name"], values["domain-name-servers"]} },
			"owner-id":        func(*string) []string { return one(s.scope.Account) },
		},
		convert: func(o *string) ec2api.DhcpOptions {
			options := ec2api.DhcpOptions{DhcpOptionsId: o, OwnerId: s.owner()}
			for _, key := range []string{"domain-name", "domain-name-servers"} {
				options.DhcpConfigurations = append(options.DhcpConfigurations, ec2api.DhcpConfiguration{
					Key: awsapi.Ptr(key), Values: []ec2api.AttributeValue{{Value: awsapi.Ptr(values[key])}},
				})
			}
			return options
		},
	}, func(id string) (*string, bool) { return &all[0], id == all[0] }, pointers(all))
	if err != nil {
		return nil, err
	}
	return &ec2api.DescribeDhcpOptionsOutput{DhcpOptions: out, NextToken: next}, nil
}
