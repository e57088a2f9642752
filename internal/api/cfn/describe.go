package cfn

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/cfnapi"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// own returns the stacks of the caller's account and region, newest first.
func (s *Server) own(ctx context.Context, reader store.Reader) []*model.Stack {
	who := awsapi.RequestFrom(ctx)
	var out []*model.Stack
	for st := range s.tables.Stacks.List(reader) {
		if arn, _ := model.ParseARN(st.ARN); arn.Account == who.Account && arn.Region == who.Region {
			out = append(out, st)
		}
	}
	slices.SortFunc(out, func(a, b *model.Stack) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(a.ARN, b.ARN))
	})
	return out
}

// pageKey orders a list as it stands: awsapi.Page sorts by key.
func pages[T any](kind string, items []T, key func(T) string, token *string, limit int) ([]T, *string, error) {
	out, next, err := awsapi.Page("cfn:"+kind, items, key, token, nil, limit)
	if err != nil {
		return nil, nil, badToken(err)
	}
	return out, next, nil
}

// DescribeStacks describes one stack, or all that are not deleted.
func (s *Server) DescribeStacks(ctx context.Context, in *cfnapi.DescribeStacksInput) (*cfnapi.DescribeStacksOutput, error) {
	view := s.db.View()
	if name := awsapi.Val(in.StackName); name != "" {
		st, ok := s.lookup(ctx, view, name)
		if !ok {
			return nil, noStack(name)
		}
		return &cfnapi.DescribeStacksOutput{Stacks: []cfnapi.Stack{describeStack(st)}}, nil
	}
	all := slices.DeleteFunc(s.own(ctx, view), func(st *model.Stack) bool { return st.Status == deleteComplete })
	page, next, err := pages("DescribeStacks", all, func(st *model.Stack) string { return st.Name }, in.NextToken, 100)
	if err != nil {
		return nil, err
	}
	out := &cfnapi.DescribeStacksOutput{NextToken: next, Stacks: []cfnapi.Stack{}}
	for _, st := range page {
		out.Stacks = append(out.Stacks, describeStack(st))
	}
	return out, nil
}

func describeStack(st *model.Stack) cfnapi.Stack {
	out := cfnapi.Stack{
		StackId: &st.ARN, StackName: &st.Name, Description: awsapi.NonZero(st.Description), StackStatus: cfnapi.StackStatus(st.Status),
		StackStatusReason: awsapi.NonZero(st.StatusReason), CreationTime: timeOf(st.CreatedAt), LastUpdatedTime: timeOf(st.UpdatedAt),
		DeletionTime: timeOf(st.DeletedAt), DisableRollback: &st.DisableRollback, EnableTerminationProtection: &st.TerminationProtection,
		RoleARN: awsapi.NonZero(st.RoleARN), ChangeSetId: awsapi.NonZero(st.ChangeSetID), NotificationARNs: []string{},
		RollbackConfiguration: &cfnapi.RollbackConfiguration{}, DriftInformation: &cfnapi.StackDriftInformation{StackDriftStatus: "NOT_CHECKED"},
		Tags: apiTags(st.Tags), Parameters: apiParameters(st.Parameters, st.NoEcho), Outputs: []cfnapi.Output{},
		RetainExceptOnCreate: awsapi.NonZero(st.RetainExceptOnCreate),
	}
	if st.TimeoutMinutes > 0 {
		out.TimeoutInMinutes = awsapi.Ptr(int32(st.TimeoutMinutes)) // it came as an int32
	}
	for _, c := range st.Capabilities {
		out.Capabilities = append(out.Capabilities, cfnapi.Capability(c))
	}
	for _, o := range st.Outputs {
		out.Outputs = append(out.Outputs, cfnapi.Output{OutputKey: &o.Key, OutputValue: &o.Value, Description: awsapi.NonZero(o.Description), ExportName: awsapi.NonZero(o.Export)})
	}
	return out
}

func apiTags(tags model.Tags) []cfnapi.Tag {
	out := []cfnapi.Tag{}
	for _, k := range sortedKeys(tags) {
		out = append(out, cfnapi.Tag{Key: awsapi.Ptr(k), Value: awsapi.Ptr(tags[k])})
	}
	return out
}

// apiParameters hides what the template wants hidden.
func apiParameters(values map[string]string, hidden []string) []cfnapi.Parameter {
	out := []cfnapi.Parameter{}
	for _, k := range sortedKeys(values) {
		v := values[k]
		if slices.Contains(hidden, k) {
			v = "****"
		}
		out = append(out, cfnapi.Parameter{ParameterKey: awsapi.Ptr(k), ParameterValue: &v})
	}
	return out
}

