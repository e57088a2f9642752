package compat

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// balancerDefaults are the attributes of an ALB that the provider knows the defaults of (client-contracts.md, 6).
var balancerDefaults = map[string]string{
	"deletion_protection.enabled": "false", "access_logs.s3.enabled": "false", "connection_logs.s3.enabled": "false", "idle_timeout.timeout_seconds": "60", "routing.http2.enabled": "true",
	"routing.http.desync_mitigation_mode": "defensive", "routing.http.drop_invalid_header_fields.enabled": "false", "routing.http.preserve_host_header.enabled": "false",
	"routing.http.x_amzn_tls_version_and_cipher_suite.enabled": "false", "routing.http.xff_client_port.enabled": "false", "routing.http.xff_header_processing.mode": "append",
	"waf.fail_open.enabled": "false", "load_balancing.cross_zone.enabled": "true", "client_keep_alive.seconds": "3600", "zonal_shift.config.enabled": "false",
}

// groupDefaults are those of an HTTP target group with addresses as targets.
var groupDefaults = map[string]string{
	"deregistration_delay.timeout_seconds": "300", "stickiness.enabled": "false", "stickiness.type": "lb_cookie", "stickiness.lb_cookie.duration_seconds": "86400",
	"stickiness.app_cookie.cookie_name": "", "stickiness.app_cookie.duration_seconds": "86400", "slow_start.duration_seconds": "0", "load_balancing.algorithm.type": "round_robin",
	"load_balancing.algorithm.anomaly_mitigation": "off", "load_balancing.cross_zone.enabled": "use_load_balancer_configuration",
	"target_group_health.dns_failover.minimum_healthy_targets.count": "1", "target_group_health.dns_failover.minimum_healthy_targets.percentage": "off",
	"target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": "1", "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": "off",
}

// TestTerraformService replays the apply and destroy of aws_lb, aws_lb_target_group, aws_lb_listener, aws_lb_listener_rule,
// aws_ecs_cluster, aws_ecs_cluster_capacity_providers, aws_ecs_task_definition and aws_ecs_service.
func TestTerraformService(t *testing.T) {
	t.Parallel()
	c := newClient(t, nil)
	s := c.makeSite()
	group := c.tfGroup("web", s.vpc)
	c.tfCluster()
	definition := c.tfDefinition(s.role)

	create := &ecs.CreateServiceInput{
		Cluster: aws.String("main"), ServiceName: aws.String("web"), TaskDefinition: &definition, DesiredCount: aws.Int32(2), LaunchType: types.LaunchTypeFargate, NetworkConfiguration: s.network(),
		ClientToken: aws.String("terraform-1"), SchedulingStrategy: types.SchedulingStrategyReplica, DeploymentConfiguration: &types.DeploymentConfiguration{MaximumPercent: aws.Int32(200), MinimumHealthyPercent: aws.Int32(100)},
		LoadBalancers: []types.LoadBalancer{{TargetGroupArn: &group, ContainerName: aws.String("app"), ContainerPort: aws.Int32(80)}}, HealthCheckGracePeriodSeconds: aws.Int32(0), AvailabilityZoneRebalancing: types.AvailabilityZoneRebalancingDisabled,
	}
	_, err := c.ecs.CreateService(t.Context(), create) // Terraform makes the listener at the same time, and tries again
	says(t, err, "InvalidParameterException", "does not have an associated load balancer")
	balancer := c.tfBalancer(s)
	listener, rule := c.tfListener(balancer, group)
	service := c.tfService(create, definition)
	in := &ecs.UpdateServiceInput{Cluster: aws.String("main"), Service: &service, TaskDefinition: aws.String(c.tfDefinition(s.role)), DesiredCount: aws.Int32(1)}
	must(t, c.ecs.UpdateService, in)
	c.tfStable(service)

	c.tfDeleteService(service)
	must(t, c.elb.DeleteRule, &elb.DeleteRuleInput{RuleArn: &rule})
	must(t, c.elb.DeleteListener, &elb.DeleteListenerInput{ListenerArn: &listener})
	must(t, c.elb.DeleteTargetGroup, &elb.DeleteTargetGroupInput{TargetGroupArn: &group})
	c.tfDeleteBalancer(balancer)
	must(t, c.ecs.DeregisterTaskDefinition, &ecs.DeregisterTaskDefinitionInput{TaskDefinition: &definition})
	want(t, "the deregistered definition stays described", must(t, c.ecs.DescribeTaskDefinition, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &definition}).TaskDefinition.Status, types.TaskDefinitionStatusInactive)
	must(t, c.ecs.PutClusterCapacityProviders, &ecs.PutClusterCapacityProvidersInput{Cluster: aws.String("main"), CapacityProviders: []string{}, DefaultCapacityProviderStrategy: []types.CapacityProviderStrategyItem{}})
	deleted(t, c.ecs.DeleteCluster, &ecs.DeleteClusterInput{Cluster: aws.String("main")}, "ClusterContainsServicesException", "ClusterContainsTasksException", "UpdateInProgressException")
	states(t, c.ecs.DescribeClusters, &ecs.DescribeClustersInput{Clusters: []string{"main"}}, clusterState, "INACTIVE", "ACTIVE", "DEPROVISIONING")
	for _, subnet := range s.subnets {
		deleted(t, c.ec2.DeleteSubnet, &ec2.DeleteSubnetInput{SubnetId: &subnet}, "DependencyViolation")
	}
}

