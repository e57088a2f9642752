package deploy

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/neargate/neargate/internal/model"
)

// world is a model of everything around a service: hosts that start tasks or fail to, checks, a user who changes his
// mind. It holds no goroutine and no clock of its own, so that one seed always tells the same story.
type world struct {
	t       *testing.T
	rng     *rand.Rand
	now     time.Time
	zones   []string
	service *model.Service
	tasks   []*model.Task
	health  map[string]health
	chaos   bool // tasks fail
	mortal  bool // what is sick stays so
	made    int
	log     []string
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 7)), now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), health: map[string]health{}}
	w.mortal = w.rng.IntN(2) == 0
	w.zones = []string{"us-east-1a", "us-east-1b", "us-east-1c"}[:1+w.rng.IntN(3)]
	w.service = &model.Service{
		Name: "web", Cluster: "c", Status: model.ServiceActive, DesiredCount: w.rng.IntN(7), MinimumPercent: 100, MaximumPercent: 200, AZRebalancing: "ENABLED",
	}
	w.deploy()
	return w
}

func cloneService(s *model.Service) *model.Service {
	c := *s
	c.Deployments, c.Events = slices.Clone(s.Deployments), slices.Clone(s.Events)
	return &c
}

func (w *world) note(format string, args ...any) {
	w.log = append(w.log, fmt.Sprintf(format, args...))
}

func (w *world) fail(format string, args ...any) {
	w.t.Helper()
	for _, line := range w.log[max(0, len(w.log)-40):] {
		w.t.Log(line)
	}
	w.t.Fatalf(format, args...)
}

func (w *world) deploy() {
	w.made++
	for i := range w.service.Deployments {
		w.service.Deployments[i].Status = model.DeploymentActive
	}
	w.service.Deployments = append([]model.Deployment{{
		ID: fmt.Sprint("ecs-svc/", w.made), Status: model.DeploymentPrimary, RolloutState: model.RolloutInProgress, CreatedAt: w.now,
	}}, w.service.Deployments...)
	w.note("user: deployment %d", w.made)
}

// user does something that the API allows.
func (w *world) user() {
	s := w.service
	switch w.rng.IntN(6) {
	case 0, 1:
		s.DesiredCount = w.rng.IntN(7)
		w.note("user: desired %d", s.DesiredCount)
	case 2, 3:
		w.deploy()
	case 4:
		pairs := [][2]int{{100, 200}, {50, 100}, {0, 100}, {50, 200}, {100, 150}, {66, 134}, {0, 200}}
		pair := pairs[w.rng.IntN(len(pairs))]
		s.MinimumPercent, s.MaximumPercent = pair[0], pair[1]
		w.note("user: %d/%d", pair[0], pair[1])
	case 5:
		s.CircuitBreaker = &model.CircuitBreaker{Enable: w.rng.IntN(3) > 0, Rollback: w.rng.IntN(2) == 0}
		w.note("user: breaker %+v", *s.CircuitBreaker)
	}
}

// host does one thing that a host or a load balancer may do to one task.
func (w *world) host(t *model.Task) {
	h := w.health[t.ID]
	mishap := w.chaos && w.rng.IntN(6) == 0
	switch {
	case t.IsStopped():
	case t.Desired == model.DesiredStopped:
		t.State = min(t.State+model.TaskState(1+w.rng.IntN(3)), model.TaskStopped)
		t.State = max(t.State, model.TaskDeactivating)
		if t.IsStopped() {
			t.StoppedAt = w.now
		}
	case t.AZ == "":
		w.place(t)
	case t.State < model.TaskRunning && mishap:
		w.end(t, model.StopTaskFailedToStart, "CannotPullContainerError: no")
	case t.State < model.TaskRunning:
		t.State++
		if t.State == model.TaskRunning {
			t.StartedAt = w.now
		}
	case mishap && w.rng.IntN(2) == 0:
		w.end(t, model.StopEssentialContainerExited, "Essential container in task exited")
	case mishap:
		w.health[t.ID] = health{unhealthy: failedContainerChecks}
		w.note("host: %s is sick", t.ID)
	case !h.healthy && (h.unhealthy == "" || (!w.mortal && w.rng.IntN(4) == 0)):
		w.health[t.ID] = health{healthy: true}
		w.note("host: %s is healthy", t.ID)
	}
}

