// Package verbs is the language of test scripts (testscript): `neargate` and `aws` as users type them, calls of any API
// operation by name, waiting for what an answer says, packets, loads, and the death of the daemon.
//
// It has no stories of its own; those of test/script and test/compat are told with [Tell]. Each verb is a method of
// [Teller], with its usage in its comment.
package verbs

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/neargate/neargate/test/harness"
)

const (
	commandTimeout = 3 * time.Minute
	awaitTimeout   = 60 * time.Second
	pollEvery      = 100 * time.Millisecond
)

// Teller runs scripts on a daemon.
type Teller struct {
	Daemon *harness.Daemon
	Vars   map[string]string // variables of every script, besides those of Tell
}

// Tell runs scripts with our verbs, each as a parallel subtest, and returns when all are done. Variables: ID is new for
// each script, ROOT is the repository, T the folder of templates, TEMPLATES that of other
// people's, ACCOUNT the account, LISTEN the daemon's address.
func (tl *Teller) Tell(t *testing.T, files ...string) {
	testscript.Run(t, testscript.Params{
		Files: files,
		Setup: func(e *testscript.Env) error {
			for _, kv := range tl.Daemon.Environment() {
				name, value, _ := strings.Cut(kv, "=")
				if name != "HOME" && name != "TMPDIR" {
					e.Setenv(name, value)
				}
			}
			root, err := harness.Root()
			if err != nil {
				return err
			}
			id := make([]byte, 3)
			_, _ = rand.Read(id)
			e.Setenv("ID", "s"+hex.EncodeToString(id))
			e.Setenv("ROOT", root)
			e.Setenv("T", filepath.Join(root, "test/script/testdata/templates"))
			e.Setenv("ACCOUNT", harness.Account)
			e.Setenv("LISTEN", tl.Daemon.Listen)
			e.Setenv("TEMPLATES", templates(root))
			for name, value := range tl.Vars {
				e.Setenv(name, value)
			}
			loads := map[string]*harness.Load{}
			e.Values[loadsKey{}] = loads
			e.Values[slowKey{}] = map[string]chan slowAnswer{}
			e.Defer(func() {
				for _, l := range loads {
					l.Stop()
				}
			})
			return nil
		},
		Condition: func(cond string) (bool, error) {
			root, err := harness.Root()
			if err != nil || cond != "widdix" {
				return false, errors.Join(err, fmt.Errorf("unknown condition %s", cond))
			}
			_, err = os.Stat(filepath.Join(templates(root), "widdix"))
			return err == nil, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"neargate": tl.command(tl.Daemon.Binary),
			"aws":      tl.command("aws", "--endpoint-url", tl.Daemon.Endpoint), // Debian 12's does not know AWS_ENDPOINT_URL

			"call": tl.call, "await": tl.await, "http": tl.http, "tcp": tcp, "load": tl.load, "slow": tl.slow,
			"daemon": tl.daemon, "match": match, "outputs": tl.outputs, "namespaces": namespaces, "sleep": sleep, "lines": tl.lines,
		},
	})
}

// templates is the folder with other people's templates: $TEMPLATES, as in the Makefile.
func templates(root string) string {
	if dir := os.Getenv("TEMPLATES"); filepath.IsAbs(dir) {
		return dir
	}
	return filepath.Join(root, "../shared/templates")
}

type loadsKey struct{}

// command runs a program as a user would, in the script's folder and environment.
func (tl *Teller) command(program string, first ...string) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
		defer cancel()
		cmd := exec.CommandContext(ctx, program, slices.Concat(first, args)...)
		cmd.Dir, cmd.Env = ts.Getenv("WORK"), tl.environ(ts)
		cmd.Stdout, cmd.Stderr = ts.Stdout(), ts.Stderr()
		verdict(ts, neg, cmd.Run())
	}
}

// environ is what programs get: the variables that matter to them.
func (tl *Teller) environ(ts *testscript.TestScript) []string {
	env := tl.Daemon.Environment()
	return append(env, "HOME="+ts.Getenv("WORK"))
}

// verdict ends the script when an error was or was not wanted.
func verdict(ts *testscript.TestScript, neg bool, err error) {
	switch {
	case err != nil && !neg:
		ts.Fatalf("%v", err)
	case err == nil && neg:
		ts.Fatalf("it succeeded, and should have failed")
	}
}

