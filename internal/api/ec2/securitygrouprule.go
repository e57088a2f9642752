package ec2

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// maxRules is the quota of rules of a group per direction; IPv4 and IPv6 count separately (aws-facts 2.4). AWS allows
// to raise it so far that rules times groups of an interface stay within 1,000; Neargate has that limit from the start.
const maxRules = 1000

// change is what an Authorize or Revoke call asks of a group, whichever way it is written.
type change struct {
	groupID     string
	egress      bool
	permissions []ec2api.IpPermission
	ruleIDs     []string
	tags        model.Tags
}

// AuthorizeSecurityGroupIngress adds rules that let packets in.
func (s *Server) AuthorizeSecurityGroupIngress(ctx context.Context, in *ec2api.AuthorizeSecurityGroupIngressInput) (*ec2api.AuthorizeSecurityGroupIngressOutput, error) {
	if in.SourceSecurityGroupName != nil || in.SourceSecurityGroupOwnerId != nil || in.GroupName != nil {
		return nil, byNameRefused()
	}
	tags, err := tagsFor(in.TagSpecifications, ec2api.ResourceTypeSecurityGroupRule)
	if err != nil {
		return nil, err
	}
	rules, err := s.authorize(ctx, change{groupID: awsapi.Val(in.GroupId), tags: tags, permissions: withFlat(in.IpPermissions, in.IpProtocol, in.FromPort, in.ToPort, in.CidrIp)})
	if err != nil {
		return nil, err
	}
	return &ec2api.AuthorizeSecurityGroupIngressOutput{Return: awsapi.Ptr(true), SecurityGroupRules: rules}, nil
}

// AuthorizeSecurityGroupEgress adds rules that let packets out.
func (s *Server) AuthorizeSecurityGroupEgress(ctx context.Context, in *ec2api.AuthorizeSecurityGroupEgressInput) (*ec2api.AuthorizeSecurityGroupEgressOutput, error) {
	if in.SourceSecurityGroupName != nil || in.SourceSecurityGroupOwnerId != nil {
		return nil, byNameRefused()
	}
	tags, err := tagsFor(in.TagSpecifications, ec2api.ResourceTypeSecurityGroupRule)
	if err != nil {
		return nil, err
	}
	rules, err := s.authorize(ctx, change{groupID: awsapi.Val(in.GroupId), egress: true, tags: tags, permissions: withFlat(in.IpPermissions, in.IpProtocol, in.FromPort, in.ToPort, in.CidrIp)})
	if err != nil {
		return nil, err
	}
	return &ec2api.AuthorizeSecurityGroupEgressOutput{Return: awsapi.Ptr(true), SecurityGroupRules: rules}, nil
}

// RevokeSecurityGroupIngress removes rules that let packets in.
func (s *Server) RevokeSecurityGroupIngress(ctx context.Context, in *ec2api.RevokeSecurityGroupIngressInput) (*ec2api.RevokeSecurityGroupIngressOutput, error) {
	if in.SourceSecurityGroupName != nil || in.SourceSecurityGroupOwnerId != nil || in.GroupName != nil {
		return nil, byNameRefused()
	}
	revoked, err := s.revoke(ctx, change{groupID: awsapi.Val(in.GroupId), ruleIDs: in.SecurityGroupRuleIds, permissions: withFlat(in.IpPermissions, in.IpProtocol, in.FromPort, in.ToPort, in.CidrIp)})
	if err != nil {
		return nil, err
	}
	return &ec2api.RevokeSecurityGroupIngressOutput{Return: awsapi.Ptr(true), RevokedSecurityGroupRules: revoked}, nil
}

// RevokeSecurityGroupEgress removes rules that let packets out.
func (s *Server) RevokeSecurityGroupEgress(ctx context.Context, in *ec2api.RevokeSecurityGroupEgressInput) (*ec2api.RevokeSecurityGroupEgressOutput, error) {
	if in.SourceSecurityGroupName != nil || in.SourceSecurityGroupOwnerId != nil {
		return nil, byNameRefused()
	}
	revoked, err := s.revoke(ctx, change{groupID: awsapi.Val(in.GroupId), egress: true, ruleIDs: in.SecurityGroupRuleIds, permissions: withFlat(in.IpPermissions, in.IpProtocol, in.FromPort, in.ToPort, in.CidrIp)})
	if err != nil {
		return nil, err
	}
	return &ec2api.RevokeSecurityGroupEgressOutput{Return: awsapi.Ptr(true), RevokedSecurityGroupRules: revoked}, nil
}

