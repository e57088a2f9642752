package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/neargate/neargate/internal/linux/netns"
)

// Process is the HAProxy of one load balancer: a master and its workers, in a session of their own, so that they outlive
// whoever started them. Its files are in Dir. All methods may be repeated at any time; the caller makes them one at a time.
type Process struct {
	Dir    string // configuration, sockets, pid, output
	Netns  string // name of the namespace it runs in
	Binary string // empty: haproxy
}

// Files of a process in its folder. Paths of Unix sockets are limited to about 100 characters.
const (
	configFile = "haproxy.cfg"
	checkFile  = "haproxy.new"
	pidFile    = "haproxy.pid"
	logFile    = "haproxy.log"
	statsFile  = "stats.sock"
	masterFile = "master.sock"

	startTimeout = 10 * time.Second
	stopTimeout  = 5 * time.Second
	pollEvery    = 5 * time.Millisecond
	maxLog       = 1 << 20
)

// StatsSocket returns the path of the runtime API's socket, for [Config].
func (p *Process) StatsSocket() string { return filepath.Join(p.Dir, statsFile) }

// Runtime returns the runtime API of the process.
func (p *Process) Runtime() Runtime { return Runtime{Socket: p.StatsSocket()} }

// Apply makes HAProxy run the configuration: it starts it, reloads it if the structure differs from the running one, or
// only writes the file if it does not. It reports whether the workers are new, and so have the servers' states of the
// file.
func (p *Process) Apply(ctx context.Context, r Rendered) (fresh bool, err error) {
	if err := os.MkdirAll(p.Dir, 0o755); err != nil {
		return false, fmt.Errorf("load balancer folder: %w", err)
	}
	p.trimLog()
	master := p.Running()
	var running Info
	if master != 0 {
		err := p.await(ctx, "haproxy does not answer", nil, func(ctx context.Context) (ok bool) {
			running, err = p.Runtime().Info(ctx)
			return err == nil && running.PID != 0
		})
		if ctx.Err() != nil {
			return false, fmt.Errorf("look at haproxy: %w", ctx.Err())
		}
		if err != nil { // a master without a worker that answers is of no use
			if err := p.Stop(ctx); err != nil {
				return false, err
			}
			master = 0
		}
	}
	if err := p.writeConfig(ctx, r, master != 0 && running.Structure == r.Structure); err != nil {
		return false, err
	}
	switch {
	case master == 0:
		return true, p.start(ctx, r)
	case running.Structure != r.Structure:
		return true, p.reload(ctx, master, running.PID, r)
	}
	return false, nil
}

// writeConfig checks the text with HAProxy itself unless its structure already runs, and puts it into place.
func (p *Process) writeConfig(ctx context.Context, r Rendered, trusted bool) error {
	path := filepath.Join(p.Dir, configFile)
	if old, err := os.ReadFile(path); err == nil && string(old) == r.Text {
		return nil
	}
	next := filepath.Join(p.Dir, checkFile)
	if err := os.WriteFile(next, []byte(r.Text), 0o600); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	if !trusted {
		if err := Check(ctx, p.binary(), next); err != nil {
			return err
		}
	}
	if err := os.Rename(next, path); err != nil {
		return fmt.Errorf("put configuration into place: %w", err)
	}
	return nil
}

// Check lets HAProxy read a configuration file without running it.
func Check(ctx context.Context, binary, path string) error {
	out, err := exec.CommandContext(ctx, binary, "-c", "-f", path).CombinedOutput()
	if err != nil {
		return fmt.Errorf("haproxy -c -f %s: %w: %s", path, err, bytes.TrimSpace(out))
	}
	return nil
}

