package ecs

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ecsapi"
	"github.com/neargate/neargate/internal/model"
)

// parseDefinition turns a registration into a record, and refuses what Fargate refuses and what Neargate cannot do yet.
func (s *Server) parseDefinition(in *ecsapi.RegisterTaskDefinitionInput) (*model.TaskDefinition, error) {
	family := awsapi.Val(in.Family)
	if !resourceName.MatchString(family) {
		return nil, client("Family contains invalid characters: '%s'. It has up to 255 letters, numbers, hyphens and underscores.", family)
	}
	if err := s.checkTaskLevel(in); err != nil {
		return nil, err
	}
	cpu, memory, err := taskSize(awsapi.Val(in.Cpu), awsapi.Val(in.Memory))
	if err != nil {
		return nil, err
	}
	d := &model.TaskDefinition{
		Family: family, Status: model.TaskDefinitionActive, TaskRoleARN: s.roleARN(in.TaskRoleArn), ExecutionRoleARN: s.roleARN(in.ExecutionRoleArn),
		NetworkMode: string(ecsapi.NetworkModeAwsvpc), CPU: cpu, MemoryMiB: memory, PIDMode: string(in.PidMode),
		Compatibilities: []string{string(ecsapi.CompatibilityEc2), string(ecsapi.CompatibilityFargate)},
	}
	for _, c := range in.RequiresCompatibilities {
		d.RequiresCompat = append(d.RequiresCompat, string(c))
	}
	if in.EphemeralStorage != nil {
		d.EphemeralGiB = int(awsapi.Val(in.EphemeralStorage.SizeInGiB))
		if d.EphemeralGiB < 21 || d.EphemeralGiB > 200 {
			return nil, client("Invalid ephemeral storage size: %d. It must be between 21 and 200 GiB.", d.EphemeralGiB)
		}
	}
	if p := in.RuntimePlatform; p != nil {
		d.CPUArchitecture, d.OSFamily = string(p.CpuArchitecture), string(p.OperatingSystemFamily)
	}
	for _, v := range in.Volumes {
		volume, err := parseVolume(v)
		if err != nil {
			return nil, err
		}
		if slices.Contains(d.Volumes, volume) {
			return nil, client("Duplicate volume name '%s'.", volume.Name)
		}
		d.Volumes = append(d.Volumes, volume)
	}
	for _, c := range in.ContainerDefinitions {
		container, err := parseContainer(c)
		if err != nil {
			return nil, err
		}
		d.Containers = append(d.Containers, container)
	}
	return d, checkDefinition(d)
}

// checkTaskLevel refuses members of the task itself.
func (s *Server) checkTaskLevel(in *ecsapi.RegisterTaskDefinitionInput) error {
	if in.NetworkMode != ecsapi.NetworkModeAwsvpc {
		if slices.Contains(in.RequiresCompatibilities, ecsapi.CompatibilityFargate) {
			return client("Fargate only supports network mode ‘awsvpc’.")
		}
		return client("Neargate runs Fargate tasks only: networkMode must be awsvpc, not '%s'.", in.NetworkMode)
	}
	for _, c := range in.RequiresCompatibilities {
		if c != ecsapi.CompatibilityFargate && c != ecsapi.CompatibilityEc2 {
			return client("Neargate runs Fargate tasks only: requiresCompatibilities must not contain %s.", c)
		}
	}
	switch {
	case in.IpcMode != "":
		return client("IPC mode is not supported on Fargate (ipcMode).")
	case in.PidMode != "" && in.PidMode != ecsapi.PidModeTask:
		return client("Fargate only supports pidMode task.")
	case in.PidMode == ecsapi.PidModeTask:
		return unsupported("pidMode task", "each container has a process namespace of its own. Leave it out.")
	case len(in.PlacementConstraints) > 0:
		return client("Placement constraints are not supported on Fargate (placementConstraints).")
	case len(in.InferenceAccelerators) > 0:
		return client("Inference accelerators are not supported on Fargate (inferenceAccelerators).")
	case in.ProxyConfiguration != nil:
		return unsupported("proxyConfiguration", "App Mesh has ended. Leave it out.")
	case awsapi.Val(in.EnableFaultInjection):
		return unsupported("enableFaultInjection", "there is no fault injection yet. Leave it out or set it to false.")
	}
	if p := in.RuntimePlatform; p != nil {
		if p.OperatingSystemFamily != "" && p.OperatingSystemFamily != ecsapi.OSFamilyLinux {
			return unsupported("operatingSystemFamily "+string(p.OperatingSystemFamily), "tasks run on this Linux machine. Use LINUX.")
		}
		if p.CpuArchitecture != "" && p.CpuArchitecture != hostArchitecture() {
			return unsupported("cpuArchitecture "+string(p.CpuArchitecture), "this machine is "+string(hostArchitecture())+".")
		}
	}
	return nil
}

