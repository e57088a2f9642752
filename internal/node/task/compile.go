package task

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"hash/fnv"
	"net/netip"
	"path"
	"strconv"
	"strings"

	"github.com/neargate/neargate/internal/container"
	"github.com/neargate/neargate/internal/fault"
	"github.com/neargate/neargate/internal/model"
)

const (
	mib = 1 << 20

	leastShares = 2 // what ECS sets for a container without CPU units of its own

	caTarget = "/etc/neargate/ca-bundle.pem"

	labelTask      = "task"
	labelContainer = "container"
	labelImage     = "image"
)

// caVariables name the CA bundle to the AWS SDKs, OpenSSL and Go, Node.js and Python.
var caVariables = []string{"AWS_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE"}

// place is where a task lives on the host and in its VPC.
type place struct {
	region       string
	dir          string // of the task's files
	netns        string // path of its namespace
	cgroup       string // the task's group
	caBundle     string // host path; empty: none is mounted
	address      netip.Addr
	resolver     netip.Addr
	credentialID string // of the task role's credentials; empty: no role
}

// runtimeID returns the identifier of a container of a task, in the form that Fargate shows: <task id>-<10 digits>. It is
// always the same for the same container, so nothing is lost when the daemon dies between choosing and writing it down.
func runtimeID(taskID, name string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(taskID + "/" + name))
	const tenDigits, smallest = 9_000_000_000, 1_000_000_000
	return taskID + "-" + strconv.FormatUint(h.Sum64()%tenDigits+smallest, 10)
}

