package main

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/neargate/neargate/internal/cli"
)

// execute runs the command line and returns what it prints.
func execute(args ...string) (string, error) {
	var out strings.Builder
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(io.Discard)
	err := root.Execute()
	return out.String(), err
}

func TestEveryCommandExplainsItself(t *testing.T) {
	for _, cmd := range newRootCommand().Commands() {
		if cmd.Short == "" && !cmd.Hidden {
			t.Errorf("%s has no description", cmd.Name())
		}
	}
	text, err := execute("--help")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"serve", "up", "down", "status", "logs", "exec", "url", "push", "env", "doctor", "cleanup", "version"} {
		if !strings.Contains(text, "\n  "+name+" ") {
			t.Errorf("help does not list %s", name)
		}
	}
	if strings.Contains(text, "\n  keeper ") {
		t.Error("help lists keeper, which nobody types")
	}
}

func TestWrongUsage(t *testing.T) {
	for _, args := range [][]string{
		{"bogus"}, {"up"}, {"up", "a", "b"}, {"down", "a", "b"}, {"status", "x"}, {"url"}, {"logs"}, {"exec", "task"}, {"push"}, {"push", "a", "b", "c"},
		{"push", "a", "b", "--repo", "c"}, {"push", "--binary", "x", "a", "b"}, {"env", "x"}, {"status", "--bogus"}, {"up", "x", "--endpoint", "nowhere"},
	} {
		if _, err := execute(args...); cli.ExitCode(err) != cli.ExitUsage {
			t.Errorf("%s: error %v, code %d", strings.Join(args, " "), err, cli.ExitCode(err))
		}
	}
}

func TestWithoutDaemon(t *testing.T) {
	// Nothing can listen on port 1 of this address unless root wants it to.
	for _, args := range [][]string{{"status"}, {"up", "x.yaml"}, {"down"}, {"logs", "x"}, {"url", "x"}, {"push", "x"}} {
		_, err := execute(append(args, "--endpoint", "http://127.255.255.254:1")...)
		if cli.ExitCode(err) != cli.ExitUnreachable || !strings.Contains(err.Error(), "start it with `neargate serve`") {
			t.Errorf("%s: error %v", args[0], err)
		}
	}
}

func TestVersion(t *testing.T) {
	text, err := execute("version")
	if err != nil || !strings.HasPrefix(text, "neargate ") || !strings.Contains(text, " build ") {
		t.Errorf("%q, %v", text, err)
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("NEARGATE_DATA", "/elsewhere")
	if got := newCleanupCommand().Flag("data").DefValue; got != "/elsewhere" {
		t.Errorf("%q", got)
	}
	if err := os.Unsetenv("NEARGATE_DATA"); err != nil {
		t.Fatal(err)
	}
	if got := newCleanupCommand().Flag("data").DefValue; got != defaultData {
		t.Errorf("%q", got)
	}
}
