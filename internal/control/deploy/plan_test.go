package deploy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/neargate/neargate/internal/model"
)

var t0 = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// scene builds a view from one line per task: "new running a healthy", that is the deployment ("new" is the primary one,
// "old" the one before), the state, the zone, and how it is.
func scene(desired, minimum, maximum int, lines ...string) view {
	v := view{
		now: t0, settle: settle, health: map[string]health{}, zones: []string{"a", "b"},
		service: &model.Service{
			Name: "web", Cluster: "c", Status: model.ServiceActive, DesiredCount: desired, MinimumPercent: minimum, MaximumPercent: maximum, SteadyAt: time.Time{},
			Deployments: []model.Deployment{{ID: "new", Status: model.DeploymentPrimary, Desired: desired, RolloutState: model.RolloutInProgress, CreatedAt: t0}},
		},
		throttle: func(rounds int) time.Duration {
			if rounds < throttleFrom {
				return 0
			}
			return throttleStep << (rounds - throttleFrom)
		},
	}
	hasOld := false
	for i, line := range lines {
		word := append(strings.Fields(line), "", "", "", "")
		t := &model.Task{
			Meta: model.Meta{CreatedAt: t0.Add(time.Duration(i-100) * time.Minute)}, ID: fmt.Sprint(i), DeploymentID: word[0], AZ: word[2], Desired: model.DesiredRunning,
		}
		switch word[1] {
		case "pending":
			t.State = model.TaskPending
		case "running":
			t.State, t.StartedAt = model.TaskRunning, t.CreatedAt
			v.health[t.ID] = map[string]health{"healthy": {healthy: true}, "sick": {unhealthy: failedContainerChecks}, "": {again: 3 * time.Second}}[word[3]]
		case "draining":
			t.State, t.StartedAt, t.Desired, t.StopCode, t.StoppedReason = model.TaskDeactivating, t.CreatedAt, model.DesiredStopped, model.StopServiceSchedulerInitiated, "Scaling"
		case "failed":
			t.State, t.Desired, t.StopCode, t.StoppedReason = model.TaskStopped, model.DesiredStopped, model.StopTaskFailedToStart, "Task failed to start"
		case "crashed":
			t.State, t.StartedAt, t.Desired, t.StopCode = model.TaskStopped, t0.Add(-time.Second), model.DesiredStopped, model.StopEssentialContainerExited
		case "died":
			t.State, t.StartedAt, t.Desired, t.StopCode = model.TaskStopping, t.CreatedAt, model.DesiredStopped, model.StopEssentialContainerExited
		case "byuser":
			t.State, t.Desired, t.StopCode = model.TaskStopped, model.DesiredStopped, model.StopUserInitiated
		default:
			panic(line)
		}
		v.tasks = append(v.tasks, t)
		hasOld = hasOld || word[0] == "old"
	}
	if hasOld {
		v.service.Deployments = append(v.service.Deployments, model.Deployment{ID: "old", Status: model.DeploymentActive, RolloutState: model.RolloutCompleted, DefinitionKey: "app:1"})
	}
	return v
}

// outline is a plan in short: "start 2, stop 0 1".
func outline(p plan) string {
	var parts []string
	if p.start > 0 {
		parts = append(parts, fmt.Sprint("start ", p.start))
	}
	if len(p.stop) > 0 {
		ids := make([]string, 0, len(p.stop))
		for _, s := range p.stop {
			ids = append(ids, s.task.ID)
		}
		slices.Sort(ids)
		parts = append(parts, "stop "+strings.Join(ids, " "))
	}
	return strings.Join(parts, ", ")
}

