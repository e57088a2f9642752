package task

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/neargate/neargate/internal/container"
	"github.com/neargate/neargate/internal/fault"
	"github.com/neargate/neargate/internal/model"
)

// retryPause is how long to wait before something of our own that failed (the store, the keeper) is tried again.
const retryPause = time.Second

// runner owns one task. Its fields belong to the goroutine of run; whatever works beside it hands its result over as a
// function on the results channel.
type runner struct {
	*Manager
	id      string
	kicked  chan struct{}
	results chan func()
	work    sync.WaitGroup // what runs beside

	found      []container.Status // by a former daemon
	task       *model.Task
	definition *model.TaskDefinition
	at         place
	containers map[string]*observed
	images     map[string]pulledImage
	failure    *stop
	prepared   bool
	preparing  context.CancelFunc // ends the preparation that is under way
	seen       seenTimes
	reached    model.TaskState // by the preparation
	kept       *keptTask
	telling    bool      // the keeper is being told
	refreshAt  time.Time // of the credentials
}

// pulledImage is what is known of a container's image.
type pulledImage struct {
	image    container.Image
	resolved string // digest that the reference led to
}

// seenTimes go into the record with its next change.
type seenTimes struct {
	attached, pullStarted, pullStopped time.Time
}

func newRunner(m *Manager, id string, found []container.Status) *runner {
	return &runner{
		Manager: m, id: id, kicked: make(chan struct{}, 1), results: make(chan func()), found: found,
		containers: map[string]*observed{}, images: map[string]pulledImage{},
	}
}

// kick says that the record has changed.
func (r *runner) kick() {
	select {
	case r.kicked <- struct{}{}:
	default:
	}
}

// run goes through the task's life. When ctx ends it returns, and everything on the host stays as it is.
func (r *runner) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer r.work.Wait()
	defer cancel()
	log := r.Log.With("task", r.id)
	for !r.load() {
		log.ErrorContext(ctx, "the task's definition, VPC or subnet is missing")
		r.failure = &stop{code: model.StopTaskFailedToStart, reason: "InternalError: the task's definition, VPC or subnet does not exist"}
		if r.task == nil || r.finish(ctx) == nil || !r.pause(ctx) {
			return
		}
	}
	r.resume(ctx)
	for ctx.Err() == nil {
		r.reload()
		if r.failure == nil && r.task.Desired != model.DesiredStopped && !r.prepared && r.preparing == nil {
			r.prepare(ctx)
		}
		p := planNext(r.view())
		r.failure = p.failure
		if p.state < model.TaskRunning {
			p.state = max(p.state, r.reached)
		}
		if p.state >= model.TaskStopping && r.preparing != nil {
			r.preparing()
			p.state = model.TaskStopping // not further, before that has ended
		}
		for _, a := range p.actions {
			r.do(ctx, a)
		}
		if err := r.report(ctx, p.state); err != nil {
			if ctx.Err() == nil {
				log.WarnContext(ctx, "write the task's state", "error", err)
			}
			if !r.pause(ctx) {
				return
			}
			continue
		}
		if p.state == model.TaskDeprovisioning {
			for r.telling && ctx.Err() == nil { // or the keeper would learn of the task after it was told to forget it
				r.wait(ctx, time.Time{})
			}
			for r.finish(ctx) != nil {
				if !r.pause(ctx) {
					return
				}
			}
			return
		}
		r.tell(ctx)
		r.wait(ctx, p.wake)
	}
}

// wait returns when something has happened, or at the time given.
func (r *runner) wait(ctx context.Context, wake time.Time) {
	if !r.refreshAt.IsZero() && (wake.IsZero() || r.refreshAt.Before(wake)) {
		wake = r.refreshAt
	}
	var timer <-chan time.Time
	if !wake.IsZero() {
		t := time.NewTimer(max(0, time.Until(wake)))
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-ctx.Done():
	case <-r.kicked:
	case <-timer:
	case apply := <-r.results:
		apply()
	}
}

// pause waits a moment and reports whether to go on.
func (r *runner) pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(retryPause):
		return true
	}
}

// beside runs work in another goroutine; what it returns is applied by the runner's own.
func (r *runner) beside(ctx context.Context, work func() (apply func())) {
	r.work.Go(func() {
		apply := work()
		select {
		case r.results <- apply:
		case <-ctx.Done():
		}
	})
}