// ListStacks lists stacks, deleted ones too, by state if that is asked.
func (s *Server) ListStacks(ctx context.Context, in *cfnapi.ListStacksInput) (*cfnapi.ListStacksOutput, error) {
	all := s.own(ctx, s.db.View())
	if len(in.StackStatusFilter) > 0 {
		all = slices.DeleteFunc(all, func(st *model.Stack) bool {
			return !slices.Contains(in.StackStatusFilter, cfnapi.StackStatus(st.Status))
		})
	}
	page, next, err := pages("ListStacks", all, func(st *model.Stack) string { return st.ARN }, in.NextToken, 100)
	if err != nil {
		return nil, err
	}
	out := &cfnapi.ListStacksOutput{NextToken: next, StackSummaries: []cfnapi.StackSummary{}}
	for _, st := range page {
		out.StackSummaries = append(out.StackSummaries, cfnapi.StackSummary{
			StackId: &st.ARN, StackName: &st.Name, TemplateDescription: awsapi.NonZero(st.Description), StackStatus: cfnapi.StackStatus(st.Status),
			StackStatusReason: awsapi.NonZero(st.StatusReason), CreationTime: timeOf(st.CreatedAt), LastUpdatedTime: timeOf(st.UpdatedAt),
			DeletionTime: timeOf(st.DeletedAt), DriftInformation: &cfnapi.StackDriftInformationSummary{StackDriftStatus: "NOT_CHECKED"},
		})
	}
	return out, nil
}

// DescribeStackEvents returns a stack's history, the newest first.
func (s *Server) DescribeStackEvents(ctx context.Context, in *cfnapi.DescribeStackEventsInput) (*cfnapi.DescribeStackEventsOutput, error) {
	name, view := awsapi.Val(in.StackName), s.db.View()
	st, ok := s.lookup(ctx, view, name)
	if !ok {
		return nil, invalid("Stack [%s] does not exist", name)
	}
	var events []*model.StackEvent
	for e := range s.tables.StackEvents.By(view, "stack", st.ARN) {
		events = append(events, e)
	}
	slices.SortFunc(events, func(a, b *model.StackEvent) int { return b.At.Compare(a.At) })
	const pageSize = 100
	if token := awsapi.Val(in.NextToken); token != "" {
		after, err := awsapi.DecodeToken("cfn:DescribeStackEvents", token)
		if err != nil {
			return nil, badToken(err)
		}
		i := slices.IndexFunc(events, func(e *model.StackEvent) bool { return e.Key() < after })
		if i < 0 {
			i = len(events)
		}
		events = events[i:]
	}
	out := &cfnapi.DescribeStackEventsOutput{StackEvents: []cfnapi.StackEvent{}}
	if len(events) > pageSize {
		events = events[:pageSize]
		out.NextToken = awsapi.Ptr(awsapi.EncodeToken("cfn:DescribeStackEvents", events[pageSize-1].Key()))
	}
	for _, e := range events {
		at := e.At.UTC()
		out.StackEvents = append(out.StackEvents, cfnapi.StackEvent{
			StackId: &e.StackARN, StackName: &e.StackName, EventId: &e.ID, LogicalResourceId: &e.LogicalID, PhysicalResourceId: &e.PhysicalID,
			ResourceType: &e.Type, ResourceStatus: cfnapi.ResourceStatus(e.Status), ResourceStatusReason: awsapi.NonZero(e.Reason),
			ResourceProperties: awsapi.NonZero(e.Properties), ClientRequestToken: awsapi.NonZero(e.Token), Timestamp: &at,
		})
	}
	return out, nil
}

// resources returns a stack's resources by logical ID.
func (s *Server) resources(reader store.Reader, st *model.Stack) []*model.StackResource {
	out := s.records(reader, st.ARN)
	slices.SortFunc(out, func(a, b *model.StackResource) int { return cmp.Compare(a.LogicalID, b.LogicalID) })
	return out
}

// DescribeStackResources describes the resources of a stack, or those of the stack that a physical ID belongs to.
func (s *Server) DescribeStackResources(ctx context.Context, in *cfnapi.DescribeStackResourcesInput) (*cfnapi.DescribeStackResourcesOutput, error) {
	view := s.db.View()
	name, physical := awsapi.Val(in.StackName), awsapi.Val(in.PhysicalResourceId)
	switch {
	case name == "" && physical == "":
		return nil, invalid("Either StackName or PhysicalResourceId must be specified")
	case name != "" && physical != "":
		return nil, invalid("You must not specify both StackName and PhysicalResourceId")
	case physical != "":
		rec, ok := s.tables.StackResources.FirstBy(view, "physical", physical)
		if !ok {
			return nil, invalid("Stack for %s does not exist", physical)
		}
		name = rec.StackARN
	}
	st, ok := s.lookup(ctx, view, name)
	if !ok {
		return nil, noStack(name)
	}
	out := &cfnapi.DescribeStackResourcesOutput{StackResources: []cfnapi.StackResource{}}
	for _, rec := range s.resources(view, st) {
		if id := awsapi.Val(in.LogicalResourceId); id != "" && id != rec.LogicalID {
			continue
		}
		out.StackResources = append(out.StackResources, cfnapi.StackResource{
			StackId: &st.ARN, StackName: &st.Name, LogicalResourceId: &rec.LogicalID, PhysicalResourceId: awsapi.NonZero(rec.PhysicalID),
			ResourceType: &rec.Type, ResourceStatus: cfnapi.ResourceStatus(rec.Status), ResourceStatusReason: awsapi.NonZero(rec.StatusReason),
			Timestamp: timeOf(rec.UpdatedAt), DriftInformation: &cfnapi.StackResourceDriftInformation{StackResourceDriftStatus: "NOT_CHECKED"},
		})
	}
	return out, nil
}

