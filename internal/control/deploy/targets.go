package deploy

import (
	"fmt"

	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// healthOf says how a running task is: its targets in every target group, and its containers' own checks.
func (d *Deployments) healthOf(r store.Reader, service *model.Service, t *model.Task, v view) health {
	inGrace := service.GracePeriod != nil && v.now.Sub(t.StartedAt) < d.clock.Seconds(*service.GracePeriod)
	checked := t.Health != model.HealthUnknown || d.hasContainerCheck(r, t)
	h := health{healthy: t.Health != model.HealthUnhealthy && (!checked || t.Health == model.HealthHealthy), checked: checked || len(t.TargetGroups) > 0}
	if t.Health == model.HealthUnhealthy && !inGrace {
		h.unhealthy = failedContainerChecks
	}
	for _, lb := range t.TargetGroups {
		seen, ok := d.tables.TargetHealth.Get(r, model.TargetKey(lb.TargetGroupARN, t.PrivateIP, lb.Port))
		switch {
		case !ok:
			h.healthy = false
		case seen.State == model.TargetUnhealthy:
			h.healthy = false
			if !inGrace && h.unhealthy == "" {
				h.unhealthy = fmt.Sprintf(failedTargetChecks, lb.TargetGroupARN)
			}
		case seen.State != model.TargetHealthy && seen.State != model.TargetUnused:
			h.healthy = false
		}
	}
	if !h.checked && v.now.Sub(t.StartedAt) < v.settle {
		h.healthy = false
	}
	return h
}

// hasContainerCheck reports whether an essential container of the task has a health check.
func (d *Deployments) hasContainerCheck(r store.Reader, t *model.Task) bool {
	definition, ok := d.tables.TaskDefinitions.Get(r, t.DefinitionKey)
	if !ok {
		return false
	}
	for _, c := range definition.Containers {
		if c.Essential && c.HealthCheck != nil {
			return true
		}
	}
	return false
}

// registerTargets registers running tasks with their target groups and returns the events of it.
func (d *Deployments) registerTargets(tx *store.Txn, v view) (events []string) {
	registered := map[string]int{}
	var order []string
	for _, t := range v.tasks {
		if t.Desired != model.DesiredRunning || t.State != model.TaskRunning {
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
			if registered[lb.TargetGroupARN]++; registered[lb.TargetGroupARN] == 1 {
				order = append(order, lb.TargetGroupARN)
			}
		}
	}
	for _, arn := range order {
		events = append(events, fmt.Sprintf("(service %s) registered %d targets in (target-group %s)", v.service.Name, registered[arn], arn))
	}
	return events
}

// drain takes tasks that are to stop out of their target groups, and lets node stop those that are drained.
// control/targets removes a draining target when the deregistration delay is over.
func (d *Deployments) drain(tx *store.Txn, service *model.Service) (events []string) {
	deregistered := map[string]int{}
	var order []string
	begun := 0
	for t := range d.tables.Tasks.By(tx, "service", service.Key()) {
		if t.Desired != model.DesiredStopped || t.DeactivateDone {
			continue
		}
		left, began := 0, false
		for target := range d.tables.Targets.By(tx, "task", t.ID) {
			left++
			if !target.DrainingSince.IsZero() {
				continue
			}
			d.tables.Targets.Edit(tx, target.Key(), func(g *model.Target) { g.DrainingSince = d.clock.Now() })
			began = true
			if deregistered[target.TargetGroupARN]++; deregistered[target.TargetGroupARN] == 1 {
				order = append(order, target.TargetGroupARN)
			}
		}
		if began {
			begun++
		}
		if left == 0 || t.IsStopped() {
			d.tables.Tasks.Edit(tx, t.ID, func(t *model.Task) { t.DeactivateDone = true })
		} else if t.State == model.TaskRunning {
			d.tables.Tasks.Edit(tx, t.ID, func(t *model.Task) {
				t.State = model.TaskDeactivating
				t.Version++
			})
		}
	}
	for _, arn := range order {
		events = append(events, fmt.Sprintf("(service %s) deregistered %d targets in (target-group %s)", service.Name, deregistered[arn], arn))
	}
	if begun > 0 {
		events = append(events, fmt.Sprintf("(service %s, taskSet %s) has begun draining connections on %d tasks.", service.Name, service.Deployments[0].ID, begun))
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