func TestPlan(t *testing.T) {
	failed := func(v *view) { v.service.Deployments[0].RolloutState = model.RolloutFailed }
	for _, test := range []struct {
		name   string
		view   view
		change func(*view)
		want   string
	}{
		{name: "new service", view: scene(2, 100, 200), want: "start 2"},
		{name: "nothing wanted", view: scene(0, 100, 200), want: ""},
		{name: "many at a time", view: scene(100, 100, 200), want: "start 40"},
		{name: "steady", view: scene(2, 100, 200, "new running a healthy", "new running b healthy"), want: ""},
		{name: "a dead one is replaced", view: scene(2, 100, 200, "new running a healthy", "new died b"), want: "start 1"},
		{name: "one that a user stopped is replaced", view: scene(2, 100, 200, "new running a healthy", "new byuser b"), want: "start 1"},
		{name: "scale out", view: scene(3, 100, 200, "new running a healthy"), want: "start 2"},
		{name: "scale in takes from the fullest zone", view: scene(2, 100, 200, "new running a healthy", "new running b healthy", "new running b healthy"), want: "stop 1"},
		{name: "scale in takes the pending first", view: scene(1, 100, 200, "new running a healthy", "new pending b", "new running a healthy"), want: "stop 0 1"},
		{name: "scale to zero", view: scene(0, 100, 200, "new running a healthy", "new pending b"), want: "stop 0 1"},
		{name: "scale in keeps as many healthy as are needed", view: scene(1, 100, 200, "new running a healthy", "new running b"), want: "stop 1"},

		{name: "roll 100/200: all new ones first", view: scene(2, 100, 200, "old running a healthy", "old running b healthy"), want: "start 2"},
		{name: "roll 100/200: starting ones replace nothing", view: scene(2, 100, 200, "old running a healthy", "old running b healthy", "new running a", "new running b"), want: ""},
		{name: "roll 100/200: a healthy one replaces one", view: scene(2, 100, 200, "old running a healthy", "old running b healthy", "new running a healthy", "new running b"), want: "stop 0"},
		{name: "roll 100/200: the last", view: scene(2, 100, 200, "old running b healthy", "new running a healthy", "new running b healthy"), want: "stop 0"},
		{name: "roll 50/100: half goes first", view: scene(4, 50, 100, "old running a healthy", "old running b healthy", "old running a healthy", "old running b healthy"), want: "stop 0 1"},
		{name: "roll 50/100: then new ones", view: scene(4, 50, 100, "old draining a", "old draining b", "old running a healthy", "old running b healthy"), want: "start 2"},
		{name: "roll 0/100 with one task", view: scene(1, 0, 100, "old running a healthy"), want: "stop 0"},
		{name: "roll 0/100 with one task, next", view: scene(1, 0, 100, "old draining a"), want: "start 1"},
		{name: "roll 50/100 with one task cannot move", view: scene(1, 50, 100, "old running a healthy"), want: ""},
		{name: "roll 100/200 with one task", view: scene(1, 100, 200, "old running a healthy"), want: "start 1"},
		{name: "roll 100/150 with one task cannot move: 1.5 is one", view: scene(1, 100, 150, "old running a healthy"), want: ""},
		{name: "roll 66/134 of three: 4 at most, 2 at least", view: scene(3, 66, 134, "old running a healthy", "old running b healthy", "old running a healthy"), want: "start 1, stop 0"},
		{name: "roll 0/200: at once", view: scene(2, 0, 200, "old running a healthy", "old running b healthy"), want: "start 2, stop 0 1"},
		{name: "former ones that are not up go", view: scene(2, 100, 200, "old running a healthy", "old running b sick", "old pending a", "new running b"), want: "stop 1 2"},
		{name: "former sick ones stay while nothing is healthy", view: scene(2, 100, 200, "old running a sick", "old running b sick"), want: "start 2"},
		{name: "former sick ones make room", view: scene(2, 50, 100, "old running a sick", "old running b sick"), want: "stop 0"},
		{name: "a former sick one makes room for the only one", view: scene(1, 50, 100, "old running a sick"), want: "stop 0"},
		{name: "former ones that nobody has judged do not make room", view: scene(2, 50, 100, "old running a", "old running b"), want: ""},

		{name: "a sick one is replaced first", view: scene(2, 100, 200, "new running a healthy", "new running b sick"), want: "start 1"},
		{name: "a sick one stays until then", view: scene(2, 100, 200, "new running a healthy", "new running b sick", "new pending b"), want: ""},
		{name: "a sick one goes after", view: scene(2, 100, 200, "new running a healthy", "new running b sick", "new running b healthy"), want: "stop 1"},
		{name: "a sick one makes room", view: scene(2, 50, 100, "new running a healthy", "new running b sick"), want: "stop 1"},
		{name: "sick ones one by one", view: scene(2, 50, 100, "new running a sick", "new running b sick"), want: "stop 0"},
		{name: "surplus sick ones", view: scene(1, 100, 200, "new running a sick", "new running b sick"), want: "stop 0"},
		{name: "all sick: they serve until others do", view: scene(2, 100, 200, "new running a sick", "new running b sick", "new running a", "new running b"), want: ""},

		{name: "a failed deployment starts nothing", view: scene(2, 100, 200, "old running a healthy", "old running b healthy"), change: failed, want: ""},
		{name: "a failed deployment still scales in", view: scene(1, 100, 200, "old running a healthy", "old running b healthy"), change: failed, want: "stop 0"},
		{name: "a failed first deployment", view: scene(2, 100, 200, "new failed", "new failed"), change: failed, want: ""},
		{name: "draining", view: scene(0, 100, 200, "old running a healthy", "new running b healthy", "new pending a"),
			change: func(v *view) { v.service.Status = model.ServiceDraining }, want: "stop 0 1 2"},
		{name: "draining with a failed deployment", view: scene(0, 100, 200, "old running a healthy", "new running b sick"),
			change: func(v *view) { failed(v); v.service.Status = model.ServiceDraining }, want: "stop 0 1"},
		{name: "inactive", view: scene(0, 100, 200), change: func(v *view) { v.service.Status = model.ServiceInactive }, want: ""},
		{name: "start is put off", view: scene(1, 100, 200), change: func(v *view) { v.service.Deployments[0].NextStartAt = t0.Add(time.Minute) }, want: ""},
		{name: "uneven zones: one more", view: scene(2, 100, 200, "new running a healthy", "new running a healthy"),
			change: func(v *view) { v.service.AZRebalancing = "ENABLED" }, want: "start 1"},
		{name: "uneven zones: then one less", view: scene(2, 100, 200, "new running a healthy", "new running a healthy", "new running b healthy"),
			change: func(v *view) { v.service.AZRebalancing, v.service.Rebalancing = "ENABLED", true }, want: "stop 0"},
		{name: "uneven zones: no room for one more", view: scene(2, 50, 120, "new running a healthy", "new running a healthy"),
			change: func(v *view) { v.service.AZRebalancing = "ENABLED" }, want: ""},
		{name: "uneven zones: it did not help lately", view: scene(2, 100, 200, "new running a healthy", "new running a healthy"),
			change: func(v *view) { v.service.AZRebalancing, v.service.RebalanceAfter = "ENABLED", t0.Add(time.Minute) }, want: ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.change != nil {
				test.change(&test.view)
			}
			if got := outline(planService(test.view, cloneService)); got != test.want {
				t.Errorf("plan %q, want %q", got, test.want)
			}
		})
	}
}

