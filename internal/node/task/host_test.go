package task

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/neargate/neargate/internal/container/containerd"
	"github.com/neargate/neargate/internal/container/runtimetest"
	"github.com/neargate/neargate/internal/linux/cgroup"
	"github.com/neargate/neargate/internal/linux/netns"
	"github.com/neargate/neargate/internal/model"
)

// hostNamespaces are real ones, of which only those of this test are listed: others may be at work on this host.
type hostNamespaces struct {
	HostNamespaces
	w    *world
	mu   sync.Mutex
	made []string
}

func (n *hostNamespaces) Ensure(name string) error {
	n.mu.Lock()
	n.made = append(n.made, name)
	n.mu.Unlock()
	n.w.mu.Lock()
	n.w.nss[name] = true
	n.w.mu.Unlock()
	return n.HostNamespaces.Ensure(name)
}

func (n *hostNamespaces) Delete(name string) error {
	n.w.mu.Lock()
	delete(n.w.nss, name)
	n.w.mu.Unlock()
	return n.HostNamespaces.Delete(name)
}

func (n *hostNamespaces) List() ([]string, error) {
	all, err := n.HostNamespaces.List()
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.DeleteFunc(all, func(name string) bool { return !slices.Contains(n.made, name) }), err
}

// newHostWorld is a world with real containers, namespaces and control groups.
func newHostWorld(t *testing.T) (*world, *containerd.Server) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("containers are run as root")
	}
	for _, program := range []string{"containerd", "runc"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
	tree, err := cgroup.Detect()
	if err != nil {
		t.Skip(err)
	}
	w := newWorld(t, runtimetest.ProbeBinary(t))
	dir, err := os.MkdirTemp("/tmp", "ngtask") // short: sockets
	if err != nil {
		t.Fatal(err)
	}
	server, err := containerd.NewServer(containerd.ServerOptions{Dir: filepath.Join(dir, "c"), Logger: w.config.Log})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	options := server.Options()
	options.Cgroups = tree
	r, err := containerd.New(options)
	if err != nil {
		t.Fatal(err)
	}
	namespaces := &hostNamespaces{w: w}
	w.runtime, w.config.Groups, w.config.Namespaces = r, tree, namespaces
	w.config.CgroupRoot = fmt.Sprintf("/ngtask-%d", os.Getpid())
	w.config.Dir = filepath.Join(dir, "tasks")
	t.Cleanup(func() {
		ctx := context.Background()
		if list, err := r.List(ctx); err == nil {
			for _, c := range list {
				t.Logf("left: %+v", c)
				_ = r.Delete(ctx, c.ID)
			}
		}
		_ = r.Close()
		if err := server.Remove(ctx); err != nil {
			t.Error(err)
		}
		if names, _ := tree.List(w.config.CgroupRoot); len(names) != 0 {
			t.Errorf("groups left: %v", names)
		}
		if err := tree.Remove(w.config.CgroupRoot); err != nil {
			t.Error(err)
		}
		if names, _ := namespaces.List(); len(names) != 0 {
			t.Errorf("namespaces left: %v", names)
			for _, name := range names {
				_ = netns.Delete(name)
			}
		}
		if mounts, _ := os.ReadFile("/proc/self/mountinfo"); strings.Contains(string(mounts), dir) {
			t.Error("a mount is left")
		}
		_ = os.RemoveAll(dir)
	})
	return w, server
}

