package compat

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

const trustTasks = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:AssumeRole"}]}`

// site is what a service needs: subnets in two zones, and a role.
type site struct {
	vpc, role string
	subnets   []string
}

func (c *client) makeSite() site {
	c.t.Helper()
	s := site{vpc: c.makeVPC("10.0.0.0/16")}
	for i, zone := range []string{"us-east-1a", "us-east-1b"} {
		out := must(c.t, c.ec2.CreateSubnet, &ec2.CreateSubnetInput{VpcId: &s.vpc, CidrBlock: aws.String([]string{"10.0.0.0/24", "10.0.1.0/24"}[i]), AvailabilityZone: &zone})
		s.subnets = append(s.subnets, *out.Subnet.SubnetId)
	}
	igw := must(c.t, c.ec2.CreateInternetGateway, &ec2.CreateInternetGatewayInput{}).InternetGateway.InternetGatewayId
	must(c.t, c.ec2.AttachInternetGateway, &ec2.AttachInternetGatewayInput{InternetGatewayId: igw, VpcId: &s.vpc})
	main := must(c.t, c.ec2.DescribeRouteTables, &ec2.DescribeRouteTablesInput{Filters: append(filter("association.main", "true"), filter("vpc-id", s.vpc)...)})
	must(c.t, c.ec2.CreateRoute, &ec2.CreateRouteInput{RouteTableId: main.RouteTables[0].RouteTableId, DestinationCidrBlock: aws.String("0.0.0.0/0"), GatewayId: igw})
	s.role = *must(c.t, c.iam.CreateRole, &iam.CreateRoleInput{RoleName: aws.String("exec"), AssumeRolePolicyDocument: aws.String(trustTasks)}).Role.Arn
	return s
}

func (s site) network() *types.NetworkConfiguration {
	return &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: s.subnets, AssignPublicIp: types.AssignPublicIpEnabled}}
}

// definition registers a revision of a family.
func (c *client) definition(family, role string) string {
	c.t.Helper()
	out := must(c.t, c.ecs.RegisterTaskDefinition, &ecs.RegisterTaskDefinitionInput{
		Family: &family, Cpu: aws.String("256"), Memory: aws.String("512"), NetworkMode: types.NetworkModeAwsvpc, RequiresCompatibilities: []types.Compatibility{types.CompatibilityFargate},
		ExecutionRoleArn: &role, Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("a")}},
		ContainerDefinitions: []types.ContainerDefinition{{
			Name: aws.String("app"), Image: aws.String("000000000000.dkr.ecr.us-east-1.amazonaws.com/app:1"), PortMappings: []types.PortMapping{{ContainerPort: aws.Int32(80)}},
			Environment: []types.KeyValuePair{{Name: aws.String("B"), Value: aws.String("2")}, {Name: aws.String("A"), Value: aws.String("1")}},
		}},
	})
	return *out.TaskDefinition.TaskDefinitionArn
}

func scenarioECS(c *client) {
	s := c.makeSite()
	c.ecsClusters()
	c.ecsDefinitions(s)
	c.ecsTasks(s)
	c.ecsServices(s)
	c.ecsSettings()
}

