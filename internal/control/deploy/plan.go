package deploy

import (
	"fmt"
	"time"

	"github.com/neargate/neargate/internal/model"
)

// view is one consistent look at a service and its tasks, with everything that the plan needs to know.
type view struct {
	service *model.Service
	tasks   []*model.Task // all that are not forgotten, also stopped ones
	// health says of each running task by ID how its targets and its containers are.
	health map[string]health
	zones  []string // availability zones that the primary deployment's subnets lie in, sorted
	now    time.Time
	// Delays of AWS, scaled.
	settle   time.Duration // a task without any check counts as healthy so long after it has started
	throttle func(rounds int) time.Duration
}

// health is how a running task is seen from outside.
type health struct {
	healthy   bool
	unhealthy string        // the reason to stop it, in AWS's words; empty when there is none
	again     time.Duration // after which time alone changes this; 0: it does not
}

// plan is what has to be done for a service.
type plan struct {
	start   int    // tasks of the primary deployment
	stop    []stop // tasks that are to stop
	count   []string
	service *model.Service // the service as it is to be written; nil when nothing changes
	events  []string
	recheck time.Duration
}

// stop is a task that is to stop, and why.
type stop struct {
	task   *model.Task
	code   string
	reason string
}

// batch is how many tasks one plan starts, and how many it stops: what a plan does is one transaction, and a store that
// others share takes about a hundred changes at once.
const batch = 40

// planService returns what brings a service nearer to what is asked of it. It is pure: it is called again after each
// change, so it only ever does the next step.
func planService(v view, clone func(*model.Service) *model.Service) plan {
	if v.service.Status == model.ServiceInactive {
		return plan{}
	}
	p := &planner{view: v, next: clone(v.service)}
	p.classify()
	p.failures()
	p.breaker()
	p.roll()
	p.finish()
	return p.result()
}

// planner holds the state of one plan.
type planner struct {
	view
	next    *model.Service
	changed bool
	out     plan

	alive     []*model.Task // to run: neither stopping nor asked to
	healthy   int           // of alive
	byDeploy  map[string][]*model.Task
	remaining int // tasks that have not stopped yet, in whatever state
}

func (p *planner) primary() *model.Deployment { return &p.next.Deployments[0] }

// mine returns the tasks of the primary deployment that are to run.
func (p *planner) mine() []*model.Task { return p.byDeploy[p.primary().ID] }

func (p *planner) classify() {
	p.byDeploy = map[string][]*model.Task{}
	for _, t := range p.tasks {
		if !t.IsStopped() {
			p.remaining++
		}
		if t.Desired != model.DesiredRunning || t.State > model.TaskRunning {
			continue
		}
		p.alive = append(p.alive, t)
		p.byDeploy[t.DeploymentID] = append(p.byDeploy[t.DeploymentID], t)
		if p.health[t.ID].healthy {
			p.healthy++
		}
	}
}

// bounds are what a deployment configuration demands: at least lower healthy tasks, at most upper that run or are about
// to, STOPPING ones not counted (aws-facts 1.10).
func bounds(s *model.Service) (lower, upper int) {
	if s.Status != model.ServiceActive {
		return 0, 0
	}
	return (s.DesiredCount*s.MinimumPercent + 99) / 100, max(s.DesiredCount*s.MaximumPercent/100, s.DesiredCount)
}

// wanted is how many tasks the service is to have: one more than desired while it evens out its zones.
func (p *planner) wanted() int {
	switch {
	case p.next.Status != model.ServiceActive:
		return 0
	case p.next.Rebalancing:
		return p.next.DesiredCount + 1
	}
	return p.next.DesiredCount
}

// roll starts and stops tasks within the bounds that the deployment configuration sets.
func (p *planner) roll() {
	p.rebalance()
	d := p.primary()
	desired := p.wanted()
	lower, upper := bounds(p.next)
	good := 0 // of the primary deployment: healthy, or not yet known to be unhealthy
	for _, t := range p.mine() {
		if p.health[t.ID].unhealthy == "" {
			good++
		}
	}
	if need := min(desired-good, upper-len(p.alive), batch); need > 0 && d.RolloutState != model.RolloutFailed {
		if wait := d.NextStartAt.Sub(p.now); wait > 0 {
			p.later(wait)
		} else {
			p.out.start = need
		}
	}
	p.stopUnhealthy(good, desired, upper)
	p.stopFormer(desired, lower, upper)
	p.stopSurplus(desired, lower)
	p.sayIfStuck(desired, good)
}

