// Package nettest runs a package's tests inside network, mount and (without root) user namespaces of their own, so that
// tests may make namespaces, links and rules freely and leave nothing behind, however they end.
//
// It is test code only and knows nothing of VPCs. Start at [Main], called from TestMain:
//
//	func TestMain(m *testing.M) { nettest.Main(m) }
//
// and call [Require] in each test that touches the kernel.
package nettest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/neargate/neargate/internal/linux/netns"
)

const (
	envInside = "NEARGATE_NETTEST"        // set in the re-executed test binary
	envReason = "NEARGATE_NETTEST_REASON" // set when the namespaces cannot be had
)

// Main re-executes the test binary in namespaces of its own and exits with its status. /run is an empty tmpfs there,
// hence /run/netns is private too. Where the host allows no namespaces, the tests run as they are and [Require] skips.
func Main(m *testing.M) {
	if os.Getenv(envInside) != "" {
		if err := prepare(); err != nil {
			fmt.Fprintln(os.Stderr, "nettest:", err)
			os.Exit(2)
		}
		os.Exit(m.Run())
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), envInside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS,
		Pdeathsig:  syscall.SIGKILL,
	}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	if err := cmd.Start(); err != nil {
		os.Setenv(envReason, err.Error())
		os.Exit(m.Run())
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	switch {
	case err == nil:
		os.Exit(0)
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		os.Exit(exit.ExitCode())
	default:
		fmt.Fprintln(os.Stderr, "nettest:", err)
		os.Exit(2)
	}
}

// Require skips the test, with the reason, unless it runs inside namespaces made by [Main].
func Require(t testing.TB) {
	t.Helper()
	if os.Getenv(envInside) == "" {
		t.Skip("needs root or unprivileged user namespaces: " + os.Getenv(envReason))
	}
}

// Namespace makes a named namespace and deletes it when the test ends.
func Namespace(t testing.TB, name string) *netns.Namespace {
	t.Helper()
	Require(t)
	ns, err := netns.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ns.Close()
		if err := netns.Delete(name); err != nil {
			t.Error(err)
		}
	})
	return ns
}

// Links returns the names of the interfaces in a namespace.
func Links(t testing.TB, ns *netns.Namespace) []string {
	t.Helper()
	var names []string
	err := ns.Do(func() error {
		ifs, err := net.Interfaces()
		for _, i := range ifs {
			names = append(names, i.Name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// Exec runs a command inside a namespace and returns what it wrote, failing the test when the command fails.
func Exec(t testing.TB, ns *netns.Namespace, name string, args ...string) string {
	t.Helper()
	out, err := Output(ns, name, args...)
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return out
}

// Output runs a command inside a namespace and returns what it wrote to both of its outputs.
func Output(ns *netns.Namespace, name string, args ...string) (string, error) {
	f, err := os.CreateTemp("", "nettest-*")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = f, f
	if err := ns.Do(cmd.Start); err != nil {
		return "", err
	}
	err = cmd.Wait()
	out, rerr := os.ReadFile(f.Name())
	return string(out), errors.Join(err, rerr)
}

// Tool skips the test when a program is not installed.
func Tool(t testing.TB, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed", name)
	}
}

// prepare makes the mounts private and hides the host's /run.
func prepare() error {
	if err := unix.Mount("", "/", "none", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mount tmpfs on /run: %w", err)
	}
	return nil
}
