package ec2

import (
	"context"
	"net/netip"
	"slices"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// DescribeSecurityGroupRules lists rules one by one.
func (s *Server) DescribeSecurityGroupRules(_ context.Context, in *ec2api.DescribeSecurityGroupRulesInput) (*ec2api.DescribeSecurityGroupRulesOutput, error) {
	view := s.db.View()
	out, next, err := describe(query{ids: in.SecurityGroupRuleIds, filters: in.Filters, maxResults: in.MaxResults, nextToken: in.NextToken}, noun[model.SecurityGroupRule, ec2api.SecurityGroupRule]{
		id:      func(r *model.SecurityGroupRule) string { return r.ID },
		missing: ruleNotFound,
		tags:    func(r *model.SecurityGroupRule) model.Tags { return r.Tags },
		fields: fields[model.SecurityGroupRule]{
			"group-id":               func(r *model.SecurityGroupRule) []string { return one(r.GroupID) },
			"security-group-rule-id": func(r *model.SecurityGroupRule) []string { return one(r.ID) },
		},
		convert: func(r *model.SecurityGroupRule) ec2api.SecurityGroupRule { return s.securityGroupRule(view, r) },
	}, func(id string) (*model.SecurityGroupRule, bool) { return s.tables.SecurityGroupRules.Get(view, id) }, s.tables.SecurityGroupRules.List(view))
	if err != nil {
		return nil, err
	}
	return &ec2api.DescribeSecurityGroupRulesOutput{SecurityGroupRules: out, NextToken: next}, nil
}

// securityGroupRule prints -1 for the ports of a rule without any, where DescribeSecurityGroups leaves them out.
func (s *Server) securityGroupRule(r store.Reader, rule *model.SecurityGroupRule) ec2api.SecurityGroupRule {
	out := ec2api.SecurityGroupRule{
		CidrIpv4: awsapi.NonZero(cidrOf(rule, true)), CidrIpv6: awsapi.NonZero(cidrOf(rule, false)), Description: awsapi.NonZero(rule.Description),
		FromPort: awsapi.Ptr(int32(rule.From)), ToPort: awsapi.Ptr(int32(rule.To)), GroupId: awsapi.Ptr(rule.GroupID), GroupOwnerId: s.owner(),
		IpProtocol: awsapi.Ptr(protocolName(rule.Protocol)), IsEgress: awsapi.Ptr(rule.Egress),
		SecurityGroupRuleArn: awsapi.Ptr(s.arn("security-group-rule", rule.ID)), SecurityGroupRuleId: awsapi.Ptr(rule.ID), Tags: tagList(rule.Tags),
	}
	if rule.RefGroupID != "" {
		out.ReferencedGroupInfo = &ec2api.ReferencedSecurityGroup{GroupId: awsapi.Ptr(rule.RefGroupID), UserId: s.owner()}
		if group, ok := s.tables.SecurityGroups.Get(r, rule.RefGroupID); ok {
			out.ReferencedGroupInfo.VpcId = awsapi.Ptr(group.VPCID)
		}
	}
	return out
}

func revokedRule(rule *model.SecurityGroupRule) ec2api.RevokedSecurityGroupRule {
	return ec2api.RevokedSecurityGroupRule{
		CidrIpv4: awsapi.NonZero(cidrOf(rule, true)), CidrIpv6: awsapi.NonZero(cidrOf(rule, false)), Description: awsapi.NonZero(rule.Description),
		FromPort: awsapi.Ptr(int32(rule.From)), ToPort: awsapi.Ptr(int32(rule.To)), GroupId: awsapi.Ptr(rule.GroupID),
		IpProtocol: awsapi.Ptr(protocolName(rule.Protocol)), IsEgress: awsapi.Ptr(rule.Egress),
		ReferencedGroupId: awsapi.NonZero(rule.RefGroupID), SecurityGroupRuleId: awsapi.Ptr(rule.ID),
	}
}

// cidrOf returns the rule's range if it is of the family asked for, else the empty text.
func cidrOf(rule *model.SecurityGroupRule, v4 bool) string {
	if !rule.CIDR.IsValid() || rule.CIDR.Addr().Is4() != v4 {
		return ""
	}
	return rule.CIDR.String()
}

// permissions groups rules of the same protocol and ports into one permission, as DescribeSecurityGroups prints them.
func (s *Server) permissions(rules []*model.SecurityGroupRule) []ec2api.IpPermission {
	var out []ec2api.IpPermission
	same := func(rule *model.SecurityGroupRule) func(ec2api.IpPermission) bool {
		return func(p ec2api.IpPermission) bool {
			return *p.IpProtocol == protocolName(rule.Protocol) && (p.FromPort == nil || int(*p.FromPort) == rule.From) && (p.ToPort == nil || int(*p.ToPort) == rule.To)
		}
	}
	for _, rule := range rules {
		i := slices.IndexFunc(out, same(rule))
		if i < 0 {
			p := ec2api.IpPermission{IpProtocol: awsapi.Ptr(protocolName(rule.Protocol))}
			if hasPorts(rule.Protocol) {
				p.FromPort, p.ToPort = awsapi.Ptr(int32(rule.From)), awsapi.Ptr(int32(rule.To))
			}
			out, i = append(out, p), len(out)
		}
		description := awsapi.NonZero(rule.Description)
		switch p := &out[i]; {
		case rule.RefGroupID != "":
			p.UserIdGroupPairs = append(p.UserIdGroupPairs, ec2api.UserIdGroupPair{GroupId: awsapi.Ptr(rule.RefGroupID), UserId: s.owner(), Description: description})
		case rule.CIDR.Addr().Is4():
			p.IpRanges = append(p.IpRanges, ec2api.IpRange{CidrIp: awsapi.Ptr(rule.CIDR.String()), Description: description})
		default:
			p.Ipv6Ranges = append(p.Ipv6Ranges, ec2api.Ipv6Range{CidrIpv6: awsapi.Ptr(rule.CIDR.String()), Description: description})
		}
	}
	return out
}

// hasPorts reports whether a rule of that protocol has ports, or an ICMP type and code.
func hasPorts(protocol int) bool {
	switch protocol {
	case model.ProtoTCP, model.ProtoUDP, model.ProtoICMP, model.ProtoICMPv6:
		return true
	}
	return false
}

// ModifySecurityGroupRules replaces what rules say, all of them or none; a rule keeps its identifier, direction and
// kind of source.
func (s *Server) ModifySecurityGroupRules(ctx context.Context, in *ec2api.ModifySecurityGroupRulesInput) (*ec2api.ModifySecurityGroupRulesOutput, error) {
	groupID := awsapi.Val(in.GroupId)
	err := s.update(ctx, func(tx *store.Txn) error {
		group, ok := s.tables.SecurityGroups.Get(tx, groupID)
		if !ok {
			return groupNotFound(groupID)
		}
		for _, update := range in.SecurityGroupRules {
			id := awsapi.Val(update.SecurityGroupRuleId)
			rule, ok := s.tables.SecurityGroupRules.Get(tx, id)
			if !ok || rule.GroupID != groupID {
				return ruleNotFound(id)
			}
			wanted, err := s.requested(tx, group, rule, update.SecurityGroupRule)
			if err != nil {
				return err
			}
			for _, other := range s.rules(tx, groupID, rule.Egress) {
				if other.ID != id && wanted.sameAs(other) {
					return awsapi.NewError("InvalidPermission.Duplicate", "the specified rule \"%s\" already exists", wanted.describe())
				}
			}
			s.tables.SecurityGroupRules.Edit(tx, id, func(r *model.SecurityGroupRule) {
				r.Protocol, r.From, r.To, r.CIDR, r.RefGroupID, r.Description = wanted.Protocol, wanted.From, wanted.To, wanted.CIDR, wanted.RefGroupID, wanted.Description
			})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ec2api.ModifySecurityGroupRulesOutput{Return: awsapi.Ptr(true)}, nil
}

// requested returns the one rule that a modification asks for.
func (s *Server) requested(r store.Reader, group *model.SecurityGroup, rule *model.SecurityGroupRule, q *ec2api.SecurityGroupRuleRequest) (asked, error) {
	if q == nil {
		return asked{}, missing("SecurityGroupRule")
	}
	p := ec2api.IpPermission{IpProtocol: q.IpProtocol, FromPort: q.FromPort, ToPort: q.ToPort}
	if q.CidrIpv4 != nil {
		p.IpRanges = []ec2api.IpRange{{CidrIp: q.CidrIpv4, Description: q.Description}}
	}
	if q.CidrIpv6 != nil {
		p.Ipv6Ranges = []ec2api.Ipv6Range{{CidrIpv6: q.CidrIpv6, Description: q.Description}}
	}
	if q.ReferencedGroupId != nil {
		p.UserIdGroupPairs = []ec2api.UserIdGroupPair{{GroupId: q.ReferencedGroupId, Description: q.Description}}
	}
	if q.PrefixListId != nil {
		p.PrefixListIds = []ec2api.PrefixListId{{PrefixListId: q.PrefixListId}}
	}
	rules, err := s.rulesOf(r, group, rule.Egress, []ec2api.IpPermission{p})
	switch {
	case err != nil:
		return asked{}, err
	case len(rules) != 1:
		return asked{}, awsapi.NewError("InvalidParameterCombination", "Exactly one source or destination must be given for the rule %s", rule.ID)
	case kindOf(rules[0].CIDR) != kindOf(rule.CIDR):
		return asked{}, awsapi.NewError("InvalidParameterValue", "The kind of the source or destination of rule %s cannot be changed", rule.ID)
	}
	return rules[0], nil
}

// kindOf tells an IPv4 range, an IPv6 range and a group apart.
func kindOf(cidr netip.Prefix) int {
	if !cidr.IsValid() {
		return 0
	}
	return cidr.Addr().BitLen()
}

// UpdateSecurityGroupRuleDescriptionsIngress changes descriptions of rules that let packets in.
func (s *Server) UpdateSecurityGroupRuleDescriptionsIngress(ctx context.Context, in *ec2api.UpdateSecurityGroupRuleDescriptionsIngressInput) (*ec2api.UpdateSecurityGroupRuleDescriptionsIngressOutput, error) {
	if in.GroupName != nil {
		return nil, byNameRefused()
	}
	if err := s.describeRules(ctx, change{groupID: awsapi.Val(in.GroupId), permissions: in.IpPermissions}, in.SecurityGroupRuleDescriptions); err != nil {
		return nil, err
	}
	return &ec2api.UpdateSecurityGroupRuleDescriptionsIngressOutput{Return: awsapi.Ptr(true)}, nil
}

// UpdateSecurityGroupRuleDescriptionsEgress changes descriptions of rules that let packets out.
func (s *Server) UpdateSecurityGroupRuleDescriptionsEgress(ctx context.Context, in *ec2api.UpdateSecurityGroupRuleDescriptionsEgressInput) (*ec2api.UpdateSecurityGroupRuleDescriptionsEgressOutput, error) {
	if in.GroupName != nil {
		return nil, byNameRefused()
	}
	if err := s.describeRules(ctx, change{groupID: awsapi.Val(in.GroupId), egress: true, permissions: in.IpPermissions}, in.SecurityGroupRuleDescriptions); err != nil {
		return nil, err
	}
	return &ec2api.UpdateSecurityGroupRuleDescriptionsEgressOutput{Return: awsapi.Ptr(true)}, nil
}

func (s *Server) describeRules(ctx context.Context, c change, byID []ec2api.SecurityGroupRuleDescription) error {
	return s.update(ctx, func(tx *store.Txn) error {
		group, ok := s.tables.SecurityGroups.Get(tx, c.groupID)
		if !ok {
			return groupNotFound(c.groupID)
		}
		have := s.rules(tx, group.ID, c.egress)
		set := func(id, text string) {
			s.tables.SecurityGroupRules.Edit(tx, id, func(r *model.SecurityGroupRule) { r.Description = text })
		}
		for _, d := range byID {
			id := awsapi.Val(d.SecurityGroupRuleId)
			if !slices.ContainsFunc(have, func(r *model.SecurityGroupRule) bool { return r.ID == id }) {
				return ruleNotFound(id)
			}
			if err := checkDescription(awsapi.Val(d.Description)); err != nil {
				return err
			}
			set(id, awsapi.Val(d.Description))
		}
		wanted, err := s.rulesOf(tx, group, c.egress, c.permissions)
		if err != nil {
			return err
		}
		for _, rule := range wanted {
			i := slices.IndexFunc(have, rule.sameAs)
			if i < 0 {
				return awsapi.NewError("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
			}
			set(have[i].ID, rule.Description)
		}
		return nil
	})
}
