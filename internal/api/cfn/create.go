package cfn

import (
	"context"
	"slices"
	"time"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/cfnapi"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// userInitiated is the reason of a stack's first event of an operation.
const userInitiated = "User Initiated"

// byName returns the stack that has a name now.
func (s *Server) byName(ctx context.Context, reader store.Reader, name string) (*model.Stack, bool) {
	who := awsapi.RequestFrom(ctx)
	for st := range s.tables.Stacks.By(reader, "name", name) {
		arn, _ := model.ParseARN(st.ARN)
		if st.Status != deleteComplete && arn.Account == who.Account && arn.Region == who.Region {
			return st, true
		}
	}
	return nil, false
}

// lookup returns a stack by name or ARN; deleted stacks have only their ARN.
func (s *Server) lookup(ctx context.Context, reader store.Reader, nameOrID string) (*model.Stack, bool) {
	if _, isARN := model.ParseARN(nameOrID); !isARN {
		return s.byName(ctx, reader, nameOrID)
	}
	st, ok := s.tables.Stacks.Get(reader, nameOrID)
	return st, ok
}

// CreateStack begins to make a stack.
func (s *Server) CreateStack(ctx context.Context, in *cfnapi.CreateStackInput) (*cfnapi.CreateStackOutput, error) {
	name := awsapi.Val(in.StackName)
	if err := checkName("stackName", name); err != nil {
		return nil, err
	}
	onFailure := string(in.OnFailure)
	switch {
	case in.OnFailure != "" && in.DisableRollback != nil:
		return nil, invalid("You can specify either DisableRollback or OnFailure, but not both.")
	case awsapi.Val(in.DisableRollback):
		onFailure = "DO_NOTHING"
	case onFailure == "":
		onFailure = "ROLLBACK"
	}
	st := s.newStack(ctx, name)
	w, err := s.prepare(ctx, s.db.View(), st, asked{
		body: in.TemplateBody, url: in.TemplateURL, parameters: in.Parameters, tags: in.Tags, resourceTypes: in.ResourceTypes,
		notifications: in.NotificationARNs, rollback: in.RollbackConfiguration, policy: []*string{in.StackPolicyBody, in.StackPolicyURL},
	})
	if err != nil {
		return nil, err
	}
	if err := s.checkCapabilities(w, in.Capabilities); err != nil {
		return nil, err
	}
	w.apply(st)
	st.OnFailure, st.DisableRollback = onFailure, onFailure == "DO_NOTHING"
	st.RoleARN, st.ClientToken = awsapi.Val(in.RoleARN), awsapi.Val(in.ClientRequestToken)
	st.TerminationProtection, st.RetainExceptOnCreate = awsapi.Val(in.EnableTerminationProtection), awsapi.Val(in.RetainExceptOnCreate)
	st.TimeoutMinutes = int(awsapi.Val(in.TimeoutInMinutes))
	st.Operation = opCreate
	id := st.ARN
	err = s.db.Update(ctx, func(tx *store.Txn) error {
		id = st.ARN
		if existing, ok := s.byName(ctx, tx, name); ok {
			if st.ClientToken != "" && existing.ClientToken == st.ClientToken {
				id = existing.ARN // the same request once more
				return nil
			}
			return awsapi.NewError(cfnapi.ErrAlreadyExistsException, "Stack [%s] already exists", name)
		}
		next := s.tables.Stacks.Clone(st)
		s.setStatus(tx, next, createInProgress, userInitiated)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &cfnapi.CreateStackOutput{StackId: &id}, nil
}

// newStack returns the record of a stack that is to be.
func (s *Server) newStack(ctx context.Context, name string) *model.Stack {
	who := awsapi.RequestFrom(ctx)
	scope := model.Scope{Account: who.Account, Region: who.Region}
	now := s.clock.Now()
	return &model.Stack{
		Meta: model.Meta{CreatedAt: now}, ARN: scope.StackARN(name, model.NewUUID()), Name: name, StartedAt: now,
		OperationID: model.NewUUID(), Principal: who.Principal,
	}
}

// apply puts what was asked into a stack's record.
func (w *wanted) apply(st *model.Stack) {
	st.Template, st.Description, st.Parameters, st.NoEcho = w.body, w.tmpl.Description, w.parameters, w.noEcho
	st.Tags, st.Capabilities = w.tags, w.capabilities
}

// updatable are the states in which a stack may be updated.
var updatable = []string{createComplete, updateComplete, updateRollbackComplete, createFailed, updateFailed}

// UpdateStack begins to bring a stack to another template, other parameters or other tags.
func (s *Server) UpdateStack(ctx context.Context, in *cfnapi.UpdateStackInput) (*cfnapi.UpdateStackOutput, error) {
	name := awsapi.Val(in.StackName)
	var id string
	view := s.db.View()
	st, ok := s.lookup(ctx, view, name)
	if !ok || st.Status == deleteComplete {
		return nil, invalid("Stack [%s] does not exist", name)
	}
	token := awsapi.Val(in.ClientRequestToken)
	if token != "" && st.ClientToken == token {
		return &cfnapi.UpdateStackOutput{StackId: &st.ARN}, nil
	}
	if err := checkUpdatable(st); err != nil {
		return nil, err
	}
	tags := in.Tags
	if tags == nil { // absent keeps the tags
		for _, k := range sortedKeys(st.Tags) {
			tags = append(tags, cfnapi.Tag{Key: awsapi.Ptr(k), Value: awsapi.Ptr(st.Tags[k])})
		}
	}
	w, err := s.prepare(ctx, view, st, asked{
		body: in.TemplateBody, url: in.TemplateURL, previousTemplate: awsapi.Val(in.UsePreviousTemplate), parameters: in.Parameters, tags: tags,
		resourceTypes: in.ResourceTypes, notifications: in.NotificationARNs, rollback: in.RollbackConfiguration,
		policy: []*string{in.StackPolicyBody, in.StackPolicyURL, in.StackPolicyDuringUpdateBody, in.StackPolicyDuringUpdateURL},
	})
	if err != nil {
		return nil, err
	}
	if err := s.checkCapabilities(w, in.Capabilities); err != nil {
		return nil, err
	}
	changes, differs, err := s.compare(view, st, w)
	if err != nil {
		return nil, err
	}
	if len(changes) == 0 && !differs {
		return nil, invalid("No updates are to be performed.")
	}
	err = s.db.Update(ctx, func(tx *store.Txn) error {
		current, ok := s.tables.Stacks.Get(tx, st.ARN)
		if !ok {
			return invalid("Stack [%s] does not exist", name)
		}
		if err := checkUpdatable(current); err != nil {
			return err
		}
		next := s.tables.Stacks.Clone(current)
		next.DisableRollback = awsapi.Val(in.DisableRollback)
		next.RetainExceptOnCreate = awsapi.Val(in.RetainExceptOnCreate)
		if in.RoleARN != nil {
			next.RoleARN = *in.RoleARN
		}
		s.startUpdate(ctx, tx, next, w, token)
		id = next.ARN
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &cfnapi.UpdateStackOutput{StackId: &id}, nil
}

func checkUpdatable(st *model.Stack) error {
	if !slices.Contains(updatable, st.Status) || st.Operation != "" {
		return invalid("Stack:%s is in %s state and can not be updated.", st.ARN, st.Status)
	}
	return nil
}

// startUpdate writes an update into a stack's record.
func (s *Server) startUpdate(ctx context.Context, tx *store.Txn, st *model.Stack, w *wanted, token string) {
	if st.Status != updateFailed { // what a rollback goes back to is the last state that was whole
		st.PreviousTemplate, st.PreviousParameters, st.PreviousTags = st.Template, st.Parameters, st.Tags
	}
	w.apply(st)
	st.ClientToken, st.Principal = token, awsapi.RequestFrom(ctx).Principal
	st.Operation, st.OperationID = opUpdate, model.NewUUID()
	st.StartedAt = s.clock.Now()
	st.UpdatedAt = st.StartedAt
	s.setStatus(tx, st, updateInProgress, userInitiated)
}

// DeleteStack begins to delete a stack. A stack that does not exist is no error.
func (s *Server) DeleteStack(ctx context.Context, in *cfnapi.DeleteStackInput) (*cfnapi.DeleteStackOutput, error) {
	out := &cfnapi.DeleteStackOutput{}
	return out, s.db.Update(ctx, func(tx *store.Txn) error {
		st, ok := s.lookup(ctx, tx, awsapi.Val(in.StackName))
		if !ok || st.Status == deleteComplete || st.Status == deleteInProgress {
			return nil
		}
		if st.TerminationProtection {
			return invalid("Stack [%s] cannot be deleted while TerminationProtection is enabled", st.Name)
		}
		if st.Operation != "" && st.Operation != opCreate {
			return invalid("Stack [%s] cannot be deleted while in status %s", st.ARN, st.Status)
		}
		if len(in.RetainResources) > 0 && st.Status != deleteFailed {
			return invalid("Invalid operation on stack [%s]. Retain resources can only be specified for a stack in the DELETE_FAILED state.", st.ARN)
		}
		for _, o := range st.Outputs {
			if o.Export == "" {
				continue
			}
			if users := s.importers(tx, st.ARN, o.Export); len(users) > 0 {
				return invalid("Export %s cannot be deleted as it is in use by %s", o.Export, enumerate(users))
			}
		}
		next := s.tables.Stacks.Clone(st)
		next.RetainResources = slices.Clone(in.RetainResources)
		if in.DeletionMode == "FORCE_DELETE_STACK" {
			if st.Status != deleteFailed {
				return invalid("Invalid operation on stack [%s]. FORCE_DELETE_STACK can only be specified for a stack in the DELETE_FAILED state.", st.ARN)
			}
			for _, rec := range s.records(tx, st.ARN) {
				if isFailed(rec.Status) {
					next.RetainResources = append(next.RetainResources, rec.LogicalID)
				}
			}
		}
		for c := range s.tables.ChangeSets.By(tx, "stack", st.ARN) {
			s.tables.ChangeSets.Delete(tx, c.ARN)
		}
		next.ClientToken, next.Principal = awsapi.Val(in.ClientRequestToken), awsapi.RequestFrom(ctx).Principal
		next.Operation, next.OperationID, next.StartedAt = opDelete, model.NewUUID(), s.clock.Now()
		s.setStatus(tx, next, deleteInProgress, userInitiated)
		return nil
	})
}

// CancelUpdateStack turns a running update back.
func (s *Server) CancelUpdateStack(ctx context.Context, in *cfnapi.CancelUpdateStackInput) (*cfnapi.CancelUpdateStackOutput, error) {
	name := awsapi.Val(in.StackName)
	return &cfnapi.CancelUpdateStackOutput{}, s.db.Update(ctx, func(tx *store.Txn) error {
		st, ok := s.lookup(ctx, tx, name)
		if !ok {
			return noStack(name)
		}
		token := awsapi.Val(in.ClientRequestToken)
		if st.Operation != opUpdate && token != "" && st.ClientToken == token {
			return nil // it came before, and its answer was not heard
		}
		if st.Operation != opUpdate {
			return invalid("CancelUpdateStack cannot be called from current stack status")
		}
		next := s.tables.Stacks.Clone(st)
		turnBack(next)
		next.OperationID, next.ClientToken = model.NewUUID(), token
		s.setStatus(tx, next, updateRollbackInProgress, "User Initiated. Update cancelled.")
		return nil
	})
}

// ContinueUpdateRollback tries again to roll an update back.
func (s *Server) ContinueUpdateRollback(ctx context.Context, in *cfnapi.ContinueUpdateRollbackInput) (*cfnapi.ContinueUpdateRollbackOutput, error) {
	name := awsapi.Val(in.StackName)
	return &cfnapi.ContinueUpdateRollbackOutput{}, s.db.Update(ctx, func(tx *store.Txn) error {
		st, ok := s.lookup(ctx, tx, name)
		if !ok {
			return noStack(name)
		}
		if st.Status != updateRollbackFailed {
			return invalid("Stack:%s is in %s state and can not continue to roll back.", st.ARN, st.Status)
		}
		for _, id := range in.ResourcesToSkip {
			rec, ok := s.tables.StackResources.Get(tx, model.StackResourceKey(st.ARN, id))
			if !ok || rec.Status != updateFailed {
				return invalid("Resource %s cannot be skipped: only resources in the UPDATE_FAILED state can", id)
			}
		}
		next := s.tables.Stacks.Clone(st)
		next.SkipResources = slices.Clone(in.ResourcesToSkip)
		next.Operation, next.OperationID, next.ClientToken = opUpdateRollback, model.NewUUID(), awsapi.Val(in.ClientRequestToken)
		s.setStatus(tx, next, updateRollbackInProgress, userInitiated)
		return nil
	})
}

// UpdateTerminationProtection guards a stack against DeleteStack, or no longer.
func (s *Server) UpdateTerminationProtection(ctx context.Context, in *cfnapi.UpdateTerminationProtectionInput) (*cfnapi.UpdateTerminationProtectionOutput, error) {
	name := awsapi.Val(in.StackName)
	var id string
	err := s.db.Update(ctx, func(tx *store.Txn) error {
		st, ok := s.lookup(ctx, tx, name)
		if !ok || st.Status == deleteComplete {
			return noStack(name)
		}
		next := s.tables.Stacks.Clone(st)
		next.TerminationProtection = awsapi.Val(in.EnableTerminationProtection)
		s.tables.Stacks.Put(tx, next)
		id = st.ARN
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &cfnapi.UpdateTerminationProtectionOutput{StackId: &id}, nil
}

// SetStackPolicy is refused: nothing here would enforce a policy.
func (s *Server) SetStackPolicy(ctx context.Context, in *cfnapi.SetStackPolicyInput) (*cfnapi.SetStackPolicyOutput, error) {
	if _, ok := s.lookup(ctx, s.db.View(), awsapi.Val(in.StackName)); !ok {
		return nil, noStack(awsapi.Val(in.StackName))
	}
	return nil, unsupported("StackPolicy", "stack policies are not enforced here")
}

// GetStackPolicy answers that there is none.
func (s *Server) GetStackPolicy(ctx context.Context, in *cfnapi.GetStackPolicyInput) (*cfnapi.GetStackPolicyOutput, error) {
	if _, ok := s.lookup(ctx, s.db.View(), awsapi.Val(in.StackName)); !ok {
		return nil, noStack(awsapi.Val(in.StackName))
	}
	return &cfnapi.GetStackPolicyOutput{}, nil
}

// timeOf returns a time for an answer, nil if it is unset.
func timeOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Millisecond)
	return &t
}