func (c *client) ecsClusters() {
	t := c.t
	made := must(t, c.ecs.CreateCluster, &ecs.CreateClusterInput{
		ClusterName: aws.String("main"), Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}}, Settings: []types.ClusterSetting{{Name: types.ClusterSettingNameContainerInsights, Value: aws.String("disabled")}},
	}).Cluster
	want(t, "status", *made.Status, "ACTIVE")
	must(t, c.ecs.PutClusterCapacityProviders, &ecs.PutClusterCapacityProvidersInput{
		Cluster: aws.String("main"), CapacityProviders: []string{"FARGATE", "FARGATE_SPOT"}, DefaultCapacityProviderStrategy: []types.CapacityProviderStrategyItem{{CapacityProvider: aws.String("FARGATE"), Weight: 1, Base: 1}},
	})
	must(t, c.ecs.UpdateClusterSettings, &ecs.UpdateClusterSettingsInput{Cluster: aws.String("main"), Settings: []types.ClusterSetting{{Name: types.ClusterSettingNameContainerInsights, Value: aws.String("disabled")}}})
	must(t, c.ecs.UpdateCluster, &ecs.UpdateClusterInput{Cluster: aws.String("main"), Settings: []types.ClusterSetting{{Name: types.ClusterSettingNameContainerInsights, Value: aws.String("disabled")}}})
	got := must(t, c.ecs.DescribeClusters, &ecs.DescribeClustersInput{Clusters: []string{"main", "nothing"}, Include: []types.ClusterField{types.ClusterFieldTags, types.ClusterFieldSettings}})
	want(t, "tags", got.Clusters[0].Tags, []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}})
	want(t, "settings", *got.Clusters[0].Settings[0].Value, "disabled")
	want(t, "strategy", got.Clusters[0].DefaultCapacityProviderStrategy, []types.CapacityProviderStrategyItem{{CapacityProvider: aws.String("FARGATE"), Weight: 1, Base: 1}})
	want(t, "failures", *got.Failures[0].Reason, "MISSING")
	for _, name := range []string{"one", "two"} {
		must(t, c.ecs.CreateCluster, &ecs.CreateClusterInput{ClusterName: &name})
	}
	seen := 0
	for p := ecs.NewListClustersPaginator(c.ecs, &ecs.ListClustersInput{MaxResults: aws.Int32(1)}); p.HasMorePages(); {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		seen += len(page.ClusterArns)
	}
	want(t, "clusters of the pages", seen, 3)
	must(t, c.ecs.DeleteCluster, &ecs.DeleteClusterInput{Cluster: aws.String("two")})
	gone := must(t, c.ecs.DescribeClusters, &ecs.DescribeClustersInput{Clusters: []string{"two"}})
	want(t, "status of the deleted one", *gone.Clusters[0].Status, "INACTIVE")
	want(t, "providers", len(must(t, c.ecs.DescribeCapacityProviders, &ecs.DescribeCapacityProvidersInput{CapacityProviders: []string{"FARGATE", "FARGATE_SPOT"}}).CapacityProviders), 2)
}

func (c *client) ecsDefinitions(s site) {
	t := c.t
	var arns []string
	for range 3 {
		arns = append(arns, c.definition("app", s.role))
	}
	if !strings.HasSuffix(arns[2], ":task-definition/app:3") {
		t.Errorf("third revision: %s", arns[2])
	}
	got := must(t, c.ecs.DescribeTaskDefinition, &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String("app"), Include: []types.TaskDefinitionField{types.TaskDefinitionFieldTags}})
	want(t, "latest", *got.TaskDefinition.TaskDefinitionArn, arns[2])
	want(t, "tags", len(got.Tags), 1)
	absent(t, got.TaskDefinition, "RuntimePlatform", "EphemeralStorage", "ProxyConfiguration", "TaskRoleArn", "Volumes", "PlacementConstraints")
	c.definition("other", s.role)
	seen := 0
	for p := ecs.NewListTaskDefinitionsPaginator(c.ecs, &ecs.ListTaskDefinitionsInput{FamilyPrefix: aws.String("app"), MaxResults: aws.Int32(2), Sort: types.SortOrderDesc}); p.HasMorePages(); {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if seen == 0 {
			want(t, "first of the descending list", page.TaskDefinitionArns[0], arns[2])
		}
		seen += len(page.TaskDefinitionArns)
	}
	want(t, "revisions of the pages", seen, 3)
	want(t, "families", must(t, c.ecs.ListTaskDefinitionFamilies, &ecs.ListTaskDefinitionFamiliesInput{}).Families, []string{"app", "other"})
	want(t, "deregistered", must(t, c.ecs.DeregisterTaskDefinition, &ecs.DeregisterTaskDefinitionInput{TaskDefinition: &arns[0]}).TaskDefinition.Status, types.TaskDefinitionStatusInactive)
	want(t, "still described", must(t, c.ecs.DescribeTaskDefinition, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &arns[0]}).TaskDefinition.Status, types.TaskDefinitionStatusInactive)
	deleted := must(t, c.ecs.DeleteTaskDefinitions, &ecs.DeleteTaskDefinitionsInput{TaskDefinitions: []string{arns[0], arns[1]}})
	want(t, "deleted", []int{len(deleted.TaskDefinitions), len(deleted.Failures)}, []int{1, 1}) // one is still active
}

