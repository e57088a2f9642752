package ecs

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ecsapi"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

func TestRunTask(t *testing.T) {
	a := newAccount(t)
	a.register(func(in *register) { in.Tags = []ecsapi.Tag{{Key: p("from"), Value: p("definition")}} })
	in := runInput()
	in.Count, in.StartedBy, in.Group = p(int32(3)), p("me"), p("batch")
	in.PropagateTags, in.EnableECSManagedTags, in.Tags = ecsapi.PropagateTagsTaskDefinition, p(true), []ecsapi.Tag{{Key: p("k"), Value: p("v")}}
	in.Overrides = &ecsapi.TaskOverride{Cpu: p("512"), Memory: p("1024"), ContainerOverrides: []ecsapi.ContainerOverride{{Name: p("app"), Command: []string{"x"}, Environment: []ecsapi.KeyValuePair{{Name: p("A"), Value: p("B")}}}}}
	out := must(a.RunTask(a.ctx, in))(t)
	if len(out.Tasks) != 3 || out.Failures == nil {
		t.Fatalf("ran %+v", out)
	}
	task := out.Tasks[0]
	if *task.LastStatus != "PROVISIONING" || *task.DesiredStatus != "RUNNING" || *task.Group != "batch" || *task.StartedBy != "me" || *task.Cpu != "512" || *task.Memory != "1024" ||
		*task.PlatformVersion != "1.4.0" || task.LaunchType != "FARGATE" || task.StopCode != "" || task.StartedAt != nil || task.AvailabilityZone != nil {
		t.Errorf("task %+v", task)
	}
	if diff := cmp.Diff([]string{"x"}, task.Overrides.ContainerOverrides[0].Command); diff != "" {
		t.Error(diff)
	}
	want := []ecsapi.Tag{{Key: p("aws:ecs:clusterName"), Value: p("c")}, {Key: p("from"), Value: p("definition")}, {Key: p("k"), Value: p("v")}}
	if diff := cmp.Diff(want, task.Tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
}

func TestRunTaskOnce(t *testing.T) {
	a := newAccount(t)
	a.register(nil)
	in := runInput()
	in.ClientToken = p("token")
	first := must(a.RunTask(a.ctx, in))(t)
	second := must(a.RunTask(a.ctx, in))(t)
	if *first.Tasks[0].TaskArn != *second.Tasks[0].TaskArn || a.tables.Tasks.Len(a.db.View()) != 1 {
		t.Error("the same token ran another task")
	}
	in.Count = p(int32(2))
	_, err := a.RunTask(a.ctx, in)
	wantError(t, err, "ConflictException")
	var e *awsapi.Error
	if errors.As(err, &e) {
		if diff := cmp.Diff(map[string]any{"resourceIds": []string{*first.Tasks[0].TaskArn}}, e.Fields); diff != "" {
			t.Error(diff)
		}
	}
}

func TestBadRuns(t *testing.T) {
	const invalidError, unsupportedError = "InvalidParameterException", "UnsupportedFeatureException"
	type run = ecsapi.RunTaskInput
	a := newAccount(t)
	a.register(nil)
	override := func(o ecsapi.ContainerOverride) func(*run) {
		return func(in *run) {
			in.Overrides = &ecsapi.TaskOverride{ContainerOverrides: []ecsapi.ContainerOverride{o}}
		}
	}
	for _, test := range []struct {
		name   string
		change func(*run)
		code   string
		words  string
	}{
		{"cluster", func(in *run) { in.Cluster = nil }, "ClusterNotFoundException", "Cluster not found."},
		{"definition", func(in *run) { in.TaskDefinition = p("x:1") }, "ClientException", "TaskDefinition not found."},
		{"count 0", func(in *run) { in.Count = p(int32(0)) }, invalidError, "count"},
		{"count 11", func(in *run) { in.Count = p(int32(11)) }, invalidError, "count"},
		{"group", func(in *run) { in.Group = p("service:web") }, invalidError, "group"},
		{"started by", func(in *run) { in.StartedBy = p(fmt.Sprintf("%0129d", 1)) }, invalidError, "startedBy"},
		{"launch type", func(in *run) { in.LaunchType = "" }, invalidError, "No Container Instances"},
		{"external", func(in *run) { in.LaunchType = ecsapi.LaunchTypeExternal }, invalidError, "FARGATE"},
		{"network", func(in *run) { in.NetworkConfiguration = nil }, invalidError, "Network Configuration"},
		{"subnet", func(in *run) { in.NetworkConfiguration = network("subnet-x") }, invalidError, "subnet-x"},
		{"exec", func(in *run) { in.EnableExecuteCommand = p(true) }, unsupportedError, "enableExecuteCommand"},
		{"volumes", func(in *run) { in.VolumeConfigurations = make([]ecsapi.TaskVolumeConfiguration, 1) }, unsupportedError, "volumeConfigurations"},
		{"constraints", func(in *run) { in.PlacementConstraints = make([]ecsapi.PlacementConstraint, 1) }, invalidError, "placementConstraints"},
		{"propagate", func(in *run) { in.PropagateTags = ecsapi.PropagateTagsService }, invalidError, "propagateTags"},
		{"tag", func(in *run) { in.Tags = []ecsapi.Tag{{Key: p("aws:ecs:x")}} }, invalidError, "aws:ecs:x"},
		{"override of nobody", override(ecsapi.ContainerOverride{Name: p("x")}), invalidError, "container named x"},
		{"override environment files", override(ecsapi.ContainerOverride{Name: p("app"), EnvironmentFiles: make([]ecsapi.EnvironmentFile, 1)}), unsupportedError, "environmentFiles"},
		{"override too large", override(ecsapi.ContainerOverride{Name: p("app"), Command: []string{fmt.Sprintf("%08192d", 1)}}), invalidError, "8192"},
		{"override size", func(in *run) { in.Overrides = &ecsapi.TaskOverride{Memory: p("4096")} }, "ClientException", "No Fargate configuration"},
		{"override storage", func(in *run) {
			in.Overrides = &ecsapi.TaskOverride{EphemeralStorage: &ecsapi.EphemeralStorage{SizeInGiB: p(int32(1))}}
		}, invalidError, "ephemeral storage"},
		{"override role", func(in *run) {
			in.Overrides = &ecsapi.TaskOverride{TaskRoleArn: p("arn:aws:iam::000000000000:role/nobody")}
		}, "ClientException", "role/nobody"},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := runInput()
			test.change(in)
			_, err := a.RunTask(a.ctx, in)
			wantError(t, err, test.code, test.words)
		})
	}
	if n := a.tables.Tasks.Len(a.db.View()); n != 0 {
		t.Errorf("%d tasks were made", n)
	}
}

