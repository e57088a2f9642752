// Package initproc is the init process of a container that asks for one (initProcessEnabled): it starts the real command,
// passes signals on to it, and reaps the orphans that a first process inherits.
//
// It runs inside the container, as the program that Spec.Init puts in front of the command; `neargate init -- COMMAND` is
// nothing but [Run]. It is no supervisor: when the command ends, so does it, with the same exit code.
package initproc

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// Exit codes of a command that cannot be run, as shells give them.
const (
	notExecutable = 126
	notFound      = 127
	killedBase    = 128
)

// Run runs the command and returns its exit code; 128 and the signal's number if it was killed.
func Run(command []string) int {
	if len(command) == 0 {
		fmt.Fprintln(os.Stderr, "init: no command")
		return notFound
	}
	path, err := exec.LookPath(command[0])
	if err != nil && !errors.Is(err, exec.ErrDot) {
		fmt.Fprintln(os.Stderr, "init:", err)
		return notFound
	}
	signals := make(chan os.Signal, 64)
	signal.Notify(signals) // before the start, so that no signal is lost
	process, err := os.StartProcess(path, command, &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	if err != nil {
		fmt.Fprintln(os.Stderr, "init:", err)
		return notExecutable
	}
	child := process.Pid
	for {
		if code, ended := reap(child); ended {
			return code
		}
		switch s := <-signals; s {
		case syscall.SIGCHLD, syscall.SIGURG: // Go's scheduler uses SIGURG for itself
		default:
			if number, ok := s.(syscall.Signal); ok {
				_ = syscall.Kill(child, number)
			}
		}
	}
}

// reap collects every process that has ended, and reports how the child did if it is among them.
func reap(child int) (code int, ended bool) {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case pid <= 0 || err != nil:
			return code, ended
		case pid != child:
		case status.Signaled():
			code, ended = killedBase+int(status.Signal()), true
		default:
			code, ended = status.ExitStatus(), true
		}
	}
}
