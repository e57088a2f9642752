package task

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/neargate/neargate/internal/container"
	"github.com/neargate/neargate/internal/model"
)

var t0 = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func unscaled(d time.Duration) time.Duration { return d }

func definition(containers ...model.ContainerDefinition) *model.TaskDefinition {
	return &model.TaskDefinition{Family: "web", Revision: 1, Containers: containers}
}

func essential(name string, deps ...model.Dependency) model.ContainerDefinition {
	return model.ContainerDefinition{Name: name, Essential: true, DependsOn: deps}
}

func on(name, condition string) model.Dependency {
	return model.Dependency{Container: name, Condition: condition}
}

func running() observed { return observed{phase: phaseRunning, startedAt: t0, firstStart: t0} }

func exited(code int) observed {
	return observed{phase: phaseStopped, startedAt: t0, firstStart: t0, exit: container.Exit{Code: code, At: t0.Add(time.Minute)}}
}

// text shows a plan in one line.
func (p plan) text() string {
	verbs := map[verb]string{doStart: "start", doAgain: "again", doCheck: "check", doSignal: "signal", doKill: "kill"}
	var out []string
	for _, a := range p.actions {
		out = append(out, verbs[a.verb]+" "+a.container)
	}
	out = append(out, p.state.String())
	if p.failure != nil {
		out = append(out, p.failure.code+": "+p.failure.reason)
	}
	if !p.wake.IsZero() {
		out = append(out, "wake "+p.wake.Sub(t0).String())
	}
	return strings.Join(out, ", ")
}

