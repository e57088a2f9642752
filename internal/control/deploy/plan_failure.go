package deploy

import (
	"fmt"
	"strings"
	"time"

	"github.com/neargate/neargate/internal/model"
)

// outcome is how a task of the primary deployment has ended.
type outcome int

const (
	endedWell  outcome = iota // it was stopped for a reason that is not its own, or after it had worked
	neverRan                  // it could not be started
	wasSick                   // it was stopped for its health
	endedEarly                // it ended by itself before it could count as healthy
)

// outcomeOf is asked until the task is counted, and the answer is the same each time but for endedEarly, which has to be
// seen soon after.
func (p *planner) outcomeOf(t *model.Task) outcome {
	switch {
	case t.Desired != model.DesiredStopped || t.StopCode == model.StopUserInitiated:
		return endedWell
	case t.StopCode == model.StopServiceSchedulerInitiated:
		if isHealthReason(t.StoppedReason) {
			return wasSick
		}
		return endedWell
	case t.StartedAt.IsZero():
		return neverRan
	case p.now.Sub(t.StartedAt) < p.settle:
		return endedEarly
	}
	return endedWell
}

// failures counts, once each, the tasks of the primary deployment that could not be started or were stopped for their
// health. One task that becomes healthy ends the breaker's count for this deployment (aws-facts 1.10). Starts that fail
// round after round are delayed more and more, whether the deployment once worked or not.
func (p *planner) failures() {
	d := p.primary()
	for _, t := range p.mine() {
		if !p.health[t.ID].healthy {
			continue
		}
		if !d.RanOnce {
			d.RanOnce, d.Failed, p.changed = true, 0, true
		}
		if d.Throttled > 0 && !t.CreatedAt.Before(d.NextStartAt) {
			d.Throttled, d.NextStartAt, p.changed = 0, time.Time{}, true
		}
	}
	for _, t := range p.tasks {
		if t.Counted || t.DeploymentID != d.ID {
			continue
		}
		how := p.outcomeOf(t)
		if how == endedWell {
			continue
		}
		p.out.count = append(p.out.count, t.ID)
		if how != endedEarly && !d.RanOnce {
			d.Failed, d.UpdatedAt, p.changed = d.Failed+1, p.now, true
		}
		if how == neverRan && t.StoppedReason != "" && t.StoppedReason != "Task failed to start" {
			p.event("(service %s) was unable to place a task. Reason: %s.", p.next.Name, strings.TrimSuffix(t.StoppedReason, "."))
		}
		if how != wasSick {
			p.delay(t, how)
		}
	}
}

// impaired is after how many failed rounds a service says that it cannot start tasks.
const impaired = 5

// delay puts the next start off. Tasks that were started together and fail together are one round.
func (p *planner) delay(t *model.Task, how outcome) {
	d := p.primary()
	if t.CreatedAt.Before(d.NextStartAt) {
		return
	}
	d.Throttled++
	pause := p.throttle(d.Throttled)
	if how == endedEarly {
		pause = crashPause(d.Throttled)
	}
	d.NextStartAt, p.changed = p.now.Add(pause), true
	if d.Throttled == impaired {
		p.event("(service %s) is unable to consistently start tasks successfully.", p.next.Name)
	}
}

// crashPause slows down a service whose tasks start and end at once. AWS does not throttle those; but there a start
// takes half a minute by itself, and here such a service would spin several times a second.
func crashPause(rounds int) time.Duration {
	const most = 30 * time.Second
	if rounds < throttleFrom {
		return 0
	}
	return min(time.Second<<min(rounds-throttleFrom, 10), most)
}

// breaker ends a deployment whose tasks keep failing, and goes back to the last one that worked if that is wanted.
func (p *planner) breaker() {
	d, b := p.primary(), p.next.CircuitBreaker
	if b == nil || !b.Enable || d.RolloutState != model.RolloutInProgress || d.RanOnce || p.next.Status != model.ServiceActive ||
		d.Failed < breakerThreshold(p.next.DesiredCount) {
		return
	}
	d.RolloutState, d.UpdatedAt, d.CompletedAt, p.changed = model.RolloutFailed, p.now, p.now, true
	d.RolloutReason = "ECS deployment circuit breaker: tasks failed to start."
	p.event("(service %s) (deployment %s) deployment failed: tasks failed to start.", p.next.Name, d.ID)
	if !b.Rollback || d.Rollback {
		return
	}
	for _, former := range p.next.Deployments[1:] {
		if former.RolloutState == model.RolloutCompleted {
			p.event("(service %s) rolling back to deployment %s.", p.next.Name, former.ID)
			p.rollBack(former)
			return
		}
	}
}

// rollBack makes a new primary deployment of what a former one was.
func (p *planner) rollBack(former model.Deployment) {
	back := model.Deployment{
		ID: model.NewDeploymentID(), Status: model.DeploymentPrimary, Rollback: true, DefinitionKey: former.DefinitionKey, DefinitionARN: former.DefinitionARN,
		RolloutState: model.RolloutInProgress, RolloutReason: fmt.Sprintf("ECS deployment circuit breaker: rolling back to deploymentId %s.", former.ID),
		LaunchType: former.LaunchType, CapacityStrategy: former.CapacityStrategy, PlatformVersion: former.PlatformVersion, Network: former.Network,
		LoadBalancers: former.LoadBalancers, CreatedAt: p.now, UpdatedAt: p.now,
	}
	p.primary().Status = model.DeploymentActive
	p.next.Deployments = append([]model.Deployment{back}, p.next.Deployments...)
	p.next.LaunchType, p.next.CapacityStrategy, p.next.PlatformVersion = back.LaunchType, back.CapacityStrategy, back.PlatformVersion
	p.next.LoadBalancers = back.LoadBalancers
}

// mayRollBack reports whether the primary deployment may still fail and go back to a former one.
func (p *planner) mayRollBack() bool {
	b, d := p.next.CircuitBreaker, p.primary()
	return b != nil && b.Enable && b.Rollback && !d.Rollback && d.RolloutState == model.RolloutInProgress && !d.RanOnce && p.next.Status == model.ServiceActive
}

// breakerThreshold is how many failures in a row end a deployment (aws-facts 1.10).
func breakerThreshold(desired int) int { return min(max((desired+1)/2, 3), 200) }
