package cfn

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/neargate/neargate/internal/api/cfn/resource"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/stack"
	"github.com/neargate/neargate/internal/store"
)

// doomed is one physical resource that is to be deleted: the current one of a record, or an older one of it.
type doomed struct {
	logicalID string
	current   bool
	version   model.StackResourceVersion
}

// cleanUp is the second pass of an update: what was replaced and what the template no longer has is deleted. What cannot
// be deleted is reported and left behind, as on AWS.
func (r *run) cleanUp(ctx context.Context, status string) error {
	scope := r.scope(ctx)
	graph, err := scope.Graph()
	if err != nil {
		return fmt.Errorf("order resources of stack %s: %w", r.stack.Name, err)
	}
	for _, rec := range r.s.records(r.s.db.View(), r.stack.ARN) {
		if err := r.retire(ctx, rec); err != nil {
			return err
		}
	}
	list := r.doomed(func(rec *model.StackResource) bool { _, wanted := graph.Needs[rec.LogicalID]; return !wanted })
	failed, err := r.remove(ctx, list, 3)
	if err != nil {
		return err
	}
	reason := ""
	for _, d := range failed {
		reason = "Update successful. One or more resources could not be deleted."
		if err := r.forget(ctx, d, ""); err != nil {
			return err
		}
	}
	err = r.transition(ctx, func(tx *store.Txn, st *model.Stack) {
		st.Operation = ""
		st.PreviousTemplate, st.PreviousParameters, st.PreviousTags, st.SkipResources = "", nil, nil, nil
		r.s.setStatus(tx, st, status, reason)
	})
	if err != nil {
		return err
	}
	return r.s.prune(ctx, r.stack.ARN)
}

// retire moves what an update has replaced to the list of things to delete. It can be repeated.
func (r *run) retire(ctx context.Context, rec *model.StackResource) error {
	if rec.Previous == nil && rec.Pending == "" {
		return nil
	}
	return r.edit(ctx, rec.LogicalID, func(rec *model.StackResource) {
		if rec.Previous != nil && rec.Previous.PhysicalID != rec.PhysicalID && rec.Previous.PhysicalID != "" && !stack.Retained(rec.UpdateReplacePolicy) {
			rec.Obsolete = append(rec.Obsolete, *rec.Previous)
		}
		rec.Previous = nil
	}, "", "")
}

// removeAll deletes everything that a stack has made.
func (r *run) removeAll(ctx context.Context, done, notDone string) error {
	for _, rec := range r.s.records(r.s.db.View(), r.stack.ARN) {
		if err := r.account(ctx, rec); err != nil {
			return err
		}
	}
	failed, err := r.remove(ctx, r.doomed(func(*model.StackResource) bool { return true }), 1)
	if err != nil {
		return err
	}
	err = r.transition(ctx, func(tx *store.Txn, st *model.Stack) {
		st.Operation = ""
		if len(failed) > 0 {
			var names []string
			for _, d := range failed {
				if !slices.Contains(names, d.logicalID) {
					names = append(names, d.logicalID)
				}
			}
			r.s.setStatus(tx, st, notDone, fmt.Sprintf("The following resource(s) failed to delete: [%s]. ", strings.Join(names, ", ")))
			return
		}
		if done == deleteComplete {
			st.DeletedAt = r.s.clock.Now()
			st.Outputs, st.PreviousTemplate, st.PreviousParameters, st.PreviousTags = nil, "", nil, nil
		}
		st.Imports = nil
		r.s.setStatus(tx, st, done, "")
	})
	if err != nil {
		return err
	}
	return r.s.prune(ctx, r.stack.ARN)
}

// account finds out what a step that was cut short has made, so that it is deleted too.
func (r *run) account(ctx context.Context, rec *model.StackResource) error {
	if rec.Previous == nil && (rec.Step != stepCreate && rec.Step != stepReplace || rec.PhysicalID != "") {
		return nil
	}
	physical := rec.PhysicalID
	if physical == "" && (rec.Step == stepCreate || rec.Step == stepReplace) {
		found, err := r.find(ctx, rec)
		if err != nil {
			return err
		}
		physical = found
	}
	return r.edit(ctx, rec.LogicalID, func(rec *model.StackResource) {
		rec.PhysicalID = physical
		if rec.Step != stepDelete {
			rec.Step = ""
		}
		if rec.Previous != nil && rec.Previous.PhysicalID != rec.PhysicalID && rec.Previous.PhysicalID != "" {
			rec.Obsolete = append(rec.Obsolete, *rec.Previous)
		}
		rec.Previous = nil
	}, "", "")
}

