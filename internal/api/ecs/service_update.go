package ecs

import (
	"context"

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
		next, changed, err := s.nextDeployment(tx, cluster, service, in)
		if err != nil {
			return err
		}
		if changed {
			startDeployment(service, next)
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
func (s *Server) nextDeployment(r store.Reader, cluster *model.Cluster, service *model.Service, in *ecsapi.UpdateServiceInput) (model.Deployment, bool, error) {
	current := service.Deployments[0]
	ref := current.DefinitionARN
	changed := awsapi.Val(in.ForceNewDeployment)
	if in.TaskDefinition != nil {
		ref = *in.TaskDefinition
	}
	definition, ok := s.findDefinition(r, ref)
	if in.TaskDefinition != nil {
		var err error
		if definition, err = s.runnable(r, ref); err != nil {
			return model.Deployment{}, false, err
		}
	} else if !ok {
		return model.Deployment{}, false, client("TaskDefinition not found.")
	}
	changed = changed || definition.Key() != current.DefinitionKey
	how := launch{launchType: current.LaunchType, strategy: current.CapacityStrategy, platform: current.PlatformVersion}
	if len(in.CapacityProviderStrategy) > 0 || in.PlatformVersion != nil {
		var launchType ecsapi.LaunchType
		items := in.CapacityProviderStrategy
		if len(items) == 0 {
			launchType, items = ecsapi.LaunchType(current.LaunchType), strategyItems(current.CapacityStrategy)
		}
		var err error
		if how, err = parseLaunch(cluster, launchType, items, in.PlatformVersion); err != nil {
			return model.Deployment{}, false, err
		}
		changed = changed || !sameStrategy(how, current)
	}
	network := current.Network
	if in.NetworkConfiguration != nil {
		var err error
		if network, err = s.parseNetwork(r, in.NetworkConfiguration); err != nil {
			return model.Deployment{}, false, err
		}
		changed = changed || !sameNetwork(network, current.Network)
	}
	asked := in.LoadBalancers
	if asked == nil {
		for _, lb := range current.LoadBalancers {
			asked = append(asked, ecsapi.LoadBalancer{TargetGroupArn: &lb.TargetGroupARN, ContainerName: &lb.Container, ContainerPort: awsapi.Ptr(int32(lb.Port))})
		}
	}
	balancers, err := s.parseLoadBalancers(r, definition, network, asked)
	if err != nil {
		return model.Deployment{}, false, err
	}
	changed = changed || !sameBalancers(balancers, current.LoadBalancers) || in.PropagateTags != "" && string(in.PropagateTags) != s.propagation(r, service)
	if err := s.rolesExist(r, definition, model.TaskOverrides{}); err != nil {
		return model.Deployment{}, false, err
	}
	return newDeployment(s.clock.Now(), definition, how, network, balancers, service.DesiredCount), changed, nil
}

// propagation returns how the stored service propagates tags, before the update that is under way.
func (s *Server) propagation(r store.Reader, service *model.Service) string {
	stored, ok := s.tables.Services.Get(r, service.Key())
	if !ok {
		return ""
	}
	return stored.PropagateTags
}

func sameStrategy(how launch, d model.Deployment) bool {
	return how.launchType == d.LaunchType && how.platform == d.PlatformVersion && equal(how.strategy, d.CapacityStrategy)
}

func sameNetwork(a, b model.NetworkConfiguration) bool {
	return a.AssignPublicIP == b.AssignPublicIP && equal(a.Subnets, b.Subnets) && equal(a.SecurityGroups, b.SecurityGroups)
}

func sameBalancers(a, b []model.ServiceLoadBalancer) bool { return equal(a, b) }

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