func TestPlanSays(t *testing.T) {
	breaker := func(rollback bool) func(*view) {
		return func(v *view) {
			v.service.CircuitBreaker = &model.CircuitBreaker{Enable: true, Rollback: rollback}
			v.service.Deployments[0].Failed = 2
		}
	}
	for _, test := range []struct {
		name    string
		view    view
		change  func(*view)
		events  []string
		rollout string
		list    int // deployments
		recheck time.Duration
	}{
		{name: "completed and steady", view: scene(1, 100, 200, "new running a healthy"), rollout: model.RolloutCompleted, list: 1, recheck: repeatSteady,
			events: []string{"(service web) (deployment new) deployment completed.", "(service web) has reached a steady state."}},
		{name: "settling", view: scene(1, 100, 200, "new running a"), rollout: model.RolloutInProgress, list: 1, recheck: 3 * time.Second},
		{name: "the former one is forgotten as its last task stops", view: scene(1, 100, 200, "old running a healthy", "new running a healthy"), rollout: model.RolloutInProgress, list: 1},
		{name: "completed to zero although a rollback is possible", view: scene(0, 100, 200, "old draining a"), change: breaker(true), rollout: model.RolloutCompleted, list: 1, recheck: repeatSteady,
			events: []string{"(service web) (deployment new) deployment completed.", "(service web) has reached a steady state."}},
		{name: "stuck", view: scene(1, 50, 100, "old running a healthy"), rollout: model.RolloutInProgress, list: 2, events: []string{fmt.Sprintf(stuck, "web")}},
		{name: "one more failure fails the deployment", view: scene(1, 100, 200, "old running a healthy", "new failed"), change: breaker(false), rollout: model.RolloutFailed, list: 2,
			events: []string{"(service web) (deployment new) deployment failed: tasks failed to start."}},
		{name: "a first deployment that fails", view: scene(1, 100, 200, "new failed"), change: breaker(true), rollout: model.RolloutFailed, list: 1,
			events: []string{"(service web) (deployment new) deployment failed: tasks failed to start."}},
		{name: "rolled back", view: scene(1, 100, 200, "old running a healthy", "new failed"), change: breaker(true), rollout: model.RolloutInProgress, list: 2,
			events: []string{"(service web) (deployment new) deployment failed: tasks failed to start.", "(service web) rolling back to deployment old."}},
		{name: "a rollback is not rolled back", view: scene(1, 100, 200, "old running a healthy", "new failed"), rollout: model.RolloutFailed, list: 2,
			change: func(v *view) { breaker(true)(v); v.service.Deployments[0].Rollback = true },
			events: []string{"(service web) (deployment new) deployment failed: tasks failed to start."}},
		{name: "the breaker is out once a task was healthy", view: scene(2, 100, 200, "new running a healthy", "new failed"), change: breaker(true), rollout: model.RolloutInProgress, list: 1},
		{name: "a reason is told", view: scene(1, 100, 200, "new failed"), rollout: model.RolloutInProgress, list: 1,
			change: func(v *view) { v.tasks[0].StoppedReason = "CannotPullContainerError: not found" },
			events: []string{"(service web) was unable to place a task. Reason: CannotPullContainerError: not found."}},
		{name: "uneven", view: scene(2, 100, 200, "new running a healthy", "new running a healthy"), rollout: model.RolloutInProgress, list: 1,
			change: func(v *view) { v.service.AZRebalancing = "ENABLED" },
			events: []string{"service (web) is not AZ balanced with 2 tasks in a and 0 in b. AZ Rebalancing in progress."}},
		{name: "deleted", view: scene(0, 100, 200), rollout: model.RolloutInProgress, list: 1, change: func(v *view) { v.service.Status = model.ServiceDraining }},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.change != nil {
				test.change(&test.view)
			}
			p := planService(test.view, cloneService)
			next := p.service
			if next == nil {
				next = test.view.service
			}
			if diff := cmp.Diff(test.events, p.events); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			if d := next.Deployments[0]; d.RolloutState != test.rollout || len(next.Deployments) != test.list || p.recheck != test.recheck {
				t.Errorf("rollout %s, %d deployments, again after %s", d.RolloutState, len(next.Deployments), p.recheck)
			}
		})
	}
}