func balancerState(t testing.TB) func(*elb.DescribeLoadBalancersOutput) string {
	return func(o *elb.DescribeLoadBalancersOutput) string {
		lb := oneOf(t, "load balancer", o.LoadBalancers)
		present(t, lb, "State")
		return string(lb.State.Code)
	}
}

func (c *client) tfBalancer(s site) string {
	t := c.t
	name := aws.String("tf-lb")
	refused(t, "LoadBalancerNotFound", c.elb.DescribeLoadBalancers, &elb.DescribeLoadBalancersInput{Names: []string{*name}})
	arn := *must(t, c.elb.CreateLoadBalancer, &elb.CreateLoadBalancerInput{Name: name, Subnets: s.subnets, Type: elbtypes.LoadBalancerTypeEnumApplication}).LoadBalancers[0].LoadBalancerArn
	if !regexp.MustCompile(`^arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/tf-lb/[0-9a-f]{16}$`).MatchString(arn) {
		t.Errorf("ARN %s", arn)
	}
	in := &elb.DescribeLoadBalancersInput{LoadBalancerArns: []string{arn}}
	states(t, c.elb.DescribeLoadBalancers, in, balancerState(t), "active", "provisioning", "failed")
	var attributes []elbtypes.LoadBalancerAttribute
	for key, value := range balancerDefaults {
		attributes = append(attributes, elbtypes.LoadBalancerAttribute{Key: &key, Value: &value})
	}
	must(t, c.elb.ModifyLoadBalancerAttributes, &elb.ModifyLoadBalancerAttributesInput{LoadBalancerArn: &arn, Attributes: attributes})
	got := states(t, c.elb.DescribeLoadBalancers, in, balancerState(t), "active", "provisioning", "failed").LoadBalancers[0]
	present(t, got, "DNSName", "CanonicalHostedZoneId", "VpcId", "Scheme", "Type", "IpAddressType", "SecurityGroups")
	zones := map[string]string{}
	for _, z := range got.AvailabilityZones {
		zones[*z.ZoneName] = *z.SubnetId
	}
	want(t, "zones", zones, map[string]string{"us-east-1a": s.subnets[0], "us-east-1b": s.subnets[1]})
	seen := map[string]string{}
	for _, a := range must(t, c.elb.DescribeLoadBalancerAttributes, &elb.DescribeLoadBalancerAttributesInput{LoadBalancerArn: &arn}).Attributes {
		seen[*a.Key] = aws.ToString(a.Value)
	}
	for key, value := range balancerDefaults {
		if got, ok := seen[key]; !ok || got != value {
			t.Errorf("attribute %s of the load balancer: %q (there: %v), want %q", key, got, ok, value)
		}
	}
	c.tfNoTags(arn)
	absent(t, must(t, c.elb.DescribeCapacityReservation, &elb.DescribeCapacityReservationInput{LoadBalancerArn: &arn}), "MinimumLoadBalancerCapacity")
	return arn
}

