package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseMounts(t *testing.T) {
	for _, test := range []struct {
		name  string
		lines []string
		want  Version
		cpu   string
		trees int
	}{
		{name: "v2", want: V2, trees: 1, lines: []string{
			"24 1 0:22 / /sys rw - sysfs sysfs rw",
			"30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate",
		}},
		{name: "hybrid", want: V1, cpu: "/sys/fs/cgroup/cpu", trees: 3, lines: []string{
			"31 24 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu",
			"32 24 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
			"33 24 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw",
		}},
		{name: "v1 with controllers mounted together", want: V1, cpu: "/sys/fs/cgroup/cpu,cpuacct", trees: 2, lines: []string{
			"31 24 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct",
			"32 24 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
		}},
		{name: "none", want: 0, lines: []string{"24 1 0:22 / /sys rw - sysfs sysfs rw", "nonsense"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			tree, err := parseMounts(test.lines)
			if test.want == 0 {
				if err == nil {
					t.Fatal("no error")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := fmt.Sprint(tree.version, tree.controllers["cpu"], len(tree.mounts))
			if diff := cmp.Diff(fmt.Sprint(test.want, test.cpu, test.trees), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A v2 tree is imitated by plain files: this host may have only v1.
func TestEnsureV2WritesLimits(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"", "ng", "ng/a"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{"cgroup.subtree_control", "cpu.max", "memory.max", "memory.swap.max"} {
			if err := os.WriteFile(filepath.Join(root, dir, file), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	tree := &Tree{version: V2, mounts: []string{root}}
	if err := tree.Ensure("/ng/a", Limits{CPUQuota: 25 * time.Millisecond, Memory: 512 << 20}); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"cpu.max": "25000 100000", "memory.max": "536870912", "memory.swap.max": "0"} {
		got, _ := os.ReadFile(filepath.Join(root, "ng/a", file))
		if string(got) != want {
			t.Errorf("%s = %q, want %q", file, got, want)
		}
	}
}

func TestStatsV2(t *testing.T) {
	root := t.TempDir()
	for file, content := range map[string]string{
		"memory.current": "4096\n", "memory.peak": "8192\n", "memory.max": "max\n", "memory.stat": "anon 4096\nfile 0\n",
		"cpu.stat":     "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\nnr_periods 3\nnr_throttled 1\nthrottled_usec 20\n",
		"pids.current": "2\n", "io.stat": "254:0 rbytes=10 wbytes=20 rios=1 wios=1\n", "memory.events.local": "oom 1\noom_kill 1\n",
	} {
		if err := os.MkdirAll(filepath.Join(root, "g"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, "g", file), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tree := &Tree{version: V2, mounts: []string{root}}
	got, err := tree.Stats("/g")
	if err != nil {
		t.Fatal(err)
	}
	got.Read = time.Time{}
	want := Stats{CPU: 1500 * time.Microsecond, CPUUser: time.Millisecond, CPUSystem: 500 * time.Microsecond, Periods: 3,
		ThrottledPeriods: 1, ThrottledTime: 20 * time.Microsecond, Memory: 4096, MemoryPeak: 8192,
		MemoryDetail: map[string]uint64{"anon": 4096, "file": 0}, Pids: 2, ReadBytes: 10, WriteBytes: 20, OOMKills: 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestBadGroups(t *testing.T) {
	tree := &Tree{version: V2, mounts: []string{t.TempDir()}}
	for _, group := range []string{"", "/", "ng", "/ng/../x", "/ng/", "/../.."} {
		if err := tree.Remove(group); err == nil {
			t.Errorf("Remove(%q) gave no error", group)
		}
	}
}

// TestHost uses the real hierarchies: limits are read back, a process is found and killed, and nothing is left.
func TestHost(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("control groups are made as root")
	}
	tree, err := Detect()
	if err != nil {
		t.Skip(err)
	}
	group := fmt.Sprintf("/ng-test-%d/task", os.Getpid())
	top := filepath.Dir(group)
	t.Cleanup(func() {
		if err := tree.Remove(top); err != nil {
			t.Error(err)
		}
		if tree.Exists(top) {
			t.Error("the group is still there")
		}
	})
	for range 2 {
		if err := tree.Ensure(group, Limits{CPUQuota: 25 * time.Millisecond, Memory: 64 << 20, Pids: 100}); err != nil {
			t.Skipf("this host lets no limits be set: %v", err)
		}
	}
	stats, err := tree.Stats(group)
	if err != nil {
		t.Fatal(err)
	}
	if stats.MemoryLimit != 64<<20 {
		t.Errorf("memory limit is %d", stats.MemoryLimit)
	}
	names, err := tree.List(top)
	if diff := cmp.Diff([]string{"task"}, names); diff != "" || err != nil {
		t.Error(diff, err)
	}
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	point := tree.controllers["memory"]
	if tree.version == V2 {
		point = tree.mounts[0]
	}
	if err := write(filepath.Join(point, group, "cgroup.procs"), fmt.Sprint(cmd.Process.Pid)); err != nil {
		t.Fatal(err)
	}
	if pids, err := tree.Procs(top); err != nil || len(pids) != 1 || pids[0] != cmd.Process.Pid {
		t.Errorf("Procs = %v, %v", pids, err)
	}
	if err := tree.Kill(top); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("process ended with %v", err)
	}
	if _, err := tree.Stats("/ng-test-none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stats of no group: %v", err)
	}
}
