package ecs

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ecsapi"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

type createService = ecsapi.CreateServiceInput

func TestBadServices(t *testing.T) {
	const invalidError, unsupportedError, clientError = "InvalidParameterException", "UnsupportedFeatureException", "ClientException"
	a := newAccount(t)
	a.register(nil)
	a.register(func(in *register) {
		in.Family, in.TaskRoleArn = p("roleless"), p("arn:aws:iam::000000000000:role/nobody")
	})
	percent := func(low, high int32) func(*createService) {
		return func(in *createService) {
			in.DeploymentConfiguration = &ecsapi.DeploymentConfiguration{MinimumHealthyPercent: &low, MaximumPercent: &high}
		}
	}
	balancer := func(lb ecsapi.LoadBalancer) func(*createService) {
		return func(in *createService) { in.LoadBalancers = []ecsapi.LoadBalancer{lb} }
	}
	strategy := func(items ...ecsapi.CapacityProviderStrategyItem) func(*createService) {
		return func(in *createService) { in.LaunchType, in.CapacityProviderStrategy = "", items }
	}
	for _, test := range []struct {
		name   string
		change func(*createService)
		code   string
		words  string
	}{
		{"name", func(in *createService) { in.ServiceName = p("a b") }, invalidError, "service name"},
		{"cluster", func(in *createService) { in.Cluster = p("x") }, "ClusterNotFoundException", "Cluster not found."},
		{"no definition", func(in *createService) { in.TaskDefinition = nil }, invalidError, "TaskDefinition"},
		{"definition", func(in *createService) { in.TaskDefinition = p("x") }, clientError, "TaskDefinition not found."},
		{"no count", func(in *createService) { in.DesiredCount = nil }, invalidError, "desiredCount"},
		{"negative count", func(in *createService) { in.DesiredCount = p(int32(-1)) }, invalidError, "desiredCount"},
		{"daemon", func(in *createService) { in.SchedulingStrategy = ecsapi.SchedulingStrategyDaemon }, invalidError, "DAEMON"},
		{"CodeDeploy", func(in *createService) {
			in.DeploymentController = &ecsapi.DeploymentController{Type: ecsapi.DeploymentControllerTypeCodeDeploy}
		}, unsupportedError, "deploymentController"},
		{"EC2", func(in *createService) { in.LaunchType = ecsapi.LaunchTypeEc2 }, invalidError, "No Container Instances were found in your cluster."},
		{"no launch type", func(in *createService) { in.LaunchType = "" }, invalidError, "No Container Instances were found in your cluster."},
		{"platform", func(in *createService) { in.PlatformVersion = p("1.3.0") }, "PlatformUnknownException", "1.3.0"},
		{"both", func(in *createService) {
			in.CapacityProviderStrategy = []ecsapi.CapacityProviderStrategyItem{{CapacityProvider: p("FARGATE")}}
		}, invalidError, "launch type and capacity provider strategy"},
		{"provider", strategy(ecsapi.CapacityProviderStrategyItem{CapacityProvider: p("mine"), Weight: p(int32(1))}), invalidError, "mine"},
		{"two bases", strategy(ecsapi.CapacityProviderStrategyItem{CapacityProvider: p("FARGATE"), Base: p(int32(1)), Weight: p(int32(1))}, ecsapi.CapacityProviderStrategyItem{CapacityProvider: p("FARGATE_SPOT"), Base: p(int32(1))}), invalidError, "base"},
		{"no weight", strategy(ecsapi.CapacityProviderStrategyItem{CapacityProvider: p("FARGATE")}, ecsapi.CapacityProviderStrategyItem{CapacityProvider: p("FARGATE_SPOT")}), invalidError, "weight"},
		{"no network", func(in *createService) { in.NetworkConfiguration = nil }, invalidError, "Network Configuration must be provided"},
		{"no subnets", func(in *createService) { in.NetworkConfiguration = network() }, invalidError, "subnets"},
		{"subnet", func(in *createService) { in.NetworkConfiguration = network("subnet-x") }, invalidError, "InvalidSubnetID.NotFound"},
		{"17 subnets", func(in *createService) {
			in.NetworkConfiguration = network(strings.Fields(strings.Repeat("subnet-1 ", 17))...)
		}, invalidError, "at most 16"},
		{"two VPCs", func(in *createService) { in.NetworkConfiguration = network("subnet-1", "subnet-2") }, invalidError, "same VPC"},
		{"group", func(in *createService) { in.NetworkConfiguration.AwsvpcConfiguration.SecurityGroups = []string{"sg-x"} }, invalidError, "InvalidGroup.NotFound"},
		{"group of another VPC", func(in *createService) { in.NetworkConfiguration.AwsvpcConfiguration.SecurityGroups = []string{"sg-2"} }, invalidError, "sg-2"},
		{"6 groups", func(in *createService) {
			in.NetworkConfiguration.AwsvpcConfiguration.SecurityGroups = strings.Fields(strings.Repeat("sg-1 ", 6))
		}, invalidError, "at most 5"},
		{"100/100", percent(100, 100), invalidError, "cannot be 100"},
		{"minimum 101", percent(101, 200), invalidError, "minimumHealthyPercent"},
		{"maximum 99", percent(50, 99), invalidError, "maximumPercent"},
		{"blue/green", func(in *createService) {
			in.DeploymentConfiguration = &ecsapi.DeploymentConfiguration{Strategy: ecsapi.DeploymentStrategyBlueGreen}
		}, unsupportedError, "strategy"},
		{"alarms", func(in *createService) {
			in.DeploymentConfiguration = &ecsapi.DeploymentConfiguration{Alarms: &ecsapi.DeploymentAlarms{Enable: p(true)}}
		}, unsupportedError, "alarms"},
		{"grace", func(in *createService) { in.HealthCheckGracePeriodSeconds = p(int32(-1)) }, invalidError, "healthCheckGracePeriodSeconds"},
		{"grace of nothing", func(in *createService) { in.HealthCheckGracePeriodSeconds, in.LoadBalancers = p(int32(5)), nil }, invalidError, "Health check grace period is only valid"},
		{"role", func(in *createService) { in.Role = p("exec") }, invalidError, "(role)"},
		{"missing task role", func(in *createService) { in.TaskDefinition = p("roleless") }, clientError, "role/nobody"},
		{"constraints", func(in *createService) { in.PlacementConstraints = make([]ecsapi.PlacementConstraint, 1) }, invalidError, "placementConstraints"},
		{"strategies", func(in *createService) { in.PlacementStrategy = make([]ecsapi.PlacementStrategy, 1) }, invalidError, "placementStrategy"},
		{"service connect", func(in *createService) {
			in.ServiceConnectConfiguration = &ecsapi.ServiceConnectConfiguration{Enabled: p(true)}
		}, unsupportedError, "serviceConnectConfiguration"},
		{"registries", func(in *createService) { in.ServiceRegistries = make([]ecsapi.ServiceRegistry, 1) }, unsupportedError, "serviceRegistries"},
		{"volumes", func(in *createService) { in.VolumeConfigurations = make([]ecsapi.ServiceVolumeConfiguration, 1) }, unsupportedError, "volumeConfigurations"},
		{"exec", func(in *createService) { in.EnableExecuteCommand = p(true) }, unsupportedError, "enableExecuteCommand"},
		{"target group", balancer(ecsapi.LoadBalancer{TargetGroupArn: p("x"), ContainerName: p("app"), ContainerPort: p(int32(80))}), invalidError, "does not exist"},
		{"target type instance", balancer(ecsapi.LoadBalancer{TargetGroupArn: p(instanceARN), ContainerName: p("app"), ContainerPort: p(int32(80))}), invalidError, "has target type instance, which is incompatible with the awsvpc network mode"},
		{"lone target group", balancer(ecsapi.LoadBalancer{TargetGroupArn: p(loneARN), ContainerName: p("app"), ContainerPort: p(int32(80))}), invalidError, "does not have an associated load balancer"},
		{"target group of another VPC", balancer(ecsapi.LoadBalancer{TargetGroupArn: p(foreignARN), ContainerName: p("app"), ContainerPort: p(int32(80))}), invalidError, "vpc-2"},
		{"container", balancer(ecsapi.LoadBalancer{TargetGroupArn: p(groupARN), ContainerName: p("x"), ContainerPort: p(int32(80))}), invalidError, "The container x does not exist"},
		{"no container", balancer(ecsapi.LoadBalancer{TargetGroupArn: p(groupARN), ContainerPort: p(int32(80))}), invalidError, "containerName"},
		{"port", balancer(ecsapi.LoadBalancer{TargetGroupArn: p(groupARN), ContainerName: p("app"), ContainerPort: p(int32(81))}), invalidError, "81"},
		{"classic", balancer(ecsapi.LoadBalancer{LoadBalancerName: p("x"), ContainerName: p("app")}), invalidError, "loadBalancerName"},
		{"target group twice", func(in *createService) { in.LoadBalancers = append(in.LoadBalancers, in.LoadBalancers[0]) }, invalidError, "twice"},
		{"tag", func(in *createService) { in.Tags = []ecsapi.Tag{{Key: p("")}} }, invalidError, "tag key"},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := serviceInput()
			test.change(in)
			_, err := a.CreateService(a.ctx, in)
			wantError(t, err, test.code, test.words)
		})
	}
	if n := a.tables.Services.Len(a.db.View()); n != 0 {
		t.Errorf("%d bad services were made", n)
	}
}

