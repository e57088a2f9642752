package task

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/neargate/neargate/internal/keeper/metadata"
	"github.com/neargate/neargate/internal/model"
)

// containerResponse and taskResponse are the documents of task metadata version 4 (aws-facts 1.11).
type containerResponse struct {
	DockerID      string            `json:"DockerId"`
	Name          string            `json:"Name"`
	DockerName    string            `json:"DockerName"`
	Image         string            `json:"Image"`
	ImageID       string            `json:"ImageID"`
	Ports         []portResponse    `json:"Ports,omitempty"`
	Labels        map[string]string `json:"Labels,omitempty"`
	DesiredStatus string            `json:"DesiredStatus"`
	KnownStatus   string            `json:"KnownStatus"`
	ExitCode      *int              `json:"ExitCode,omitempty"`
	Limits        limitsResponse    `json:"Limits"`
	CreatedAt     *time.Time        `json:"CreatedAt,omitempty"`
	StartedAt     *time.Time        `json:"StartedAt,omitempty"`
	FinishedAt    *time.Time        `json:"FinishedAt,omitempty"`
	Type          string            `json:"Type"`
	Health        *healthResponse   `json:"Health,omitempty"`
	LogDriver     string            `json:"LogDriver,omitempty"`
	LogOptions    map[string]string `json:"LogOptions,omitempty"`
	ContainerARN  string            `json:"ContainerARN"`
	Networks      []networkResponse `json:"Networks,omitempty"`
	Snapshotter   string            `json:"Snapshotter"`
	RestartCount  *int              `json:"RestartCount,omitempty"`
}

type portResponse struct {
	ContainerPort int    `json:"ContainerPort"`
	Protocol      string `json:"Protocol"`
}

type limitsResponse struct {
	CPU    float64 `json:"CPU"`
	Memory int     `json:"Memory,omitempty"`
}

type healthResponse struct {
	Status   string     `json:"status"`
	Since    *time.Time `json:"statusSince,omitempty"`
	ExitCode *int       `json:"exitCode,omitempty"`
	Output   string     `json:"output,omitempty"`
}

type networkResponse struct {
	NetworkMode       string   `json:"NetworkMode"`
	IPv4Addresses     []string `json:"IPv4Addresses"`
	AttachmentIndex   int      `json:"AttachmentIndex"`
	MACAddress        string   `json:"MACAddress"`
	IPv4SubnetCIDR    string   `json:"IPv4SubnetCIDRBlock"`
	DomainNameServers []string `json:"DomainNameServers"`
	DomainNameSearch  []string `json:"DomainNameSearchList"`
	PrivateDNSName    string   `json:"PrivateDNSName"`
	SubnetGateway     string   `json:"SubnetGatewayIpv4Address"`
}

type taskResponse struct {
	Cluster            string              `json:"Cluster"`
	TaskARN            string              `json:"TaskARN"`
	Family             string              `json:"Family"`
	Revision           string              `json:"Revision"`
	DesiredStatus      string              `json:"DesiredStatus"`
	KnownStatus        string              `json:"KnownStatus"`
	Limits             limitsResponse      `json:"Limits"`
	PullStartedAt      *time.Time          `json:"PullStartedAt,omitempty"`
	PullStoppedAt      *time.Time          `json:"PullStoppedAt,omitempty"`
	ExecutionStoppedAt *time.Time          `json:"ExecutionStoppedAt,omitempty"`
	AvailabilityZone   string              `json:"AvailabilityZone"`
	LaunchType         string              `json:"LaunchType"`
	Containers         []containerResponse `json:"Containers"`
	TaskTags           map[string]string   `json:"TaskTags,omitempty"`
	VPCID              string              `json:"VPCID,omitempty"`
	ServiceName        string              `json:"ServiceName,omitempty"`
}

// documents is what the metadata of a task is made from.
type documents struct {
	task       *model.Task
	definition *model.TaskDefinition
	cluster    string // ARN
	subnet     netip.Prefix
	at         place
	containers map[string]observed
	images     map[string]string // container name to its image's configuration digest
}

