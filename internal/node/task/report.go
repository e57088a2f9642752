package task

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"time"

	"github.com/neargate/neargate/internal/fault"
	"github.com/neargate/neargate/internal/keeper"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

const (
	drainTimeout = 10 * time.Second
	attached     = "ATTACHED"
	detaching    = "DETACHING"
	deleted      = "DELETED"
)

// report writes what is seen into the record, if that differs. It waits until the record is durable.
func (r *runner) report(ctx context.Context, state model.TaskState) error {
	next := r.Tables.Tasks.Clone(r.task)
	r.describe(next, state)
	if reflect.DeepEqual(next, r.task) {
		return nil
	}
	return r.DB.Update(ctx, func(tx *store.Txn) error {
		r.Tables.Tasks.Edit(tx, r.id, func(t *model.Task) {
			before := r.Tables.Tasks.Clone(t)
			r.describe(t, state)
			if !reflect.DeepEqual(t, before) {
				t.Version++
			}
		})
		return nil
	})
}

// describe changes the fields that are the node's. It is called with the newest record, which the API or control may
// have changed since the plan was made: a stop that was asked for first keeps its reason.
func (r *runner) describe(t *model.Task, state model.TaskState) {
	now := r.Clock.Now()
	t.State = max(t.State, state)
	if r.failure != nil && t.Desired != model.DesiredStopped {
		t.Desired, t.StopCode, t.StoppedReason = model.DesiredStopped, r.failure.code, r.failure.reason
	}
	if !r.seen.attached.IsZero() && t.ConnectivityAt.IsZero() {
		t.ConnectivityAt, t.Connectivity, t.Attachment = r.seen.attached, "CONNECTED", attached
	}
	setOnce(&t.PullStartedAt, r.seen.pullStarted)
	setOnce(&t.PullStoppedAt, r.seen.pullStopped)
	if t.State == model.TaskRunning {
		setOnce(&t.StartedAt, now)
	}
	if t.State >= model.TaskStopping {
		setOnce(&t.StoppingAt, now)
	}
	if t.State >= model.TaskDeprovisioning {
		setOnce(&t.ExecutionStoppedAt, r.lastExit(now))
		t.Attachment = detaching
	}
	if t.State >= model.TaskStopped {
		setOnce(&t.StoppedAt, now)
		t.Attachment = deleted
	}
	t.Health = taskHealth(r.definition, r.view().containers)
	for i := range r.definition.Containers {
		r.describeContainer(t, &r.definition.Containers[i])
	}
}

func setOnce(field *time.Time, value time.Time) {
	if field.IsZero() {
		*field = value
	}
}

// lastExit returns when the last container ended.
func (r *runner) lastExit(now time.Time) time.Time {
	last := time.Time{}
	for _, o := range r.containers {
		if o.phase == phaseStopped && o.exit.At.After(last) {
			last = o.exit.At
		}
	}
	if last.IsZero() {
		return now
	}
	return last
}

func (r *runner) describeContainer(t *model.Task, c *model.ContainerDefinition) {
	i := slices.IndexFunc(t.Containers, func(s model.ContainerStatus) bool { return s.Name == c.Name })
	if i < 0 {
		t.Containers = append(t.Containers, model.ContainerStatus{
			Name: c.Name, Image: c.Image, ARN: r.Scope.ContainerARN(t.Cluster, t.ID, credentialsID(runtimeID(t.ID, c.Name))),
		})
		i = len(t.Containers) - 1
	}
	s, o := &t.Containers[i], r.containers[c.Name]
	if image, ok := r.images[c.Name]; ok {
		s.ImageDigest = image.resolved
	}
	s.Health = o.health.name()
	s.RestartCount = o.restarts
	switch o.phase {
	case phaseRunning:
		s.LastStatus, s.StartedAt, s.ExitCode, s.FinishedAt, s.Reason = "RUNNING", o.startedAt, nil, time.Time{}, ""
		s.RuntimeID = runtimeID(t.ID, c.Name)
	case phaseStopped:
		code := o.exit.Code
		s.LastStatus, s.ExitCode, s.FinishedAt, s.Reason = "STOPPED", &code, o.exit.At, o.reason
		s.RuntimeID = runtimeID(t.ID, c.Name)
		setOnce(&s.StartedAt, o.startedAt)
	case phaseFailed:
		s.LastStatus, s.Reason = "STOPPED", o.reason
	default:
		s.LastStatus, s.Reason = "PENDING", o.reason
		if t.State >= model.TaskDeprovisioning {
			s.LastStatus = "STOPPED"
		}
	}
}

// finish removes everything of the task from the host and writes its end. Each step may be done again.
func (r *runner) finish(ctx context.Context) error {
	err := r.remove(ctx)
	if err != nil {
		if ctx.Err() == nil {
			r.Log.WarnContext(ctx, "remove a stopped task", "task", r.id, "error", err)
		}
		return err
	}
	return r.DB.Update(ctx, func(tx *store.Txn) error {
		r.Tables.NetworkInterfaces.Delete(tx, r.task.ENIID)
		for s := range r.Tables.Sessions.By(tx, "task", r.id) {
			r.Tables.Sessions.Delete(tx, s.AccessKeyID)
		}
		r.Tables.Tasks.Edit(tx, r.id, func(t *model.Task) {
			if r.definition == nil {
				t.State, t.StoppedAt, t.Attachment = model.TaskStopped, r.Clock.Now(), deleted
				t.Desired, t.StopCode, t.StoppedReason = model.DesiredStopped, r.failure.code, r.failure.reason
			} else {
				r.describe(t, model.TaskStopped)
			}
			t.Version++
		})
		return nil
	})
}

func (r *runner) remove(ctx context.Context) error {
	var errs []error
	for name := range r.containers {
		if err := r.Runtime.Delete(ctx, runtimeID(r.id, name)); err != nil {
			errs = append(errs, fmt.Errorf("delete container %s: %w", name, err))
		}
	}
	for _, c := range r.found { // not taken over, because the definition is gone
		errs = append(errs, r.Runtime.Delete(ctx, c.ID))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	// Now the logs are complete; they leave over the task's own network.
	if r.hasLogs() {
		timeout := max(r.Clock.Scale(drainTimeout), time.Second)
		if result, err := r.Keeper.DrainTask(ctx, r.id, timeout); err != nil || !result.Drained {
			r.Log.WarnContext(ctx, "logs of the task are lost", "task", r.id, "bytes", result.Left, "error", err)
		}
	}
	if err := r.Keeper.Delete(ctx, keeper.KindTask, r.id); err != nil {
		return fmt.Errorf("remove the task from the keeper: %w", err)
	}
	if err := r.Network.DetachENI(ctx, r.task.ENIID); err != nil && !fault.IsNotFound(err) {
		return fmt.Errorf("detach the network interface: %w", err)
	}
	if err := r.Namespaces.Delete(model.TaskNetns(r.id)); err != nil {
		return err
	}
	if err := r.Groups.Remove(r.group(r.id)); err != nil {
		return err
	}
	if r.at.dir == "" {
		return nil
	}
	if err := os.RemoveAll(r.at.dir); err != nil {
		return fmt.Errorf("remove the task's files: %w", err)
	}
	return nil
}

func (r *runner) hasLogs() bool {
	return r.kept != nil && slices.ContainsFunc(r.definition.Containers, func(c model.ContainerDefinition) bool { return c.Log != nil })
}
