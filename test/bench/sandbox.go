package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// What this program is called with when it runs itself.
const (
	argInit    = "in-namespaces" // the first process of the sandbox
	argPayload = "payload"       // the benchmark in it
	argPing    = "ping"
	argPong    = "pong"
)

// Descriptors of the processes in the sandbox.
const (
	fdRows    = 3 // where the rows are written
	fdKernel0 = 4 // schedstat of the kernel's softirq threads, of which there is no other sight in a PID namespace
)

// inside is what a benchmark in the sandbox has.
type inside struct {
	runs    int
	kernel  []*os.File
	scratch string
}

// runInside runs a benchmark in mount, network and PID namespaces of its own. With their first process everything in
// them goes: processes, namespaces with names in its /run/netns, links, rules and files.
func runInside(ctx context.Context, name string, runs int) ([]Row, error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	cmd := exec.Command("/proc/self/exe", argInit, name, strconv.Itoa(runs))
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.ExtraFiles = []*os.File{writer}
	for _, f := range softirqThreads() {
		defer f.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL, Setpgid: true,
	}
	if err := cmd.Start(); err != nil {
		writer.Close()
		return nil, fmt.Errorf("make namespaces: %w", err)
	}
	writer.Close()
	ended := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer ended()
	var rows []Row
	decoded := json.NewDecoder(reader).Decode(&rows)
	err = cmd.Wait()
	if ctx.Err() != nil {
		return rows, ctx.Err()
	}
	if err != nil {
		return rows, err
	}
	return rows, decoded
}

// softirqThreads opens the accounts of the kernel's threads that do what a softirq leaves.
func softirqThreads() (files []*os.File) {
	comms, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, c := range comms {
		if b, err := os.ReadFile(c); err == nil && strings.HasPrefix(string(b), "ksoftirqd/") {
			if f, err := os.Open(filepath.Join(filepath.Dir(c), "schedstat")); err == nil {
				files = append(files, f)
			}
		}
	}
	return files
}

// kernelSeconds returns the CPU time of the kernel's softirq threads so far.
func (b *inside) kernelSeconds() float64 {
	total := 0.0
	for _, f := range b.kernel {
		buf := make([]byte, 128)
		n, _ := f.ReadAt(buf, 0)
		first, _, _ := strings.Cut(string(buf[:n]), " ")
		ns, _ := strconv.ParseFloat(first, 64)
		total += ns / 1e9
	}
	return total
}

// role is what the program does when it was started by itself. It returns the exit code.
func role(what string, args []string) int {
	var err error
	switch what {
	case argInit:
		code, initErr := firstProcess(args)
		if initErr == nil {
			return code
		}
		err = initErr
	case argPayload:
		err = payload(args)
	case argPing:
		err = ping(args)
	case argPong:
		err = pong(args)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench %s: %v\n", what, err)
		return 1
	}
	return 0
}

// firstProcess prepares the mounts, runs the payload and buries the processes that lose their parents.
func firstProcess(args []string) (int, error) {
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return 0, err
	}
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM)
	if err := unix.Mount("", "/", "none", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return 0, fmt.Errorf("make mounts private: %w", err)
	}
	for _, m := range []struct{ kind, at string }{{"proc", "/proc"}, {"tmpfs", "/run"}, {"sysfs", "/sys"}} {
		if err := unix.Mount(m.kind, m.at, m.kind, 0, ""); err != nil {
			return 0, fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	files := []*os.File{os.Stdin, os.Stdout, os.Stderr}
	for fd := fdRows; ; fd++ {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || isRuntimes(fd) {
			break
		}
		files = append(files, os.NewFile(uintptr(fd), "inherited"))
	}
	p, err := os.StartProcess("/proc/self/exe", append([]string{"bench", argPayload}, append(args, strconv.Itoa(len(files)))...),
		&os.ProcAttr{Files: files, Env: os.Environ(), Sys: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}})
	if err != nil {
		return 0, fmt.Errorf("start the payload: %w", err)
	}
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return 0, err
		}
		if pid == p.Pid {
			if status.Signaled() {
				return 128 + int(status.Signal()), nil
			}
			return status.ExitStatus(), nil
		}
	}
}

// isRuntimes reports whether a descriptor is not a file that was handed down: the Go runtime opens its own after those.
func isRuntimes(fd int) bool {
	target, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	return err != nil || strings.HasPrefix(target, "anon_inode:")
}

// payload runs a benchmark and writes its rows.
func payload(args []string) error {
	runs, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	count, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	chosen, err := choose(args[:1])
	if err != nil {
		return err
	}
	b := &inside{runs: runs, scratch: "/run/bench"}
	if err := os.MkdirAll(b.scratch, 0o755); err != nil {
		return err
	}
	for fd := fdRows; fd < count; fd++ {
		unix.CloseOnExec(fd) // servers that outlive a benchmark must not keep the parent waiting
	}
	for fd := fdKernel0; fd < count; fd++ {
		b.kernel = append(b.kernel, os.NewFile(uintptr(fd), "schedstat"))
	}
	rows, failed := chosen[0].inside(context.Background(), b) // an interrupt ends the first process, and so all
	w := os.NewFile(fdRows, "rows")
	if err := json.NewEncoder(w).Encode(rows); err != nil {
		return err
	}
	return failed
}
