package resource

import (
	"context"
	"strconv"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/elbv2api"
	"github.com/neargate/neargate/internal/stack"
)

func (t *elbTypes) listenerTypes() []*Type {
	return []*Type{
		{
			Type: stack.Type{
				Name:       "AWS::ElasticLoadBalancingV2::Listener",
				Properties: props("LoadBalancerArn!*", "DefaultActions!", "Port", "Protocol", "Certificates", "SslPolicy", "AlpnPolicy", "MutualAuthentication", "ListenerAttributes"),
				Attributes: []string{"ListenerArn"},
			},
			New: t.newListener, Find: t.findListener, Apply: t.applyListener, Taggable: false,
			Read: func(_ context.Context, r *Request) (Attributes, error) {
				return Attributes{"ListenerArn": r.PhysicalID}, nil
			},
			Remove: func(ctx context.Context, r *Request) error {
				_, err := invoke(ctx, t.d, t.api.DeleteListener, &elbv2api.DeleteListenerInput{ListenerArn: &r.PhysicalID})
				return err
			},
		},
		{
			Type: stack.Type{
				Name:       "AWS::ElasticLoadBalancingV2::ListenerRule",
				Properties: props("ListenerArn!*", "Actions!", "Conditions!", "Priority!"),
				Attributes: []string{"RuleArn", "IsDefault"},
			},
			New: t.newRule, Find: t.findRule, Apply: t.applyRule,
			Read: func(_ context.Context, r *Request) (Attributes, error) {
				return Attributes{"RuleArn": r.PhysicalID, "IsDefault": "false"}, nil
			},
			Remove: func(ctx context.Context, r *Request) error {
				_, err := invoke(ctx, t.d, t.api.DeleteRule, &elbv2api.DeleteRuleInput{RuleArn: &r.PhysicalID})
				return err
			},
		},
	}
}

func (t *elbTypes) newListener(ctx context.Context, r *Request) (string, error) {
	in := &elbv2api.CreateListenerInput{Tags: elbTags(r.Tags)}
	if err := r.fill(in, "LoadBalancerArn", "DefaultActions", "Port", "Protocol", "Certificates", "SslPolicy", "AlpnPolicy", "MutualAuthentication"); err != nil {
		return "", err
	}
	out, err := invoke(ctx, t.d, t.api.CreateListener, in)
	if err != nil {
		return "", err
	}
	l, _ := first(out.Listeners)
	return awsapi.Val(l.ListenerArn), nil
}

func (t *elbTypes) findListener(ctx context.Context, r *Request) (string, bool, error) {
	out, err := invoke(ctx, t.d, t.api.DescribeListeners, &elbv2api.DescribeListenersInput{LoadBalancerArn: p(r.text("LoadBalancerArn"))})
	if err != nil {
		return "", false, absent(err)
	}
	for _, l := range out.Listeners {
		if l.Port != nil && itoa(int(*l.Port)) == r.text("Port") {
			return unknown(r, []elbv2api.Listener{l}, func(v *elbv2api.Listener) *string { return v.ListenerArn })
		}
	}
	return "", false, nil
}

func (t *elbTypes) applyListener(ctx context.Context, r *Request) error {
	if r.Old != nil && r.changed("DefaultActions", "Port", "Protocol", "Certificates", "SslPolicy", "AlpnPolicy", "MutualAuthentication") {
		in := &elbv2api.ModifyListenerInput{ListenerArn: &r.PhysicalID}
		if err := r.fill(in, "DefaultActions", "Port", "Protocol", "Certificates", "SslPolicy", "AlpnPolicy", "MutualAuthentication"); err != nil {
			return err
		}
		if _, err := invoke(ctx, t.d, t.api.ModifyListener, in); err != nil {
			return err
		}
	}
	if r.has("ListenerAttributes") && r.changed("ListenerAttributes") {
		in := &elbv2api.ModifyListenerAttributesInput{ListenerArn: &r.PhysicalID}
		if err := r.fill(in, "ListenerAttributes=Attributes"); err != nil {
			return err
		}
		if len(in.Attributes) > 0 {
			if _, err := invoke(ctx, t.d, t.api.ModifyListenerAttributes, in); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *elbTypes) newRule(ctx context.Context, r *Request) (string, error) {
	in := &elbv2api.CreateRuleInput{Tags: elbTags(r.Tags)}
	if err := r.fill(in, "ListenerArn", "Actions", "Conditions", "Priority"); err != nil {
		return "", err
	}
	out, err := invoke(ctx, t.d, t.api.CreateRule, in)
	if err != nil {
		return "", err
	}
	rule, _ := first(out.Rules)
	return awsapi.Val(rule.RuleArn), nil
}

func (t *elbTypes) findRule(ctx context.Context, r *Request) (string, bool, error) {
	out, err := invoke(ctx, t.d, t.api.DescribeRules, &elbv2api.DescribeRulesInput{ListenerArn: p(r.text("ListenerArn"))})
	if err != nil {
		return "", false, absent(err)
	}
	for _, rule := range out.Rules {
		if awsapi.Val(rule.Priority) == r.text("Priority") {
			return unknown(r, []elbv2api.Rule{rule}, func(v *elbv2api.Rule) *string { return v.RuleArn })
		}
	}
	return "", false, nil
}

func (t *elbTypes) applyRule(ctx context.Context, r *Request) error {
	if r.Old == nil {
		return nil
	}
	if r.changed("Priority") {
		n, err := strconv.Atoi(strings.TrimSpace(r.text("Priority")))
		if err != nil {
			return r.mismatch("#/Priority", "Integer", r.Properties["Priority"])
		}
		if _, err := invoke(ctx, t.d, t.api.SetRulePriorities, &elbv2api.SetRulePrioritiesInput{
			RulePriorities: []elbv2api.RulePriorityPair{{RuleArn: &r.PhysicalID, Priority: p(int32(n))}}}); err != nil { // checked there: 1 to 50000
			return err
		}
	}
	if !r.changed("Actions", "Conditions") {
		return nil
	}
	in := &elbv2api.ModifyRuleInput{RuleArn: &r.PhysicalID}
	if err := r.fill(in, "Actions", "Conditions"); err != nil {
		return err
	}
	_, err := invoke(ctx, t.d, t.api.ModifyRule, in)
	return err
}
