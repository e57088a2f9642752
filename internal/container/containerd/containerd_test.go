package containerd

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/neargate/neargate/internal/container"
	"github.com/neargate/neargate/internal/container/runtimetest"
	"github.com/neargate/neargate/internal/fault"
	"github.com/neargate/neargate/internal/linux/cgroup"
	"github.com/neargate/neargate/internal/linux/netns"
)

// instance starts a containerd of this test's own and removes all of it at the end.
func instance(t testing.TB) (*Server, *Runtime, runtimetest.Setup) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("containers are run as root")
	}
	for _, program := range []string{"containerd", "runc"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
	dir, err := os.MkdirTemp("/tmp", "ngcd") // short: sockets
	if err != nil {
		t.Fatal(err)
	}
	server, err := NewServer(ServerOptions{Dir: dir, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	tree, err := cgroup.Detect()
	if err != nil {
		t.Fatal(err)
	}
	group := fmt.Sprintf("/ngcd-%d-%s", os.Getpid(), filepath.Base(dir))
	name := "ng-test-" + filepath.Base(dir)
	ns, err := netns.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	ns.Close()
	options := server.Options()
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program, runtimetest.ProbeBinary(t), 0o755); err != nil {
		t.Fatal(err)
	}
	options.Cgroups, options.Init = tree, []string{program, "init"}
	open := func(t testing.TB) *Runtime {
		r, err := New(options)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Close() })
		return r
	}
	runtime, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.Background()
		_ = runtime.Close()
		if err := server.Purge(ctx); err != nil {
			t.Error(err)
		}
		if err := tree.Remove(group); err != nil {
			t.Error(err)
		}
		if err := netns.Delete(name); err != nil {
			t.Error(err)
		}
		if mounts, _ := os.ReadFile("/proc/self/mountinfo"); strings.Contains(string(mounts), dir) {
			t.Error("a mount is left")
		}
	})
	image, err := runtimetest.ProbeImage(runtimetest.ProbeBinary(t))
	if err != nil {
		t.Fatal(err)
	}
	return server, runtime, runtimetest.Setup{
		Runtime: runtime, Image: image,
		Reopen: func(t *testing.T) container.Runtime { return open(t) },
		Spec: func(s container.Spec) container.Spec {
			s.NetNS, s.CgroupParent = netns.Path(name), group
			return s
		},
	}
}

func TestConformance(t *testing.T) {
	_, _, setup := instance(t)
	runtimetest.Run(t, setup)
}

// run runs one container to its end and returns its output.
func run(t *testing.T, r *Runtime, s container.Spec) (string, container.Exit) {
	t.Helper()
	ctx := t.Context()
	s.LogPath = filepath.Join(t.TempDir(), "log")
	if err := r.Create(ctx, s); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Delete(context.Background(), s.ID); err != nil {
			t.Error(err)
		}
	}()
	if err := r.Start(ctx, s.ID); err != nil {
		t.Fatal(err)
	}
	exit, err := r.Wait(ctx, s.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Delete(ctx, s.ID); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(s.LogPath)
	if err != nil {
		t.Fatal(err)
	}
	return string(data), exit
}