func (c *client) ecsTasks(s site) {
	t := c.t
	out := must(t, c.ecs.RunTask, &ecs.RunTaskInput{
		Cluster: aws.String("main"), TaskDefinition: aws.String("app"), Count: aws.Int32(3), LaunchType: types.LaunchTypeFargate, NetworkConfiguration: s.network(), StartedBy: aws.String("me"),
		Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}}, EnableECSManagedTags: true,
		Overrides: &types.TaskOverride{ContainerOverrides: []types.ContainerOverride{{Name: aws.String("app"), Environment: []types.KeyValuePair{{Name: aws.String("A"), Value: aws.String("9")}}}}},
	})
	want(t, "tasks and failures", []int{len(out.Tasks), len(out.Failures)}, []int{3, 0})
	var arns []string
	for _, task := range out.Tasks {
		arns = append(arns, *task.TaskArn)
	}
	in := &ecs.DescribeTasksInput{Cluster: aws.String("main"), Tasks: arns, Include: []types.TaskField{types.TaskFieldTags}}
	running := ecs.NewTasksRunningWaiter(c.ecs, func(o *ecs.TasksRunningWaiterOptions) { o.MinDelay, o.MaxDelay = quick, quick })
	got, err := running.WaitForOutput(t.Context(), in, patience)
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range got.Tasks {
		present(t, task, "TaskArn", "ClusterArn", "TaskDefinitionArn", "Group", "Cpu", "Memory", "AvailabilityZone", "CreatedAt", "StartedAt", "Attachments", "Containers", "Tags", "PlatformVersion", "DesiredStatus", "Connectivity", "Overrides", "StartedBy")
		want(t, "group", *task.Group, "family:app")
	}
	want(t, "not there", *must(t, c.ecs.DescribeTasks, &ecs.DescribeTasksInput{Cluster: aws.String("main"), Tasks: []string{strings.Repeat("0", 32)}}).Failures[0].Reason, "MISSING")
	var seen []string
	for p := ecs.NewListTasksPaginator(c.ecs, &ecs.ListTasksInput{Cluster: aws.String("main"), Family: aws.String("app"), MaxResults: aws.Int32(2)}); p.HasMorePages(); {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, page.TaskArns...)
	}
	want(t, "tasks of the pages", slices.Sorted(slices.Values(seen)), slices.Sorted(slices.Values(arns)))
	for _, arn := range arns {
		want(t, "desired", *must(t, c.ecs.StopTask, &ecs.StopTaskInput{Cluster: aws.String("main"), Task: &arn, Reason: aws.String("enough")}).Task.DesiredStatus, "STOPPED")
	}
	stopped := ecs.NewTasksStoppedWaiter(c.ecs, func(o *ecs.TasksStoppedWaiterOptions) { o.MinDelay, o.MaxDelay = quick, quick })
	if got, err = stopped.WaitForOutput(t.Context(), in, patience); err != nil {
		t.Fatal(err)
	}
	want(t, "why", []string{string(got.Tasks[0].StopCode), *got.Tasks[0].StoppedReason}, []string{"UserInitiated", "enough"})
	want(t, "stopped tasks", len(must(t, c.ecs.ListTasks, &ecs.ListTasksInput{Cluster: aws.String("main"), DesiredStatus: types.DesiredStatusStopped}).TaskArns), 3)
	none := must(t, c.ecs.RunTask, &ecs.RunTaskInput{Cluster: aws.String("main"), TaskDefinition: aws.String("app"), NetworkConfiguration: s.network(), LaunchType: types.LaunchTypeFargate})
	refused(t, "ClusterContainsTasksException", c.ecs.DeleteCluster, &ecs.DeleteClusterInput{Cluster: aws.String("main")})
	must(t, c.ecs.StopTask, &ecs.StopTaskInput{Cluster: aws.String("main"), Task: none.Tasks[0].TaskArn})
}

