package task

import (
	"fmt"
	"slices"
	"time"

	"github.com/neargate/neargate/internal/container"
	"github.com/neargate/neargate/internal/model"
)

// Times that AWS fills in when a task definition does not say.
const (
	defaultStopTimeout   = 30 * time.Second
	defaultRestartPeriod = 300 * time.Second
	leastPatience        = 2 * time.Second
)

// phase is where one container is.
type phase int

const (
	phaseAbsent  phase = iota // not made yet
	phaseRunning              // its first process runs
	phaseStopped              // it ran and has ended
	phaseFailed               // it could not be made or started
)

// observed is what the runner knows of one container.
type observed struct {
	phase       phase
	busy        bool // it is being started
	checking    bool // its health check runs
	exit        container.Exit
	reason      string
	startedAt   time.Time // last start
	firstStart  time.Time
	lastRestart time.Time
	restarts    int
	signalledAt time.Time // stop signal
	killed      bool
	health      health
}

// hasStarted reports whether it has ever run.
func (o observed) hasStarted() bool { return o.phase == phaseRunning || o.phase == phaseStopped }

// isOver reports whether nothing of it runs, nor will by an action under way.
func (o observed) isOver() bool { return o.phase != phaseRunning && !o.busy }

// stop says why the task ends by itself.
type stop struct {
	code   string
	reason string
}

// view is everything that a decision rests on.
type view struct {
	definition *model.TaskDefinition
	state      model.TaskState
	desired    string
	drained    bool  // targets are deregistered, or there are none
	failure    *stop // found before: the task ends by itself
	prepared   bool  // network, images, logs are ready
	containers map[string]observed
	now        time.Time
	scale      func(time.Duration) time.Duration
}

// patience scales the time that a program is given for real work. A fast clock makes no program faster, so some of the
// time always remains.
func (v view) patience(d time.Duration) time.Duration { return max(v.scale(d), min(d, leastPatience)) }

// verb is what to do with a container.
type verb int

const (
	doStart  verb = iota // make it and run it
	doAgain              // run it once more
	doCheck              // run its health check
	doSignal             // send the stop signal
	doKill               // send SIGKILL
)

// action is one thing to do.
type action struct {
	verb      verb
	container string
}

// plan is what to do next.
type plan struct {
	actions []action
	state   model.TaskState // to be reported; never before the present one
	failure *stop           // found now
	wake    time.Time       // look again at this time although nothing happened; zero: no need
}

// planNext decides. It is pure: the same view gives the same plan.
func planNext(v view) plan {
	p := plan{state: v.state, failure: v.failure}
	if v.desired != model.DesiredStopped && p.failure == nil {
		if v.prepared {
			planRun(v, &p)
		}
		if p.failure == nil {
			return p
		}
		p.actions = nil // what was to be started is not any more
	}
	planStop(v, &p)
	return p
}

// planRun starts what may start, and finds out whether the task has to end.
func planRun(v view, p *plan) {
	allStarted := true
	for i := range v.definition.Containers {
		c := &v.definition.Containers[i]
		o := v.containers[c.Name]
		switch {
		case o.busy:
			allStarted = allStarted && o.hasStarted()
		case o.phase == phaseAbsent:
			allStarted = false
			ready, err := mayStart(v, c, p)
			if err != nil {
				p.failure = &stop{code: model.StopTaskFailedToStart, reason: err.Error()}
				return
			}
			if ready {
				p.actions = append(p.actions, action{doStart, c.Name})
			}
		case o.phase == phaseRunning:
			planHealth(v, c, o, p)
		case o.phase == phaseFailed && c.Essential:
			p.failure = &stop{code: model.StopTaskFailedToStart, reason: "Task failed to start"}
			return
		case o.phase == phaseStopped && mayRestart(v, c, o):
			p.actions = append(p.actions, action{doAgain, c.Name})
		case o.phase == phaseStopped && c.Essential:
			p.failure = &stop{code: model.StopEssentialContainerExited, reason: "Essential container in task exited"}
			return
		}
	}
	if allStarted {
		p.state = max(p.state, model.TaskRunning)
	}
}

// mayStart reports whether what the container depends on is as it must be; an error says that it never will be.
func mayStart(v view, c *model.ContainerDefinition, p *plan) (bool, error) {
	for _, d := range c.DependsOn {
		i := slices.IndexFunc(v.definition.Containers, func(c model.ContainerDefinition) bool { return c.Name == d.Container })
		if i < 0 {
			return false, fmt.Errorf("dependency graph: container ordering dependency [%s] for target [%s] does not exist.", d.Container, c.Name) // AWS's words
		}
		other := v.containers[d.Container]
		ok, err := isResolved(d, c.Name, other)
		if err != nil {
			return false, err
		}
		if ok {
			continue
		}
		// The time-out is the one of the container that is waited for, and runs from its start.
		limit := time.Duration(v.definition.Containers[i].StartTimeout) * time.Second
		if limit > 0 && d.Condition != model.DependencyStart && !other.startedAt.IsZero() {
			end := other.startedAt.Add(v.patience(limit))
			if !v.now.Before(end) {
				return false, fmt.Errorf("dependency graph: container ordering dependency [%s] for target [%s] has timed out.", d.Container, c.Name) // AWS's words
			}
			p.wakeAt(end)
		}
		return false, nil
	}
	return true, nil
}