// DescribeStackResource describes one resource.
func (s *Server) DescribeStackResource(ctx context.Context, in *cfnapi.DescribeStackResourceInput) (*cfnapi.DescribeStackResourceOutput, error) {
	view, name, id := s.db.View(), awsapi.Val(in.StackName), awsapi.Val(in.LogicalResourceId)
	st, ok := s.lookup(ctx, view, name)
	if !ok {
		return nil, invalid("Stack '%s' does not exist", name)
	}
	rec, ok := s.tables.StackResources.Get(view, model.StackResourceKey(st.ARN, id))
	if !ok {
		return nil, invalid("Resource %s does not exist for stack %s", id, st.Name)
	}
	return &cfnapi.DescribeStackResourceOutput{StackResourceDetail: &cfnapi.StackResourceDetail{
		StackId: &st.ARN, StackName: &st.Name, LogicalResourceId: &rec.LogicalID, PhysicalResourceId: awsapi.NonZero(rec.PhysicalID),
		ResourceType: &rec.Type, ResourceStatus: cfnapi.ResourceStatus(rec.Status), ResourceStatusReason: awsapi.NonZero(rec.StatusReason),
		LastUpdatedTimestamp: timeOf(rec.UpdatedAt), Metadata: awsapi.NonZero(rec.Metadata),
		DriftInformation: &cfnapi.StackResourceDriftInformation{StackResourceDriftStatus: "NOT_CHECKED"},
	}}, nil
}

// ListStackResources lists the resources of a stack.
func (s *Server) ListStackResources(ctx context.Context, in *cfnapi.ListStackResourcesInput) (*cfnapi.ListStackResourcesOutput, error) {
	view, name := s.db.View(), awsapi.Val(in.StackName)
	st, ok := s.lookup(ctx, view, name)
	if !ok {
		return nil, noStack(name)
	}
	page, next, err := pages("ListStackResources", s.resources(view, st), func(r *model.StackResource) string { return r.LogicalID }, in.NextToken, 100)
	if err != nil {
		return nil, err
	}
	out := &cfnapi.ListStackResourcesOutput{NextToken: next, StackResourceSummaries: []cfnapi.StackResourceSummary{}}
	for _, rec := range page {
		out.StackResourceSummaries = append(out.StackResourceSummaries, cfnapi.StackResourceSummary{
			LogicalResourceId: &rec.LogicalID, PhysicalResourceId: awsapi.NonZero(rec.PhysicalID), ResourceType: &rec.Type,
			ResourceStatus: cfnapi.ResourceStatus(rec.Status), ResourceStatusReason: awsapi.NonZero(rec.StatusReason), LastUpdatedTimestamp: timeOf(rec.UpdatedAt),
			DriftInformation: &cfnapi.StackResourceDriftInformationSummary{StackResourceDriftStatus: "NOT_CHECKED"},
		})
	}
	return out, nil
}

// ListExports lists what stacks of the account and region export.
func (s *Server) ListExports(ctx context.Context, in *cfnapi.ListExportsInput) (*cfnapi.ListExportsOutput, error) {
	var all []cfnapi.Export
	for _, st := range s.own(ctx, s.db.View()) {
		if st.Status == deleteComplete {
			continue
		}
		for _, o := range st.Outputs {
			if o.Export != "" {
				all = append(all, cfnapi.Export{ExportingStackId: &st.ARN, Name: &o.Export, Value: &o.Value})
			}
		}
	}
	page, next, err := pages("ListExports", all, func(e cfnapi.Export) string { return *e.Name }, in.NextToken, 100)
	if err != nil {
		return nil, err
	}
	return &cfnapi.ListExportsOutput{Exports: page, NextToken: next}, nil
}

// ListImports lists the stacks that use an export.
func (s *Server) ListImports(ctx context.Context, in *cfnapi.ListImportsInput) (*cfnapi.ListImportsOutput, error) {
	view, name := s.db.View(), awsapi.Val(in.ExportName)
	var exporter string
	for _, st := range s.own(ctx, view) {
		if st.Status != deleteComplete && slices.ContainsFunc(st.Outputs, func(o model.StackOutput) bool { return o.Export == name }) {
			exporter = st.ARN
		}
	}
	if exporter == "" {
		return nil, invalid("Export '%s' does not exist.", name)
	}
	users := s.importers(view, exporter, name)
	if len(users) == 0 {
		return nil, invalid("Export '%s' is not imported by any stack.", name)
	}
	return &cfnapi.ListImportsOutput{Imports: users}, nil
}
