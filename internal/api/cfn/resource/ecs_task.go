package resource

import (
	"context"
	"slices"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ecsapi"
	"github.com/neargate/neargate/internal/stack"
)

// taskDefinitionProperties have the same names in RegisterTaskDefinition; a change of any makes a new revision.
var taskDefinitionProperties = []string{
	"ContainerDefinitions", "Cpu", "EnableFaultInjection", "EphemeralStorage", "ExecutionRoleArn", "InferenceAccelerators", "IpcMode",
	"Memory", "NetworkMode", "PidMode", "PlacementConstraints", "ProxyConfiguration", "RequiresCompatibilities", "RuntimePlatform", "TaskRoleArn", "Volumes",
}

func (t *ecsTypes) taskTypes() []*Type {
	names := []string{"Family*", "Tags"}
	for _, name := range taskDefinitionProperties {
		names = append(names, name+"*")
	}
	return []*Type{{
		Type: stack.Type{Name: "AWS::ECS::TaskDefinition", Properties: props(names...), Attributes: []string{"TaskDefinitionArn"}},
		New:  t.newTaskDefinition, Find: t.findTaskDefinition, Taggable: true,
		Apply: func(ctx context.Context, r *Request) error { return t.retag(ctx, r, r.PhysicalID) },
		Read: func(_ context.Context, r *Request) (Attributes, error) {
			return Attributes{"TaskDefinitionArn": r.PhysicalID}, nil
		},
		Remove: func(ctx context.Context, r *Request) error {
			_, err := invoke(ctx, t.d, t.api.DeregisterTaskDefinition, &ecsapi.DeregisterTaskDefinitionInput{TaskDefinition: &r.PhysicalID})
			return err
		},
	}}
}

// family is the name of the task definition. A generated one does not depend on the token: revisions of one logical
// resource belong to one family.
func family(r *Request) string {
	if name := r.text("Family"); name != "" {
		return name
	}
	one := *r
	one.Token = ""
	return one.Name(255)
}

func (t *ecsTypes) newTaskDefinition(ctx context.Context, r *Request) (string, error) {
	in := &ecsapi.RegisterTaskDefinitionInput{Family: p(family(r)), Tags: ecsTags(r.Tags)}
	if err := r.fill(in, taskDefinitionProperties...); err != nil {
		return "", err
	}
	out, err := invoke(ctx, t.d, t.api.RegisterTaskDefinition, in)
	if err != nil {
		return "", err
	}
	return awsapi.Val(out.TaskDefinition.TaskDefinitionArn), nil
}

// findTaskDefinition looks at the newest revision: it is ours if it carries our tags and is none that we had before.
func (t *ecsTypes) findTaskDefinition(ctx context.Context, r *Request) (string, bool, error) {
	out, err := invoke(ctx, t.d, t.api.DescribeTaskDefinition, &ecsapi.DescribeTaskDefinitionInput{
		TaskDefinition: p(family(r)), Include: []ecsapi.TaskDefinitionField{"TAGS"}})
	if err != nil || out.TaskDefinition == nil {
		return "", false, nil // a family without a revision is an error there, and simply nothing here
	}
	tags := make(map[string]string)
	for _, tag := range out.Tags {
		tags[awsapi.Val(tag.Key)] = awsapi.Val(tag.Value)
	}
	arn := awsapi.Val(out.TaskDefinition.TaskDefinitionArn)
	ours := tags[TagStackID] == r.StackARN && tags[TagLogicalID] == r.LogicalID && !slices.Contains(r.Known, arn)
	return arn, ours, nil
}
