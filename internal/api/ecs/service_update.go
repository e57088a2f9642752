package ecs

import (
	"context"
	"fmt"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ecsapi"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// UpdateService changes a service. What tasks are made of (definition, network, load balancers, launch type, tags) makes
// a new deployment; desired count, percentages, grace and rebalancing do not (aws-facts 1.8).
func (s *Server) UpdateService(ctx context.Context, in *ecsapi.UpdateServiceInput) (*ecsapi.UpdateServiceOutput, error) {
	if err := refuseServiceParts(in.ServiceConnectConfiguration, in.ServiceRegistries, in.VolumeConfigurations, in.VpcLatticeConfigurations, in.EnableExecuteCommand); err != nil {
		return nil, err
	}
	if err := refusePlacement(in.PlacementConstraints, in.PlacementStrategy); err != nil {
		return nil, err
	}
	if in.DeploymentController != nil && in.DeploymentController.Type != ecsapi.DeploymentControllerTypeEcs {
		return nil, unsupported("deploymentController "+string(in.DeploymentController.Type), "deployments are rolled out by ECS.")
	}
	if in.DesiredCount != nil && *in.DesiredCount < 0 {
		return nil, invalid("desiredCount must not be negative.")
	}
	var updated *model.Service
	err := s.db.Update(ctx, func(tx *store.Txn) error {
		cluster, err := s.activeCluster(tx, in.Cluster)
		if err != nil {
			return err
		}
		found, ok := s.findService(tx, cluster.Name, awsapi.Val(in.Service))
		if !ok {
			return awsapi.NewError(ecsapi.ErrServiceNotFoundException, "Service not found.")
		}
		if found.Status != model.ServiceActive {
			return awsapi.NewError(ecsapi.ErrServiceNotActiveException, "Service was not ACTIVE.")
		}
		service := s.tables.Services.Clone(found)
		if err := setDeploymentConfiguration(service, in.DeploymentConfiguration); err != nil {
			return err
		}
		if err := setServiceOptions(service, in.EnableECSManagedTags, in.PropagateTags, in.AvailabilityZoneRebalancing, in.HealthCheckGracePeriodSeconds); err != nil {
			return err
		}
		if in.DesiredCount != nil {
			service.DesiredCount = int(*in.DesiredCount)
		}
		next, changed, err := s.nextDeployment(tx, cluster, found, in)
		if err != nil {
			return err
		}
		changed = changed || service.PropagateTags != found.PropagateTags || service.ManagedTags != found.ManagedTags
		if changed {
			startDeployment(service, next)
		}
		if err := s.checkGrace(tx, service, in.HealthCheckGracePeriodSeconds); err != nil {
			return err
		}
		s.tables.Services.Put(tx, service)
		updated = service
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ecsapi.UpdateServiceOutput{Service: s.service(s.db.View(), updated, true)}, nil
}

// startDeployment puts a new deployment in front; the former primary one is being replaced from now on. A deployment
// that just began shows no desired tasks until control has looked at it (aws-facts 1.10).
func startDeployment(service *model.Service, next model.Deployment) {
	for i := range service.Deployments {
		if service.Deployments[i].Status == model.DeploymentPrimary {
			service.Deployments[i].Status = model.DeploymentActive
		}
	}
	next.Desired = 0
	service.Deployments = append([]model.Deployment{next}, service.Deployments...)
	service.LaunchType, service.CapacityStrategy, service.PlatformVersion = next.LaunchType, next.CapacityStrategy, next.PlatformVersion
	service.LoadBalancers = next.LoadBalancers
}

// nextDeployment returns the deployment that an update asks for, and reports whether it differs from the primary one.
// Only what the request names is looked up: a service can be scaled in although its roles, listeners or subnets are gone,
// which is what happens when a whole stack is taken down.
func (s *Server) nextDeployment(r store.Reader, cluster *model.Cluster, service *model.Service, in *ecsapi.UpdateServiceInput) (model.Deployment, bool, error) {
	current := &service.Deployments[0]
	now := s.clock.Now()
	next := model.Deployment{
		ID: model.NewDeploymentID(), Status: model.DeploymentPrimary, DefinitionKey: current.DefinitionKey, DefinitionARN: current.DefinitionARN,
		RolloutState: model.RolloutInProgress, LaunchType: current.LaunchType, CapacityStrategy: current.CapacityStrategy, PlatformVersion: current.PlatformVersion,
		Network: current.Network, LoadBalancers: current.LoadBalancers, CreatedAt: now, UpdatedAt: now,
	}
	next.RolloutReason = fmt.Sprintf("ECS deployment %s in progress.", next.ID)
	definition, known := s.tables.TaskDefinitions.Get(r, current.DefinitionKey)
	if in.TaskDefinition != nil {
		var err error
		if definition, err = s.runnable(r, *in.TaskDefinition); err != nil {
			return next, false, err
		}
		next.DefinitionKey, next.DefinitionARN, known = definition.Key(), definition.ARN, true
	}
	if err := s.setLaunch(&next, cluster, in); err != nil {
		return next, false, err
	}
	if in.NetworkConfiguration != nil {
		var err error
		if next.Network, err = s.parseNetwork(r, in.NetworkConfiguration); err != nil {
			return next, false, err
		}
	}
	if in.LoadBalancers != nil && known {
		var err error
		if next.LoadBalancers, err = s.parseLoadBalancers(r, definition, next.Network, in.LoadBalancers); err != nil {
			return next, false, err
		}
	}
	changed := awsapi.Val(in.ForceNewDeployment) || next.DefinitionKey != current.DefinitionKey || !sameLaunch(&next, current) ||
		!sameNetwork(next.Network, current.Network) || !equal(next.LoadBalancers, current.LoadBalancers)
	if !changed {
		return next, false, nil
	}
	if !known {
		return next, false, client("TaskDefinition not found.")
	}
	for _, lb := range next.LoadBalancers {
		if err := hasPort(definition, lb); err != nil {
			return next, false, err
		}
	}
	return next, true, s.rolesExist(r, definition, model.TaskOverrides{})
}

// setLaunch sets what a request says of capacity providers and the platform.
func (s *Server) setLaunch(next *model.Deployment, cluster *model.Cluster, in *ecsapi.UpdateServiceInput) error {
	if in.CapacityProviderStrategy == nil && in.PlatformVersion == nil {
		return nil
	}
	if in.CapacityProviderStrategy != nil && len(in.CapacityProviderStrategy) == 0 && len(next.CapacityStrategy) > 0 {
		return unsupported("an empty capacityProviderStrategy", "a service keeps a strategy once it has one. Use one with FARGATE alone.")
	}
	var launchType ecsapi.LaunchType
	items := in.CapacityProviderStrategy
	if len(items) == 0 {
		launchType, items = ecsapi.LaunchType(next.LaunchType), strategyItems(next.CapacityStrategy)
	}
	how, err := parseLaunch(cluster, launchType, items, in.PlatformVersion)
	if err != nil {
		return err
	}
	next.LaunchType, next.CapacityStrategy, next.PlatformVersion = how.launchType, how.strategy, how.platform
	return nil
}

func sameLaunch(a, b *model.Deployment) bool {
	return a.LaunchType == b.LaunchType && a.PlatformVersion == b.PlatformVersion && equal(a.CapacityStrategy, b.CapacityStrategy)
}

func sameNetwork(a, b model.NetworkConfiguration) bool {
	return a.AssignPublicIP == b.AssignPublicIP && equal(a.Subnets, b.Subnets) && equal(a.SecurityGroups, b.SecurityGroups)
}

// equal reports whether two lists hold the same elements, in any order.
func equal[T comparable](a, b []T) bool {
	if len(a) != len(b) {
		return false
	}
	count := map[T]int{}
	for _, v := range a {
		count[v]++
	}
	for _, v := range b {
		count[v]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}
