package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/neargate/neargate/internal/linux/cgroup"
	"github.com/neargate/neargate/internal/linux/netns"
)

// CleanOptions say what goes.
type CleanOptions struct {
	Purge bool              // the data directory too
	Note  func(line string) // what is being done; may be nil
}

const (
	stopPatience = 5 * time.Second
	pollPause    = 20 * time.Millisecond
)

// Clean ends and removes everything of the instance: first the keeper, which would go on working, then containers and
// what holds them, load balancers, mounts, namespaces, control groups. It refuses with a [*RunningError] while a daemon
// runs, and goes on after an error, so that one thing that cannot be removed does not keep the rest.
func (h *Host) Clean(ctx context.Context, o CleanOptions) error {
	if o.Note == nil {
		o.Note = func(string) {}
	}
	lock, err := h.hold()
	if err != nil {
		return err
	}
	defer lock.Close()
	var errs []error
	try := func(err error) { errs = append(errs, err) }

	// Containers are killed before their shims: a shim's death would leave them as orphans. What a process starts while it
	// is being ended is found by looking again.
	const rounds = 5
	for range rounds {
		inv, err := h.Look()
		if err != nil {
			return err
		}
		if len(inv.Processes) == 0 {
			break
		}
		for _, role := range []Role{RoleKeeper, RoleContainerd, RoleContainer, RoleShim, RoleHAProxy} {
			for _, p := range inv.Processes {
				if p.Role == role {
					o.Note(fmt.Sprintf("end process %d (%s, %s)", p.PID, p.Name, p.Role))
					try(h.end(ctx, p))
				}
			}
		}
	}
	try(h.removeShimSockets())
	inv, err := h.Look()
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	for _, m := range inv.Mounts {
		o.Note("unmount " + m)
		if err := unix.Unmount(m, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
			try(fmt.Errorf("unmount %s: %w", m, err))
		}
	}
	for _, n := range inv.Namespaces {
		o.Note("delete network namespace " + n)
		try(netns.Delete(n))
	}
	for _, t := range inv.Tables {
		o.Note("delete nftables table " + t)
		try(deleteTable(ctx, t))
	}
	if h.isLatest() {
		if tree, err := cgroup.Detect(); err == nil && len(inv.Groups) > 0 {
			o.Note("remove control groups " + cgroupRoot)
			try(tree.Remove(cgroupRoot))
		} else if err == nil {
			try(tree.Remove(cgroupRoot))
		}
	}
	try(h.removeFiles(o))
	if err := errors.Join(errs...); err != nil {
		return err
	}
	// Removed while it is held: whoever has it open already cannot lock it, whoever comes later makes a new one.
	if h.isLatest() {
		if err := os.Remove(h.Lock); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove the lock of this host: %w", err)
		}
	}
	return nil
}

// shimSockets is where containerd's shims have their sockets, whatever instance they belong to.
const shimSockets = "/run/containerd/s/"

// removeShimSockets removes the sockets of shims that were killed. Which are ours, their folders say.
func (h *Host) removeShimSockets() error {
	files, err := filepath.Glob(filepath.Join(h.Data, "containerd/state/io.containerd.runtime.v2.task/*/*/address"))
	if err != nil {
		return err
	}
	var errs []error
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		socket := filepath.Clean(strings.TrimPrefix(strings.TrimSpace(string(text)), "unix://"))
		if !strings.HasPrefix(socket, shimSockets) {
			continue
		}
		if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("remove a shim's socket: %w", err))
		}
	}
	return errors.Join(errs...)
}

// removeFiles removes the data directory, or only what belonged to processes that are gone.
func (h *Host) removeFiles(o CleanOptions) error {
	if !o.Purge {
		// Sockets and pid files are of no use without their processes; records, images and logs stay.
		var errs []error
		for _, dir := range []string{"run", "lb"} {
			if err := os.RemoveAll(filepath.Join(h.Data, dir)); err != nil {
				errs = append(errs, err)
			}
		}
		return errors.Join(errs...)
	}
	if _, err := os.Stat(h.Data); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := looksLikeOurs(h.Data); err != nil {
		return err
	}
	o.Note("remove " + h.Data)
	if err := os.RemoveAll(h.Data); err != nil {
		return fmt.Errorf("remove the data directory: %w", err)
	}
	return nil
}

// parts are the folders of a data directory.
var parts = map[string]bool{"etcd": true, "containerd": true, "run": true, "keeper": true, "registry": true, "logs": true, "tasks": true, "lb": true, "pki": true}

// looksLikeOurs keeps a mistyped --data from removing somebody's files: folders that are not ours must not be in it.
func looksLikeOurs(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read the data directory: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() && !parts[e.Name()] || !e.IsDir() && !strings.HasPrefix(e.Name(), "serve.") {
			return fmt.Errorf("%s is not removed: it has %s in it, which Neargate does not make; is it really a data directory?", dir, e.Name())
		}
	}
	return nil
}

// end asks a process to end and kills it when it does not. What it is, is looked at again after its handle is open, so
// that an identifier that was used again meanwhile hits nobody else.
func (h *Host) end(ctx context.Context, p Process) error {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	} else if err != nil {
		return fmt.Errorf("end process %d: %w", p.PID, err)
	}
	defer unix.Close(fd)
	if !h.isStill(p) {
		return nil
	}
	signals := []unix.Signal{unix.SIGTERM, unix.SIGKILL}
	if p.Role == RoleContainer || p.Role == RoleHAProxy || p.Role == RoleShim { // their manners are of no use any more
		signals = signals[1:]
	}
	for _, signal := range signals {
		if err := unix.PidfdSendSignal(fd, signal, nil, 0); errors.Is(err, unix.ESRCH) {
			return nil
		} else if err != nil {
			return fmt.Errorf("end process %d (%s): %w", p.PID, p.Role, err)
		}
		if awaitEnd(ctx, fd) {
			return nil
		}
	}
	return fmt.Errorf("process %d (%s, %s) does not end", p.PID, p.Name, p.Role)
}

// isStill reports whether the identifier is still that process of ours.
func (h *Host) isStill(p Process) bool {
	dir := filepath.Join("/proc", strconv.Itoa(p.PID))
	if p.Role == RoleContainer {
		groups, err := os.ReadFile(filepath.Join(dir, "cgroup"))
		return err == nil && strings.Contains(string(groups), ":"+cgroupRoot+"/")
	}
	argv, err := readCommand(dir)
	now, ok := classify(h.Data, argv)
	return err == nil && ok && now.Role == p.Role
}

// awaitEnd reports whether the process behind a pidfd ended in time.
func awaitEnd(ctx context.Context, fd int) bool {
	for deadline := time.Now().Add(stopPatience); time.Now().Before(deadline) && ctx.Err() == nil; {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(pollPause/time.Millisecond))
		if err == nil && n > 0 {
			return true
		}
	}
	return false
}
