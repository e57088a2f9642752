package ecs

import (
	"maps"
	"path"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/neargate/neargate/internal/awsapi/ecsapi"
	"github.com/neargate/neargate/internal/model"
)

// maxContainers is how many containers a task definition has at most (aws-facts 1.7).
const maxContainers = 10

// awslogsOptions are the options of the log driver awslogs (aws-facts 1.13). The credentials endpoint is the task's own.
var awslogsOptions = []string{"awslogs-group", "awslogs-region", "awslogs-stream-prefix", "awslogs-create-group", "awslogs-datetime-format",
	"awslogs-multiline-pattern", "mode", "max-buffer-size"}

// awslogsValues are the values of those options that take only some.
var awslogsValues = map[string]*regexp.Regexp{
	"mode":                 regexp.MustCompile(`^(blocking|non-blocking)$`),
	"max-buffer-size":      regexp.MustCompile(`^[0-9]+[kKmMgG]?[bB]?$`),
	"awslogs-create-group": regexp.MustCompile(`^(true|false)$`),
}

// hostArchitecture returns ECS's word for this machine's architecture.
func hostArchitecture() ecsapi.CPUArchitecture {
	if runtime.GOARCH == "arm64" {
		return ecsapi.CPUArchitectureArm64
	}
	return ecsapi.CPUArchitectureX8664
}

// checkDefinition refuses what no single member shows: names that are missing, ports that collide, containers that
// wait for each other.
func checkDefinition(d *model.TaskDefinition) error {
	switch {
	case len(d.Containers) == 0:
		return client("Container list cannot be empty.")
	case len(d.Containers) > maxContainers:
		return client("A task definition has at most %d containers.", maxContainers)
	case !slices.ContainsFunc(d.Containers, func(c model.ContainerDefinition) bool { return c.Essential }):
		return client("At least one container in a task definition must be marked as essential.")
	}
	cpu, memory := 0, 0
	for i, c := range d.Containers {
		if slices.ContainsFunc(d.Containers[:i], func(o model.ContainerDefinition) bool { return o.Name == c.Name }) {
			return client("Container names must be unique: '%s' is there twice.", c.Name)
		}
		if err := checkContainer(d, c); err != nil {
			return err
		}
		cpu, memory = cpu+c.CPU, memory+reserved(c)
	}
	switch {
	case cpu > d.CPU:
		return client("The sum of all container 'cpu' values (%d) cannot be greater than the value of the task 'cpu' (%d).", cpu, d.CPU)
	case memory > d.MemoryMiB:
		return client("The sum of all container 'memory' values (%d) cannot be greater than the value of the task 'memory' (%d).", memory, d.MemoryMiB)
	}
	if err := checkPorts(d); err != nil {
		return err
	}
	return checkDependencies(d)
}

// reserved returns how much of the task's memory a container has to itself: its soft limit, or else its hard one.
func reserved(c model.ContainerDefinition) int {
	if c.MemoryReservationMiB > 0 {
		return c.MemoryReservationMiB
	}
	return c.MemoryMiB
}

