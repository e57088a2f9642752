package cfn

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/neargate/neargate/internal/api/cfn/resource"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/stack"
	"github.com/neargate/neargate/internal/store"
)

// key names the operation and its phase: a step belongs to one.
func (r *run) key() string { return r.stack.OperationID + "/" + r.stack.Operation }

// record returns the resource's record, nil if it has none.
func (r *run) record(id string) *model.StackResource {
	rec, _ := r.s.tables.StackResources.Get(r.s.db.View(), model.StackResourceKey(r.stack.ARN, id))
	return rec
}

// edit changes the resource's record in one transaction, with an event if status says so.
func (r *run) edit(ctx context.Context, id string, change func(rec *model.StackResource), status, reason string) error {
	return r.s.write(ctx, func(tx *store.Txn) error {
		key := model.StackResourceKey(r.stack.ARN, id)
		rec := &model.StackResource{StackARN: r.stack.ARN, LogicalID: id}
		if current, ok := r.s.tables.StackResources.Get(tx, key); ok {
			rec = r.s.tables.StackResources.Clone(current)
		}
		change(rec)
		if status != "" {
			at := r.s.stamp()
			rec.Status, rec.StatusReason, rec.UpdatedAt = status, reason, at
			r.s.event(tx, r.stack, at, rec, status, reason)
		}
		r.s.tables.StackResources.Put(tx, rec)
		return nil
	})
}

// request returns what a resource type is told about a resource as its record has it.
func (r *run) request(rec *model.StackResource) *resource.Request {
	q := &resource.Request{
		StackName: r.stack.Name, StackARN: r.stack.ARN, LogicalID: rec.LogicalID, PhysicalID: rec.PhysicalID, Token: rec.Token,
		Properties: decode(rec.Properties), Attributes: attributes(rec.Attributes, rec.Lists), Since: rec.BegunAt,
	}
	if rec.Pending != "" {
		q.Properties = decode(rec.Pending)
	}
	if rec.Previous != nil && rec.Previous.PhysicalID != rec.PhysicalID {
		q.Known = append(q.Known, rec.Previous.PhysicalID)
	}
	for _, v := range rec.Obsolete {
		q.Known = append(q.Known, v.PhysicalID)
	}
	q.Tags = r.tagsFor(rec.LogicalID, q.Properties, r.stack.Tags)
	return q
}

func attributes(scalars map[string]string, lists map[string][]string) resource.Attributes {
	out := make(resource.Attributes, len(scalars)+len(lists))
	for k, v := range scalars {
		out[k] = v
	}
	for k, v := range lists {
		out[k] = v
	}
	return out
}

// forwardStep brings one resource to what the template says. It reports false when the resource failed, which its record
// and the history then say.
func (r *run) forwardStep(ctx context.Context, step stack.Step) (ok bool, err error) {
	id := step.LogicalID
	defer func() { // a defect of a resource type fails the resource, not the daemon
		if p := recover(); p != nil {
			r.s.log.Error("resource type panicked", "type", step.Type, "resource", id, "panic", p, "stack", string(debug.Stack()))
			ok, err = false, r.fail(ctx, id, r.tmpl.Resource(id), errInternal)
		}
	}()
	if r.rolling && slices.Contains(r.stack.SkipResources, id) {
		return true, r.edit(ctx, id, func(rec *model.StackResource) { rec.Step, rec.Pending, rec.Previous = "", "", nil }, updateComplete, "Resource skipped")
	}
	if err := r.settle(ctx, id); err != nil {
		return false, err
	}
	res := r.tmpl.Resource(id)
	rec := r.record(id)
	if rec != nil && rec.Step == "" && isFailed(rec.Status) && rec.OperationID == r.key() {
		return false, nil // an earlier runner of this operation got this far
	}
	typ := r.s.types.Type(res.Type)
	if typ == nil {
		return false, r.fail(ctx, id, res, fmt.Errorf("Unrecognized resource type: %s", res.Type)) // CloudFormation's own words
	}
	if rec != nil && (rec.Step == stepCreate || rec.Step == stepReplace) { // begun by a runner before
		return r.make(ctx, typ, res, true)
	}
	properties, err := r.scope(ctx).Properties(res)
	if err != nil {
		return false, r.fail(ctx, id, res, err)
	}
	switch {
	case rec != nil && rec.Step == stepUpdate:
		return r.change(ctx, typ, res, true)
	case rec == nil || rec.PhysicalID == "":
		return r.beginCreate(ctx, typ, res, step, properties)
	case rec.Status == createFailed:
		// Left over from a create that was not rolled back: a fresh one, the old one goes in the cleanup.
		err := r.edit(ctx, id, func(rec *model.StackResource) {
			rec.Obsolete = append(rec.Obsolete, versionOf(rec))
			rec.PhysicalID, rec.Properties, rec.Attributes, rec.Lists = "", "", nil, nil
		}, "", "")
		if err != nil {
			return false, err
		}
		return r.beginCreate(ctx, typ, res, step, properties)
	}
	return r.beginUpdate(ctx, typ, res, step, properties)
}