// tfNoTags demands a description also of what has no tags: the provider crashes on an empty list.
func (c *client) tfNoTags(arn string) {
	c.t.Helper()
	d := oneOf(c.t, "TagDescriptions", must(c.t, c.elb.DescribeTags, &elb.DescribeTagsInput{ResourceArns: []string{arn}}).TagDescriptions)
	want(c.t, "tagged", *d.ResourceArn, arn)
}

// tfGroup makes a target group as version 1 of the SDK does: with an empty ProtocolVersion.
func (c *client) tfGroup(name, vpc string) string {
	t := c.t
	refused(t, "TargetGroupNotFound", c.elb.DescribeTargetGroups, &elb.DescribeTargetGroupsInput{Names: []string{name}})
	status, body := c.form("elasticloadbalancing", url.Values{
		"Action": {"CreateTargetGroup"}, "Version": {"2015-12-01"}, "Name": {name}, "Port": {"80"}, "Protocol": {"HTTP"}, "ProtocolVersion": {""}, "TargetType": {"ip"}, "VpcId": {vpc},
		"HealthCheckEnabled": {"true"}, "HealthCheckIntervalSeconds": {"30"}, "HealthyThresholdCount": {"3"}, "UnhealthyThresholdCount": {"3"},
	})
	if status != 200 {
		t.Fatalf("CreateTargetGroup with an empty ProtocolVersion: %d %s", status, body)
	}
	got := oneOf(t, "group", must(t, c.elb.DescribeTargetGroups, &elb.DescribeTargetGroupsInput{Names: []string{name}}).TargetGroups)
	want(t, "group", []string{*got.ProtocolVersion, *got.HealthCheckPath, *got.Matcher.HttpCode, *got.HealthCheckPort, string(got.HealthCheckProtocol)}, []string{"HTTP1", "/", "200", "traffic-port", "HTTP"})
	want(t, "thresholds", []int32{*got.HealthyThresholdCount, *got.UnhealthyThresholdCount, *got.HealthCheckIntervalSeconds, *got.HealthCheckTimeoutSeconds}, []int32{3, 3, 30, 5})
	seen := map[string]string{}
	read := &elb.DescribeTargetGroupAttributesInput{TargetGroupArn: got.TargetGroupArn}
	for _, a := range must(t, c.elb.DescribeTargetGroupAttributes, read).Attributes {
		seen[*a.Key] = aws.ToString(a.Value)
	}
	for key, value := range groupDefaults {
		if got, ok := seen[key]; !ok || got != value {
			t.Errorf("attribute %s of the target group: %q (there: %v), want %q", key, got, ok, value)
		}
	}
	var attributes []elbtypes.TargetGroupAttribute
	for _, key := range []string{"deregistration_delay.timeout_seconds", "slow_start.duration_seconds", "load_balancing.algorithm.type", "load_balancing.cross_zone.enabled", "stickiness.enabled", "stickiness.type", "stickiness.lb_cookie.duration_seconds"} {
		attributes = append(attributes, elbtypes.TargetGroupAttribute{Key: aws.String(key), Value: aws.String(groupDefaults[key])})
	}
	must(t, c.elb.ModifyTargetGroupAttributes, &elb.ModifyTargetGroupAttributesInput{TargetGroupArn: got.TargetGroupArn, Attributes: attributes})
	c.tfNoTags(*got.TargetGroupArn)
	return *got.TargetGroupArn
}

