package model

import (
	"strconv"
	"time"
)

// Task definition states.
const (
	TaskDefinitionActive           = "ACTIVE"
	TaskDefinitionInactive         = "INACTIVE"
	TaskDefinitionDeleteInProgress = "DELETE_IN_PROGRESS"
)

// TaskDefinition is one registered revision of a family. Its key is [TaskDefinition.Key]. It never changes but for its status and tags.
type TaskDefinition struct {
	Meta
	Family           string                `json:"family"`
	Revision         int                   `json:"revision"`
	ARN              string                `json:"arn"`
	Status           string                `json:"status"`
	RegisteredBy     string                `json:"registeredBy,omitempty"`
	DeregisteredAt   time.Time             `json:"deregisteredAt"`
	TaskRoleARN      string                `json:"taskRoleArn,omitempty"`
	ExecutionRoleARN string                `json:"executionRoleArn,omitempty"`
	NetworkMode      string                `json:"networkMode"`
	CPU              int                   `json:"cpu"`    // CPU units, 1024 are one vCPU
	MemoryMiB        int                   `json:"memory"` // MiB
	Compatibilities  []string              `json:"compatibilities"`
	RequiresCompat   []string              `json:"requiresCompatibilities,omitempty"`
	EphemeralGiB     int                   `json:"ephemeralGiB,omitempty"` // 0: not asked for, 20 are given
	CPUArchitecture  string                `json:"cpuArchitecture,omitempty"`
	OSFamily         string                `json:"osFamily,omitempty"`
	PIDMode          string                `json:"pidMode,omitempty"`
	Volumes          []Volume              `json:"volumes,omitempty"`
	Containers       []ContainerDefinition `json:"containers"`
	// Registered is the registration as it was sent (JSON of the API's input). Clients compare what they read with
	// what they sent, member by member, so the API answers from it; everything else reads the fields above.
	Registered []byte `json:"registered,omitempty"`
}

// TaskDefinitionKey returns the key of a revision.
func TaskDefinitionKey(family string, revision int) string {
	return family + ":" + strconv.Itoa(revision)
}

// Key returns the record's key, family:revision.
func (d *TaskDefinition) Key() string { return TaskDefinitionKey(d.Family, d.Revision) }

// Volume is an empty directory that containers of the task share.
type Volume struct {
	Name string `json:"name"`
}

// ContainerDefinition is one container of a task definition, with AWS's names. Durations are in seconds.
type ContainerDefinition struct {
	Name                   string            `json:"name"`
	Image                  string            `json:"image"`
	CPU                    int               `json:"cpu,omitempty"`
	MemoryMiB              int               `json:"memory,omitempty"`
	MemoryReservationMiB   int               `json:"memoryReservation,omitempty"`
	Essential              bool              `json:"essential"`
	EntryPoint             []string          `json:"entryPoint,omitempty"`
	Command                []string          `json:"command,omitempty"`
	WorkingDirectory       string            `json:"workingDirectory,omitempty"`
	User                   string            `json:"user,omitempty"`
	Hostname               string            `json:"hostname,omitempty"`
	Environment            []NameValue       `json:"environment,omitempty"`
	Ports                  []PortMapping     `json:"portMappings,omitempty"`
	MountPoints            []MountPoint      `json:"mountPoints,omitempty"`
	VolumesFrom            []VolumeFrom      `json:"volumesFrom,omitempty"`
	DependsOn              []Dependency      `json:"dependsOn,omitempty"`
	HealthCheck            *ContainerHealth  `json:"healthCheck,omitempty"`
	Ulimits                []Ulimit          `json:"ulimits,omitempty"`
	DockerLabels           map[string]string `json:"dockerLabels,omitempty"`
	Log                    *LogConfiguration `json:"logConfiguration,omitempty"`
	ReadonlyRootFilesystem bool              `json:"readonlyRootFilesystem,omitempty"`
	Interactive            bool              `json:"interactive,omitempty"`
	PseudoTerminal         bool              `json:"pseudoTerminal,omitempty"`
	InitProcess            bool              `json:"initProcessEnabled,omitempty"`
	FloatingImage          bool              `json:"floatingImage,omitempty"`   // versionConsistency disabled: each task looks its tag up
	AddCapabilities        []string          `json:"addCapabilities,omitempty"` // Fargate: SYS_PTRACE only
	DropCapabilities       []string          `json:"dropCapabilities,omitempty"`
	StartTimeout           int               `json:"startTimeout,omitempty"`
	StopTimeout            int               `json:"stopTimeout,omitempty"` // 0: 30 s
	SystemControls         []NameValue       `json:"systemControls,omitempty"`
	Restart                *RestartPolicy    `json:"restartPolicy,omitempty"`
}

// PortMapping is a port that a container listens on.
type PortMapping struct {
	Name          string `json:"name,omitempty"`
	ContainerPort int    `json:"containerPort"`
	HostPort      int    `json:"hostPort,omitempty"`
	Protocol      string `json:"protocol"` // tcp, udp
	AppProtocol   string `json:"appProtocol,omitempty"`
}

// MountPoint mounts a volume of the task.
type MountPoint struct {
	SourceVolume  string `json:"sourceVolume"`
	ContainerPath string `json:"containerPath"`
	ReadOnly      bool   `json:"readOnly,omitempty"`
}

// VolumeFrom mounts what another container mounts.
type VolumeFrom struct {
	SourceContainer string `json:"sourceContainer"`
	ReadOnly        bool   `json:"readOnly,omitempty"`
}

// Dependency conditions.
const (
	DependencyStart    = "START"
	DependencyComplete = "COMPLETE"
	DependencySuccess  = "SUCCESS"
	DependencyHealthy  = "HEALTHY"
)

// Dependency makes a container wait for another one.
type Dependency struct {
	Container string `json:"containerName"`
	Condition string `json:"condition"`
}

// ContainerHealth is a container's health check; times in seconds with AWS's defaults filled in (30, 5, 3, 0).
type ContainerHealth struct {
	Command     []string `json:"command"`
	Interval    int      `json:"interval"`
	Timeout     int      `json:"timeout"`
	Retries     int      `json:"retries"`
	StartPeriod int      `json:"startPeriod,omitempty"`
}

// Ulimit is a resource limit of a container's processes.
type Ulimit struct {
	Name string `json:"name"`
	Soft int64  `json:"softLimit"`
	Hard int64  `json:"hardLimit"`
}

// LogConfiguration says where a container's output goes; the driver is awslogs.
type LogConfiguration struct {
	Driver  string            `json:"logDriver"`
	Options map[string]string `json:"options,omitempty"`
}

// RestartPolicy restarts a container in place.
type RestartPolicy struct {
	Enabled          bool  `json:"enabled"`
	IgnoredExitCodes []int `json:"ignoredExitCodes,omitempty"`
	AttemptPeriod    int   `json:"restartAttemptPeriod,omitempty"` // 0: 300 s
}
