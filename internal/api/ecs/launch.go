package ecs

import (
	"slices"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ecsapi"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// Limits of awsvpcConfiguration (aws-facts 1.7).
const (
	maxSubnets = 16
	maxGroups  = 5
)

// launch is how tasks are started: the launch type, or else a strategy over capacity providers.
type launch struct {
	launchType string
	strategy   []model.CapacityProviderStrategy
	platform   string
}

// parseLaunch checks launch type, strategy and platform version. A request with neither takes the cluster's default
// strategy, and without one EC2, which Neargate has not: the errors are those that AWS gives for a cluster without instances.
func parseLaunch(cluster *model.Cluster, launchType ecsapi.LaunchType, items []ecsapi.CapacityProviderStrategyItem, platform *string) (launch, error) {
	out := launch{platform: platformVersion}
	switch v := awsapi.Val(platform); v {
	case "", "LATEST", platformVersion:
	default:
		return out, awsapi.NewError(ecsapi.ErrPlatformUnknownException, "The specified platform version does not exist: %s. Neargate has 1.4.0, which is LATEST.", v)
	}
	if launchType != "" && len(items) > 0 {
		return out, invalid("Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.")
	}
	if launchType == "" {
		var err error
		if out.strategy, err = capacityStrategy(items, cluster.CapacityProviders); err != nil {
			return out, err
		}
		if len(items) == 0 {
			out.strategy = cluster.DefaultStrategy
		}
		if len(out.strategy) > 0 {
			return out, nil
		}
		launchType = ecsapi.LaunchTypeEc2
	}
	if launchType != ecsapi.LaunchTypeFargate {
		return out, invalid("No Container Instances were found in your cluster. Neargate has none: use the launch type FARGATE.")
	}
	out.launchType = string(launchType)
	return out, nil
}

// shares returns which capacity provider each of n tasks is started on; empty texts for a launch type. The bases come
// first, then the weights share the rest; what does not divide goes to the heavier providers, in their order
// (aws-facts 1.8: the order of AWS is not known).
func (l launch) shares(n int) []string { return model.ShareProviders(l.strategy, n) }

// parseNetwork checks awsvpcConfiguration: subnets and groups exist, all in one VPC. A task without a group gets the VPC's default one.
func (s *Server) parseNetwork(r store.Reader, in *ecsapi.NetworkConfiguration) (model.NetworkConfiguration, error) {
	var out model.NetworkConfiguration
	if in == nil || in.AwsvpcConfiguration == nil {
		return out, invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
	}
	c := in.AwsvpcConfiguration
	switch {
	case len(c.Subnets) == 0:
		return out, invalid("subnets can not be empty.")
	case len(c.Subnets) > maxSubnets:
		return out, invalid("subnets can have at most %d items.", maxSubnets)
	case len(c.SecurityGroups) > maxGroups:
		return out, invalid("securityGroups can have at most %d items.", maxGroups)
	}
	vpc := ""
	for _, id := range c.Subnets {
		subnet, ok := s.tables.Subnets.Get(r, id)
		if !ok {
			return out, invalid("Error retrieving subnet information for [%s]: The subnet ID '%s' does not exist (ErrorCode: InvalidSubnetID.NotFound)", id, id)
		}
		if vpc != "" && subnet.VPCID != vpc {
			return out, invalid("Subnets must be in the same VPC: %s is in %s, not in %s.", id, subnet.VPCID, vpc)
		}
		vpc = subnet.VPCID
	}
	for _, id := range c.SecurityGroups {
		group, ok := s.tables.SecurityGroups.Get(r, id)
		if !ok {
			return out, invalid("Error retrieving security group information for [%s]: The security group '%s' does not exist (ErrorCode: InvalidGroup.NotFound)", id, id)
		}
		if group.VPCID != vpc {
			return out, invalid("Security group %s does not appear to belong to the same VPC as the input subnets.", id)
		}
	}
	return model.NetworkConfiguration{
		Subnets: slices.Clone(c.Subnets), SecurityGroups: slices.Clone(c.SecurityGroups), AssignPublicIP: c.AssignPublicIp == ecsapi.AssignPublicIpEnabled,
	}, nil
}

// networkView returns the wire form.
func networkView(n model.NetworkConfiguration) *ecsapi.NetworkConfiguration {
	assign := ecsapi.AssignPublicIpDisabled
	if n.AssignPublicIP {
		assign = ecsapi.AssignPublicIpEnabled
	}
	return &ecsapi.NetworkConfiguration{AwsvpcConfiguration: &ecsapi.AwsVpcConfiguration{
		AssignPublicIp: assign, Subnets: append([]string{}, n.Subnets...), SecurityGroups: append([]string{}, n.SecurityGroups...),
	}}
}

// refusePlacement refuses placement on instances.
func refusePlacement(constraints []ecsapi.PlacementConstraint, strategies []ecsapi.PlacementStrategy) error {
	if len(constraints) > 0 {
		return invalid("Placement constraints are not supported with FARGATE launch type (placementConstraints).")
	}
	if len(strategies) > 0 {
		return invalid("Placement strategies are not supported with FARGATE launch type (placementStrategy).")
	}
	return nil
}
