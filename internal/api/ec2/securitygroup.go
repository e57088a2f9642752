package ec2

import (
	"context"
	"net/netip"
	"regexp"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// groupText is what a group's name and description may hold (EC2 API, CreateSecurityGroup).
var groupText = regexp.MustCompile(`^[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{1,255}$`)

// CreateSecurityGroup makes a group that lets nothing in and everything out.
func (s *Server) CreateSecurityGroup(ctx context.Context, in *ec2api.CreateSecurityGroupInput) (*ec2api.CreateSecurityGroupOutput, error) {
	name, description, vpcID := awsapi.Val(in.GroupName), awsapi.Val(in.Description), awsapi.Val(in.VpcId)
	switch {
	case vpcID == "":
		return nil, awsapi.NewError("VPCIdNotSpecified", "No default VPC for this user. Name a VPC with the parameter VpcId.")
	case !groupText.MatchString(name) || strings.HasPrefix(name, "sg-"):
		return nil, invalidValue("GroupName", name, "Character sets beyond ASCII are not supported, and a name must not start with sg-.")
	case !groupText.MatchString(description):
		return nil, invalidValue("GroupDescription", description, "Character sets beyond ASCII are not supported.")
	}
	meta, err := s.meta(in.TagSpecifications, ec2api.ResourceTypeSecurityGroup)
	if err != nil {
		return nil, err
	}
	group := &model.SecurityGroup{Meta: meta, ID: model.NewID(model.PrefixSecurityGroup), VPCID: vpcID, Name: name, Description: description}
	err = s.update(ctx, func(tx *store.Txn) error {
		if !s.tables.VPCs.Has(tx, vpcID) {
			return vpcNotFound(vpcID)
		}
		for other := range s.tables.SecurityGroups.By(tx, "vpc", vpcID) {
			if other.Name == name {
				return awsapi.NewError("InvalidGroup.Duplicate", "The security group '%s' already exists for VPC '%s'", name, vpcID)
			}
		}
		s.tables.SecurityGroups.Put(tx, group)
		s.tables.SecurityGroupRules.Put(tx, allowAllEgress(model.Meta{CreatedAt: meta.CreatedAt}, group.ID))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ec2api.CreateSecurityGroupOutput{GroupId: &group.ID, SecurityGroupArn: awsapi.Ptr(s.arn("security-group", group.ID)), Tags: tagList(group.Tags)}, nil
}

// allowAllEgress returns the rule that every new group has.
func allowAllEgress(meta model.Meta, groupID string) *model.SecurityGroupRule {
	return &model.SecurityGroupRule{
		Meta: meta, ID: model.NewID(model.PrefixSecurityGroupRule), GroupID: groupID, Egress: true,
		Protocol: model.ProtoAll, From: -1, To: -1, CIDR: netip.MustParsePrefix("0.0.0.0/0"),
	}
}

// DeleteSecurityGroup deletes a group that no interface is in and no other group's rule names.
func (s *Server) DeleteSecurityGroup(ctx context.Context, in *ec2api.DeleteSecurityGroupInput) (*ec2api.DeleteSecurityGroupOutput, error) {
	if in.GroupName != nil {
		return nil, byNameRefused()
	}
	id := awsapi.Val(in.GroupId)
	if id == "" {
		return nil, missing("GroupId")
	}
	err := s.update(ctx, func(tx *store.Txn) error {
		group, ok := s.tables.SecurityGroups.Get(tx, id)
		if !ok {
			return groupNotFound(id)
		}
		if group.Name == defaultGroupName {
			return awsapi.NewError("CannotDelete", "the specified group: \"%s\" name: \"default\" cannot be deleted by a user", id)
		}
		used := s.tables.NetworkInterfaces.LenBy(tx, "group", id) > 0 || s.tables.LoadBalancers.LenBy(tx, "group", id) > 0
		for rule := range s.tables.SecurityGroupRules.By(tx, "ref", id) {
			used = used || rule.GroupID != id
		}
		if used {
			return awsapi.NewError("DependencyViolation", "resource %s has a dependent object", id)
		}
		s.deleteGroup(tx, id)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ec2api.DeleteSecurityGroupOutput{Return: awsapi.Ptr(true), GroupId: &id}, nil
}

// deleteGroup deletes a group with its rules.
func (s *Server) deleteGroup(tx *store.Txn, id string) {
	var rules []string
	for rule := range s.tables.SecurityGroupRules.By(tx, "group", id) {
		rules = append(rules, rule.ID)
	}
	for _, rule := range rules {
		s.tables.SecurityGroupRules.Delete(tx, rule)
	}
	s.tables.SecurityGroups.Delete(tx, id)
}

// DescribeSecurityGroups lists groups with their rules.
func (s *Server) DescribeSecurityGroups(_ context.Context, in *ec2api.DescribeSecurityGroupsInput) (*ec2api.DescribeSecurityGroupsOutput, error) {
	view := s.db.View()
	if len(in.GroupNames) > 0 {
		// Names are looked up in the default VPC alone, and there is none.
		return nil, awsapi.NewError("InvalidGroup.NotFound", "The security group '%s' does not exist in default VPC: use the filter group-name with vpc-id", in.GroupNames[0])
	}
	rules := func(egress bool, get func(*model.SecurityGroupRule) string) field[model.SecurityGroup] {
		return func(g *model.SecurityGroup) (values []string) {
			for rule := range s.tables.SecurityGroupRules.By(view, "group", g.ID) {
				if v := get(rule); rule.Egress == egress && v != "" {
					values = append(values, v)
				}
			}
			return values
		}
	}
	known := fields[model.SecurityGroup]{
		"group-id":    func(g *model.SecurityGroup) []string { return one(g.ID) },
		"group-name":  func(g *model.SecurityGroup) []string { return one(g.Name) },
		"description": func(g *model.SecurityGroup) []string { return one(g.Description) },
		"owner-id":    func(*model.SecurityGroup) []string { return one(s.scope.Account) },
		"vpc-id":      func(g *model.SecurityGroup) []string { return one(g.VPCID) },
	}
	for prefix, egress := range map[string]bool{"ip-permission.": false, "egress.ip-permission.": true} {
		known[prefix+"cidr"] = rules(egress, func(r *model.SecurityGroupRule) string { return cidrOf(r, true) })
		known[prefix+"ipv6-cidr"] = rules(egress, func(r *model.SecurityGroupRule) string { return cidrOf(r, false) })
		known[prefix+"group-id"] = rules(egress, func(r *model.SecurityGroupRule) string { return r.RefGroupID })
		known[prefix+"protocol"] = rules(egress, func(r *model.SecurityGroupRule) string { return protocolName(r.Protocol) })
		known[prefix+"from-port"] = rules(egress, func(r *model.SecurityGroupRule) string { return number(r.From) })
		known[prefix+"to-port"] = rules(egress, func(r *model.SecurityGroupRule) string { return number(r.To) })
	}
	out, next, err := describe(query{ids: in.GroupIds, filters: in.Filters, maxResults: in.MaxResults, nextToken: in.NextToken}, noun[model.SecurityGroup, ec2api.SecurityGroup]{
		id:      func(g *model.SecurityGroup) string { return g.ID },
		missing: groupNotFound,
		tags:    func(g *model.SecurityGroup) model.Tags { return g.Tags },
		fields:  known,
		convert: func(g *model.SecurityGroup) ec2api.SecurityGroup { return s.securityGroup(view, g) },
	}, func(id string) (*model.SecurityGroup, bool) { return s.tables.SecurityGroups.Get(view, id) }, s.tables.SecurityGroups.List(view))
	if err != nil {
		return nil, err
	}
	return &ec2api.DescribeSecurityGroupsOutput{SecurityGroups: out, NextToken: next}, nil
}

func (s *Server) securityGroup(r store.Reader, g *model.SecurityGroup) ec2api.SecurityGroup {
	var ingress, egress []*model.SecurityGroupRule
	for rule := range s.tables.SecurityGroupRules.By(r, "group", g.ID) {
		if rule.Egress {
			egress = append(egress, rule)
		} else {
			ingress = append(ingress, rule)
		}
	}
	return ec2api.SecurityGroup{
		Description: awsapi.Ptr(g.Description), GroupId: awsapi.Ptr(g.ID), GroupName: awsapi.Ptr(g.Name), OwnerId: s.owner(),
		IpPermissions: s.permissions(ingress), IpPermissionsEgress: s.permissions(egress),
		SecurityGroupArn: awsapi.Ptr(s.arn("security-group", g.ID)), Tags: tagList(g.Tags), VpcId: awsapi.Ptr(g.VPCID),
	}
}

// DescribeSecurityGroupReferences lists which VPCs' groups refer to a group. There is no peering, so none do.
func (s *Server) DescribeSecurityGroupReferences(_ context.Context, in *ec2api.DescribeSecurityGroupReferencesInput) (*ec2api.DescribeSecurityGroupReferencesOutput, error) {
	view := s.db.View()
	for _, id := range in.GroupId {
		if !s.tables.SecurityGroups.Has(view, id) {
			return nil, groupNotFound(id)
		}
	}
	return &ec2api.DescribeSecurityGroupReferencesOutput{}, nil
}