func byNameRefused() error {
	return awsapi.NewError("InvalidParameterCombination", "Groups in a VPC are named by identifier: use GroupId and IpPermissions with UserIdGroupPairs.")
}

// withFlat adds the one permission that the flat parameters of the old style describe.
func withFlat(permissions []ec2api.IpPermission, protocol *string, from, to *int32, cidr *string) []ec2api.IpPermission {
	if protocol == nil && cidr == nil {
		return permissions
	}
	flat := ec2api.IpPermission{IpProtocol: protocol, FromPort: from, ToPort: to}
	if cidr != nil {
		flat.IpRanges = []ec2api.IpRange{{CidrIp: cidr}}
	}
	return append(slices.Clone(permissions), flat)
}

// authorize adds the rules asked for: all of them, or none.
func (s *Server) authorize(ctx context.Context, c change) ([]ec2api.SecurityGroupRule, error) {
	if c.groupID == "" {
		return nil, missing("GroupId")
	}
	var added []ec2api.SecurityGroupRule
	err := s.update(ctx, func(tx *store.Txn) error {
		group, ok := s.tables.SecurityGroups.Get(tx, c.groupID)
		if !ok {
			return groupNotFound(c.groupID)
		}
		wanted, err := s.rulesOf(tx, group, c.egress, c.permissions)
		if err != nil {
			return err
		}
		if len(wanted) == 0 {
			return missing("ipPermissions")
		}
		have := s.rules(tx, group.ID, c.egress)
		added = nil
		for _, rule := range wanted {
			if slices.ContainsFunc(have, rule.sameAs) {
				return awsapi.NewError("InvalidPermission.Duplicate", "the specified rule \"%s\" already exists", rule.describe())
			}
			rec := rule.SecurityGroupRule
			rec.Meta = model.Meta{Tags: c.tags, CreatedAt: s.clock.Now()}
			rec.ID, rec.GroupID, rec.Egress = model.NewID(model.PrefixSecurityGroupRule), group.ID, c.egress
			have = append(have, &rec)
			s.tables.SecurityGroupRules.Put(tx, &rec)
			added = append(added, s.securityGroupRule(tx, &rec))
		}
		if tooMany(have) {
			return awsapi.NewError("RulesPerSecurityGroupLimitExceeded", "The maximum number of rules per security group has been reached.")
		}
		return nil
	})
	return added, err
}

// tooMany reports whether one direction of a group has more rules of one address family than the quota allows.
func tooMany(rules []*model.SecurityGroupRule) bool {
	v4, v6 := 0, 0
	for _, r := range rules {
		if !r.CIDR.IsValid() || r.CIDR.Addr().Is4() { // a group counts for both
			v4++
		}
		if !r.CIDR.IsValid() || r.CIDR.Addr().Is6() {
			v6++
		}
	}
	return v4 > maxRules || v6 > maxRules
}

// revoke removes the rules named, all of them or none; one that is not there is an error.
func (s *Server) revoke(ctx context.Context, c change) ([]ec2api.RevokedSecurityGroupRule, error) {
	if c.groupID == "" {
		return nil, missing("GroupId")
	}
	if len(c.permissions) == 0 && len(c.ruleIDs) == 0 {
		return nil, missing("ipPermissions or securityGroupRuleIds")
	}
	var revoked []ec2api.RevokedSecurityGroupRule
	err := s.update(ctx, func(tx *store.Txn) error {
		revoked = nil
		group, ok := s.tables.SecurityGroups.Get(tx, c.groupID)
		if !ok {
			return groupNotFound(c.groupID)
		}
		have := s.rules(tx, group.ID, c.egress)
		var gone []*model.SecurityGroupRule
		for _, id := range c.ruleIDs {
			i := slices.IndexFunc(have, func(r *model.SecurityGroupRule) bool { return r.ID == id })
			if i < 0 {
				return ruleNotFound(id)
			}
			gone = append(gone, have[i])
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
			gone = append(gone, have[i])
		}
		for _, rule := range gone {
			s.tables.SecurityGroupRules.Delete(tx, rule.ID)
			revoked = append(revoked, revokedRule(rule))
		}
		return nil
	})
	return revoked, err
}

