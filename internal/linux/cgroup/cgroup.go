// Package cgroup makes control groups that hold a task together: one group with the task's CPU and memory limits, below
// which the container runtime makes one group per container.
//
// It speaks both versions: v2 (one tree) and v1, also the hybrid form with a v2 tree beside v1 controllers. It starts no
// processes and moves none, and knows nothing of tasks: a group is a slash-separated path below the root of every tree.
// Start at [Detect] and [Tree].
package cgroup

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Version is the generation of control groups in use.
type Version int

// The versions. A hybrid host counts as V1: its controllers are v1 ones.
const (
	V1 Version = 1
	V2 Version = 2
)

// DefaultPeriod is the CPU bandwidth period of both versions.
const DefaultPeriod = 100 * time.Millisecond

// Tree is the set of control group hierarchies of this host.
type Tree struct {
	version     Version
	mounts      []string          // every hierarchy, each of which has the same groups
	controllers map[string]string // v1: controller name to its mount point
}

// Limits are what a group may use; a zero field is no limit.
type Limits struct {
	CPUQuota time.Duration // CPU time per DefaultPeriod
	Memory   int64         // bytes; no swap beyond it
	Pids     int64
}

// Detect reads which hierarchies are mounted.
func Detect() (*Tree, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("read mounts: %w", err)
	}
	defer f.Close()
	var lines []string
	for s := bufio.NewScanner(f); s.Scan(); {
		lines = append(lines, s.Text())
	}
	return parseMounts(lines)
}

// parseMounts finds the hierarchies in the lines of /proc/self/mountinfo.
func parseMounts(lines []string) (*Tree, error) {
	t := &Tree{controllers: map[string]string{}}
	seen := map[string]bool{}
	unified := ""
	for _, line := range lines {
		before, after, ok := strings.Cut(line, " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 5 || len(right) < 3 {
			continue
		}
		point, kind := left[4], right[0]
		if (kind != "cgroup" && kind != "cgroup2") || seen[point] {
			continue
		}
		seen[point] = true
		t.mounts = append(t.mounts, point)
		if kind == "cgroup2" {
			unified = point
			continue
		}
		for _, option := range strings.Split(right[2], ",") {
			t.controllers[option] = point
		}
	}
	switch {
	case t.controllers["memory"] != "" && t.controllers["cpu"] != "":
		t.version = V1
	case unified != "":
		t.version, t.mounts = V2, []string{unified}
	default:
		return nil, errors.New("no control groups are mounted (neither cgroup2 nor the v1 controllers cpu and memory)")
	}
	return t, nil
}

// Version returns which generation holds the CPU and memory controllers.
func (t *Tree) Version() Version { return t.version }

// Ensure makes the group, and those above it, and sets its limits. Doing it twice changes nothing.
func (t *Tree) Ensure(group string, l Limits) error {
	if err := checkGroup(group); err != nil {
		return err
	}
	if t.version == V2 {
		return t.ensureV2(group, l)
	}
	return t.ensureV1(group, l)
}