// tfListener makes a listener, a rule, and looks at what each kind of action looks like.
func (c *client) tfListener(balancer, group string) (listener, rule string) {
	t := c.t
	forward := []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: &group, Order: aws.Int32(1)}}
	listener = *must(t, c.elb.CreateListener, &elb.CreateListenerInput{LoadBalancerArn: &balancer, Port: aws.Int32(80), Protocol: elbtypes.ProtocolEnumHttp, DefaultActions: forward}).Listeners[0].ListenerArn
	if !regexp.MustCompile(`:listener/app/tf-lb/[0-9a-f]{16}/[0-9a-f]{16}$`).MatchString(listener) {
		t.Errorf("ARN %s", listener)
	}
	got := oneOf(t, "listener", must(t, c.elb.DescribeListeners, &elb.DescribeListenersInput{ListenerArns: []string{listener}}).Listeners)
	action := oneOf(t, "default action", got.DefaultActions)
	want(t, "default action", []any{*action.TargetGroupArn, aws.ToInt32(action.Order)}, []any{group, int32(1)})
	absent(t, got, "SslPolicy", "Certificates", "AlpnPolicy")
	c.tfNoTags(listener)
	must(t, c.elb.DescribeListenerAttributes, &elb.DescribeListenerAttributesInput{ListenerArn: &listener})
	_, err := c.elb.DeleteTargetGroup(t.Context(), &elb.DeleteTargetGroupInput{TargetGroupArn: &group})
	says(t, err, "ResourceInUse", "is currently in use by a listener or a rule")

	weighted := []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, ForwardConfig: &elbtypes.ForwardActionConfig{TargetGroups: []elbtypes.TargetGroupTuple{
		{TargetGroupArn: &group, Weight: aws.Int32(9)}, {TargetGroupArn: aws.String(c.tfOther()), Weight: aws.Int32(1)},
	}}}}
	redirect := []elbtypes.Action{{Type: elbtypes.ActionTypeEnumRedirect, RedirectConfig: &elbtypes.RedirectActionConfig{StatusCode: elbtypes.RedirectActionStatusCodeEnumHttp301, Path: aws.String("/new")}}}
	var rules []string
	for i, actions := range [][]elbtypes.Action{weighted, redirect} {
		made := must(t, c.elb.CreateRule, &elb.CreateRuleInput{ListenerArn: &listener, Priority: aws.Int32(int32(100 + i)), Actions: actions, Conditions: []elbtypes.RuleCondition{
			{Field: aws.String("path-pattern"), PathPatternConfig: &elbtypes.PathPatternConditionConfig{Values: []string{fmt.Sprintf("/%d/*", i)}}},
		}})
		rules = append(rules, *oneOf(t, "rule", made.Rules).RuleArn)
	}
	for i, arn := range rules {
		r := oneOf(t, "rule", must(t, c.elb.DescribeRules, &elb.DescribeRulesInput{RuleArns: []string{arn}}).Rules)
		want(t, "listener in the rule's ARN", strings.Replace(arn[:strings.LastIndex(arn, "/")], ":listener-rule/", ":listener/", 1), listener)
		want(t, "priority", *r.Priority, fmt.Sprint(100+i))
		want(t, "condition", r.Conditions[0].PathPatternConfig != nil && *r.Conditions[0].Field == "path-pattern", true)
		c.tfNoTags(arn)
		switch a := r.Actions[0]; i {
		case 0:
			absent(t, a, "TargetGroupArn")
			present(t, a, "ForwardConfig.TargetGroupStickinessConfig")
		case 1:
			want(t, "redirect", []string{*a.RedirectConfig.Host, *a.RedirectConfig.Path, *a.RedirectConfig.Port, *a.RedirectConfig.Protocol, *a.RedirectConfig.Query}, []string{"#{host}", "/new", "#{port}", "#{protocol}", "#{query}"})
		}
	}
	must(t, c.elb.DeleteRule, &elb.DeleteRuleInput{RuleArn: &rules[0]})
	refused(t, "RuleNotFound", c.elb.DescribeRules, &elb.DescribeRulesInput{RuleArns: []string{rules[0]}})
	return listener, rules[1]
}

