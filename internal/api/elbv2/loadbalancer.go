package elbv2

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/elbv2api"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// Digits of the number in a load balancer's DNS name.
const dnsDigits = 10

var nameForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?$`)

// dualStackNote is why a dualstack load balancer answers on IPv4 only (docs/decisions/0007-dualstack-without-ipv6.md).
const dualStackNote = "Neargate serves this load balancer's IPv4 addresses; IPv6 is not available yet"

// checkName checks the name of a load balancer or target group.
func checkName(what, name string) error {
	switch {
	case len(name) > 32:
		return invalid("%s name '%s' cannot be longer than '32' characters", what, name)
	case !nameForm.MatchString(name):
		return invalid("%s name '%s' can only contain characters that are alphanumeric characters and hyphens(-), and must not begin or end with a hyphen", what, name)
	}
	return nil
}

// CreateLoadBalancer makes an Application Load Balancer with an interface in each subnet.
func (s *Server) CreateLoadBalancer(ctx context.Context, in *elbv2api.CreateLoadBalancerInput) (*elbv2api.CreateLoadBalancerOutput, error) {
	if err := only(in, "Name", "Scheme", "SecurityGroups", "SubnetMappings", "Subnets", "Tags", "Type", "IpAddressType"); err != nil {
		return nil, err
	}
	lb, subnets, err := s.newLoadBalancer(in)
	if err != nil {
		return nil, err
	}
	var answer elbv2api.LoadBalancer
	err = s.update(ctx, func(tx *store.Txn) error {
		answer = elbv2api.LoadBalancer{}
		fresh := s.tables.LoadBalancers.Clone(lb)
		zones, err := s.zonesFor(tx, fresh, subnets)
		if err != nil {
			return err
		}
		if fresh.SecurityGroups, err = s.securityGroups(tx, fresh.VPCID, lb.SecurityGroups); err != nil {
			return err
		}
		if old, ok := s.tables.LoadBalancers.FirstBy(tx, "name", lb.Name); ok {
			if !isSameLoadBalancer(old, fresh, subnets) {
				return awsapi.NewError(elbv2api.ErrDuplicateLoadBalancerName, "A load balancer with the same name '%s' exists, but with different settings", lb.Name)
			}
			answer = describeLoadBalancer(old)
			return nil
		}
		if s.tables.LoadBalancers.Len(tx) >= maxLoadBalancers {
			return awsapi.NewError(elbv2api.ErrTooManyLoadBalancers, "You have reached the maximum of %d load balancers", maxLoadBalancers)
		}
		for _, subnet := range zones {
			if err := s.addZone(tx, fresh, subnet); err != nil {
				return err
			}
		}
		s.tables.LoadBalancers.Put(tx, fresh)
		answer = describeLoadBalancer(fresh)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &elbv2api.CreateLoadBalancerOutput{LoadBalancers: []elbv2api.LoadBalancer{answer}}, nil
}

// newLoadBalancer checks what needs no records, and returns the record to be and the subnets' ids.
func (s *Server) newLoadBalancer(in *elbv2api.CreateLoadBalancerInput) (*model.LoadBalancer, []string, error) {
	name := awsapi.Val(in.Name)
	if err := checkName("Load balancer", name); err != nil {
		return nil, nil, err
	}
	if strings.HasPrefix(name, "internal-") {
		return nil, nil, invalid("Load balancer name '%s' cannot begin with 'internal-'", name)
	}
	if in.Type != "" && in.Type != elbv2api.LoadBalancerTypeEnumApplication {
		return nil, nil, unsupported("load balancers of the type %s yet: only application.", in.Type)
	}
	ipType, err := ipAddressType(in.IpAddressType)
	if err != nil {
		return nil, nil, err
	}
	subnets, err := subnetIDs(in.Subnets, in.SubnetMappings)
	if err != nil {
		return nil, nil, err
	}
	meta, err := s.meta(in.Tags)
	if err != nil {
		return nil, nil, err
	}
	scheme := string(in.Scheme)
	if scheme == "" {
		scheme = string(elbv2api.LoadBalancerSchemeEnumInternetFacing)
	}
	id := model.Hex(16)
	dns := name + "-" + model.Digits(dnsDigits) + "." + s.scope.Region + ".elb.amazonaws.com"
	if scheme == string(elbv2api.LoadBalancerSchemeEnumInternal) {
		dns = "internal-" + dns
	}
	return &model.LoadBalancer{
		Meta: meta, ARN: s.scope.LoadBalancerARN(name, id), ID: id, Name: name, Type: string(elbv2api.LoadBalancerTypeEnumApplication), Scheme: scheme,
		IPAddressType: ipType, DNSName: dns, HostedZoneID: hostedZone(s.scope.Region), SecurityGroups: in.SecurityGroups, State: model.LBProvisioning,
	}, subnets, nil
}

// ipAddressType checks an address type. dualstack is taken although there is no IPv6 yet; see dualStackNote.
func ipAddressType(t elbv2api.IpAddressType) (string, error) {
	switch t {
	case "", elbv2api.IpAddressTypeIpv4:
		return string(elbv2api.IpAddressTypeIpv4), nil
	case elbv2api.IpAddressTypeDualstack:
		return string(t), nil
	}
	return "", unsupported("the IP address type %s: only ipv4 and dualstack.", t)
}

// isSameLoadBalancer reports whether a repeated creation asks for what there is.
func isSameLoadBalancer(old, asked *model.LoadBalancer, subnets []string) bool {
	have := make([]string, 0, len(old.Zones))
	for _, z := range old.Zones {
		have = append(have, z.SubnetID)
	}
	return old.Scheme == asked.Scheme && old.IPAddressType == asked.IPAddressType &&
		equalSets(have, subnets) && equalSets(old.SecurityGroups, asked.SecurityGroups)
}

// DeleteLoadBalancer deletes a load balancer with its listeners, rules and interfaces; its target groups stay. Deleting
// one that does not exist succeeds.
func (s *Server) DeleteLoadBalancer(ctx context.Context, in *elbv2api.DeleteLoadBalancerInput) (*elbv2api.DeleteLoadBalancerOutput, error) {
	arn := awsapi.Val(in.LoadBalancerArn)
	if resourceKind(arn) != "loadbalancer" {
		return nil, invalid("'%s' is not a valid load balancer ARN", arn)
	}
	err := s.update(ctx, func(tx *store.Txn) error {
		lb, ok := s.tables.LoadBalancers.Get(tx, arn)
		if !ok {
			return nil
		}
		if model.AttributeIsTrue(lb.Attributes, model.AttrDeletionProtection) {
			return awsapi.NewError(elbv2api.ErrOperationNotPermitted, "Load balancer '%s' cannot be deleted because deletion protection is enabled", arn)
		}
		for l := range s.tables.Listeners.By(tx, "load-balancer", arn) {
			s.deleteListener(tx, l)
		}
		for _, z := range lb.Zones {
			s.tables.NetworkInterfaces.Delete(tx, z.ENIID)
		}
		s.tables.LoadBalancers.Delete(tx, arn)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &elbv2api.DeleteLoadBalancerOutput{}, nil
}

// DescribeLoadBalancers lists load balancers, all or those named by ARN or name.
func (s *Server) DescribeLoadBalancers(_ context.Context, in *elbv2api.DescribeLoadBalancersInput) (*elbv2api.DescribeLoadBalancersOutput, error) {
	if len(in.Names) > 0 && len(in.LoadBalancerArns) > 0 {
		return nil, invalid("You cannot specify both load balancer names and ARNs")
	}
	view := s.db.View()
	var found []*model.LoadBalancer
	switch {
	case len(in.LoadBalancerArns) > 0:
		for _, arn := range in.LoadBalancerArns {
			lb, ok := s.tables.LoadBalancers.Get(view, arn)
			if !ok {
				return nil, loadBalancerNotFound(arn)
			}
			found = append(found, lb)
		}
	case len(in.Names) > 0:
		for _, name := range in.Names {
			lb, ok := s.tables.LoadBalancers.FirstBy(view, "name", name)
			if !ok {
				return nil, loadBalancerNotFound(name)
			}
			found = append(found, lb)
		}
	default:
		found = slices.Collect(s.tables.LoadBalancers.List(view))
	}
	cut, next, err := page("DescribeLoadBalancers", found, func(lb *model.LoadBalancer) string { return lb.ARN }, in.Marker, in.PageSize)
	if err != nil {
		return nil, err
	}
	out := &elbv2api.DescribeLoadBalancersOutput{NextMarker: next}
	for _, lb := range cut {
		out.LoadBalancers = append(out.LoadBalancers, describeLoadBalancer(lb))
	}
	return out, nil
}

func describeLoadBalancer(lb *model.LoadBalancer) elbv2api.LoadBalancer {
	reason := lb.StateReason
	if reason == "" && lb.IPAddressType == string(elbv2api.IpAddressTypeDualstack) {
		reason = dualStackNote
	}
	d := elbv2api.LoadBalancer{
		LoadBalancerArn: &lb.ARN, LoadBalancerName: &lb.Name, DNSName: &lb.DNSName, CanonicalHostedZoneId: &lb.HostedZoneID, VpcId: &lb.VPCID,
		CreatedTime: awsapi.Ptr(lb.CreatedAt), Scheme: elbv2api.LoadBalancerSchemeEnum(lb.Scheme), Type: elbv2api.LoadBalancerTypeEnum(lb.Type),
		IpAddressType: elbv2api.IpAddressType(lb.IPAddressType), SecurityGroups: slices.Clone(lb.SecurityGroups),
		State: &elbv2api.LoadBalancerState{Code: elbv2api.LoadBalancerStateEnum(lb.State), Reason: awsapi.NonZero(reason)},
	}
	d.AvailabilityZones = describeZones(lb)
	return d
}

func describeZones(lb *model.LoadBalancer) []elbv2api.AvailabilityZone {
	zones := make([]elbv2api.AvailabilityZone, 0, len(lb.Zones))
	for _, z := range lb.Zones {
		zones = append(zones, elbv2api.AvailabilityZone{ZoneName: awsapi.Ptr(z.AZ), SubnetId: awsapi.Ptr(z.SubnetID)})
	}
	return zones
}

// DescribeLoadBalancerAttributes lists all attributes with their values.
func (s *Server) DescribeLoadBalancerAttributes(_ context.Context, in *elbv2api.DescribeLoadBalancerAttributesInput) (*elbv2api.DescribeLoadBalancerAttributesOutput, error) {
	lb, ok := s.tables.LoadBalancers.Get(s.db.View(), awsapi.Val(in.LoadBalancerArn))
	if !ok {
		return nil, loadBalancerNotFound(awsapi.Val(in.LoadBalancerArn))
	}
	return &elbv2api.DescribeLoadBalancerAttributesOutput{Attributes: describeLBAttributes(lb)}, nil
}

// ModifyLoadBalancerAttributes changes attributes.
func (s *Server) ModifyLoadBalancerAttributes(ctx context.Context, in *elbv2api.ModifyLoadBalancerAttributesInput) (*elbv2api.ModifyLoadBalancerAttributesOutput, error) {
	arn := awsapi.Val(in.LoadBalancerArn)
	var answer []elbv2api.LoadBalancerAttribute
	err := s.update(ctx, func(tx *store.Txn) error {
		lb, ok := s.tables.LoadBalancers.Get(tx, arn)
		if !ok {
			return loadBalancerNotFound(arn)
		}
		asked := make([]attribute, 0, len(in.Attributes))
		for _, a := range in.Attributes {
			asked = append(asked, attribute{key: awsapi.Val(a.Key), value: awsapi.Val(a.Value)})
		}
		set, err := lbAttributes.merge(lb.Attributes, asked)
		if err != nil {
			return err
		}
		changed := s.tables.LoadBalancers.Clone(lb)
		changed.Attributes = set
		s.tables.LoadBalancers.Put(tx, changed)
		answer = describeLBAttributes(changed)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &elbv2api.ModifyLoadBalancerAttributesOutput{Attributes: answer}, nil
}

func describeLBAttributes(lb *model.LoadBalancer) []elbv2api.LoadBalancerAttribute {
	var list []elbv2api.LoadBalancerAttribute
	for _, a := range lbAttributes.list(lb.Attributes) {
		list = append(list, elbv2api.LoadBalancerAttribute{Key: awsapi.Ptr(a.key), Value: awsapi.Ptr(a.value)})
	}
	return list
}

// hostedZones are the zones of load balancers' DNS names that alias records name (aws-facts 3.1).
var hostedZones = map[string]string{"us-east-1": "Z35SXDOTRQ7X7K", "us-west-2": "Z1H1FL5HABSF5", "ap-northeast-1": "Z14GRHDCWA56QT"}

func hostedZone(region string) string {
	if z, ok := hostedZones[region]; ok {
		return z
	}
	return hostedZones["us-east-1"]
}