// isResolved reports whether one dependency is fulfilled; an error says that it never will be.
func isResolved(d model.Dependency, target string, o observed) (bool, error) {
	never := func() error {
		return fmt.Errorf("dependency graph: failed to resolve container ordering dependency [%s] for target [%s] because dependency will never start", d.Container, target)
	}
	if o.phase == phaseFailed {
		return false, never()
	}
	switch d.Condition {
	case model.DependencyStart:
		return o.hasStarted(), nil
	case model.DependencyComplete:
		return o.phase == phaseStopped && !o.busy, nil
	case model.DependencySuccess:
		if o.phase != phaseStopped || o.busy {
			return false, nil
		}
		if o.exit.Code != 0 {
			return false, fmt.Errorf("dependency graph: failed to resolve container ordering dependency [%s] for target [%s] as dependency did not exit successfully.", d.Container, target) // AWS's words
		}
		return true, nil
	default: // HEALTHY
		if o.health.status == model.HealthHealthy {
			return true, nil
		}
		if o.phase == phaseStopped && !o.busy {
			return false, never()
		}
		return false, nil
	}
}

// mayRestart applies the restart policy (aws-facts 1.6).
func mayRestart(v view, c *model.ContainerDefinition, o observed) bool {
	r := c.Restart
	if r == nil || !r.Enabled || slices.Contains(r.IgnoredExitCodes, o.exit.Code) {
		return false
	}
	period := defaultRestartPeriod
	if r.AttemptPeriod > 0 {
		period = time.Duration(r.AttemptPeriod) * time.Second
	}
	since := o.lastRestart
	if since.IsZero() {
		since = o.startedAt
	}
	return o.exit.At.Sub(since) >= v.scale(period)
}

func planHealth(v view, c *model.ContainerDefinition, o observed, p *plan) {
	if c.HealthCheck == nil || o.checking || checkCommand(c.HealthCheck.Command) == nil {
		return
	}
	due := o.health.due(c.HealthCheck, o.startedAt, v.scale)
	if v.now.Before(due) {
		p.wakeAt(due)
		return
	}
	p.actions = append(p.actions, action{doCheck, c.Name})
}

// planStop ends the task: first its targets drain, then its containers end in reverse order of their dependencies, then
// there is nothing left.
func planStop(v view, p *plan) {
	if v.state >= model.TaskDeprovisioning {
		return
	}
	running := v.state == model.TaskRunning || v.state == model.TaskDeactivating
	if running && p.failure == nil && !v.drained {
		p.state = model.TaskDeactivating
		// Draining takes a while; a task whose essential container ends by itself meanwhile has nothing left to drain.
		for i := range v.definition.Containers {
			c := &v.definition.Containers[i]
			o := v.containers[c.Name]
			if c.Essential && o.phase == phaseStopped && !o.busy {
				p.state = model.TaskStopping
			}
		}
		if p.state == model.TaskDeactivating {
			return
		}
	}
	p.state = max(p.state, model.TaskStopping)
	over := true
	for i := range v.definition.Containers {
		c := &v.definition.Containers[i]
		o := v.containers[c.Name]
		if o.isOver() {
			continue
		}
		over = false
		if o.phase == phaseRunning && !o.busy && dependentsAreOver(v, c.Name) {
			planStopContainer(v, c, o, p)
		}
	}
	if over {
		p.state = model.TaskDeprovisioning
	}
}

func planStopContainer(v view, c *model.ContainerDefinition, o observed, p *plan) {
	if o.signalledAt.IsZero() {
		p.actions = append(p.actions, action{doSignal, c.Name})
		return
	}
	timeout := defaultStopTimeout
	if c.StopTimeout > 0 {
		timeout = time.Duration(c.StopTimeout) * time.Second
	}
	end := o.signalledAt.Add(v.patience(timeout))
	switch {
	case v.now.Before(end):
		p.wakeAt(end)
	case !o.killed:
		p.actions = append(p.actions, action{doKill, c.Name})
	}
}

// dependentsAreOver reports whether every container that depends on this one has ended: they go first.
func dependentsAreOver(v view, name string) bool {
	for i := range v.definition.Containers {
		c := &v.definition.Containers[i]
		for _, d := range c.DependsOn {
			if d.Container == name && !v.containers[c.Name].isOver() {
				return false
			}
		}
	}
	return true
}

func (p *plan) wakeAt(t time.Time) {
	if p.wake.IsZero() || t.Before(p.wake) {
		p.wake = t
	}
}