func TestContainer(t *testing.T) {
	server, r, setup := instance(t)
	if _, err := r.Import(t.Context(), setup.Image.Manifest, setup.Image.Fetch); err != nil {
		t.Fatal(err)
	}
	spec := func(name string, command ...string) container.Spec {
		return setup.Spec(container.Spec{ID: "t-" + name, Group: "t-" + name, Image: setup.Image.Manifest.Digest, Command: command})
	}
	t.Run("user", func(t *testing.T) {
		for user, want := range map[string]string{"": "0 0 []\n", "app": "1000 1001 [2000]\n", "1000": "1000 1001 [2000]\n", "7:8": "7 8 []\n"} {
			s := spec("user", "id")
			s.User = user
			if out, _ := run(t, r, s); out != want {
				t.Errorf("user %q: %q, want %q", user, out, want)
			}
		}
		s := spec("user", "id")
		s.User = "nobody-knows"
		if err := r.Create(t.Context(), s); err == nil || !strings.Contains(err.Error(), "unable to find user nobody-knows") {
			t.Errorf("unknown user: %v", err)
		}
	})
	t.Run("surroundings", func(t *testing.T) {
		s := spec("around", "pwd", "+", "hostname", "+", "limit", "+", "links", "+", "status", "NoNewPrivs", "+", "status", "Seccomp", "+", "status", "CapBnd", "+", "write", "/tmp/x/y", "")
		s.WorkDir, s.Hostname = "/tmp/x", "ip-10-0-0-4.ec2.internal"
		out, _ := run(t, r, s)
		if want := fmt.Sprintf("/tmp/x\nip-10-0-0-4.ec2.internal\n%[1]d %[1]d\nlo\n1\n2\n00000000a80425fb\n", r.nofile); out != want {
			t.Errorf("output is %q, want %q", out, want)
		}
	})
	t.Run("capabilities", func(t *testing.T) {
		s := spec("caps", "status", "CapBnd")
		s.DropCapabilities, s.AddCapabilities = []string{"ALL"}, []string{"SYS_PTRACE"}
		if out, _ := run(t, r, s); out != "0000000000080000\n" {
			t.Errorf("capabilities are %q", out)
		}
	})
	t.Run("read-only root", func(t *testing.T) {
		s := spec("ro", "write", "/x", "y")
		s.ReadonlyRoot = true
		if out, exit := run(t, r, s); exit.Code != 1 || !strings.Contains(out, "read-only file system") {
			t.Errorf("%d, %q", exit.Code, out)
		}
	})
	t.Run("volume", func(t *testing.T) {
		volume := t.TempDir()
		s := spec("volume", "read", "/data/seed", "+", "write", "/data/new", "x", "+", "status", "Uid")
		s.User, s.Mounts = "app", []container.Mount{{Source: volume, Target: "/data", CopyUp: true}}
		out, exit := run(t, r, s)
		if !strings.HasPrefix(out, "from the image") || exit.Code != 0 {
			t.Errorf("%d, %q", exit.Code, out)
		}
		if data, err := os.ReadFile(filepath.Join(volume, "new")); string(data) != "x" {
			t.Errorf("volume has %q, %v", data, err)
		}
		if info, _ := os.Stat(volume); info.Mode().Perm() != 0o750 {
			t.Errorf("volume has mode %v", info.Mode())
		}
	})
	t.Run("out of memory", func(t *testing.T) {
		s := spec("oom", "hog", "200")
		s.Memory = 32 << 20
		if out, exit := run(t, r, s); exit.Code != 137 || !exit.OOM {
			t.Errorf("exit is %+v, output %q", exit, out)
		}
	})
	t.Run("command not found", func(t *testing.T) {
		s := spec("missing")
		s.Entrypoint = []string{"no-such-program"}
		err := r.Create(t.Context(), s)
		if err == nil {
			err = r.Start(t.Context(), s.ID)
			_ = r.Delete(t.Context(), s.ID)
		}
		if err == nil || !strings.Contains(err.Error(), `exec: "no-such-program": executable file not found in $PATH`) {
			t.Errorf("error is %v", err)
		}
		if list, err := r.List(t.Context()); err != nil || len(list) != 0 {
			t.Errorf("left: %v, %v", list, err)
		}
	})
	t.Run("init", func(t *testing.T) {
		s := spec("init", "pid", "+", "exit", "3")
		s.Init, s.ReadonlyRoot = true, true
		if out, exit := run(t, r, s); exit.Code != 3 || out == "1\n" {
			t.Errorf("%d, %q", exit.Code, out)
		}
	})
	t.Run("standard input", func(t *testing.T) {
		closed, open := spec("stdin-closed", "cat", "+", "exit", "6"), spec("stdin-open", "print", "ready", "+", "cat", "+", "exit", "6")
		if _, exit := run(t, r, closed); exit.Code != 6 {
			t.Errorf("exit is %+v", exit)
		}
		open.OpenStdin, open.LogPath = true, filepath.Join(t.TempDir(), "log")
		if err := r.Create(t.Context(), open); err != nil {
			t.Fatal(err)
		}
		defer r.Delete(context.Background(), open.ID)
		if err := r.Start(t.Context(), open.ID); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if exit, err := r.Wait(ctx, open.ID); err == nil {
			t.Errorf("its input has ended: %+v", exit)
		}
	})
	t.Run("command of exec not found", func(t *testing.T) {
		s := spec("exec", "sleep")
		if err := r.Create(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		defer r.Delete(context.Background(), s.ID)
		if err := r.Start(t.Context(), s.ID); err != nil {
			t.Fatal(err)
		}
		_, err := r.Exec(t.Context(), s.ID, container.Exec{Args: []string{"nothing"}})
		if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "executable file not found") {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("terminal", func(t *testing.T) {
		s := spec("tty", "sleep")
		if err := r.Create(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		defer r.Delete(context.Background(), s.ID)
		if err := r.Start(t.Context(), s.ID); err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		stdin, hangUp := io.Pipe() // the end of the input hangs a terminal up
		defer hangUp.Close()
		code, err := r.Exec(t.Context(), s.ID, container.Exec{Args: []string{"/probe", "terminal"}, TTY: true, Stdout: &out, Stdin: stdin})
		if err != nil || code != 0 || out.String() != "terminal\r\n" {
			t.Errorf("%d, %v, %q", code, err, out.String())
		}
	})
	t.Run("containerd restarts", func(t *testing.T) {
		s := spec("survivor", "sleep")
		if err := r.Create(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		defer r.Delete(context.Background(), s.ID)
		if err := r.Start(t.Context(), s.ID); err != nil {
			t.Fatal(err)
		}
		pid, err := server.PID()
		if err != nil {
			t.Fatal(err)
		}
		if started, err := server.Ensure(t.Context()); started || err != nil {
			t.Errorf("a running instance was not adopted: %v", err)
		}
		if err := server.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if started, err := server.Ensure(t.Context()); !started || err != nil {
			t.Fatal(err)
		}
		if again, err := server.PID(); err != nil || again == pid {
			t.Errorf("process is %d, %v", again, err)
		}
		r := setup.Reopen(t)
		if status, err := r.Status(t.Context(), s.ID); err != nil || status.State != container.Running {
			t.Errorf("status is %+v, %v", status, err)
		}
	})
}

func TestServerRefuses(t *testing.T) {
	if _, err := NewServer(ServerOptions{Dir: "/" + strings.Repeat("x", 100)}); err == nil {
		t.Error("a path that is too long for a socket was accepted")
	}
	s, err := NewServer(ServerOptions{Dir: t.TempDir()})
	if err != nil {
		t.Skip(err)
	}
	l, err := net.Listen("unix", filepath.Join(s.opts.Dir, "containerd.sock"))
	if err != nil {
		t.Skip(err)
	}
	defer l.Close()
	if _, err := s.PID(); err == nil || !strings.Contains(err.Error(), "is not our containerd") {
		t.Errorf("error is %v", err)
	}
}
