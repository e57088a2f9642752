package doctor

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// tryLock takes the lock of an open file and reports whether that was possible.
func tryLock(f *os.File) bool {
	return !errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}

// RunningError says that a daemon runs, so that nothing may be cleaned.
type RunningError struct {
	PID  int
	Data string
}

// Error names the daemon.
func (e *RunningError) Error() string {
	return fmt.Sprintf("neargate serve is running (process %d, data directory %s)", e.PID, e.Data)
}

// hold takes the host's lock, so that no daemon starts meanwhile.
func (h *Host) hold() (*os.File, error) {
	f, err := os.OpenFile(h.Lock, os.O_RDWR|os.O_CREATE|syscall.O_CLOEXEC, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the lock of this host: %w", err)
	}
	if !tryLock(f) {
		pid, data, _ := h.Daemon()
		_ = f.Close()
		return nil, &RunningError{PID: pid, Data: data}
	}
	return f, nil
}