func checkContainer(d *model.TaskDefinition, c model.ContainerDefinition) error {
	switch {
	case c.Image == "":
		return client("Container.image should not be null or empty (container %s).", c.Name)
	case d.ExecutionRoleARN == "" && strings.Contains(c.Image, ".dkr.ecr."):
		return client("Fargate requires task definition to have execution role ARN to support ECR images.")
	case c.Hostname != "":
		return client("The 'hostname' parameter is not supported with network mode awsvpc (container %s).", c.Name)
	case c.CPU < 0:
		return client("Invalid setting for container '%s'. 'cpu' must not be negative.", c.Name)
	case c.MemoryReservationMiB < 0:
		return client("Invalid setting for container '%s'. 'memoryReservation' must not be negative.", c.Name)
	case c.MemoryMiB > d.MemoryMiB:
		return client("Invalid setting for container '%s'. 'memory' (%d) cannot be greater than the value of the task 'memory' (%d).", c.Name, c.MemoryMiB, d.MemoryMiB)
	case c.MemoryMiB != 0 && c.MemoryMiB < 6:
		return client("Invalid setting for container '%s'. 'memory' must be at least 6 MiB.", c.Name)
	case c.MemoryMiB != 0 && c.MemoryReservationMiB > c.MemoryMiB:
		return client("Invalid setting for container '%s'. 'memory' must be greater than 'memoryReservation'.", c.Name)
	case c.StopTimeout != 0 && (c.StopTimeout < 2 || c.StopTimeout > 120):
		return client("stopTimeout of container '%s' must be between 2 and 120 seconds on Fargate.", c.Name)
	case c.StartTimeout != 0 && (c.StartTimeout < 2 || c.StartTimeout > 120):
		return client("startTimeout of container '%s' must be between 2 and 120 seconds on Fargate.", c.Name)
	case c.WorkingDirectory != "" && !path.IsAbs(c.WorkingDirectory):
		return client("workingDirectory of container '%s' must be an absolute path.", c.Name)
	}
	for _, add := range c.AddCapabilities {
		if add != "SYS_PTRACE" {
			return client("The following capabilities cannot be added on Fargate: %s (container %s). Only SYS_PTRACE can.", add, c.Name)
		}
	}
	for _, u := range c.Ulimits {
		if u.Soft > u.Hard {
			return client("The soft limit of ulimit '%s' of container '%s' is above its hard limit.", u.Name, c.Name)
		}
		if u.Name != "nofile" {
			return client("Fargate only supports the ulimit nofile: '%s' of container '%s' cannot be set.", u.Name, c.Name)
		}
	}
	for _, sc := range c.SystemControls {
		if !isSystemControl(sc.Name) {
			return client("The system control '%s' of container '%s' is not supported.", sc.Name, c.Name)
		}
	}
	if err := checkHealth(c); err != nil {
		return err
	}
	if err := checkMounts(d, c); err != nil {
		return err
	}
	if r := c.Restart; r != nil && r.AttemptPeriod != 0 && (r.AttemptPeriod < 60 || r.AttemptPeriod > 1800) {
		return client("restartAttemptPeriod of container '%s' must be between 60 and 1800 seconds.", c.Name)
	}
	return checkLog(d, c)
}

// isSystemControl reports whether Fargate lets a task set that kernel parameter (aws-facts 1.7).
func isSystemControl(name string) bool {
	ipc := []string{"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced"}
	return strings.HasPrefix(name, "net.") || strings.HasPrefix(name, "fs.mqueue.") || slices.Contains(ipc, name)
}

