package resource

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/elbv2api"
	"github.com/neargate/neargate/internal/stack"
)

// elbTypes makes the types of AWS::ElasticLoadBalancingV2.
type elbTypes struct {
	api elbv2api.API
	d   *awsapi.Service
}

func elbTags(tags map[string]string) []elbv2api.Tag {
	return tagList(tags, func(k, v string) elbv2api.Tag { return elbv2api.Tag{Key: p(k), Value: p(v)} })
}

// retag brings the tags up to date.
func (t *elbTypes) retag(ctx context.Context, r *Request) error {
	set, remove := r.tagChanges()
	if len(set) > 0 {
		if _, err := invoke(ctx, t.d, t.api.AddTags, &elbv2api.AddTagsInput{ResourceArns: []string{r.PhysicalID}, Tags: elbTags(set)}); err != nil {
			return err
		}
	}
	if len(remove) > 0 {
		if _, err := invoke(ctx, t.d, t.api.RemoveTags, &elbv2api.RemoveTagsInput{ResourceArns: []string{r.PhysicalID}, TagKeys: remove}); err != nil {
			return err
		}
	}
	return nil
}

// fullName returns what CloudWatch calls a load balancer or target group: the ARN from a marker on.
func fullName(arn, marker string, keep bool) string {
	i := strings.Index(arn, marker)
	switch {
	case i < 0:
		return arn
	case keep:
		return arn[i:]
	}
	return arn[i+len(marker):]
}

func (t *elbTypes) loadBalancerTypes() []*Type {
	return []*Type{{
		Type: stack.Type{
			Name: "AWS::ElasticLoadBalancingV2::LoadBalancer",
			Properties: props("Name*", "Scheme*", "Type*", "Subnets", "SubnetMappings", "SecurityGroups", "IpAddressType",
				"LoadBalancerAttributes", "Tags"),
			Attributes: []string{"CanonicalHostedZoneID", "DNSName", "LoadBalancerArn", "LoadBalancerFullName", "LoadBalancerName", "SecurityGroups"},
		},
		Named: "Name", New: t.newLoadBalancer, Find: t.findLoadBalancer, Apply: t.applyLoadBalancer, Ready: t.loadBalancerReady, Read: t.readLoadBalancer, Taggable: true,
		Remove: func(ctx context.Context, r *Request) error {
			_, err := invoke(ctx, t.d, t.api.DeleteLoadBalancer, &elbv2api.DeleteLoadBalancerInput{LoadBalancerArn: &r.PhysicalID})
			return err
		},
		Gone: func(ctx context.Context, r *Request) (State, error) {
			_, ok, err := t.loadBalancer(ctx, r.PhysicalID)
			return State{Done: !ok, Why: "the load balancer is being deleted"}, err
		},
	}}
}

func (t *elbTypes) name(r *Request) string {
	if name := r.text("Name"); name != "" {
		return name
	}
	return r.shortName()
}

func (t *elbTypes) newLoadBalancer(ctx context.Context, r *Request) (string, error) {
	in := &elbv2api.CreateLoadBalancerInput{Name: p(t.name(r)), Tags: elbTags(r.Tags)}
	if err := r.fill(in, "Scheme", "Type", "Subnets", "SubnetMappings", "SecurityGroups", "IpAddressType"); err != nil {
		return "", err
	}
	out, err := invoke(ctx, t.d, t.api.CreateLoadBalancer, in)
	if err != nil {
		return "", err
	}
	lb, _ := first(out.LoadBalancers)
	return awsapi.Val(lb.LoadBalancerArn), nil
}

func (t *elbTypes) findLoadBalancer(ctx context.Context, r *Request) (string, bool, error) {
	out, err := invoke(ctx, t.d, t.api.DescribeLoadBalancers, &elbv2api.DescribeLoadBalancersInput{Names: []string{t.name(r)}})
	if err != nil {
		return "", false, absent(err)
	}
	ours := slices.DeleteFunc(slices.Clone(out.LoadBalancers), func(lb elbv2api.LoadBalancer) bool { return !r.isOurs(lb.CreatedTime) })
	return unknown(r, ours, func(v *elbv2api.LoadBalancer) *string { return v.LoadBalancerArn })
}

