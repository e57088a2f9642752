// Package deploy is the service scheduler: it keeps a service's number of tasks running, rolls its deployments,
// registers its tasks with target groups and takes them out before they stop.
//
// It decides and writes records; place gives a new task its zone, node runs it, and the keeper's probes say how its
// targets are. All thinking is in plan.go and plan_stop.go, which are pure. Start at [Deployments].
package deploy

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/reconcile"
	"github.com/neargate/neargate/internal/store"
)

// Deployments reconciles services by their keys.
type Deployments struct {
	db     *store.DB
	tables *store.Tables
	clock  *clock.Clock
	scope  model.Scope
}

// New returns the service scheduler.
func New(db *store.DB, tables *store.Tables, clock *clock.Clock, scope model.Scope) *Deployments {
	return &Deployments{db: db, tables: tables, clock: clock, scope: scope}
}

// Name returns the reconciler's name.
func (d *Deployments) Name() string { return "service scheduler" }

// Sweep has nothing to do: tasks of services that are gone are stopped by the service's own draining.
func (d *Deployments) Sweep(context.Context) error { return nil }

// Sources returns what Reconcile has to look at: services, their tasks, and the health of their targets.
func (d *Deployments) Sources(ctx context.Context) []reconcile.Source[string] {
	ofGroup := func(arn string) (keys []string) {
		for service := range d.tables.Services.By(d.db.View(), "target-group", arn) {
			keys = append(keys, service.Key())
		}
		return keys
	}
	return []reconcile.Source[string]{
		d.tables.Services.Changes(ctx),
		d.tables.Tasks.ChangesByIndex(ctx, "service"),
		reconcile.Map(d.tables.TargetHealth.ChangesByIndex(ctx, "target-group"), ofGroup),
		reconcile.Map(d.tables.Targets.ChangesByIndex(ctx, "target-group"), ofGroup),
	}
}

// Reconcile does the next step for a service.
func (d *Deployments) Reconcile(ctx context.Context, key string) (reconcile.Result, error) {
	var recheck time.Duration
	err := d.db.Update(ctx, func(tx *store.Txn) error {
		recheck = 0
		service, ok := d.tables.Services.Get(tx, key)
		if !ok {
			return nil
		}
		v := d.look(tx, service)
		events := d.registerTargets(tx, v)
		p := planService(v, d.tables.Services.Clone)
		recheck = p.recheck
		if service.Status == model.ServiceInactive {
			return nil
		}
		next := p.service
		if next == nil {
			next = d.tables.Services.Clone(service)
		}
		events = append(events, d.apply(tx, next, p)...)
		events = append(events, d.drain(tx, next)...)
		events = append(events, p.events...)
		added := d.addEvents(next, events)
		if p.service != nil || added {
			d.tables.Services.Put(tx, next)
		}
		return nil
	})
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("service %s: %w", key, err)
	}
	return reconcile.Result{After: recheck, Reason: "a delay of the deployment"}, nil
}

// throttleFrom is after how many failed starts in a row the next start waits, throttleStep how long at first, and
// throttleMax at most. AWS documents the maximum; the curve is not known (aws-facts 1.9), this one doubles.
const (
	throttleFrom = 3
	throttleStep = 10 * time.Second
	throttleMax  = 15 * time.Minute
)

// settle is how long after its start a task without any health check counts as healthy (aws-facts 1.10).
const settle = 40 * time.Second

func (d *Deployments) look(r store.Reader, service *model.Service) view {
	v := view{
		service: service, tasks: slices.Collect(d.tables.Tasks.By(r, "service", service.Key())), health: map[string]health{}, now: d.clock.Now(),
		settle: d.clock.Scale(settle),
		throttle: func(failures int) time.Duration {
			if failures < throttleFrom {
				return 0
			}
			return d.clock.Scale(min(throttleStep<<min(failures-throttleFrom, 10), throttleMax))
		},
	}
	zones := map[string]bool{}
	for _, id := range service.Deployments[0].Network.Subnets {
		if subnet, ok := d.tables.Subnets.Get(r, id); ok {
			zones[subnet.AZ] = true
		}
	}
	v.zones = len(zones)
	for _, t := range v.tasks {
		if t.Desired == model.DesiredRunning && t.State == model.TaskRunning {
			v.health[t.ID] = d.healthOf(r, service, t, v)
		}
	}
	return v
}

