// Package probe is the program that test containers run: small verbs whose effect a test can see.
//
// It is a function, so that container/fake can run it without a process, and a program (runtimetest/probecmd) that goes
// into a real image. It is no product code. Start at [Run].
package probe

import (
	"fmt"
	"io"
	"os"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Process is what a running probe sees of the world.
type Process struct {
	Args    []string // without the program's own name
	Env     []string
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	Signals <-chan os.Signal // what it can catch; SIGKILL ends it without asking
	// System runs verbs that look at the real system; nil in a fake, where such verbs exit with 3.
	System func(args []string, stdout io.Writer) int
}

// Run runs the verbs in Args one after the other, separated by "+", and returns the exit code of the first that is not 0.
//
//	print TEXT      a line on standard output        err TEXT       a line on standard error
//	env NAME        prints the value                 exit N         ends with that code
//	sleep           waits until SIGTERM, exits 143   stubborn       waits and ignores SIGTERM
//	graceful        waits until SIGTERM, exits 0     cat            copies input to output
//	flood N         prints N lines                   pause MS       waits so many milliseconds
func Run(p Process) int {
	args := p.Args
	for len(args) > 0 {
		verb := args
		if i := index(args, "+"); i >= 0 {
			verb, args = args[:i], args[i+1:]
		} else {
			args = nil
		}
		if code := p.one(verb); code != 0 {
			return code
		}
		if len(verb) > 0 && verb[0] == "exit" {
			return 0
		}
	}
	return 0
}

func (p Process) one(verb []string) int {
	if len(verb) == 0 {
		return 0
	}
	arg := ""
	if len(verb) > 1 {
		arg = verb[1]
	}
	n, _ := strconv.Atoi(arg)
	switch verb[0] {
	case "print":
		fmt.Fprintln(p.Stdout, arg)
	case "err":
		fmt.Fprintln(p.Stderr, arg)
	case "env":
		env := append([]string(nil), p.Env...)
		sort.Strings(env)
		for _, pair := range env {
			if name, value, _ := strings.Cut(pair, "="); name == arg {
				fmt.Fprintln(p.Stdout, value)
			}
		}
	case "exit":
		return n
	case "sleep":
		for s := range p.Signals {
			if s == syscall.SIGTERM {
				return 143
			}
		}
	case "graceful":
		<-p.Signals
	case "stubborn":
		for range p.Signals { // until it is killed
		}
	case "cat":
		_, _ = io.Copy(p.Stdout, p.Stdin)
	case "flood":
		for i := range n {
			fmt.Fprintln(p.Stdout, "line", i)
		}
	case "pause":
		time.Sleep(time.Duration(n) * time.Millisecond)
	default:
		if p.System == nil {
			return 3
		}
		return p.System(verb, p.Stdout)
	}
	return 0
}

func index(list []string, what string) int {
	for i, s := range list {
		if s == what {
			return i
		}
	}
	return -1
}
