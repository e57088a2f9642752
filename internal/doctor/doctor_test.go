package doctor

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	task  = "0123456789abcdef0123456789abcdef"
	other = "ffffffffffffffffffffffffffffffff"
	lb    = "0123456789abcdef"
	data  = "/var/lib/neargate"
)

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		argv string
		want Process // without PID
		none bool
	}{
		{argv: "/usr/bin/neargate keeper --data /var/lib/neargate --speed 1", want: Process{Role: RoleKeeper, Name: "neargate"}},
		{argv: "neargate keeper --data=/var/lib/neargate", want: Process{Role: RoleKeeper, Name: "neargate"}},
		{argv: "neargate serve --data /var/lib/neargate", want: Process{Role: RoleDaemon, Name: "neargate"}},
		{argv: "containerd --config /var/lib/neargate/containerd/config.toml", want: Process{Role: RoleContainerd, Name: "containerd"}},
		{argv: "/usr/bin/containerd-shim-runc-v2 -namespace neargate -id " + task + "-12 -address /var/lib/neargate/containerd/containerd.sock",
			want: Process{Role: RoleShim, Owner: task, Name: "containerd-shim-runc-v2"}},
		{argv: "haproxy -W -S /var/lib/neargate/lb/" + lb + "/master.sock,mode,600 -f /var/lib/neargate/lb/" + lb + "/haproxy.cfg",
			want: Process{Role: RoleHAProxy, Owner: lb, Name: "haproxy"}},
		{argv: "haproxy -sf 12 -x sockpair@4 -W -S x -f /var/lib/neargate/lb/" + lb + "/haproxy.cfg", want: Process{Role: RoleHAProxy, Owner: lb, Name: "haproxy"}},
		// What only looks at our files, and what belongs to another instance, is none of ours.
		{argv: "tail -f /var/lib/neargate/serve.log", none: true},
		{argv: "vi /var/lib/neargate/lb/" + lb + "/haproxy.cfg", none: true},
		{argv: "less -f /var/lib/neargate/lb/" + lb + "/haproxy.cfg", none: true},
		{argv: "neargate keeper --data /var/lib/neargate2", none: true},
		{argv: "neargate status --data /var/lib/neargate", none: true},
		{argv: "containerd", none: true},
		{argv: "containerd-shim-runc-v2 -namespace moby -id " + task + " -address /run/containerd/containerd.sock", none: true},
		{argv: "haproxy -W -f /etc/haproxy/haproxy.cfg", none: true},
	} {
		got, ok := classify(data, strings.Fields(c.argv))
		if diff := cmp.Diff(c.want, got); ok == c.none || diff != "" {
			t.Errorf("%s: %v %s", c.argv, ok, diff)
		}
	}
}

