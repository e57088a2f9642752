package deploy

import (
	"fmt"
	"slices"

	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// healthOf says how a running task is: its targets in every target group that is in use, and its containers' own checks.
// Without any check it counts as healthy some time after it has started (aws-facts 1.10).
func (l *look) healthOf(t *model.Task) health {
	checked, waiting, bad := false, false, ""
	switch {
	case t.Health == model.HealthUnhealthy:
		bad = failedContainerChecks
	case t.Health == model.HealthHealthy:
		checked = true
	case l.hasContainerCheck(t.DefinitionKey):
		waiting = true
	}
	for _, lb := range t.TargetGroups {
		if !l.isServing(lb.TargetGroupARN, t.AZ) {
			continue
		}
		switch l.targetState(t, lb) {
		case model.TargetHealthy:
			checked = true
		case model.TargetUnhealthy:
			if bad == "" {
				bad = fmt.Sprintf(failedTargetChecks, lb.TargetGroupARN)
			}
		default:
			waiting = true
		}
	}
	age := l.now.Sub(t.StartedAt)
	switch {
	case bad != "":
		if l.service.GracePeriod != nil {
			if left := l.d.clock.Seconds(*l.service.GracePeriod) - age; left > 0 {
				return health{again: left}
			}
		}
		return health{unhealthy: bad}
	case waiting:
		return health{}
	case !checked && age < l.settle:
		return health{again: l.settle - age}
	}
	return health{healthy: true}
}

// targetState returns what was probed of the task's own target. What was said of a former target at the same address,
// or before this one was registered, is not believed.
func (l *look) targetState(t *model.Task, lb model.ServiceLoadBalancer) string {
	key := model.TargetKey(lb.TargetGroupARN, t.PrivateIP, lb.Port)
	target, ok := l.d.tables.Targets.Get(l.r, key)
	if !ok || target.TaskID != t.ID || !target.DrainingSince.IsZero() {
		return model.TargetInitial
	}
	seen, ok := l.d.tables.TargetHealth.Get(l.r, key)
	if !ok || (!seen.ChangedAt.IsZero() && seen.ChangedAt.Before(target.RegisteredAt)) {
		return model.TargetInitial
	}
	return seen.State
}

// isServing reports whether a load balancer with a node in that zone sends requests to the group. If none does, nobody
// checks its targets, and waiting for a check would never end.
func (l *look) isServing(group, az string) bool {
	key := group + "|" + az
	answer, ok := l.serving[key]
	if !ok {
		answer = l.findServing(group, az)
		l.serving[key] = answer
	}
	return answer
}

func (l *look) findServing(group, az string) bool {
	tables := l.d.tables
	if !tables.TargetGroups.Has(l.r, group) {
		return false
	}
	var listeners []*model.Listener
	listeners = slices.AppendSeq(listeners, tables.Listeners.By(l.r, "target-group", group))
	for rule := range tables.Rules.By(l.r, "target-group", group) {
		if listener, ok := tables.Listeners.Get(l.r, rule.ListenerARN); ok {
			listeners = append(listeners, listener)
		}
	}
	return slices.ContainsFunc(listeners, func(listener *model.Listener) bool {
		lb, ok := tables.LoadBalancers.Get(l.r, listener.LoadBalancerARN)
		return ok && slices.ContainsFunc(lb.Zones, func(z model.LBZone) bool { return z.AZ == az })
	})
}

// hasContainerCheck reports whether an essential container of the definition has a health check.
func (l *look) hasContainerCheck(key string) bool {
	answer, ok := l.checks[key]
	if !ok {
		definition, found := l.d.tables.TaskDefinitions.Get(l.r, key)
		answer = found && slices.ContainsFunc(definition.Containers, func(c model.ContainerDefinition) bool { return c.Essential && c.HealthCheck != nil })
		l.checks[key] = answer
	}
	return answer
}

// registerTargets registers running tasks with their target groups and returns the events of it.
func (d *Deployments) registerTargets(tx *store.Txn, v view) (events []string) {
	var registered tally
	for _, t := range v.tasks {
		if t.Desired != model.DesiredRunning || t.State != model.TaskRunning || !t.PrivateIP.IsValid() {
			continue
		}
		for _, lb := range t.TargetGroups {
			target := &model.Target{TargetGroupARN: lb.TargetGroupARN, IP: t.PrivateIP, Port: lb.Port, AZ: t.AZ, TaskID: t.ID, RegisteredAt: v.now}
			had, ok := d.tables.Targets.Get(tx, target.Key())
			if (ok && had.TaskID == t.ID) || !d.tables.TargetGroups.Has(tx, lb.TargetGroupARN) {
				continue
			}
			d.tables.Targets.Put(tx, target)
			d.tables.TargetHealth.Delete(tx, target.Key()) // of a former target at this address
			registered.add(lb.TargetGroupARN)
		}
	}
	for _, arn := range registered.order {
		events = append(events, fmt.Sprintf("(service %s) registered %d targets in (target-group %s)", v.service.Name, registered.count[arn], arn))
	}
	return events
}

// tally counts names, and keeps the order in which they first came.
type tally struct {
	count map[string]int
	order []string
}

func (t *tally) add(name string) {
	if t.count == nil {
		t.count = map[string]int{}
	}
	if t.count[name]++; t.count[name] == 1 {
		t.order = append(t.order, name)
	}
}

// drain takes tasks that are to stop out of their target groups, and lets node stop those that are drained.
// control/targets removes a draining target when the deregistration delay is over.
func (d *Deployments) drain(tx *store.Txn, service *model.Service) (events []string) {
	var deregistered, begun tally
	edits := 0
	for t := range d.tables.Tasks.By(tx, "service", service.Key()) {
		if t.Desired != model.DesiredStopped || t.DeactivateDone || len(t.TargetGroups) == 0 {
			continue // without target groups node does not wait for anything
		}
		if edits++; edits > batch {
			break // what this transaction changes brings the service back
		}
		left, began := 0, false
		for target := range d.tables.Targets.By(tx, "task", t.ID) {
			left++
			if target.DrainingSince.IsZero() {
				d.tables.Targets.Edit(tx, target.Key(), func(g *model.Target) { g.DrainingSince = d.clock.Now() })
				deregistered.add(target.TargetGroupARN)
				began = true
			}
		}
		if began {
			begun.add(t.DeploymentID)
		}
		switch {
		case left == 0 || t.IsStopped():
			d.tables.Tasks.Edit(tx, t.ID, func(t *model.Task) { t.DeactivateDone = true })
		case t.State == model.TaskRunning:
			d.tables.Tasks.Edit(tx, t.ID, func(t *model.Task) {
				t.State = model.TaskDeactivating
				t.Version++
			})
		default:
			edits-- // it drains: nothing was written
		}
	}
	for _, arn := range deregistered.order {
		events = append(events, fmt.Sprintf("(service %s) deregistered %d targets in (target-group %s)", service.Name, deregistered.count[arn], arn))
	}
	for _, id := range begun.order {
		events = append(events, fmt.Sprintf("(service %s, taskSet %s) has begun draining connections on %d tasks.", service.Name, id, begun.count[id]))
	}
	return events
}

// unhealthyEvent says which check a task has failed.
func (d *Deployments) unhealthyEvent(r store.Reader, service *model.Service, s stop) string {
	if s.reason == failedContainerChecks {
		return fmt.Sprintf("(service %s) (task %s) failed container health checks.", service.Name, s.task.ID)
	}
	for _, lb := range s.task.TargetGroups {
		if s.reason != fmt.Sprintf(failedTargetChecks, lb.TargetGroupARN) {
			continue
		}
		why := "Health checks failed"
		if seen, ok := d.tables.TargetHealth.Get(r, model.TargetKey(lb.TargetGroupARN, s.task.PrivateIP, lb.Port)); ok && seen.Description != "" {
			why = seen.Description
		}
		return fmt.Sprintf("(service %s) (task %s) (port %d) is unhealthy in (target-group %s) due to (reason %s)", service.Name, s.task.ID, lb.Port, lb.TargetGroupARN, why)
	}
	return fmt.Sprintf("(service %s) (task %s): %s", service.Name, s.task.ID, s.reason)
}