// settle makes up its mind about a step that an earlier operation has left unfinished, and, when an update is rolled
// back, takes the resource that was there before the update.
func (r *run) settle(ctx context.Context, id string) error {
	rec := r.record(id)
	if rec == nil {
		return nil
	}
	if rec.Step != "" && rec.OperationID != r.key() {
		physical := rec.PhysicalID
		if physical == "" && rec.Step != stepUpdate {
			found, err := r.find(ctx, rec)
			if err != nil {
				return err
			}
			physical = found
		}
		status := createFailed
		if rec.Step != stepCreate {
			status = updateFailed
		}
		if err := r.edit(ctx, id, func(rec *model.StackResource) { rec.Step, rec.PhysicalID = "", physical }, status, "Resource operation cancelled"); err != nil {
			return err
		}
		rec = r.record(id)
	}
	restore := rec.Step == "" && rec.Previous != nil && rec.Previous.PhysicalID != rec.PhysicalID && (r.rolling || isFailed(rec.Status))
	if !restore {
		return nil
	}
	return r.edit(ctx, id, func(rec *model.StackResource) {
		if rec.PhysicalID != "" {
			rec.Obsolete = append(rec.Obsolete, versionOf(rec))
		}
		old := rec.Previous
		rec.PhysicalID, rec.Type, rec.Properties, rec.Attributes, rec.Lists, rec.Needs = old.PhysicalID, old.Type, old.Properties, old.Attributes, old.Lists, old.Needs
		rec.Previous, rec.Pending = nil, ""
	}, updateComplete, "")
}

// versionOf returns the physical resource that a record has now. One that did not get ready is told by its pending properties.
func versionOf(rec *model.StackResource) model.StackResourceVersion {
	v := model.StackResourceVersion{
		PhysicalID: rec.PhysicalID, Type: rec.Type, Properties: rec.Properties, Attributes: rec.Attributes, Lists: rec.Lists, Needs: rec.Needs,
	}
	if rec.Pending != "" {
		v.Properties = rec.Pending
	}
	return v
}

// find looks for what a create that was cut short has made.
func (r *run) find(ctx context.Context, rec *model.StackResource) (string, error) {
	typ := r.s.types.Type(rec.Type)
	if typ == nil || typ.Find == nil {
		return "", nil
	}
	id, found, err := typ.Find(context.WithoutCancel(ctx), r.request(rec))
	if err != nil {
		return "", fmt.Errorf("look for %s %s: %w", rec.Type, rec.LogicalID, err)
	}
	if !found {
		return "", nil
	}
	return id, nil
}

// describe copies what the template says about a resource beside its properties.
func describe(rec *model.StackResource, res *stack.Resource, needs []string) {
	rec.Type, rec.Needs = res.Type, needs
	rec.DeletionPolicy, rec.UpdateReplacePolicy = res.DeletionPolicy, res.UpdateReplacePolicy
	rec.Metadata = ""
	if v := res.MetadataValue(); v != nil {
		rec.Metadata = encode(v)
	}
}

func (r *run) beginCreate(ctx context.Context, typ *resource.Type, res *stack.Resource, step stack.Step, properties map[string]any) (bool, error) {
	err := r.edit(ctx, res.LogicalID, func(rec *model.StackResource) {
		describe(rec, res, step.After)
		rec.Step, rec.OperationID, rec.Token, rec.Pending, rec.BegunAt = stepCreate, r.key(), model.NewUUID(), encode(properties), r.s.clock.Now()
	}, createInProgress, "")
	if err != nil {
		return false, err
	}
	return r.make(ctx, typ, res, false)
}