func (w *world) place(t *model.Task) {
	count := map[string][2]int{}
	for _, o := range w.tasks {
		if o.AZ == "" || o.Desired != model.DesiredRunning || o.IsStopped() {
			continue
		}
		c := count[o.AZ]
		if o.DeploymentID == t.DeploymentID {
			c[0]++
		}
		c[1]++
		count[o.AZ] = c
	}
	t.AZ = slices.MinFunc(w.zones, func(a, b string) int {
		return cmp.Or(cmp.Compare(count[a][0], count[b][0]), cmp.Compare(count[a][1], count[b][1]), cmp.Compare(a, b))
	})
	t.State = model.TaskPending
}

func (w *world) end(t *model.Task, code, reason string) {
	t.Desired, t.StopCode, t.StoppedReason = model.DesiredStopped, code, reason
	w.note("host: %s ends, %s", t.ID, code)
}

func (w *world) isAlive(t *model.Task) bool {
	return t.Desired == model.DesiredRunning && t.State <= model.TaskRunning
}

func (w *world) alive() []*model.Task {
	return slices.DeleteFunc(slices.Clone(w.tasks), func(t *model.Task) bool { return !w.isAlive(t) })
}

// control plans, checks what must hold of every plan, and does what it says. It reports whether there was anything.
func (w *world) control() bool {
	w.t.Helper()
	seen := map[string]health{}
	healthy := 0
	for _, t := range w.alive() {
		if t.State == model.TaskRunning {
			if seen[t.ID] = w.health[t.ID]; seen[t.ID].healthy {
				healthy++
			}
		}
	}
	v := view{
		service: w.service, tasks: w.tasks, health: seen, zones: w.zones, now: w.now, settle: settle,
		throttle: func(rounds int) time.Duration { return time.Duration(max(0, rounds-2)) * 10 * time.Second },
	}
	p := planService(v, cloneService)
	lower, upper := bounds(w.service)
	before := healthy
	for i, s := range p.stop {
		if !w.isAlive(s.task) || slices.ContainsFunc(p.stop[:i], func(o stop) bool { return o.task == s.task }) {
			w.fail("%s is to stop, but it does already", s.task.ID)
		}
		if seen[s.task.ID].healthy {
			healthy--
		}
	}
	if healthy < before && healthy < lower {
		w.fail("%d of %d healthy tasks stop, %d must stay", before-healthy, before, lower)
	}
	if p.start > 0 && len(w.alive())+p.start > upper {
		w.fail("%d tasks start beside %d, %d may run", p.start, len(w.alive()), upper)
	}
	if p.service != nil {
		w.service = p.service
	}
	for _, id := range p.count {
		w.tasks[slices.IndexFunc(w.tasks, func(t *model.Task) bool { return t.ID == id })].Counted = true
	}
	for range p.start {
		w.made++
		w.tasks = append(w.tasks, &model.Task{
			Meta: model.Meta{CreatedAt: w.now}, ID: fmt.Sprintf("t%04d", w.made), DeploymentID: w.service.Deployments[0].ID, Desired: model.DesiredRunning, State: model.TaskProvisioning,
		})
		w.note("control: start t%04d", w.made)
	}
	for _, s := range p.stop {
		s.task.Desired, s.task.StopCode, s.task.StoppedReason = model.DesiredStopped, s.code, s.reason
		w.note("control: stop %s of %s: %s", s.task.ID, s.task.DeploymentID, s.reason)
	}
	for _, e := range p.events {
		w.note("control: %s", e)
	}
	w.check()
	return p.start+len(p.stop)+len(p.count)+len(p.events) > 0 || p.service != nil
}

