package containerd

import (
	"fmt"
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/containerd/containerd/contrib/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/neargate/neargate/internal/container"
	"github.com/neargate/neargate/internal/fault"
)

const (
	groupAnnotation = "io.containerd.runc.v2.group" // containers with the same value share a shim
	defaultPath     = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	initTarget      = "/dev/init" // where the init program appears in a container; /dev is ours in every image
	defaultShm      = 64 << 20
	minCPUShares    = 2
	maxCPUShares    = 262144
	defaultNofile   = 65535
)

// defaultCapabilities are what a container on Fargate has.
var defaultCapabilities = []string{
	"CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD", "CAP_NET_BIND_SERVICE",
	"CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
}

var (
	maskedPaths = []string{"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
		"/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"}
	readonlyPaths = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
)

// rlimits maps ECS's names to the kernel's.
var rlimits = map[string]string{
	"core": "RLIMIT_CORE", "cpu": "RLIMIT_CPU", "data": "RLIMIT_DATA", "fsize": "RLIMIT_FSIZE", "locks": "RLIMIT_LOCKS",
	"memlock": "RLIMIT_MEMLOCK", "msgqueue": "RLIMIT_MSGQUEUE", "nice": "RLIMIT_NICE", "nofile": "RLIMIT_NOFILE",
	"nproc": "RLIMIT_NPROC", "rss": "RLIMIT_RSS", "rtprio": "RLIMIT_RTPRIO", "rttime": "RLIMIT_RTTIME",
	"sigpending": "RLIMIT_SIGPENDING", "stack": "RLIMIT_STACK",
}

// host is what the compilation needs to know of the host and the image's files.
type host struct {
	image container.Image
	users users    // the image's /etc/passwd and /etc/group
	init  []string // command of the init program

	nofile uint64 // default limit of open files
}

// Compile turns a container that is asked for into the runtime's specification.
func Compile(s container.Spec, h host) (*specs.Spec, error) {
	if err := checkID(s.ID); err != nil {
		return nil, err
	}
	args, err := processArgs(s, h.image)
	if err != nil {
		return nil, err
	}
	name := s.User
	if name == "" {
		name = h.image.User
	}
	user, err := h.users.resolve(name)
	if err != nil {
		return nil, err
	}
	caps, err := capabilities(s)
	if err != nil {
		return nil, err
	}
	limits, err := processLimits(s.Ulimits, h.nofile)
	if err != nil {
		return nil, err
	}
	mounts, err := mounts(s)
	if err != nil {
		return nil, err
	}
	if s.Init {
		if len(h.init) == 0 {
			return nil, fault.NewInvalid("init", "no init program is set up on this host")
		}
		args = append(append([]string{initTarget}, h.init[1:]...), args...)
		mounts = append(mounts, bind(h.init[0], initTarget, true))
	}
	spec := &specs.Spec{
		Version:     specs.Version,
		Root:        &specs.Root{Path: "rootfs", Readonly: s.ReadonlyRoot},
		Hostname:    s.Hostname,
		Mounts:      mounts,
		Annotations: map[string]string{},
		Process: &specs.Process{
			Args:            args,
			Env:             environment(h.image.Env, s.Env, s.Hostname),
			Cwd:             workDir(s.WorkDir, h.image.WorkDir),
			User:            user,
			NoNewPrivileges: true,
			Rlimits:         limits,
			Capabilities:    &specs.LinuxCapabilities{Bounding: caps, Effective: caps, Permitted: caps},
		},
		Linux: &specs.Linux{
			MaskedPaths:   maskedPaths,
			ReadonlyPaths: readonlyPaths,
			CgroupsPath:   path.Join(s.CgroupParent, s.ID),
			Resources:     resources(s),
			Sysctl:        s.Sysctls,
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.PIDNamespace}, {Type: specs.IPCNamespace}, {Type: specs.UTSNamespace}, {Type: specs.MountNamespace},
				{Type: specs.NetworkNamespace, Path: s.NetNS},
			},
		},
	}
	if s.Group != "" {
		spec.Annotations[groupAnnotation] = s.Group
	}
	spec.Linux.Seccomp = seccomp.DefaultProfile(spec) // reads the capabilities
	return spec, nil
}

// processArgs puts entry point and command together: an entry point of the container's own hides the image's command.
func processArgs(s container.Spec, image container.Image) ([]string, error) {
	entry, command := s.Entrypoint, s.Command
	if len(entry) == 0 {
		entry = image.Entrypoint
		if len(command) == 0 {
			command = image.Command
		}
	}
	args := append(slices.Clone(entry), command...)
	if len(args) == 0 {
		return nil, fault.NewInvalid("command", "no command specified")
	}
	for _, arg := range args {
		if strings.ContainsRune(arg, 0) {
			return nil, fault.NewInvalid("command", "an argument contains a zero byte")
		}
	}
	return args, nil
}

// environment merges in order; a later value of a name wins and takes the earlier one's place.
func environment(image, own []string, hostname string) []string {
	env := []string{defaultPath}
	if hostname != "" {
		env = append(env, "HOSTNAME="+hostname)
	}
	at := map[string]int{"PATH": 0, "HOSTNAME": 1}
	for _, pair := range slices.Concat(image, own) {
		key, _, ok := strings.Cut(pair, "=")
		if !ok || key == "" || strings.ContainsRune(pair, 0) {
			continue
		}
		if i, known := at[key]; known && i < len(env) {
			env[i] = pair
			continue
		}
		at[key] = len(env)
		env = append(env, pair)
	}
	return env
}

