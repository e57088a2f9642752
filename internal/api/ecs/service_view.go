package ecs

import (
	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ecsapi"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// service returns the wire form of a service. Terraform needs every member that is set here (client-contracts 5).
func (s *Server) service(r store.Reader, v *model.Service, withTags bool) *ecsapi.Service {
	primary := v.Deployments[0]
	out := &ecsapi.Service{
		AvailabilityZoneRebalancing: ecsapi.AvailabilityZoneRebalancing(v.AZRebalancing), ClusterArn: awsapi.Ptr(s.scope.ClusterARN(v.Cluster)),
		CreatedAt: at(v.CreatedAt), CreatedBy: awsapi.NonZero(v.CreatedBy), DeploymentController: &ecsapi.DeploymentController{Type: ecsapi.DeploymentControllerTypeEcs},
		DeploymentConfiguration: &ecsapi.DeploymentConfiguration{
			MaximumPercent: awsapi.Ptr(int32(v.MaximumPercent)), MinimumHealthyPercent: awsapi.Ptr(int32(v.MinimumPercent)), Strategy: ecsapi.DeploymentStrategyRolling,
			DeploymentCircuitBreaker: &ecsapi.DeploymentCircuitBreaker{Enable: awsapi.Ptr(false), Rollback: awsapi.Ptr(false)},
		},
		Deployments: []ecsapi.Deployment{}, DesiredCount: awsapi.Ptr(int32(v.DesiredCount)), EnableECSManagedTags: awsapi.Ptr(v.ManagedTags),
		EnableExecuteCommand: awsapi.Ptr(v.EnableExec), Events: []ecsapi.ServiceEvent{}, LaunchType: ecsapi.LaunchType(v.LaunchType),
		LoadBalancers: balancersView(v.LoadBalancers), NetworkConfiguration: networkView(primary.Network), PlacementConstraints: []ecsapi.PlacementConstraint{},
		PlacementStrategy: []ecsapi.PlacementStrategy{}, PlatformFamily: awsapi.Ptr("Linux"), PlatformVersion: awsapi.Ptr(v.PlatformVersion),
		PropagateTags: ecsapi.PropagateTags(v.PropagateTags), SchedulingStrategy: ecsapi.SchedulingStrategy(v.SchedulingStrategy), ServiceArn: awsapi.Ptr(v.ARN),
		ServiceName: awsapi.Ptr(v.Name), ServiceRegistries: []ecsapi.ServiceRegistry{}, Status: awsapi.Ptr(v.Status), Tags: []ecsapi.Tag{},
		TaskDefinition: awsapi.Ptr(primary.DefinitionARN),
	}
	if out.AvailabilityZoneRebalancing == "" {
		out.AvailabilityZoneRebalancing = ecsapi.AvailabilityZoneRebalancingDisabled
	}
	if out.PropagateTags == "" {
		out.PropagateTags = ecsapi.PropagateTagsNone
	}
	if b := v.CircuitBreaker; b != nil {
		out.DeploymentConfiguration.DeploymentCircuitBreaker = &ecsapi.DeploymentCircuitBreaker{Enable: awsapi.Ptr(b.Enable), Rollback: awsapi.Ptr(b.Rollback)}
	}
	if v.GracePeriod != nil {
		out.HealthCheckGracePeriodSeconds = awsapi.Ptr(int32(*v.GracePeriod))
	} else if len(v.LoadBalancers) > 0 {
		out.HealthCheckGracePeriodSeconds = awsapi.Ptr(int32(0))
	}
	if len(v.CapacityStrategy) > 0 {
		out.CapacityProviderStrategy = strategyItems(v.CapacityStrategy)
	}
	if withTags {
		out.Tags = tagList(v.Tags)
	}
	counts := map[string]struct{ running, pending int32 }{}
	var running, pending int32
	for task := range s.tables.Tasks.By(r, "service", v.Key()) {
		c := counts[task.DeploymentID]
		switch {
		case task.State == model.TaskRunning:
			c.running, running = c.running+1, running+1
		case task.State < model.TaskRunning && task.Desired == model.DesiredRunning:
			c.pending, pending = c.pending+1, pending+1
		}
		counts[task.DeploymentID] = c
	}
	out.RunningCount, out.PendingCount = &running, &pending
	for i := range v.Deployments {
		d := &v.Deployments[i]
		if d.Status == model.DeploymentInactive {
			continue
		}
		c := counts[d.ID]
		out.Deployments = append(out.Deployments, deploymentView(d, c.running, c.pending))
	}
	for _, e := range v.Events {
		out.Events = append(out.Events, ecsapi.ServiceEvent{Id: awsapi.Ptr(e.ID), CreatedAt: at(e.CreatedAt), Message: awsapi.Ptr(e.Message)})
	}
	return out
}

// deploymentView counts tasks as they are now, not as control has last seen them.
func deploymentView(d *model.Deployment, running, pending int32) ecsapi.Deployment {
	out := ecsapi.Deployment{
		CreatedAt: at(d.CreatedAt), DesiredCount: awsapi.Ptr(int32(d.Desired)), FailedTasks: awsapi.Ptr(int32(d.Failed)), Id: awsapi.Ptr(d.ID),
		LaunchType: ecsapi.LaunchType(d.LaunchType), NetworkConfiguration: networkView(d.Network), PendingCount: &pending, RunningCount: &running,
		PlatformFamily: awsapi.Ptr("Linux"), PlatformVersion: awsapi.Ptr(d.PlatformVersion), RolloutState: ecsapi.DeploymentRolloutState(d.RolloutState),
		RolloutStateReason: awsapi.NonZero(d.RolloutReason), Status: awsapi.Ptr(d.Status), TaskDefinition: awsapi.Ptr(d.DefinitionARN), UpdatedAt: at(d.UpdatedAt),
	}
	if len(d.CapacityStrategy) > 0 {
		out.CapacityProviderStrategy = strategyItems(d.CapacityStrategy)
	}
	return out
}

func balancersView(list []model.ServiceLoadBalancer) []ecsapi.LoadBalancer {
	out := []ecsapi.LoadBalancer{}
	for _, lb := range list {
		out = append(out, ecsapi.LoadBalancer{ContainerName: awsapi.Ptr(lb.Container), ContainerPort: awsapi.Ptr(int32(lb.Port)), TargetGroupArn: awsapi.Ptr(lb.TargetGroupARN)})
	}
	return out
}