// load reads the record and what belongs to it.
func (r *runner) load() bool {
	view := r.DB.View()
	t, ok := r.Tables.Tasks.Get(view, r.id)
	if !ok {
		return false
	}
	r.task = t
	definition, ok1 := r.Tables.TaskDefinitions.Get(view, t.DefinitionKey)
	vpc, ok2 := r.Tables.VPCs.Get(view, t.VPCID)
	if !ok1 || !ok2 {
		return false
	}
	r.definition = definition
	r.at = place{
		region: r.Scope.Region, dir: filepath.Join(r.Dir, r.id), netns: netnsPath(r.id), cgroup: r.group(r.id), caBundle: r.CABundle,
		address: t.PrivateIP, resolver: vpc.ResolverAddress(),
	}
	if eni, ok := r.Tables.NetworkInterfaces.Get(view, t.ENIID); ok && !r.at.address.IsValid() {
		r.at.address = eni.PrimaryIP()
	}
	if cmp.Or(t.Overrides.TaskRoleARN, definition.TaskRoleARN) != "" {
		r.at.credentialID = credentialsID(r.id)
	}
	for i := range definition.Containers {
		r.containers[definition.Containers[i].Name] = &observed{}
	}
	return true
}

// reload reads the record again; a task whose record is gone is to be stopped.
func (r *runner) reload() {
	if t, ok := r.Tables.Tasks.Get(r.DB.View(), r.id); ok {
		r.task = t
		return
	}
	t := r.Tables.Tasks.Clone(r.task)
	t.Desired, t.DeactivateDone = model.DesiredStopped, true
	r.task = t
}

// resume takes over the containers that a former daemon made.
func (r *runner) resume(ctx context.Context) {
	for _, c := range r.found {
		name := c.Labels[labelContainer]
		o := r.containers[name]
		if o == nil {
			continue
		}
		resolved := ""
		if i := slices.IndexFunc(r.task.Containers, func(s model.ContainerStatus) bool { return s.Name == name }); i >= 0 {
			s := r.task.Containers[i]
			o.startedAt, o.firstStart, o.restarts, resolved = s.StartedAt, s.StartedAt, s.RestartCount, s.ImageDigest
			if s.Health != model.HealthUnknown {
				o.health.status, o.health.checked = s.Health, r.Clock.Now()
			}
		}
		r.recall(ctx, name, c.Labels[labelImage], resolved)
		switch c.State {
		case container.Created: // made and not started: made anew
			if err := r.Runtime.Delete(ctx, c.ID); err != nil {
				r.Log.WarnContext(ctx, "delete a container that never ran", "container", c.ID, "error", err)
			}
		case container.Running:
			o.phase = phaseRunning
			if o.startedAt.IsZero() {
				o.startedAt = r.Clock.Now()
				o.firstStart = o.startedAt
			}
			r.await(ctx, name, o)
		case container.Stopped:
			o.phase, o.exit = phaseStopped, c.Exit
			if c.Exit.OOM {
				o.reason = reasonOOM
			}
		case container.Lost:
			o.phase, o.exit = phaseStopped, lostExit(r.Clock.Now())
		}
	}
	r.found = nil
	// A task that runs needs no preparation; its credentials are renewed, because nobody knows how old they are.
	r.prepared = r.task.State >= model.TaskRunning
}

// lostExit stands for an exit that nobody saw, as after a reboot of the host.
func lostExit(now time.Time) container.Exit { return container.Exit{Code: 137, At: now} }

// view is what the plan rests on.
func (r *runner) view() view {
	v := view{
		definition: r.definition, state: r.task.State, desired: r.task.Desired, failure: r.failure, prepared: r.prepared,
		drained:    r.task.DeactivateDone || len(r.task.TargetGroups) == 0,
		containers: make(map[string]observed, len(r.containers)), now: r.Clock.Now(), scale: r.Clock.Scale,
	}
	for name, o := range r.containers {
		v.containers[name] = *o
	}
	return v
}

// definitionOf returns a container's definition.
func (r *runner) definitionOf(name string) *model.ContainerDefinition {
	for i := range r.definition.Containers {
		if r.definition.Containers[i].Name == name {
			return &r.definition.Containers[i]
		}
	}
	return nil
}

// isGone reports whether an error says that the container does not exist.
func isGone(err error) bool { return fault.IsNotFound(err) }