// roleARN returns the ARN of a role that is named by ARN or by name alone.
func (s *Server) roleARN(ref *string) string {
	name := awsapi.Val(ref)
	if name == "" || strings.HasPrefix(name, "arn:") {
		return name
	}
	return s.scope.RoleARN("/", name)
}

func parseVolume(v ecsapi.Volume) (model.Volume, error) {
	name := awsapi.Val(v.Name)
	switch {
	case !resourceName.MatchString(name):
		return model.Volume{}, client("Invalid volume name '%s': it has up to 255 letters, numbers, hyphens and underscores.", name)
	case v.Host != nil && awsapi.Val(v.Host.SourcePath) != "":
		return model.Volume{}, client("host.sourcePath should not be set for volumes in Fargate (volume %s).", name)
	case v.DockerVolumeConfiguration != nil:
		return model.Volume{}, client("dockerVolumeConfiguration is not supported on Fargate (volume %s).", name)
	case v.EfsVolumeConfiguration != nil, v.FsxWindowsFileServerVolumeConfiguration != nil, v.S3filesVolumeConfiguration != nil, awsapi.Val(v.ConfiguredAtLaunch):
		return model.Volume{}, unsupported("the configuration of volume "+name, "volumes are empty directories of the task, without efsVolumeConfiguration and configuredAtLaunch.")
	}
	return model.Volume{Name: name}, nil
}

// taskSize returns CPU units and MiB; both are needed, and are one of Fargate's pairs (aws-facts 1.7).
func taskSize(cpuText, memoryText string) (cpu, memory int, err error) {
	if cpuText == "" || memoryText == "" {
		return 0, 0, client("Fargate requires that 'cpu' and 'memory' be defined at the task level.")
	}
	cpu, ok := parseUnits(cpuText, "vcpu")
	if !ok || !slices.Contains([]int{256, 512, 1024, 2048, 4096, 8192, 16384}, cpu) {
		return 0, 0, client("Invalid 'cpu' setting for task. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.")
	}
	memory, ok = parseUnits(memoryText, "gb")
	if !ok {
		return 0, 0, client("Invalid 'memory' setting for task. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.")
	}
	if !isFargateMemory(cpu, memory) {
		return 0, 0, client("No Fargate configuration exists for given values: %d CPU, %d memory. See the Amazon ECS documentation for the valid values of cpu and memory.", cpu, memory)
	}
	return cpu, memory, nil
}

