package verbs

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/neargate/neargate/test/harness"
)

const packetTimeout = 5 * time.Second

// http asks for a URL: http [-from host|edge|task:ID] [-status 200] [-within 20s] [-timeout 5s] URL, where @FILE is the
// URL in a file. It prints the body; with -within it asks again until the status is right.
func (tl *Teller) http(ts *testscript.TestScript, neg bool, args []string) {
	from, status, within, timeout := harness.FromHost, 200, time.Duration(0), packetTimeout
	for len(args) > 1 {
		switch args[0] {
		case "-from":
			from = harness.From(args[1])
		case "-status":
			status = parseInt(ts, args[1])
		case "-within":
			within = parseDuration(ts, args[1])
		case "-timeout":
			timeout = parseDuration(ts, args[1])
		default:
			ts.Fatalf("http: unknown %s", args[0])
		}
		args = args[2:]
	}
	url := address(ts, args[0])
	for began := time.Now(); ; time.Sleep(pollEvery) {
		got, body, err := tl.Daemon.Get(context.Background(), from, url, timeout)
		if err == nil && got != status {
			err = fmt.Errorf("status %d, want %d: %s", got, status, body)
		}
		if (err == nil) != neg || time.Since(began) > within {
			if err == nil {
				fmt.Fprint(ts.Stdout(), body)
			} else {
				fmt.Fprintln(ts.Stderr(), err)
			}
			verdict(ts, neg, err)
			return
		}
	}
}

// address is a URL, or @FILE where it is in a file.
func address(ts *testscript.TestScript, url string) string {
	if name, ok := strings.CutPrefix(url, "@"); ok {
		url = strings.TrimSpace(ts.ReadFile(name))
	}
	return url
}

// tcp connects and hangs up: tcp FROM HOST:PORT [TIMEOUT].
func tcp(ts *testscript.TestScript, neg bool, args []string) {
	timeout := 2 * time.Second
	if len(args) > 2 {
		timeout = parseDuration(ts, args[2])
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	conn, err := harness.Dial(ctx, harness.From(args[0]), args[1])
	if err == nil {
		_ = conn.Close()
	} else {
		fmt.Fprintln(ts.Stderr(), err)
	}
	verdict(ts, neg, err)
}

// load sends requests at a rate: load start NAME RATE FROM URL, then load stop NAME, which prints what came of it.
func (tl *Teller) load(ts *testscript.TestScript, neg bool, args []string) {
	loads := ts.Value(loadsKey{}).(map[string]*harness.Load)
	switch {
	case len(args) == 5 && args[0] == "start":
		l := &harness.Load{Rate: parseInt(ts, args[2]), From: harness.From(args[3]), URL: address(ts, args[4]), Timeout: 10 * time.Second}
		ts.Check(l.Start(tl.Daemon))
		loads[args[1]] = l
	case len(args) == 2 && args[0] == "stop" && loads[args[1]] != nil:
		result := loads[args[1]].Stop()
		delete(loads, args[1])
		ts.Logf("%s: %s", args[1], result)
		fmt.Fprint(ts.Stdout(), result)
	default:
		ts.Fatalf("usage: load start NAME RATE FROM URL | load stop NAME")
	}
}

// daemon does things to the daemon: daemon kill, daemon start.
func (tl *Teller) daemon(ts *testscript.TestScript, neg bool, args []string) {
	switch strings.Join(args, " ") {
	case "kill":
		ts.Check(tl.Daemon.Kill())
	case "terminate":
		ts.Check(tl.Daemon.Terminate())
	case "start":
		ts.Check(tl.Daemon.Launch(context.Background()))
	default:
		ts.Fatalf("usage: daemon kill|terminate|start")
	}
}

// namespaces checks what network namespaces there are: namespaces REGEXP fails unless one matches.
func namespaces(ts *testscript.TestScript, neg bool, args []string) {
	re := regexp.MustCompile(args[0])
	found := slices.DeleteFunc(harness.Namespaces(), func(n string) bool { return !re.MatchString(n) })
	if (len(found) > 0) == neg {
		ts.Fatalf("namespaces like %s: %v", args[0], found)
	}
}

// slow asks for a URL in the background: slow start NAME FROM URL, then slow stop NAME, which waits for the end of the
// answer and prints it.
func (tl *Teller) slow(ts *testscript.TestScript, neg bool, args []string) {
	running := ts.Value(slowKey{}).(map[string]chan slowAnswer)
	switch {
	case len(args) == 4 && args[0] == "start":
		url, from, done := address(ts, args[3]), harness.From(args[2]), make(chan slowAnswer, 1)
		running[args[1]] = done
		began := make(chan struct{})
		go func() {
			var a slowAnswer
			a.status, a.body, a.err = tl.Daemon.GetBegun(context.Background(), from, url, commandTimeout, began)
			done <- a
		}()
		select { // the connection has to be there before the story goes on
		case <-began:
		case a := <-done:
			ts.Fatalf("it ended before it began: %d %s %v", a.status, a.body, a.err)
		}
	case len(args) == 2 && args[0] == "stop" && running[args[1]] != nil:
		a := <-running[args[1]]
		delete(running, args[1])
		fmt.Fprint(ts.Stdout(), a.body)
		verdict(ts, neg, a.err)
	default:
		ts.Fatalf("usage: slow start NAME FROM URL | slow stop NAME")
	}
}

type slowKey struct{}

type slowAnswer struct {
	status int
	body   string
	err    error
}

var numbered = regexp.MustCompile(`^line (\d+)$`)

// lines reads a log stream and checks that its numbered lines are all there, once and in order: lines [-atleast N] GROUP
// STREAM. It prints how many there are. With -atleast it waits up to ten seconds for that many.
func (tl *Teller) lines(ts *testscript.TestScript, neg bool, args []string) {
	least := 0
	if len(args) == 4 && args[0] == "-atleast" {
		least, args = parseInt(ts, args[1]), args[2:]
	}
	for began := time.Now(); ; time.Sleep(pollEvery) {
		found := tl.countLines(ts, args[0], args[1])
		if found < least && time.Since(began) < 10*time.Second {
			continue
		}
		fmt.Fprintf(ts.Stdout(), "lines %d\n", found)
		if found < least {
			ts.Fatalf("%d lines, want at least %d", found, least)
		}
		return
	}
}

// countLines returns how many numbered lines a stream has, and ends the script when one is missing.
func (tl *Teller) countLines(ts *testscript.TestScript, group, stream string) int {
	next, token := 0, ""
	for {
		input := map[string]any{"logGroupName": group, "logStreamName": stream, "startFromHead": true}
		if token != "" {
			input["nextToken"] = token
		}
		b, err := json.Marshal(input)
		ts.Check(err)
		out, err := tl.invoke([]string{"logs", "GetLogEvents", string(b)})
		ts.Check(err)
		var page struct {
			Events           []struct{ Message string }
			NextForwardToken string
		}
		ts.Check(json.Unmarshal(out, &page))
		for _, e := range page.Events {
			m := numbered.FindStringSubmatch(e.Message)
			if m == nil {
				continue
			}
			if n := parseInt(ts, m[1]); n != next {
				ts.Fatalf("in %s, line %d follows line %d", stream, n, next-1)
			}
			next++
		}
		if page.NextForwardToken == token {
			return next
		}
		token = page.NextForwardToken
	}
}
