package ecs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ecsapi"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// Limits of RunTask and DescribeTasks (aws-facts 1.1, 1.7).
const (
	maxRun       = 10
	maxDescribe  = 100
	maxOverrides = 8192
	maxStartedBy = 128
)

// RunTask writes new tasks. They are PROVISIONING in the answer; control places them.
func (s *Server) RunTask(ctx context.Context, in *ecsapi.RunTaskInput) (*ecsapi.RunTaskOutput, error) {
	count := int(awsapi.Or(in.Count, 1))
	switch {
	case count < 1 || count > maxRun:
		return nil, invalid("count must be between 1 and %d.", maxRun)
	case len(in.VolumeConfigurations) > 0:
		return nil, unsupported("volumeConfigurations", "there are no EBS volumes. Leave it out.")
	case len(awsapi.Val(in.StartedBy)) > maxStartedBy:
		return nil, invalid("startedBy has at most %d characters.", maxStartedBy)
	case strings.HasPrefix(awsapi.Val(in.Group), "service:"):
		return nil, invalid("Invalid namespace for group: groups that begin with service: belong to services.")
	}
	if err := refusePlacement(in.PlacementConstraints, in.PlacementStrategy); err != nil {
		return nil, err
	}
	tags, err := tagsOf(in.Tags)
	if err != nil {
		return nil, err
	}
	if in.PropagateTags == ecsapi.PropagateTagsService {
		return nil, invalid("propagateTags SERVICE is only for services. Use TASK_DEFINITION or leave it out.")
	}
	if in.EnableExecuteCommand != nil && *in.EnableExecuteCommand {
		return nil, unsupported("enableExecuteCommand", "ECS Exec is not there yet; `neargate exec` runs a command in a task.")
	}
	digest := digestOf(in)
	var tasks []*model.Task
	err = s.db.Update(ctx, func(tx *store.Txn) error {
		tasks = nil
		cluster, err := s.activeCluster(tx, in.Cluster)
		if err != nil {
			return err
		}
		if had, err := s.sameToken(tx, awsapi.Val(in.ClientToken), digest); had != nil || err != nil {
			tasks = had
			return err
		}
		spec, how, err := s.taskSpec(tx, cluster, in)
		if err != nil {
			return err
		}
		spec.Tags = taskTags(in, cluster, spec.Definition, tags)
		for _, provider := range how.shares(count) {
			spec.CapacityProvider = provider
			task := model.NewTask(spec)
			task.ClientToken, task.TokenDigest, task.ReferenceID = awsapi.Val(in.ClientToken), digest, awsapi.Val(in.ReferenceId)
			s.tables.Tasks.Put(tx, task)
			tasks = append(tasks, task)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := &ecsapi.RunTaskOutput{Tasks: []ecsapi.Task{}, Failures: []ecsapi.Failure{}}
	view := s.db.View()
	for _, task := range tasks {
		out.Tasks = append(out.Tasks, s.task(view, task, true))
	}
	return out, nil
}

// taskTags returns the tags of a new task: the definition's if they are to be propagated, those of the request, and ECS's own.
func taskTags(in *ecsapi.RunTaskInput, cluster *model.Cluster, d *model.TaskDefinition, asked model.Tags) model.Tags {
	tags := model.Tags{}
	if in.PropagateTags == ecsapi.PropagateTagsTaskDefinition {
		maps.Copy(tags, d.Tags)
		maps.DeleteFunc(tags, func(k, _ string) bool { return strings.HasPrefix(k, "aws:") })
	}
	maps.Copy(tags, asked)
	if awsapi.Val(in.EnableECSManagedTags) {
		tags["aws:ecs:clusterName"] = cluster.Name
	}
	return tags
}

// taskSpec checks a request and returns what its tasks are made of.
func (s *Server) taskSpec(r store.Reader, cluster *model.Cluster, in *ecsapi.RunTaskInput) (model.TaskSpec, launch, error) {
	how, err := parseLaunch(cluster, in.LaunchType, in.CapacityProviderStrategy, in.PlatformVersion)
	if err != nil {
		return model.TaskSpec{}, how, err
	}
	definition, err := s.runnable(r, awsapi.Val(in.TaskDefinition))
	if err != nil {
		return model.TaskSpec{}, how, err
	}
	network, err := s.parseNetwork(r, in.NetworkConfiguration)
	if err != nil {
		return model.TaskSpec{}, how, err
	}
	overrides, err := s.parseOverrides(definition, in.Overrides)
	if err != nil {
		return model.TaskSpec{}, how, err
	}
	if err := s.rolesExist(r, definition, overrides); err != nil {
		return model.TaskSpec{}, how, err
	}
	return model.TaskSpec{
		Scope: s.scope, Now: s.clock.Now(), Cluster: cluster.Name, Definition: definition, Overrides: overrides, Network: network,
		Group: awsapi.Val(in.Group), StartedBy: awsapi.Val(in.StartedBy), LaunchType: how.launchType, PlatformVersion: how.platform,
	}, how, nil
}

// rolesExist refuses roles that are not there, as ECS does when it cannot assume them.
func (s *Server) rolesExist(r store.Reader, d *model.TaskDefinition, o model.TaskOverrides) error {
	roles := []string{d.TaskRoleARN, d.ExecutionRoleARN}
	if o.TaskRoleARN != "" {
		roles[0] = o.TaskRoleARN
	}
	if o.ExecutionRoleARN != "" {
		roles[1] = o.ExecutionRoleARN
	}
	for _, arn := range roles {
		if arn == "" {
			continue
		}
		role, ok := s.tables.Roles.Get(r, model.LastSegment(arn))
		if !ok || role.ARN != arn {
			return client("ECS was unable to assume the role '%s' that was provided for this task. Please verify that the role being passed has the proper trust relationship and permissions and that your IAM user has permissions to pass this role.", arn)
		}
	}
	return nil
}

// digestOf identifies a request without its token.
func digestOf(in *ecsapi.RunTaskInput) string {
	bare := *in
	bare.ClientToken = nil
	doc, _ := json.Marshal(bare) // plain data: it cannot fail
	sum := sha256.Sum256(doc)
	return hex.EncodeToString(sum[:])
}

// sameToken returns the tasks that an earlier request with that token has made.
func (s *Server) sameToken(r store.Reader, token, digest string) ([]*model.Task, error) {
	if token == "" {
		return nil, nil
	}
	had := slices.Collect(s.tables.Tasks.By(r, "token", token))
	if len(had) == 0 || had[0].TokenDigest == digest {
		return had, nil
	}
	arns := make([]string, 0, len(had))
	for _, t := range had {
		arns = append(arns, t.ARN)
	}
	return nil, &awsapi.Error{
		Code: ecsapi.ErrConflictException, Message: "The client token was used with other parameters.", Fields: map[string]any{"resourceIds": arns},
	}
}

// parseOverrides checks overrides against the definition.
func (s *Server) parseOverrides(d *model.TaskDefinition, in *ecsapi.TaskOverride) (model.TaskOverrides, error) {
	var out model.TaskOverrides
	if in == nil {
		return out, nil
	}
	if doc, err := json.Marshal(in); err != nil || len(doc) > maxOverrides {
		return out, invalid("Container Overrides length must be at most %d", maxOverrides)
	}
	if len(in.InferenceAcceleratorOverrides) > 0 {
		return out, invalid("Inference accelerators are not supported on Fargate (inferenceAcceleratorOverrides).")
	}
	out.TaskRoleARN, out.ExecutionRoleARN = s.roleARN(in.TaskRoleArn), s.roleARN(in.ExecutionRoleArn)
	if in.Cpu != nil || in.Memory != nil {
		cpu, memory, err := taskSize(awsapi.Or(in.Cpu, itoa(d.CPU)), awsapi.Or(in.Memory, itoa(d.MemoryMiB)))
		if err != nil {
			return out, err
		}
		out.CPU, out.Memory = itoa(cpu), itoa(memory)
	}
	if in.EphemeralStorage != nil {
		out.EphemeralGiB = int(awsapi.Val(in.EphemeralStorage.SizeInGiB))
		if out.EphemeralGiB < 21 || out.EphemeralGiB > 200 {
			return out, invalid("Invalid ephemeral storage size: %d. It must be between 21 and 200 GiB.", out.EphemeralGiB)
		}
	}
	for _, c := range in.ContainerOverrides {
		name := awsapi.Val(c.Name)
		if !slices.ContainsFunc(d.Containers, func(o model.ContainerDefinition) bool { return o.Name == name }) {
			return out, invalid("Override for container named %s is not a container in the TaskDefinition.", name)
		}
		if len(c.EnvironmentFiles) > 0 || len(c.ResourceRequirements) > 0 {
			return out, unsupported("environmentFiles and resourceRequirements (override of container "+name+")", "use environment.")
		}
		one := model.ContainerOverride{Name: name, Command: c.Command, CPU: toInt(c.Cpu), MemoryMiB: toInt(c.Memory), MemoryReservationMiB: toInt(c.MemoryReservation)}
		for _, e := range c.Environment {
			one.Environment = append(one.Environment, model.NameValue{Name: awsapi.Val(e.Name), Value: awsapi.Val(e.Value)})
		}
		out.Containers = append(out.Containers, one)
	}
	return out, nil
}

func toInt(n *int32) *int {
	if n == nil {
		return nil
	}
	return awsapi.Ptr(int(*n))
}

// StopTask asks for a task to be stopped. A stopped task is answered as it is.
func (s *Server) StopTask(ctx context.Context, in *ecsapi.StopTaskInput) (*ecsapi.StopTaskOutput, error) {
	var stopped *model.Task
	err := s.db.Update(ctx, func(tx *store.Txn) error {
		cluster, err := s.activeCluster(tx, in.Cluster)
		if err != nil {
			return err
		}
		task, ok := s.findTask(tx, cluster.Name, awsapi.Val(in.Task))
		if !ok {
			return invalid("The referenced task was not found.")
		}
		if task.Desired != model.DesiredStopped {
			s.tables.Tasks.Edit(tx, task.ID, func(t *model.Task) {
				t.Desired, t.StopCode, t.StoppedReason = model.DesiredStopped, model.StopUserInitiated, awsapi.Or(in.Reason, "Task stopped by user")
				t.Version++
			})
		}
		stopped, _ = s.tables.Tasks.Get(tx, task.ID)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ecsapi.StopTaskOutput{Task: awsapi.Ptr(s.task(s.db.View(), stopped, true))}, nil
}

// findTask returns the task of a cluster that a request names by ID or ARN.
func (s *Server) findTask(r store.Reader, cluster, ref string) (*model.Task, bool) {
	task, ok := s.tables.Tasks.Get(r, model.LastSegment(ref))
	if !ok || task.Cluster != cluster || (strings.HasPrefix(ref, "arn:") && task.ARN != ref) {
		return nil, false
	}
	return task, true
}

// DescribeTasks reads tasks; one that does not exist is a failure in the answer, not an error.
func (s *Server) DescribeTasks(_ context.Context, in *ecsapi.DescribeTasksInput) (*ecsapi.DescribeTasksOutput, error) {
	view := s.db.View()
	cluster, err := s.activeCluster(view, in.Cluster)
	if err != nil {
		return nil, err
	}
	switch {
	case len(in.Tasks) == 0:
		return nil, invalid("Tasks cannot be empty.")
	case len(in.Tasks) > maxDescribe:
		return nil, invalid("Tasks can have at most %d items.", maxDescribe)
	}
	withTags := slices.Contains(in.Include, ecsapi.TaskFieldTags)
	out := &ecsapi.DescribeTasksOutput{Tasks: []ecsapi.Task{}, Failures: []ecsapi.Failure{}}
	for _, ref := range in.Tasks {
		if task, ok := s.findTask(view, cluster.Name, ref); ok {
			out.Tasks = append(out.Tasks, s.task(view, task, withTags))
			continue
		}
		out.Failures = append(out.Failures, missing(s.scope.TaskARN(cluster.Name, model.LastSegment(ref))))
	}
	return out, nil
}

// ListTasks lists the ARNs of tasks, those that are to run unless others are asked for.
func (s *Server) ListTasks(_ context.Context, in *ecsapi.ListTasksInput) (*ecsapi.ListTasksOutput, error) {
	view := s.db.View()
	cluster, err := s.activeCluster(view, in.Cluster)
	if err != nil {
		return nil, err
	}
	desired := string(in.DesiredStatus)
	if desired == "" {
		desired = model.DesiredRunning
	}
	list := s.tables.Tasks.By(view, "cluster", cluster.Name)
	if name := model.LastSegment(awsapi.Val(in.ServiceName)); name != "" {
		if !s.tables.Services.Has(view, model.ServiceKey(cluster.Name, name)) {
			return nil, awsapi.NewError(ecsapi.ErrServiceNotFoundException, "Service not found.")
		}
		list = s.tables.Tasks.By(view, "service", model.ServiceKey(cluster.Name, name))
	}
	arns := []string{}
	for t := range list {
		family, _, _ := strings.Cut(t.DefinitionKey, ":")
		switch {
		case t.Desired != desired, in.Family != nil && *in.Family != family, in.StartedBy != nil && *in.StartedBy != t.StartedBy,
			in.LaunchType != "" && string(in.LaunchType) != t.LaunchType, in.ContainerInstance != nil, in.DaemonName != nil:
			continue
		}
		arns = append(arns, t.ARN)
	}
	kind := fmt.Sprintf("ecs:ListTasks:%s:%s:%s", cluster.Name, desired, awsapi.Val(in.ServiceName))
	page, next, err := pageOf(kind, arns, in.NextToken, in.MaxResults, maxPage)
	if err != nil {
		return nil, err
	}
	return &ecsapi.ListTasksOutput{TaskArns: page, NextToken: next}, nil
}