// TestServiceOfTerraform checks the members that client-contracts 5 demands.
func TestServiceOfTerraform(t *testing.T) {
	a := newAccount(t)
	a.register(nil)
	in := serviceInput()
	in.Tags = []ecsapi.Tag{{Key: p("k"), Value: p("v")}}
	must(a.CreateService(a.ctx, in))(t)
	a.addTasks(a.service("web"), 2, model.TaskRunning)
	a.addTasks(a.service("web"), 1, model.TaskPending)
	got := a.describeService("web")
	id := a.service("web").Deployments[0].ID
	want := ecsapi.Service{
		ServiceArn: p("arn:aws:ecs:us-east-1:000000000000:service/c/web"), ServiceName: p("web"), ClusterArn: p("arn:aws:ecs:us-east-1:000000000000:cluster/c"),
		TaskDefinition: p("arn:aws:ecs:us-east-1:000000000000:task-definition/app:1"), Status: p("ACTIVE"), DesiredCount: p(int32(2)), RunningCount: p(int32(2)), PendingCount: p(int32(1)),
		LaunchType: "FARGATE", PlatformVersion: p("1.4.0"), PlatformFamily: p("Linux"), SchedulingStrategy: "REPLICA", DeploymentController: &ecsapi.DeploymentController{Type: "ECS"},
		DeploymentConfiguration: &ecsapi.DeploymentConfiguration{
			MinimumHealthyPercent: p(int32(100)), MaximumPercent: p(int32(200)), Strategy: "ROLLING",
			DeploymentCircuitBreaker: &ecsapi.DeploymentCircuitBreaker{Enable: p(false), Rollback: p(false)},
		},
		PropagateTags: "NONE", EnableECSManagedTags: p(false), EnableExecuteCommand: p(false), HealthCheckGracePeriodSeconds: p(int32(0)), AvailabilityZoneRebalancing: "ENABLED",
		LoadBalancers: in.LoadBalancers, ServiceRegistries: []ecsapi.ServiceRegistry{}, PlacementConstraints: []ecsapi.PlacementConstraint{}, PlacementStrategy: []ecsapi.PlacementStrategy{},
		NetworkConfiguration: &ecsapi.NetworkConfiguration{AwsvpcConfiguration: &ecsapi.AwsVpcConfiguration{AssignPublicIp: "DISABLED", Subnets: []string{"subnet-1", "subnet-1b"}, SecurityGroups: []string{}}},
		Events:               []ecsapi.ServiceEvent{}, Tags: in.Tags, CreatedAt: p(now),
		Deployments: []ecsapi.Deployment{{
			Id: &id, Status: p("PRIMARY"), TaskDefinition: p("arn:aws:ecs:us-east-1:000000000000:task-definition/app:1"), DesiredCount: p(int32(2)), RunningCount: p(int32(2)), PendingCount: p(int32(1)),
			FailedTasks: p(int32(0)), LaunchType: "FARGATE", PlatformVersion: p("1.4.0"), PlatformFamily: p("Linux"), RolloutState: "IN_PROGRESS",
			RolloutStateReason: p(fmt.Sprintf("ECS deployment %s in progress.", id)), CreatedAt: p(now), UpdatedAt: p(now),
			NetworkConfiguration: &ecsapi.NetworkConfiguration{AwsvpcConfiguration: &ecsapi.AwsVpcConfiguration{AssignPublicIp: "DISABLED", Subnets: []string{"subnet-1", "subnet-1b"}, SecurityGroups: []string{}}},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("service (-want +got):\n%s", diff)
	}
}

func TestServiceLife(t *testing.T) {
	a := newAccount(t)
	a.register(nil)
	in := serviceInput()
	in.ClientToken = p("token")
	first := must(a.CreateService(a.ctx, in))(t)
	again := must(a.CreateService(a.ctx, in))(t)
	if *first.Service.Deployments[0].Id != *again.Service.Deployments[0].Id {
		t.Error("the same token made a second deployment")
	}
	_, err := a.CreateService(a.ctx, serviceInput())
	wantError(t, err, "InvalidParameterException", "Creation of service was not idempotent.")
	_, err = a.DeleteService(a.ctx, &ecsapi.DeleteServiceInput{Cluster: p("c"), Service: p("web")})
	wantError(t, err, "InvalidParameterException", "The service cannot be stopped while it is scaled above 0.")
	_, err = a.DeleteCluster(a.ctx, &ecsapi.DeleteClusterInput{Cluster: p("c")})
	wantError(t, err, "ClusterContainsServicesException")
	_, err = a.DeleteService(a.ctx, &ecsapi.DeleteServiceInput{Cluster: p("c"), Service: p("x")})
	wantError(t, err, "ServiceNotFoundException")
	gone := must(a.DeleteService(a.ctx, &ecsapi.DeleteServiceInput{Cluster: p("c"), Service: first.Service.ServiceArn, Force: p(true)}))(t)
	if *gone.Service.Status != "DRAINING" || *gone.Service.DesiredCount != 0 {
		t.Errorf("deleted service %s with %d", *gone.Service.Status, *gone.Service.DesiredCount)
	}
	_, err = a.CreateService(a.ctx, serviceInput())
	wantError(t, err, "InvalidParameterException", "still Draining")
	_, err = a.UpdateService(a.ctx, &ecsapi.UpdateServiceInput{Cluster: p("c"), Service: p("web"), DesiredCount: p(int32(1))})
	wantError(t, err, "ServiceNotActiveException", "Service was not ACTIVE.")
	must(a.DeleteService(a.ctx, &ecsapi.DeleteServiceInput{Cluster: p("c"), Service: p("web")}))(t)
	a.update(func(tx *store.Txn) { // as control does
		a.tables.Services.Edit(tx, "c/web", func(v *model.Service) {
			v.Status, v.Deployments[0].Status = model.ServiceInactive, model.DeploymentInactive
		})
	})
	if got := a.describeService("web"); *got.Status != "INACTIVE" || got.Deployments == nil || len(got.Deployments) != 0 {
		t.Errorf("inactive service: %s, deployments %v", *got.Status, got.Deployments)
	}
	if got := must(a.ListServices(a.ctx, &ecsapi.ListServicesInput{Cluster: p("c")}))(t); len(got.ServiceArns) != 0 {
		t.Errorf("listed %v", got.ServiceArns)
	}
	_, err = a.DeleteService(a.ctx, &ecsapi.DeleteServiceInput{Cluster: p("c"), Service: p("web")})
	wantError(t, err, "ServiceNotFoundException")
	if got := must(a.CreateService(a.ctx, in))(t); *got.Service.Status != "ACTIVE" || *got.Service.Deployments[0].Id == *first.Service.Deployments[0].Id {
		t.Errorf("made anew: %+v", got.Service)
	}
}

func TestUpdateService(t *testing.T) {
	type input = ecsapi.UpdateServiceInput
	for _, test := range []struct {
		name   string
		change func(*input)
		isNew  bool
	}{
		{"count", func(in *input) { in.DesiredCount = p(int32(5)) }, false},
		{"percentages", func(in *input) {
			in.DeploymentConfiguration = &ecsapi.DeploymentConfiguration{MinimumHealthyPercent: p(int32(0)), MaximumPercent: p(int32(100))}
		}, false},
		{"grace", func(in *input) { in.HealthCheckGracePeriodSeconds = p(int32(30)) }, false},
		{"rebalancing", func(in *input) { in.AvailabilityZoneRebalancing = ecsapi.AvailabilityZoneRebalancingDisabled }, false},
		{"the same definition", func(in *input) { in.TaskDefinition = p("app:1") }, false},
		{"the same network", func(in *input) { in.NetworkConfiguration = network("subnet-1b", "subnet-1") }, false},
		{"the same platform", func(in *input) { in.PlatformVersion = p("LATEST") }, false},
		{"the same load balancers", func(in *input) { in.LoadBalancers = serviceInput().LoadBalancers }, false},
		{"no service connect", func(in *input) {
			in.ServiceConnectConfiguration = &ecsapi.ServiceConnectConfiguration{Enabled: p(false)}
		}, false},
		{"definition", func(in *input) { in.TaskDefinition = p("app") }, true},
		{"network", func(in *input) { in.NetworkConfiguration = network("subnet-1") }, true},
		{"public addresses", func(in *input) {
			in.NetworkConfiguration = network("subnet-1", "subnet-1b")
			in.NetworkConfiguration.AwsvpcConfiguration.AssignPublicIp = ecsapi.AssignPublicIpEnabled
		}, true},
		{"no load balancers", func(in *input) { in.LoadBalancers = []ecsapi.LoadBalancer{} }, true},
		{"strategy", func(in *input) {
			in.CapacityProviderStrategy = []ecsapi.CapacityProviderStrategyItem{{CapacityProvider: p("FARGATE_SPOT"), Weight: p(int32(1))}}
		}, true},
		{"tags", func(in *input) { in.PropagateTags = ecsapi.PropagateTagsService }, true},
		{"managed tags", func(in *input) { in.EnableECSManagedTags = p(true) }, true},
		{"force", func(in *input) { in.ForceNewDeployment = p(true) }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := newAccount(t)
			a.register(nil)
			must(a.CreateService(a.ctx, serviceInput()))(t)
			before := a.service("web").Deployments[0]
			a.register(nil) // app:2
			in := &input{Cluster: p("c"), Service: p("web")}
			test.change(in)
			out := must(a.UpdateService(a.ctx, in))(t)
			deployments := a.service("web").Deployments
			if (len(deployments) == 2) != test.isNew || (deployments[0].ID != before.ID) != test.isNew {
				t.Errorf("%d deployments", len(deployments))
			}
			if !test.isNew {
				return
			}
			d := out.Service.Deployments
			if *d[0].Status != "PRIMARY" || *d[1].Status != "ACTIVE" || *d[0].DesiredCount != 0 || d[0].RolloutState != "IN_PROGRESS" || *out.Service.TaskDefinition != *d[0].TaskDefinition {
				t.Errorf("deployments %+v", d)
			}
		})
	}
}

// TestScaleInOfWhatIsLeft is what happens when a stack goes down: everything a service refers to may be gone before it.
func TestScaleInOfWhatIsLeft(t *testing.T) {
	a := newAccount(t)
	a.register(nil)
	must(a.CreateService(a.ctx, serviceInput()))(t)
	a.update(func(tx *store.Txn) {
		a.tables.Listeners.Delete(tx, "listener of "+groupARN)
		a.tables.TargetGroups.Delete(tx, groupARN)
		a.tables.Roles.Delete(tx, "exec")
		a.tables.TaskDefinitions.Delete(tx, "app:1")
	})
	must(a.UpdateService(a.ctx, &ecsapi.UpdateServiceInput{Cluster: p("c"), Service: p("web"), DesiredCount: p(int32(0))}))(t)
	must(a.DeleteService(a.ctx, &ecsapi.DeleteServiceInput{Cluster: p("c"), Service: p("web")}))(t)
	_, err := a.UpdateService(a.ctx, &ecsapi.UpdateServiceInput{Cluster: p("c"), Service: p("x"), DesiredCount: p(int32(0))})
	wantError(t, err, "ServiceNotFoundException", "Service not found.")
}

func TestBadServiceUpdates(t *testing.T) {
	type input = ecsapi.UpdateServiceInput
	a := newAccount(t)
	a.register(nil)
	must(a.CreateService(a.ctx, serviceInput()))(t)
	a.register(on(func(c *container) { c.PortMappings[0].ContainerPort = p(int32(81)) }))
	before := a.db.Revision()
	for _, test := range []struct {
		name   string
		change func(*input)
		code   string
		words  string
	}{
		{"count", func(in *input) { in.DesiredCount = p(int32(-1)) }, "InvalidParameterException", "desiredCount"},
		{"definition", func(in *input) { in.TaskDefinition = p("app:9") }, "ClientException", "TaskDefinition not found."},
		{"definition without the port", func(in *input) { in.TaskDefinition = p("app:2") }, "InvalidParameterException", "80"},
		{"subnet", func(in *input) { in.NetworkConfiguration = network("subnet-x") }, "InvalidParameterException", "subnet-x"},
		{"percentages", func(in *input) {
			in.DeploymentConfiguration = &ecsapi.DeploymentConfiguration{MaximumPercent: p(int32(100))}
		}, "InvalidParameterException", "cannot be 100"},
		{"target group", func(in *input) {
			in.LoadBalancers = []ecsapi.LoadBalancer{{TargetGroupArn: p(loneARN), ContainerName: p("app"), ContainerPort: p(int32(80))}}
		}, "InvalidParameterException", "does not have an associated load balancer"},
		{"provider", func(in *input) {
			in.CapacityProviderStrategy = []ecsapi.CapacityProviderStrategyItem{{CapacityProvider: p("mine"), Weight: p(int32(1))}}
		}, "InvalidParameterException", "mine"},
		{"platform", func(in *input) { in.PlatformVersion = p("1.3.0") }, "PlatformUnknownException", "1.3.0"},
		{"exec", func(in *input) { in.EnableExecuteCommand = p(true) }, "UnsupportedFeatureException", "enableExecuteCommand"},
		{"registries", func(in *input) { in.ServiceRegistries = make([]ecsapi.ServiceRegistry, 1) }, "UnsupportedFeatureException", "serviceRegistries"},
		{"controller", func(in *input) {
			in.DeploymentController = &ecsapi.DeploymentController{Type: ecsapi.DeploymentControllerTypeExternal}
		}, "UnsupportedFeatureException", "deploymentController"},
		{"grace of nothing", func(in *input) {
			in.LoadBalancers, in.HealthCheckGracePeriodSeconds = []ecsapi.LoadBalancer{}, p(int32(1))
		}, "InvalidParameterException", "healthCheckGracePeriodSeconds"},
		{"cluster", func(in *input) { in.Cluster = p("x") }, "ClusterNotFoundException", "Cluster not found."},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := &input{Cluster: p("c"), Service: p("web")}
			test.change(in)
			_, err := a.UpdateService(a.ctx, in)
			wantError(t, err, test.code, test.words)
		})
	}
	if a.db.Revision() != before {
		t.Error("a refused update has written something")
	}
}