// call calls an operation with the SDK: call [-set NAME=path]... SERVICE OPERATION [JSON]. What it returns goes to
// stdout as JSON, an error to stderr as "Code: message".
func (tl *Teller) call(ts *testscript.TestScript, neg bool, args []string) {
	var sets []string
	for len(args) > 1 && args[0] == "-set" {
		sets, args = append(sets, args[1]), args[2:]
	}
	out, err := tl.invoke(args)
	if err != nil {
		fmt.Fprintln(ts.Stderr(), explain(err))
	} else {
		fmt.Fprintln(ts.Stdout(), string(out))
	}
	verdict(ts, neg, err)
	setAll(ts, sets, out)
}

func setAll(ts *testscript.TestScript, sets []string, document []byte) {
	for _, set := range sets {
		name, path, _ := strings.Cut(set, "=")
		value, err := harness.Find(document, path)
		ts.Check(err)
		if value == "" {
			ts.Fatalf("nothing at %s in %s", path, document)
		}
		ts.Logf("%s=%s", name, value)
		ts.Setenv(name, value)
	}
}

func (tl *Teller) invoke(args []string) ([]byte, error) {
	if len(args) < 2 {
		return nil, errors.New("usage: SERVICE OPERATION [JSON]")
	}
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	return tl.Daemon.Clients().Call(ctx, args[0], args[1], []byte(strings.Join(args[2:], " ")))
}

// explain writes an API error as "Code: message".
func explain(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode() + ": " + api.ErrorMessage()
	}
	return err.Error()
}

// await calls an operation until what is at a path matches: await [-t 30s] [-set NAME=path]... PATH REGEXP SERVICE
// OPERATION [JSON]. The whole of it has to match. An error of the API counts as "Code: message" at any path.
func (tl *Teller) await(ts *testscript.TestScript, neg bool, args []string) {
	timeout, sets := awaitTimeout, []string{}
	for len(args) > 1 && (args[0] == "-t" || args[0] == "-set") {
		if args[0] == "-t" {
			timeout = parseDuration(ts, args[1])
		} else {
			sets = append(sets, args[1])
		}
		args = args[2:]
	}
	if neg || len(args) < 4 {
		ts.Fatalf("usage: await [-t 30s] [-set NAME=path]... PATH REGEXP SERVICE OPERATION [JSON]")
	}
	want, err := regexp.Compile("^(?s:" + args[1] + ")$")
	ts.Check(err)
	began, last := time.Now(), []byte(nil)
	for {
		out, err := tl.invoke(args[2:])
		found := ""
		if err != nil {
			found = explain(err)
			last = []byte(found)
		} else {
			found, err = harness.Find(out, args[0])
			ts.Check(err)
			last = out
		}
		if want.MatchString(found) {
			fmt.Fprintln(ts.Stdout(), string(last))
			ts.Logf("%s is %q after %v", args[0], found, time.Since(began).Round(10*time.Millisecond))
			setAll(ts, sets, last)
			return
		}
		if time.Since(began) > timeout {
			ts.Fatalf("after %v, %s is %q and not %s; the last answer:\n%s", timeout, args[0], found, args[1], last)
		}
		time.Sleep(pollEvery)
	}
}

// match checks the last output's JSON: match PATH REGEXP.
func match(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: match PATH REGEXP")
	}
	found, err := harness.Find([]byte(ts.ReadFile("stdout")), args[0])
	ts.Check(err)
	if ok := regexp.MustCompile("^(?s:" + args[1] + ")$").MatchString(found); ok == neg {
		ts.Fatalf("%s is %q", args[0], found)
	}
}

// outputs makes variables of a stack's outputs: outputs STACK [PREFIX].
func (tl *Teller) outputs(ts *testscript.TestScript, _ bool, args []string) {
	out, err := tl.invoke([]string{"cfn", "DescribeStacks", fmt.Sprintf(`{"StackName":%q}`, args[0])})
	ts.Check(err)
	count, err := harness.Find(out, "Stacks[0].Outputs.length")
	ts.Check(err)
	for i := range parseInt(ts, count) {
		at := fmt.Sprintf("Stacks[0].Outputs[%d].", i)
		key, err := harness.Find(out, at+"OutputKey")
		ts.Check(err)
		value, err := harness.Find(out, at+"OutputValue")
		ts.Check(err)
		ts.Setenv(strings.Join(append(args[1:], key), ""), value)
	}
}

// sleep lets time pass where a story says that nothing must happen meanwhile.
func sleep(ts *testscript.TestScript, _ bool, args []string) { time.Sleep(parseDuration(ts, args[0])) }

func parseDuration(ts *testscript.TestScript, s string) time.Duration {
	d, err := time.ParseDuration(s)
	ts.Check(err)
	return d
}

func parseInt(ts *testscript.TestScript, s string) int {
	n, err := strconv.Atoi(s)
	ts.Check(err)
	return n
}
