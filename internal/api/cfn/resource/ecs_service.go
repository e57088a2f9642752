package resource

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ecsapi"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/stack"
)

// serviceTimeout is how long CloudFormation waits for a service to reach a steady state.
const serviceTimeout = 3 * time.Hour

var (
	// The properties that both calls take under the same names.
	serviceProperties = []string{
		"AvailabilityZoneRebalancing", "CapacityProviderStrategy", "DeploymentConfiguration", "DesiredCount", "EnableECSManagedTags",
		"EnableExecuteCommand", "HealthCheckGracePeriodSeconds", "LoadBalancers", "NetworkConfiguration", "PlacementConstraints",
		"PlacementStrategies=PlacementStrategy", "PlatformVersion", "PropagateTags", "ServiceConnectConfiguration", "ServiceRegistries",
		"TaskDefinition", "VolumeConfigurations", "VpcLatticeConfigurations",
	}
	serviceFixed = []string{"DeploymentController", "LaunchType", "Role", "SchedulingStrategy"}
)

// serviceDefaults is what a property goes back to when the template no longer has it. A count that is no longer given
// stays as it is: it may be somebody else's by now.
var serviceDefaults = map[string]any{
	"CapacityProviderStrategy": []any{}, "DeploymentConfiguration": map[string]any{"MaximumPercent": "200", "MinimumHealthyPercent": "100"},
	"EnableECSManagedTags": false, "EnableExecuteCommand": false, "HealthCheckGracePeriodSeconds": "0", "LoadBalancers": []any{},
	"PlacementConstraints": []any{}, "PlacementStrategies": []any{}, "PlatformVersion": "LATEST", "PropagateTags": "NONE", "ServiceRegistries": []any{},
}

func (t *ecsTypes) serviceTypes() []*Type {
	names := []string{"Cluster*", "ServiceName*", "Tags"}
	for _, name := range serviceFixed {
		names = append(names, name+"*")
	}
	for _, name := range serviceProperties {
		name, _, _ := strings.Cut(name, "=")
		names = append(names, name)
	}
	return []*Type{{
		Type:  stack.Type{Name: "AWS::ECS::Service", Properties: props(names...), Attributes: []string{"Name", "ServiceArn"}},
		Named: "ServiceName", New: t.newService, Find: t.findService, Apply: t.applyService, Ready: t.serviceReady, Remove: t.removeService, Gone: t.serviceGone,
		Read: t.readService, Taggable: true, Timeout: serviceTimeout,
	}}
}

// deployment drops alarms that are off, which CDK writes into every service.
func deployment(c *ecsapi.DeploymentConfiguration) {
	if c != nil && c.Alarms != nil && !awsapi.Val(c.Alarms.Enable) && len(c.Alarms.AlarmNames) == 0 {
		c.Alarms = nil
	}
}

func (t *ecsTypes) newService(ctx context.Context, r *Request) (string, error) {
	name := r.nameOr("ServiceName", 255)
	in := &ecsapi.CreateServiceInput{ServiceName: &name, ClientToken: p(clip(r.Token, 36)), Tags: ecsTags(r.Tags)}
	if err := r.fill(in, append([]string{"Cluster"}, serviceFixed...)...); err != nil {
		return "", err
	}
	if err := r.fill(in, serviceProperties...); err != nil {
		return "", err
	}
	deployment(in.DeploymentConfiguration)
	out, err := invoke(ctx, t.d, t.api.CreateService, in)
	if err != nil {
		return "", err
	}
	return awsapi.Val(out.Service.ServiceArn), nil
}

func clip(s string, n int) string { return s[:min(len(s), n)] }

// clusterOf returns the cluster that a service's ARN names, which is arn:...:service/cluster/name.
func clusterOf(arn string) string {
	if parts := strings.Split(arn, "/"); len(parts) == 3 {
		return parts[1]
	}
	return "default"
}

func (t *ecsTypes) service(ctx context.Context, cluster, service string) (ecsapi.Service, bool, error) {
	out, err := invoke(ctx, t.d, t.api.DescribeServices, &ecsapi.DescribeServicesInput{Cluster: &cluster, Services: []string{service}})
	if err != nil {
		return ecsapi.Service{}, false, absent(err)
	}
	s, ok := first(out.Services)
	return s, ok, nil
}

func (t *ecsTypes) findService(ctx context.Context, r *Request) (string, bool, error) {
	cluster := r.text("Cluster")
	if cluster == "" {
		cluster = "default"
	}
	s, ok, err := t.service(ctx, cluster, r.nameOr("ServiceName", 255))
	return awsapi.Val(s.ServiceArn), ok && awsapi.Val(s.Status) == "ACTIVE" && r.isOurs(s.CreatedAt), err
}

func (t *ecsTypes) applyService(ctx context.Context, r *Request) error {
	if r.Old == nil {
		return nil
	}
	in := &ecsapi.UpdateServiceInput{Service: &r.PhysicalID, Cluster: p(clusterOf(r.PhysicalID))}
	var changed []string
	for _, name := range serviceProperties {
		property, _, _ := strings.Cut(name, "=")
		if r.changed(property) {
			changed = append(changed, name)
		}
	}
	if len(changed) > 0 {
		if err := r.reset(serviceDefaults).fill(in, changed...); err != nil {
			return err
		}
		deployment(in.DeploymentConfiguration)
		if _, err := invoke(ctx, t.d, t.api.UpdateService, in); err != nil {
			return err
		}
	}
	return t.retag(ctx, r, r.PhysicalID)
}