// tfOther makes a second group in the VPC of the first.
func (c *client) tfOther() string {
	first := must(c.t, c.elb.DescribeTargetGroups, &elb.DescribeTargetGroupsInput{Names: []string{"web"}}).TargetGroups[0]
	return c.makeGroup("other", *first.VpcId)
}

func (c *client) tfDeleteBalancer(arn string) {
	t := c.t
	_, id, _ := strings.Cut(arn, ":loadbalancer/")
	mine := append(filter("attachment.instance-owner-id", "amazon-elb"), filter("description", "ELB "+id)...)
	interfaces := must(t, c.ec2.DescribeNetworkInterfaces, &ec2.DescribeNetworkInterfacesInput{Filters: mine}).NetworkInterfaces
	want(t, "interfaces of the load balancer", len(interfaces), 2)
	other := append(filter("attachment.instance-owner-id", "amazon-elb"), filter("description", "ELB app/other/0123456789abcdef")...)
	want(t, "interfaces of no load balancer", len(must(t, c.ec2.DescribeNetworkInterfaces, &ec2.DescribeNetworkInterfacesInput{Filters: other}).NetworkInterfaces), 0)
	must(t, c.elb.DeleteLoadBalancer, &elb.DeleteLoadBalancerInput{LoadBalancerArn: &arn})
	eventually(t, c.ec2.DescribeNetworkInterfaces, &ec2.DescribeNetworkInterfacesInput{Filters: mine}, func(o *ec2.DescribeNetworkInterfacesOutput) bool { return len(o.NetworkInterfaces) == 0 })
	gone(t, "LoadBalancerNotFound", c.elb.DescribeLoadBalancers, &elb.DescribeLoadBalancersInput{LoadBalancerArns: []string{arn}})
	must(t, c.elb.DeleteLoadBalancer, &elb.DeleteLoadBalancerInput{LoadBalancerArn: &arn}) // again is fine, as on AWS
}

func clusterState(o *ecs.DescribeClustersOutput) string {
	if len(o.Clusters) == 0 {
		return "INACTIVE" // absent is as good for the provider
	}
	return *o.Clusters[0].Status
}

func (c *client) tfCluster() {
	t := c.t
	must(t, c.ecs.CreateCluster, &ecs.CreateClusterInput{ClusterName: aws.String("main"), Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}}})
	in := &ecs.DescribeClustersInput{Clusters: []string{"main"}, Include: []types.ClusterField{types.ClusterFieldTags, types.ClusterFieldConfigurations, types.ClusterFieldSettings}}
	states(t, c.ecs.DescribeClusters, in, clusterState, "ACTIVE", "PROVISIONING")
	must(t, c.ecs.PutClusterCapacityProviders, &ecs.PutClusterCapacityProvidersInput{
		Cluster: aws.String("main"), CapacityProviders: []string{"FARGATE", "FARGATE_SPOT"}, DefaultCapacityProviderStrategy: []types.CapacityProviderStrategyItem{{CapacityProvider: aws.String("FARGATE_SPOT"), Weight: 100, Base: 1}},
	})
	got := states(t, c.ecs.DescribeClusters, in, clusterState, "ACTIVE", "PROVISIONING").Clusters[0]
	present(t, got, "ClusterArn", "Settings", "Tags", "CapacityProviders")
	absent(t, got, "Configuration", "ServiceConnectDefaults")
	want(t, "strategy", got.DefaultCapacityProviderStrategy, []types.CapacityProviderStrategyItem{{CapacityProvider: aws.String("FARGATE_SPOT"), Weight: 100, Base: 1}})
}

