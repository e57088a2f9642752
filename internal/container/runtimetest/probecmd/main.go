// Command probecmd is the probe as a program for real test images (see runtimetest/probe). It is built without cgo, so
// that an image needs nothing else. It is no product code.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/neargate/neargate/internal/container/initproc"
	"github.com/neargate/neargate/internal/container/runtimetest/probe"
)

func main() {
	if len(os.Args) > 2 && os.Args[1] == "init" {
		os.Exit(initproc.Run(os.Args[2:]))
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1)
	os.Exit(probe.Run(probe.Process{
		Args: os.Args[1:], Env: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Signals: signals, System: system,
	}))
}

// system runs the verbs that need a real system.
func system(args []string, out io.Writer) int {
	arg := func(i int) string {
		if i < len(args) {
			return args[i]
		}
		return ""
	}
	switch args[0] {
	case "id":
		groups, _ := os.Getgroups()
		fmt.Fprintln(out, os.Getuid(), os.Getgid(), groups)
	case "pwd":
		dir, _ := os.Getwd()
		fmt.Fprintln(out, dir)
	case "hostname":
		name, _ := os.Hostname()
		fmt.Fprintln(out, name)
	case "read":
		data, err := os.ReadFile(arg(1))
		if err != nil {
			fmt.Fprintln(out, err)
			return 1
		}
		fmt.Fprint(out, string(data))
	case "write":
		if err := os.WriteFile(arg(1), []byte(arg(2)), 0o644); err != nil {
			fmt.Fprintln(out, err)
			return 1
		}
	case "status":
		data, _ := os.ReadFile("/proc/self/status")
		for _, line := range strings.Split(string(data), "\n") {
			if name, value, _ := strings.Cut(line, ":"); name == arg(1) {
				fmt.Fprintln(out, strings.TrimSpace(value))
			}
		}
	case "limit":
		var l syscall.Rlimit
		_ = syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l)
		fmt.Fprintln(out, l.Cur, l.Max)
	case "hog":
		n, _ := strconv.Atoi(arg(1)) // MiB
		block := make([]byte, n<<20)
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1
		}
		fmt.Fprintln(out, "got", len(block)>>20)
	case "links":
		links, _ := net.Interfaces()
		for _, l := range links {
			fmt.Fprintln(out, l.Name)
		}
	case "addresses":
		addrs, _ := net.InterfaceAddrs()
		fmt.Fprintln(out, addrs)
	case "mounts":
		data, _ := os.ReadFile("/proc/self/mountinfo")
		fmt.Fprint(out, string(data))
	case "serve":
		err := http.ListenAndServe(arg(1), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintln(w, arg(2))
		}))
		fmt.Fprintln(out, err)
		return 1
	case "pid":
		fmt.Fprintln(out, os.Getpid())
	case "terminal":
		if _, err := os.Stat("/dev/tty"); err != nil {
			return 1
		}
		info, err := os.Stdin.Stat()
		if err != nil || info.Mode()&os.ModeCharDevice == 0 {
			return 2
		}
		fmt.Fprintln(out, "terminal")
	default:
		fmt.Fprintln(os.Stderr, "unknown verb", args[0])
		return 3
	}
	return 0
}