func TestCapacityProviders(t *testing.T) {
	a := newAccount(t)
	a.register(nil)
	in := runInput()
	in.LaunchType, in.Count = "", p(int32(7))
	in.CapacityProviderStrategy = []ecsapi.CapacityProviderStrategyItem{
		{CapacityProvider: p("FARGATE"), Base: p(int32(2)), Weight: p(int32(1))}, {CapacityProvider: p("FARGATE_SPOT"), Weight: p(int32(4))},
	}
	count := map[string]int{}
	for _, task := range must(a.RunTask(a.ctx, in))(t).Tasks {
		count[*task.CapacityProviderName]++
		if task.LaunchType != "" {
			t.Errorf("launch type %s beside a capacity provider", task.LaunchType)
		}
	}
	if diff := cmp.Diff(map[string]int{"FARGATE": 3, "FARGATE_SPOT": 4}, count); diff != "" {
		t.Error(diff)
	}
	must(a.PutClusterCapacityProviders(a.ctx, &ecsapi.PutClusterCapacityProvidersInput{Cluster: p("c"), CapacityProviders: []string{"FARGATE_SPOT"},
		DefaultCapacityProviderStrategy: []ecsapi.CapacityProviderStrategyItem{{CapacityProvider: p("FARGATE_SPOT")}}}))(t)
	in.CapacityProviderStrategy, in.Count = nil, nil
	if got := must(a.RunTask(a.ctx, in))(t); *got.Tasks[0].CapacityProviderName != "FARGATE_SPOT" {
		t.Errorf("the default strategy gave %s", *got.Tasks[0].CapacityProviderName)
	}
}

func TestStopTask(t *testing.T) {
	a := newAccount(t)
	a.register(nil)
	arn := must(a.RunTask(a.ctx, runInput()))(t).Tasks[0].TaskArn
	for _, ref := range []string{"x", "arn:aws:ecs:us-east-1:000000000000:task/other/" + model.LastSegment(*arn)} {
		_, err := a.StopTask(a.ctx, &ecsapi.StopTaskInput{Cluster: p("c"), Task: &ref})
		wantError(t, err, "InvalidParameterException", "The referenced task was not found.")
	}
	out := must(a.StopTask(a.ctx, &ecsapi.StopTaskInput{Cluster: p("c"), Task: arn}))(t)
	if *out.Task.DesiredStatus != "STOPPED" || out.Task.StopCode != "UserInitiated" || *out.Task.StoppedReason != "Task stopped by user" || *out.Task.LastStatus != "PROVISIONING" {
		t.Errorf("stopped: %+v", out.Task)
	}
	out = must(a.StopTask(a.ctx, &ecsapi.StopTaskInput{Cluster: p("c"), Task: arn, Reason: p("again")}))(t)
	if *out.Task.StoppedReason != "Task stopped by user" {
		t.Errorf("a second stop changed the reason to %s", *out.Task.StoppedReason)
	}
}

