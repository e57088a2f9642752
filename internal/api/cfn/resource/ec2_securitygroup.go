package resource

import (
	"context"
	"reflect"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/stack"
)

func (t *ec2Types) securityGroupTypes() []*Type {
	rule := func(peers ...string) map[string]stack.Property {
		names := []string{"IpProtocol!*", "FromPort*", "ToPort*", "CidrIp*", "CidrIpv6*", "Description"}
		return props(append(names, peers...)...)
	}
	return []*Type{
		{
			Type: stack.Type{
				Name:       "AWS::EC2::SecurityGroup",
				Properties: props("GroupDescription!*", "GroupName*", "VpcId*", "SecurityGroupIngress", "SecurityGroupEgress", "Tags"),
				Attributes: []string{"GroupId", "VpcId", "Id", "GroupName"},
			},
			Named: "GroupName", New: t.newSecurityGroup, Find: t.findSecurityGroup, Apply: t.applySecurityGroup, Read: t.readSecurityGroup, Taggable: true,
			Remove: func(ctx context.Context, r *Request) error {
				_, err := invoke(ctx, t.d, t.api.DeleteSecurityGroup, &ec2api.DeleteSecurityGroupInput{GroupId: &r.PhysicalID})
				return err
			},
		},
		{
			Type: stack.Type{
				Name:       "AWS::EC2::SecurityGroupIngress",
				Properties: rule("GroupId!*", "SourceSecurityGroupId*", "SourceSecurityGroupOwnerId*", "SourcePrefixListId*"),
				Attributes: []string{"Id"},
			},
			New: t.newRule(false), Find: t.findRule(false), Apply: t.applyRule(false), Remove: t.removeRule(false), Read: readID,
		},
		{
			Type: stack.Type{
				Name:       "AWS::EC2::SecurityGroupEgress",
				Properties: rule("GroupId!*", "DestinationSecurityGroupId*", "DestinationPrefixListId*"),
				Attributes: []string{"Id"},
			},
			New: t.newRule(true), Find: t.findRule(true), Apply: t.applyRule(true), Remove: t.removeRule(true), Read: readID,
		},
	}
}

func (t *ec2Types) newSecurityGroup(ctx context.Context, r *Request) (string, error) {
	in := &ec2api.CreateSecurityGroupInput{GroupName: p(r.nameOr("GroupName", 255)), TagSpecifications: t.tags(r, ec2api.ResourceTypeSecurityGroup)}
	if err := r.fill(in, "GroupDescription=Description", "VpcId"); err != nil {
		return "", err
	}
	out, err := invoke(ctx, t.d, t.api.CreateSecurityGroup, in)
	if err != nil {
		return "", err
	}
	return awsapi.Val(out.GroupId), nil
}

func (t *ec2Types) findSecurityGroup(ctx context.Context, r *Request) (string, bool, error) {
	out, err := invoke(ctx, t.d, t.api.DescribeSecurityGroups, &ec2api.DescribeSecurityGroupsInput{Filters: mine(r)})
	if err != nil {
		return "", false, err
	}
	return unknown(r, out.SecurityGroups, func(v *ec2api.SecurityGroup) *string { return v.GroupId })
}

func (t *ec2Types) group(ctx context.Context, id string) (ec2api.SecurityGroup, error) {
	out, err := invoke(ctx, t.d, t.api.DescribeSecurityGroups, &ec2api.DescribeSecurityGroupsInput{GroupIds: []string{id}})
	if err != nil {
		return ec2api.SecurityGroup{}, err
	}
	g, _ := first(out.SecurityGroups)
	return g, nil
}

