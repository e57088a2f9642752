package doctor

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Role is what a process of ours is for.
type Role string

// The roles.
const (
	RoleDaemon     Role = "daemon"
	RoleKeeper     Role = "keeper"
	RoleContainerd Role = "containerd"
	RoleShim       Role = "shim"
	RoleHAProxy    Role = "haproxy"
	RoleContainer  Role = "container" // what runs inside a task
)

// Process is a process of an instance.
type Process struct {
	PID   int    `json:"pid"`
	Role  Role   `json:"role"`
	Owner string `json:"owner,omitempty"` // identifier of the task or load balancer that it works for
	Name  string `json:"name"`            // of its program
}

// taskID returns the first task identifier, 32 hexadecimal digits, in a text.
func taskID(text string) string {
	const digits = 32
	for start := 0; start+digits <= len(text); {
		n := 0
		for start+n < len(text) && isHex(text[start+n]) {
			n++
		}
		if n == digits {
			return text[start : start+n]
		}
		start += n + 1
	}
	return ""
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' }

// classify tells what a process of the instance in data is, by its command line; ok is false when it is none of it. The
// arguments have to be where the daemon puts them: a pager that shows a file of ours is no process of ours.
func classify(data string, argv []string) (p Process, ok bool) {
	if len(argv) < 2 {
		return Process{}, false
	}
	program := filepath.Base(argv[0])
	p.Name = program
	after := func(flag string) string {
		for i, a := range argv[1:] {
			if value, found := strings.CutPrefix(a, flag+"="); found {
				return value
			}
			if a == flag && i+2 < len(argv) {
				return argv[i+2]
			}
		}
		return ""
	}
	containerd := filepath.Join(data, "containerd")
	switch {
	case argv[1] == "keeper" && after("--data") == data:
		p.Role = RoleKeeper
	case argv[1] == "serve" && after("--data") == data:
		p.Role = RoleDaemon
	case strings.HasPrefix(program, "containerd-shim") && after("-address") == filepath.Join(containerd, "containerd.sock"):
		p.Role, p.Owner = RoleShim, taskID(after("-id"))
	case after("--config") == filepath.Join(containerd, "config.toml"):
		p.Role = RoleContainerd
	case slices.Contains(argv[1:], "-W") && strings.HasPrefix(after("-f"), filepath.Join(data, "lb")+"/"):
		p.Role, p.Owner = RoleHAProxy, filepath.Base(filepath.Dir(after("-f")))
	default:
		return Process{}, false
	}
	return p, true
}

// processes returns the processes of the instance, with those in the given control groups as containers, by their identifier.
func processes(proc, data string, contained map[int]string) []Process {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return nil
	}
	var list []Process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		argv, err := readCommand(filepath.Join(proc, e.Name()))
		if err != nil || len(argv) == 0 { // it has ended, or is the kernel's, or a zombie
			continue
		}
		if group, inside := contained[pid]; inside {
			p := Process{PID: pid, Role: RoleContainer, Owner: taskID(group), Name: filepath.Base(argv[0])}
			if p.Owner == "" {
				p.Owner = group
			}
			list = append(list, p)
			continue
		}
		if p, ok := classify(data, argv); ok {
			p.PID = pid
			list = append(list, p)
		}
	}
	slices.SortFunc(list, func(a, b Process) int { return a.PID - b.PID })
	return list
}

// readCommand returns a process's command line, empty for a zombie or a part of the kernel.
func readCommand(dir string) (argv []string, err error) {
	raw, err := os.ReadFile(filepath.Join(dir, "cmdline"))
	if err != nil || len(raw) == 0 {
		return nil, err
	}
	for part := range bytes.SplitSeq(bytes.TrimRight(raw, "\x00"), []byte{0}) {
		argv = append(argv, string(part))
	}
	return argv, nil
}
