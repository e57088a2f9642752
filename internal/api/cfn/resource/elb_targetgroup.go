package resource

import (
	"context"
	"slices"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/elbv2api"
	"github.com/neargate/neargate/internal/stack"
)

var healthProperties = []string{
	"HealthCheckEnabled", "HealthCheckIntervalSeconds", "HealthCheckPath", "HealthCheckPort", "HealthCheckProtocol", "HealthCheckTimeoutSeconds",
	"HealthyThresholdCount", "UnhealthyThresholdCount", "Matcher",
}

// healthDefaults is what a property goes back to when the template no longer has it.
var healthDefaults = map[string]any{
	"HealthCheckEnabled": true, "HealthCheckIntervalSeconds": "30", "HealthCheckPath": "/", "HealthCheckPort": "traffic-port", "HealthCheckProtocol": "HTTP",
	"HealthCheckTimeoutSeconds": "5", "HealthyThresholdCount": "5", "UnhealthyThresholdCount": "2", "Matcher": map[string]any{"HttpCode": "200"},
}

func (t *elbTypes) targetGroupTypes() []*Type {
	names := append([]string{"Name*", "Port*", "Protocol*", "ProtocolVersion*", "TargetType*", "VpcId*", "IpAddressType*", "TargetGroupAttributes", "Targets", "Tags"}, healthProperties...)
	return []*Type{{
		Type: stack.Type{
			Name: "AWS::ElasticLoadBalancingV2::TargetGroup", Properties: props(names...),
			Attributes: []string{"TargetGroupArn", "TargetGroupFullName", "TargetGroupName", "LoadBalancerArns"},
		},
		Named: "Name", New: t.newTargetGroup, Find: t.findTargetGroup, Apply: t.applyTargetGroup, Read: t.readTargetGroup, Live: true, Taggable: true,
		Remove: func(ctx context.Context, r *Request) error {
			_, err := invoke(ctx, t.d, t.api.DeleteTargetGroup, &elbv2api.DeleteTargetGroupInput{TargetGroupArn: &r.PhysicalID})
			return err
		},
	}}
}

func (t *elbTypes) newTargetGroup(ctx context.Context, r *Request) (string, error) {
	in := &elbv2api.CreateTargetGroupInput{Name: p(t.name(r)), Tags: elbTags(r.Tags)}
	if err := r.fill(in, append([]string{"Port", "Protocol", "ProtocolVersion", "TargetType", "VpcId", "IpAddressType"}, healthProperties...)...); err != nil {
		return "", err
	}
	out, err := invoke(ctx, t.d, t.api.CreateTargetGroup, in)
	if err != nil {
		return "", err
	}
	g, _ := first(out.TargetGroups)
	return awsapi.Val(g.TargetGroupArn), nil
}

func (t *elbTypes) findTargetGroup(ctx context.Context, r *Request) (string, bool, error) {
	out, err := invoke(ctx, t.d, t.api.DescribeTargetGroups, &elbv2api.DescribeTargetGroupsInput{Names: []string{t.name(r)}})
	if err != nil {
		return "", false, absent(err)
	}
	arn, found, err := unknown(r, out.TargetGroups, func(v *elbv2api.TargetGroup) *string { return v.TargetGroupArn })
	if err != nil || !found {
		return "", false, err
	}
	tags, err := invoke(ctx, t.d, t.api.DescribeTags, &elbv2api.DescribeTagsInput{ResourceArns: []string{arn}})
	if err != nil {
		return "", false, err
	}
	for _, description := range tags.TagDescriptions {
		for _, tag := range description.Tags {
			if awsapi.Val(tag.Key) == TagStackID && awsapi.Val(tag.Value) == r.StackARN {
				return arn, true, nil
			}
		}
	}
	return "", false, nil
}

func (t *elbTypes) applyTargetGroup(ctx context.Context, r *Request) error {
	if r.Old != nil && r.changed(healthProperties...) {
		in := &elbv2api.ModifyTargetGroupInput{TargetGroupArn: &r.PhysicalID}
		if err := r.reset(healthDefaults).fill(in, healthProperties...); err != nil {
			return err
		}
		if _, err := invoke(ctx, t.d, t.api.ModifyTargetGroup, in); err != nil {
			return err
		}
	}
	if r.has("TargetGroupAttributes") && r.changed("TargetGroupAttributes") {
		in := &elbv2api.ModifyTargetGroupAttributesInput{TargetGroupArn: &r.PhysicalID}
		if err := r.fill(in, "TargetGroupAttributes=Attributes"); err != nil {
			return err
		}
		if len(in.Attributes) > 0 {
			if _, err := invoke(ctx, t.d, t.api.ModifyTargetGroupAttributes, in); err != nil {
				return err
			}
		}
	}
	if err := t.applyTargets(ctx, r); err != nil {
		return err
	}
	return t.retag(ctx, r)
}

// applyTargets registers and deregisters the targets that the template names itself.
func (t *elbTypes) applyTargets(ctx context.Context, r *Request) error {
	had, want := objects(r.Old, "Targets"), objects(r.Properties, "Targets")
	targets := func(list []map[string]any) ([]elbv2api.TargetDescription, error) {
		one := *r
		one.Properties = map[string]any{"Targets": anyList(list)}
		var in elbv2api.RegisterTargetsInput
		err := one.fill(&in, "Targets")
		return in.Targets, err
	}
	if gone := without(had, want); len(gone) > 0 {
		list, err := targets(gone)
		if err != nil {
			return err
		}
		if _, err := invoke(ctx, t.d, t.api.DeregisterTargets, &elbv2api.DeregisterTargetsInput{TargetGroupArn: &r.PhysicalID, Targets: list}); err != nil {
			return err
		}
	}
	if added := without(want, had); len(added) > 0 {
		list, err := targets(added)
		if err != nil {
			return err
		}
		if _, err := invoke(ctx, t.d, t.api.RegisterTargets, &elbv2api.RegisterTargetsInput{TargetGroupArn: &r.PhysicalID, Targets: list}); err != nil {
			return err
		}
	}
	return nil
}

func anyList[T any](list []T) []any {
	out := make([]any, 0, len(list))
	for _, item := range list {
		out = append(out, item)
	}
	return out
}

func (t *elbTypes) readTargetGroup(ctx context.Context, r *Request) (Attributes, error) {
	out, err := invoke(ctx, t.d, t.api.DescribeTargetGroups, &elbv2api.DescribeTargetGroupsInput{TargetGroupArns: []string{r.PhysicalID}})
	if err != nil {
		return nil, err
	}
	g, _ := first(out.TargetGroups)
	return Attributes{
		"TargetGroupArn": r.PhysicalID, "TargetGroupFullName": fullName(r.PhysicalID, "targetgroup/", true),
		"TargetGroupName": awsapi.Val(g.TargetGroupName), "LoadBalancerArns": slices.Clone(g.LoadBalancerArns),
	}, nil
}