func workDir(own, image string) string {
	for _, dir := range []string{own, image} {
		if dir != "" {
			return path.Join("/", dir)
		}
	}
	return "/"
}

func capabilities(s container.Spec) ([]string, error) {
	set := map[string]bool{}
	for _, c := range defaultCapabilities {
		set[c] = true
	}
	for _, c := range s.DropCapabilities {
		if strings.EqualFold(c, "ALL") {
			clear(set)
			continue
		}
		delete(set, capability(c))
	}
	for _, c := range s.AddCapabilities {
		set[capability(c)] = true
	}
	out := make([]string, 0, len(set))
	for c := range set {
		if !isWord(c) {
			return nil, fault.NewInvalid("capabilities", "bad capability %q", c)
		}
		out = append(out, c)
	}
	sort.Strings(out)
	return out, nil
}

func capability(name string) string {
	name = strings.ToUpper(name)
	if !strings.HasPrefix(name, "CAP_") {
		name = "CAP_" + name
	}
	return name
}

func isWord(s string) bool {
	for _, c := range s {
		if c != '_' && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

func processLimits(asked []container.Ulimit, nofile uint64) ([]specs.POSIXRlimit, error) {
	limits := map[string]specs.POSIXRlimit{
		"RLIMIT_NOFILE": {Type: "RLIMIT_NOFILE", Soft: nofile, Hard: nofile},
	}
	for _, u := range asked {
		kind, ok := rlimits[u.Name]
		if !ok {
			return nil, fault.NewInvalid("ulimits", "unknown ulimit %q", u.Name)
		}
		limit := specs.POSIXRlimit{Type: kind, Soft: uint64(u.Soft), Hard: uint64(u.Hard)} // -1 is no limit in both forms
		if limit.Soft > limit.Hard {
			return nil, fault.NewInvalid("ulimits", "soft limit of ulimit %q is above its hard limit", u.Name)
		}
		limits[kind] = limit
	}
	out := make([]specs.POSIXRlimit, 0, len(limits))
	for _, l := range limits {
		out = append(out, l)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Type < out[j].Type })
	return out, nil
}

func resources(s container.Spec) *specs.LinuxResources {
	r := &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}}
	if s.CPUShares > 0 {
		shares := min(max(s.CPUShares, minCPUShares), maxCPUShares)
		r.CPU = &specs.LinuxCPU{Shares: &shares}
	}
	if s.Memory > 0 || s.MemoryReservation > 0 {
		r.Memory = &specs.LinuxMemory{}
	}
	if s.Memory > 0 {
		r.Memory.Limit = &s.Memory
	}
	if s.MemoryReservation > 0 {
		r.Memory.Reservation = &s.MemoryReservation
	}
	return r
}

// mounts lists the kernel's file systems and the container's own mounts, outer targets before inner ones.
func mounts(s container.Spec) ([]specs.Mount, error) {
	shm := s.ShmSize
	if shm <= 0 {
		shm = defaultShm
	}
	list := []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts",
			Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm",
			Options: []string{"nosuid", "noexec", "nodev", "mode=1777", fmt.Sprintf("size=%dk", (shm+1023)/1024)}},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
		{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"nosuid", "noexec", "nodev", "relatime", "ro"}},
	}
	own := slices.Clone(s.Mounts)
	for i, m := range own {
		if !path.IsAbs(m.Target) || path.Clean(m.Target) == "/" {
			return nil, fault.NewInvalid("mounts", "bad mount target %q", m.Target)
		}
		own[i].Target = path.Clean(m.Target)
	}
	sort.SliceStable(own, func(i, j int) bool { return own[i].Target < own[j].Target })
	for i, m := range own {
		if i > 0 && own[i-1].Target == m.Target {
			return nil, fault.NewInvalid("mounts", "two mounts on %q", m.Target)
		}
		for _, reserved := range []string{"/proc", "/sys"} {
			if m.Target == reserved || strings.HasPrefix(m.Target, reserved+"/") {
				return nil, fault.NewInvalid("mounts", "nothing can be mounted on %q", m.Target)
			}
		}
		// A volume on /dev/shm and the like takes the place of ours.
		list = slices.DeleteFunc(list, func(k specs.Mount) bool { return k.Destination == m.Target })
		list = append(list, bind(m.Source, m.Target, m.ReadOnly))
	}
	return list, nil
}

func bind(source, target string, readonly bool) specs.Mount {
	mode := "rw"
	if readonly {
		mode = "ro"
	}
	return specs.Mount{Destination: target, Type: "bind", Source: source, Options: []string{"rbind", "rprivate", mode}}
}

func checkID(id string) error {
	for _, c := range id {
		if c != '-' && c != '_' && c != '.' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return fault.NewInvalid("id", "bad container identifier %q", id)
		}
	}
	if id == "" || len(id) > 76 { // containerd's own limit
		return fault.NewInvalid("id", "bad container identifier %q", id)
	}
	return nil
}