func TestProcesses(t *testing.T) {
	proc := t.TempDir()
	for pid, argv := range map[string]string{"5": "web\x00", "7": "neargate\x00keeper\x00--data\x00" + data + "\x00", "8": "", "9": "other\x00x\x00", "self": "x"} {
		if err := os.MkdirAll(filepath.Join(proc, pid), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(proc, pid, "cmdline"), []byte(argv), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := []Process{{PID: 5, Role: RoleContainer, Owner: task, Name: "web"}, {PID: 7, Role: RoleKeeper, Name: "neargate"}}
	if diff := cmp.Diff(want, processes(proc, data, map[int]string{5: task})); diff != "" {
		t.Error(diff)
	}
}

func inventory() *Inventory {
	return &Inventory{
		Processes: []Process{
			{PID: 1, Role: RoleDaemon, Name: "neargate"}, {PID: 2, Role: RoleKeeper, Name: "neargate"}, {PID: 3, Role: RoleContainerd, Name: "containerd"},
			{PID: 4, Role: RoleShim, Owner: task, Name: "shim"}, {PID: 5, Role: RoleContainer, Owner: other, Name: "web"}, {PID: 6, Role: RoleHAProxy, Owner: lb, Name: "haproxy"},
		},
		Namespaces: []string{"ng-edge", "ng-lb-" + lb, "ng-nat-1", "ng-task-" + task, "ng-task-" + other, "ng-vpc-1", "ng-vpc-2"},
		Groups:     []string{task, other},
		Mounts:     []string{data + "/containerd/state/x/" + task + "-1/rootfs", data + "/containerd/state/x/" + other + "-1/rootfs", data + "/tmp/x"},
		Folders:    []string{"tasks/" + task, "tasks/" + other, "lb/" + lb, "lb/aaaa"},
	}
}

func lines(leaks []Leak) (text []string) {
	for _, l := range leaks {
		text = append(text, l.String())
	}
	return text
}

func TestLeaksWithADaemon(t *testing.T) {
	set := func(ids ...string) map[string]bool {
		m := map[string]bool{}
		for _, id := range ids {
			m[id] = true
		}
		return m
	}
	inv := inventory()
	inv.Interfaces, inv.Tables = []string{"ng0123456789abc"}, []string{"inet neargate"}
	records := &Records{VPCs: set("vpc-1"), NATGateways: set(), Tasks: set(task), LoadBalancers: set(lb)}
	want := []string{
		"process 5 (web, container): there is no running task " + other,
		"namespace ng-nat-1: there is no NAT gateway nat-1",
		"namespace ng-task-" + other + ": there is no running task " + other,
		"namespace ng-vpc-2: there is no VPC vpc-2",
		"cgroup /ng/" + other + ": there is no running task " + other,
		"mount " + data + "/containerd/state/x/" + other + "-1/rootfs: there is no running task " + other,
		"interface ng0123456789abc: it is in the host's own namespace, where none of ours belongs",
		"nftables table inet neargate: it is in the host's own namespace, where none of ours belongs",
		"folder tasks/" + other + ": there is no running task " + other,
		"folder lb/aaaa: there is no load balancer aaaa",
	}
	if diff := cmp.Diff(want, lines(Leaks(inv, records))); diff != "" {
		t.Error(diff)
	}
}

func TestLeaksWithoutADaemon(t *testing.T) {
	got := Leaks(inventory(), nil)
	kinds := map[string]int{}
	for _, l := range got {
		kinds[l.Kind]++
		if l.Why != notRunning {
			t.Errorf("%s", l)
		}
	}
	// The daemon itself is just starting or ending; files are records of what may come back.
	if diff := cmp.Diff(map[string]int{"process": 5, "namespace": 7, "cgroup": 2, "mount": 3}, kinds); diff != "" {
		t.Error(diff)
	}
}

func TestMountsBelow(t *testing.T) {
	const mountinfo = `22 1 8:1 / / rw - ext4 /dev/sda1 rw
30 22 0:5 / /data rw - tmpfs tmpfs rw
31 22 0:5 / /data/a rw - tmpfs tmpfs rw
32 22 0:5 / /data/a/b\040c/d rw - tmpfs tmpfs rw
33 22 0:5 / /database/x rw - tmpfs tmpfs rw
`
	if diff := cmp.Diff([]string{"/data/a/b c/d", "/data/a"}, mountsBelow(mountinfo, "/data")); diff != "" {
		t.Error(diff)
	}
}

func TestVersions(t *testing.T) {
	for text, want := range map[string]string{
		"containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u3": "1.6.20",
		"runc version 1.1.5+ds1": "1.1.5", "HAProxy version 2.6.12-1+deb12u4 2026/10/17": "2.6.12", "nftables v1.0.6 (Lester Gooch #5)": "1.0.6", "none": "",
	} {
		if got := versionIn(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
	for version, want := range map[string]bool{"5.10.0-23-amd64": true, "5.9": false, "6.1-rc1": true, "4.19": false, "": false, "x.y": false, "10.0": true} {
		if got := atLeast(version, 5, 10); got != want {
			t.Errorf("%q: %v", version, got)
		}
	}
}

func TestOurTables(t *testing.T) {
	if diff := cmp.Diff([]string{"inet neargate"}, ourTables("table ip nat\ntable inet neargate\ntable inet filter\n")); diff != "" {
		t.Error(diff)
	}
}

func TestTaskID(t *testing.T) {
	for text, want := range map[string]string{
		task: task, "x/" + task + "-123/rootfs": task, "0" + task: "", task[1:]: "", "": "", "a-" + other: other,
	} {
		if got := taskID(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// host returns an instance in a folder of the test.
func host(t *testing.T) *Host {
	dir := t.TempDir()
	h, err := New(filepath.Join(dir, "data"), filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	// The lock names another instance, so that the fixed names of the real host are not touched.
	if err := os.WriteFile(h.Lock, []byte("pid 1 data /somewhere/else\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return h
}

func TestCleanEndsProcessesAndRemovesFiles(t *testing.T) {
	h := host(t)
	if err := os.MkdirAll(filepath.Join(h.Data, "run"), 0o755); err != nil {
		t.Fatal(err)
	}
	// What carries the command line of our containerd is our containerd.
	process := exec.Command("/bin/sh")
	process.Args = []string{"containerd", "-c", "echo ready; read x", "--config", filepath.Join(h.Data, "containerd", "config.toml")}
	in, err := process.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- process.Wait() }()
	inv, err := h.Look()
	if err != nil || len(inv.Processes) != 1 || inv.Processes[0].Role != RoleContainerd {
		t.Fatalf("%+v, %v", inv, err)
	}
	if err := h.Clean(t.Context(), CleanOptions{Purge: true}); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := <-ended; !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("ended with %v", err)
	}
	if _, err := os.Stat(h.Data); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("data directory: %v", err)
	}
	if _, err := os.Stat(h.Lock); err != nil {
		t.Errorf("the other instance's lock: %v", err)
	}
}

func TestCleanRefusesWhileADaemonRuns(t *testing.T) {
	h := host(t)
	f, err := os.Open(h.Lock)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if !tryLock(f) {
		t.Fatal("cannot take the lock")
	}
	var running *RunningError
	if err := h.Clean(t.Context(), CleanOptions{}); !errors.As(err, &running) || running.PID != 1 || running.Data != "/somewhere/else" {
		t.Errorf("error %v", err)
	}
	if _, _, runs := h.Daemon(); !runs {
		t.Error("the daemon is not seen")
	}
}

func TestPurgeKeepsWhatIsNotOurs(t *testing.T) {
	h := host(t)
	for _, dir := range []string{"etcd", "photos"} {
		if err := os.MkdirAll(filepath.Join(h.Data, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Clean(t.Context(), CleanOptions{Purge: true}); err == nil || !strings.Contains(err.Error(), "photos") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(filepath.Join(h.Data, "photos")); err != nil {
		t.Error(err)
	}
}

func TestCheck(t *testing.T) {
	h := host(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	seen := map[string]State{}
	for _, c := range h.Check(ctx, "127.0.0.1:0", false) {
		seen[c.Name] = c.State
		if c.State != OK && c.Mend == "" {
			t.Errorf("%s is %s (%s), and nothing is said about mending it", c.Name, c.State, c.Found)
		}
	}
	for _, name := range []string{"Linux", "root", "containerd", "haproxy", "nft", "runc", "control groups", "free disk space", "clock", "address 127.0.0.1:0"} {
		if seen[name] == "" {
			t.Errorf("%s is not checked", name)
		}
	}
	missing := binary{name: "no-such-program", pkg: "nothing"}.check(ctx)
	if missing.State != Missing || missing.Mend != "sudo apt-get install -y nothing" {
		t.Errorf("%+v", missing)
	}
	h.Data = "/" + strings.Repeat("x", 80)
	if c := h.checkPath(); c.State != Missing {
		t.Errorf("%+v", c)
	}
}