// credentialsID returns the identifier that a task's credentials are served under.
func credentialsID(taskID string) string {
	b := sha256.Sum256([]byte("credentials of task " + taskID))
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// logPath returns the file that a container's output is appended to.
func logPath(dir, name string) string { return path.Join(dir, name+".log") }

// volumePath returns the folder of a shared volume.
func volumePath(dir, name string) string { return path.Join(dir, "volumes", name) }

// Compile turns one container of a task definition into what the runtime is asked for. The image is a digest.
func Compile(t *model.Task, d *model.TaskDefinition, c *model.ContainerDefinition, image string, at place) (container.Spec, error) {
	o := override(t, c.Name)
	if c.PseudoTerminal {
		return container.Spec{}, fault.New(fault.Unsupported, "container", c.Name, "pseudoTerminal is not supported")
	}
	if d.PIDMode != "" {
		return container.Spec{}, fault.New(fault.Unsupported, "task definition", d.Family, "pidMode is not supported")
	}
	mounts, err := compileMounts(d, c, at)
	if err != nil {
		return container.Spec{}, err
	}
	s := container.Spec{
		ID: runtimeID(t.ID, c.Name), Group: t.ID, Image: image,
		Labels:     map[string]string{labelTask: t.ID, labelContainer: c.Name, labelImage: image},
		Entrypoint: c.EntryPoint, Command: c.Command, Env: environment(t, c, o, at), User: c.User, WorkDir: c.WorkingDirectory,
		Hostname: cmp.Or(c.Hostname, model.PrivateDNSName(at.region, at.address)), OpenStdin: c.Interactive, Init: c.InitProcess, NetNS: at.netns, Mounts: mounts,
		ReadonlyRoot: c.ReadonlyRootFilesystem, CgroupParent: at.cgroup, CPUShares: uint64(max(leastShares, valueOr(o.CPU, c.CPU))),
		Memory:            int64(valueOr(o.MemoryMiB, c.MemoryMiB)) * mib,
		MemoryReservation: int64(valueOr(o.MemoryReservationMiB, c.MemoryReservationMiB)) * mib,
		AddCapabilities:   c.AddCapabilities, DropCapabilities: c.DropCapabilities,
	}
	if o.Command != nil {
		s.Command = o.Command
	}
	for _, u := range c.Ulimits {
		s.Ulimits = append(s.Ulimits, container.Ulimit{Name: u.Name, Soft: u.Soft, Hard: u.Hard})
	}
	for _, sc := range c.SystemControls {
		if s.Sysctls == nil {
			s.Sysctls = map[string]string{}
		}
		s.Sysctls[sc.Name] = sc.Value
	}
	if c.Log != nil {
		s.LogPath = logPath(at.dir, c.Name)
	}
	if s.Memory < 0 || s.MemoryReservation < 0 {
		return container.Spec{}, fault.NewInvalid("memory", "memory of container %s is negative", c.Name)
	}
	return s, nil
}

func override(t *model.Task, name string) model.ContainerOverride {
	for _, o := range t.Overrides.Containers {
		if o.Name == name {
			return o
		}
	}
	return model.ContainerOverride{}
}

func valueOr(override *int, value int) int {
	if override != nil {
		return *override
	}
	return value
}

// environment lists what the platform sets, then what the user sets: the user's value of a name wins.
func environment(t *model.Task, c *model.ContainerDefinition, o model.ContainerOverride, at place) []string {
	id := runtimeID(t.ID, c.Name)
	base := "http://" + model.TaskMetadata.String()
	env := []string{
		"AWS_EXECUTION_ENV=AWS_ECS_FARGATE",
		"AWS_DEFAULT_REGION=" + at.region,
		"AWS_REGION=" + at.region,
		"ECS_CONTAINER_METADATA_URI=" + base + "/v3/" + id,
		"ECS_CONTAINER_METADATA_URI_V4=" + base + "/v4/" + id,
	}
	if at.credentialID != "" {
		env = append(env, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/"+at.credentialID)
	}
	if at.caBundle != "" {
		for _, name := range caVariables {
			env = append(env, name+"="+caTarget)
		}
	}
	for _, list := range [][]model.NameValue{c.Environment, o.Environment} {
		for _, v := range list {
			env = append(env, v.Name+"="+v.Value)
		}
	}
	return env
}

func compileMounts(d *model.TaskDefinition, c *model.ContainerDefinition, at place) ([]container.Mount, error) {
	mounts := []container.Mount{
		{Source: path.Join(at.dir, "hosts"), Target: "/etc/hosts"},
		{Source: path.Join(at.dir, "resolv.conf"), Target: "/etc/resolv.conf"},
		{Source: path.Join(at.dir, "hostname"), Target: "/etc/hostname"},
	}
	if at.caBundle != "" {
		mounts = append(mounts, container.Mount{Source: at.caBundle, Target: caTarget, ReadOnly: true})
	}
	taken := map[string]bool{}
	add := func(m model.MountPoint, readonly bool) error {
		if !hasVolume(d, m.SourceVolume) {
			return fault.NewInvalid("mountPoints", "container %s mounts the unknown volume %q", c.Name, m.SourceVolume)
		}
		if !path.IsAbs(m.ContainerPath) || path.Clean(m.ContainerPath) == "/" {
			return fault.NewInvalid("mountPoints", "container %s mounts a volume on the bad path %q", c.Name, m.ContainerPath)
		}
		target := path.Clean(m.ContainerPath)
		if taken[target] {
			return nil // the container's own mount point goes before one of volumesFrom
		}
		taken[target] = true
		mounts = append(mounts, container.Mount{Source: volumePath(at.dir, m.SourceVolume), Target: target, ReadOnly: readonly, CopyUp: true})
		return nil
	}
	for _, m := range c.MountPoints {
		if err := add(m, m.ReadOnly); err != nil {
			return nil, err
		}
	}
	for _, from := range c.VolumesFrom {
		for i := range d.Containers {
			if d.Containers[i].Name != from.SourceContainer {
				continue
			}
			for _, m := range d.Containers[i].MountPoints {
				if err := add(m, m.ReadOnly || from.ReadOnly); err != nil {
					return nil, err
				}
			}
		}
	}
	own := mounts[:0]
	for _, m := range mounts { // a volume on /etc/hosts and the like replaces ours
		if !taken[m.Target] || m.CopyUp {
			own = append(own, m)
		}
	}
	return own, nil
}

func hasVolume(d *model.TaskDefinition, name string) bool {
	for _, v := range d.Volumes {
		if v.Name == name {
			return name != "" && !strings.ContainsAny(name, "/\x00") && name != "." && name != ".."
		}
	}
	return false
}

// checkCommand returns what a health check runs: CMD and its arguments, CMD-SHELL and a text for the shell, or a bare
// list. No command at all is NONE.
func checkCommand(command []string) []string {
	if len(command) == 0 || command[0] == "NONE" {
		return nil
	}
	switch command[0] {
	case "CMD":
		return command[1:]
	case "CMD-SHELL":
		return []string{"/bin/sh", "-c", strings.Join(command[1:], " ")}
	}
	return command
}

// hostsFile and its neighbours are the files that the platform writes for a task (aws-facts 1.11).
func hostsFile(at place) string {
	return "127.0.0.1 localhost\n" + at.address.String() + " " + model.PrivateDNSName(at.region, at.address) + "\n"
}

func resolvFile(at place) string {
	return "search " + model.InternalDomain(at.region) + "\nnameserver " + at.resolver.String() + "\n"
}

func hostnameFile(at place) string { return model.PrivateDNSName(at.region, at.address) + "\n" }
