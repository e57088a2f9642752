package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// newInitCommand is what `initProcessEnabled` puts before a container's own command: a first process that passes signals
// on and reaps whatever is orphaned. This very binary is mounted into the container for it; nobody has to type this.
func newInitCommand() *cobra.Command {
	return &cobra.Command{
		Use: "init -- COMMAND [ARG...]", Hidden: true, DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 && args[0] == "--" {
				args = args[1:]
			}
			if len(args) == 0 {
				return errors.New("init: no command")
			}
			code, err := superviseChild(args)
			if err != nil {
				return err
			}
			return &exitError{code: code}
		},
	}
}

// superviseChild runs a command until it ends and returns its exit code, 128 and the signal's number for one that was
// killed, as shells do.
func superviseChild(args []string) (int, error) {
	path, err := exec.LookPath(args[0])
	if err != nil {
		return 0, fmt.Errorf("exec: %q: %w", args[0], err)
	}
	signals := make(chan os.Signal, 64)
	signal.Notify(signals)
	child, err := os.StartProcess(path, args, &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}, Env: os.Environ()})
	if err != nil {
		return 0, fmt.Errorf("exec: %w", err)
	}
	for s := range signals {
		switch s {
		case syscall.SIGCHLD:
			if code, ended := reapChildren(child.Pid); ended {
				return code, nil
			}
		case syscall.SIGURG: // the Go runtime's own
		default:
			_ = child.Signal(s)
		}
	}
	return 0, nil
}

// reapChildren collects every process that has ended, and reports whether the one with that number has, and how.
func reapChildren(pid int) (code int, ended bool) {
	for {
		var status syscall.WaitStatus
		got, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || got <= 0 {
			return code, ended
		}
		if got != pid {
			continue
		}
		if ended, code = true, status.ExitStatus(); status.Signaled() {
			code = 128 + int(status.Signal())
		}
	}
}
