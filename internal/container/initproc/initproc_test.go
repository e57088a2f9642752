package initproc

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestMain lets the test program be its own init: what it would reap is then its own children only.
func TestMain(m *testing.M) {
	if os.Getenv("RUN_AS_INIT") != "" {
		os.Exit(Run(os.Args[1:]))
	}
	os.Exit(m.Run())
}

func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), "RUN_AS_INIT=1")
	return cmd
}

func TestRun(t *testing.T) {
	for _, test := range []struct {
		args []string
		code int
		out  string
	}{
		{[]string{"sh", "-c", "echo hi; exit 3"}, 3, "hi\n"},
		{[]string{"sh", "-c", "kill -9 $$"}, 137, ""},
		{[]string{"sh", "-c", "(exit 7) & (exit 8) & wait; exit 0"}, 0, ""},
		{[]string{"no-such-command"}, 127, ""},
		{[]string{"/etc/passwd"}, 127, ""},
		{nil, 127, ""},
	} {
		cmd := command(t, test.args...)
		var out bytes.Buffer
		cmd.Stdout = &out
		_ = cmd.Run()
		if code := cmd.ProcessState.ExitCode(); code != test.code || out.String() != test.out {
			t.Errorf("%v: exit code %d, output %q", test.args, code, out.String())
		}
	}
}

func TestSignals(t *testing.T) {
	cmd := command(t, "sh", "-c", `trap "echo caught; exit 5" TERM; echo ready; while :; do sleep 0.01; done`)
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(pipe)
	if line, err := lines.ReadString('\n'); err != nil || strings.TrimSpace(line) != "ready" {
		t.Fatalf("%q, %v", line, err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if line, err := lines.ReadString('\n'); err != nil || strings.TrimSpace(line) != "caught" {
		t.Errorf("%q, %v", line, err)
	}
	if _ = cmd.Wait(); cmd.ProcessState.ExitCode() != 5 {
		t.Errorf("ended with %v", cmd.ProcessState)
	}
}