func TestDescribeAndListServices(t *testing.T) {
	a := newAccount(t)
	a.register(nil)
	for i := range 12 {
		in := serviceInput()
		in.ServiceName = p(fmt.Sprintf("s%02d", i))
		must(a.CreateService(a.ctx, in))(t)
	}
	out := must(a.DescribeServices(a.ctx, &ecsapi.DescribeServicesInput{Cluster: p("c"), Services: []string{"s01", "x", "arn:aws:ecs:us-east-1:000000000000:service/other/s01"}}))(t)
	if len(out.Services) != 1 || len(out.Failures) != 2 || *out.Failures[0].Reason != "MISSING" || *out.Failures[0].Arn != "arn:aws:ecs:us-east-1:000000000000:service/c/x" {
		t.Errorf("described %d, failures %+v", len(out.Services), out.Failures)
	}
	_, err := a.DescribeServices(a.ctx, &ecsapi.DescribeServicesInput{Cluster: p("c")})
	wantError(t, err, "InvalidParameterException", "Services cannot be empty.")
	_, err = a.DescribeServices(a.ctx, &ecsapi.DescribeServicesInput{Cluster: p("c"), Services: make([]string, 11)})
	wantError(t, err, "InvalidParameterException", "at most 10")
	_, err = a.DescribeServices(a.ctx, &ecsapi.DescribeServicesInput{Cluster: p("x"), Services: []string{"s01"}})
	wantError(t, err, "ClusterNotFoundException")
	var pages []int
	for in := (&ecsapi.ListServicesInput{Cluster: p("c")}); ; {
		out := must(a.ListServices(a.ctx, in))(t)
		pages = append(pages, len(out.ServiceArns))
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
	if diff := cmp.Diff([]int{10, 2}, pages); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
	_, err = a.ListServices(a.ctx, &ecsapi.ListServicesInput{Cluster: p("c"), NextToken: p(awsapi.EncodeToken("ecs:ListTasks", "x"))})
	if err == nil {
		t.Error("the token of another list was taken")
	}
}

// BenchmarkDescribe reads 100 tasks, and a service that has them.
func BenchmarkDescribe(b *testing.B) {
	a := newAccount(b)
	a.register(nil)
	must(a.CreateService(a.ctx, serviceInput()))(b)
	a.addTasks(a.service("web"), 100, model.TaskRunning)
	list := must(a.ListTasks(a.ctx, &ecsapi.ListTasksInput{Cluster: p("c"), ServiceName: p("web")}))(b)
	b.Run("tasks", func(b *testing.B) {
		for b.Loop() {
			if out := must(a.DescribeTasks(a.ctx, &ecsapi.DescribeTasksInput{Cluster: p("c"), Tasks: list.TaskArns}))(b); len(out.Tasks) != 100 {
				b.Fatal(len(out.Tasks))
			}
		}
	})
	b.Run("service", func(b *testing.B) {
		for b.Loop() {
			a.describeService("web")
		}
	})
}
