package elbv2

import (
	"context"
	"slices"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/elbv2api"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// CreateTargetGroup makes a target group. Repeating a creation with the same settings returns what there is.
func (s *Server) CreateTargetGroup(ctx context.Context, in *elbv2api.CreateTargetGroupInput) (*elbv2api.CreateTargetGroupOutput, error) {
	g, err := s.newTargetGroup(in)
	if err != nil {
		return nil, err
	}
	var answer elbv2api.TargetGroup
	err = s.update(ctx, func(tx *store.Txn) error {
		if !s.tables.VPCs.Has(tx, g.VPCID) {
			return invalid("The VPC ID '%s' is not found", g.VPCID)
		}
		if old, ok := s.tables.TargetGroups.FirstBy(tx, "name", g.Name); ok {
			if !isSameTargetGroup(old, g) {
				return awsapi.NewError(elbv2api.ErrDuplicateTargetGroupName, "A target group with the same name '%s' exists, but with different settings", g.Name)
			}
			answer = s.describeTargetGroup(tx, old)
			return nil
		}
		if s.tables.TargetGroups.Len(tx) >= maxTargetGroups {
			return awsapi.NewError(elbv2api.ErrTooManyTargetGroups, "You have reached the maximum of %d target groups", maxTargetGroups)
		}
		s.tables.TargetGroups.Put(tx, g)
		answer = s.describeTargetGroup(tx, g)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &elbv2api.CreateTargetGroupOutput{TargetGroups: []elbv2api.TargetGroup{answer}}, nil
}

// newTargetGroup checks what needs no records and returns the record to be.
func (s *Server) newTargetGroup(in *elbv2api.CreateTargetGroupInput) (*model.TargetGroup, error) {
	if in.TargetControlPort != nil {
		return nil, unsupported("the parameter TargetControlPort of CreateTargetGroup. Leave it out.")
	}
	name := awsapi.Val(in.Name)
	if err := checkName("Target group", name); err != nil {
		return nil, err
	}
	kind := in.TargetType
	switch kind {
	case "":
		kind = elbv2api.TargetTypeEnumInstance
	case elbv2api.TargetTypeEnumInstance, elbv2api.TargetTypeEnumIp:
	default:
		return nil, unsupported("target groups of the type %s yet: only ip and instance.", kind)
	}
	switch in.Protocol {
	case elbv2api.ProtocolEnumHttp, elbv2api.ProtocolEnumHttps:
	case "":
		return nil, invalid("A protocol must be specified")
	default:
		return nil, unsupported("target groups of the protocol %s yet: only HTTP and HTTPS, for application load balancers.", in.Protocol)
	}
	version := awsapi.Val(in.ProtocolVersion)
	switch version {
	case "", "HTTP1":
		version = "HTTP1"
	case "HTTP2", "GRPC":
		return nil, unsupported("the protocol version %s yet, which needs HTTPS listeners: only HTTP1.", version)
	default:
		return nil, invalid("Protocol version '%s' must be one of [HTTP1, HTTP2, GRPC]", version)
	}
	if in.Port == nil || *in.Port < 1 || *in.Port > 65535 {
		return nil, invalid("A port between 1 and 65535 must be specified")
	}
	if awsapi.Val(in.VpcId) == "" {
		return nil, invalid("A VPC ID must be specified")
	}
	if in.IpAddressType != "" && in.IpAddressType != elbv2api.TargetGroupIpAddressTypeEnumIpv4 {
		return nil, unsupported("the IP address type %s of target groups yet: only ipv4.", in.IpAddressType)
	}
	check, err := healthCheck(defaultHealthCheck(), healthInput{
		enabled: in.HealthCheckEnabled, protocol: in.HealthCheckProtocol, port: in.HealthCheckPort, path: in.HealthCheckPath,
		interval: in.HealthCheckIntervalSeconds, timeout: in.HealthCheckTimeoutSeconds,
		healthy: in.HealthyThresholdCount, unhealthy: in.UnhealthyThresholdCount, matcher: in.Matcher,
	})
	if err != nil {
		return nil, err
	}
	meta, err := s.meta(in.Tags)
	if err != nil {
		return nil, err
	}
	id := model.Hex(16)
	return &model.TargetGroup{
		Meta: meta, ARN: s.scope.TargetGroupARN(name, id), ID: id, Name: name, TargetType: string(kind), Protocol: string(in.Protocol), ProtocolVersion: version,
		Port: int(*in.Port), VPCID: *in.VpcId, IPAddressType: string(elbv2api.TargetGroupIpAddressTypeEnumIpv4), HealthCheck: check,
	}, nil
}

func isSameTargetGroup(a, b *model.TargetGroup) bool {
	return a.TargetType == b.TargetType && a.Protocol == b.Protocol && a.ProtocolVersion == b.ProtocolVersion &&
		a.Port == b.Port && a.VPCID == b.VPCID && a.HealthCheck == b.HealthCheck
}

// ModifyTargetGroup changes the health check.
func (s *Server) ModifyTargetGroup(ctx context.Context, in *elbv2api.ModifyTargetGroupInput) (*elbv2api.ModifyTargetGroupOutput, error) {
	arn := awsapi.Val(in.TargetGroupArn)
	var answer elbv2api.TargetGroup
	err := s.update(ctx, func(tx *store.Txn) error {
		old, ok := s.tables.TargetGroups.Get(tx, arn)
		if !ok {
			return targetGroupNotFound(arn)
		}
		check, err := healthCheck(old.HealthCheck, healthInput{
			enabled: in.HealthCheckEnabled, protocol: in.HealthCheckProtocol, port: in.HealthCheckPort, path: in.HealthCheckPath,
			interval: in.HealthCheckIntervalSeconds, timeout: in.HealthCheckTimeoutSeconds,
			healthy: in.HealthyThresholdCount, unhealthy: in.UnhealthyThresholdCount, matcher: in.Matcher,
		})
		if err != nil {
			return err
		}
		g := s.tables.TargetGroups.Clone(old)
		g.HealthCheck = check
		s.tables.TargetGroups.Put(tx, g)
		answer = s.describeTargetGroup(tx, g)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &elbv2api.ModifyTargetGroupOutput{TargetGroups: []elbv2api.TargetGroup{answer}}, nil
}

// DeleteTargetGroup deletes a target group that no listener and no rule uses, with its targets. Deleting one that does
// not exist succeeds.
func (s *Server) DeleteTargetGroup(ctx context.Context, in *elbv2api.DeleteTargetGroupInput) (*elbv2api.DeleteTargetGroupOutput, error) {
	arn := awsapi.Val(in.TargetGroupArn)
	if resourceKind(arn) != "targetgroup" {
		return nil, invalid("'%s' is not a valid target group ARN", arn)
	}
	err := s.update(ctx, func(tx *store.Txn) error {
		if len(s.loadBalancersOf(tx, arn)) > 0 {
			return awsapi.NewError(elbv2api.ErrResourceInUse, "Target group '%s' is currently in use by a listener or a rule", arn)
		}
		for t := range s.tables.Targets.By(tx, "target-group", arn) {
			s.tables.Targets.Delete(tx, t.Key())
		}
		for h := range s.tables.TargetHealth.By(tx, "target-group", arn) {
			s.tables.TargetHealth.Delete(tx, h.Key())
		}
		s.tables.TargetGroups.Delete(tx, arn)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &elbv2api.DeleteTargetGroupOutput{}, nil
}

// DescribeTargetGroups lists target groups: all, a load balancer's, or those named by ARN or name.
func (s *Server) DescribeTargetGroups(_ context.Context, in *elbv2api.DescribeTargetGroupsInput) (*elbv2api.DescribeTargetGroupsOutput, error) {
	view := s.db.View()
	lb := awsapi.Val(in.LoadBalancerArn)
	ways := 0
	for _, used := range []bool{lb != "", len(in.Names) > 0, len(in.TargetGroupArns) > 0} {
		if used {
			ways++
		}
	}
	var found []*model.TargetGroup
	switch {
	case ways > 1:
		return nil, invalid("You can specify only one of load balancer ARN, target group ARNs and target group names")
	case lb != "":
		if !s.tables.LoadBalancers.Has(view, lb) {
			return nil, loadBalancerNotFound(lb)
		}
		for g := range s.tables.TargetGroups.List(view) {
			if slices.Contains(s.loadBalancersOf(view, g.ARN), lb) {
				found = append(found, g)
			}
		}
	case len(in.TargetGroupArns) > 0:
		for _, arn := range in.TargetGroupArns {
			g, ok := s.tables.TargetGroups.Get(view, arn)
			if !ok {
				return nil, targetGroupNotFound(arn)
			}
			found = append(found, g)
		}
	case len(in.Names) > 0:
		for _, name := range in.Names {
			g, ok := s.tables.TargetGroups.FirstBy(view, "name", name)
			if !ok {
				return nil, targetGroupNotFound(name)
			}
			found = append(found, g)
		}
	default:
		found = slices.Collect(s.tables.TargetGroups.List(view))
	}
	cut, next, err := page("DescribeTargetGroups", found, func(g *model.TargetGroup) string { return g.ARN }, in.Marker, in.PageSize)
	if err != nil {
		return nil, err
	}
	out := &elbv2api.DescribeTargetGroupsOutput{NextMarker: next}
	for _, g := range cut {
		out.TargetGroups = append(out.TargetGroups, s.describeTargetGroup(view, g))
	}
	return out, nil
}

func (s *Server) describeTargetGroup(r store.Reader, g *model.TargetGroup) elbv2api.TargetGroup {
	h := g.HealthCheck
	return elbv2api.TargetGroup{
		TargetGroupArn: &g.ARN, TargetGroupName: &g.Name, TargetType: elbv2api.TargetTypeEnum(g.TargetType), Protocol: elbv2api.ProtocolEnum(g.Protocol),
		ProtocolVersion: awsapi.Ptr(g.ProtocolVersion), Port: awsapi.Ptr(int32(g.Port)), VpcId: &g.VPCID,
		IpAddressType: elbv2api.TargetGroupIpAddressTypeEnum(g.IPAddressType), LoadBalancerArns: s.loadBalancersOf(r, g.ARN),
		HealthCheckEnabled: awsapi.Ptr(h.Enabled), HealthCheckProtocol: elbv2api.ProtocolEnum(h.Protocol), HealthCheckPort: awsapi.Ptr(h.Port),
		HealthCheckPath: awsapi.Ptr(h.Path), HealthCheckIntervalSeconds: awsapi.Ptr(int32(h.Interval)), HealthCheckTimeoutSeconds: awsapi.Ptr(int32(h.Timeout)),
		HealthyThresholdCount: awsapi.Ptr(int32(h.HealthyThreshold)), UnhealthyThresholdCount: awsapi.Ptr(int32(h.UnhealthyThreshold)),
		Matcher: &elbv2api.Matcher{HttpCode: awsapi.Ptr(h.Matcher)},
	}
}

// DescribeTargetGroupAttributes lists all attributes with their values.
func (s *Server) DescribeTargetGroupAttributes(_ context.Context, in *elbv2api.DescribeTargetGroupAttributesInput) (*elbv2api.DescribeTargetGroupAttributesOutput, error) {
	g, ok := s.tables.TargetGroups.Get(s.db.View(), awsapi.Val(in.TargetGroupArn))
	if !ok {
		return nil, targetGroupNotFound(awsapi.Val(in.TargetGroupArn))
	}
	return &elbv2api.DescribeTargetGroupAttributesOutput{Attributes: describeGroupAttributes(g)}, nil
}

// ModifyTargetGroupAttributes changes attributes.
func (s *Server) ModifyTargetGroupAttributes(ctx context.Context, in *elbv2api.ModifyTargetGroupAttributesInput) (*elbv2api.ModifyTargetGroupAttributesOutput, error) {
	arn := awsapi.Val(in.TargetGroupArn)
	var answer []elbv2api.TargetGroupAttribute
	err := s.update(ctx, func(tx *store.Txn) error {
		old, ok := s.tables.TargetGroups.Get(tx, arn)
		if !ok {
			return targetGroupNotFound(arn)
		}
		var asked []attribute
		for _, a := range in.Attributes {
			asked = append(asked, attribute{key: awsapi.Val(a.Key), value: awsapi.Val(a.Value)})
		}
		set, err := groupAttributes.merge(old.Attributes, asked)
		if err != nil {
			return err
		}
		if model.AttributeInt(set, model.AttrSlowStart) > 0 && model.AttributeValue(set, model.AttrAlgorithm) != "round_robin" {
			return awsapi.NewError(elbv2api.ErrInvalidConfigurationRequest, "Slow start can only be used with the round_robin algorithm")
		}
		g := s.tables.TargetGroups.Clone(old)
		g.Attributes = set
		s.tables.TargetGroups.Put(tx, g)
		answer = describeGroupAttributes(g)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &elbv2api.ModifyTargetGroupAttributesOutput{Attributes: answer}, nil
}

func describeGroupAttributes(g *model.TargetGroup) []elbv2api.TargetGroupAttribute {
	var list []elbv2api.TargetGroupAttribute
	for _, a := range groupAttributes.list(g.Attributes) {
		list = append(list, elbv2api.TargetGroupAttribute{Key: awsapi.Ptr(a.key), Value: awsapi.Ptr(a.value)})
	}
	return list
}
