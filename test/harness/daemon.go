package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Options say which daemon a test wants.
type Options struct {
	Speed float64 // what AWS's delays are divided by; 0 is 1
	Args  []string
}

// Daemon is a running `neargate serve`, or one that has been killed and not started again yet.
type Daemon struct {
	Binary   string
	Data     string
	Endpoint string
	Listen   string
	Options  Options

	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd has ended
	log    *os.File
}

const (
	startTimeout = 60 * time.Second // first start on a busy machine: etcd, containerd, the keeper
	stopTimeout  = 30 * time.Second
)

// Start builds the binary if need be and starts a daemon in a new data directory.
func Start(ctx context.Context, o Options) (*Daemon, error) {
	if err := tidy(); err != nil {
		return nil, err
	}
	binary, err := findBinary(ctx)
	if err != nil {
		return nil, err
	}
	data, err := os.MkdirTemp("/tmp", dataPrefix) // short: Unix socket paths have 107 bytes
	if err != nil {
		return nil, err
	}
	listen, err := freePort()
	if err != nil {
		return nil, err
	}
	if o.Speed == 0 {
		o.Speed = 1
	}
	d := &Daemon{Binary: binary, Data: data, Listen: listen, Endpoint: "http://" + listen, Options: o}
	if d.log, err = os.Create(data + ".log"); err != nil {
		return nil, err
	}
	if err := d.Launch(ctx); err != nil {
		tail := d.LogTail(40)
		return nil, errors.Join(fmt.Errorf("start the daemon: %w\n%s", err, tail), d.Stop(context.WithoutCancel(ctx)))
	}
	return d, nil
}

// freePort returns a loopback address that is free now; the daemon keeps it over restarts.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// Launch starts the daemon, for the first time or after [Daemon.Kill], and waits until it answers.
func (d *Daemon) Launch(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	args := append([]string{"serve", "--data", d.Data, "--listen", d.Listen, "--speed", strconv.FormatFloat(d.Options.Speed, 'g', -1, 64)}, d.Options.Args...)
	cmd := exec.Command(d.Binary, args...)
	cmd.Stdout, cmd.Stderr = d.log, d.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a ^C is for the test, which then stops the daemon
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	d.cmd, d.exited = cmd, exited
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		if err := d.healthy(ctx); err == nil {
			return nil
		}
		select {
		case <-exited:
			return fmt.Errorf("it ended: %s", cmd.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("it does not answer: %w", ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (d *Daemon) healthy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.Endpoint+"/_neargate/health", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("health: %s", resp.Status)
	}
	return nil
}

// PID is the daemon's process.
func (d *Daemon) PID() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cmd.Process.Pid
}

// Kill ends the daemon with SIGKILL, and waits until it is gone.
func (d *Daemon) Kill() error { return d.end(syscall.SIGKILL) }

// Terminate asks the daemon to end, as a service manager does.
func (d *Daemon) Terminate() error { return d.end(syscall.SIGTERM) }

func (d *Daemon) end(s syscall.Signal) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cmd == nil || d.cmd.Process == nil {
		return nil
	}
	select {
	case <-d.exited:
		return nil
	default:
	}
	if err := d.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-d.exited:
		return nil
	case <-time.After(stopTimeout):
		return fmt.Errorf("the daemon (pid %d) goes on %v after %v", d.cmd.Process.Pid, stopTimeout, s)
	}
}

// Running reports whether the daemon has not ended.
func (d *Daemon) Running() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	select {
	case <-d.exited:
		return false
	default:
		return true
	}
}

// Stop ends the daemon, removes everything with `neargate cleanup`, and returns an error that names what is left. What
// is left is then removed by force, so that one failure does not make the next.
func (d *Daemon) Stop(ctx context.Context) error {
	var errs []error
	if err := d.Terminate(); err != nil {
		errs = append(errs, err, d.Kill())
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, d.Binary, "cleanup", "--yes", "--purge", "--data", d.Data)
	if out, err := cmd.CombinedOutput(); err != nil {
		errs = append(errs, fmt.Errorf("neargate cleanup: %w\n%s", err, out))
	}
	if left := Leaks(d.Data); len(left) > 0 {
		errs = append(errs, fmt.Errorf("neargate cleanup left %s", list(left)), force(d.Data))
	}
	if err := os.RemoveAll(d.Data); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// report tells where the daemon's log is when something failed, and removes it otherwise.
func (d *Daemon) report(code int) {
	_ = d.log.Close()
	if code == 0 {
		_ = os.Remove(d.log.Name())
		return
	}
	fmt.Fprintf(os.Stderr, "the daemon's log is %s\n", d.log.Name())
	if os.Getenv("CI") == "true" { // nobody can look into the file
		fmt.Fprintln(os.Stderr, d.LogTail(200))
	}
}

// LogTail returns the last lines that the daemon wrote.
func (d *Daemon) LogTail(lines int) string {
	b, err := os.ReadFile(d.log.Name())
	if err != nil {
		return err.Error()
	}
	all := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n")))
}

// findBinary returns $NEARGATE_BIN, or builds the program.
func findBinary(ctx context.Context) (string, error) {
	if b := os.Getenv("NEARGATE_BIN"); b != "" {
		if _, err := os.Stat(b); err != nil {
			return "", fmt.Errorf("NEARGATE_BIN: %w", err)
		}
		return b, nil
	}
	return build(ctx, "./cmd/neargate", "neargate")
}

// build compiles a program of this module, statically, and returns its path. Go's cache makes a second time quick.
func build(ctx context.Context, pkg, name string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(os.TempDir(), "neargate-test-bin")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", path, pkg)
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	return path, nil
}

// Root returns the folder of go.mod above the working directory.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.mod above the working directory")
		}
	}
}
