// Package netns makes, opens, lists and removes named network namespaces, and runs code and opens sockets inside them.
//
// Names are files in /run/netns, as `ip netns` makes them, so `ip netns exec NAME ...` works on ours. The package knows
// nothing of VPCs or tasks, sets up no links or addresses (that is linux/link), and never leaves a goroutine or an OS
// thread behind in a foreign namespace: see [Namespace.Do]. A socket made inside stays in its namespace for life, so
// [Namespace.DialContext], [Namespace.Listen] and [Namespace.ListenPacket] return ordinary net values that may be used
// anywhere. Start at [Ensure] and [Namespace].
package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Dir is where named namespaces live; the same folder as of `ip netns`.
const Dir = "/run/netns"

// Namespace is an open network namespace. It stays alive as long as it is open, even when its name is deleted.
// It is safe for concurrent use; Close it when done.
type Namespace struct {
	name string
	file *os.File
}

// Path returns the file of the namespace with that name; the file need not exist.
func Path(name string) string { return filepath.Join(Dir, name) }

// Create makes a new namespace with lo up and returns it open. It returns an error that is fs.ErrExist if the name is
// taken by a live namespace; a left-over file without a namespace behind it (a crash in between) is replaced.
func Create(name string) (*Namespace, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if err := ensureDir(); err != nil {
		return nil, err
	}
	unlock, err := lockDir()
	if err != nil {
		return nil, err
	}
	defer unlock()
	path := Path(name)
	f, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE|os.O_EXCL, 0o444)
	if errors.Is(err, fs.ErrExist) && isStale(path) {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("remove stale namespace file: %w", err)
		}
		f, err = os.OpenFile(path, os.O_RDONLY|os.O_CREATE|os.O_EXCL, 0o444)
	}
	if err != nil {
		return nil, fmt.Errorf("create namespace file: %w", err)
	}
	f.Close()
	var ns *Namespace
	err = onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("unshare network namespace: %w", err)
		}
		if err := loopbackUp(); err != nil {
			return fmt.Errorf("set lo up: %w", err)
		}
		own := fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid())
		if err := unix.Mount(own, path, "none", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("bind namespace to %s: %w", path, err)
		}
		var err error
		ns, err = Open(name)
		return err
	})
	if err != nil {
		_ = Delete(name)
		return nil, fmt.Errorf("create namespace %s: %w", name, err)
	}
	return ns, nil
}

// Ensure opens the namespace with that name, and makes it first if it does not exist; made reports which of the two.
func Ensure(name string) (ns *Namespace, made bool, err error) {
	ns, err = Open(name)
	if err == nil {
		return ns, false, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, false, err
	}
	ns, err = Create(name)
	if errors.Is(err, fs.ErrExist) { // somebody else was quicker
		ns, err = Open(name)
		return ns, false, err
	}
	return ns, err == nil, err
}

// Open opens the namespace with that name. The error is fs.ErrNotExist if there is none, also when only a left-over
// file is there.
func Open(name string) (*Namespace, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	return OpenPath(name, Path(name))
}

// OpenPath opens the namespace behind any file, such as /proc/<pid>/ns/net; name is for messages only.
func OpenPath(name, path string) (*Namespace, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open namespace %s: %w", name, err)
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		f.Close()
		return nil, fmt.Errorf("open namespace %s: %w", name, err)
	}
	if st.Type != unix.NSFS_MAGIC && st.Type != unix.PROC_SUPER_MAGIC {
		f.Close()
		return nil, fmt.Errorf("open namespace %s: %s is no namespace: %w", name, path, fs.ErrNotExist)
	}
	return &Namespace{name: name, file: f}, nil
}

// Current opens the namespace of the calling thread.
func Current() (*Namespace, error) { return OpenPath("current", "/proc/thread-self/ns/net") }

// Delete removes the name. The kernel destroys the namespace, its links and its sockets' connectivity once nobody has
// it open and no process is inside. Deleting what does not exist is no error.
func Delete(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	path := Path(name)
	// A crash may have stacked mounts; unmount until nothing is mounted there.
	for range 16 {
		err := unix.Unmount(path, unix.MNT_DETACH)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
			break
		}
		if err != nil {
			return fmt.Errorf("unmount namespace %s: %w", name, err)
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete namespace %s: %w", name, err)
	}
	return nil
}

