package cfn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/cfnapi"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/stack"
	"github.com/neargate/neargate/internal/store"
)

// noChanges is the reason of a change set that changes nothing; clients look for its beginning.
const noChanges = "The submitted information didn't contain changes. Submit different information to create a change set."

// compare returns what an update would do to the resources; differs says that outputs or tags change.
func (s *Server) compare(reader store.Reader, st *model.Stack, w *wanted) (changes []stack.Change, differs bool, err error) {
	scope := s.newScope(reader, st, w.tmpl, w.parameters)
	deployed := s.deployedOf(reader, st.ARN)
	if changes, err = stack.Diff(scope, deployed, s.types); err != nil {
		return nil, false, bad(err)
	}
	for _, r := range deployed {
		differs = differs || r.Failed
	}
	if len(changes) > 0 || differs || !sameTags(st.Tags, w.tags) {
		return changes, true, nil
	}
	var before []stack.OutputValue
	for _, o := range st.Outputs {
		before = append(before, stack.OutputValue{Key: o.Key, Value: o.Value, Description: o.Description, Export: o.Export})
	}
	differs, err = stack.OutputsDiffer(scope, deployed, before)
	return nil, differs, bad(err)
}

// CreateChangeSet works out what a change would do. It is complete, or has failed, when the call returns.
func (s *Server) CreateChangeSet(ctx context.Context, in *cfnapi.CreateChangeSetInput) (*cfnapi.CreateChangeSetOutput, error) {
	name, stackRef, kind := awsapi.Val(in.ChangeSetName), awsapi.Val(in.StackName), string(in.ChangeSetType)
	if err := checkName("changeSetName", name); err != nil {
		return nil, err
	}
	switch kind {
	case "":
		kind = "UPDATE"
	case "IMPORT":
		return nil, unsupported("ChangeSetType IMPORT", "existing resources cannot be imported into a stack")
	}
	if len(in.ResourcesToImport) > 0 {
		return nil, unsupported("ResourcesToImport", "existing resources cannot be imported into a stack")
	}
	if awsapi.Val(in.ImportExistingResources) {
		return nil, unsupported("ImportExistingResources", "existing resources cannot be imported into a stack")
	}
	if in.DeploymentMode != "" {
		return nil, unsupported("DeploymentMode", "there is no drift detection here")
	}
	view := s.db.View()
	st, exists := s.lookup(ctx, view, stackRef)
	if exists && st.Status == deleteComplete {
		exists = false
	}
	fresh := false
	switch {
	case kind == "CREATE" && !exists:
		if err := checkName("stackName", stackRef); err != nil {
			return nil, err
		}
		st, fresh = s.newStack(ctx, stackRef), true
		st.Status = reviewInProgress
	case kind == "CREATE" && st.Status != reviewInProgress:
		return nil, invalid("Stack [%s] already exists and cannot be created with the changes [%s]", st.Name, name)
	case kind == "UPDATE" && !exists:
		return nil, invalid("Stack [%s] does not exist", stackRef)
	case kind == "UPDATE":
		if err := checkUpdatable(st); err != nil {
			return nil, err
		}
	}
	tags := in.Tags
	if tags == nil {
		tags = apiTags(st.Tags)
	}
	w, err := s.prepare(ctx, view, st, asked{
		body: in.TemplateBody, url: in.TemplateURL, previousTemplate: awsapi.Val(in.UsePreviousTemplate), parameters: in.Parameters, tags: tags,
		resourceTypes: in.ResourceTypes, notifications: in.NotificationARNs, rollback: in.RollbackConfiguration,
	})
	if err != nil {
		return nil, err
	}
	if err := s.checkCapabilities(w, in.Capabilities); err != nil {
		return nil, err
	}
	arn, _ := model.ParseARN(st.ARN)
	c := &model.ChangeSet{
		Meta: model.Meta{CreatedAt: s.clock.Now(), Tags: w.tags}, ARN: model.Scope{Account: arn.Account, Region: arn.Region}.ChangeSetARN(name, model.NewUUID()),
		Name: name, StackARN: st.ARN, StackName: st.Name, Type: kind, Status: createComplete, ExecutionStatus: "AVAILABLE", Description: awsapi.Val(in.Description),
		OnStackFailure: string(in.OnStackFailure), RoleARN: awsapi.Val(in.RoleARN), Template: w.body, Parameters: w.parameters, NoEcho: w.noEcho,
		Capabilities: w.capabilities, ClientToken: awsapi.Val(in.ClientToken),
	}
	if err := s.fillChanges(view, st, w, c); err != nil {
		return nil, err
	}
	err = s.db.Update(ctx, func(tx *store.Txn) error {
		for other := range s.tables.ChangeSets.By(tx, "stack", st.ARN) {
			if other.Name == name {
				if c.ClientToken != "" && other.ClientToken == c.ClientToken {
					c = other
					return nil
				}
				return awsapi.NewError(cfnapi.ErrAlreadyExistsException, "ChangeSet [%s] already exists", name)
			}
		}
		if fresh {
			if other, ok := s.byName(ctx, tx, stackRef); ok {
				return invalid("Stack [%s] already exists and cannot be created with the changes [%s]", other.Name, name)
			}
			s.setStatus(tx, s.tables.Stacks.Clone(st), reviewInProgress, userInitiated)
		}
		s.tables.ChangeSets.Put(tx, c)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &cfnapi.CreateChangeSetOutput{Id: &c.ARN, StackId: &c.StackARN}, nil
}

// fillChanges puts what would change into a change set, or why it cannot be.
func (s *Server) fillChanges(reader store.Reader, st *model.Stack, w *wanted, c *model.ChangeSet) error {
	failed := func(reason string) { c.Status, c.StatusReason, c.ExecutionStatus = "FAILED", reason, "UNAVAILABLE" }
	changes, differs, err := s.compare(reader, st, w)
	var e *awsapi.Error
	switch {
	case errors.As(err, &e):
		failed(e.Message)
		return nil
	case err != nil:
		return err
	case len(changes) == 0 && !differs && c.Type == "UPDATE":
		failed(noChanges)
		return nil
	}
	text, err := json.Marshal(changes)
	if err != nil {
		return fmt.Errorf("write changes of %s: %w", c.Name, err)
	}
	c.Changes = string(text)
	return nil
}

// changeSet returns a change set by ARN, or by name and stack.
func (s *Server) changeSet(ctx context.Context, reader store.Reader, name, stackRef string) (*model.ChangeSet, error) {
	if _, isARN := model.ParseARN(name); isARN {
		if c, ok := s.tables.ChangeSets.Get(reader, name); ok {
			return c, nil
		}
		return nil, noChangeSet(name)
	}
	if stackRef == "" {
		return nil, invalid("StackName must be specified if ChangeSetName is not specified as an ARN.")
	}
	st, ok := s.lookup(ctx, reader, stackRef)
	if !ok {
		return nil, invalid("Stack [%s] does not exist", stackRef)
	}
	for c := range s.tables.ChangeSets.By(reader, "stack", st.ARN) {
		if c.Name == name {
			return c, nil
		}
	}
	return nil, noChangeSet(name)
}

// DescribeChangeSet describes a change set and its changes.
func (s *Server) DescribeChangeSet(ctx context.Context, in *cfnapi.DescribeChangeSetInput) (*cfnapi.DescribeChangeSetOutput, error) {
	c, err := s.changeSet(ctx, s.db.View(), awsapi.Val(in.ChangeSetName), awsapi.Val(in.StackName))
	if err != nil {
		return nil, err
	}
	out := &cfnapi.DescribeChangeSetOutput{
		ChangeSetId: &c.ARN, ChangeSetName: &c.Name, StackId: &c.StackARN, StackName: &c.StackName, Description: awsapi.NonZero(c.Description),
		Status: cfnapi.ChangeSetStatus(c.Status), StatusReason: awsapi.NonZero(c.StatusReason), ExecutionStatus: cfnapi.ExecutionStatus(c.ExecutionStatus),
		CreationTime: timeOf(c.CreatedAt), Parameters: apiParameters(c.Parameters, c.NoEcho), Tags: apiTags(c.Tags), NotificationARNs: []string{},
		RollbackConfiguration: &cfnapi.RollbackConfiguration{}, IncludeNestedStacks: awsapi.Ptr(false), Changes: []cfnapi.Change{},
		OnStackFailure: cfnapi.OnStackFailure(c.OnStackFailure),
	}
	for _, v := range c.Capabilities {
		out.Capabilities = append(out.Capabilities, cfnapi.Capability(v))
	}
	var changes []stack.Change
	if c.Changes != "" {
		if err := json.Unmarshal([]byte(c.Changes), &changes); err != nil {
			return nil, fmt.Errorf("read changes of %s: %w", c.Name, err)
		}
	}
	for _, change := range changes {
		out.Changes = append(out.Changes, cfnapi.Change{Type: "Resource", ResourceChange: resourceChange(change)})
	}
	return out, nil
}

func resourceChange(c stack.Change) *cfnapi.ResourceChange {
	out := &cfnapi.ResourceChange{
		Action: cfnapi.ChangeAction(c.Action), LogicalResourceId: &c.LogicalID, PhysicalResourceId: awsapi.NonZero(c.PhysicalID), ResourceType: &c.Type,
		Replacement: cfnapi.Replacement(c.Replacement), Scope: []cfnapi.ResourceAttribute{}, Details: []cfnapi.ResourceChangeDetail{},
	}
	switch {
	case c.Action == "Remove" && c.Retain:
		out.PolicyAction = "Retain"
	case c.Action == "Remove":
		out.PolicyAction = "Delete"
	}
	for _, scope := range c.Scope {
		out.Scope = append(out.Scope, cfnapi.ResourceAttribute(scope))
	}
	for _, d := range c.Details {
		out.Details = append(out.Details, cfnapi.ResourceChangeDetail{
			Evaluation: cfnapi.EvaluationType(d.Evaluation), ChangeSource: cfnapi.ChangeSource(d.ChangeSource), CausingEntity: awsapi.NonZero(d.CausingEntity),
			Target: &cfnapi.ResourceTargetDefinition{
				Attribute: cfnapi.ResourceAttribute(d.Attribute), Name: awsapi.NonZero(d.Name), RequiresRecreation: cfnapi.RequiresRecreation(d.RequiresRecreation),
			},
		})
	}
	return out
}

// ListChangeSets lists the change sets of a stack.
func (s *Server) ListChangeSets(ctx context.Context, in *cfnapi.ListChangeSetsInput) (*cfnapi.ListChangeSetsOutput, error) {
	view, name := s.db.View(), awsapi.Val(in.StackName)
	st, ok := s.lookup(ctx, view, name)
	if !ok {
		return nil, invalid("Stack [%s] does not exist", name)
	}
	page, next, err := pages("ListChangeSets", slices.Collect(s.tables.ChangeSets.By(view, "stack", st.ARN)), func(c *model.ChangeSet) string { return c.ARN }, in.NextToken, 100)
	if err != nil {
		return nil, err
	}
	out := &cfnapi.ListChangeSetsOutput{NextToken: next, Summaries: []cfnapi.ChangeSetSummary{}}
	for _, c := range page {
		out.Summaries = append(out.Summaries, cfnapi.ChangeSetSummary{
			ChangeSetId: &c.ARN, ChangeSetName: &c.Name, StackId: &c.StackARN, StackName: &c.StackName, Description: awsapi.NonZero(c.Description),
			Status: cfnapi.ChangeSetStatus(c.Status), StatusReason: awsapi.NonZero(c.StatusReason), ExecutionStatus: cfnapi.ExecutionStatus(c.ExecutionStatus),
			CreationTime: timeOf(c.CreatedAt),
		})
	}
	return out, nil
}

// DeleteChangeSet deletes a change set. One that does not exist is no error, a stack that does not exist is.
func (s *Server) DeleteChangeSet(ctx context.Context, in *cfnapi.DeleteChangeSetInput) (*cfnapi.DeleteChangeSetOutput, error) {
	return &cfnapi.DeleteChangeSetOutput{}, s.db.Update(ctx, func(tx *store.Txn) error {
		c, err := s.changeSet(ctx, tx, awsapi.Val(in.ChangeSetName), awsapi.Val(in.StackName))
		if err != nil {
			var e *awsapi.Error
			if errors.As(err, &e) && e.Code == cfnapi.ErrChangeSetNotFound {
				return nil
			}
			return err
		}
		s.tables.ChangeSets.Delete(tx, c.ARN)
		return nil
	})
}

// ExecuteChangeSet begins to carry a change set out.
func (s *Server) ExecuteChangeSet(ctx context.Context, in *cfnapi.ExecuteChangeSetInput) (*cfnapi.ExecuteChangeSetOutput, error) {
	return &cfnapi.ExecuteChangeSetOutput{}, s.db.Update(ctx, func(tx *store.Txn) error {
		c, err := s.changeSet(ctx, tx, awsapi.Val(in.ChangeSetName), awsapi.Val(in.StackName))
		if err != nil {
			return err
		}
		st, ok := s.tables.Stacks.Get(tx, c.StackARN)
		if !ok {
			return noStack(c.StackName)
		}
		token := awsapi.Val(in.ClientRequestToken)
		if c.ExecutionStatus == "EXECUTE_COMPLETE" && token != "" && st.ClientToken == token {
			return nil // the same request once more
		}
		if c.ExecutionStatus != "AVAILABLE" {
			return awsapi.NewError(cfnapi.ErrInvalidChangeSetStatus, "ChangeSet [%s] cannot be executed in its current status of [%s]", c.ARN, c.Status)
		}
		tmpl, err := stack.Parse(c.Template)
		if err != nil {
			return bad(err)
		}
		w := &wanted{body: c.Template, tmpl: tmpl, parameters: c.Parameters, noEcho: c.NoEcho, capabilities: c.Capabilities, tags: c.Tags}
		next := s.tables.Stacks.Clone(st)
		next.ChangeSetID = c.ARN
		if c.RoleARN != "" {
			next.RoleARN = c.RoleARN
		}
		next.DisableRollback, next.RetainExceptOnCreate = awsapi.Val(in.DisableRollback), awsapi.Val(in.RetainExceptOnCreate)
		if st.Status == reviewInProgress {
			next.OnFailure = c.OnStackFailure
			if next.DisableRollback {
				next.OnFailure = "DO_NOTHING"
			}
			w.apply(next)
			next.Operation, next.OperationID, next.ClientToken, next.Principal = opCreate, model.NewUUID(), token, awsapi.RequestFrom(ctx).Principal
			next.StartedAt = s.clock.Now()
			next.UpdatedAt = next.StartedAt
			s.setStatus(tx, next, createInProgress, userInitiated)
		} else {
			if err := checkUpdatable(st); err != nil {
				return err
			}
			s.startUpdate(ctx, tx, next, w, token)
		}
		for other := range s.tables.ChangeSets.By(tx, "stack", st.ARN) {
			if other.ARN != c.ARN {
				s.tables.ChangeSets.Delete(tx, other.ARN)
			}
		}
		done := s.tables.ChangeSets.Clone(c)
		done.ExecutionStatus = "EXECUTE_COMPLETE"
		s.tables.ChangeSets.Put(tx, done)
		return nil
	})
}
