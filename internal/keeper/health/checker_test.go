package health

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fakeNet answers checks over pipes, by target address.
type fakeNet struct {
	mu    sync.Mutex
	codes map[string]int // 0: refused, -1: silent
	dials int
}

func (f *fakeNet) set(address string, code int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.codes[address] = code
}

func (f *fakeNet) dial(_ context.Context, _ netip.Addr, _, address string) (net.Conn, error) {
	f.mu.Lock()
	code := f.codes[address]
	f.dials++
	f.mu.Unlock()
	if code == 0 {
		return nil, syscall.ECONNREFUSED
	}
	a, b := net.Pipe()
	go func() {
		defer b.Close()
		if _, err := http.ReadRequest(bufio.NewReader(b)); err != nil {
			return
		}
		if code == -1 {
			_, _ = io.Copy(io.Discard, b)
			return
		}
		_, _ = fmt.Fprintf(b, "HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n", code)
	}()
	return a, nil
}

// journal writes down what is reported.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) report(k Key, h Health) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf("%s %s %s", k.Target, h.State, h.Reason))
}

func (j *journal) take() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := j.lines
	j.lines = nil
	return out
}

func testGroup(targets ...TargetSpec) Group {
	return Group{
		ID: "tg", Protocol: HTTP, Interval: 30 * time.Second, Timeout: 5 * time.Second, HealthyThreshold: 5, UnhealthyThreshold: 2,
		Targets: targets,
	}
}

func target(id, address string) TargetSpec {
	ap := netip.MustParseAddrPort(address)
	return TargetSpec{ID: id, Address: ap.Addr(), Port: ap.Port()}
}

func TestCheckerFollowsATarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNet{codes: map[string]int{"10.0.0.1:80": 200}}
		j := &journal{}
		c := NewChecker(Options{Dial: f.dial, Report: j.report}, nil)
		defer c.Stop()
		expect := func(after time.Duration, want ...string) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			if diff := cmp.Diff(want, j.take()); diff != "" {
				t.Errorf("after %v: %s", after, diff)
			}
		}
		spec := target("a", "10.0.0.1:80")
		if err := c.Set(Config{Groups: []Group{testGroup(spec)}}); err != nil {
			t.Fatal(err)
		}
		expect(0, "a initial Elb.RegistrationInProgress")
		expect(time.Second, "a initial Elb.InitialHealthChecking", "a healthy ")
		f.set("10.0.0.1:80", 503)
		expect(32 * time.Second)
		expect(32*time.Second, "a unhealthy Target.ResponseCodeMismatch")
		f.set("10.0.0.1:80", -1)
		expect(45*time.Second, "a unhealthy Target.Timeout")
		f.set("10.0.0.1:80", 200)
		expect(100 * time.Second)
		expect(75*time.Second, "a healthy ")

		spec.Draining = true
		if err := c.Set(Config{Groups: []Group{testGroup(spec)}}); err != nil {
			t.Fatal(err)
		}
		before := f.dials
		expect(100*time.Second, "a draining Target.DeregistrationInProgress")
		if f.dials != before {
			t.Errorf("%d checks of a draining target", f.dials-before)
		}
		spec.Draining = false
		if err := c.Set(Config{Groups: []Group{testGroup(spec)}}); err != nil {
			t.Fatal(err)
		}
		expect(time.Second, "a initial Elb.RegistrationInProgress", "a initial Elb.InitialHealthChecking", "a healthy ")
		spec.Port = 81 // another target really
		if err := c.Set(Config{Groups: []Group{testGroup(spec)}}); err != nil {
			t.Fatal(err)
		}
		expect(40*time.Second, "a initial Elb.RegistrationInProgress", "a initial Elb.InitialHealthChecking", "a unhealthy Target.FailedHealthChecks")

		if err := c.Set(Config{}); err != nil {
			t.Fatal(err)
		}
		before = f.dials
		expect(100 * time.Second)
		if f.dials != before || len(c.Snapshot()) != 0 {
			t.Errorf("a target that is gone is still checked: %d dials, %v", f.dials-before, c.Snapshot())
		}
	})
}

func TestCheckerRestoresStatesAndScalesTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNet{codes: map[string]int{"10.0.0.1:80": 200, "10.0.0.2:80": 200}}
		j := &journal{}
		restore := map[Key]Target{
			{Group: "tg", Target: "a"}:    {Health: Health{State: Healthy}},
			{Group: "tg", Target: "b"}:    {Health: Health{State: Unhealthy, Reason: ReasonTimeout}, Passes: 3},
			{Group: "tg", Target: "gone"}: {Health: Health{State: Healthy}},
		}
		c := NewChecker(Options{Dial: f.dial, Report: j.report, Scale: func(d time.Duration) time.Duration { return d / 10 }}, restore)
		defer c.Stop()
		if err := c.Set(Config{Groups: []Group{testGroup(target("a", "10.0.0.1:80"), target("b", "10.0.0.2:80"))}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(4 * time.Second) // two checks at speed 10
		synctest.Wait()
		if diff := cmp.Diff([]string{"a healthy ", "b unhealthy Target.Timeout", "b healthy "}, j.take()); diff != "" {
			t.Error(diff)
		}
		if len(c.Snapshot()) != 2 {
			t.Errorf("snapshot %v", c.Snapshot())
		}
	})
}

func TestCheckerRefusesBrokenConfigurations(t *testing.T) {
	c := NewChecker(Options{}, nil)
	defer c.Stop()
	spec := target("a", "10.0.0.1:80")
	for name, change := range map[string]func(*Group){
		"protocol":  func(g *Group) { g.Protocol = "GRPC" },
		"matcher":   func(g *Group) { g.Matcher = "x" },
		"interval":  func(g *Group) { g.Interval = 0 },
		"threshold": func(g *Group) { g.UnhealthyThreshold = 0 },
		"twice":     func(g *Group) { g.Targets = []TargetSpec{spec, spec} },
		"address":   func(g *Group) { g.Targets = []TargetSpec{{ID: "a", Port: 80}} },
	} {
		g := testGroup(spec)
		change(&g)
		if err := c.Set(Config{Groups: []Group{g}}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := c.Set(Config{Groups: []Group{testGroup(), testGroup()}}); err == nil {
		t.Error("one group twice: accepted")
	}
}