func TestDescribeAndListTasks(t *testing.T) {
	a := newAccount(t)
	a.register(nil)
	must(a.CreateService(a.ctx, serviceInput()))(t)
	a.addTasks(a.service("web"), 2, model.TaskRunning)
	a.addTasks(a.service("web"), 1, model.TaskStopped)
	in := runInput()
	in.StartedBy, in.Tags = p("me"), []ecsapi.Tag{{Key: p("k"), Value: p("v")}}
	mine := must(a.RunTask(a.ctx, in))(t).Tasks[0].TaskArn
	for _, test := range []struct {
		name string
		in   ecsapi.ListTasksInput
		want int
	}{
		{"all that run", ecsapi.ListTasksInput{}, 3},
		{"stopped", ecsapi.ListTasksInput{DesiredStatus: ecsapi.DesiredStatusStopped}, 1},
		{"pending, which AWS never lists", ecsapi.ListTasksInput{DesiredStatus: ecsapi.DesiredStatusPending}, 0},
		{"service", ecsapi.ListTasksInput{ServiceName: p("web")}, 2},
		{"service by ARN, stopped", ecsapi.ListTasksInput{ServiceName: p("arn:aws:ecs:us-east-1:000000000000:service/c/web"), DesiredStatus: ecsapi.DesiredStatusStopped}, 1},
		{"started by", ecsapi.ListTasksInput{StartedBy: p("me")}, 1},
		{"family", ecsapi.ListTasksInput{Family: p("app")}, 3},
		{"another family", ecsapi.ListTasksInput{Family: p("ap")}, 0},
		{"launch type", ecsapi.ListTasksInput{LaunchType: ecsapi.LaunchTypeEc2}, 0},
	} {
		test.in.Cluster = p("c")
		if got := must(a.ListTasks(a.ctx, &test.in))(t); len(got.TaskArns) != test.want || got.TaskArns == nil {
			t.Errorf("%s: %v, want %d", test.name, got.TaskArns, test.want)
		}
	}
	_, err := a.ListTasks(a.ctx, &ecsapi.ListTasksInput{Cluster: p("c"), ServiceName: p("x")})
	wantError(t, err, "ServiceNotFoundException")

	out := must(a.DescribeTasks(a.ctx, &ecsapi.DescribeTasksInput{Cluster: p("c"), Tasks: []string{*mine, "x"}}))(t)
	if len(out.Tasks) != 1 || len(out.Tasks[0].Tags) != 0 || len(out.Failures) != 1 || *out.Failures[0].Reason != "MISSING" {
		t.Errorf("described %+v", out)
	}
	out = must(a.DescribeTasks(a.ctx, &ecsapi.DescribeTasksInput{Cluster: p("c"), Tasks: []string{model.LastSegment(*mine)}, Include: []ecsapi.TaskField{ecsapi.TaskFieldTags}}))(t)
	if len(out.Tasks) != 1 || len(out.Tasks[0].Tags) != 1 {
		t.Errorf("described %+v", out)
	}
	_, err = a.DescribeTasks(a.ctx, &ecsapi.DescribeTasksInput{Cluster: p("c"), Tasks: make([]string, 101)})
	wantError(t, err, "InvalidParameterException", "at most 100")
}

func TestTaskOfFargate(t *testing.T) {
	a := newAccount(t)
	a.register(nil)
	must(a.CreateService(a.ctx, serviceInput()))(t)
	a.addTasks(a.service("web"), 1, model.TaskRunning)
	a.update(func(tx *store.Txn) {
		for task := range a.tables.Tasks.List(tx) {
			a.tables.Tasks.Edit(tx, task.ID, func(t *model.Task) {
				t.ENIID, t.MAC, t.Attachment, t.Containers[0].LastStatus, t.Containers[0].ExitCode = "eni-1", "02:00:00:00:00:01", "ATTACHED", "STOPPED", p(137)
			})
		}
	})
	arn := must(a.ListTasks(a.ctx, &ecsapi.ListTasksInput{Cluster: p("c")}))(t).TaskArns[0]
	task := must(a.DescribeTasks(a.ctx, &ecsapi.DescribeTasksInput{Cluster: p("c"), Tasks: []string{arn}}))(t).Tasks[0]
	details := map[string]string{}
	for _, d := range task.Attachments[0].Details {
		details[*d.Name] = *d.Value
	}
	want := map[string]string{
		"subnetId": "subnet-1", "networkInterfaceId": "eni-1", "macAddress": "02:00:00:00:00:01", "privateIPv4Address": "10.0.0.9", "privateDnsName": "ip-10-0-0-9.ec2.internal",
	}
	if diff := cmp.Diff(want, details); diff != "" {
		t.Errorf("attachment (-want +got):\n%s", diff)
	}
	c := task.Containers[0]
	if *c.ExitCode != 137 || *c.NetworkInterfaces[0].PrivateIpv4Address != "10.0.0.9" || *c.Cpu != "0" || *task.Group != "service:web" || *task.StartedBy != a.service("web").Deployments[0].ID {
		t.Errorf("task %+v", task)
	}
}