// doomed lists what there is to delete: all older physical resources, and the current ones of the records that whole names.
func (r *run) doomed(whole func(rec *model.StackResource) bool) []doomed {
	var out []doomed
	for _, rec := range r.s.records(r.s.db.View(), r.stack.ARN) {
		for _, v := range rec.Obsolete {
			out = append(out, doomed{logicalID: rec.LogicalID, version: v})
		}
		if whole(rec) {
			out = append(out, doomed{logicalID: rec.LogicalID, current: true, version: versionOf(rec)})
		}
	}
	return out
}

// remove deletes, dependants first, each after what needs it. It returns what could not be deleted after so many attempts.
func (r *run) remove(ctx context.Context, list []doomed, attempts int) ([]doomed, error) {
	key := func(i int) string { return fmt.Sprintf("%s#%04d", list[i].logicalID, i) }
	byKey := make(map[string]doomed, len(list))
	keysOf := make(map[string][]string)
	for i, d := range list {
		byKey[key(i)] = d
		keysOf[d.logicalID] = append(keysOf[d.logicalID], key(i))
	}
	nodes := make(map[string]stack.Deployed, len(list))
	for i, d := range list {
		var needs []string
		for _, id := range d.version.Needs {
			needs = append(needs, keysOf[id]...)
		}
		nodes[key(i)] = stack.Deployed{LogicalID: key(i), Type: d.version.Type, Needs: needs}
	}
	keys := make([]string, 0, len(nodes))
	for k := range nodes {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	failed, err := r.s.execute(ctx, stack.Removal(nodes, keys), false, func(ctx context.Context, step stack.Step) (bool, error) {
		var reason error
		for range attempts {
			if reason = r.removeOne(ctx, byKey[step.LogicalID]); reason == nil {
				return true, nil
			}
			if ctx.Err() != nil {
				return false, context.Cause(ctx)
			}
			var broken *recordError
			if errors.As(reason, &broken) {
				return false, broken.err
			}
		}
		return false, r.undeleted(ctx, byKey[step.LogicalID], reason)
	})
	if err != nil {
		return nil, err
	}
	var out []doomed
	for _, k := range failed {
		out = append(out, byKey[k])
	}
	return out, nil
}

// recordError is an error of ours in the midst of a delete.
type recordError struct{ err error }

func (e *recordError) Error() string { return e.err.Error() }

// kept reports whether a resource stays where it is.
func (r *run) kept(d doomed, rec *model.StackResource) bool {
	if !d.current || rec == nil {
		return false
	}
	if slices.Contains(r.stack.RetainResources, d.logicalID) {
		return true
	}
	created := r.stack.Operation == opRollback || r.stack.Operation == opUpdateRollbackCleanup
	if created && (rec.DeletionPolicy == "RetainExceptOnCreate" || r.stack.RetainExceptOnCreate) {
		return false
	}
	return stack.Retained(rec.DeletionPolicy)
}

// removeOne deletes one physical resource and takes it out of the records. Its error is the reason why it did not.
func (r *run) removeOne(ctx context.Context, d doomed) (reason error) {
	defer func() {
		if p := recover(); p != nil {
			r.s.log.Error("resource type panicked", "type", d.version.Type, "resource", d.logicalID, "panic", p, "stack", string(debug.Stack()))
			reason = errInternal
		}
	}()
	rec := r.record(d.logicalID)
	if d.version.PhysicalID == "" {
		return ours(r.forget(ctx, d, ""))
	}
	if r.kept(d, rec) {
		return ours(r.forget(ctx, d, deleteSkipped))
	}
	typ := r.s.types.Type(d.version.Type)
	if typ == nil {
		return fmt.Errorf("Unrecognized resource type: %s", d.version.Type) // CloudFormation's own words
	}
	if rec != nil && (rec.Status != deleteInProgress || !d.current) {
		if err := r.tell(ctx, d, deleteInProgress, ""); err != nil {
			return ours(err)
		}
	}
	req := &resource.Request{
		StackName: r.stack.Name, StackARN: r.stack.ARN, LogicalID: d.logicalID, PhysicalID: d.version.PhysicalID,
		Properties: decode(d.version.Properties), Attributes: attributes(d.version.Attributes, d.version.Lists), Repeated: true,
	}
	if typ.Remove != nil {
		if err := r.removeCall(ctx, typ, req, d.logicalID); err != nil && !resource.IsNotFound(err) {
			return err
		}
	}
	if typ.Gone != nil {
		if err := r.wait(ctx, d.logicalID, r.s.limit, func(ctx context.Context) (resource.State, error) { return typ.Gone(ctx, req) }); err != nil && !resource.IsNotFound(err) {
			return err
		}
	}
	return ours(r.forget(ctx, d, deleteComplete))
}

func ours(err error) error {
	if err == nil {
		return nil
	}
	return &recordError{err}
}

// removeCall asks for the delete, again while something that goes away too still depends on the resource.
func (r *run) removeCall(ctx context.Context, typ *resource.Type, req *resource.Request, id string) error {
	var last error
	err := r.wait(ctx, id, r.s.retry, func(ctx context.Context) (resource.State, error) {
		last = typ.Remove(ctx, req)
		if last == nil || !resource.IsInUse(last) {
			return resource.State{Done: true}, nil
		}
		return resource.State{Why: last.Error()}, nil
	})
	if errors.Is(err, errTimeout) || err == nil {
		return last
	}
	return err
}

// tell writes an event about a physical resource; the record says so too if it is the current one.
func (r *run) tell(ctx context.Context, d doomed, status, reason string) error {
	if d.current {
		return r.edit(ctx, d.logicalID, func(rec *model.StackResource) {
			rec.Step, rec.OperationID = stepDelete, r.key()
			if isFailed(status) {
				rec.Step = ""
			}
		}, status, reason)
	}
	return r.s.write(ctx, func(tx *store.Txn) error {
		line := &model.StackResource{StackARN: r.stack.ARN, LogicalID: d.logicalID, PhysicalID: d.version.PhysicalID, Type: d.version.Type, Properties: d.version.Properties}
		r.s.event(tx, r.stack, r.s.stamp(), line, status, reason)
		return nil
	})
}

func (r *run) undeleted(ctx context.Context, d doomed, reason error) error {
	return r.tell(ctx, d, deleteFailed, reason.Error())
}

// forget takes a physical resource out of the records, with an event if status says so.
func (r *run) forget(ctx context.Context, d doomed, status string) error {
	return r.s.write(ctx, func(tx *store.Txn) error {
		key := model.StackResourceKey(r.stack.ARN, d.logicalID)
		current, ok := r.s.tables.StackResources.Get(tx, key)
		if !ok {
			return nil
		}
		rec := r.s.tables.StackResources.Clone(current)
		at := r.s.stamp()
		if status != "" {
			line := r.s.tables.StackResources.Clone(current)
			line.PhysicalID, line.Type, line.Properties, line.Pending = d.version.PhysicalID, d.version.Type, d.version.Properties, ""
			r.s.event(tx, r.stack, at, line, status, "")
		}
		if !d.current {
			rec.Obsolete = slices.DeleteFunc(rec.Obsolete, func(v model.StackResourceVersion) bool {
				return v.PhysicalID == d.version.PhysicalID && v.Type == d.version.Type
			})
			if len(rec.Obsolete) == 0 && rec.PhysicalID == "" && rec.Status == deleteComplete {
				r.s.tables.StackResources.Delete(tx, key)
				return nil
			}
			r.s.tables.StackResources.Put(tx, rec)
			return nil
		}
		if len(rec.Obsolete) > 0 { // older ones are still to go
			rec.PhysicalID, rec.Step, rec.Pending, rec.Status, rec.UpdatedAt = "", "", "", deleteComplete, at
			r.s.tables.StackResources.Put(tx, rec)
			return nil
		}
		r.s.tables.StackResources.Delete(tx, key)
		return nil
	})
}

// What is kept of the past.
const (
	maxEvents  = 1000 // of one stack
	maxDeleted = 5    // stacks
)

// prune drops the oldest events of a stack, and the oldest deleted stacks, beyond what is kept.
func (s *Server) prune(ctx context.Context, arn string) error {
	const batch = 50 // writes of one transaction
	var old []string
	var events []string
	for e := range s.tables.StackEvents.By(s.db.View(), "stack", arn) {
		events = append(events, e.Key())
	}
	slices.Sort(events)
	if len(events) > maxEvents {
		old = events[:len(events)-maxEvents]
	}
	var deleted []*model.Stack
	for st := range s.tables.Stacks.By(s.db.View(), "status", deleteComplete) {
		deleted = append(deleted, st)
	}
	slices.SortFunc(deleted, func(a, b *model.Stack) int { return b.DeletedAt.Compare(a.DeletedAt) })
	var stacks []string
	for i, st := range deleted {
		if i < maxDeleted {
			continue
		}
		stacks = append(stacks, st.ARN)
		for e := range s.tables.StackEvents.By(s.db.View(), "stack", st.ARN) {
			old = append(old, e.Key())
		}
	}
	for len(old) > 0 {
		n := min(batch, len(old))
		err := s.write(ctx, func(tx *store.Txn) error {
			for _, key := range old[:n] {
				s.tables.StackEvents.Delete(tx, key)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("prune stack events: %w", err)
		}
		old = old[n:]
	}
	for _, gone := range stacks {
		err := s.write(ctx, func(tx *store.Txn) error {
			for c := range s.tables.ChangeSets.By(tx, "stack", gone) {
				s.tables.ChangeSets.Delete(tx, c.ARN)
			}
			s.tables.Stacks.Delete(tx, gone)
			return nil
		})
		if err != nil {
			return fmt.Errorf("prune deleted stacks: %w", err)
		}
	}
	return nil
}
