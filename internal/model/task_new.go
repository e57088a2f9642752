package model

import (
	"strconv"
	"time"
)

// defaultEphemeralGiB is what a Fargate task gets when it asks for nothing (aws-facts 1.7).
const defaultEphemeralGiB = 20

// TaskSpec is what a new task is made of, by RunTask or by the service scheduler.
type TaskSpec struct {
	Scope            Scope
	Now              time.Time
	Cluster          string
	Definition       *TaskDefinition
	Overrides        TaskOverrides
	Network          NetworkConfiguration
	Group            string // family:<family> if empty
	StartedBy        string
	Service          string // name of the service that owns it
	DeploymentID     string
	TargetGroups     []ServiceLoadBalancer
	LaunchType       string
	CapacityProvider string
	PlatformVersion  string
	EnableExec       bool
	Images           map[string]string // digests that containers are bound to
	Tags             Tags
}

// NewTask returns a task that is PROVISIONING: it has no subnet, no address and no host yet. control/place gives it those.
func NewTask(spec TaskSpec) *Task {
	d := spec.Definition
	t := &Task{
		Meta: Meta{Tags: spec.Tags, CreatedAt: spec.Now}, ID: NewTaskID(), Cluster: spec.Cluster, DefinitionKey: d.Key(), DefinitionARN: d.ARN,
		Group: spec.Group, StartedBy: spec.StartedBy, Service: spec.Service, DeploymentID: spec.DeploymentID, TargetGroups: spec.TargetGroups,
		LaunchType: spec.LaunchType, CapacityProvider: spec.CapacityProvider, PlatformVersion: spec.PlatformVersion, EnableExec: spec.EnableExec,
		CPU: d.CPU, MemoryMiB: d.MemoryMiB, EphemeralGiB: defaultEphemeralGiB, Overrides: spec.Overrides, Network: spec.Network,
		AttachmentID: NewUUID(), Desired: DesiredRunning, State: TaskProvisioning, Health: HealthUnknown, Attachment: "PRECREATED", Version: 1,
	}
	t.ARN = spec.Scope.TaskARN(spec.Cluster, t.ID)
	if t.Group == "" {
		t.Group = "family:" + d.Family
	}
	if d.EphemeralGiB > 0 {
		t.EphemeralGiB = d.EphemeralGiB
	}
	if n, err := strconv.Atoi(spec.Overrides.CPU); err == nil {
		t.CPU = n
	}
	if n, err := strconv.Atoi(spec.Overrides.Memory); err == nil {
		t.MemoryMiB = n
	}
	if spec.Overrides.EphemeralGiB > 0 {
		t.EphemeralGiB = spec.Overrides.EphemeralGiB
	}
	for _, c := range d.Containers {
		status := ContainerStatus{
			Name: c.Name, ARN: spec.Scope.ContainerARN(spec.Cluster, t.ID, NewUUID()), Image: c.Image, LastStatus: "PENDING", Health: HealthUnknown,
		}
		if !c.FloatingImage {
			status.ImageDigest = spec.Images[c.Name]
		}
		t.Containers = append(t.Containers, status)
	}
	return t
}

// TaskRole returns the ARN of the role that the task's own programs have, empty when there is none.
func (t *Task) TaskRole(d *TaskDefinition) string {
	if t.Overrides.TaskRoleARN != "" {
		return t.Overrides.TaskRoleARN
	}
	return d.TaskRoleARN
}

// ExecutionRole returns the ARN of the role that pulls images and ships logs, empty when there is none.
func (t *Task) ExecutionRole(d *TaskDefinition) string {
	if t.Overrides.ExecutionRoleARN != "" {
		return t.Overrides.ExecutionRoleARN
	}
	return d.ExecutionRoleARN
}