func (c *client) ecsServices(s site) {
	t := c.t
	create := &ecs.CreateServiceInput{
		Cluster: aws.String("main"), ServiceName: aws.String("web"), TaskDefinition: aws.String("app"), DesiredCount: aws.Int32(2), LaunchType: types.LaunchTypeFargate, NetworkConfiguration: s.network(),
		Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}}, PropagateTags: types.PropagateTagsService, ClientToken: aws.String("once"),
	}
	made := must(t, c.ecs.CreateService, create).Service
	want(t, "the same token makes the same service", *must(t, c.ecs.CreateService, create).Service.ServiceArn, *made.ServiceArn)
	in := &ecs.DescribeServicesInput{Cluster: aws.String("main"), Services: []string{"web"}, Include: []types.ServiceField{types.ServiceFieldTags}}
	stable := ecs.NewServicesStableWaiter(c.ecs, func(o *ecs.ServicesStableWaiterOptions) { o.MinDelay, o.MaxDelay = quick, quick })
	got, err := stable.WaitForOutput(t.Context(), in, patience)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "counts", []int32{got.Services[0].DesiredCount, got.Services[0].RunningCount}, []int32{2, 2})
	next := c.definition("app", s.role)
	must(t, c.ecs.UpdateService, &ecs.UpdateServiceInput{Cluster: aws.String("main"), Service: aws.String("web"), TaskDefinition: &next, DesiredCount: aws.Int32(3)})
	if got, err = stable.WaitForOutput(t.Context(), in, patience); err != nil {
		t.Fatal(err)
	}
	want(t, "definition", *got.Services[0].TaskDefinition, next)
	if len(got.Services[0].Events) == 0 || got.Services[0].Deployments[0].RolloutState != types.DeploymentRolloutStateCompleted {
		eventually(t, c.ecs.DescribeServices, in, func(o *ecs.DescribeServicesOutput) bool {
			return len(o.Services[0].Events) > 0 && o.Services[0].Deployments[0].RolloutState == types.DeploymentRolloutStateCompleted
		})
	}
	tasks := must(t, c.ecs.ListTasks, &ecs.ListTasksInput{Cluster: aws.String("main"), ServiceName: aws.String("web")}).TaskArns
	want(t, "tasks", len(tasks), 3)
	task := must(t, c.ecs.DescribeTasks, &ecs.DescribeTasksInput{Cluster: aws.String("main"), Tasks: tasks[:1], Include: []types.TaskField{types.TaskFieldTags}}).Tasks[0]
	want(t, "propagated tags", task.Tags, []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}})
	want(t, "group", *task.Group, "service:web")
	must(t, c.ecs.CreateService, &ecs.CreateServiceInput{Cluster: aws.String("main"), ServiceName: aws.String("idle"), TaskDefinition: aws.String("other"), DesiredCount: aws.Int32(0), LaunchType: types.LaunchTypeFargate, NetworkConfiguration: s.network()})
	seen := 0
	for p := ecs.NewListServicesPaginator(c.ecs, &ecs.ListServicesInput{Cluster: aws.String("main"), MaxResults: aws.Int32(1)}); p.HasMorePages(); {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		seen += len(page.ServiceArns)
	}
	want(t, "services of the pages", seen, 2)
	must(t, c.ecs.TagResource, &ecs.TagResourceInput{ResourceArn: made.ServiceArn, Tags: []types.Tag{{Key: aws.String("b"), Value: aws.String("2")}}})
	must(t, c.ecs.UntagResource, &ecs.UntagResourceInput{ResourceArn: made.ServiceArn, TagKeys: []string{"a"}})
	want(t, "tags", must(t, c.ecs.ListTagsForResource, &ecs.ListTagsForResourceInput{ResourceArn: made.ServiceArn}).Tags, []types.Tag{{Key: aws.String("b"), Value: aws.String("2")}})
	refused(t, "ClusterContainsServicesException", c.ecs.DeleteCluster, &ecs.DeleteClusterInput{Cluster: aws.String("main")})
	refused(t, "InvalidParameterException", c.ecs.DeleteService, &ecs.DeleteServiceInput{Cluster: aws.String("main"), Service: aws.String("web")}) // its count is not 0
	want(t, "status", *must(t, c.ecs.DeleteService, &ecs.DeleteServiceInput{Cluster: aws.String("main"), Service: aws.String("web"), Force: aws.Bool(true)}).Service.Status, "DRAINING")
	must(t, c.ecs.DeleteService, &ecs.DeleteServiceInput{Cluster: aws.String("main"), Service: aws.String("idle")})
	inactive := ecs.NewServicesInactiveWaiter(c.ecs, func(o *ecs.ServicesInactiveWaiterOptions) { o.MinDelay, o.MaxDelay = quick, quick })
	if err := inactive.Wait(t.Context(), in, patience); err != nil {
		t.Fatal(err)
	}
	refused(t, "ServiceNotActiveException", c.ecs.UpdateService, &ecs.UpdateServiceInput{Cluster: aws.String("main"), Service: aws.String("web"), DesiredCount: aws.Int32(1)})
	eventually(t, c.ecs.ListTasks, &ecs.ListTasksInput{Cluster: aws.String("main")}, func(o *ecs.ListTasksOutput) bool { return len(o.TaskArns) == 0 })
}