// compileMetadata makes what the keeper serves at the metadata endpoint.
func compileMetadata(d documents) (metadata.Config, error) {
	out := metadata.Config{}
	t := d.task
	task := taskResponse{
		Cluster: d.cluster, TaskARN: t.ARN, Family: d.definition.Family, Revision: strconv.Itoa(d.definition.Revision),
		DesiredStatus: t.Desired, KnownStatus: t.State.String(), Limits: limitsResponse{CPU: float64(t.CPU) / 1024, Memory: t.MemoryMiB},
		PullStartedAt: when(t.PullStartedAt), PullStoppedAt: when(t.PullStoppedAt), ExecutionStoppedAt: when(t.ExecutionStoppedAt),
		AvailabilityZone: t.AZ, LaunchType: "FARGATE", VPCID: t.VPCID, ServiceName: t.Service,
	}
	for i := range d.definition.Containers {
		c := d.container(&d.definition.Containers[i])
		task.Containers = append(task.Containers, c)
		raw, err := json.Marshal(c)
		if err != nil {
			return out, fmt.Errorf("encode metadata of %s: %w", c.Name, err)
		}
		id := runtimeID(t.ID, c.Name)
		out.Containers = append(out.Containers, metadata.Container{
			ID: id, DockerID: id, Name: c.Name, Document: raw, Cgroup: d.at.cgroup + "/" + id,
		})
	}
	var err error
	if out.Task, err = json.Marshal(task); err != nil {
		return out, fmt.Errorf("encode metadata: %w", err)
	}
	task.TaskTags = t.Tags
	if out.Tagged, err = json.Marshal(task); err != nil {
		return out, fmt.Errorf("encode metadata: %w", err)
	}
	return out, nil
}

func (d documents) container(c *model.ContainerDefinition) containerResponse {
	t, o := d.task, d.containers[c.Name]
	id := runtimeID(t.ID, c.Name)
	r := containerResponse{
		DockerID: id, Name: c.Name, DockerName: c.Name, Image: c.Image, ImageID: d.images[c.Name], DesiredStatus: t.Desired,
		KnownStatus: o.knownStatus(), Limits: limitsResponse{CPU: float64(c.CPU), Memory: c.MemoryMiB}, StartedAt: when(o.startedAt),
		CreatedAt: when(o.firstStart), Type: "NORMAL", Snapshotter: "overlayfs",
		Labels: map[string]string{
			"com.amazonaws.ecs.cluster": d.cluster, "com.amazonaws.ecs.container-name": c.Name, "com.amazonaws.ecs.task-arn": t.ARN,
			"com.amazonaws.ecs.task-definition-family":  d.definition.Family,
			"com.amazonaws.ecs.task-definition-version": strconv.Itoa(d.definition.Revision),
		},
	}
	for key, value := range c.DockerLabels {
		r.Labels[key] = value
	}
	for i := range t.Containers {
		if t.Containers[i].Name == c.Name {
			r.ContainerARN = t.Containers[i].ARN
		}
	}
	for _, p := range c.Ports {
		r.Ports = append(r.Ports, portResponse{ContainerPort: p.ContainerPort, Protocol: p.Protocol})
	}
	if o.phase == phaseStopped {
		r.ExitCode, r.FinishedAt = &o.exit.Code, when(o.exit.At)
	}
	if c.HealthCheck != nil {
		r.Health = &healthResponse{Status: o.health.name(), Since: when(o.health.since), Output: o.health.output}
		if !o.health.checked.IsZero() {
			r.Health.ExitCode = &o.health.exitCode
		}
	}
	if c.Log != nil {
		r.LogDriver = c.Log.Driver
		r.LogOptions = map[string]string{
			"awslogs-group": c.Log.Options[optionGroup], "awslogs-region": c.Log.Options[optionRegion],
			"awslogs-stream": logStream(c.Log.Options, c.Name, t.ID),
		}
	}
	if c.Restart != nil && c.Restart.Enabled {
		r.RestartCount = &o.restarts
	}
	if t.PrivateIP.IsValid() {
		r.Networks = []networkResponse{{
			NetworkMode: "awsvpc", IPv4Addresses: []string{t.PrivateIP.String()}, MACAddress: t.MAC, IPv4SubnetCIDR: d.subnet.String(),
			DomainNameServers: []string{d.at.resolver.String()}, DomainNameSearch: []string{model.InternalDomain(d.at.region)},
			PrivateDNSName: model.PrivateDNSName(d.at.region, t.PrivateIP), SubnetGateway: gateway(d.subnet),
		}}
	}
	return r
}

func gateway(subnet netip.Prefix) string {
	if !subnet.IsValid() {
		return ""
	}
	return netip.PrefixFrom(subnet.Addr().Next(), subnet.Bits()).String()
}

// knownStatus returns the agent's word for where a container is.
func (o observed) knownStatus() string {
	switch o.phase {
	case phaseRunning:
		return "RUNNING"
	case phaseStopped, phaseFailed:
		return "STOPPED"
	}
	return "PULLED"
}

func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
