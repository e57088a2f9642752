package ecs

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ecsapi"
	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
	"github.com/neargate/neargate/internal/store/storetest"
)

var (
	now   = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	scope = model.Scope{Region: "us-east-1", Account: "000000000000"}
)

const (
	groupARN    = "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/web/0123456789abcdef"
	instanceARN = "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/instances/0123456789abcdef"
	loneARN     = "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/lone/0123456789abcdef"
	foreignARN  = "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/foreign/0123456789abcdef"
	roleARN     = "arn:aws:iam::000000000000:role/exec"
)

func p[T any](v T) *T { return &v }

// account is a Server with what its requests refer to: two VPCs, a cluster, a role, target groups.
type account struct {
	*Server
	t   testing.TB
	ctx context.Context
}

func newAccount(t testing.TB) *account {
	db, tables := storetest.New(t)
	a := &account{Server: New(Options{DB: db, Tables: tables, Clock: clock.Fixed(now), Scope: scope}), t: t, ctx: t.Context()}
	a.update(func(tx *store.Txn) {
		for _, vpc := range []string{"1", "2"} {
			tables.VPCs.Put(tx, &model.VPC{ID: "vpc-" + vpc, DefaultGroupID: "sg-" + vpc})
			tables.SecurityGroups.Put(tx, &model.SecurityGroup{ID: "sg-" + vpc, VPCID: "vpc-" + vpc})
			tables.Subnets.Put(tx, &model.Subnet{ID: "subnet-" + vpc, VPCID: "vpc-" + vpc, AZ: "a", CIDR: netip.MustParsePrefix("10.0.0.0/24")})
		}
		tables.Subnets.Put(tx, &model.Subnet{ID: "subnet-1b", VPCID: "vpc-1", AZ: "b", CIDR: netip.MustParsePrefix("10.0.1.0/24")})
		tables.Roles.Put(tx, &model.Role{Name: "exec", ARN: roleARN})
		for _, g := range []model.TargetGroup{
			{ARN: groupARN, TargetType: "ip", VPCID: "vpc-1"}, {ARN: instanceARN, TargetType: "instance", VPCID: "vpc-1"},
			{ARN: loneARN, TargetType: "ip", VPCID: "vpc-1"}, {ARN: foreignARN, TargetType: "ip", VPCID: "vpc-2"},
		} {
			tables.TargetGroups.Put(tx, &g)
			if g.ARN != loneARN {
				tables.Listeners.Put(tx, &model.Listener{ARN: "listener of " + g.ARN, LoadBalancerARN: "lb",
					DefaultActions: []model.Action{{Type: model.ActionForward, Forward: &model.ForwardAction{Groups: []model.WeightedGroup{{TargetGroupARN: g.ARN, Weight: 1}}}}}})
			}
		}
	})
	must(a.CreateCluster(a.ctx, &ecsapi.CreateClusterInput{ClusterName: p("c"), CapacityProviders: []string{"FARGATE", "FARGATE_SPOT"}}))(t)
	return a
}

func (a *account) update(fn func(tx *store.Txn)) {
	a.t.Helper()
	if err := a.db.Update(a.ctx, func(tx *store.Txn) error { fn(tx); return nil }); err != nil {
		a.t.Fatal(err)
	}
}

// must returns the answer of a request that has to succeed.
func must[T any](out T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

// wantError fails unless err has that code and its message holds all those words.
func wantError(t *testing.T, err error, code string, words ...string) {
	t.Helper()
	var e *awsapi.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("got %v, want %s", err, code)
		return
	}
	for _, word := range words {
		if !strings.Contains(e.Message, word) {
			t.Errorf("%q does not say %q", e.Message, word)
		}
	}
}

func definitionInput() *ecsapi.RegisterTaskDefinitionInput {
	return &ecsapi.RegisterTaskDefinitionInput{
		Family: p("app"), NetworkMode: ecsapi.NetworkModeAwsvpc, RequiresCompatibilities: []ecsapi.Compatibility{ecsapi.CompatibilityFargate}, Cpu: p("256"), Memory: p("512"),
		ExecutionRoleArn: p(roleARN),
		ContainerDefinitions: []ecsapi.ContainerDefinition{{
			Name: p("app"), Image: p("app:1"), PortMappings: []ecsapi.PortMapping{{ContainerPort: p(int32(80))}},
			Environment: []ecsapi.KeyValuePair{{Name: p("EMPTY"), Value: p("")}},
		}},
	}
}

func (a *account) register(change func(*ecsapi.RegisterTaskDefinitionInput)) *ecsapi.TaskDefinition {
	a.t.Helper()
	in := definitionInput()
	if change != nil {
		change(in)
	}
	return must(a.RegisterTaskDefinition(a.ctx, in))(a.t).TaskDefinition
}

func network(subnets ...string) *ecsapi.NetworkConfiguration {
	return &ecsapi.NetworkConfiguration{AwsvpcConfiguration: &ecsapi.AwsVpcConfiguration{Subnets: subnets}}
}

func runInput() *ecsapi.RunTaskInput {
	return &ecsapi.RunTaskInput{Cluster: p("c"), TaskDefinition: p("app"), LaunchType: ecsapi.LaunchTypeFargate, NetworkConfiguration: network("subnet-1")}
}

func serviceInput() *ecsapi.CreateServiceInput {
	return &ecsapi.CreateServiceInput{
		Cluster: p("c"), ServiceName: p("web"), TaskDefinition: p("app"), DesiredCount: p(int32(2)), LaunchType: ecsapi.LaunchTypeFargate, NetworkConfiguration: network("subnet-1", "subnet-1b"),
		LoadBalancers: []ecsapi.LoadBalancer{{TargetGroupArn: p(groupARN), ContainerName: p("app"), ContainerPort: p(int32(80))}},
	}
}

func (a *account) service(name string) *model.Service {
	v, _ := a.tables.Services.Get(a.db.View(), model.ServiceKey("c", name))
	return v
}

func (a *account) describeService(name string) ecsapi.Service {
	a.t.Helper()
	out := must(a.DescribeServices(a.ctx, &ecsapi.DescribeServicesInput{Cluster: p("c"), Services: []string{name}, Include: []ecsapi.ServiceField{ecsapi.ServiceFieldTags}}))(a.t)
	if len(out.Services) != 1 {
		a.t.Fatalf("describe %s: %+v", name, out.Failures)
	}
	return out.Services[0]
}

// addTasks writes tasks of a service as control and node would.
func (a *account) addTasks(service *model.Service, n int, state model.TaskState) {
	a.update(func(tx *store.Txn) {
		definition, _ := a.tables.TaskDefinitions.Get(tx, service.Deployments[0].DefinitionKey)
		for range n {
			t := model.NewTask(model.TaskSpec{Scope: scope, Now: now, Cluster: "c", Definition: definition, Service: service.Name, Group: "service:" + service.Name,
				DeploymentID: service.Deployments[0].ID, StartedBy: service.Deployments[0].ID, LaunchType: "FARGATE", PlatformVersion: "1.4.0"})
			t.State, t.AZ, t.SubnetID, t.PrivateIP, t.StartedAt = state, "a", "subnet-1", netip.MustParseAddr("10.0.0.9"), now
			if state >= model.TaskStopped {
				t.Desired = model.DesiredStopped
			}
			a.tables.Tasks.Put(tx, t)
		}
	})
}