func TestHostLife(t *testing.T) {
	w, _ := newHostWorld(t)
	m, end := w.run()
	shared := func(name string, command ...string) model.ContainerDefinition {
		c := withLogs(app(name, command...))
		c.MountPoints = []model.MountPoint{{SourceVolume: "v", ContainerPath: "/shared"}}
		return c
	}
	writer, reader := shared("writer", "write", "/shared/x", "from writer"), shared("reader", "read", "/shared/x", "+", "read", "/etc/hosts", "+", "serve", "127.0.0.1:8080", "hi")
	writer.Essential = false
	reader.DependsOn = []model.Dependency{on("writer", "SUCCESS")}
	hog := app("hog", "hog", "1")
	id := w.launchAs(func(_ *model.Task, d *model.TaskDefinition) { d.Volumes = []model.Volume{{Name: "v"}} }, writer, reader, hog, shared("peer", "sleep"))
	_ = hog
	stopped := w.awaitState(id, model.TaskStopped) // hog is essential and ends
	if stopped.StopCode != model.StopEssentialContainerExited {
		t.Errorf("task is %+v", stopped)
	}
	w.nothingLeft(id)

	id = w.launchAs(func(_ *model.Task, d *model.TaskDefinition) { d.Volumes = []model.Volume{{Name: "v"}} }, writer, reader, shared("peer", "sleep"))
	w.awaitState(id, model.TaskRunning)
	for {
		data, _ := os.ReadFile(filepath.Join(w.config.Dir, id, "reader.log"))
		if strings.HasPrefix(string(data), "from writer127.0.0.1 localhost\n10.0.1.7 ip-10-0-1-7.ec2.internal\n") {
			break
		}
		if t.Context().Err() != nil {
			t.Fatalf("log is %q", data)
		}
		time.Sleep(5 * time.Millisecond)
	}
	total, byName, err := m.Stats(id)
	if err != nil || total.MemoryLimit != 512<<20 || total.Memory == 0 || byName["reader"].Pids == 0 {
		t.Errorf("stats are %+v, %+v, %v", total, byName, err)
	}
	if n := shims(t, w); n != 1 {
		t.Errorf("%d shims for one task", n)
	}

	end() // the daemon dies
	pid := func(name string) int {
		s, err := w.runtime.Status(t.Context(), runtimeID(id, name))
		if err != nil {
			t.Fatal(err)
		}
		return s.PID
	}
	before := pid("reader")
	w.run()
	w.await(id, "known", func(t *model.Task) bool { return t.State == model.TaskRunning })
	if after := pid("reader"); after != before || after == 0 {
		t.Errorf("process %d became %d", before, after)
	}
	w.askToStop(id)
	w.awaitState(id, model.TaskStopped)
	w.nothingLeft(id)
	if n := shims(t, w); n != 0 {
		t.Errorf("%d shims are left", n)
	}
}

// shims counts the shim processes of this test's containerd.
func shims(t *testing.T, w *world) int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range files {
		data, _ := os.ReadFile(f)
		if strings.Contains(string(data), "containerd-shim") && strings.Contains(string(data), filepath.Dir(w.config.Dir)) {
			n++
		}
	}
	return n
}

// The task's memory is a limit for all of its containers together.
func TestHostTaskMemory(t *testing.T) {
	w, _ := newHostWorld(t)
	w.run()
	id := w.launchAs(func(t *model.Task, d *model.TaskDefinition) { t.MemoryMiB, d.MemoryMiB = 64, 64 }, app("app", "hog", "200"))
	got := w.awaitState(id, model.TaskStopped)
	if c := got.Containers[0]; *c.ExitCode != 137 || c.Reason != reasonOOM {
		t.Errorf("container is %+v", c)
	}
	w.nothingLeft(id)
}

// TestHostSpeed prints what starting costs; it checks nothing and runs only when asked for.
func TestHostSpeed(t *testing.T) {
	if os.Getenv("NEARGATE_SPEED") == "" {
		t.Skip("set NEARGATE_SPEED to measure")
	}
	w, _ := newHostWorld(t)
	w.run()
	first := w.launch(withLogs(app("app", "sleep")))
	w.awaitState(first, model.TaskRunning)
	var times []time.Duration
	var ids []string
	for range 15 {
		begin := time.Now()
		id := w.launch(withLogs(app("app", "sleep")))
		w.awaitState(id, model.TaskRunning)
		times = append(times, time.Since(begin))
		ids = append(ids, id)
	}
	slices.Sort(times)
	t.Logf("one task: median %v, worst %v", times[len(times)/2], times[len(times)-1])
	begin := time.Now()
	var many []string
	for range 100 {
		many = append(many, w.launch(withLogs(app("app", "sleep"))))
	}
	for _, id := range many {
		w.awaitState(id, model.TaskRunning)
	}
	t.Logf("100 tasks: %v", time.Since(begin))
	begin = time.Now()
	for _, id := range append(append(ids, many...), first) {
		w.askToStop(id)
	}
	for _, id := range append(append(ids, many...), first) {
		w.awaitState(id, model.TaskStopped)
	}
	t.Logf("stopping 116 tasks: %v", time.Since(begin))
	w.nothingLeft(first)
}
