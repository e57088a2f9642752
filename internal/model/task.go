package model

import (
	"net/netip"
	"time"
)

// TaskState is where a task is in its life. States only move forward (aws-facts 1.2).
type TaskState int

// The states in their order. A task may skip states, never go back.
const (
	TaskProvisioning TaskState = iota + 1
	TaskPending
	TaskActivating
	TaskRunning
	TaskDeactivating
	TaskStopping
	TaskDeprovisioning
	TaskStopped
	TaskDeleted
)

var taskStateNames = map[TaskState]string{
	TaskProvisioning: "PROVISIONING", TaskPending: "PENDING", TaskActivating: "ACTIVATING", TaskRunning: "RUNNING",
	TaskDeactivating: "DEACTIVATING", TaskStopping: "STOPPING", TaskDeprovisioning: "DEPROVISIONING", TaskStopped: "STOPPED",
	TaskDeleted: "DELETED",
}

// String returns AWS's word.
func (s TaskState) String() string { return taskStateNames[s] }

// Desired states of a task: a ceiling, which only ever goes from RUNNING to STOPPED.
const (
	DesiredRunning = "RUNNING"
	DesiredStopped = "STOPPED"
)

// Stop codes (aws-facts 1.3).
const (
	StopTaskFailedToStart         = "TaskFailedToStart"
	StopEssentialContainerExited  = "EssentialContainerExited"
	StopUserInitiated             = "UserInitiated"
	StopServiceSchedulerInitiated = "ServiceSchedulerInitiated"
	StopSpotInterruption          = "SpotInterruption"
	HealthUnknown                 = "UNKNOWN"
	HealthHealthy                 = "HEALTHY"
	HealthUnhealthy               = "UNHEALTHY"
)

// Task is a group of containers with one ENI. Its key is its ID.
//
// Who writes what: the API and control create it and write Desired, DeactivateDone and the stop code of a stop they ask
// for; the node that Host names writes State, Containers, times, and the stop code of what fails by itself.
type Task struct {
	Meta
	ID               string                `json:"id"`
	ARN              string                `json:"arn"`
	Cluster          string                `json:"cluster"` // name
	DefinitionKey    string                `json:"definitionKey"`
	DefinitionARN    string                `json:"definitionArn"`
	Group            string                `json:"group"` // service:<name> or family:<family> or the user's
	StartedBy        string                `json:"startedBy,omitempty"`
	Service          string                `json:"service,omitempty"`      // service name, when a service owns it
	DeploymentID     string                `json:"deploymentId,omitempty"` // ecs-svc/..., when a service owns it
	LaunchType       string                `json:"launchType,omitempty"`
	CapacityProvider string                `json:"capacityProvider,omitempty"`
	PlatformVersion  string                `json:"platformVersion"`
	ClientToken      string                `json:"clientToken,omitempty"`
	TokenDigest      string                `json:"tokenDigest,omitempty"` // of the request that ClientToken came with
	ReferenceID      string                `json:"referenceId,omitempty"`
	EnableExec       bool                  `json:"enableExec,omitempty"`
	CPU              int                   `json:"cpu"`
	MemoryMiB        int                   `json:"memory"`
	EphemeralGiB     int                   `json:"ephemeralGiB"`
	Overrides        TaskOverrides         `json:"overrides"`
	Network          NetworkConfiguration  `json:"network"`
	AZ               string                `json:"az"`
	SubnetID         string                `json:"subnetId"`
	VPCID            string                `json:"vpcId"`
	ENIID            string                `json:"eniId"`
	AttachmentID     string                `json:"attachmentId"` // uuid
	Host             string                `json:"host,omitempty"`
	TargetGroups     []ServiceLoadBalancer `json:"targetGroups,omitempty"`

	Desired        string            `json:"desired"`
	State          TaskState         `json:"state"`
	DeactivateDone bool              `json:"deactivateDone,omitempty"` // control: targets are drained, the node may stop it
	Counted        bool              `json:"counted,omitempty"`        // control: its failure is in its deployment's count
	StopCode       string            `json:"stopCode,omitempty"`
	StoppedReason  string            `json:"stoppedReason,omitempty"`
	Health         string            `json:"health"`
	Connectivity   string            `json:"connectivity,omitempty"`
	Containers     []ContainerStatus `json:"containers"`
	Attachment     string            `json:"attachmentStatus"` // PRECREATED, ATTACHING, ATTACHED, DETACHING, DELETED
	PrivateIP      netip.Addr        `json:"privateIp"`
	MAC            string            `json:"mac,omitempty"`
	PublicIP       netip.Addr        `json:"publicIp"`
	Version        int               `json:"version"`

	ConnectivityAt     time.Time `json:"connectivityAt"`
	PullStartedAt      time.Time `json:"pullStartedAt"`
	PullStoppedAt      time.Time `json:"pullStoppedAt"`
	StartedAt          time.Time `json:"startedAt"`
	StoppingAt         time.Time `json:"stoppingAt"`
	StoppedAt          time.Time `json:"stoppedAt"`
	ExecutionStoppedAt time.Time `json:"executionStoppedAt"`
}

// IsStopped reports whether the task has reached its end.
func (t *Task) IsStopped() bool { return t.State >= TaskStopped }

// ContainerStatus is what is seen of one container of a task.
type ContainerStatus struct {
	Name         string    `json:"name"`
	ARN          string    `json:"arn"`
	RuntimeID    string    `json:"runtimeId,omitempty"`
	Image        string    `json:"image"`
	ImageDigest  string    `json:"imageDigest,omitempty"`
	LastStatus   string    `json:"lastStatus"` // PENDING, RUNNING, STOPPED
	ExitCode     *int      `json:"exitCode,omitempty"`
	Reason       string    `json:"reason,omitempty"`
	Health       string    `json:"health"`
	RestartCount int       `json:"restartCount,omitempty"`
	StartedAt    time.Time `json:"startedAt"`
	FinishedAt   time.Time `json:"finishedAt"`
}

// TaskOverrides are what RunTask changes of the definition.
type TaskOverrides struct {
	CPU              string              `json:"cpu,omitempty"`
	Memory           string              `json:"memory,omitempty"`
	TaskRoleARN      string              `json:"taskRoleArn,omitempty"`
	ExecutionRoleARN string              `json:"executionRoleArn,omitempty"`
	EphemeralGiB     int                 `json:"ephemeralGiB,omitempty"`
	Containers       []ContainerOverride `json:"containers,omitempty"`
}

// ContainerOverride changes one container of the definition.
type ContainerOverride struct {
	Name                 string      `json:"name"`
	Command              []string    `json:"command,omitempty"`
	Environment          []NameValue `json:"environment,omitempty"`
	CPU                  *int        `json:"cpu,omitempty"`
	MemoryMiB            *int        `json:"memory,omitempty"`
	MemoryReservationMiB *int        `json:"memoryReservation,omitempty"`
}

// NetworkConfiguration is awsvpcConfiguration.
type NetworkConfiguration struct {
	Subnets        []string `json:"subnets,omitempty"`
	SecurityGroups []string `json:"securityGroups,omitempty"`
	AssignPublicIP bool     `json:"assignPublicIp,omitempty"`
}