func TestPlan(t *testing.T) {
	checked := essential("app")
	checked.HealthCheck = &model.ContainerHealth{Command: []string{"CMD", "x"}, Interval: 30, Timeout: 5, Retries: 3}
	restartable := essential("app")
	restartable.Restart = &model.RestartPolicy{Enabled: true, AttemptPeriod: 60, IgnoredExitCodes: []int{9}}
	setup := model.ContainerDefinition{Name: "setup", StartTimeout: 20}
	slow := essential("app")
	slow.StopTimeout = 7
	side := model.ContainerDefinition{Name: "side"}

	for _, test := range []struct {
		name    string
		def     *model.TaskDefinition
		seen    map[string]observed
		state   model.TaskState
		change  func(*view)
		want    string
		elapsed time.Duration
	}{
		{name: "nothing before it is prepared", def: definition(essential("app")), state: model.TaskPending,
			change: func(v *view) { v.prepared = false }, want: "PENDING"},
		{name: "start", def: definition(essential("app"), side), state: model.TaskActivating, want: "start app, start side, ACTIVATING"},
		{name: "busy", def: definition(essential("app")), seen: map[string]observed{"app": {busy: true}}, state: model.TaskActivating, want: "ACTIVATING"},
		{name: "all run", def: definition(essential("app"), side), seen: map[string]observed{"app": running(), "side": running()},
			state: model.TaskActivating, want: "RUNNING"},
		{name: "a job that has ended counts as started", def: definition(essential("app"), side),
			seen: map[string]observed{"app": running(), "side": exited(3)}, state: model.TaskActivating, want: "RUNNING"},
		{name: "waits for START", def: definition(essential("app", on("db", "START")), essential("db")), state: model.TaskActivating, want: "start db, ACTIVATING"},
		{name: "START is there", def: definition(essential("app", on("db", "START")), essential("db")), seen: map[string]observed{"db": running()},
			state: model.TaskActivating, want: "start app, ACTIVATING"},
		{name: "waits for SUCCESS, bounded", def: definition(essential("app", on("setup", "SUCCESS")), setup), seen: map[string]observed{"setup": running()},
			state: model.TaskActivating, want: "ACTIVATING, wake 20s"},
		{name: "SUCCESS is there", def: definition(essential("app", on("setup", "SUCCESS")), setup), seen: map[string]observed{"setup": exited(0)},
			state: model.TaskActivating, want: "start app, ACTIVATING"},
		{name: "SUCCESS will never be", def: definition(essential("app", on("setup", "SUCCESS")), setup), seen: map[string]observed{"setup": exited(1)},
			state: model.TaskActivating, want: "DEPROVISIONING, TaskFailedToStart: dependency graph: failed to resolve container ordering dependency [setup] for target [app] as dependency did not exit successfully."},
		{name: "COMPLETE takes any exit", def: definition(essential("app", on("setup", "COMPLETE")), setup), seen: map[string]observed{"setup": exited(1)},
			state: model.TaskActivating, want: "start app, ACTIVATING"},
		{name: "dependency takes too long", def: definition(essential("app", on("setup", "COMPLETE")), setup), seen: map[string]observed{"setup": running()},
			elapsed: 20 * time.Second, state: model.TaskActivating,
			want: "signal setup, STOPPING, TaskFailedToStart: dependency graph: container ordering dependency [setup] for target [app] has timed out."},
		{name: "waits for HEALTHY", def: definition(checked, essential("web", on("app", "HEALTHY"))), seen: map[string]observed{"app": running()},
			state: model.TaskActivating, want: "ACTIVATING, wake 30s"},
		{name: "health check is due", def: definition(checked, essential("web", on("app", "HEALTHY"))), seen: map[string]observed{"app": running()},
			elapsed: 30 * time.Second, state: model.TaskActivating, want: "check app, ACTIVATING"},
		{name: "HEALTHY is there", def: definition(checked, essential("web", on("app", "HEALTHY"))),
			seen:  map[string]observed{"app": {phase: phaseRunning, startedAt: t0, health: health{status: model.HealthHealthy, checked: t0}}},
			state: model.TaskActivating, want: "start web, ACTIVATING, wake 30s"},
		{name: "could not start", def: definition(essential("app"), essential("two")), seen: map[string]observed{"app": {phase: phaseFailed}, "two": running()},
			state: model.TaskActivating, want: "signal two, STOPPING, TaskFailedToStart: Task failed to start"},
		{name: "a helper could not start", def: definition(essential("app"), side), seen: map[string]observed{"app": running(), "side": {phase: phaseFailed}},
			state: model.TaskActivating, want: "RUNNING"},
		{name: "essential exit", def: definition(essential("app"), side), seen: map[string]observed{"app": exited(0), "side": running()}, state: model.TaskRunning,
			want: "signal side, STOPPING, EssentialContainerExited: Essential container in task exited"},
		{name: "helper's exit", def: definition(essential("app"), side), seen: map[string]observed{"app": running(), "side": exited(1)}, state: model.TaskRunning, want: "RUNNING"},
		{name: "restart", def: definition(restartable), seen: map[string]observed{"app": exited(1)}, state: model.TaskRunning, want: "again app, RUNNING"},
		{name: "restart too soon", def: definition(restartable),
			seen:  map[string]observed{"app": {phase: phaseStopped, startedAt: t0, lastRestart: t0.Add(30 * time.Second), exit: container.Exit{Code: 1, At: t0.Add(time.Minute)}}},
			state: model.TaskRunning, want: "DEPROVISIONING, EssentialContainerExited: Essential container in task exited"},
		{name: "no restart for an ignored code", def: definition(restartable), seen: map[string]observed{"app": exited(9)}, state: model.TaskRunning,
			want: "DEPROVISIONING, EssentialContainerExited: Essential container in task exited"},
		{name: "no restart while stopping", def: definition(restartable), seen: map[string]observed{"app": exited(1)}, state: model.TaskStopping,
			change: func(v *view) { v.desired = model.DesiredStopped }, want: "DEPROVISIONING"},
		{name: "stop drains first", def: definition(essential("app")), seen: map[string]observed{"app": running()}, state: model.TaskRunning,
			change: func(v *view) { v.desired, v.drained = model.DesiredStopped, false }, want: "DEACTIVATING"},
		{name: "exit ends draining", def: definition(essential("app")), seen: map[string]observed{"app": exited(1)}, state: model.TaskDeactivating,
			change: func(v *view) { v.desired, v.drained = model.DesiredStopped, false }, want: "DEPROVISIONING"},
		{name: "drained", def: definition(essential("app")), seen: map[string]observed{"app": running()}, state: model.TaskDeactivating,
			change: func(v *view) { v.desired = model.DesiredStopped }, want: "signal app, STOPPING"},
		{name: "a task that never ran does not drain", def: definition(essential("app")), seen: map[string]observed{"app": running()}, state: model.TaskActivating,
			change: func(v *view) { v.desired, v.drained = model.DesiredStopped, false }, want: "signal app, STOPPING"},
		{name: "reverse order", def: definition(essential("app", on("db", "START")), essential("db")), seen: map[string]observed{"app": running(), "db": running()},
			state: model.TaskStopping, change: func(v *view) { v.desired = model.DesiredStopped }, want: "signal app, STOPPING"},
		{name: "stop time-out", def: definition(slow),
			seen:  map[string]observed{"app": {phase: phaseRunning, startedAt: t0, signalledAt: t0}},
			state: model.TaskStopping, change: func(v *view) { v.desired = model.DesiredStopped }, elapsed: 6 * time.Second, want: "STOPPING, wake 7s"},
		{name: "kill", def: definition(slow), seen: map[string]observed{"app": {phase: phaseRunning, startedAt: t0, signalledAt: t0}},
			state: model.TaskStopping, change: func(v *view) { v.desired = model.DesiredStopped }, elapsed: 7 * time.Second, want: "kill app, STOPPING"},
		{name: "killed once", def: definition(slow), seen: map[string]observed{"app": {phase: phaseRunning, startedAt: t0, signalledAt: t0, killed: true}},
			state: model.TaskStopping, change: func(v *view) { v.desired = model.DesiredStopped }, elapsed: 9 * time.Second, want: "STOPPING"},
		{name: "a start under way is awaited", def: definition(essential("app")), seen: map[string]observed{"app": {busy: true}}, state: model.TaskActivating,
			change: func(v *view) { v.desired = model.DesiredStopped }, want: "STOPPING"},
		{name: "preparation failed", def: definition(essential("app")), state: model.TaskPending,
			change: func(v *view) { v.failure = &stop{code: "TaskFailedToStart", reason: "CannotPullContainerError: x"} },
			want:   "DEPROVISIONING, TaskFailedToStart: CannotPullContainerError: x"},
		{name: "the end", def: definition(essential("app")), state: model.TaskDeprovisioning, change: func(v *view) { v.desired = model.DesiredStopped }, want: "DEPROVISIONING"},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := view{definition: test.def, state: test.state, desired: model.DesiredRunning, drained: true, prepared: true, containers: test.seen,
				now: t0.Add(test.elapsed), scale: unscaled}
			if test.change != nil {
				test.change(&v)
			}
			if diff := cmp.Diff(test.want, planNext(v).text()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Whatever is seen, states do not go back, nothing is started while the task stops, and nothing busy is touched.
func FuzzPlan(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8})
	f.Add([]byte{4, 0, 1, 0, 2, 2, 0, 0, 1, 3, 1, 1, 2, 2, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		next := func(n int) int {
			if len(data) == 0 {
				return 0
			}
			b := int(data[0]) % n
			data = data[1:]
			return b
		}
		conditions := []string{"START", "COMPLETE", "SUCCESS", "HEALTHY"}
		d := &model.TaskDefinition{}
		v := view{definition: d, state: model.TaskState(next(8) + 1), desired: []string{"RUNNING", "STOPPED"}[next(2)], drained: next(2) == 0,
			prepared: next(2) == 0, containers: map[string]observed{}, now: t0.Add(time.Duration(next(200)) * time.Second), scale: unscaled}
		for i := range next(4) + 1 {
			c := model.ContainerDefinition{Name: fmt.Sprint("c", i), Essential: i == 0 || next(2) == 0, StartTimeout: next(60), StopTimeout: next(60)}
			if i > 0 && next(2) == 0 {
				c.DependsOn = append(c.DependsOn, on(fmt.Sprint("c", next(i)), conditions[next(4)]))
			}
			if next(3) == 0 {
				c.Restart = &model.RestartPolicy{Enabled: true, AttemptPeriod: 60}
			}
			d.Containers = append(d.Containers, c)
			o := observed{phase: phase(next(4)), busy: next(4) == 0, startedAt: t0, exit: container.Exit{Code: next(3), At: t0.Add(time.Duration(next(200)) * time.Second)}}
			if next(2) == 0 {
				o.signalledAt = t0
			}
			v.containers[c.Name] = o
		}
		p := planNext(v)
		if p.state < v.state {
			t.Errorf("state goes back from %v to %v", v.state, p.state)
		}
		for _, a := range p.actions {
			if v.containers[a.container].busy {
				t.Errorf("action on busy %s", a.container)
			}
			starts := a.verb == doStart || a.verb == doAgain
			if starts && (v.desired == model.DesiredStopped || p.failure != nil) {
				t.Errorf("%s is started while the task stops", a.container)
			}
		}
		if p.state == model.TaskDeprovisioning {
			for name, o := range v.containers {
				if o.phase == phaseRunning && v.state < model.TaskDeprovisioning {
					t.Errorf("the end, and %s runs", name)
				}
			}
		}
	})
}

func TestHealth(t *testing.T) {
	c := &model.ContainerHealth{Interval: 10, Timeout: 5, Retries: 2, StartPeriod: 60}
	for _, test := range []struct{ name, results, want string }{
		{"first success", "+", "HEALTHY"},
		{"failures in the start period do not count", "----", "UNKNOWN"},
		{"failures after it do", "------" + "--", "UNHEALTHY"},
		{"a success ends the start period", "+--", "UNHEALTHY"},
		{"one failure is not enough", "+-", "HEALTHY"},
		{"success resets the count", "+-+-", "HEALTHY"},
		{"recovers", "+--+", "HEALTHY"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := health{}
			for _, r := range test.results {
				at := h.due(c, t0, unscaled)
				h = h.after(c, checkResult{ok: r == '+', at: at}, t0, unscaled)
			}
			if h.name() != test.want {
				t.Errorf("health is %s, want %s", h.name(), test.want)
			}
		})
	}
}

func TestTaskHealth(t *testing.T) {
	check := &model.ContainerHealth{Command: []string{"x"}}
	d := definition(model.ContainerDefinition{Name: "a", Essential: true, HealthCheck: check}, model.ContainerDefinition{Name: "b", Essential: true, HealthCheck: check},
		essential("plain"), model.ContainerDefinition{Name: "helper", HealthCheck: check})
	of := func(a, b, helper string) string {
		return taskHealth(d, map[string]observed{"a": {health: health{status: a}}, "b": {health: health{status: b}}, "helper": {health: health{status: helper}}})
	}
	got := []string{of("", "", ""), of("HEALTHY", "", ""), of("HEALTHY", "HEALTHY", "UNHEALTHY"), of("", "UNHEALTHY", ""), taskHealth(definition(essential("plain")), nil)}
	if diff := cmp.Diff([]string{"UNKNOWN", "UNKNOWN", "HEALTHY", "UNHEALTHY", "UNKNOWN"}, got); diff != "" {
		t.Error(diff)
	}
}
