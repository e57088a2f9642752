package cli

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfn "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with testdata/name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// The story that the fakes tell: one stack with a load balancer in two zones and a service of two tasks, one of which is
// ill, an internal load balancer, and a public task without a service.
const (
	account   = "000000000000"
	lbARN     = "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/web/0123456789abcdef"
	innerARN  = "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/inner/fedcba9876543210"
	groupARN  = "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/web/1111111111111111"
	stackARN  = "arn:aws:cloudformation:us-east-1:000000000000:stack/shop/8d0c"
	clusterA  = "arn:aws:ecs:us-east-1:000000000000:cluster/prod"
	serviceA  = "arn:aws:ecs:us-east-1:000000000000:service/prod/web"
	taskOne   = "aaaa0000000000000000000000000001"
	taskTwo   = "bbbb0000000000000000000000000002"
	taskBatch = "cccc0000000000000000000000000003"
	taskDead  = "dddd0000000000000000000000000004"
	webV3     = "arn:aws:ecs:us-east-1:000000000000:task-definition/web:3"
)

var now = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func before(d time.Duration) *time.Time { return aws.Time(now.Add(-d)) }

func story() *Client {
	return &Client{
		Endpoint: DefaultEndpoint, Region: "us-east-1", Key: "test", Secret: "test", Account: account,
		CloudFormation: &fakeStacks{stacks: []cfn.Stack{{StackName: aws.String("shop"), StackId: aws.String(stackARN), StackStatus: cfn.StackStatusUpdateComplete}}},
		EC2:            fakeEC2{}, ECS: fakeECS{}, ELB: fakeELB{}, Logs: &fakeLogs{},
	}
}

// buffer returns a screen without a terminal and what is written to it.
func buffer() (*Screen, *bytes.Buffer) {
	b := &bytes.Buffer{}
	return Plain(b), b
}

type fakeStacks struct {
	CloudFormationAPI
	stacks []cfn.Stack
	script []func(*fakeStacks) // what has happened by each look
	events []cfn.StackEvent    // newest first
	asked  []string
	fail   error
	put    *cloudformation.CreateStackInput
	change *cloudformation.UpdateStackInput
}

func (f *fakeStacks) DescribeStacks(_ context.Context, in *cloudformation.DescribeStacksInput, _ ...func(*cloudformation.Options)) (*cloudformation.DescribeStacksOutput, error) {
	if len(f.script) > 0 {
		f.script[0](f)
		f.script = f.script[1:]
	}
	if in.StackName == nil {
		return &cloudformation.DescribeStacksOutput{Stacks: f.stacks}, nil
	}
	for _, s := range f.stacks {
		if *in.StackName == *s.StackName || *in.StackName == *s.StackId {
			return &cloudformation.DescribeStacksOutput{Stacks: []cfn.Stack{s}}, nil
		}
	}
	return nil, apiError("ValidationError", "Stack with id "+*in.StackName+" does not exist")
}

func (f *fakeStacks) DescribeStackEvents(context.Context, *cloudformation.DescribeStackEventsInput, ...func(*cloudformation.Options)) (*cloudformation.DescribeStackEventsOutput, error) {
	return &cloudformation.DescribeStackEventsOutput{StackEvents: f.events}, nil
}

func (f *fakeStacks) CreateStack(_ context.Context, in *cloudformation.CreateStackInput, _ ...func(*cloudformation.Options)) (*cloudformation.CreateStackOutput, error) {
	f.asked, f.put = append(f.asked, "create"), in
	if f.fail != nil {
		return nil, f.fail
	}
	id := "arn:aws:cloudformation:us-east-1:000000000000:stack/" + *in.StackName + "/1"
	f.stacks = append(f.stacks, cfn.Stack{StackName: in.StackName, StackId: &id, StackStatus: cfn.StackStatusCreateInProgress})
	return &cloudformation.CreateStackOutput{StackId: &id}, nil
}