// beginUpdate compares, and does nothing, changes in place or makes a replacement.
func (r *run) beginUpdate(ctx context.Context, typ *resource.Type, res *stack.Resource, step stack.Step, properties map[string]any) (bool, error) {
	id, rec := res.LogicalID, r.record(res.LogicalID)
	old := decode(rec.Properties)
	dirty := rec.Status == updateFailed && rec.Pending != ""
	changed := stack.Changed(old, properties)
	retag := typ.Taggable && !sameTags(rec.Tags, r.stack.Tags)
	if len(changed) == 0 && rec.Type == res.Type && !dirty && !retag {
		return true, r.edit(ctx, id, func(rec *model.StackResource) { describe(rec, res, step.After) }, "", "")
	}
	replace := rec.Type != res.Type
	for _, name := range changed {
		switch typ.Properties[name].Update {
		case stack.Replace:
			replace = true
		case stack.Conditionally:
			replace = replace || typ.Replaces == nil || typ.Replaces(old, properties)
		}
	}
	if !replace {
		err := r.edit(ctx, id, func(rec *model.StackResource) {
			if rec.Previous == nil {
				v := model.StackResourceVersion{PhysicalID: rec.PhysicalID, Type: rec.Type, Properties: rec.Properties, Attributes: rec.Attributes, Lists: rec.Lists, Needs: rec.Needs}
				rec.Previous = &v
			}
			if dirty { // what was tried last is what is there
				rec.Properties = rec.Pending
			}
			describe(rec, res, step.After)
			rec.Step, rec.OperationID, rec.Token, rec.Pending = stepUpdate, r.key(), model.NewUUID(), encode(properties)
		}, updateInProgress, "")
		if err != nil {
			return false, err
		}
		return r.change(ctx, typ, res, dirty)
	}
	if name, _ := stack.Text(properties[typ.Named]); name != "" && rec.Type == res.Type && !slices.Contains(changed, typ.Named) {
		return false, r.fail(ctx, id, res, fmt.Errorf("CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename %s and update the stack again.", name)) // CloudFormation's own words
	}
	err := r.edit(ctx, id, func(rec *model.StackResource) {
		if rec.Previous == nil || rec.Previous.PhysicalID == rec.PhysicalID {
			v := versionOf(rec)
			if rec.Previous != nil {
				v.Properties = rec.Previous.Properties
			}
			rec.Previous = &v
		}
		describe(rec, res, step.After)
		rec.Step, rec.OperationID, rec.Token, rec.Pending, rec.BegunAt = stepReplace, r.key(), model.NewUUID(), encode(properties), r.s.clock.Now()
		rec.PhysicalID, rec.Attributes, rec.Lists = "", nil, nil
	}, updateInProgress, "Requested update requires the creation of a new physical resource; hence creating one.")
	if err != nil {
		return false, err
	}
	return r.make(ctx, typ, res, false)
}

func sameTags(a, b model.Tags) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || w != v {
			return false
		}
	}
	return true
}

// make makes the physical resource of a record whose step is CREATE or REPLACE. repeated says that it may exist.
func (r *run) make(ctx context.Context, typ *resource.Type, res *stack.Resource, repeated bool) (bool, error) {
	id := res.LogicalID
	rec := r.record(id)
	req := r.request(rec)
	req.Repeated = repeated
	if err := typ.Check(req); err != nil {
		return false, r.fail(ctx, id, res, err)
	}
	calls := context.WithoutCancel(ctx) // a call is never cut short: what it made must be known
	if rec.PhysicalID == "" {
		if ctx.Err() != nil {
			return false, r.interrupted(ctx, id, res)
		}
		physical, err := "", error(nil)
		if repeated {
			physical, err = r.find(ctx, rec)
		}
		if err == nil && physical == "" {
			physical, err = typ.New(calls, req)
		}
		if err != nil {
			return false, r.fail(ctx, id, res, err)
		}
		status := createInProgress
		if rec.Step == stepReplace {
			status = updateInProgress
		}
		if err := r.edit(ctx, id, func(rec *model.StackResource) { rec.PhysicalID = physical }, status, "Resource creation Initiated"); err != nil {
			return false, err
		}
		req.PhysicalID = physical
	}
	if typ.Apply != nil {
		if err := typ.Apply(calls, req); err != nil {
			return false, r.fail(ctx, id, res, err)
		}
	}
	return r.complete(ctx, typ, res, req)
}