// tfDefinition registers a definition and demands its containers back as they were, but for what the provider tolerates.
func (c *client) tfDefinition(role string) string {
	t := c.t
	containers := []types.ContainerDefinition{
		{Name: aws.String("log"), Image: aws.String("log:1"), Essential: aws.Bool(false), Command: []string{"a", "b"}},
		{
			Name: aws.String("app"), Image: aws.String("app:1"), Essential: aws.Bool(true), PortMappings: []types.PortMapping{{ContainerPort: aws.Int32(80), HostPort: aws.Int32(80), Protocol: types.TransportProtocolTcp}},
			Environment:      []types.KeyValuePair{{Name: aws.String("B"), Value: aws.String("2")}, {Name: aws.String("A"), Value: aws.String("1")}},
			HealthCheck:      &types.HealthCheck{Command: []string{"CMD-SHELL", "true"}, Interval: aws.Int32(30), Retries: aws.Int32(3), Timeout: aws.Int32(5)},
			DependsOn:        []types.ContainerDependency{{ContainerName: aws.String("log"), Condition: types.ContainerConditionStart}},
			LogConfiguration: &types.LogConfiguration{LogDriver: types.LogDriverAwslogs, Options: map[string]string{"awslogs-group": "/app", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "app"}},
		},
	}
	arn := *must(t, c.ecs.RegisterTaskDefinition, &ecs.RegisterTaskDefinitionInput{
		Family: aws.String("app"), Cpu: aws.String("256"), Memory: aws.String("512"), NetworkMode: types.NetworkModeAwsvpc, RequiresCompatibilities: []types.Compatibility{types.CompatibilityFargate},
		ExecutionRoleArn: &role, ContainerDefinitions: containers,
	}).TaskDefinition.TaskDefinitionArn
	if !regexp.MustCompile(`:task-definition/app:[0-9]+$`).MatchString(arn) {
		t.Errorf("ARN %s", arn)
	}
	got := must(t, c.ecs.DescribeTaskDefinition, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &arn, Include: []types.TaskDefinitionField{types.TaskDefinitionFieldTags}}).TaskDefinition
	absent(t, got, "RuntimePlatform", "EphemeralStorage", "ProxyConfiguration", "InferenceAccelerators", "PidMode", "IpcMode", "TaskRoleArn", "Volumes", "PlacementConstraints")
	want(t, "sizes and mode", []string{*got.Cpu, *got.Memory, string(got.NetworkMode), *got.ExecutionRoleArn}, []string{"256", "512", "awsvpc", role})
	want(t, "number of containers", len(got.ContainerDefinitions), len(containers))
	for i, c := range got.ContainerDefinitions {
		absent(t, c, "EntryPoint", "Links", "Memory", "MemoryReservation", "ReadonlyRootFilesystem", "RestartPolicy", "Secrets", "StartTimeout", "StopTimeout", "Ulimits", "User", "VersionConsistency", "WorkingDirectory", "Privileged", "PseudoTerminal", "Interactive", "LinuxParameters")
		want(t, "name", *c.Name, *containers[i].Name)
		want(t, "environment", len(c.Environment), len(containers[i].Environment))
		want(t, "health check", c.HealthCheck, containers[i].HealthCheck)
		want(t, "log", c.LogConfiguration, containers[i].LogConfiguration)
		want(t, "dependencies", len(c.DependsOn), len(containers[i].DependsOn))
		want(t, "ports", len(c.PortMappings), len(containers[i].PortMappings))
		want(t, "cpu", c.Cpu, 0)
	}
	return arn
}

func serviceState(t testing.TB) func(*ecs.DescribeServicesOutput) string {
	return func(o *ecs.DescribeServicesOutput) string {
		if len(o.Failures) > 0 {
			return *o.Failures[0].Reason
		}
		return *oneOf(t, "service", o.Services).Status
	}
}