// rules returns a group's rules of one direction.
func (s *Server) rules(r store.Reader, groupID string, egress bool) []*model.SecurityGroupRule {
	var rules []*model.SecurityGroupRule
	for rule := range s.tables.SecurityGroupRules.By(r, "group", groupID) {
		if rule.Egress == egress {
			rules = append(rules, rule)
		}
	}
	return rules
}

// asked is a rule as a request describes it.
type asked struct{ model.SecurityGroupRule }

// sameAs reports whether a stored rule lets the same packets through.
func (a asked) sameAs(r *model.SecurityGroupRule) bool {
	return a.Protocol == r.Protocol && a.From == r.From && a.To == r.To && a.CIDR == r.CIDR && a.RefGroupID == r.RefGroupID
}

// describe writes the rule as EC2 does in its error for a duplicate.
func (a asked) describe() string {
	peer := a.RefGroupID
	if a.CIDR.IsValid() {
		peer = a.CIDR.String()
	}
	if a.Protocol == model.ProtoAll {
		return fmt.Sprintf("peer: %s, ALL, ALLOW", peer)
	}
	return fmt.Sprintf("peer: %s, %s, from port: %d, to port: %d, ALLOW", peer, strings.ToUpper(protocolName(a.Protocol)), a.From, a.To)
}

// rulesOf returns the rules that permissions describe, one for each range and each group.
func (s *Server) rulesOf(r store.Reader, group *model.SecurityGroup, egress bool, permissions []ec2api.IpPermission) ([]asked, error) {
	var rules []asked
	for _, p := range permissions {
		protocol, from, to, err := ports(p)
		if err != nil {
			return nil, err
		}
		rule := func(cidr netip.Prefix, ref string, description *string) error {
			if err := checkDescription(awsapi.Val(description)); err != nil {
				return err
			}
			rules = append(rules, asked{model.SecurityGroupRule{
				Protocol: protocol, From: from, To: to, CIDR: cidr, RefGroupID: ref, Description: awsapi.Val(description), Egress: egress,
			}})
			return nil
		}
		before := len(rules)
		for _, v4 := range p.IpRanges {
			cidr, err := parseRange("cidrIp", awsapi.Val(v4.CidrIp), netip.Addr.Is4)
			if err != nil {
				return nil, err
			}
			if err := rule(cidr, "", v4.Description); err != nil {
				return nil, err
			}
		}
		for _, v6 := range p.Ipv6Ranges {
			cidr, err := parseRange("cidrIpv6", awsapi.Val(v6.CidrIpv6), netip.Addr.Is6)
			if err != nil {
				return nil, err
			}
			if err := rule(cidr, "", v6.Description); err != nil {
				return nil, err
			}
		}
		for _, pair := range p.UserIdGroupPairs {
			ref, err := s.referenced(r, group, pair)
			if err != nil {
				return nil, err
			}
			if err := rule(netip.Prefix{}, ref, pair.Description); err != nil {
				return nil, err
			}
		}
		if len(p.PrefixListIds) > 0 {
			return nil, awsapi.NewError("InvalidPrefixListID.NotFound", "The prefix list ID '%s' does not exist", awsapi.Val(p.PrefixListIds[0].PrefixListId))
		}
		if len(rules) == before {
			return nil, missing("ipRanges, ipv6Ranges or groups")
		}
	}
	return rules, nil
}

// referenced returns the identifier of the group that a pair names; it is in the same VPC.
func (s *Server) referenced(r store.Reader, group *model.SecurityGroup, pair ec2api.UserIdGroupPair) (string, error) {
	if u := awsapi.Val(pair.UserId); u != "" && u != s.scope.Account {
		return "", awsapi.NewError("InvalidGroup.NotFound", "You have specified two resources that belong to different networks: Neargate has one account, %s", s.scope.Account)
	}
	if v := awsapi.Val(pair.VpcId); v != "" && v != group.VPCID || awsapi.Val(pair.VpcPeeringConnectionId) != "" {
		return "", awsapi.NewError("InvalidGroup.NotFound", "You have specified two resources that belong to different networks: Neargate has no VPC peering, so leave VpcId and VpcPeeringConnectionId out.")
	}
	id := awsapi.Val(pair.GroupId)
	if id == "" {
		for other := range s.tables.SecurityGroups.By(r, "vpc", group.VPCID) {
			if name := awsapi.Val(pair.GroupName); name != "" && other.Name == name {
				return other.ID, nil
			}
		}
		return "", groupNotFound(awsapi.Val(pair.GroupName))
	}
	other, ok := s.tables.SecurityGroups.Get(r, id)
	if !ok {
		return "", groupNotFound(id)
	}
	if other.VPCID != group.VPCID {
		return "", awsapi.NewError("InvalidGroup.NotFound", "You have specified two resources that belong to different networks.")
	}
	return id, nil
}