func (t *elbTypes) loadBalancer(ctx context.Context, arn string) (elbv2api.LoadBalancer, bool, error) {
	out, err := invoke(ctx, t.d, t.api.DescribeLoadBalancers, &elbv2api.DescribeLoadBalancersInput{LoadBalancerArns: []string{arn}})
	if err != nil {
		return elbv2api.LoadBalancer{}, false, absent(err)
	}
	lb, ok := first(out.LoadBalancers)
	return lb, ok, nil
}

func (t *elbTypes) applyLoadBalancer(ctx context.Context, r *Request) error {
	if r.changed("LoadBalancerAttributes") && r.has("LoadBalancerAttributes") {
		in := &elbv2api.ModifyLoadBalancerAttributesInput{LoadBalancerArn: &r.PhysicalID}
		if err := r.fill(in, "LoadBalancerAttributes=Attributes"); err != nil {
			return err
		}
		if len(in.Attributes) > 0 {
			if _, err := invoke(ctx, t.d, t.api.ModifyLoadBalancerAttributes, in); err != nil {
				return err
			}
		}
	}
	if r.Old == nil {
		return nil
	}
	if r.changed("Subnets", "SubnetMappings") {
		in := &elbv2api.SetSubnetsInput{LoadBalancerArn: &r.PhysicalID}
		if err := r.fill(in, "Subnets", "SubnetMappings"); err != nil {
			return err
		}
		if _, err := invoke(ctx, t.d, t.api.SetSubnets, in); err != nil {
			return err
		}
	}
	if r.changed("SecurityGroups") {
		in := &elbv2api.SetSecurityGroupsInput{LoadBalancerArn: &r.PhysicalID}
		if err := r.fill(in, "SecurityGroups"); err != nil {
			return err
		}
		if _, err := invoke(ctx, t.d, t.api.SetSecurityGroups, in); err != nil {
			return err
		}
	}
	if r.changed("IpAddressType") {
		in := &elbv2api.SetIpAddressTypeInput{LoadBalancerArn: &r.PhysicalID, IpAddressType: "ipv4"}
		if err := r.fill(in, "IpAddressType"); err != nil {
			return err
		}
		if _, err := invoke(ctx, t.d, t.api.SetIpAddressType, in); err != nil {
			return err
		}
	}
	return t.retag(ctx, r)
}

func (t *elbTypes) loadBalancerReady(ctx context.Context, r *Request) (State, error) {
	lb, ok, err := t.loadBalancer(ctx, r.PhysicalID)
	if err != nil {
		return State{}, err
	}
	if !ok || lb.State == nil || lb.State.Code == "failed" {
		reason := "it does not exist"
		if lb.State != nil {
			reason = awsapi.Val(lb.State.Reason)
		}
		return State{}, fmt.Errorf("LoadBalancer %s did not stabilize: %s", r.PhysicalID, reason)
	}
	why := "state of the load balancer: " + string(lb.State.Code)
	if reason := awsapi.Val(lb.State.Reason); reason != "" {
		why += ": " + reason
	}
	return State{Done: lb.State.Code == "active", Why: why}, nil
}

func (t *elbTypes) readLoadBalancer(ctx context.Context, r *Request) (Attributes, error) {
	lb, _, err := t.loadBalancer(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	return Attributes{
		"CanonicalHostedZoneID": awsapi.Val(lb.CanonicalHostedZoneId), "DNSName": awsapi.Val(lb.DNSName), "LoadBalancerArn": r.PhysicalID,
		"LoadBalancerFullName": fullName(r.PhysicalID, "loadbalancer/", false), "LoadBalancerName": awsapi.Val(lb.LoadBalancerName),
		"SecurityGroups": slices.Clone(lb.SecurityGroups),
	}, nil
}