// serviceReady waits for the steady state: one deployment, of the wanted revision, with all its tasks running.
func (t *ecsTypes) serviceReady(ctx context.Context, r *Request) (State, error) {
	s, ok, err := t.service(ctx, clusterOf(r.PhysicalID), r.PhysicalID)
	if err != nil {
		return State{}, err
	}
	if !ok || awsapi.Val(s.Status) != "ACTIVE" {
		return State{}, fmt.Errorf("service %s is %s", r.PhysicalID, awsapi.Val(s.Status))
	}
	wanted := r.text("TaskDefinition")
	for _, d := range s.Deployments {
		if d.RolloutState == "FAILED" && (wanted == "" || sameRevision(wanted, awsapi.Val(d.TaskDefinition))) {
			return State{}, t.brokeDown(ctx, r)
		}
		if awsapi.Val(d.Status) == "PRIMARY" && wanted != "" && !sameRevision(wanted, awsapi.Val(d.TaskDefinition)) {
			return State{}, t.brokeDown(ctx, r) // and was rolled back
		}
	}
	desired, running := awsapi.Val(s.DesiredCount), awsapi.Val(s.RunningCount)
	state := State{Why: fmt.Sprintf("%d of %d tasks are running, %d deployments", running, desired, len(s.Deployments))}
	if len(s.Events) > 0 {
		state.Why += ": " + awsapi.Val(s.Events[0].Message)
	}
	if running < desired {
		if why := t.lastStop(ctx, r); why != "" {
			state.Why += " The last task that stopped: " + why
		}
	}
	if len(s.Deployments) == 1 && running == desired {
		rollout := s.Deployments[0].RolloutState
		state.Done = rollout == "" || rollout == "COMPLETED"
	}
	return state, nil
}

// brokeDown is the failure of a deployment, in CloudFormation's own words, with what the words leave out: why the last
// task stopped.
func (t *ecsTypes) brokeDown(ctx context.Context, r *Request) error {
	text := "Error occurred during operation 'ECS Deployment Circuit Breaker was triggered'."
	if why := t.lastStop(ctx, r); why != "" {
		text += " The last task that stopped: " + why
	}
	return errors.New(text)
}

// lastStop returns why the newest task of a service that failed has stopped, empty if none has.
func (t *ecsTypes) lastStop(ctx context.Context, r *Request) string {
	cluster := clusterOf(r.PhysicalID)
	stopped, err := invoke(ctx, t.d, t.api.ListTasks, &ecsapi.ListTasksInput{Cluster: &cluster, ServiceName: p(model.LastSegment(r.PhysicalID)), DesiredStatus: ecsapi.DesiredStatusStopped})
	if err != nil || len(stopped.TaskArns) == 0 {
		return ""
	}
	described, err := invoke(ctx, t.d, t.api.DescribeTasks, &ecsapi.DescribeTasksInput{Cluster: &cluster, Tasks: stopped.TaskArns})
	if err != nil {
		return ""
	}
	var newest *ecsapi.Task
	for i := range described.Tasks {
		task := &described.Tasks[i]
		if task.StoppingAt == nil || strings.HasPrefix(awsapi.Val(task.StoppedReason), "Scaling activity") {
			continue
		}
		if newest == nil || task.StoppingAt.After(*newest.StoppingAt) {
			newest = task
		}
	}
	if newest == nil {
		return ""
	}
	why := awsapi.Val(newest.StoppedReason)
	for _, c := range newest.Containers {
		if c.Reason != nil {
			why += " (" + awsapi.Val(c.Name) + ": " + awsapi.Val(c.Reason) + ")"
		} else if awsapi.Val(c.ExitCode) != 0 {
			why += fmt.Sprintf(" (%s: exit code %d)", awsapi.Val(c.Name), awsapi.Val(c.ExitCode))
		}
	}
	return why
}

// sameRevision compares a task definition as a template names it (ARN, family:revision, family) with an ARN.
func sameRevision(named, arn string) bool {
	short := model.LastSegment(arn)
	name := model.LastSegment(named)
	if !strings.Contains(name, ":") {
		short, _, _ = strings.Cut(short, ":")
	}
	return name == short
}

func (t *ecsTypes) removeService(ctx context.Context, r *Request) error {
	_, err := invoke(ctx, t.d, t.api.DeleteService, &ecsapi.DeleteServiceInput{Service: &r.PhysicalID, Cluster: p(clusterOf(r.PhysicalID)), Force: p(true)})
	if codeOf(err) == "ServiceNotActiveException" {
		return nil
	}
	return err
}

func (t *ecsTypes) serviceGone(ctx context.Context, r *Request) (State, error) {
	s, ok, err := t.service(ctx, clusterOf(r.PhysicalID), r.PhysicalID)
	status := awsapi.Val(s.Status)
	return State{Done: !ok || status == "INACTIVE", Why: fmt.Sprintf("the service is %s, %d tasks are running", status, awsapi.Val(s.RunningCount))}, err
}

func (t *ecsTypes) readService(_ context.Context, r *Request) (Attributes, error) {
	return Attributes{"Name": model.LastSegment(r.PhysicalID), "ServiceArn": r.PhysicalID}, nil
}
