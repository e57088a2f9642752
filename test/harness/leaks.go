package harness

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The names by which things on a host can be told to be ours. They are written down again here and not taken from
// internal/model: a test that asks the code what to look for finds nothing when the code forgets.
const (
	namespaceDir    = "/run/netns"
	namespacePrefix = "ng-"
	linkPrefix      = "ng"
	tableName       = "neargate"
	cgroupName      = "ng" // below the root of every hierarchy
)

// Leaks lists what a daemon with that data directory has left on the host: processes, mounts and files of its
// directory, and what [HostLeaks] finds.
func Leaks(data string) []string {
	var left []string
	for pid, command := range processes(data) {
		left = append(left, fmt.Sprintf("process %d: %s", pid, command))
	}
	for _, m := range mountsBelow(data) {
		left = append(left, "mount "+m)
	}
	if entries, err := os.ReadDir(data); err == nil {
		for _, e := range entries {
			left = append(left, "file "+filepath.Join(data, e.Name()))
		}
	}
	left = append(left, HostLeaks()...)
	slices.Sort(left)
	return left
}

// HostLeaks lists what is there of any Neargate in the kernel: namespaces, links, rules and control groups.
func HostLeaks() []string {
	var left []string
	for _, n := range Namespaces() {
		left = append(left, "network namespace "+n)
	}
	if links, err := net.Interfaces(); err == nil {
		for _, l := range links {
			if strings.HasPrefix(l.Name, linkPrefix) || strings.HasPrefix(l.Name, "igw") {
				left = append(left, "link "+l.Name)
			}
		}
	}
	if out, err := exec.Command("nft", "list", "tables").Output(); err == nil && bytes.Contains(out, []byte(tableName)) {
		left = append(left, "nft table: "+strings.TrimSpace(string(out)))
	}
	if out, err := exec.Command("ip", "route", "show", "table", "all", "proto", "78").Output(); err == nil && len(bytes.TrimSpace(out)) > 0 {
		left = append(left, "route: "+strings.TrimSpace(string(out)))
	}
	return append(left, cgroups()...)
}

// ours are the network namespaces that a daemon makes; ng-test-* are those of other packages' tests.
var ours = regexp.MustCompile(`^ng-(edge$|vpc-|task-|nat-|lb-)`)

// Namespaces lists the network namespaces that are ours.
func Namespaces() []string {
	entries, _ := os.ReadDir(namespaceDir)
	var names []string
	for _, e := range entries {
		if ours.MatchString(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names
}

// Processes counts the processes of a data directory.
func (d *Daemon) Processes() []string {
	var names []string
	for pid, command := range processes(d.Data) {
		names = append(names, fmt.Sprintf("%d %s", pid, command))
	}
	slices.Sort(names)
	return names
}

// Mounts lists the mount points below the data directory.
func (d *Daemon) Mounts() []string { return mountsBelow(d.Data) }

// processes finds those that were started with the data directory in their arguments, or live in its folders.
func processes(data string) map[int]string {
	found := map[int]string{}
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		args, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		cwd, _ := os.Readlink(filepath.Join("/proc", e.Name(), "cwd"))
		if bytes.Contains(args, []byte(data)) || strings.HasPrefix(cwd, data+"/") {
			found[pid] = strings.TrimSpace(string(bytes.ReplaceAll(args, []byte{0}, []byte{' '})))
		}
	}
	return found
}

func mountsBelow(data string) []string {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return []string{err.Error()}
	}
	defer f.Close()
	var points []string
	for s := bufio.NewScanner(f); s.Scan(); {
		if fields := strings.Fields(s.Text()); len(fields) > 4 && strings.HasPrefix(fields[4], data+"/") {
			points = append(points, fields[4])
		}
	}
	return points
}

// cgroups lists the control groups of tasks.
func cgroups() []string {
	var left []string
	for _, pattern := range []string{"/sys/fs/cgroup/" + cgroupName, "/sys/fs/cgroup/*/" + cgroupName} {
		found, _ := filepath.Glob(pattern)
		for _, path := range found {
			left = append(left, "control group "+path)
		}
	}
	return left
}

// force removes what [Leaks] lists as well as it can.
func force(data string) error {
	var errs []error
	for range 10 { // one that is still there may start another
		found := processes(data)
		if len(found) == 0 {
			break
		}
		for pid := range found {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(50 * time.Millisecond)
	}
	for _, group := range cgroups() {
		path := strings.TrimPrefix(group, "control group ")
		killGroup(path)
		errs = append(errs, removeGroup(path))
	}
	time.Sleep(200 * time.Millisecond) // what was killed holds mounts and namespaces until it is reaped
	for _, m := range slices.Backward(mountsBelow(data)) {
		_ = unix.Unmount(m, unix.MNT_DETACH)
	}
	for _, n := range Namespaces() {
		path := filepath.Join(namespaceDir, n)
		_ = unix.Unmount(path, unix.MNT_DETACH)
		errs = append(errs, os.Remove(path))
	}
	return errors.Join(errs...)
}

func killGroup(path string) {
	_ = filepath.WalkDir(path, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.Name() != "cgroup.procs" {
			return nil
		}
		b, _ := os.ReadFile(p)
		for _, field := range strings.Fields(string(b)) {
			if pid, err := strconv.Atoi(field); err == nil && pid > 1 {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		return nil
	})
}

func removeGroup(path string) error {
	var dirs []string
	_ = filepath.WalkDir(path, func(p string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			dirs = append(dirs, p)
		}
		return nil
	})
	var last error
	for try := 0; try < 50; try++ {
		last = nil
		for _, d := range slices.Backward(dirs) {
			if err := unix.Rmdir(d); err != nil && !errors.Is(err, unix.ENOENT) {
				last = fmt.Errorf("remove %s: %w", d, err)
			}
		}
		if last == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return last
}

func list(items []string) string {
	const most = 30
	more := ""
	if len(items) > most {
		more, items = fmt.Sprintf("\n  and %d more", len(items)-most), items[:most]
	}
	return fmt.Sprintf("%d things:\n  %s%s", len(items), strings.Join(items, "\n  "), more)
}