func (f *fakeStacks) UpdateStack(_ context.Context, in *cloudformation.UpdateStackInput, _ ...func(*cloudformation.Options)) (*cloudformation.UpdateStackOutput, error) {
	f.asked, f.change = append(f.asked, "update"), in
	return &cloudformation.UpdateStackOutput{}, f.fail
}

func (f *fakeStacks) DeleteStack(_ context.Context, _ *cloudformation.DeleteStackInput, _ ...func(*cloudformation.Options)) (*cloudformation.DeleteStackOutput, error) {
	f.asked = append(f.asked, "delete")
	return &cloudformation.DeleteStackOutput{}, nil
}

func (f *fakeStacks) GetTemplateSummary(context.Context, *cloudformation.GetTemplateSummaryInput, ...func(*cloudformation.Options)) (*cloudformation.GetTemplateSummaryOutput, error) {
	return &cloudformation.GetTemplateSummaryOutput{Parameters: []cfn.ParameterDeclaration{
		{ParameterKey: aws.String("Image")}, {ParameterKey: aws.String("Count")},
	}}, nil
}

func (f *fakeStacks) ListStackResources(_ context.Context, in *cloudformation.ListStackResourcesInput, _ ...func(*cloudformation.Options)) (*cloudformation.ListStackResourcesOutput, error) {
	if *in.StackName != stackARN {
		return &cloudformation.ListStackResourcesOutput{}, nil
	}
	return &cloudformation.ListStackResourcesOutput{StackResourceSummaries: []cfn.StackResourceSummary{
		{ResourceType: aws.String(loadBalancerType), PhysicalResourceId: aws.String(lbARN)},
		{ResourceType: aws.String("AWS::Logs::LogGroup"), PhysicalResourceId: aws.String("/ecs/web")},
		{ResourceType: aws.String("AWS::ECS::Service"), PhysicalResourceId: aws.String(serviceA)},
	}}, nil
}

// event adds an event as the newest one.
func (f *fakeStacks) event(id, kind, status, reason string) {
	e := cfn.StackEvent{
		EventId: aws.String(fmt.Sprint(len(f.events))), LogicalResourceId: aws.String(id), ResourceType: aws.String(kind), PhysicalResourceId: aws.String(id + "-1"),
		StackId: aws.String("s"), ResourceStatus: cfn.ResourceStatus(status), Timestamp: aws.Time(now.Add(time.Duration(len(f.events)) * time.Second)),
	}
	if kind == stackType {
		e.PhysicalResourceId = e.StackId
	}
	if reason != "" {
		e.ResourceStatusReason = &reason
	}
	f.events = append([]cfn.StackEvent{e}, f.events...)
}

func (f *fakeStacks) status(s cfn.StackStatus) { f.stacks[len(f.stacks)-1].StackStatus = s }

type fakeEC2 struct{ EC2API }

func (fakeEC2) DescribeVpcs(context.Context, *ec2.DescribeVpcsInput, ...func(*ec2.Options)) (*ec2.DescribeVpcsOutput, error) {
	return &ec2.DescribeVpcsOutput{Vpcs: []ec2types.Vpc{{
		VpcId: aws.String("vpc-1"), CidrBlock: aws.String("10.0.0.0/16"), Tags: []ec2types.Tag{{Key: aws.String("Name"), Value: aws.String("shop")}},
	}}}, nil
}

func (fakeEC2) DescribeSubnets(context.Context, *ec2.DescribeSubnetsInput, ...func(*ec2.Options)) (*ec2.DescribeSubnetsOutput, error) {
	return &ec2.DescribeSubnetsOutput{Subnets: []ec2types.Subnet{
		{VpcId: aws.String("vpc-1"), AvailabilityZone: aws.String("us-east-1b")}, {VpcId: aws.String("vpc-1"), AvailabilityZone: aws.String("us-east-1a")},
	}}, nil
}