func (w *world) check() {
	w.t.Helper()
	for i, d := range w.service.Deployments {
		if (d.Status == model.DeploymentPrimary) != (i == 0) && w.service.Status == model.ServiceActive {
			w.fail("deployment %d of the list is %s", i, d.Status)
		}
	}
	w.tasks = slices.DeleteFunc(w.tasks, func(t *model.Task) bool { return t.IsStopped() && t.Counted })
}

// calm lets everything work, and returns when nothing is left to do.
func (w *world) calm() {
	w.t.Helper()
	w.chaos = false
	w.note("calm")
	if lower, upper := bounds(w.service); lower == upper {
		w.service.MaximumPercent = 200 // such a service may not move at all
	}
	if w.service.Deployments[0].RolloutState == model.RolloutFailed {
		w.deploy()
	}
	quiet := 0
	for step := 0; quiet < 3; step++ {
		if step > 300 {
			w.fail("it does not come to rest")
		}
		for _, t := range w.tasks {
			w.host(t)
		}
		w.now = w.now.Add(20 * time.Second)
		isQuiet := !w.control()
		for _, t := range w.tasks {
			isQuiet = isQuiet && (t.IsStopped() || t.State == model.TaskRunning)
		}
		if quiet++; !isQuiet {
			quiet = 0
		}
		if w.service.Deployments[0].RolloutState == model.RolloutFailed {
			w.deploy() // the last mishaps have opened the breaker
		}
	}
}

func (w *world) checkRest() {
	w.t.Helper()
	s := w.service
	perZone := map[string]int{}
	for _, zone := range w.zones {
		perZone[zone] = 0
	}
	for _, t := range w.alive() {
		perZone[t.AZ]++
		if t.DeploymentID != s.Deployments[0].ID || !w.health[t.ID].healthy {
			w.fail("at rest: %s of %s, healthy %v", t.ID, t.DeploymentID, w.health[t.ID].healthy)
		}
	}
	_, upper := bounds(s)
	switch {
	case len(w.alive()) != s.DesiredCount:
		w.fail("at rest: %d tasks, desired %d", len(w.alive()), s.DesiredCount)
	case len(s.Deployments) != 1 || s.Deployments[0].RolloutState != model.RolloutCompleted:
		w.fail("at rest: deployments %+v", s.Deployments)
	case s.SteadyAt.IsZero() || s.Rebalancing:
		w.fail("at rest: steady %v, rebalancing %v", s.SteadyAt, s.Rebalancing)
	case upper > s.DesiredCount && isUneven(perZone):
		w.fail("at rest: uneven %v", perZone)
	}
}

// TestSimulation plays random histories and checks in each step that control keeps to the deployment configuration, and
// that in the end everything is as it was asked for.
func TestSimulation(t *testing.T) {
	seeds := 400
	if testing.Short() {
		seeds = 50
	}
	for seed := range seeds {
		w := newWorld(t, uint64(seed))
		for round := range 3 {
			w.chaos = round > 0
			for range 150 {
				if w.rng.IntN(25) == 0 {
					w.user()
				}
				if len(w.tasks) > 0 {
					w.host(w.tasks[w.rng.IntN(len(w.tasks))])
				}
				w.now = w.now.Add(time.Duration(w.rng.IntN(5)) * time.Second)
				if w.rng.IntN(3) > 0 { // sometimes several things happen before control looks
					w.control()
				}
			}
			w.calm()
			w.checkRest()
		}
		w.service.Status, w.service.DesiredCount = model.ServiceDraining, 0
		for range 40 {
			for _, task := range w.tasks {
				w.host(task)
			}
			w.control()
		}
		if w.service.Status != model.ServiceInactive || len(w.alive()) > 0 {
			w.fail("seed %d: service %s with %d tasks after it was deleted", seed, w.service.Status, len(w.alive()))
		}
	}
}
