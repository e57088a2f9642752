package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"text/template"
	"time"

	"golang.org/x/sys/unix"
)

// startGrace is how long containerd may take to answer after it was started.
const startGrace = 30 * time.Second

// ServerOptions say where the instance lives.
type ServerOptions struct {
	Dir    string // everything of the instance; short, because a socket's path has at most 107 bytes
	Binary string // empty: containerd of the PATH
	Logger *slog.Logger
}

// Server is our instance of containerd. It is a process of its own session and goes on when the daemon ends.
type Server struct {
	opts    ServerOptions
	log     *slog.Logger
	cleared sync.Once
}

// configTemplate leaves out what only Kubernetes or other snapshotters need. The garbage collector's default of a run
// after every 100 changes would stop all writes now and then while a hundred tasks start.
var configTemplate = template.Must(template.New("containerd").Parse(`# Written by Neargate; changes are overwritten.
version = 2
root = {{printf "%q" .Root}}
state = {{printf "%q" .State}}
oom_score = -999
disabled_plugins = [
  "io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.native", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.internal.v1.opt", "io.containerd.internal.v1.restart", "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.internal.v1.tracing",
]
[grpc]
  address = {{printf "%q" .Socket}}
[ttrpc]
  address = {{printf "%q" .TTRPC}}
[debug]
  level = "warn"
[plugins."io.containerd.gc.v1.scheduler"]
  mutation_threshold = 2000
  schedule_delay = "2s"
[plugins."io.containerd.metadata.v1.bolt"]
  content_sharing_policy = "shared"
`))

// NewServer returns the instance that lives in the folder; nothing is started yet.
func NewServer(o ServerOptions) (*Server, error) {
	if o.Binary == "" {
		o.Binary = "containerd"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{opts: o, log: o.Logger}
	const longest = 107
	if n := len(s.path("ttrpc.sock")); n > longest || !filepath.IsAbs(o.Dir) {
		return nil, fmt.Errorf("folder %q: a Unix socket in it would have a path of %d bytes, the kernel allows %d; use a shorter absolute path", o.Dir, n, longest)
	}
	return s, nil
}

func (s *Server) path(name string) string { return filepath.Join(s.opts.Dir, name) }

// Options returns the options of a [Runtime] on this instance, all but the caller's own ones.
func (s *Server) Options() Options {
	return Options{Socket: s.path("containerd.sock"), RuncDir: s.path("state/runc"), TempDir: s.path("tmp"), Stdin: s.path("stdin"), Logger: s.log}
}

// Ensure adopts the instance if it runs with the configuration that we would write now, starts it if it does not run, and
// restarts it if its configuration is another one; containers live on in each case. started reports whether it was
// started.
func (s *Server) Ensure(ctx context.Context) (started bool, err error) {
	for _, dir := range []string{s.opts.Dir, s.path("root"), s.path("state"), s.path("tmp")} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return false, fmt.Errorf("make containerd's folder: %w", err)
		}
	}
	s.cleared.Do(s.clearTemp) // later on, somebody may be using what is there
	var config bytes.Buffer
	if err := configTemplate.Execute(&config, map[string]string{
		"Root": s.path("root"), "State": s.path("state"), "Socket": s.path("containerd.sock"), "TTRPC": s.path("ttrpc.sock"),
	}); err != nil {
		return false, fmt.Errorf("write containerd's configuration: %w", err)
	}
	old, _ := os.ReadFile(s.path("config.toml"))
	if pid, err := s.PID(); err == nil {
		if bytes.Equal(old, config.Bytes()) {
			return false, nil
		}
		s.log.InfoContext(ctx, "restart containerd with a new configuration", "pid", pid)
		if err := s.Stop(ctx); err != nil {
			return false, err
		}
	}
	if err := os.WriteFile(s.path("config.toml"), config.Bytes(), 0o644); err != nil {
		return false, fmt.Errorf("write containerd's configuration: %w", err)
	}
	return true, s.start(ctx)
}

// clearTemp removes what an Exec or an image view of a former daemon left.
func (s *Server) clearTemp() {
	entries, _ := os.ReadDir(s.path("tmp"))
	for _, e := range entries {
		path := filepath.Join(s.path("tmp"), e.Name())
		_ = unix.Unmount(path, unix.MNT_DETACH)
		_ = os.RemoveAll(path)
	}
}

