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

// stopTask notes that a task is to stop, as far as one plan may.
func (p *planner) stopTask(t *model.Task, reason string) {
	if len(p.out.stop) >= batch || p.isStopping(t) {
		return
	}
	p.out.stop = append(p.out.stop, stop{task: t, code: model.StopServiceSchedulerInitiated, reason: reason})
	if p.health[t.ID].healthy {
		p.healthy--
	}
}

// stopUnhealthy stops tasks of the primary deployment that their checks have failed. Replacements come first as long as
// maximumPercent leaves room for them, and an unhealthy task stays until its replacement is healthy: when all are
// unhealthy, a load balancer still sends requests to them. Without room one of them goes first (aws-facts 1.6).
func (p *planner) stopUnhealthy(good, desired, upper int) {
	healthyMine := 0
	var sick []*model.Task
	for _, t := range p.mine() {
		switch {
		case p.health[t.ID].healthy:
			healthyMine++
		case p.health[t.ID].unhealthy != "":
			sick = append(sick, t)
		}
	}
	slices.SortFunc(sick, func(a, b *model.Task) int { return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID)) })
	surplus := max(0, len(sick)-max(0, desired-healthyMine))
	if surplus == 0 && len(sick) > 0 && good < desired && len(p.alive)+p.out.start >= upper {
		surplus = 1
	}
	for _, t := range sick[:surplus] {
		p.stopTask(t, p.health[t.ID].unhealthy)
	}
}

// stopFormer stops tasks of former deployments: healthy ones as far as minimumHealthyPercent allows, the others at once.
// But while nothing at all is healthy, what runs may still be what serves, so it waits for a healthy successor.
func (p *planner) stopFormer(desired, lower, upper int) {
	var former []*model.Task
	running := 0
	for _, t := range p.alive {
		if t.DeploymentID != p.primary().ID {
			former = append(former, t)
		}
		if t.State == model.TaskRunning {
			running++
		}
	}
	if len(former) == 0 {
		return
	}
	p.order(former, p.alive)
	if p.primary().RolloutState == model.RolloutFailed && p.next.Status == model.ServiceActive {
		// A failed deployment replaces nothing; but scaling in goes on.
		former = former[:max(0, len(former)-desired)]
	}
	isNeeded := func() bool { return p.healthy == 0 && lower > 0 }
	hasRoom := len(p.alive)+p.out.start-len(p.out.stop) < upper || p.out.start > 0
	for _, t := range former {
		h := p.health[t.ID]
		switch {
		case h.healthy:
			if p.healthy <= lower {
				return // they are in order: the rest is healthy too
			}
		case t.State == model.TaskRunning && isNeeded():
			// Nobody calls it healthy. If it is in the way of its successor, it goes as far as as many stay as are needed.
			if h.unhealthy == "" || hasRoom || (running <= lower && lower < upper) {
				continue
			}
			hasRoom = true
		}
		if t.State == model.TaskRunning {
			running--
		}
		p.stopTask(t, fmt.Sprintf(scalingActivity, p.primary().ID))
	}
}

// stopSurplus stops tasks of the primary deployment beyond the wanted number. Those that are unhealthy are no matter of
// this: see stopUnhealthy.
func (p *planner) stopSurplus(desired, lower int) {
	mine := slices.DeleteFunc(slices.Clone(p.mine()), func(t *model.Task) bool { return p.health[t.ID].unhealthy != "" || p.isStopping(t) })
	surplus := len(mine) - desired
	if surplus <= 0 {
		return
	}
	p.order(mine, mine)
	for _, t := range mine[:surplus] {
		if p.health[t.ID].healthy && p.healthy <= lower {
			return
		}
		p.stopTask(t, fmt.Sprintf(scalingActivity, p.primary().ID))
	}
}

// order sorts tasks by which is to stop first: the unhealthy, those that have not started, those that are not healthy
// yet, then always one of the zone that is fullest of the tasks among, the oldest first.
func (p *planner) order(tasks, among []*model.Task) {
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
	slices.SortFunc(tasks, func(a, b *model.Task) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	perZone := map[string]int{}
	for _, t := range among {
		if !p.isStopping(t) {
			perZone[t.AZ]++
		}
	}
	for i := range tasks {
		best := i
		for j := i + 1; j < len(tasks) && rank(tasks[j]) == rank(tasks[i]); j++ {
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
