package cli

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestStatus(t *testing.T) {
	for name, asJSON := range map[string]bool{"status.txt": false, "status.json": true} {
		screen, out := buffer()
		s := &Status{Client: story(), Screen: screen, JSON: asJSON, Now: func() time.Time { return now }}
		if err := s.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		golden(t, name, out.String())
	}
}

func TestStatusOfNothing(t *testing.T) {
	screen, _ := buffer()
	text := (&Overview{Endpoint: DefaultEndpoint, Region: "us-east-1", Account: account}).render(screen, now)
	if !strings.Contains(text, "Nothing is deployed") {
		t.Error(text)
	}
}

func TestURL(t *testing.T) {
	for _, c := range []struct {
		name string
		all  bool
		want string
		fail string // part of the error
	}{
		{name: "web", want: "http://127.18.0.11\n"},
		{name: "web", all: true, want: "http://127.18.0.11\nhttp://127.18.0.12\nhttp://127.18.0.11:8081\nhttp://127.18.0.12:8081\n"},
		{name: lbARN, want: "http://127.18.0.11\n"},
		{name: "WEB.elb.amazonaws.com", want: "http://127.18.0.11\n"},
		{name: "shop", want: "http://127.18.0.11\n"},
		{name: "prod/web", want: "http://127.18.0.11\n"},
		{name: "cccc", want: "http://127.18.1.5:8080\n"},
		{name: "inner", fail: "internal: it has no public address"},
		{name: "aaaa0000", fail: "it has no public address"},
		{name: "ffff0000", fail: `there is no load balancer, stack, service or task "ffff0000"`},
	} {
		screen, out := buffer()
		err := (&URL{Client: story(), Screen: screen, Name: c.name, All: c.all}).Run(t.Context())
		if out.String() != c.want || (c.fail == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), c.fail)) {
			t.Errorf("%s: %q, error %v", c.name, out.String(), err)
		}
		if err != nil && ExitCode(err) != ExitFailed {
			t.Errorf("%s: exit code %d", c.name, ExitCode(err))
		}
	}
}

func TestExecFindsTaskAndContainer(t *testing.T) {
	for _, c := range []struct{ task, container, want, wantContainer, fail string }{
		{task: "aaaa", want: taskOne, wantContainer: "app"},
		{task: "arn:aws:ecs:us-east-1:000000000000:task/prod/" + taskOne, want: taskOne, wantContainer: "app"},
		{task: "web", want: taskOne, wantContainer: "app"},
		{task: "bbbb", fail: "is PENDING"},
		{task: "dddd", fail: "is STOPPED"},
		{task: "aaaa", container: "init", fail: "container init is not running"},
		{task: "aaaa", container: "x", fail: "it has init, app"},
		{task: "nope", fail: "no task and no service"},
	} {
		e := &Exec{Client: story(), Task: c.task, Container: c.container}
		task, err := e.find(t.Context())
		var container string
		if err == nil {
			container, err = chooseContainer(task, c.container)
		}
		if c.fail != "" {
			if err == nil || !strings.Contains(err.Error(), c.fail) {
				t.Errorf("%s %s: error %v", c.task, c.container, err)
			}
			continue
		}
		if err != nil || !strings.HasSuffix(*task.TaskArn, c.want) || container != c.wantContainer {
			t.Errorf("%s: %v %q, error %v", c.task, task, container, err)
		}
	}
	if code := ExitCode(asExec(Failed("", "x"))); code != ExitExec {
		t.Errorf("exit code %d", code)
	}
}

func TestRecords(t *testing.T) {
	r, err := Records(t.Context(), story())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]bool{taskOne: true, taskTwo: true, taskBatch: true}, r.Tasks); diff != "" {
		t.Errorf("tasks: %s", diff)
	}
	if !r.VPCs["vpc-1"] || !r.NATGateways["nat-1"] || r.NATGateways["nat-2"] || !r.LoadBalancers["0123456789abcdef"] {
		t.Errorf("%+v", r)
	}
}

func TestEnv(t *testing.T) {
	c := story()
	c.Secret = "it's"
	for name, format := range map[string]EnvFormat{"env.sh": EnvShell, "env.tf": EnvTerraform, "env.json": EnvJSON} {
		screen, out := buffer()
		if err := (&Env{Client: c, Screen: screen, Format: format}).Run(); err != nil {
			t.Fatal(err)
		}
		golden(t, name, out.String())
		if format == EnvJSON && !json.Valid(out.Bytes()) {
			t.Error("no JSON")
		}
	}
	screen, _ := buffer()
	if err := (&Env{Client: c, Screen: screen, Format: "x"}).Run(); ExitCode(err) != ExitUsage {
		t.Errorf("error %v", err)
	}
}

func TestScreen(t *testing.T) {
	var b strings.Builder
	s := &Screen{Out: &b, Terminal: true, Color: true, Size: func() (int, int) { return 12, 4 }}
	s.Live([]string{s.Paint(Bad, "a long line that is cut"), "b", "c"})
	s.Printf("above\n")
	s.Live(nil)
	want := "\x1b[31ma long line…\x1b[0m\n  ... and 2…\n\x1b[2A\x1b[Jabove\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
	if got := printable("a\x1b[31mb\tc\u0085é"); got != "a·[31mb\tc·é" {
		t.Errorf("%q", got)
	}
}

func TestTable(t *testing.T) {
	screen := &Screen{Color: true}
	tab := &table{indent: "  "}
	tab.row("a", screen.Paint(Good, "bb"), "")
	tab.row("ccc", "d", "a long end")
	want := "  a    \x1b[32mbb\x1b[0m\n  ccc  d   a long end\n"
	if got := tab.String(); got != want {
		t.Errorf("%q", got)
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 400 * time.Millisecond: "0.4s", 12300 * time.Millisecond: "12s", 59900 * time.Millisecond: "59s", 185 * time.Second: "3m05s",
		130 * time.Minute: "2h10m", 80 * time.Hour: "3d",
	} {
		if got := age(d); got != want {
			t.Errorf("%v: %s", d, got)
		}
	}
}

func TestExplain(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
		code int
	}{
		{errors.New("x"), "x", ExitFailed},
		{apiError("ValidationError", "Stack [x] does not exist"), "ValidationError: Stack [x] does not exist", ExitFailed},
		{apiError("SignatureDoesNotMatch", "Credential should be scoped to a valid region, not 'us-east-1': this Neargate serves 'eu-west-1'."), "say eu-west-1", ExitFailed},
		{Usage("bad %s", "flag"), "bad flag", ExitUsage},
	} {
		got := Explain(c.err, "http://x")
		if !strings.Contains(got.Error(), c.want) || ExitCode(got) != c.code {
			t.Errorf("%v: %v, code %d", c.err, got, ExitCode(got))
		}
	}
	if Explain(nil, "") != nil {
		t.Error("no error became one")
	}
}