func (c *client) ecsSettings() {
	t := c.t
	must(t, c.ecs.PutAccountSetting, &ecs.PutAccountSettingInput{Name: types.SettingNameContainerInsights, Value: aws.String("disabled")})
	must(t, c.ecs.PutAccountSettingDefault, &ecs.PutAccountSettingDefaultInput{Name: types.SettingNameTaskLongArnFormat, Value: aws.String("enabled")})
	got := must(t, c.ecs.ListAccountSettings, &ecs.ListAccountSettingsInput{Name: types.SettingNameContainerInsights, EffectiveSettings: true}).Settings
	if len(got) != 1 || *got[0].Value != "disabled" {
		t.Errorf("settings: %+v", got)
	}
}

const (
	noCluster    = "'Cluster': 'nothing'"
	missingTask  = "'Task': '00000000000000000000000000000000'"
	container    = "'ContainerDefinitions': [{'Name': 'app', 'Image': 'app'}]"
	fargate      = "'NetworkMode': 'awsvpc', 'RequiresCompatibilities': ['FARGATE']"
	noServiceARN = "'ResourceArn': 'arn:aws:ecs:us-east-1:000000000000:service/nothing/web'"
)

var wrongECS = []wrong{
	{operation: "CreateCluster", input: `{'ClusterName': 'no spaces please'}`, code: "InvalidParameterException"},
	{operation: "DeleteCluster", input: "{" + noCluster + "}", code: "ClusterNotFoundException"},
	{operation: "DescribeClusters", input: `{'Include': ['NONSENSE']}`, code: "InvalidParameterException"},
	{operation: "UpdateCluster", input: "{" + noCluster + "}", code: "ClusterNotFoundException"},
	{operation: "UpdateClusterSettings", input: "{" + noCluster + ", 'Settings': [{'Name': 'containerInsights', 'Value': 'disabled'}]}", code: "ClusterNotFoundException"},
	{operation: "PutClusterCapacityProviders", input: "{" + noCluster + ", 'CapacityProviders': [], 'DefaultCapacityProviderStrategy': []}", code: "ClusterNotFoundException"},
	{operation: "DescribeCapacityProviders", input: `{'NextToken': 'nonsense'}`, code: "InvalidParameterException"},
	{operation: "ListClusters", input: `{'NextToken': 'nonsense'}`, code: "InvalidParameterException"},
	{operation: "RegisterTaskDefinition", input: "{'Family': 'app', 'Cpu': '256', 'Memory': '4096', " + fargate + ", " + container + "}", code: "ClientException", says: "No Fargate configuration exists for given values"},
	{operation: "RegisterTaskDefinition", input: "{'Family': 'app', 'Cpu': '256', 'Memory': '512', 'NetworkMode': 'bridge', 'RequiresCompatibilities': ['FARGATE'], " + container + "}", code: "ClientException", says: "awsvpc"},
	{operation: "DeregisterTaskDefinition", input: `{'TaskDefinition': 'nothing:1'}`, code: "ClientException"},
	{operation: "DescribeTaskDefinition", input: `{'TaskDefinition': 'nothing'}`, code: "ClientException", says: "Unable to describe task definition"},
	{operation: "ListTaskDefinitions", input: `{'NextToken': 'nonsense'}`, code: "InvalidParameterException"},
	{operation: "ListTaskDefinitionFamilies", input: `{'NextToken': 'nonsense'}`, code: "InvalidParameterException"},
	{operation: "DeleteTaskDefinitions", input: `{'TaskDefinitions': ['a:1','a:2','a:3','a:4','a:5','a:6','a:7','a:8','a:9','a:10','a:11']}`, code: "ClientException"},
	{operation: "RunTask", input: "{" + noCluster + ", 'TaskDefinition': 'app', 'LaunchType': 'FARGATE'}", code: "ClusterNotFoundException"},
	{operation: "StopTask", input: "{" + noCluster + ", " + missingTask + "}", code: "ClusterNotFoundException"},
	{operation: "DescribeTasks", input: "{" + noCluster + ", 'Tasks': ['00000000000000000000000000000000']}", code: "ClusterNotFoundException"},
	{operation: "ListTasks", input: "{" + noCluster + "}", code: "ClusterNotFoundException"},
	{operation: "CreateService", input: "{" + noCluster + ", 'ServiceName': 'web', 'TaskDefinition': 'app', 'DesiredCount': 1, 'LaunchType': 'FARGATE'}", code: "ClusterNotFoundException"},
	{operation: "UpdateService", input: "{" + noCluster + ", 'Service': 'web'}", code: "ClusterNotFoundException"},
	{operation: "DeleteService", input: "{" + noCluster + ", 'Service': 'web'}", code: "ClusterNotFoundException"},
	{operation: "DescribeServices", input: "{" + noCluster + ", 'Services': ['web']}", code: "ClusterNotFoundException"},
	{operation: "ListServices", input: "{" + noCluster + "}", code: "ClusterNotFoundException"},
	{operation: "TagResource", input: "{" + noServiceARN + ", 'Tags': [{'Key': 'a', 'Value': 'b'}]}", code: "ResourceNotFoundException"},
	{operation: "UntagResource", input: "{" + noServiceARN + ", 'TagKeys': ['a']}", code: "ResourceNotFoundException"},
	{operation: "ListTagsForResource", input: "{" + noServiceARN + "}", code: "ResourceNotFoundException"},
	{operation: "ListAccountSettings", input: `{'Name': 'nonsense'}`, code: "InvalidParameterException"},
	{operation: "PutAccountSetting", input: `{'Name': 'containerInsights', 'Value': 'perhaps'}`, code: "UnsupportedFeatureException", says: "containerInsights"},
	{operation: "PutAccountSettingDefault", input: `{'Name': 'nonsense', 'Value': 'enabled'}`, code: "InvalidParameterException"},
}