func (fakeEC2) DescribeNatGateways(context.Context, *ec2.DescribeNatGatewaysInput, ...func(*ec2.Options)) (*ec2.DescribeNatGatewaysOutput, error) {
	return &ec2.DescribeNatGatewaysOutput{NatGateways: []ec2types.NatGateway{
		{NatGatewayId: aws.String("nat-1"), VpcId: aws.String("vpc-1"), State: ec2types.NatGatewayStateAvailable},
		{NatGatewayId: aws.String("nat-2"), VpcId: aws.String("vpc-1"), State: ec2types.NatGatewayStateDeleted},
	}}, nil
}

func (fakeEC2) DescribeNetworkInterfaces(context.Context, *ec2.DescribeNetworkInterfacesInput, ...func(*ec2.Options)) (*ec2.DescribeNetworkInterfacesOutput, error) {
	eni := func(id, description, public string) ec2types.NetworkInterface {
		n := ec2types.NetworkInterface{NetworkInterfaceId: aws.String(id), Description: aws.String(description), VpcId: aws.String("vpc-1")}
		if public != "" {
			n.Association = &ec2types.NetworkInterfaceAssociation{PublicIp: aws.String(public)}
		}
		return n
	}
	return &ec2.DescribeNetworkInterfacesOutput{NetworkInterfaces: []ec2types.NetworkInterface{
		eni("eni-lb2", "ELB app/web/0123456789abcdef", "198.18.0.12"), eni("eni-lb1", "ELB app/web/0123456789abcdef", "198.18.0.11"),
		eni("eni-1", "", ""), eni("eni-2", "", ""), eni("eni-3", "", "198.18.1.5"),
	}}, nil
}

type fakeELB struct{ ELBAPI }

func (fakeELB) DescribeLoadBalancers(context.Context, *elb.DescribeLoadBalancersInput, ...func(*elb.Options)) (*elb.DescribeLoadBalancersOutput, error) {
	lb := func(name, arn string, scheme elbtypes.LoadBalancerSchemeEnum) elbtypes.LoadBalancer {
		return elbtypes.LoadBalancer{
			LoadBalancerName: aws.String(name), LoadBalancerArn: aws.String(arn), Scheme: scheme, DNSName: aws.String(name + ".elb.amazonaws.com"),
			VpcId: aws.String("vpc-1"), State: &elbtypes.LoadBalancerState{Code: elbtypes.LoadBalancerStateEnumActive},
		}
	}
	return &elb.DescribeLoadBalancersOutput{LoadBalancers: []elbtypes.LoadBalancer{
		lb("web", lbARN, elbtypes.LoadBalancerSchemeEnumInternetFacing), lb("inner", innerARN, elbtypes.LoadBalancerSchemeEnumInternal),
	}}, nil
}

func (fakeELB) DescribeListeners(context.Context, *elb.DescribeListenersInput, ...func(*elb.Options)) (*elb.DescribeListenersOutput, error) {
	return &elb.DescribeListenersOutput{Listeners: []elbtypes.Listener{
		{Port: aws.Int32(8081), Protocol: elbtypes.ProtocolEnumHttp}, {Port: aws.Int32(80), Protocol: elbtypes.ProtocolEnumHttp},
	}}, nil
}

func (fakeELB) DescribeTargetGroups(context.Context, *elb.DescribeTargetGroupsInput, ...func(*elb.Options)) (*elb.DescribeTargetGroupsOutput, error) {
	return &elb.DescribeTargetGroupsOutput{TargetGroups: []elbtypes.TargetGroup{
		{TargetGroupName: aws.String("web"), TargetGroupArn: aws.String(groupARN), LoadBalancerArns: []string{lbARN}},
		{TargetGroupName: aws.String("unused")},
	}}, nil
}

