package harness

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	dataPrefix = "ngt" // of data directories in /tmp
	daemonLock = "/run/neargate.lock"
)

var lockHolder = regexp.MustCompile(`data (\S+)`)

// tidy makes sure that the host is empty. What an earlier test left that was killed itself is removed; what is not a
// test's is not touched, and the test cannot run.
func tidy() error {
	data := ""
	if b, err := os.ReadFile(daemonLock); err == nil {
		if m := lockHolder.FindSubmatch(b); m != nil {
			data = string(m[1])
		}
	}
	// Whoever runs tests has the lock of the tests (see Main), and now that is us: a test's daemon that still runs was left
	// by one that was killed.
	if isHeld(daemonLock) && !strings.HasPrefix(data, "/tmp/"+dataPrefix) {
		return fmt.Errorf("a neargate daemon runs on this host (data directory %s): stop it before the tests", data)
	}
	left := HostLeaks()
	if len(left) == 0 && !isHeld(daemonLock) {
		return nil
	}
	if !strings.HasPrefix(data, "/tmp/"+dataPrefix) {
		return fmt.Errorf("remove what a daemon has left (neargate cleanup --data %s), then run the tests: %s", data, list(left))
	}
	fmt.Fprintf(os.Stderr, "removing what an interrupted test left: %s\n", list(left))
	if err := force(data); err != nil {
		return err
	}
	return os.RemoveAll(data)
}

// isHeld reports whether a process has the lock.
func isHeld(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil
}
