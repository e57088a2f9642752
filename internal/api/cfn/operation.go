package cfn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/stack"
	"github.com/neargate/neargate/internal/store"
)

// run is one operation of one stack.
type run struct {
	s       *Server
	stack   *model.Stack // as it was when the operation was taken up
	tmpl    *stack.Template
	rolling bool // going back to what was before an update
}

// operate carries out the operation that a stack is at, and puts the stack into the state that follows. Its error is one
// of ours; what goes wrong with the stack's resources becomes a state.
func (s *Server) operate(ctx context.Context, st *model.Stack) error {
	region := ""
	if arn, ok := model.ParseARN(st.ARN); ok {
		region = arn.Region
	}
	ctx = awsapi.WithRequest(ctx, awsapi.Request{
		ID: model.NewUUID(), Account: accountOf(st.ARN), Region: region, Principal: st.Principal, UserAgent: "cloudformation.amazonaws.com",
	})
	r := &run{s: s, stack: st}
	if st.Operation != opDelete && st.Operation != opRollback {
		tmpl, err := stack.Parse(st.Template)
		if err != nil {
			return fmt.Errorf("parse template of stack %s: %w", st.Name, err)
		}
		r.tmpl = tmpl
	}
	switch st.Operation {
	case opCreate:
		return r.create(ctx)
	case opUpdate:
		return r.update(ctx)
	case opUpdateRollback:
		r.rolling = true
		return r.rollBackUpdate(ctx)
	case opUpdateCleanup:
		return r.cleanUp(ctx, updateComplete)
	case opUpdateRollbackCleanup:
		return r.cleanUp(ctx, updateRollbackComplete)
	case opRollback:
		return r.removeAll(ctx, rollbackComplete, rollbackFailed)
	case opDelete:
		return r.removeAll(ctx, deleteComplete, deleteFailed)
	}
	return fmt.Errorf("stack %s is at an unknown operation %q", st.Name, st.Operation)
}

func accountOf(arn string) string {
	a, _ := model.ParseARN(arn)
	return a.Account
}

// failure is what made a forward pass fail, in words for the stack's state.
type failure struct{ reason string }

// create makes all resources of a new stack.
func (r *run) create(ctx context.Context) error {
	if r.stack.TimeoutMinutes > 0 {
		deadline := r.stack.StartedAt.Add(time.Duration(r.stack.TimeoutMinutes) * time.Minute)
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	failed, err := r.forward(ctx)
	if err != nil {
		return err
	}
	if failed == nil {
		return r.finish(ctx, createComplete, "")
	}
	reason := failed.reason
	return r.transition(ctx, func(tx *store.Txn, st *model.Stack) {
		switch st.OnFailure {
		case "DO_NOTHING":
			st.Operation = ""
			r.s.setStatus(tx, st, createFailed, reason)
		case "DELETE":
			st.Operation = opDelete
			r.s.setStatus(tx, st, deleteInProgress, reason+" Delete requested by user.")
		default:
			st.Operation = opRollback
			r.s.setStatus(tx, st, rollbackInProgress, reason+" Rollback requested by user.")
		}
	})
}

// update brings the resources to the new template.
func (r *run) update(ctx context.Context) error {
	failed, err := r.forward(ctx)
	if err != nil {
		return err
	}
	if failed == nil {
		return r.finish(ctx, updateCleanup, opUpdateCleanup)
	}
	return r.failUpdate(ctx, failed.reason)
}

// failUpdate turns round after a failed update, or stays where it is if that was asked for.
func (r *run) failUpdate(ctx context.Context, reason string) error {
	return r.transition(ctx, func(tx *store.Txn, st *model.Stack) {
		if st.DisableRollback {
			st.Operation = ""
			r.s.setStatus(tx, st, updateFailed, reason)
			return
		}
		turnBack(st)
		r.s.setStatus(tx, st, updateRollbackInProgress, reason)
	})
}

// turnBack makes the template, parameters and tags before the update the wanted ones again.
func turnBack(st *model.Stack) {
	st.Template, st.Parameters, st.Tags = st.PreviousTemplate, st.PreviousParameters, st.PreviousTags
	st.Operation = opUpdateRollback
}

func (r *run) rollBackUpdate(ctx context.Context) error {
	failed, err := r.forward(ctx)
	if err != nil {
		return err
	}
	if failed == nil {
		return r.finish(ctx, updateRollbackCleanup, opUpdateRollbackCleanup)
	}
	return r.transition(ctx, func(tx *store.Txn, st *model.Stack) {
		st.Operation = ""
		r.s.setStatus(tx, st, updateRollbackFailed, failed.reason)
	})
}

// transition changes the stack's record if this operation still is the stack's.
func (r *run) transition(ctx context.Context, change func(tx *store.Txn, st *model.Stack)) error {
	return r.s.write(ctx, func(tx *store.Txn) error {
		current, ok := r.s.tables.Stacks.Get(tx, r.stack.ARN)
		if !ok || current.OperationID != r.stack.OperationID || current.Operation != r.stack.Operation {
			return errSuperseded
		}
		change(tx, r.s.tables.Stacks.Clone(current))
		return nil
	})
}

// forward makes and changes resources in dependency order, as many at a time as possible. It returns the failure of a
// resource; err is errSuperseded or an error of ours.
func (r *run) forward(ctx context.Context) (*failure, error) {
	s := r.s
	scope := r.scope(ctx)
	if err := r.noteImports(ctx, scope); err != nil {
		return asFailure(err)
	}
	plan, err := stack.MakePlan(scope, r.deployed())
	if err != nil {
		return asFailure(err)
	}
	failed, err := s.execute(ctx, plan.Forward, true, r.forwardStep)
	if err != nil {
		return nil, err
	}
	if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return &failure{"Stack creation time exceeded the specified timeout."}, nil
	}
	if len(failed) == 0 {
		return nil, nil
	}
	var created, updated []string
	for _, id := range failed {
		if rec, ok := s.tables.StackResources.Get(s.db.View(), model.StackResourceKey(r.stack.ARN, id)); ok && rec.Status == updateFailed {
			updated = append(updated, id)
		} else {
			created = append(created, id)
		}
	}
	var parts []string
	if len(created) > 0 {
		parts = append(parts, fmt.Sprintf("The following resource(s) failed to create: [%s].", strings.Join(created, ", ")))
	}
	if len(updated) > 0 {
		parts = append(parts, fmt.Sprintf("The following resource(s) failed to update: [%s].", strings.Join(updated, ", ")))
	}
	return &failure{strings.Join(parts, " ")}, nil
}

