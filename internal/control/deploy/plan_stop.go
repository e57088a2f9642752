package deploy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/neargate/neargate/internal/model"
)

// Words of a stop that control asks for (aws-facts 1.3).
const (
	failedTargetChecks    = "Task failed ELB health checks in (target-group %s)"
	failedContainerChecks = "Task failed container health checks"
	scalingActivity       = "Scaling activity initiated by (deployment %s)"
)

// isHealthReason reports whether a task was stopped for its health.
func isHealthReason(reason string) bool {
	return strings.HasPrefix(reason, "Task failed ELB health checks in") || reason == failedContainerChecks
}

func (p *planner) isStopping(t *model.Task) bool {
	return slices.ContainsFunc(p.out.stop, func(s stop) bool { return s.task.ID == t.ID })
}

func (p *planner) stopTask(t *model.Task, reason string) {
	if p.isStopping(t) {
		return
	}
	p.out.stop = append(p.out.stop, stop{task: t, code: model.StopServiceSchedulerInitiated, reason: reason})
	if p.health[t.ID].healthy {
		p.healthy--
	}
}

// stopUnhealthy stops tasks of the primary deployment that their checks have failed. Replacements come first as long as
// maximumPercent leaves room for them; without room the unhealthy go first, one at a time (aws-facts 1.6).
func (p *planner) stopUnhealthy(good, desired, upper int) {
	healthyMine := 0
	var sick []*model.Task
	for _, t := range p.byDeploy[p.primary().ID] {
		switch {
		case p.health[t.ID].healthy:
			healthyMine++
		case p.health[t.ID].unhealthy != "":
			sick = append(sick, t)
		}
	}
	slices.SortFunc(sick, func(a, b *model.Task) int { return a.CreatedAt.Compare(b.CreatedAt) })
	switch {
	case len(sick) == 0:
	case healthyMine >= desired:
		for _, t := range sick {
			p.stopTask(t, p.health[t.ID].unhealthy)
		}
	case good < desired && len(p.alive)+p.out.start >= upper:
		p.stopTask(sick[0], p.health[sick[0].ID].unhealthy)
	}
}

// stopFormer stops tasks of former deployments: those that are not healthy at once when new ones are to take their
// place, healthy ones as far as minimumHealthyPercent allows.
func (p *planner) stopFormer(lower int) {
	var former []*model.Task
	for _, t := range p.alive {
		if t.DeploymentID != p.primary().ID {
			former = append(former, t)
		}
	}
	if len(former) == 0 || (p.primary().RolloutState == model.RolloutFailed && p.next.Status == model.ServiceActive) {
		return // a failed deployment replaces nothing
	}
	p.order(former)
	for _, t := range former {
		if p.health[t.ID].healthy {
			if p.healthy <= lower {
				break
			}
		} else if p.next.MinimumPercent > 0 && p.healthy == 0 && t.State == model.TaskRunning && p.next.Status == model.ServiceActive {
			// A running task that nobody calls healthy may still be what serves: it waits for a healthy successor.
			continue
		}
		p.stopTask(t, fmt.Sprintf(scalingActivity, p.primary().ID))
	}
}

// stopSurplus stops tasks of the primary deployment beyond the wanted number.
func (p *planner) stopSurplus(desired, lower int) {
	mine := slices.DeleteFunc(slices.Clone(p.byDeploy[p.primary().ID]), p.isStopping)
	surplus := len(mine) - desired
	if surplus <= 0 {
		return
	}
	p.order(mine)
	for _, t := range mine[:surplus] {
		if p.health[t.ID].healthy && p.healthy <= lower {
			return
		}
		p.stopTask(t, fmt.Sprintf(scalingActivity, p.primary().ID))
	}
}

// order sorts tasks by which is to stop first: the unhealthy, those that have not started, then those of the fullest
// zone, then the oldest.
func (p *planner) order(tasks []*model.Task) {
	rank := func(t *model.Task) int {
		switch h := p.health[t.ID]; {
		case h.unhealthy != "":
			return 0
		case t.State < model.TaskRunning:
			return 1
		case !h.healthy:
			return 2
		}
		return 3
	}
	byAge := func(a, b *model.Task) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	}
	slices.SortFunc(tasks, byAge)
	// Take one after the other from the zone that is fullest at that moment.
	perZone := map[string]int{}
	for _, t := range p.alive {
		if !p.isStopping(t) {
			perZone[t.AZ]++
		}
	}
	for i := range tasks {
		best := i
		for j := i + 1; j < len(tasks); j++ {
			if rank(tasks[j]) != rank(tasks[i]) {
				break
			}
			if perZone[tasks[j].AZ] > perZone[tasks[best].AZ] {
				best = j
			}
		}
		t := tasks[best]
		copy(tasks[i+1:best+1], tasks[i:best])
		tasks[i] = t
		perZone[t.AZ]--
	}
}