// Exists reports whether a live namespace with that name exists.
func Exists(name string) bool {
	_, err := os.Stat(Path(name))
	return err == nil && !isStale(Path(name))
}

// List returns the names that begin with prefix, sorted; left-over files are listed too, so that a sweep finds them.
func List(prefix string) ([]string, error) {
	entries, err := os.ReadDir(Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list namespaces: %w", err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) {
			names = append(names, e.Name())
		}
	}
	sort.Strings(names)
	return names, nil
}

// Name returns the name it was opened by.
func (n *Namespace) Name() string { return n.name }

// FD returns the file descriptor, valid until Close. Netlink sockets are opened by it.
func (n *Namespace) FD() int { return int(n.file.Fd()) }

// Close releases the handle; the namespace itself stays if it has a name or a process.
func (n *Namespace) Close() error { return n.file.Close() }

// Inode returns the number that identifies the namespace in the kernel, as in `net:[4026531840]`.
func (n *Namespace) Inode() (uint64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(n.FD(), &st); err != nil {
		return 0, fmt.Errorf("stat namespace %s: %w", n.name, err)
	}
	return st.Ino, nil
}

// Do runs fn on a thread that is in the namespace, and waits for it. Keep fn short: open sockets, read or write
// /proc/sys/net, start a child process (which then lives inside). Goroutines that fn starts are not inside. If the
// thread cannot go back to where it came from, it is never used again.
func (n *Namespace) Do(fn func() error) error {
	return onThread(func() error {
		if err := unix.Setns(n.FD(), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter namespace %s: %w", n.name, err)
		}
		return fn()
	})
}

// Do opens the named namespace, runs fn inside, and closes it again.
func Do(name string, fn func() error) error {
	ns, err := Open(name)
	if err != nil {
		return err
	}
	defer ns.Close()
	return ns.Do(fn)
}

// onThread runs fn on a locked OS thread and puts that thread back into its own network namespace afterwards. It uses a
// goroutine of its own: only by ending while locked can a goroutine make the runtime throw its thread away.
func onThread(fn func() error) error {
	err := errors.New("ended early") // seen only if fn calls runtime.Goexit
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		runtime.LockOSThread()
		home, herr := os.Open("/proc/thread-self/ns/net")
		if herr != nil {
			runtime.UnlockOSThread()
			err = fmt.Errorf("open own network namespace: %w", herr)
			return
		}
		defer func() {
			back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET)
			home.Close()
			if back == nil {
				runtime.UnlockOSThread()
			} // else: stay locked, the thread dies with this goroutine
		}()
		err = fn()
	}()
	wg.Wait()
	return err
}

func checkName(name string) error {
	if name == "" || len(name) > 200 || strings.ContainsAny(name, "/\x00") || strings.HasPrefix(name, ".") {
		return fmt.Errorf("bad namespace name %q", name)
	}
	return nil
}

// isStale reports whether the file exists but no namespace is mounted on it.
func isStale(path string) bool {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return false
	}
	return st.Type != unix.NSFS_MAGIC && st.Type != unix.PROC_SUPER_MAGIC
}

// ensureDir makes /run/netns a shared mount point as `ip netns add` does: without it, a mount namespace made earlier
// would keep its own copy of each bind mount and so keep deleted namespaces alive.
func ensureDir() error {
	if err := os.MkdirAll(Dir, 0o755); err != nil {
		return fmt.Errorf("make %s: %w", Dir, err)
	}
	err := unix.Mount("", Dir, "none", unix.MS_SHARED|unix.MS_REC, "")
	if err == nil {
		return nil
	}
	if !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("share %s: %w", Dir, err)
	}
	// EINVAL: no mount point yet.
	if err := unix.Mount(Dir, Dir, "none", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mount %s on itself: %w", Dir, err)
	}
	if err := unix.Mount("", Dir, "none", unix.MS_SHARED|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("share %s: %w", Dir, err)
	}
	return nil
}

// lockDir keeps others from taking a namespace that is just being made for a left-over file.
func lockDir() (unlock func(), err error) {
	dir, err := os.Open(Dir)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", Dir, err)
	}
	for {
		err = unix.Flock(int(dir.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		dir.Close()
		return nil, fmt.Errorf("lock %s: %w", Dir, err)
	}
	return func() { dir.Close() }, nil // closing gives the lock back
}

// loopbackUp sets lo up in the calling thread's namespace with one ioctl; a netlink socket would cost more.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr)
}