// asFailure makes a failure of the stack out of an error in its template or imports.
func asFailure(err error) (*failure, error) {
	var bad *stack.Error
	if errors.As(err, &bad) {
		return &failure{strings.TrimSuffix(bad.Error(), ".") + "."}, nil
	}
	return nil, err
}

// noteImports writes down which exports the stack uses, before it uses them: from then on they cannot go away.
func (r *run) noteImports(ctx context.Context, scope *stack.Scope) error {
	return r.s.write(ctx, func(tx *store.Txn) error {
		scope.Import = func(name string) (string, bool) { return r.s.exported(tx, r.stack.ARN, name) }
		names, err := scope.Imports()
		if err != nil {
			return err
		}
		slices.Sort(names)
		current, ok := r.s.tables.Stacks.Get(tx, r.stack.ARN)
		if !ok || current.OperationID != r.stack.OperationID {
			return errSuperseded
		}
		if slices.Equal(current.Imports, names) {
			return nil
		}
		next := r.s.tables.Stacks.Clone(current)
		next.Imports = names
		r.s.tables.Stacks.Put(tx, next)
		return nil
	})
}

// finish evaluates the outputs and ends a forward pass.
func (r *run) finish(ctx context.Context, status, next string) error {
	outputs, err := r.scope(ctx).Outputs()
	var failed *failure
	if err != nil {
		if failed, err = asFailure(err); err != nil {
			return err
		}
	}
	var exports []model.StackOutput
	for _, o := range outputs {
		exports = append(exports, model.StackOutput{Key: o.Key, Value: o.Value, Description: o.Description, Export: o.Export})
	}
	return r.transition(ctx, func(tx *store.Txn, st *model.Stack) {
		problem := ""
		if failed != nil {
			problem = failed.reason
		} else {
			problem = r.s.exportProblem(tx, st, exports)
		}
		if problem != "" {
			r.failOutputs(tx, st, problem)
			return
		}
		st.Outputs, st.Operation = exports, next
		if next == "" {
			st.PreviousTemplate, st.PreviousParameters, st.PreviousTags = "", nil, nil
		}
		r.s.setStatus(tx, st, status, "")
	})
}

// failOutputs is what becomes of a stack whose resources are right and whose outputs are not.
func (r *run) failOutputs(tx *store.Txn, st *model.Stack, reason string) {
	switch st.Operation {
	case opCreate:
		st.Operation = opRollback
		if st.OnFailure == "DO_NOTHING" {
			st.Operation = ""
			r.s.setStatus(tx, st, createFailed, reason)
			return
		}
		r.s.setStatus(tx, st, rollbackInProgress, reason+" Rollback requested by user.")
	case opUpdate:
		if st.DisableRollback {
			st.Operation = ""
			r.s.setStatus(tx, st, updateFailed, reason)
			return
		}
		turnBack(st)
		r.s.setStatus(tx, st, updateRollbackInProgress, reason)
	default:
		st.Operation = ""
		r.s.setStatus(tx, st, updateRollbackFailed, reason)
	}
}

// execute runs steps side by side as soon as what they wait for has ended well. With stop, the first failure ends it:
// steps that run are cancelled, others are not begun. It returns the failed steps, the first cause first.
func (s *Server) execute(ctx context.Context, steps []stack.Step, stop bool, do func(context.Context, stack.Step) (ok bool, err error)) ([]string, error) {
	const parallel = 32
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	type result struct {
		id  string
		ok  bool
		err error
	}
	results := make(chan result)
	done := make(map[string]bool, len(steps))
	started := make(map[string]bool, len(steps))
	var failed []string
	var broken error
	var wg sync.WaitGroup
	defer wg.Wait()
	running := 0
	for {
		for _, step := range steps {
			blocked := slices.ContainsFunc(step.After, func(id string) bool { return !done[id] })
			if started[step.LogicalID] || blocked || running >= parallel || broken != nil || ctx.Err() != nil {
				continue
			}
			started[step.LogicalID] = true
			running++
			wg.Add(1)
			go func() {
				defer wg.Done()
				ok, err := do(ctx, step)
				results <- result{step.LogicalID, ok, err}
			}()
		}
		if running == 0 {
			break
		}
		r := <-results
		running--
		switch {
		case r.err != nil:
			if broken == nil {
				broken = r.err
			}
			cancel(r.err)
		case !r.ok:
			failed = append(failed, r.id)
			if stop {
				cancel(errCancelled)
			}
		default:
			done[r.id] = true
		}
	}
	if broken != nil {
		return nil, broken
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, errCancelled) && !errors.Is(cause, context.DeadlineExceeded) {
		return nil, cause
	}
	return failed, nil
}

// errCancelled ends the steps beside one that has failed.
var errCancelled = errors.New("cancelled")