func (s *Server) start(ctx context.Context) error {
	logFile, err := os.OpenFile(s.path("containerd.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return fmt.Errorf("open containerd's log: %w", err)
	}
	defer logFile.Close()
	cmd := exec.Command(s.opts.Binary, "--config", s.path("config.toml"))
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start containerd: %w", err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }() // no zombie if it dies while we live
	ctx, cancel := context.WithTimeout(ctx, startGrace)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if pid, err := s.PID(); err == nil && pid == cmd.Process.Pid {
			s.log.InfoContext(ctx, "containerd started", "pid", pid)
			return nil
		}
		select {
		case err := <-exited:
			return fmt.Errorf("containerd ended at once (%w): %s", errOr(err), s.logTail())
		case <-ctx.Done():
			_ = cmd.Process.Kill()
			return fmt.Errorf("containerd does not answer: %w: %s", ctx.Err(), s.logTail())
		case <-tick.C:
		}
	}
}

func errOr(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// logTail returns the end of containerd's log, for an error text.
func (s *Server) logTail() string {
	data, err := os.ReadFile(s.path("containerd.log"))
	if err != nil {
		return ""
	}
	const most = 600
	if len(data) > most {
		data = data[len(data)-most:]
	}
	return strings.TrimSpace(string(data))
}

// PID returns the process that listens on the instance's socket. It is an error if there is none, or if it is not ours.
func (s *Server) PID() (int, error) {
	conn, err := net.DialTimeout("unix", s.path("containerd.sock"), time.Second)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	ctlErr := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err = errors.Join(err, ctlErr); err != nil {
		return 0, fmt.Errorf("ask for the peer of containerd's socket: %w", err)
	}
	cmdline, err := os.ReadFile("/proc/" + strconv.Itoa(int(cred.Pid)) + "/cmdline")
	if err != nil || !bytes.Contains(cmdline, []byte(s.path("config.toml"))) {
		return 0, fmt.Errorf("process %d listens on %s and is not our containerd", cred.Pid, s.path("containerd.sock"))
	}
	return int(cred.Pid), nil
}

// boundLog empties containerd's log when it has grown large: it is for finding out why containerd does not start, and
// the shims write some lines per container into it. The writers append, so they go on at the new end.
func (s *Server) boundLog() {
	const most = 16 << 20
	if info, err := os.Stat(s.path("containerd.log")); err == nil && info.Size() > most {
		_ = os.Truncate(s.path("containerd.log"), 0)
	}
}

// Run keeps the instance alive: it looks every interval, starts it again when it has died, and returns when ctx ends.
func (s *Server) Run(ctx context.Context, interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.boundLog()
		if _, err := s.PID(); err == nil {
			continue
		}
		s.log.WarnContext(ctx, "containerd is gone, start it again")
		if _, err := s.Ensure(ctx); err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "start containerd", "error", err)
		}
	}
}

// Stop ends the process; containers go on. Stopping what does not run is no error.
func (s *Server) Stop(ctx context.Context) error {
	pid, err := s.PID()
	if err != nil {
		return nil // nothing of ours listens
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	} else if err != nil {
		return fmt.Errorf("stop containerd: %w", err)
	}
	defer unix.Close(fd)
	const patience = 10 * time.Second
	for _, signal := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		if err := unix.PidfdSendSignal(fd, signal, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("stop containerd: %w", err)
		}
		if waitExit(ctx, fd, patience) {
			return nil
		}
	}
	return fmt.Errorf("containerd, process %d, does not end", pid)
}

// waitExit reports whether the process behind a pidfd ended in time.
func waitExit(ctx context.Context, fd int, patience time.Duration) bool {
	for end := time.Now().Add(patience); time.Now().Before(end) && ctx.Err() == nil; {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 100)
		if n > 0 && err == nil {
			return true
		}
	}
	return false
}

// Purge deletes all containers, whether the instance runs or not, then the instance and its folder: the end of
// everything here. There is nothing to do where there never was an instance.
func (s *Server) Purge(ctx context.Context) error {
	if _, err := os.Stat(s.path("config.toml")); errors.Is(err, fs.ErrNotExist) {
		return s.Remove(ctx)
	}
	if _, err := s.Ensure(ctx); err != nil {
		return err
	}
	r, err := New(s.Options())
	if err != nil {
		return err
	}
	defer r.Close()
	list, err := r.List(ctx)
	if err != nil {
		return err
	}
	for _, c := range list {
		if err := r.Delete(ctx, c.ID); err != nil {
			return fmt.Errorf("delete container %s: %w", c.ID, err)
		}
	}
	return s.Remove(ctx)
}

// Remove stops the instance and deletes its folder. All containers must have been deleted before.
func (s *Server) Remove(ctx context.Context) error {
	if err := s.Stop(ctx); err != nil {
		return err
	}
	s.clearTemp()
	if err := os.RemoveAll(s.opts.Dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove containerd's folder: %w", err)
	}
	return nil
}