// stuck is the event of a deployment that its own percentages keep from doing anything.
const stuck = "(service %s) was unable to stop or start tasks during a deployment because of the service deployment configuration. Update the minimumHealthyPercent or maximumPercent value and try again."

func (p *planner) sayIfStuck(desired, good int) {
	d := p.primary()
	former := len(p.alive) - len(p.mine())
	waits := p.out.start > 0 || len(p.out.stop) > 0 || d.NextStartAt.After(p.now) || d.RolloutState == model.RolloutFailed
	if good < desired && former > 0 && p.healthy == len(p.alive) && !waits {
		p.event(stuck, p.next.Name)
	}
}

// finish completes deployments, says steady states, and ends a drained service.
func (p *planner) finish() {
	d := p.primary()
	if d.Desired != p.next.DesiredCount {
		d.Desired, d.UpdatedAt, p.changed = p.next.DesiredCount, p.now, true
	}
	if p.next.Status == model.ServiceDraining {
		p.forgetFormer()
		if p.remaining == 0 {
			p.next.Status, p.next.DeletedAt, p.changed = model.ServiceInactive, p.now, true
			d.Status = model.DeploymentInactive
		}
		return
	}
	running := 0
	for _, t := range p.mine() {
		if p.health[t.ID].healthy {
			running++
		}
	}
	isDone := running == p.next.DesiredCount && len(p.alive) == p.next.DesiredCount && p.out.start == 0 && len(p.out.stop) == 0 &&
		d.RolloutState != model.RolloutFailed
	if isDone && d.RolloutState == model.RolloutInProgress {
		d.RolloutState, d.UpdatedAt, d.CompletedAt, p.changed = model.RolloutCompleted, p.now, p.now, true
		d.RolloutReason = fmt.Sprintf("ECS deployment %s completed.", d.ID)
		p.event("(service %s) (deployment %s) deployment completed.", p.next.Name, d.ID)
	}
	p.forgetFormer()
	switch since := p.now.Sub(p.next.SteadyAt); {
	case !isDone && !p.next.SteadyAt.IsZero():
		p.next.SteadyAt, p.changed = time.Time{}, true
	case !isDone:
	case p.next.SteadyAt.IsZero(), since >= repeatSteady:
		p.next.SteadyAt, p.changed = p.now, true
		p.event("(service %s) has reached a steady state.", p.next.Name)
		p.later(repeatSteady)
	default:
		p.later(repeatSteady - since)
	}
}

// repeatSteady is how often a service that stays steady says so again (aws-facts 1.9).
const repeatSteady = 6 * time.Hour

// forgetFormer drops former deployments that have no task to run any more.
func (p *planner) forgetFormer() {
	kept := p.next.Deployments[:1]
	for _, d := range p.next.Deployments[1:] {
		tasks := 0
		for _, t := range p.byDeploy[d.ID] {
			if !p.isStopping(t) {
				tasks++
			}
		}
		// The last deployment that worked stays as long as the new one may have to be rolled back to it.
		isNeeded := tasks > 0 || (d.RolloutState == model.RolloutCompleted && p.mayRollBack())
		if d.Desired != tasks || !isNeeded {
			d.Desired, d.UpdatedAt, p.changed = tasks, p.now, true
		}
		if isNeeded {
			kept = append(kept, d)
		}
	}
	p.next.Deployments = kept
}

func (p *planner) event(format string, args ...any) {
	p.out.events = append(p.out.events, fmt.Sprintf(format, args...))
}

// later asks to be looked at again after d at the latest.
func (p *planner) later(d time.Duration) {
	if d > 0 && (p.out.recheck == 0 || d < p.out.recheck) {
		p.out.recheck = d
	}
}

func (p *planner) result() plan {
	for _, t := range p.alive {
		p.later(p.health[t.ID].again)
	}
	if p.changed {
		p.out.service = p.next
	}
	return p.out
}