func (c *client) tfService(create *ecs.CreateServiceInput, definition string) string {
	t := c.t
	arn := *must(t, c.ecs.CreateService, create).Service.ServiceArn
	in := &ecs.DescribeServicesInput{Cluster: aws.String("main"), Services: []string{arn}, Include: []types.ServiceField{types.ServiceFieldTags}}
	states(t, c.ecs.DescribeServices, in, serviceState(t), "ACTIVE", "INACTIVE", "DRAINING")
	got := c.tfStable(arn)
	present(t, got, "ServiceArn", "ServiceName", "Status", "Deployments", "LaunchType", "PlatformVersion", "DeploymentController", "DeploymentConfiguration", "CreatedAt", "NetworkConfiguration.AwsvpcConfiguration")
	absent(t, got, "CapacityProviderStrategy", "PlacementConstraints", "ServiceRegistries")
	want(t, "definition", *got.TaskDefinition, definition)
	want(t, "strategy", []string{string(got.SchedulingStrategy), string(got.DeploymentController.Type), string(got.AvailabilityZoneRebalancing)}, []string{"REPLICA", "ECS", "DISABLED"}) // the provider sends its own default, which is not the API's
	want(t, "percentages", []int32{*got.DeploymentConfiguration.MaximumPercent, *got.DeploymentConfiguration.MinimumHealthyPercent}, []int32{200, 100})
	want(t, "public address", got.NetworkConfiguration.AwsvpcConfiguration.AssignPublicIp, types.AssignPublicIpEnabled)
	want(t, "grace period", aws.ToInt32(got.HealthCheckGracePeriodSeconds), int32(0))
	balancer := oneOf(t, "load balancer of the service", got.LoadBalancers)
	present(t, balancer, "ContainerName", "ContainerPort", "TargetGroupArn")
	if !strings.HasSuffix(*got.ClusterArn, ":cluster/main") {
		t.Errorf("clusterArn %s", *got.ClusterArn)
	}
	return arn
}

// tfStable waits as wait_for_steady_state does.
func (c *client) tfStable(arn string) types.Service {
	in := &ecs.DescribeServicesInput{Cluster: aws.String("main"), Services: []string{arn}, Include: []types.ServiceField{types.ServiceFieldTags}}
	return states(c.t, c.ecs.DescribeServices, in, func(o *ecs.DescribeServicesOutput) string {
		s := oneOf(c.t, "service", o.Services)
		if *s.Status == "ACTIVE" && len(s.Deployments) == 1 && s.DesiredCount == s.RunningCount {
			return "stable"
		}
		return *s.Status
	}, "stable", "ACTIVE").Services[0]
}

func (c *client) tfDeleteService(arn string) {
	t := c.t
	must(t, c.ecs.UpdateService, &ecs.UpdateServiceInput{Cluster: aws.String("main"), Service: &arn, DesiredCount: aws.Int32(0)})
	must(t, c.ecs.DeleteService, &ecs.DeleteServiceInput{Cluster: aws.String("main"), Service: &arn})
	states(t, c.ecs.DescribeServices, &ecs.DescribeServicesInput{Cluster: aws.String("main"), Services: []string{arn}}, serviceState(t), "INACTIVE", "ACTIVE", "DRAINING")
	// What the service held is gone soon: groups and subnets wait for it.
	eventually(t, c.ec2.DescribeNetworkInterfaces, &ec2.DescribeNetworkInterfacesInput{Filters: []ec2types.Filter{{Name: aws.String("description"), Values: []string{"arn:aws:ecs:*"}}}}, func(o *ec2.DescribeNetworkInterfacesOutput) bool { return len(o.NetworkInterfaces) == 0 })
	want(t, "a deleted service stays described", serviceState(t)(must(t, c.ecs.DescribeServices, &ecs.DescribeServicesInput{Cluster: aws.String("main"), Services: []string{arn}})), "INACTIVE")
}
