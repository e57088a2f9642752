package keeper

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

const (
	// maxFiles is for thousands of listeners, spools and connections; it also bounds how many descriptors may be on their
	// way to a successor (unix(7), ETOOMANYREFS).
	maxFiles = 1 << 20
	// oomScore makes a host that is short of memory end a task rather than what all tasks need.
	oomScore = "-900"
)

// raiseLimits asks for what a process with many sockets needs. What is refused (no root, a container without the right)
// is no reason not to start.
func raiseLimits() error {
	var errs []error
	for want := uint64(maxFiles); want >= 1<<16; want /= 4 {
		var cur unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &cur); err != nil {
			errs = append(errs, fmt.Errorf("read file limit: %w", err))
			break
		}
		if cur.Cur >= want {
			break
		}
		err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: want, Max: max(want, cur.Max)})
		if err == nil {
			break
		}
		errs = append(errs, fmt.Errorf("raise file limit to %d: %w", want, err))
	}
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte(oomScore), 0); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