// change changes a record's resource in place.
func (r *run) change(ctx context.Context, typ *resource.Type, res *stack.Resource, repeated bool) (bool, error) {
	id := res.LogicalID
	rec := r.record(id)
	req := r.request(rec)
	req.Old, req.Repeated = decode(rec.Properties), repeated
	if req.Old == nil {
		req.Old = map[string]any{}
	}
	req.OldTags = r.tagsFor(id, req.Old, rec.Tags)
	if err := typ.Check(req); err != nil {
		return false, r.fail(ctx, id, res, err)
	}
	if ctx.Err() != nil {
		return false, r.interrupted(ctx, id, res)
	}
	if typ.Apply != nil {
		if err := typ.Apply(context.WithoutCancel(ctx), req); err != nil {
			return false, r.fail(ctx, id, res, err)
		}
	}
	return r.complete(ctx, typ, res, req)
}

// complete waits until the resource can be used, reads its attributes and ends the step.
func (r *run) complete(ctx context.Context, typ *resource.Type, res *stack.Resource, req *resource.Request) (bool, error) {
	id := res.LogicalID
	if typ.Ready != nil {
		limit := r.s.limit
		if typ.Timeout > 0 {
			limit = typ.Timeout
		}
		if err := r.wait(ctx, id, limit, func(ctx context.Context) (resource.State, error) { return typ.Ready(ctx, req) }); err != nil {
			if ctx.Err() != nil {
				return false, r.interrupted(ctx, id, res)
			}
			return false, r.fail(ctx, id, res, err)
		}
	}
	var read resource.Attributes
	if typ.Read != nil {
		var err error
		if read, err = typ.Read(context.WithoutCancel(ctx), req); err != nil {
			return false, r.fail(ctx, id, res, err)
		}
	}
	status := createComplete
	if rec := r.record(id); rec.Step != stepCreate {
		status = updateComplete
	}
	return true, r.edit(ctx, id, func(rec *model.StackResource) {
		rec.Properties, rec.Pending, rec.Step, rec.Tags = rec.Pending, "", "", r.stack.Tags
		setAttributes(rec, read)
	}, status, "")
}

// errInternal is the reason of a resource whose type has a defect.
var errInternal = errors.New("Internal Failure") // CloudFormation's own words

// errTimeout is the reason of a resource that did not become ready.
var errTimeout = errors.New("Resource timed out waiting for completion") // CloudFormation's own words

// wait looks until it is done, with growing pauses, and keeps what it waits for in the resource's record.
func (r *run) wait(ctx context.Context, id string, limit time.Duration, look func(context.Context) (resource.State, error)) error {
	deadline := time.Now().Add(limit)
	pause, told, toldAt := r.s.poll, "", time.Time{}
	for {
		state, err := look(context.WithoutCancel(ctx))
		if err != nil || state.Done {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%w: %s", errTimeout, state.Why)
		}
		if state.Why != told && time.Since(toldAt) >= 10*r.s.poll {
			told, toldAt = state.Why, time.Now()
			if err := r.edit(ctx, id, func(rec *model.StackResource) { rec.StatusReason = told }, "", ""); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause = min(pause*3/2, 20*r.s.poll)
	}
}

// fail records that a step failed and why.
func (r *run) fail(ctx context.Context, id string, res *stack.Resource, reason error) error {
	return r.edit(ctx, id, func(rec *model.StackResource) {
		if rec.Type == "" {
			rec.Type = res.Type
		}
		rec.Step, rec.OperationID = "", r.key()
	}, r.failedStatus(id), reason.Error())
}

func (r *run) failedStatus(id string) string {
	if rec := r.record(id); rec != nil && (rec.Previous != nil || rec.Step == stepUpdate || (rec.Step == "" && rec.PhysicalID != "" && rec.Status != createFailed)) {
		return updateFailed
	}
	return createFailed
}

// interrupted ends a step whose operation ends. If it is the runner that stops, the step stays as it is, for the next.
func (r *run) interrupted(ctx context.Context, id string, res *stack.Resource) error {
	cause := context.Cause(ctx)
	if !errors.Is(cause, errCancelled) && !errors.Is(cause, errSuperseded) && !errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	word := "creation"
	if r.failedStatus(id) == updateFailed {
		word = "update"
	}
	return r.fail(ctx, id, res, fmt.Errorf("Resource %s cancelled", word)) // CloudFormation's own words
}
