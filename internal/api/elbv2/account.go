package elbv2

import (
	"context"
	"strconv"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/elbv2api"
)

// DescribeAccountLimits lists the quotas that are kept.
func (s *Server) DescribeAccountLimits(_ context.Context, in *elbv2api.DescribeAccountLimitsInput) (*elbv2api.DescribeAccountLimitsOutput, error) {
	limits := []struct {
		name string
		max  int
	}{
		{"application-load-balancers", maxLoadBalancers},
		{"listeners-per-application-load-balancer", maxListeners},
		{"rules-per-application-load-balancer", maxRules},
		{"target-groups", maxTargetGroups},
		{"target-groups-per-action-on-application-load-balancer", maxForwardGroups},
		{"target-groups-per-application-load-balancer", maxGroupsPerLB},
		{"targets-per-target-group", maxTargets},
	}
	var list []elbv2api.Limit
	for _, l := range limits {
		list = append(list, elbv2api.Limit{Name: awsapi.Ptr(l.name), Max: awsapi.Ptr(strconv.Itoa(l.max))})
	}
	cut, next, err := page("DescribeAccountLimits", list, func(l elbv2api.Limit) string { return *l.Name }, in.Marker, in.PageSize)
	if err != nil {
		return nil, err
	}
	return &elbv2api.DescribeAccountLimitsOutput{Limits: cut, NextMarker: next}, nil
}

// DescribeSSLPolicies lists no policies: there are no TLS listeners yet. A policy asked for by name is not found.
func (s *Server) DescribeSSLPolicies(_ context.Context, in *elbv2api.DescribeSSLPoliciesInput) (*elbv2api.DescribeSSLPoliciesOutput, error) {
	if len(in.Names) > 0 {
		return nil, awsapi.NewError(elbv2api.ErrSSLPolicyNotFound, "SSL policy '%s' not found: Neargate has no TLS listeners yet", in.Names[0])
	}
	return &elbv2api.DescribeSSLPoliciesOutput{}, nil
}

// DescribeCapacityReservation answers that nothing is reserved; reserving is not offered.
func (s *Server) DescribeCapacityReservation(_ context.Context, in *elbv2api.DescribeCapacityReservationInput) (*elbv2api.DescribeCapacityReservationOutput, error) {
	if !s.tables.LoadBalancers.Has(s.db.View(), awsapi.Val(in.LoadBalancerArn)) {
		return nil, loadBalancerNotFound(awsapi.Val(in.LoadBalancerArn))
	}
	return &elbv2api.DescribeCapacityReservationOutput{}, nil
}
