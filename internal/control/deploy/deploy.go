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

// Sources returns what Reconcile has to look at: services, their tasks, and their tasks' targets and health.
func (d *Deployments) Sources(ctx context.Context) []reconcile.Source[string] {
	ofTask := func(id string) []string {
		if t, ok := d.tables.Tasks.Get(d.db.View(), id); ok && t.Service != "" {
			return []string{model.ServiceKey(t.Cluster, t.Service)}
		}
		return nil
	}
	ofTarget := func(key string) []string {
		if target, ok := d.tables.Targets.Get(d.db.View(), key); ok {
			return ofTask(target.TaskID)
		}
		return nil
	}
	return []reconcile.Source[string]{
		d.tables.Services.Changes(ctx),
		d.tables.Tasks.ChangesByIndex(ctx, "service"),
		reconcile.Map(d.tables.Targets.ChangesByIndex(ctx, "task"), ofTask),
		reconcile.Map(d.tables.TargetHealth.Changes(ctx), ofTarget),
	}
}

// Reconcile does the next step for a service.
func (d *Deployments) Reconcile(ctx context.Context, key string) (reconcile.Result, error) {
	var recheck time.Duration
	err := d.db.Update(ctx, func(tx *store.Txn) error {
		recheck = 0
		service, ok := d.tables.Services.Get(tx, key)
		if !ok || service.Status == model.ServiceInactive {
			return nil
		}
		v := d.look(tx, service)
		events := d.registerTargets(tx, v)
		p := planService(v, d.tables.Services.Clone)
		recheck = p.recheck
		next := p.service
		if next == nil {
			next = service // nothing of it changes, but perhaps there is something to say
		}
		events = append(events, d.apply(tx, next, p)...)
		events = append(events, d.drain(tx, next)...)
		events = append(events, p.events...)
		if news := d.news(next, events); len(news) > 0 {
			if next == service {
				next = d.tables.Services.Clone(service)
			}
			addEvents(next, news)
		}
		if images := newImages(v.tasks, next.Deployments); len(images) > 0 {
			if next == service {
				next = d.tables.Services.Clone(service)
			}
			bindImages(&next.Deployments[0], images)
		}
		if next != service {
			d.tables.Services.Put(tx, next)
		}
		return nil
	})
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("service %s: %w", key, err)
	}
	return reconcile.Result{After: recheck, Reason: "a delay of the deployment"}, nil
}

// throttleFrom is after how many failed rounds of starts the next one waits, throttleStep how long at first, and
// throttleMax at most. AWS documents the maximum; the curve is not known (aws-facts 1.9), this one doubles.
const (
	throttleFrom = 3
	throttleStep = 10 * time.Second
	throttleMax  = 15 * time.Minute
)

// settle is how long after its start a task without any health check counts as healthy (aws-facts 1.10).
const settle = 40 * time.Second

// look is one look at a service: what it reads is read once.
type look struct {
	view
	d       *Deployments
	r       store.Reader
	serving map[string]bool // target group | zone
	checks  map[string]bool // definition
}

func (d *Deployments) look(r store.Reader, service *model.Service) view {
	l := look{d: d, r: r, serving: map[string]bool{}, checks: map[string]bool{}, view: view{
		service: service, tasks: slices.Collect(d.tables.Tasks.By(r, "service", service.Key())), health: map[string]health{}, now: d.clock.Now(),
		settle: d.clock.Scale(settle), throttle: d.throttle,
	}}
	for _, id := range service.Deployments[0].Network.Subnets {
		if subnet, ok := d.tables.Subnets.Get(r, id); ok && !slices.Contains(l.zones, subnet.AZ) {
			l.zones = append(l.zones, subnet.AZ)
		}
	}
	slices.Sort(l.zones)
	for _, t := range l.tasks {
		if t.Desired == model.DesiredRunning && t.State == model.TaskRunning {
			l.health[t.ID] = l.healthOf(t)
		}
	}
	return l.view
}

// throttle returns how long to wait after so many failed rounds of starts.
func (d *Deployments) throttle(rounds int) time.Duration {
	if rounds < throttleFrom {
		return 0
	}
	return d.clock.Scale(min(throttleStep<<min(rounds-throttleFrom, 10), throttleMax))
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
			Images: deployment.Images, Tags: propagated(service, definition),
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

// news returns the events that are to be said. What is said to be the state of things, rather than to have happened, is
// not repeated.
func (d *Deployments) news(service *model.Service, messages []string) (news []model.ServiceEvent) {
	now := d.clock.Now()
	for _, message := range messages {
		isOld := func(e model.ServiceEvent) bool { return e.Message == message && now.Sub(e.CreatedAt) < repeatEvent }
		if strings.Contains(message, ") was unable to ") && (slices.ContainsFunc(service.Events, isOld) || slices.ContainsFunc(news, isOld)) {
			continue
		}
		news = append(news, model.ServiceEvent{ID: model.NewUUID(), CreatedAt: now, Message: message})
	}
	return news
}

// addEvents puts events, oldest first, in front of what the service has said before.
func addEvents(service *model.Service, news []model.ServiceEvent) {
	events := slices.Clone(news)
	slices.Reverse(events)
	events = append(events, service.Events...)
	service.Events = events[:min(len(events), maxEvents)]
}
