package ecs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ecsapi"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// Limits of services (aws-facts 1.1, 1.8).
const (
	maxDescribeServices   = 10
	defaultServicePage    = 10
	maxTargetGroups       = 5
	defaultMinimumPercent = 100
	defaultMaximumPercent = 200
)

// CreateService writes a service with its first deployment; control starts its tasks.
func (s *Server) CreateService(ctx context.Context, in *ecsapi.CreateServiceInput) (*ecsapi.CreateServiceOutput, error) {
	name := awsapi.Val(in.ServiceName)
	if !resourceName.MatchString(name) {
		return nil, invalid("Invalid service name '%s': it has up to 255 letters, numbers, hyphens and underscores.", name)
	}
	service := &model.Service{Name: name, Status: model.ServiceActive, SchedulingStrategy: string(ecsapi.SchedulingStrategyReplica)}
	if err := checkServiceInput(in); err != nil {
		return nil, err
	}
	if err := setDeploymentConfiguration(service, in.DeploymentConfiguration); err != nil {
		return nil, err
	}
	if err := setServiceOptions(service, in.EnableECSManagedTags, in.PropagateTags, in.AvailabilityZoneRebalancing, in.HealthCheckGracePeriodSeconds); err != nil {
		return nil, err
	}
	if service.AZRebalancing == "" && service.MaximumPercent > defaultMinimumPercent {
		service.AZRebalancing = string(ecsapi.AvailabilityZoneRebalancingEnabled) // of a new service that can do it (aws-facts 1.8)
	}
	tags, err := tagsOf(in.Tags)
	if err != nil {
		return nil, err
	}
	service.Meta = model.Meta{Tags: tags, CreatedAt: s.clock.Now()}
	service.DesiredCount, service.ClientToken = int(awsapi.Val(in.DesiredCount)), awsapi.Val(in.ClientToken)
	service.CreatedBy = awsapi.RequestFrom(ctx).Principal
	var made *model.Service
	err = s.db.Update(ctx, func(tx *store.Txn) error {
		cluster, err := s.activeCluster(tx, in.Cluster)
		if err != nil {
			return err
		}
		if had, ok := s.tables.Services.Get(tx, model.ServiceKey(cluster.Name, name)); ok && had.Status != model.ServiceInactive {
			if had.ClientToken != "" && had.ClientToken == service.ClientToken {
				made = had
				return nil
			}
			if had.Status == model.ServiceDraining {
				return invalid("Unable to Start a service that is still Draining.")
			}
			return invalid("Creation of service was not idempotent.")
		}
		draft := *service
		draft.Cluster, draft.ARN = cluster.Name, s.scope.ServiceARN(cluster.Name, name)
		deployment, err := s.deployment(tx, cluster, &draft, in)
		if err != nil {
			return err
		}
		draft.LaunchType, draft.CapacityStrategy, draft.PlatformVersion = deployment.LaunchType, deployment.CapacityStrategy, deployment.PlatformVersion
		draft.LoadBalancers, draft.Deployments = deployment.LoadBalancers, []model.Deployment{deployment}
		if err := s.checkGrace(tx, &draft, in.HealthCheckGracePeriodSeconds); err != nil {
			return err
		}
		s.tables.Services.Put(tx, &draft)
		made = &draft
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ecsapi.CreateServiceOutput{Service: s.service(s.db.View(), made, true)}, nil
}

// checkGrace refuses a grace period for a service that nothing checks.
func (s *Server) checkGrace(r store.Reader, service *model.Service, asked *int32) error {
	primary := service.Deployments[0]
	if awsapi.Val(asked) == 0 || len(primary.LoadBalancers) > 0 {
		return nil
	}
	d, ok := s.tables.TaskDefinitions.Get(r, primary.DefinitionKey)
	if ok && slices.ContainsFunc(d.Containers, func(c model.ContainerDefinition) bool { return c.HealthCheck != nil }) {
		return nil
	}
	return invalid("Health check grace period is only valid for services configured to use load balancers or container health checks (healthCheckGracePeriodSeconds)")
}

// checkServiceInput refuses what a service on Fargate cannot have, and what Neargate has not.
func checkServiceInput(in *ecsapi.CreateServiceInput) error {
	if in.DeploymentController != nil && in.DeploymentController.Type != ecsapi.DeploymentControllerTypeEcs {
		return unsupported("deploymentController "+string(in.DeploymentController.Type), "deployments are rolled out by ECS. Use ECS or leave it out.")
	}
	if in.SchedulingStrategy == ecsapi.SchedulingStrategyDaemon {
		return invalid("Fargate does not support the DAEMON scheduling strategy.")
	}
	if in.DesiredCount == nil {
		return invalid("desiredCount is required for services with the scheduling strategy REPLICA.")
	}
	if *in.DesiredCount < 0 {
		return invalid("desiredCount must not be negative.")
	}
	if awsapi.Val(in.Role) != "" {
		return invalid("You cannot specify an IAM role for services that require a service linked role (role).")
	}
	if err := refuseServiceParts(in.ServiceConnectConfiguration, in.ServiceRegistries, in.VolumeConfigurations, in.VpcLatticeConfigurations, in.EnableExecuteCommand); err != nil {
		return err
	}
	return refusePlacement(in.PlacementConstraints, in.PlacementStrategy)
}

func refuseServiceParts(connect *ecsapi.ServiceConnectConfiguration, registries []ecsapi.ServiceRegistry, volumes []ecsapi.ServiceVolumeConfiguration, lattice []ecsapi.VpcLatticeConfiguration, exec *bool) error {
	switch {
	case connect != nil && awsapi.Val(connect.Enabled):
		return unsupported("serviceConnectConfiguration", "Service Connect is not there yet.")
	case len(registries) > 0:
		return unsupported("serviceRegistries", "Cloud Map is not there yet.")
	case len(volumes) > 0:
		return unsupported("volumeConfigurations", "there are no EBS volumes.")
	case len(lattice) > 0:
		return unsupported("vpcLatticeConfigurations", "there is no VPC Lattice.")
	case awsapi.Val(exec):
		return unsupported("enableExecuteCommand", "ECS Exec is not there yet; `neargate exec` runs a command in a task.")
	}
	return nil
}

// setDeploymentConfiguration sets what is given of a deployment configuration; percentages have AWS's defaults.
func setDeploymentConfiguration(service *model.Service, c *ecsapi.DeploymentConfiguration) error {
	if service.MaximumPercent == 0 {
		service.MinimumPercent, service.MaximumPercent = defaultMinimumPercent, defaultMaximumPercent
	}
	if c == nil {
		return nil
	}
	switch {
	case c.Strategy != "" && c.Strategy != ecsapi.DeploymentStrategyRolling:
		return unsupported("deploymentConfiguration.strategy "+string(c.Strategy), "use ROLLING.")
	case c.Alarms != nil && awsapi.Val(c.Alarms.Enable):
		return unsupported("deploymentConfiguration.alarms", "there are no alarms yet.")
	case len(c.LifecycleHooks) > 0, awsapi.Val(c.BakeTimeInMinutes) > 0, c.CanaryConfiguration != nil, c.LinearConfiguration != nil:
		return unsupported("lifecycle hooks, bake time, canary and linear configuration", "deployments are rolling.")
	}
	if c.MinimumHealthyPercent != nil {
		service.MinimumPercent = int(*c.MinimumHealthyPercent)
	}
	if c.MaximumPercent != nil {
		service.MaximumPercent = int(*c.MaximumPercent)
	}
	switch {
	case service.MinimumPercent < 0 || service.MinimumPercent > 100:
		return invalid("minimumHealthyPercent must be between 0 and 100.")
	case service.MaximumPercent < 100 || service.MaximumPercent > 200:
		return invalid("maximumPercent must be between 100 and 200.")
	case service.MinimumPercent == 100 && service.MaximumPercent == 100:
		return invalid("Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments.")
	}
	if b := c.DeploymentCircuitBreaker; b != nil {
		service.CircuitBreaker = &model.CircuitBreaker{Enable: awsapi.Val(b.Enable), Rollback: awsapi.Val(b.Rollback)}
	}
	return nil
}

// maxGrace is the largest health check grace period, in seconds (aws-facts 1.8).
const maxGrace = 2147483647

func setServiceOptions(service *model.Service, managedTags *bool, propagate ecsapi.PropagateTags, rebalancing ecsapi.AvailabilityZoneRebalancing, grace *int32) error {
	if managedTags != nil {
		service.ManagedTags = *managedTags
	}
	if propagate != "" {
		service.PropagateTags = string(propagate)
	}
	if rebalancing != "" {
		service.AZRebalancing = string(rebalancing)
	}
	if grace != nil {
		if *grace < 0 || int64(*grace) > maxGrace {
			return invalid("healthCheckGracePeriodSeconds must be between 0 and %d.", maxGrace)
		}
		service.GracePeriod = awsapi.Ptr(int(*grace))
	}
	return nil
}

// deployment checks what a new service asks for and returns its first deployment.
func (s *Server) deployment(r store.Reader, cluster *model.Cluster, service *model.Service, in *ecsapi.CreateServiceInput) (model.Deployment, error) {
	how, err := parseLaunch(cluster, in.LaunchType, in.CapacityProviderStrategy, in.PlatformVersion)
	if err != nil {
		return model.Deployment{}, err
	}
	if in.TaskDefinition == nil {
		return model.Deployment{}, invalid("TaskDefinition can not be blank.")
	}
	definition, err := s.runnable(r, *in.TaskDefinition)
	if err != nil {
		return model.Deployment{}, err
	}
	network, err := s.parseNetwork(r, in.NetworkConfiguration)
	if err != nil {
		return model.Deployment{}, err
	}
	balancers, err := s.parseLoadBalancers(r, definition, network, in.LoadBalancers)
	if err != nil {
		return model.Deployment{}, err
	}
	if err := s.rolesExist(r, definition, model.TaskOverrides{}); err != nil {
		return model.Deployment{}, err
	}
	return newDeployment(s.clock.Now(), definition, how, network, balancers, service.DesiredCount), nil
}

func newDeployment(now time.Time, definition *model.TaskDefinition, how launch, network model.NetworkConfiguration, balancers []model.ServiceLoadBalancer, desired int) model.Deployment {
	d := model.Deployment{
		ID: model.NewDeploymentID(), Status: model.DeploymentPrimary, DefinitionKey: definition.Key(), DefinitionARN: definition.ARN, Desired: desired,
		RolloutState: model.RolloutInProgress, LaunchType: how.launchType, CapacityStrategy: how.strategy, PlatformVersion: how.platform,
		Network: network, LoadBalancers: balancers, CreatedAt: now, UpdatedAt: now,
	}
	d.RolloutReason = fmt.Sprintf("ECS deployment %s in progress.", d.ID)
	return d
}

// parseLoadBalancers checks target groups against the definition: ip targets, attached to a load balancer, a port that is there.
func (s *Server) parseLoadBalancers(r store.Reader, d *model.TaskDefinition, network model.NetworkConfiguration, list []ecsapi.LoadBalancer) ([]model.ServiceLoadBalancer, error) {
	if len(list) > maxTargetGroups {
		return nil, invalid("load balancers can have at most %d items.", maxTargetGroups)
	}
	var out []model.ServiceLoadBalancer
	for _, lb := range list {
		one := model.ServiceLoadBalancer{TargetGroupARN: awsapi.Val(lb.TargetGroupArn), Container: awsapi.Val(lb.ContainerName), Port: int(awsapi.Val(lb.ContainerPort))}
		switch {
		case lb.AdvancedConfiguration != nil:
			return nil, unsupported("loadBalancers.advancedConfiguration", "deployments are rolling.")
		case awsapi.Val(lb.LoadBalancerName) != "":
			return nil, invalid("Classic Load Balancers are not supported with network mode awsvpc (loadBalancerName).")
		case one.TargetGroupARN == "":
			return nil, invalid("Load Balancers must have a targetGroupArn.")
		case one.Container == "":
			return nil, invalid("containerName must not be null or empty.")
		}
		group, ok := s.tables.TargetGroups.Get(r, one.TargetGroupARN)
		if !ok {
			return nil, invalid("The target group with targetGroupArn %s does not exist.", one.TargetGroupARN)
		}
		if group.TargetType != "ip" {
			return nil, invalid("The provided target group %s has target type %s, which is incompatible with the awsvpc network mode specified in the task definition.", group.ARN, group.TargetType)
		}
		if s.tables.Listeners.LenBy(r, "target-group", group.ARN) == 0 && s.tables.Rules.LenBy(r, "target-group", group.ARN) == 0 {
			return nil, invalid("The target group with targetGroupArn %s does not have an associated load balancer.", group.ARN)
		}
		if slices.ContainsFunc(out, func(o model.ServiceLoadBalancer) bool {
			return o.TargetGroupARN == one.TargetGroupARN && o.Port == one.Port
		}) {
			return nil, invalid("The target group %s is there twice with the containerPort %d.", one.TargetGroupARN, one.Port)
		}
		if subnet, ok := s.tables.Subnets.Get(r, network.Subnets[0]); ok && subnet.VPCID != group.VPCID {
			return nil, invalid("The target group %s is in %s, the subnets are in %s.", group.ARN, group.VPCID, subnet.VPCID)
		}
		if err := hasPort(d, one); err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

// hasPort refuses a load balancer whose container or port the definition has not.
func hasPort(d *model.TaskDefinition, lb model.ServiceLoadBalancer) error {
	i := slices.IndexFunc(d.Containers, func(c model.ContainerDefinition) bool { return c.Name == lb.Container })
	if i < 0 {
		return invalid("The container %s does not exist in the task definition.", lb.Container)
	}
	if !slices.ContainsFunc(d.Containers[i].Ports, func(p model.PortMapping) bool { return p.ContainerPort == lb.Port }) {
		return invalid("The container %s did not have a container port %d defined.", lb.Container, lb.Port)
	}
	return nil
}

// DeleteService drains a service and, when its last task is gone, makes it inactive. It stays describable.
func (s *Server) DeleteService(ctx context.Context, in *ecsapi.DeleteServiceInput) (*ecsapi.DeleteServiceOutput, error) {
	var service *model.Service
	err := s.db.Update(ctx, func(tx *store.Txn) error {
		cluster, err := s.activeCluster(tx, in.Cluster)
		if err != nil {
			return err
		}
		found, ok := s.findService(tx, cluster.Name, awsapi.Val(in.Service))
		if !ok || found.Status == model.ServiceInactive {
			return awsapi.NewError(ecsapi.ErrServiceNotFoundException, "Service not found.")
		}
		if found.Status == model.ServiceActive {
			if found.DesiredCount > 0 && !awsapi.Val(in.Force) {
				return invalid("The service cannot be stopped while it is scaled above 0.")
			}
			s.tables.Services.Edit(tx, found.Key(), func(v *model.Service) {
				v.Status, v.DesiredCount, v.DeletedAt = model.ServiceDraining, 0, s.clock.Now()
			})
		}
		service, _ = s.tables.Services.Get(tx, found.Key())
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ecsapi.DeleteServiceOutput{Service: s.service(s.db.View(), service, true)}, nil
}

// findService returns the service of a cluster that a request names by name or ARN.
func (s *Server) findService(r store.Reader, cluster, ref string) (*model.Service, bool) {
	service, ok := s.tables.Services.Get(r, model.ServiceKey(cluster, model.LastSegment(ref)))
	if !ok || (strings.HasPrefix(ref, "arn:") && service.ARN != ref) {
		return nil, false
	}
	return service, true
}

// DescribeServices reads services; one that does not exist is a failure in the answer, not an error.
func (s *Server) DescribeServices(_ context.Context, in *ecsapi.DescribeServicesInput) (*ecsapi.DescribeServicesOutput, error) {
	view := s.db.View()
	cluster, err := s.activeCluster(view, in.Cluster)
	if err != nil {
		return nil, err
	}
	switch {
	case len(in.Services) == 0:
		return nil, invalid("Services cannot be empty.")
	case len(in.Services) > maxDescribeServices:
		return nil, invalid("Services can have at most %d items.", maxDescribeServices)
	}
	withTags := slices.Contains(in.Include, ecsapi.ServiceFieldTags)
	out := &ecsapi.DescribeServicesOutput{Services: []ecsapi.Service{}, Failures: []ecsapi.Failure{}}
	for _, ref := range in.Services {
		if service, ok := s.findService(view, cluster.Name, ref); ok {
			out.Services = append(out.Services, *s.service(view, service, withTags))
			continue
		}
		out.Failures = append(out.Failures, missing(s.scope.ServiceARN(cluster.Name, model.LastSegment(ref))))
	}
	return out, nil
}

// ListServices lists the ARNs of services.
func (s *Server) ListServices(_ context.Context, in *ecsapi.ListServicesInput) (*ecsapi.ListServicesOutput, error) {
	view := s.db.View()
	cluster, err := s.activeCluster(view, in.Cluster)
	if err != nil {
		return nil, err
	}
	if in.ResourceManagementType != "" && in.ResourceManagementType != ecsapi.ResourceManagementTypeCustomer {
		return &ecsapi.ListServicesOutput{ServiceArns: []string{}}, nil // ECS manages none by itself
	}
	arns := []string{}
	for service := range s.tables.Services.By(view, "cluster", cluster.Name) {
		if service.Status == model.ServiceInactive || (in.LaunchType != "" && string(in.LaunchType) != service.LaunchType) ||
			(in.SchedulingStrategy != "" && string(in.SchedulingStrategy) != service.SchedulingStrategy) {
			continue
		}
		arns = append(arns, service.ARN)
	}
	size := in.MaxResults
	if size == nil {
		size = awsapi.Ptr(int32(defaultServicePage))
	}
	page, next, err := pageOf("ecs:ListServices:"+cluster.Name, arns, in.NextToken, size, maxPage)
	if err != nil {
		return nil, err
	}
	return &ecsapi.ListServicesOutput{ServiceArns: page, NextToken: next}, nil
}
