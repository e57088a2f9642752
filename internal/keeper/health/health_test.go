package health

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// run feeds a script to a new target: P a passed check, F a failed one, T a time-out, 4 a 404; the answer is the states
// passed through.
func run(script string, healthy, unhealthy int) (states []string, last Target) {
	t := NewTarget(start)
	t.Begin(start)
	outcomes := map[rune]Outcome{'P': passed, 'F': failed, 'T': timedOut, '4': mismatch(404)}
	for i, r := range script {
		if t.Observe(outcomes[r], healthy, unhealthy, start.Add(time.Duration(i+1)*time.Second)) {
			states = append(states, t.Health.State+" "+t.Health.Reason)
		}
	}
	return states, t
}

func TestStateMachine(t *testing.T) {
	tests := []struct {
		title, script      string
		healthy, unhealthy int
		want               []string
	}{
		{"one pass is enough for a new target", "P", 5, 2, []string{"healthy "}},
		{"a late pass too", "FP", 5, 2, []string{"healthy "}},
		{"failures before the threshold leave it initial", "F", 5, 2, nil},
		{"failures make a new target unhealthy", "FF", 5, 2, []string{"unhealthy Target.FailedHealthChecks"}},
		{"recovery takes the healthy threshold", "FFPPP", 3, 2, []string{"unhealthy Target.FailedHealthChecks", "healthy "}},
		{"less does not do", "FFPP", 3, 2, []string{"unhealthy Target.FailedHealthChecks"}},
		{"passes count in a row only", "FFPPFPP", 3, 2, []string{"unhealthy Target.FailedHealthChecks"}},
		{"failures count in a row only", "PFPFPF", 5, 2, []string{"healthy "}},
		{"a healthy target falls after the threshold", "PTT", 5, 2, []string{"healthy ", "unhealthy Target.Timeout"}},
		{"the latest reason is told", "TT4", 5, 2, []string{"unhealthy Target.Timeout", "unhealthy Target.ResponseCodeMismatch"}},
		{"the same reason is told once", "TTTTT", 5, 2, []string{"unhealthy Target.Timeout"}},
		{"falling again takes the whole threshold again", "FFPPPF", 3, 2, []string{"unhealthy Target.FailedHealthChecks", "healthy "}},
	}
	for _, tt := range tests {
		t.Run(tt.title, func(t *testing.T) {
			got, _ := run(tt.script, tt.healthy, tt.unhealthy)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSinceIsTheBeginningOfTheState(t *testing.T) {
	_, target := run("TT4", 5, 2)
	want := Health{
		State: Unhealthy, Reason: ReasonResponseCodeMismatch, Description: "Health checks failed with these codes: [404]",
		Since: start.Add(2 * time.Second),
	}
	if diff := cmp.Diff(want, target.Health); diff != "" {
		t.Error(diff)
	}
}

func TestPlace(t *testing.T) {
	target := NewTarget(start)
	if target.Place(TargetSpec{}, start) {
		t.Error("a new target changed by being registered")
	}
	target.Observe(passed, 5, 2, start)
	steps := []struct {
		spec TargetSpec
		want Health
	}{
		{TargetSpec{}, Health{State: Healthy}},
		{TargetSpec{Draining: true}, Health{State: Draining, Reason: ReasonDeregistrationInProgress, Description: "Target deregistration is in progress"}},
		{TargetSpec{}, Health{State: Initial, Reason: ReasonRegistrationInProgress, Description: "Target registration is in progress"}},
		{TargetSpec{Unused: DescribeNotInUse}, Health{State: Unused, Reason: ReasonNotInUse, Description: DescribeNotInUse}},
		{TargetSpec{}, Health{State: Initial, Reason: ReasonRegistrationInProgress, Description: "Target registration is in progress"}},
	}
	for i, s := range steps {
		target.Place(s.spec, start)
		got := target.Health
		got.Since = time.Time{}
		if diff := cmp.Diff(s.want, got); diff != "" {
			t.Errorf("step %d: %s", i, diff)
		}
		if target.IsChecked() != (s.want.State == Initial || s.want.State == Healthy) {
			t.Errorf("step %d: checked %v", i, target.IsChecked())
		}
		if !target.IsChecked() && target.Observe(passed, 1, 1, start) {
			t.Errorf("step %d: a check of a target that is not checked counted", i)
		}
	}
}

func TestServing(t *testing.T) {
	tests := []struct {
		title   string
		minimum int
		states  map[string]string
		want    map[string]bool
	}{
		{"only the healthy", 0, map[string]string{"a": Healthy, "b": Unhealthy, "c": Initial}, map[string]bool{"a": true, "b": false, "c": false}},
		{"fail open", 0, map[string]string{"a": Unhealthy, "b": Unhealthy}, map[string]bool{"a": true, "b": true}},
		{"fail open with new targets", 0, map[string]string{"a": Unhealthy, "b": Initial}, map[string]bool{"a": true, "b": true}},
		{"never to those that leave", 0, map[string]string{"a": Draining, "b": Unhealthy, "c": Unused}, map[string]bool{"a": false, "b": true, "c": false}},
		{"below the minimum", 2, map[string]string{"a": Healthy, "b": Unhealthy}, map[string]bool{"a": true, "b": true}},
		{"at the minimum", 2, map[string]string{"a": Healthy, "b": Healthy, "c": Unhealthy}, map[string]bool{"a": true, "b": true, "c": false}},
		{"none", 0, map[string]string{}, map[string]bool{}},
	}
	for _, tt := range tests {
		t.Run(tt.title, func(t *testing.T) {
			g := Group{MinimumHealthy: tt.minimum}
			for id := range tt.states {
				g.Targets = append(g.Targets, TargetSpec{ID: id})
			}
			if diff := cmp.Diff(tt.want, serving(g, tt.states)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMatcher(t *testing.T) {
	tests := []struct {
		matcher string
		pass    []int
		fail    []int
	}{
		{"", []int{200}, []int{201, 404}},
		{"200", []int{200}, []int{201}},
		{"200,202", []int{200, 202}, []int{201}},
		{"200-299,301", []int{200, 250, 299, 301}, []int{300, 302, 500}},
	}
	for _, tt := range tests {
		m, err := ParseMatcher(tt.matcher)
		if err != nil {
			t.Errorf("%q: %v", tt.matcher, err)
		}
		for _, code := range tt.pass {
			if !m.Matches(code) {
				t.Errorf("%q does not match %d", tt.matcher, code)
			}
		}
		for _, code := range tt.fail {
			if m.Matches(code) {
				t.Errorf("%q matches %d", tt.matcher, code)
			}
		}
	}
	for _, bad := range []string{"abc", "200-", "-200", "299-200", "200,", "99", "1000", "200-299-300", "+200", " 200"} {
		if _, err := ParseMatcher(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func FuzzParseMatcher(f *testing.F) {
	for _, s := range []string{"", "200", "200-299,301", "a-b", "200,,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := ParseMatcher(s)
		if err != nil {
			return
		}
		for code := range 1000 {
			if m.Matches(code) && (code < 200 || code > 599) {
				t.Errorf("%q matches %d", s, code)
			}
		}
	})
}

func FuzzServersState(f *testing.F) {
	f.Add("1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state\n3 web 1 s1 10.0.0.1 2 0\n\n")
	f.Add("1\n\n")
	f.Fuzz(func(t *testing.T, out string) { _, _ = parseServersState(out) })
}