func (t *Tree) ensureV1(group string, l Limits) error {
	for _, controller := range []string{"cpu", "cpuacct", "memory", "pids"} {
		if point := t.controllers[controller]; point != "" {
			if err := os.MkdirAll(filepath.Join(point, group), 0o755); err != nil {
				return fmt.Errorf("make %s group: %w", controller, err)
			}
		}
	}
	set := func(controller, file, value string) error {
		point := t.controllers[controller]
		if point == "" {
			return fmt.Errorf("set %s: the %s controller is not mounted", file, controller)
		}
		return write(filepath.Join(point, group, file), value)
	}
	if l.CPUQuota > 0 {
		if err := set("cpu", "cpu.cfs_period_us", micros(DefaultPeriod)); err != nil {
			return err
		}
		if err := set("cpu", "cpu.cfs_quota_us", micros(l.CPUQuota)); err != nil {
			return err
		}
	}
	if l.Memory > 0 {
		value := strconv.FormatInt(l.Memory, 10)
		if err := set("memory", "memory.limit_in_bytes", value); err != nil {
			return err
		}
		// Memory plus swap; absent where the kernel does no swap accounting.
		if err := set("memory", "memory.memsw.limit_in_bytes", value); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if l.Pids > 0 {
		return set("pids", "pids.max", strconv.FormatInt(l.Pids, 10))
	}
	return nil
}

func (t *Tree) ensureV2(group string, l Limits) error {
	root := t.mounts[0]
	// A controller works in a group only if every group above hands it down.
	dir := root
	for _, part := range strings.Split(strings.Trim(group, "/"), "/") {
		for _, controller := range []string{"+cpu", "+memory", "+pids", "+io", "+cpuset"} {
			err := write(filepath.Join(dir, "cgroup.subtree_control"), controller)
			if err != nil && (controller == "+cpu" || controller == "+memory") {
				return fmt.Errorf("hand down the %s controller: %w", controller[1:], err)
			}
		}
		dir = filepath.Join(dir, part)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make group: %w", err)
		}
	}
	if l.CPUQuota > 0 {
		if err := write(filepath.Join(dir, "cpu.max"), micros(l.CPUQuota)+" "+micros(DefaultPeriod)); err != nil {
			return err
		}
	}
	if l.Memory > 0 {
		if err := write(filepath.Join(dir, "memory.max"), strconv.FormatInt(l.Memory, 10)); err != nil {
			return err
		}
		if err := write(filepath.Join(dir, "memory.swap.max"), "0"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if l.Pids > 0 {
		return write(filepath.Join(dir, "pids.max"), strconv.FormatInt(l.Pids, 10))
	}
	return nil
}

// Exists reports whether the group is there.
func (t *Tree) Exists(group string) bool {
	for _, point := range t.mounts {
		if _, err := os.Stat(filepath.Join(point, group)); err == nil {
			return true
		}
	}
	return false
}

// List returns the names of the groups directly below group.
func (t *Tree) List(group string) ([]string, error) {
	if err := checkGroup(group); err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	var names []string
	for _, point := range t.mounts {
		entries, err := os.ReadDir(filepath.Join(point, group))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list groups: %w", err)
		}
		for _, e := range entries {
			if e.IsDir() && !seen[e.Name()] {
				seen[e.Name()] = true
				names = append(names, e.Name())
			}
		}
	}
	return names, nil
}

// Procs returns the processes in the group and below it.
func (t *Tree) Procs(group string) ([]int, error) {
	if err := checkGroup(group); err != nil {
		return nil, err
	}
	seen := map[int]bool{}
	var pids []int
	for _, point := range t.mounts {
		err := filepath.WalkDir(filepath.Join(point, group), func(p string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return ignoreNotExist(err)
			}
			data, err := os.ReadFile(filepath.Join(p, "cgroup.procs"))
			if err != nil {
				return ignoreNotExist(err)
			}
			for _, field := range strings.Fields(string(data)) {
				if pid, err := strconv.Atoi(field); err == nil && !seen[pid] {
					seen[pid] = true
					pids = append(pids, pid)
				}
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("list processes: %w", err)
		}
	}
	return pids, nil
}

// Kill sends SIGKILL to every process in the group and below it.
func (t *Tree) Kill(group string) error {
	pids, err := t.Procs(group)
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("kill process %d: %w", pid, err)
		}
	}
	return nil
}

// Remove deletes the group and those below it from every hierarchy. A process that still lives inside makes it fail;
// one that is just being reaped is waited for. Removing what does not exist is no error.
func (t *Tree) Remove(group string) error {
	if err := checkGroup(group); err != nil {
		return err
	}
	for _, point := range t.mounts {
		if err := removeAll(filepath.Join(point, group)); err != nil {
			return fmt.Errorf("remove group: %w", err)
		}
	}
	return nil
}

// removeAll removes directories only, deepest first: the files of a control group cannot be removed.
func removeAll(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ignoreNotExist(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeAll(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	for wait := time.Millisecond; ; wait *= 2 {
		err := syscall.Rmdir(dir)
		if err == nil || errors.Is(err, syscall.ENOENT) {
			return nil
		}
		if !errors.Is(err, syscall.EBUSY) || wait > 200*time.Millisecond {
			return &fs.PathError{Op: "rmdir", Path: dir, Err: err}
		}
		time.Sleep(wait) // a dead process leaves its group a moment after its parent has seen it die
	}
}

func checkGroup(group string) error {
	if !strings.HasPrefix(group, "/") || path.Clean(group) != group || group == "/" {
		return fmt.Errorf("bad control group %q", group)
	}
	return nil
}

func ignoreNotExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV) {
		return nil
	}
	return err
}

// write sets a control file; it must exist (asking the kernel to create it would hide that it does not).
func write(file, value string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

func micros(d time.Duration) string { return strconv.FormatInt(d.Microseconds(), 10) }