func (fakeELB) DescribeTargetHealth(context.Context, *elb.DescribeTargetHealthInput, ...func(*elb.Options)) (*elb.DescribeTargetHealthOutput, error) {
	target := func(ip, az string, h *elbtypes.TargetHealth) elbtypes.TargetHealthDescription {
		return elbtypes.TargetHealthDescription{Target: &elbtypes.TargetDescription{Id: aws.String(ip), Port: aws.Int32(8080), AvailabilityZone: aws.String(az)}, TargetHealth: h}
	}
	return &elb.DescribeTargetHealthOutput{TargetHealthDescriptions: []elbtypes.TargetHealthDescription{
		target("10.0.32.5", "us-east-1a", &elbtypes.TargetHealth{State: elbtypes.TargetHealthStateEnumHealthy}),
		target("10.0.48.5", "us-east-1b", &elbtypes.TargetHealth{
			State: elbtypes.TargetHealthStateEnumUnhealthy, Reason: elbtypes.TargetHealthReasonEnumTimeout, Description: aws.String("Request timed out")}),
	}}, nil
}

type fakeECS struct{ ECSAPI }

func (fakeECS) ListClusters(context.Context, *ecs.ListClustersInput, ...func(*ecs.Options)) (*ecs.ListClustersOutput, error) {
	return &ecs.ListClustersOutput{ClusterArns: []string{clusterA}}, nil
}

func (fakeECS) ListServices(context.Context, *ecs.ListServicesInput, ...func(*ecs.Options)) (*ecs.ListServicesOutput, error) {
	return &ecs.ListServicesOutput{ServiceArns: []string{serviceA}}, nil
}

func (fakeECS) DescribeServices(context.Context, *ecs.DescribeServicesInput, ...func(*ecs.Options)) (*ecs.DescribeServicesOutput, error) {
	return &ecs.DescribeServicesOutput{Services: []ecstypes.Service{{
		ClusterArn: aws.String(clusterA), ServiceArn: aws.String(serviceA), ServiceName: aws.String("web"), Status: aws.String("ACTIVE"),
		DesiredCount: 3, RunningCount: 2, PendingCount: 1, TaskDefinition: aws.String(webV3), LoadBalancers: []ecstypes.LoadBalancer{{TargetGroupArn: aws.String(groupARN)}},
		Deployments: []ecstypes.Deployment{{
			Id: aws.String("ecs-svc/1"), Status: aws.String("PRIMARY"), RolloutState: ecstypes.DeploymentRolloutStateInProgress,
			RolloutStateReason: aws.String("ECS deployment ecs-svc/1 in progress."), TaskDefinition: aws.String(webV3), DesiredCount: 3, RunningCount: 2, FailedTasks: 1,
		}},
		Events: []ecstypes.ServiceEvent{{Message: aws.String("(service web) has started 1 tasks: (task x)."), CreatedAt: before(12 * time.Second)}},
	}}}, nil
}

func (fakeECS) ListTasks(_ context.Context, in *ecs.ListTasksInput, _ ...func(*ecs.Options)) (*ecs.ListTasksOutput, error) {
	arn := func(id string) string { return "arn:aws:ecs:us-east-1:000000000000:task/prod/" + id }
	if in.DesiredStatus == ecstypes.DesiredStatusStopped {
		return &ecs.ListTasksOutput{TaskArns: []string{arn(taskDead)}}, nil
	}
	return &ecs.ListTasksOutput{TaskArns: []string{arn(taskTwo), arn(taskOne), arn(taskBatch)}}, nil
}