// apply starts and stops tasks and returns the events of it.
func (d *Deployments) apply(tx *store.Txn, service *model.Service, p plan) (events []string) {
	for _, id := range p.count {
		d.tables.Tasks.Edit(tx, id, func(t *model.Task) { t.Counted = true })
	}
	if ids := d.startTasks(tx, service, p.start); len(ids) > 0 {
		events = append(events, fmt.Sprintf("(service %s) has started %d tasks: %s.", service.Name, len(ids), taskList(ids)))
	}
	var running []string
	pending := 0
	for _, s := range p.stop {
		if isHealthReason(s.reason) {
			events = append(events, d.unhealthyEvent(tx, service, s))
		}
		if s.task.State == model.TaskRunning {
			running = append(running, s.task.ID)
		} else {
			pending++
		}
		d.tables.Tasks.Edit(tx, s.task.ID, func(t *model.Task) {
			t.Desired, t.StopCode, t.StoppedReason = model.DesiredStopped, s.code, s.reason
			t.Version++
		})
	}
	if len(running) > 0 {
		events = append(events, fmt.Sprintf("(service %s) has stopped %d running tasks: %s.", service.Name, len(running), taskList(running)))
	}
	if pending > 0 {
		events = append(events, fmt.Sprintf("(service %s) stopped %d pending tasks.", service.Name, pending))
	}
	return events
}

func taskList(ids []string) string {
	words := make([]string, 0, len(ids))
	for _, id := range ids {
		words = append(words, "(task "+id+")")
	}
	return strings.Join(words, " ")
}

// startTasks writes new tasks of the primary deployment and returns their identifiers.
func (d *Deployments) startTasks(tx *store.Txn, service *model.Service, n int) (ids []string) {
	if n <= 0 {
		return nil
	}
	deployment := service.Deployments[0]
	definition, ok := d.tables.TaskDefinitions.Get(tx, deployment.DefinitionKey)
	if !ok {
		return nil // deleted although in use: reap does not do that
	}
	for _, provider := range d.providers(tx, service, deployment, n) {
		task := model.NewTask(model.TaskSpec{
			Scope: d.scope, Now: d.clock.Now(), Cluster: service.Cluster, Definition: definition, Network: deployment.Network, Group: "service:" + service.Name,
			StartedBy: deployment.ID, Service: service.Name, DeploymentID: deployment.ID, TargetGroups: deployment.LoadBalancers,
			LaunchType: deployment.LaunchType, CapacityProvider: provider, PlatformVersion: deployment.PlatformVersion, EnableExec: service.EnableExec,
			Tags: propagated(service, definition),
		})
		d.tables.Tasks.Put(tx, task)
		ids = append(ids, task.ID)
	}
	return ids
}

// providers returns the capacity providers of n more tasks, so that with those that run the strategy's shares come out.
func (d *Deployments) providers(r store.Reader, service *model.Service, deployment model.Deployment, n int) []string {
	if len(deployment.CapacityStrategy) < 2 {
		return model.ShareProviders(deployment.CapacityStrategy, n)
	}
	have := map[string]int{}
	total := n
	for t := range d.tables.Tasks.By(r, "service", service.Key()) {
		if t.DeploymentID == deployment.ID && t.Desired == model.DesiredRunning && !t.IsStopped() {
			have[t.CapacityProvider]++
			total++
		}
	}
	var missing []string
	for _, provider := range model.ShareProviders(deployment.CapacityStrategy, total) {
		if have[provider] > 0 {
			have[provider]--
		} else if len(missing) < n {
			missing = append(missing, provider)
		}
	}
	return missing
}

// propagated returns the tags that a service's task gets.
func propagated(service *model.Service, definition *model.TaskDefinition) model.Tags {
	tags := model.Tags{}
	switch service.PropagateTags {
	case "SERVICE":
		maps.Copy(tags, service.Tags)
	case "TASK_DEFINITION":
		maps.Copy(tags, definition.Tags)
	}
	maps.DeleteFunc(tags, func(k, _ string) bool { return strings.HasPrefix(k, "aws:") })
	if service.ManagedTags {
		tags["aws:ecs:clusterName"], tags["aws:ecs:serviceName"] = service.Cluster, service.Name
	}
	return tags
}

// maxEvents is how many events a service keeps, repeatEvent after how long the same one may be said again (aws-facts 1.8).
const (
	maxEvents   = 100
	repeatEvent = 6 * time.Hour
)

// addEvents puts events in front, oldest first, and reports whether there was a new one. What is said to be the state of
// things, rather than to have happened, is not repeated.
func (d *Deployments) addEvents(service *model.Service, events []string) bool {
	added := false
	now := d.clock.Now()
	for _, message := range events {
		said := slices.IndexFunc(service.Events, func(e model.ServiceEvent) bool { return e.Message == message })
		if said >= 0 && strings.Contains(message, ") was unable to ") && now.Sub(service.Events[said].CreatedAt) < repeatEvent {
			continue
		}
		service.Events = append([]model.ServiceEvent{{ID: model.NewUUID(), CreatedAt: now, Message: message}}, service.Events...)
		added = true
	}
	if len(service.Events) > maxEvents {
		service.Events = service.Events[:maxEvents]
	}
	return added
}
