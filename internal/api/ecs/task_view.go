package ecs

import (
	"time"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ecsapi"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// task returns the wire form of a task, in the shape that Fargate has (aws-facts 1.5).
func (s *Server) task(r store.Reader, t *model.Task, withTags bool) ecsapi.Task {
	out := ecsapi.Task{
		Attachments: []ecsapi.Attachment{s.attachment(t)}, AvailabilityZone: awsapi.NonZero(t.AZ), CapacityProviderName: awsapi.NonZero(t.CapacityProvider),
		Attributes: []ecsapi.Attribute{{Name: awsapi.Ptr("ecs.cpu-architecture"), Value: awsapi.Ptr(architectureAttribute())}},
		ClusterArn: awsapi.Ptr(s.scope.ClusterARN(t.Cluster)), Connectivity: ecsapi.Connectivity(t.Connectivity), ConnectivityAt: at(t.ConnectivityAt),
		Containers: []ecsapi.Container{}, Cpu: awsapi.Ptr(itoa(t.CPU)), CreatedAt: at(t.CreatedAt), DesiredStatus: awsapi.Ptr(t.Desired),
		EnableExecuteCommand: awsapi.Ptr(t.EnableExec), EphemeralStorage: &ecsapi.EphemeralStorage{SizeInGiB: awsapi.Ptr(int32(t.EphemeralGiB))},
		ExecutionStoppedAt: at(t.ExecutionStoppedAt), FargateEphemeralStorage: &ecsapi.TaskEphemeralStorage{SizeInGiB: awsapi.Ptr(int32(t.EphemeralGiB))},
		Group: awsapi.Ptr(t.Group), HealthStatus: ecsapi.HealthStatus(t.Health), InferenceAccelerators: []ecsapi.InferenceAccelerator{},
		LastStatus: awsapi.Ptr(t.State.String()), LaunchType: ecsapi.LaunchType(t.LaunchType), Memory: awsapi.Ptr(itoa(t.MemoryMiB)),
		Overrides: overridesView(t), PlatformFamily: awsapi.Ptr("Linux"), PlatformVersion: awsapi.Ptr(t.PlatformVersion),
		PullStartedAt: at(t.PullStartedAt), PullStoppedAt: at(t.PullStoppedAt), StartedAt: at(t.StartedAt), StartedBy: awsapi.NonZero(t.StartedBy),
		StoppedAt: at(t.StoppedAt), StoppingAt: at(t.StoppingAt), Tags: []ecsapi.Tag{}, TaskArn: awsapi.Ptr(t.ARN), TaskDefinitionArn: awsapi.Ptr(t.DefinitionARN),
		Version: awsapi.Ptr(int64(t.Version)),
	}
	if t.Desired == model.DesiredStopped {
		out.StopCode, out.StoppedReason = ecsapi.TaskStopCode(t.StopCode), awsapi.NonZero(t.StoppedReason)
	}
	if withTags {
		out.Tags = tagList(t.Tags)
	}
	definition, _ := s.tables.TaskDefinitions.Get(r, t.DefinitionKey)
	for i := range t.Containers {
		out.Containers = append(out.Containers, containerView(t, definition, &t.Containers[i]))
	}
	return out
}

// at returns a time for the wire, nil for one that has not come.
func at(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func architectureAttribute() string {
	if hostArchitecture() == ecsapi.CPUArchitectureArm64 {
		return "arm64"
	}
	return "x86_64"
}

// attachment returns the task's ENI in the order of details that AWS has; what is not known yet is left out.
func (s *Server) attachment(t *model.Task) ecsapi.Attachment {
	out := ecsapi.Attachment{Id: awsapi.Ptr(t.AttachmentID), Type: awsapi.Ptr("ElasticNetworkInterface"), Status: awsapi.Ptr(t.Attachment), Details: []ecsapi.KeyValuePair{}}
	add := func(name, value string) {
		if value != "" {
			out.Details = append(out.Details, ecsapi.KeyValuePair{Name: &name, Value: &value})
		}
	}
	add("subnetId", t.SubnetID)
	add("networkInterfaceId", t.ENIID)
	add("macAddress", t.MAC)
	if t.PrivateIP.IsValid() {
		add("privateDnsName", model.PrivateDNSName(s.scope.Region, t.PrivateIP))
		add("privateIPv4Address", t.PrivateIP.String())
	}
	return out
}

func containerView(t *model.Task, d *model.TaskDefinition, c *model.ContainerStatus) ecsapi.Container {
	out := ecsapi.Container{
		ContainerArn: awsapi.Ptr(c.ARN), Cpu: awsapi.Ptr("0"), HealthStatus: ecsapi.HealthStatus(c.Health), Image: awsapi.Ptr(c.Image), ImageDigest: awsapi.NonZero(c.ImageDigest),
		LastStatus: awsapi.Ptr(c.LastStatus), Name: awsapi.Ptr(c.Name), NetworkBindings: []ecsapi.NetworkBinding{}, NetworkInterfaces: []ecsapi.NetworkInterface{},
		Reason: awsapi.NonZero(c.Reason), RuntimeId: awsapi.NonZero(c.RuntimeID), TaskArn: awsapi.Ptr(t.ARN),
	}
	if c.ExitCode != nil {
		out.ExitCode = awsapi.Ptr(int32(*c.ExitCode))
	}
	if t.PrivateIP.IsValid() {
		out.NetworkInterfaces = append(out.NetworkInterfaces, ecsapi.NetworkInterface{AttachmentId: awsapi.Ptr(t.AttachmentID), PrivateIpv4Address: awsapi.Ptr(t.PrivateIP.String())})
	}
	if d == nil {
		return out
	}
	for _, def := range d.Containers {
		if def.Name != c.Name {
			continue
		}
		out.Cpu = awsapi.Ptr(itoa(def.CPU))
		if def.MemoryMiB > 0 {
			out.Memory = awsapi.Ptr(itoa(def.MemoryMiB))
		}
		if def.MemoryReservationMiB > 0 {
			out.MemoryReservation = awsapi.Ptr(itoa(def.MemoryReservationMiB))
		}
	}
	return out
}

// overridesView has an entry for every container, also for those without an override (aws-facts 1.5).
func overridesView(t *model.Task) *ecsapi.TaskOverride {
	out := &ecsapi.TaskOverride{
		ContainerOverrides: []ecsapi.ContainerOverride{}, InferenceAcceleratorOverrides: []ecsapi.InferenceAcceleratorOverride{},
		Cpu: awsapi.NonZero(t.Overrides.CPU), Memory: awsapi.NonZero(t.Overrides.Memory),
		TaskRoleArn: awsapi.NonZero(t.Overrides.TaskRoleARN), ExecutionRoleArn: awsapi.NonZero(t.Overrides.ExecutionRoleARN),
	}
	if n := t.Overrides.EphemeralGiB; n > 0 {
		out.EphemeralStorage = &ecsapi.EphemeralStorage{SizeInGiB: awsapi.Ptr(int32(n))}
	}
	for _, c := range t.Containers {
		one := ecsapi.ContainerOverride{Name: awsapi.Ptr(c.Name)}
		for _, o := range t.Overrides.Containers {
			if o.Name != c.Name {
				continue
			}
			one.Command, one.Cpu, one.Memory, one.MemoryReservation = o.Command, toInt32(o.CPU), toInt32(o.MemoryMiB), toInt32(o.MemoryReservationMiB)
			for _, e := range o.Environment {
				one.Environment = append(one.Environment, ecsapi.KeyValuePair{Name: awsapi.Ptr(e.Name), Value: awsapi.Ptr(e.Value)})
			}
		}
		out.ContainerOverrides = append(out.ContainerOverrides, one)
	}
	return out
}

func toInt32(n *int) *int32 {
	if n == nil {
		return nil
	}
	return awsapi.Ptr(int32(*n))
}