func (t *ec2Types) readSecurityGroup(ctx context.Context, r *Request) (Attributes, error) {
	g, err := t.group(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	return Attributes{"GroupId": r.PhysicalID, "Id": r.PhysicalID, "VpcId": awsapi.Val(g.VpcId), "GroupName": awsapi.Val(g.GroupName)}, nil
}

// allowAll is the egress rule that a new group has, in the words of a template.
func allowAll() map[string]any {
	return map[string]any{"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}
}

// applySecurityGroup brings the rules of the template into the group: what it had and no longer has is revoked first.
func (t *ec2Types) applySecurityGroup(ctx context.Context, r *Request) error {
	for _, egress := range []bool{false, true} {
		property := "SecurityGroupIngress"
		if egress {
			property = "SecurityGroupEgress"
		}
		had, want := objects(r.Old, property), objects(r.Properties, property)
		if egress {
			// Without egress rules of its own a group keeps, or gets back, the one that allows everything.
			if len(had) == 0 {
				had = []map[string]any{allowAll()}
			}
			if len(want) == 0 {
				want = []map[string]any{allowAll()}
			}
		}
		for _, rule := range without(had, want) {
			permission, err := r.permission(rule, egress, "#/"+property)
			if err != nil {
				return err
			}
			if err := t.revoke(ctx, r.PhysicalID, permission, egress); err != nil && !IsNotFound(err) {
				return err
			}
		}
		for _, rule := range without(want, had) {
			permission, err := r.permission(rule, egress, "#/"+property)
			if err != nil {
				return err
			}
			_, err = t.authorize(ctx, r.PhysicalID, permission, egress)
			if codeOf(err) == "InvalidPermission.Duplicate" && r.Repeated {
				err = nil
			}
			if err != nil {
				return err
			}
		}
	}
	return t.retag(ctx, r, r.PhysicalID)
}

// without returns the rules of a that are not in b; a rule that stands twice is kept twice, so that EC2 refuses it.
func without(a, b []map[string]any) []map[string]any {
	var out []map[string]any
	for _, rule := range a {
		found := false
		for _, other := range b {
			found = found || len(stack.Changed(rule, other)) == 0
		}
		if !found {
			out = append(out, rule)
		}
	}
	return out
}

// permission turns a rule of a template into EC2's form.
func (r *Request) permission(rule map[string]any, egress bool, path string) (ec2api.IpPermission, error) {
	one := *r
	one.Properties = rule
	var out ec2api.IpPermission
	if err := one.fill(&out, "IpProtocol", "FromPort", "ToPort"); err != nil {
		return out, err
	}
	if out.IpProtocol == nil {
		return out, r.invalid(path, "required key [IpProtocol] not found")
	}
	description := (*string)(nil)
	if v := one.text("Description"); v != "" {
		description = &v
	}
	peer := "Source"
	if egress {
		peer = "Destination"
	}
	for name := range rule {
		switch {
		case name == "IpProtocol", name == "FromPort", name == "ToPort", name == "Description", name == "GroupId":
		case name == "CidrIp":
			out.IpRanges = append(out.IpRanges, ec2api.IpRange{CidrIp: p(one.text(name)), Description: description})
		case name == "CidrIpv6":
			out.Ipv6Ranges = append(out.Ipv6Ranges, ec2api.Ipv6Range{CidrIpv6: p(one.text(name)), Description: description})
		case name == peer+"PrefixListId":
			out.PrefixListIds = append(out.PrefixListIds, ec2api.PrefixListId{PrefixListId: p(one.text(name)), Description: description})
		case name == peer+"SecurityGroupId":
			pair := ec2api.UserIdGroupPair{GroupId: p(one.text(name)), Description: description}
			if owner := one.text("SourceSecurityGroupOwnerId"); owner != "" {
				pair.UserId = &owner
			}
			out.UserIdGroupPairs = append(out.UserIdGroupPairs, pair)
		case name == "SourceSecurityGroupOwnerId" && !egress:
		default:
			return out, r.invalid(path, "extraneous key [%s] is not permitted", name)
		}
	}
	if len(out.IpRanges)+len(out.Ipv6Ranges)+len(out.PrefixListIds)+len(out.UserIdGroupPairs) != 1 {
		return out, r.invalid(path, "exactly one of CidrIp, CidrIpv6, %sPrefixListId and %sSecurityGroupId must be specified", peer, peer)
	}
	return out, nil
}

func (t *ec2Types) authorize(ctx context.Context, group string, permission ec2api.IpPermission, egress bool) ([]ec2api.SecurityGroupRule, error) {
	if egress {
		out, err := invoke(ctx, t.d, t.api.AuthorizeSecurityGroupEgress, &ec2api.AuthorizeSecurityGroupEgressInput{GroupId: &group, IpPermissions: []ec2api.IpPermission{permission}})
		if err != nil {
			return nil, err
		}
		return out.SecurityGroupRules, nil
	}
	out, err := invoke(ctx, t.d, t.api.AuthorizeSecurityGroupIngress, &ec2api.AuthorizeSecurityGroupIngressInput{GroupId: &group, IpPermissions: []ec2api.IpPermission{permission}})
	if err != nil {
		return nil, err
	}
	return out.SecurityGroupRules, nil
}

func (t *ec2Types) revoke(ctx context.Context, group string, permission ec2api.IpPermission, egress bool) error {
	var err error
	if egress {
		_, err = invoke(ctx, t.d, t.api.RevokeSecurityGroupEgress, &ec2api.RevokeSecurityGroupEgressInput{GroupId: &group, IpPermissions: []ec2api.IpPermission{permission}})
	} else {
		_, err = invoke(ctx, t.d, t.api.RevokeSecurityGroupIngress, &ec2api.RevokeSecurityGroupIngressInput{GroupId: &group, IpPermissions: []ec2api.IpPermission{permission}})
	}
	return err
}

func (t *ec2Types) newRule(egress bool) func(context.Context, *Request) (string, error) {
	return func(ctx context.Context, r *Request) (string, error) {
		permission, err := r.permission(r.Properties, egress, "#")
		if err != nil {
			return "", err
		}
		rules, err := t.authorize(ctx, r.text("GroupId"), permission, egress)
		if err != nil {
			return "", err
		}
		rule, ok := first(rules)
		if !ok {
			return r.Name(255), nil
		}
		return awsapi.Val(rule.SecurityGroupRuleId), nil
	}
}

// findRule finds the rule by what it says, since rules that CloudFormation makes carry no tags.
func (t *ec2Types) findRule(egress bool) func(context.Context, *Request) (string, bool, error) {
	return func(ctx context.Context, r *Request) (string, bool, error) {
		out, err := invoke(ctx, t.d, t.api.DescribeSecurityGroupRules, &ec2api.DescribeSecurityGroupRulesInput{
			Filters: []ec2api.Filter{{Name: p("group-id"), Values: []string{r.text("GroupId")}}}})
		if err != nil {
			return "", false, err
		}
		peer := "Source"
		if egress {
			peer = "Destination"
		}
		want := []string{r.text("IpProtocol"), portOf(r, "FromPort"), portOf(r, "ToPort"), r.text("CidrIp"), r.text("CidrIpv6"), r.text(peer + "SecurityGroupId"), r.text(peer + "PrefixListId")}
		for _, rule := range out.SecurityGroupRules {
			group := ""
			if rule.ReferencedGroupInfo != nil {
				group = awsapi.Val(rule.ReferencedGroupInfo.GroupId)
			}
			got := []string{awsapi.Val(rule.IpProtocol), port(rule.FromPort), port(rule.ToPort), awsapi.Val(rule.CidrIpv4), awsapi.Val(rule.CidrIpv6), group, awsapi.Val(rule.PrefixListId)}
			if awsapi.Val(rule.IsEgress) == egress && reflect.DeepEqual(want, got) {
				return awsapi.Val(rule.SecurityGroupRuleId), true, nil
			}
		}
		return "", false, nil
	}
}

func portOf(r *Request, name string) string {
	if v := r.text(name); v != "" && !strings.EqualFold(r.text("IpProtocol"), "-1") {
		return v
	}
	return "-1"
}

func port(n *int32) string {
	if n == nil {
		return "-1"
	}
	return itoa(int(*n))
}

// applyRule changes the description, which is all that can change in place.
func (t *ec2Types) applyRule(egress bool) func(context.Context, *Request) error {
	return func(ctx context.Context, r *Request) error {
		if r.Old == nil || !r.changed("Description") {
			return nil
		}
		permission, err := r.permission(r.Properties, egress, "#")
		if err != nil {
			return err
		}
		list := []ec2api.IpPermission{permission}
		if egress {
			_, err = invoke(ctx, t.d, t.api.UpdateSecurityGroupRuleDescriptionsEgress, &ec2api.UpdateSecurityGroupRuleDescriptionsEgressInput{GroupId: p(r.text("GroupId")), IpPermissions: list})
		} else {
			_, err = invoke(ctx, t.d, t.api.UpdateSecurityGroupRuleDescriptionsIngress, &ec2api.UpdateSecurityGroupRuleDescriptionsIngressInput{GroupId: p(r.text("GroupId")), IpPermissions: list})
		}
		return err
	}
}

func (t *ec2Types) removeRule(egress bool) func(context.Context, *Request) error {
	return func(ctx context.Context, r *Request) error {
		permission, err := r.permission(r.Properties, egress, "#")
		if err != nil {
			return err
		}
		return t.revoke(ctx, r.text("GroupId"), permission, egress)
	}
}