func TestRollbackIsWhatWorkedBefore(t *testing.T) {
	v := scene(1, 100, 200, "old running a healthy", "new failed", "new failed", "new failed")
	v.service.CircuitBreaker = &model.CircuitBreaker{Enable: true, Rollback: true}
	p := planService(v, cloneService)
	back, failed := p.service.Deployments[0], p.service.Deployments[1]
	if back.DefinitionKey != "app:1" || back.Status != model.DeploymentPrimary || !back.Rollback || back.ID == "old" || back.RolloutReason != "ECS deployment circuit breaker: rolling back to deploymentId old." {
		t.Errorf("rolled back to %+v", back)
	}
	if failed.ID != "old" { // the failed one has no task left, the one that worked still has
		t.Errorf("next is %+v", failed)
	}
	if got := outline(p); got != "start 1" {
		t.Errorf("plan %q", got)
	}
}

// TestRoundsOfFailures follows a service whose tasks never start, batch by batch.
func TestRoundsOfFailures(t *testing.T) {
	for _, kind := range []struct {
		state  string
		pauses []time.Duration
	}{
		{"failed", []time.Duration{0, 0, 10 * time.Second, 20 * time.Second, 40 * time.Second}},
		{"crashed", []time.Duration{0, 0, time.Second, 2 * time.Second, 4 * time.Second}},
	} {
		v := scene(3, 100, 200)
		now := t0
		for round, want := range kind.pauses {
			v.tasks = nil
			for i := range 3 {
				one := scene(3, 100, 200, "new "+kind.state).tasks[0]
				one.ID, one.CreatedAt = fmt.Sprint(round, i), now
				if kind.state == "crashed" {
					one.StartedAt = now
				}
				v.tasks = append(v.tasks, one)
			}
			v.now = now.Add(time.Second)
			p := planService(v, cloneService)
			if got := p.recheck; len(p.count) != 3 || got != want || (p.start == 0) != (want > 0) {
				t.Errorf("%s, round %d: pause %s, start %d, %d counted, want a pause of %s", kind.state, round, got, p.start, len(p.count), want)
			}
			v.service = p.service
			now = v.now.Add(want)
		}
		if v.service.Deployments[0].Failed != map[string]int{"failed": 15, "crashed": 0}[kind.state] {
			t.Errorf("%s: %d failures counted", kind.state, v.service.Deployments[0].Failed)
		}
		// One that works ends it.
		v.tasks = scene(3, 100, 200, "new running a healthy").tasks
		v.tasks[0].CreatedAt, v.health = now, map[string]health{"0": {healthy: true}}
		v.now = now.Add(time.Second)
		if p := planService(v, cloneService); p.service.Deployments[0].Throttled != 0 || p.start != 2 {
			t.Errorf("%s: after a success %+v, start %d", kind.state, p.service.Deployments[0], p.start)
		}
	}
}

// TestRebalancingGivesUp has a zone in which no task can be placed.
func TestRebalancingGivesUp(t *testing.T) {
	v := scene(2, 100, 200, "new running a healthy", "new running a healthy", "new running a healthy")
	v.service.AZRebalancing, v.service.Rebalancing = "ENABLED", true
	p := planService(v, cloneService)
	if got := outline(p); got != "stop 0" || p.service.Rebalancing || !p.service.RebalanceAfter.After(t0) {
		t.Errorf("plan %q, not again before %s", got, p.service.RebalanceAfter)
	}
}
