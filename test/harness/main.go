package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// tools are the programs that a daemon needs on the host.
var tools = []string{"containerd", "runc", "haproxy"}

// Missing says why whole-daemon tests cannot run here; empty when they can.
func Missing() string {
	if os.Geteuid() != 0 {
		return "whole-daemon stories need root: they make network namespaces and containers (sudo make test)"
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Sprintf("whole-daemon stories need %s: run make setup", tool)
		}
	}
	return ""
}

// Main runs a package's tests with one daemon, which use gets (and prepares) before the first test, and takes the daemon down again
// however the tests end. Where no daemon can run, use is not called and its tests have to call [Skip]; in CI that is a failure.
func Main(m *testing.M, o Options, use func(*Daemon) error) int {
	if why := Missing(); why != "" {
		if os.Getenv("CI") == "true" {
			fmt.Fprintln(os.Stderr, "CI must run these:", why)
			return 1
		}
		return m.Run()
	}
	unlock, err := lockHost()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer unlock()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	d, err := Start(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := make(chan int, 1)
	go func() {
		if err := use(d); err != nil {
			fmt.Fprintln(os.Stderr, "prepare the tests:", err)
			code <- 1
			return
		}
		code <- m.Run()
	}()
	result := 130
	select {
	case result = <-code:
	case <-ctx.Done():
		fmt.Fprintln(os.Stderr, "interrupted: taking the daemon down")
	}
	if err := d.Stop(context.WithoutCancel(ctx)); err != nil {
		fmt.Fprintln(os.Stderr, "FAIL:", err)
		if result == 0 {
			result = 1
		}
	}
	d.report(result)
	return result
}

// Skip skips a test that got no daemon, saying why.
func Skip(t testing.TB, d *Daemon) {
	t.Helper()
	if d == nil {
		t.Skip(Missing())
	}
}

// hostLock is held while a test's daemon runs: only one daemon can run on a host, and `go test ./...` runs packages
// at the same time.
const hostLock = "/run/neargate-test.lock"

// lockHost waits for the host.
func lockHost() (unlock func(), err error) {
	f, err := os.OpenFile(hostLock, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the lock of the tests: %w", err)
	}
	for told := false; ; time.Sleep(200 * time.Millisecond) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, fmt.Errorf("take the lock of the tests: %w", err)
		}
		if !told {
			fmt.Fprintln(os.Stderr, "waiting for another test that has the host")
			told = true
		}
	}
}