func (p *Process) start(ctx context.Context, r Rendered) error {
	for _, name := range []string{statsFile, masterFile, pidFile} {
		_ = os.Remove(filepath.Join(p.Dir, name))
	}
	log, err := os.OpenFile(filepath.Join(p.Dir, logFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(p.binary(), "-W", "-S", filepath.Join(p.Dir, masterFile)+",mode,600", "-f", filepath.Join(p.Dir, configFile))
	cmd.Dir = p.Dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := netns.Do(p.Netns, cmd.Start); err != nil { // a child is born in the namespace of the thread that forks
		return fmt.Errorf("start haproxy in %s: %w", p.Netns, err)
	}
	// The master keeps its id through reloads. HAProxy's own pid file is empty for a moment in each of them.
	if err := os.WriteFile(filepath.Join(p.Dir, pidFile), []byte(strconv.Itoa(cmd.Process.Pid)), 0o644); err != nil {
		_ = cmd.Process.Kill()
		return fmt.Errorf("write pid: %w", err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }() // no zombie is left when it dies while we live
	return p.awaitStructure(ctx, r.Structure, exited)
}

// reload asks the master at its socket, not by SIGUSR2: a signal that comes while it still starts is lost. It returns
// when the new worker answers and the old one no longer takes commands, so that none of them is given to the wrong one.
func (p *Process) reload(ctx context.Context, master, old int, r Rendered) error {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	exited := make(chan error, 1)
	go func() {
		if err := AwaitExit(watching, master); err == nil {
			exited <- errors.New("during a reload")
		}
	}()
	err := p.await(ctx, "the master takes no command", exited, func(ctx context.Context) bool { // right after a reload it binds anew
		_, err := p.master().Command(ctx, "reload")
		return err == nil
	})
	if err != nil {
		return err
	}
	if err := p.awaitStructure(ctx, r.Structure, exited); err != nil {
		return err
	}
	return p.await(ctx, "the old worker still takes commands", nil, func(context.Context) bool {
		return !listens(old, p.StatsSocket())
	})
}

// master returns the command line of the master process.
func (p *Process) master() Runtime { return Runtime{Socket: filepath.Join(p.Dir, masterFile)} }

// awaitStructure waits until a worker with that configuration answers.
func (p *Process) awaitStructure(ctx context.Context, structure string, exited <-chan error) error {
	return p.await(ctx, "haproxy does not run the new configuration", exited, func(ctx context.Context) bool {
		info, err := p.Runtime().Info(ctx)
		return err == nil && info.Structure == structure
	})
}

// await waits until done, otherwise is what to say when the time is over.
func (p *Process) await(ctx context.Context, otherwise string, exited <-chan error, done func(context.Context) bool) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for !done(ctx) {
		select {
		case err := <-exited:
			return fmt.Errorf("haproxy ended (%v): %s", err, p.lastLog())
		case <-ctx.Done():
			return fmt.Errorf("%s: %w: %s", otherwise, ctx.Err(), p.lastLog())
		case <-tick.C:
		}
	}
	return nil
}

// Running returns the process id of the master, 0 if it does not run. A foreign process that got the id later is told
// apart by its command line; a master whose id was never written, because its starter died, is found by it.
func (p *Process) Running() int {
	data, err := os.ReadFile(filepath.Join(p.Dir, pidFile))
	if err == nil {
		if pid, err := strconv.Atoi(strings.TrimSpace(string(data))); err == nil && pid > 1 && p.owns(pid) {
			return pid
		}
	}
	pids := p.Processes()
	for _, pid := range pids {
		if !slices.Contains(pids, parent(pid)) {
			return pid
		}
	}
	return 0
}

// AwaitExit waits until a master, of which Running told, has ended, or until ctx ends.
func AwaitExit(ctx context.Context, pid int) error {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) {
		return nil
	} else if err != nil {
		return fmt.Errorf("watch process %d: %w", pid, err)
	}
	f := os.NewFile(uintptr(fd), "pidfd") // non-blocking: the runtime's poller waits, no thread does
	defer f.Close()
	stop := context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Now()) })
	defer stop()
	raw, err := f.SyscallConn()
	if err != nil {
		return fmt.Errorf("watch process %d: %w", pid, err)
	}
	err = raw.Read(func(fd uintptr) bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return n > 0 || (err != nil && !errors.Is(err, unix.EINTR))
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// parent returns the parent of a process, 0 if it is gone.
func parent(pid int) int {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])) // the name before may hold spaces
	if len(fields) < 2 {
		return 0
	}
	ppid, _ := strconv.Atoi(fields[1])
	return ppid
}

// How often, and after which pauses, the command line of an HAProxy that executes itself anew is looked at again.
const (
	execTries = 100
	execPause = time.Millisecond
)

// isHAProxy reports whether a process is a living HAProxy, by the name that the kernel keeps; a defunct one is not.
func isHAProxy(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, ok := strings.Cut(string(stat), "(haproxy) ")
	return ok && !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

// owns reports whether a process runs with this folder's configuration.
func (p *Process) owns(pid int) bool {
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	// A reload makes the master execute itself anew, and while it does so its command line is empty. Taking it for gone
	// then would start a second HAProxy beside it.
	for tries := 0; err == nil && len(cmdline) == 0 && isHAProxy(pid) && tries < execTries; tries++ {
		time.Sleep(execPause)
		cmdline, err = os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	}
	if err != nil {
		return false
	}
	for arg := range bytes.SplitSeq(cmdline, []byte{0}) {
		if string(arg) == filepath.Join(p.Dir, configFile) {
			return true
		}
	}
	return false
}

// Processes returns the ids of all processes that run with this folder's configuration: the master, its workers, and
// workers of before a reload. It is what has to be gone after Stop.
func (p *Process) Processes() []int {
	var pids []int
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && p.owns(pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Stop ends HAProxy with all its workers, and with them every connection.
func (p *Process) Stop(ctx context.Context) error {
	deadline := time.Now().Add(stopTimeout)
	sig := syscall.SIGTERM
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for sent := map[int]syscall.Signal{}; ; {
		pids := p.Processes()
		if len(pids) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			sig = syscall.SIGKILL
		}
		for _, pid := range pids {
			if sent[pid] == sig {
				continue
			}
			if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("stop haproxy %d: %w", pid, err)
			}
			sent[pid] = sig
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("stop haproxy: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// Remove stops HAProxy and removes its folder.
func (p *Process) Remove(ctx context.Context) error {
	if err := p.Stop(ctx); err != nil {
		return err
	}
	if err := os.RemoveAll(p.Dir); err != nil {
		return fmt.Errorf("remove load balancer folder: %w", err)
	}
	return nil
}

func (p *Process) binary() string {
	if p.Binary != "" {
		return p.Binary
	}
	return "haproxy"
}

// trimLog empties the log once it is large; HAProxy writes a line per change of a server.
func (p *Process) trimLog() {
	path := filepath.Join(p.Dir, logFile)
	if info, err := os.Stat(path); err == nil && info.Size() > maxLog {
		_ = os.Truncate(path, 0)
	}
}

// lastLog returns the end of HAProxy's output, to explain why it did not start.
func (p *Process) lastLog() string {
	const tail = 600
	data, err := os.ReadFile(filepath.Join(p.Dir, logFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "no output"
	}
	if len(data) > tail {
		data = data[len(data)-tail:]
	}
	return strings.TrimSpace(string(data))
}
