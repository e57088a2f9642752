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
	// health says of each task by ID how its targets and its containers are.
	health map[string]health
	zones  int // availability zones that the primary deployment's subnets lie in
	now    time.Time
	// Delays of AWS, scaled.
	settle   time.Duration // a task without any check counts as healthy so long after it has started
	throttle func(failures int) time.Duration
}

// health is how a task is seen from outside.
type health struct {
	healthy   bool
	unhealthy string // the reason to stop it, in AWS's words; empty when there is none
	checked   bool   // a health check says so; else only time does
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

// planService returns what brings a service nearer to what is asked of it. It is pure: it is called again after each
// change, so it only ever does the next step.
func planService(v view, clone func(*model.Service) *model.Service) plan {
	p := &planner{view: v, next: clone(v.service)}
	p.classify()
	if v.service.Status == model.ServiceInactive {
		return plan{}
	}
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

// failures counts, once each, the tasks of the primary deployment that could not be started or were stopped for their
// health. One task that becomes healthy ends the counting for this deployment (aws-facts 1.10).
func (p *planner) failures() {
	d := p.primary()
	for _, t := range p.byDeploy[d.ID] {
		if p.health[t.ID].healthy && !d.RanOnce {
			d.RanOnce, d.Failed, d.Throttled, d.NextStartAt, p.changed = true, 0, 0, time.Time{}, true
		}
	}
	for _, t := range p.tasks {
		if t.Counted || t.DeploymentID != d.ID || t.Desired != model.DesiredStopped {
			continue
		}
		neverRan := t.StartedAt.IsZero() && t.StopCode == model.StopTaskFailedToStart
		unhealthy := t.StopCode == model.StopServiceSchedulerInitiated && isHealthReason(t.StoppedReason)
		if !neverRan && !unhealthy {
			continue
		}
		p.out.count = append(p.out.count, t.ID)
		if d.RanOnce {
			continue
		}
		d.Failed, p.changed = d.Failed+1, true
		if neverRan {
			d.Throttled++
			d.NextStartAt = p.now.Add(p.throttle(d.Throttled))
			if d.Throttled == impaired {
				p.event("(service %s) is unable to consistently start tasks successfully.", p.next.Name)
			}
		}
	}
}

// impaired is after how many failed starts in a row a service says that it cannot start tasks.
const impaired = 5

// breaker ends a deployment whose tasks keep failing, and goes back to the one before if that is wanted.
func (p *planner) breaker() {
	d, b := p.primary(), p.next.CircuitBreaker
	if b == nil || !b.Enable || d.RolloutState != model.RolloutInProgress || d.RanOnce || d.Failed < breakerThreshold(p.next.DesiredCount) {
		return
	}
	d.RolloutState, d.UpdatedAt, p.changed = model.RolloutFailed, p.now, true
	d.RolloutReason = "ECS deployment circuit breaker: tasks failed to start."
	p.event("(service %s) (deployment %s) deployment failed: tasks failed to start.", p.next.Name, d.ID)
	if !b.Rollback {
		return
	}
	for _, former := range p.next.Deployments[1:] {
		if former.RolloutState != model.RolloutCompleted {
			continue
		}
		p.event("(service %s) rolling back to deployment %s.", p.next.Name, former.ID)
		back := former
		back.ID, back.Status, back.RolloutState = model.NewDeploymentID(), model.DeploymentPrimary, model.RolloutInProgress
		back.RolloutReason = fmt.Sprintf("ECS deployment circuit breaker: rolling back to deploymentId %s.", former.ID)
		back.Desired, back.Failed, back.Throttled, back.RanOnce, back.NextStartAt = 0, 0, 0, false, time.Time{}
		back.CreatedAt, back.UpdatedAt = p.now, p.now
		d.Status = model.DeploymentActive
		p.next.Deployments = append([]model.Deployment{back}, p.next.Deployments...)
		return
	}
}

// breakerThreshold is how many failures in a row end a deployment (aws-facts 1.10).
func breakerThreshold(desired int) int { return min(max((desired+1)/2, 3), 200) }

// wanted is how many tasks the service is to have: one more than desired while it evens out its zones.
func (p *planner) wanted() int {
	if p.next.Rebalancing {
		return p.next.DesiredCount + 1
	}
	return p.next.DesiredCount
}

// roll starts and stops tasks within the bounds that the deployment configuration sets.
func (p *planner) roll() {
	d := p.primary()
	p.rebalance()
	desired := p.wanted()
	lower := (p.next.DesiredCount*p.next.MinimumPercent + 99) / 100
	upper := max(p.next.DesiredCount*p.next.MaximumPercent/100, desired)
	if p.next.Status == model.ServiceDraining {
		lower, upper, desired = 0, 0, 0
	}
	mine := p.byDeploy[d.ID]
	good := 0 // of the primary deployment: healthy, or not yet known to be unhealthy
	for _, t := range mine {
		if p.health[t.ID].unhealthy == "" {
			good++
		}
	}
	if need := min(desired-good, upper-len(p.alive)); need > 0 && d.RolloutState != model.RolloutFailed {
		if wait := d.NextStartAt.Sub(p.now); wait > 0 {
			p.later(wait)
		} else {
			p.out.start = need
		}
	}
	p.stopUnhealthy(good, desired, upper)
	p.stopFormer(lower)
	p.stopSurplus(desired, lower)
	p.sayIfStuck(desired, good)
}

// stuck is the event of a deployment that its own percentages keep from doing anything.
const stuck = "(service %s) was unable to stop or start tasks during a deployment because of the service deployment configuration. Update the minimumHealthyPercent or maximumPercent value and try again."

func (p *planner) sayIfStuck(desired, good int) {
	old := len(p.alive) - len(p.byDeploy[p.primary().ID])
	if good < desired && old > 0 && p.healthy == len(p.alive) && p.out.start == 0 && len(p.out.stop) == 0 && p.primary().NextStartAt.IsZero() {
		p.event(stuck, p.next.Name)
	}
}

// rebalance lets one more task start in the emptiest zone when all is well but the zones are uneven; the surplus is then
// taken from the fullest zone (aws-facts 1.8).
func (p *planner) rebalance() {
	if p.next.AZRebalancing != "ENABLED" || p.next.Status != model.ServiceActive || p.next.MaximumPercent <= 100 {
		if p.next.Rebalancing {
			p.next.Rebalancing, p.changed = false, true
		}
		return
	}
	steady := len(p.next.Deployments) == 1 && p.healthy == len(p.alive)
	uneven := isUneven(p.alive, p.zones)
	switch {
	case !p.next.Rebalancing && steady && len(p.alive) == p.next.DesiredCount && uneven:
		p.next.Rebalancing, p.changed = true, true
		p.event("service (%s) is not AZ balanced. AZ Rebalancing in progress.", p.next.Name)
	case p.next.Rebalancing && steady && len(p.alive) > p.next.DesiredCount:
		p.next.Rebalancing, p.changed = false, true
		if !isUneven(p.alive, p.zones) {
			p.event("service (%s) is AZ balanced.", p.next.Name)
		}
	}
}

// isUneven reports whether some zone has two tasks more than another one could have.
func isUneven(tasks []*model.Task, zones int) bool {
	perZone := map[string]int{}
	most := 0
	for _, t := range tasks {
		if t.AZ == "" {
			return false // not placed yet
		}
		perZone[t.AZ]++
		most = max(most, perZone[t.AZ])
	}
	least := most
	for _, n := range perZone {
		least = min(least, n)
	}
	if len(perZone) < zones {
		least = 0
	}
	return zones > 1 && most-least >= 2
}

// finish completes deployments, says steady states, and ends a drained service.
func (p *planner) finish() {
	d := p.primary()
	if d.Desired != p.next.DesiredCount {
		d.Desired, p.changed = p.next.DesiredCount, true
	}
	p.forgetFormer()
	if p.next.Status == model.ServiceDraining {
		if p.remaining == 0 {
			p.next.Status, p.changed = model.ServiceInactive, true
			p.next.Deployments[0].Status = model.DeploymentInactive
		}
		return
	}
	mine := p.byDeploy[d.ID]
	running := 0
	for _, t := range mine {
		if t.State == model.TaskRunning && p.health[t.ID].healthy {
			running++
		}
	}
	done := running == p.next.DesiredCount && len(p.alive) == p.next.DesiredCount && len(p.next.Deployments) == 1 && p.out.start == 0 && len(p.out.stop) == 0
	if !done {
		if !p.next.SteadyAt.IsZero() {
			p.next.SteadyAt, p.changed = time.Time{}, true
		}
		return
	}
	if d.RolloutState == model.RolloutInProgress {
		d.RolloutState, d.UpdatedAt, p.changed = model.RolloutCompleted, p.now, true
		d.RolloutReason = fmt.Sprintf("ECS deployment %s completed.", d.ID)
		p.event("(service %s) (deployment %s) deployment completed.", p.next.Name, d.ID)
	}
	if p.next.SteadyAt.IsZero() || p.now.Sub(p.next.SteadyAt) >= repeatSteady {
		p.next.SteadyAt, p.changed = p.now, true
		p.event("(service %s) has reached a steady state.", p.next.Name)
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
		if tasks > 0 {
			d.Desired = tasks
			kept = append(kept, d)
			continue
		}
		// The last deployment that worked stays as long as the new one may have to be rolled back to it.
		if d.RolloutState == model.RolloutCompleted && p.mayRollBack() {
			d.Desired = 0
			kept = append(kept, d)
			continue
		}
		p.changed = true
	}
	p.next.Deployments = kept
}

// mayRollBack reports whether the primary deployment may still fail and go back to a former one.
func (p *planner) mayRollBack() bool {
	b, d := p.next.CircuitBreaker, p.primary()
	return b != nil && b.Enable && b.Rollback && d.RolloutState == model.RolloutInProgress && !d.RanOnce && p.next.Status == model.ServiceActive
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
		h := p.health[t.ID]
		if !h.healthy && h.unhealthy == "" && t.State == model.TaskRunning {
			p.later(max(p.settle-p.now.Sub(t.StartedAt), time.Second))
		}
	}
	if p.changed {
		p.out.service = p.next
	}
	return p.out
}
