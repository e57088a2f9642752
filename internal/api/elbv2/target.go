package elbv2

import (
	"context"
	"net/netip"
	"slices"
	"strconv"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/elbv2api"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// zoneAll is the zone of a target outside the VPC.
const zoneAll = "all"

// targetBlocks are where ip targets may be besides the VPC (aws-facts 3.4).
var targetBlocks = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
}

// RegisterTargets registers addresses. Registering one again is fine, and ends its draining.
func (s *Server) RegisterTargets(ctx context.Context, in *elbv2api.RegisterTargetsInput) (*elbv2api.RegisterTargetsOutput, error) {
	arn := awsapi.Val(in.TargetGroupArn)
	if len(in.Targets) == 0 {
		return nil, invalid("At least one target must be specified")
	}
	err := s.update(ctx, func(tx *store.Txn) error {
		g, ok := s.tables.TargetGroups.Get(tx, arn)
		if !ok {
			return targetGroupNotFound(arn)
		}
		for _, d := range in.Targets {
			t, err := s.newTarget(tx, g, d)
			if err != nil {
				return err
			}
			if old, ok := s.tables.Targets.Get(tx, t.Key()); ok && old.DrainingSince.IsZero() {
				continue
			}
			s.tables.TargetHealth.Delete(tx, t.Key()) // of an earlier registration
			s.tables.Targets.Put(tx, t)
		}
		if s.tables.Targets.LenBy(tx, "target-group", arn) > maxTargets {
			return awsapi.NewError(elbv2api.ErrTooManyTargets, "A target group can have at most %d targets", maxTargets)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &elbv2api.RegisterTargetsOutput{}, nil
}

func invalidTarget(format string, args ...any) error {
	return awsapi.NewError(elbv2api.ErrInvalidTarget, format, args...)
}

// newTarget checks a target and returns its record.
func (s *Server) newTarget(r store.Reader, g *model.TargetGroup, d elbv2api.TargetDescription) (*model.Target, error) {
	if d.QuicServerId != nil {
		return nil, unsupported("the member QuicServerId of a target. Leave it out.")
	}
	id := awsapi.Val(d.Id)
	if g.TargetType != string(elbv2api.TargetTypeEnumIp) {
		return nil, invalidTarget("The following targets are not in a running state and cannot be registered: '%s'", id)
	}
	addr, err := netip.ParseAddr(id)
	if err != nil || !addr.Is4() {
		return nil, invalid("The IP address '%s' is not a valid IPv4 address", id)
	}
	port := g.Port
	if d.Port != nil {
		if port = int(*d.Port); port < 1 || port > 65535 {
			return nil, invalid("The port '%d' of the target '%s' must be between 1 and 65535", port, id)
		}
	}
	zone, err := s.zoneOf(r, g, addr, awsapi.Val(d.AvailabilityZone))
	if err != nil {
		return nil, err
	}
	return &model.Target{TargetGroupARN: g.ARN, IP: addr, Port: port, AZ: zone, RegisteredAt: s.clock.Now()}, nil
}

// zoneOf returns the zone of an address: its subnet's, "all" for one outside the VPC.
func (s *Server) zoneOf(r store.Reader, g *model.TargetGroup, addr netip.Addr, asked string) (string, error) {
	vpc, ok := s.tables.VPCs.Get(r, g.VPCID)
	if !ok {
		return "", invalid("The VPC ID '%s' is not found", g.VPCID)
	}
	if !slices.ContainsFunc(vpc.CIDRs, func(c model.VPCCIDR) bool { return c.Block.Contains(addr) }) {
		if !slices.ContainsFunc(targetBlocks, func(p netip.Prefix) bool { return p.Contains(addr) }) {
			return "", invalidTarget("The IP address '%s' is not within a range of IP addresses that targets of the VPC '%s' can have", addr, g.VPCID)
		}
		if asked != zoneAll {
			return "", invalidTarget("The IP address '%s' is outside the VPC '%s': its Availability Zone must be 'all'", addr, g.VPCID)
		}
		return zoneAll, nil
	}
	for subnet := range s.tables.Subnets.By(r, "vpc", g.VPCID) {
		if !subnet.CIDR.Contains(addr) {
			continue
		}
		if asked != "" && asked != zoneAll && asked != subnet.AZ {
			return "", invalidTarget("The IP address '%s' is in the Availability Zone %s, not in '%s'", addr, subnet.AZ, asked)
		}
		return subnet.AZ, nil
	}
	return "", invalidTarget("The IP address '%s' is in no subnet of the VPC '%s'", addr, g.VPCID)
}

// DeregisterTargets begins the draining of targets. Without a port, all ports of an address are meant.
func (s *Server) DeregisterTargets(ctx context.Context, in *elbv2api.DeregisterTargetsInput) (*elbv2api.DeregisterTargetsOutput, error) {
	arn := awsapi.Val(in.TargetGroupArn)
	err := s.update(ctx, func(tx *store.Txn) error {
		g, ok := s.tables.TargetGroups.Get(tx, arn)
		if !ok {
			return targetGroupNotFound(arn)
		}
		used := len(s.loadBalancersOf(tx, arn)) > 0
		for _, d := range in.Targets {
			for _, t := range s.matching(tx, g, d) {
				if !used || model.AttributeInt(g.Attributes, model.AttrDeregistrationDelay) == 0 {
					s.tables.Targets.Delete(tx, t.Key())
					s.tables.TargetHealth.Delete(tx, t.Key())
				} else if t.DrainingSince.IsZero() {
					s.tables.Targets.Edit(tx, t.Key(), func(t *model.Target) { t.DrainingSince = s.clock.Now() })
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &elbv2api.DeregisterTargetsOutput{}, nil
}

// matching returns the registered targets that a description means.
func (s *Server) matching(r store.Reader, g *model.TargetGroup, d elbv2api.TargetDescription) []*model.Target {
	var list []*model.Target
	for t := range s.tables.Targets.By(r, "target-group", g.ARN) {
		if t.IP.String() == awsapi.Val(d.Id) && (d.Port == nil || t.Port == int(*d.Port)) {
			list = append(list, t)
		}
	}
	return list
}

// What DescribeTargetHealth says of targets without a health record (aws-facts 3.3).
const (
	reasonNotRegistered  = "Target.NotRegistered"
	reasonNotInUse       = "Target.NotInUse"
	reasonDeregistration = "Target.DeregistrationInProgress"
	reasonRegistration   = "Elb.RegistrationInProgress"

	textNotRegistered  = "Target is not registered to the target group"
	textNotInUse       = "Target group is not configured to receive traffic from the load balancer"
	textDeregistration = "Target deregistration is in progress"
	textRegistration   = "Target registration is in progress"
)

// DescribeTargetHealth tells the health of all targets of a group, or of those named.
func (s *Server) DescribeTargetHealth(_ context.Context, in *elbv2api.DescribeTargetHealthInput) (*elbv2api.DescribeTargetHealthOutput, error) {
	for _, i := range in.Include {
		if i != elbv2api.DescribeTargetHealthInputIncludeEnumAll {
			return nil, unsupported("Include '%s' of DescribeTargetHealth. Leave it out.", i)
		}
	}
	view := s.db.View()
	arn := awsapi.Val(in.TargetGroupArn)
	g, ok := s.tables.TargetGroups.Get(view, arn)
	if !ok {
		return nil, targetGroupNotFound(arn)
	}
	used := len(s.loadBalancersOf(view, arn)) > 0
	out := &elbv2api.DescribeTargetHealthOutput{TargetHealthDescriptions: []elbv2api.TargetHealthDescription{}}
	if len(in.Targets) == 0 {
		for t := range s.tables.Targets.By(view, "target-group", arn) {
			out.TargetHealthDescriptions = append(out.TargetHealthDescriptions, s.describeHealth(view, g, t, used))
		}
		return out, nil
	}
	for _, d := range in.Targets {
		found := s.matching(view, g, d)
		for _, t := range found {
			out.TargetHealthDescriptions = append(out.TargetHealthDescriptions, s.describeHealth(view, g, t, used))
		}
		if len(found) == 0 {
			port := awsapi.Or(d.Port, int32(g.Port))
			out.TargetHealthDescriptions = append(out.TargetHealthDescriptions, elbv2api.TargetHealthDescription{
				HealthCheckPort: awsapi.Ptr(healthPort(g, int(port))), Target: &elbv2api.TargetDescription{Id: d.Id, Port: &port},
				TargetHealth: health(model.TargetUnused, reasonNotRegistered, textNotRegistered),
			})
		}
	}
	return out, nil
}

func (s *Server) describeHealth(r store.Reader, g *model.TargetGroup, t *model.Target, used bool) elbv2api.TargetHealthDescription {
	d := elbv2api.TargetHealthDescription{
		HealthCheckPort: awsapi.Ptr(healthPort(g, t.Port)),
		Target:          &elbv2api.TargetDescription{Id: awsapi.Ptr(t.IP.String()), Port: awsapi.Ptr(int32(t.Port)), AvailabilityZone: awsapi.NonZero(t.AZ)},
	}
	switch h, seen := s.tables.TargetHealth.Get(r, t.Key()); {
	case !used:
		d.TargetHealth = health(model.TargetUnused, reasonNotInUse, textNotInUse)
	case !t.DrainingSince.IsZero():
		d.TargetHealth = health(model.TargetDraining, reasonDeregistration, textDeregistration)
	case !seen || h.State == model.TargetDraining: // draining: registered again, and not looked at since
		d.TargetHealth = health(model.TargetInitial, reasonRegistration, textRegistration)
	default:
		d.TargetHealth = health(h.State, h.Reason, h.Description)
	}
	return d
}

func health(state, reason, text string) *elbv2api.TargetHealth {
	return &elbv2api.TargetHealth{State: elbv2api.TargetHealthStateEnum(state), Reason: elbv2api.TargetHealthReasonEnum(reason), Description: awsapi.NonZero(text)}
}

func healthPort(g *model.TargetGroup, own int) string {
	if g.HealthCheck.Port == trafficPort {
		return strconv.Itoa(own)
	}
	return g.HealthCheck.Port
}