func parseRange(parameter, text string, family func(netip.Addr) bool) (netip.Prefix, error) {
	cidr, err := netip.ParsePrefix(text)
	if err != nil {
		if a, addrErr := netip.ParseAddr(text); addrErr == nil && family(a) {
			return netip.PrefixFrom(a, a.BitLen()), nil
		}
	}
	if err != nil || !family(cidr.Addr()) {
		return netip.Prefix{}, awsapi.NewError("InvalidParameterValue", "CIDR block %s is malformed (parameter %s)", text, parameter)
	}
	return cidr.Masked(), nil
}

func checkDescription(text string) error {
	const allowed = " ._-:/()#,@[]+=&;{}!$*"
	for _, c := range text {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune(allowed, c) {
			return awsapi.NewError("InvalidParameterValue", "Invalid rule description. Valid descriptions are strings less than 256 characters from the following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*")
		}
	}
	if len(text) > 255 {
		return awsapi.NewError("InvalidParameterValue", "Invalid rule description. Valid descriptions are strings less than 256 characters from the following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*")
	}
	return nil
}

// protocols are the names that EC2 prints instead of numbers.
var protocols = map[string]int{"-1": model.ProtoAll, "all": model.ProtoAll, "tcp": model.ProtoTCP, "udp": model.ProtoUDP, "icmp": model.ProtoICMP, "icmpv6": model.ProtoICMPv6}

func protocolName(n int) string {
	switch n {
	case model.ProtoTCP:
		return "tcp"
	case model.ProtoUDP:
		return "udp"
	case model.ProtoICMP:
		return "icmp"
	case model.ProtoICMPv6:
		return "icmpv6"
	}
	return strconv.Itoa(n)
}

const maxPort = 65535

// ports returns the protocol and the ports of a permission. For TCP and UDP both ports are needed; for ICMP they are
// type and code; for all others they mean nothing, and Terraform sends zeros (client-contracts, aws_security_group).
func ports(p ec2api.IpPermission) (protocol, from, to int, err error) {
	name := strings.ToLower(awsapi.Val(p.IpProtocol))
	if name == "" {
		return 0, 0, 0, missing("ipProtocol")
	}
	protocol, known := protocols[name]
	if !known {
		n, convErr := strconv.Atoi(name)
		if convErr != nil || n < 0 || n > 255 {
			return 0, 0, 0, awsapi.NewError("InvalidPermission.Malformed", "Unsupported IP protocol \"%s\"  - supported: [tcp, udp, icmp, icmpv6, -1] or a number between 0 and 255", name)
		}
		protocol = n
	}
	switch protocol {
	case model.ProtoTCP, model.ProtoUDP:
		if p.FromPort == nil || p.ToPort == nil {
			return 0, 0, 0, awsapi.NewError("InvalidParameterValue", "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.")
		}
		from, to = int(*p.FromPort), int(*p.ToPort)
		if from == -1 && to == -1 {
			from, to = 0, maxPort
		}
		if from < 0 || to > maxPort || from > to {
			return 0, 0, 0, awsapi.NewError("InvalidParameterValue", "Invalid TCP/UDP port range (%d:%d)", from, to)
		}
		return protocol, from, to, nil
	case model.ProtoICMP, model.ProtoICMPv6:
		from, to = int(awsapi.Or(p.FromPort, -1)), int(awsapi.Or(p.ToPort, -1))
		if from < -1 || from > 255 || to < -1 || to > 255 || (from == -1 && to != -1) {
			return 0, 0, 0, awsapi.NewError("InvalidParameterValue", "ICMP code (%d) with type (%d) is not valid", to, from)
		}
		return protocol, from, to, nil
	}
	return protocol, -1, -1, nil
}