func checkHealth(c model.ContainerDefinition) error {
	h := c.HealthCheck
	if h == nil {
		return nil
	}
	between := func(member string, value, low, high int) error {
		if value < low || value > high {
			return client("healthCheck.%s of container '%s' must be between %d and %d.", member, c.Name, low, high)
		}
		return nil
	}
	if len(h.Command) == 0 || (len(h.Command) == 1 && (h.Command[0] == "CMD" || h.Command[0] == "CMD-SHELL")) {
		return client("healthCheck.command of container '%s' must not be empty.", c.Name)
	}
	for _, err := range []error{
		between("interval", h.Interval, 5, 300), between("timeout", h.Timeout, 2, 60), between("retries", h.Retries, 1, 10), between("startPeriod", h.StartPeriod, 0, 300),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

func checkMounts(d *model.TaskDefinition, c model.ContainerDefinition) error {
	for _, m := range c.MountPoints {
		if !slices.Contains(d.Volumes, model.Volume{Name: m.SourceVolume}) {
			return client("Unknown volume '%s' (mountPoints of container %s).", m.SourceVolume, c.Name)
		}
		if !path.IsAbs(m.ContainerPath) {
			return client("Invalid container path '%s' (mountPoints of container %s): it must be absolute.", m.ContainerPath, c.Name)
		}
	}
	for _, v := range c.VolumesFrom {
		if v.SourceContainer == c.Name || !slices.ContainsFunc(d.Containers, func(o model.ContainerDefinition) bool { return o.Name == v.SourceContainer }) {
			return client("Unknown container '%s' (volumesFrom of container %s).", v.SourceContainer, c.Name)
		}
	}
	return nil
}

func checkLog(d *model.TaskDefinition, c model.ContainerDefinition) error {
	l := c.Log
	if l == nil {
		return nil
	}
	if l.Driver != string(ecsapi.LogDriverAwslogs) {
		if l.Driver == string(ecsapi.LogDriverSplunk) || l.Driver == string(ecsapi.LogDriverAwsfirelens) {
			return unsupported("the log driver "+l.Driver, "use awslogs.")
		}
		return client("Log driver '%s' is not supported on Fargate (container %s).", l.Driver, c.Name)
	}
	if d.ExecutionRoleARN == "" {
		return client("Fargate requires task definition to have execution role ARN to support log driver awslogs.")
	}
	for _, needed := range []string{"awslogs-group", "awslogs-region", "awslogs-stream-prefix"} {
		if l.Options[needed] == "" {
			return client("Log driver awslogs requires options: %s (container %s).", needed, c.Name)
		}
	}
	options := slices.Sorted(maps.Keys(l.Options))
	for _, option := range options {
		if !slices.Contains(awslogsOptions, option) {
			return client("Log driver awslogs disallows options: %s (container %s).", option, c.Name)
		}
	}
	for option, pattern := range awslogsValues {
		if v, ok := l.Options[option]; ok && !pattern.MatchString(v) {
			return client("Log driver awslogs disallows the value '%s' of the option %s (container %s).", v, option, c.Name)
		}
	}
	if l.Options["awslogs-multiline-pattern"] != "" && l.Options["awslogs-datetime-format"] != "" {
		return client("Log driver awslogs disallows options: awslogs-multiline-pattern together with awslogs-datetime-format (container %s).", c.Name)
	}
	return nil
}

// checkPorts refuses two containers of a task on one port: they share one network namespace.
func checkPorts(d *model.TaskDefinition) error {
	type port struct {
		number   int
		protocol string
	}
	owner := map[port]string{}
	names := map[string]bool{}
	for _, c := range d.Containers {
		for _, p := range c.Ports {
			switch {
			case p.ContainerPort < 1 || p.ContainerPort > 65535:
				return client("containerPort %d of container '%s' must be between 1 and 65535.", p.ContainerPort, c.Name)
			case p.HostPort != 0 && p.HostPort != p.ContainerPort:
				return client("When networkMode=awsvpc, the host ports and container ports in port mappings must match (container %s).", c.Name)
			}
			key := port{p.ContainerPort, p.Protocol}
			if _, taken := owner[key]; taken {
				return client("The container port %d/%s is used by the containers '%s' and '%s', which share one network interface.", p.ContainerPort, p.Protocol, owner[key], c.Name)
			}
			owner[key] = c.Name
			if p.Name != "" {
				if names[p.Name] {
					return client("The port name '%s' is there twice.", p.Name)
				}
				names[p.Name] = true
			}
		}
	}
	return nil
}

// checkDependencies refuses dependsOn that cannot be met: unknown containers, conditions that do not fit, cycles.
func checkDependencies(d *model.TaskDefinition) error {
	byName := map[string]model.ContainerDefinition{}
	for _, c := range d.Containers {
		byName[c.Name] = c
	}
	for _, c := range d.Containers {
		for _, dep := range c.DependsOn {
			on, ok := byName[dep.Container]
			switch {
			case !ok:
				return client("Container '%s' has a dependency on an unknown container '%s'.", c.Name, dep.Container)
			case dep.Condition == model.DependencyHealthy && on.HealthCheck == nil:
				return client("A container's dependency on HEALTHY needs a health check: '%s' has none.", on.Name)
			case (dep.Condition == model.DependencyComplete || dep.Condition == model.DependencySuccess) && on.Essential:
				return client("A container cannot have the condition %s on an essential container: '%s'.", dep.Condition, on.Name)
			}
		}
	}
	const visiting, done = 1, 2
	state := map[string]int{}
	var visit func(name string) bool
	visit = func(name string) bool {
		switch state[name] {
		case visiting:
			return false
		case done:
			return true
		}
		state[name] = visiting
		for _, dep := range byName[name].DependsOn {
			if !visit(dep.Container) {
				return false
			}
		}
		state[name] = done
		return true
	}
	for _, c := range d.Containers {
		if !visit(c.Name) {
			return client("There is a cyclic dependency among the containers of the task definition: '%s' waits for itself.", c.Name)
		}
	}
	return nil
}