// parseUnits reads "256", or a number of whole units such as ".25 vCPU" and "0.5GB"; a unit is 1024.
func parseUnits(text, unit string) (int, bool) {
	text = strings.ToLower(strings.TrimSpace(text))
	if number, isUnit := strings.CutSuffix(text, unit); isUnit {
		f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		n := f * 1024
		if err != nil || f <= 0 || n > math.MaxInt32 || n != math.Trunc(n) {
			return 0, false
		}
		return int(n), true
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n > 0
}

// isFargateMemory reports whether Fargate has tasks with that memory in MiB for that CPU.
func isFargateMemory(cpu, memory int) bool {
	const gib = 1024
	in := func(low, high, step int) bool {
		return memory >= low*gib && memory <= high*gib && memory%(step*gib) == 0
	}
	switch cpu {
	case 256:
		return memory == 512 || memory == 1*gib || memory == 2*gib
	case 512:
		return in(1, 4, 1)
	case 1024:
		return in(2, 8, 1)
	case 2048:
		return in(4, 16, 1)
	case 4096:
		return in(8, 30, 1)
	case 8192:
		return in(16, 60, 4)
	case 16384:
		return in(32, 120, 8)
	}
	return false
}

// parseContainer turns a container definition into a record's.
func parseContainer(c ecsapi.ContainerDefinition) (model.ContainerDefinition, error) {
	name := awsapi.Val(c.Name)
	if !resourceName.MatchString(name) {
		return model.ContainerDefinition{}, client("Container name '%s' is invalid: it has up to 255 letters, numbers, hyphens and underscores.", name)
	}
	if err := refuseContainer(name, c); err != nil {
		return model.ContainerDefinition{}, err
	}
	out := model.ContainerDefinition{
		Name: name, Image: awsapi.Val(c.Image), CPU: int(awsapi.Val(c.Cpu)), MemoryMiB: int(awsapi.Val(c.Memory)), MemoryReservationMiB: int(awsapi.Val(c.MemoryReservation)),
		Essential: awsapi.Or(c.Essential, true), EntryPoint: c.EntryPoint, Command: c.Command, WorkingDirectory: awsapi.Val(c.WorkingDirectory), User: awsapi.Val(c.User),
		Hostname: awsapi.Val(c.Hostname), DockerLabels: c.DockerLabels, ReadonlyRootFilesystem: awsapi.Val(c.ReadonlyRootFilesystem), Interactive: awsapi.Val(c.Interactive),
		PseudoTerminal: awsapi.Val(c.PseudoTerminal), StartTimeout: int(awsapi.Val(c.StartTimeout)), StopTimeout: int(awsapi.Val(c.StopTimeout)),
	}
	out.FloatingImage = c.VersionConsistency == ecsapi.VersionConsistencyDisabled
	for _, e := range c.Environment {
		out.Environment = append(out.Environment, model.NameValue{Name: awsapi.Val(e.Name), Value: awsapi.Val(e.Value)})
	}
	for _, p := range c.PortMappings {
		port := model.PortMapping{Name: awsapi.Val(p.Name), ContainerPort: int(awsapi.Val(p.ContainerPort)), HostPort: int(awsapi.Val(p.HostPort)), Protocol: string(p.Protocol), AppProtocol: string(p.AppProtocol)}
		if port.Protocol == "" {
			port.Protocol = string(ecsapi.TransportProtocolTcp)
		}
		if awsapi.Val(p.ContainerPortRange) != "" {
			return out, client("containerPortRange is not supported on Fargate (container %s).", name)
		}
		out.Ports = append(out.Ports, port)
	}
	for _, m := range c.MountPoints {
		out.MountPoints = append(out.MountPoints, model.MountPoint{SourceVolume: awsapi.Val(m.SourceVolume), ContainerPath: awsapi.Val(m.ContainerPath), ReadOnly: awsapi.Val(m.ReadOnly)})
	}
	for _, v := range c.VolumesFrom {
		out.VolumesFrom = append(out.VolumesFrom, model.VolumeFrom{SourceContainer: awsapi.Val(v.SourceContainer), ReadOnly: awsapi.Val(v.ReadOnly)})
	}
	for _, d := range c.DependsOn {
		out.DependsOn = append(out.DependsOn, model.Dependency{Container: awsapi.Val(d.ContainerName), Condition: string(d.Condition)})
	}
	if h := c.HealthCheck; h != nil {
		out.HealthCheck = &model.ContainerHealth{
			Command: h.Command, Interval: int(awsapi.Or(h.Interval, 30)), Timeout: int(awsapi.Or(h.Timeout, 5)), Retries: int(awsapi.Or(h.Retries, 3)), StartPeriod: int(awsapi.Val(h.StartPeriod)),
		}
	}
	for _, u := range c.Ulimits {
		out.Ulimits = append(out.Ulimits, model.Ulimit{Name: string(u.Name), Soft: int64(awsapi.Val(u.SoftLimit)), Hard: int64(awsapi.Val(u.HardLimit))})
	}
	for _, sc := range c.SystemControls {
		out.SystemControls = append(out.SystemControls, model.NameValue{Name: awsapi.Val(sc.Namespace), Value: awsapi.Val(sc.Value)})
	}
	if l := c.LogConfiguration; l != nil {
		out.Log = &model.LogConfiguration{Driver: string(l.LogDriver), Options: l.Options}
	}
	if p := c.LinuxParameters; p != nil {
		out.InitProcess = awsapi.Val(p.InitProcessEnabled)
		if p.Capabilities != nil {
			out.AddCapabilities, out.DropCapabilities = p.Capabilities.Add, p.Capabilities.Drop
		}
	}
	if r := c.RestartPolicy; r != nil {
		out.Restart = &model.RestartPolicy{Enabled: awsapi.Val(r.Enabled), AttemptPeriod: int(awsapi.Val(r.RestartAttemptPeriod))}
		for _, code := range r.IgnoredExitCodes {
			out.Restart.IgnoredExitCodes = append(out.Restart.IgnoredExitCodes, int(code))
		}
	}
	return out, nil
}

// refuseContainer refuses members of a container that Fargate has not (aws-facts 1.7) or Neargate has not yet.
func refuseContainer(name string, c ecsapi.ContainerDefinition) error {
	onFargate := func(member string) error {
		return client("The '%s' parameter is not supported on Fargate (container %s).", member, name)
	}
	notYet := func(member, why string) error {
		return unsupported(fmt.Sprintf("%s (container %s)", member, name), why)
	}
	switch {
	case awsapi.Val(c.Privileged):
		return onFargate("privileged")
	case awsapi.Val(c.DisableNetworking):
		return onFargate("disableNetworking")
	case len(c.DnsServers) > 0:
		return onFargate("dnsServers")
	case len(c.DnsSearchDomains) > 0:
		return onFargate("dnsSearchDomains")
	case len(c.DockerSecurityOptions) > 0:
		return onFargate("dockerSecurityOptions")
	case len(c.ExtraHosts) > 0:
		return onFargate("extraHosts")
	case len(c.Links) > 0:
		return onFargate("links")
	case len(c.CredentialSpecs) > 0:
		return onFargate("credentialSpecs")
	case len(c.ResourceRequirements) > 0:
		return onFargate("resourceRequirements")
	case len(c.Secrets) > 0:
		return notYet("secrets", "Secrets Manager and Parameter Store are not there yet. Use environment.")
	case c.LogConfiguration != nil && len(c.LogConfiguration.SecretOptions) > 0:
		return notYet("logConfiguration.secretOptions", "Secrets Manager and Parameter Store are not there yet.")
	case len(c.EnvironmentFiles) > 0:
		return notYet("environmentFiles", "S3 is not there yet. Use environment.")
	case c.RepositoryCredentials != nil:
		return notYet("repositoryCredentials", "Secrets Manager is not there yet.")
	case c.FirelensConfiguration != nil:
		return notYet("firelensConfiguration", "FireLens is not there yet. Use the log driver awslogs.")
	case awsapi.Val(c.PseudoTerminal):
		return notYet("pseudoTerminal", "output goes to a log, not to a terminal. Leave it out; `neargate exec -t` gives you a terminal.")
	}
	p := c.LinuxParameters
	if p == nil {
		return nil
	}
	switch {
	case len(p.Devices) > 0:
		return onFargate("linuxParameters.devices")
	case p.SharedMemorySize != nil:
		return onFargate("linuxParameters.sharedMemorySize")
	case p.MaxSwap != nil:
		return onFargate("linuxParameters.maxSwap")
	case p.Swappiness != nil:
		return onFargate("linuxParameters.swappiness")
	case len(p.Tmpfs) > 0:
		return notYet("linuxParameters.tmpfs", "use a volume.")
	}
	return nil
}