func (fakeECS) DescribeTasks(_ context.Context, in *ecs.DescribeTasksInput, _ ...func(*ecs.Options)) (*ecs.DescribeTasksOutput, error) {
	out := &ecs.DescribeTasksOutput{}
	for _, arn := range in.Tasks {
		id := arn[strings.LastIndexByte(arn, '/')+1:]
		t := ecstypes.Task{
			TaskArn: aws.String(arn), ClusterArn: aws.String(clusterA), Group: aws.String("service:web"), TaskDefinitionArn: aws.String(webV3),
			LastStatus: aws.String("RUNNING"), DesiredStatus: aws.String("RUNNING"), AvailabilityZone: aws.String("us-east-1a"),
			CreatedAt: before(3 * time.Minute), StartedAt: before(2 * time.Minute), HealthStatus: ecstypes.HealthStatusUnknown,
			Containers: []ecstypes.Container{{Name: aws.String("init"), LastStatus: aws.String("STOPPED")}, {Name: aws.String("app"), LastStatus: aws.String("RUNNING")}},
		}
		eni, ip := "eni-1", "10.0.32.5"
		switch id {
		case taskTwo:
			eni, ip, t.AvailabilityZone = "eni-2", "10.0.48.5", aws.String("us-east-1b")
			t.LastStatus, t.StartedAt = aws.String("PENDING"), nil
		case taskBatch:
			eni, ip, t.Group = "eni-3", "10.0.0.9", aws.String("family:batch")
		case taskDead:
			t.LastStatus, t.DesiredStatus, t.StoppedAt = aws.String("STOPPED"), aws.String("STOPPED"), before(90*time.Second)
			t.StopCode, t.StoppedReason = ecstypes.TaskStopCodeEssentialContainerExited, aws.String("Essential container in task exited")
			t.Containers = []ecstypes.Container{{Name: aws.String("app"), LastStatus: aws.String("STOPPED"), ExitCode: aws.Int32(1)}}
		}
		t.Attachments = []ecstypes.Attachment{{Details: []ecstypes.KeyValuePair{
			{Name: aws.String("networkInterfaceId"), Value: aws.String(eni)}, {Name: aws.String("privateIPv4Address"), Value: aws.String(ip)},
		}}}
		out.Tasks = append(out.Tasks, t)
	}
	return out, nil
}

func (fakeECS) DescribeTaskDefinition(context.Context, *ecs.DescribeTaskDefinitionInput, ...func(*ecs.Options)) (*ecs.DescribeTaskDefinitionOutput, error) {
	return &ecs.DescribeTaskDefinitionOutput{TaskDefinition: &ecstypes.TaskDefinition{ContainerDefinitions: []ecstypes.ContainerDefinition{{
		Name:         aws.String("app"),
		PortMappings: []ecstypes.PortMapping{{ContainerPort: aws.Int32(8080)}, {ContainerPort: aws.Int32(53), Protocol: ecstypes.TransportProtocolUdp}},
		LogConfiguration: &ecstypes.LogConfiguration{LogDriver: ecstypes.LogDriverAwslogs, Options: map[string]string{
			"awslogs-group": "/ecs/web", "awslogs-stream-prefix": "web"}},
	}}}}, nil
}

type fakeLogs struct {
	LogsAPI
	asked []cloudwatchlogs.FilterLogEventsInput
	pages [][]logtypes.FilteredLogEvent // one per call; afterwards nothing new
}

func (*fakeLogs) DescribeLogGroups(_ context.Context, in *cloudwatchlogs.DescribeLogGroupsInput, _ ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.DescribeLogGroupsOutput, error) {
	out := &cloudwatchlogs.DescribeLogGroupsOutput{}
	for _, name := range []string{"/ecs/web", "/ecs/web-admin"} {
		if strings.HasPrefix(name, *in.LogGroupNamePrefix) {
			out.LogGroups = append(out.LogGroups, logtypes.LogGroup{LogGroupName: aws.String(name)})
		}
	}
	return out, nil
}

func (f *fakeLogs) FilterLogEvents(_ context.Context, in *cloudwatchlogs.FilterLogEventsInput, _ ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.FilterLogEventsOutput, error) {
	f.asked = append(f.asked, *in)
	if len(f.pages) == 0 {
		return &cloudwatchlogs.FilterLogEventsOutput{}, nil
	}
	page := f.pages[0]
	f.pages = f.pages[1:]
	return &cloudwatchlogs.FilterLogEventsOutput{Events: page}, nil
}

func apiError(code, message string) error {
	return &smithy.OperationError{ServiceID: "X", OperationName: "Y", Err: &smithy.GenericAPIError{Code: code, Message: message}}
}
