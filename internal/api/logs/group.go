package logs

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/logsapi"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// retentions are the days that a retention may have.
var retentions = []int32{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

// anyVersion is what follows the ARN of a log group in most of AWS's answers.
const anyVersion = ":*"

// groupName returns the name of the group that an ARN or a name names.
func groupName(identifier string) string {
	arn, ok := model.ParseARN(identifier)
	if !ok {
		return identifier
	}
	name := strings.TrimPrefix(arn.Resource, "log-group:")
	return strings.TrimSuffix(name, anyVersion)
}

// CreateLogGroup makes a group.
func (s *Server) CreateLogGroup(ctx context.Context, in *logsapi.CreateLogGroupInput) (*logsapi.CreateLogGroupOutput, error) {
	switch {
	case in.KmsKeyId != nil:
		return nil, unsupported("kmsKeyId")
	case in.LogGroupClass != "" && in.LogGroupClass != logsapi.LogGroupClassStandard:
		return nil, invalid("Neargate supports the log group class STANDARD only.")
	case awsapi.Val(in.DeletionProtectionEnabled):
		return nil, unsupported("deletionProtectionEnabled")
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	name := awsapi.Val(in.LogGroupName)
	if strings.HasPrefix(name, "aws/") {
		return nil, invalid("Log groups starting with AWS/ are reserved for AWS.")
	}
	err := s.update(ctx, func(tx *store.Txn) error {
		if s.tables.LogGroups.Has(tx, name) {
			return awsapi.NewError(logsapi.ErrResourceAlreadyExistsException, "The specified log group already exists")
		}
		s.tables.LogGroups.Put(tx, &model.LogGroup{
			Meta: model.Meta{Tags: in.Tags, CreatedAt: s.clock.Now()},
			ID:   model.Hex(32), Name: name, ARN: s.scope.LogGroupARN(name), Class: string(logsapi.LogGroupClassStandard),
		})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &logsapi.CreateLogGroupOutput{}, nil
}

// DeleteLogGroup removes a group with its streams and events.
func (s *Server) DeleteLogGroup(ctx context.Context, in *logsapi.DeleteLogGroupInput) (*logsapi.DeleteLogGroupOutput, error) {
	name := awsapi.Val(in.LogGroupName)
	var gone []string
	// A group may have more streams than one transaction takes, so they go in parts; the group goes with the last.
	const part = 500
	for more := true; more; {
		var ids []string
		err := s.update(ctx, func(tx *store.Txn) error {
			ids, more = nil, false
			if _, err := s.group(tx, name); err != nil {
				return err
			}
			for st := range s.tables.LogStreams.By(tx, "group", name) {
				if len(ids) == part {
					more = true
					return nil
				}
				ids = append(ids, st.ID)
				s.tables.LogStreams.Delete(tx, st.Key())
			}
			s.tables.LogGroups.Delete(tx, name)
			return nil
		})
		if err != nil {
			return nil, err
		}
		gone = append(gone, ids...)
	}
	s.drop(gone)
	return &logsapi.DeleteLogGroupOutput{}, nil
}

// drop removes the events of streams whose records are gone. What fails is found again by the next sweep.
func (s *Server) drop(ids []string) {
	for _, id := range ids {
		if err := s.events.Delete(id); err != nil {
			s.log.Error("delete log events", "stream", id, "error", err)
		}
	}
}

// DescribeLogGroups lists groups by prefix, part of the name, or identifiers.
func (s *Server) DescribeLogGroups(_ context.Context, in *logsapi.DescribeLogGroupsInput) (*logsapi.DescribeLogGroupsOutput, error) {
	prefix, part := awsapi.Val(in.LogGroupNamePrefix), awsapi.Val(in.LogGroupNamePattern)
	switch {
	case prefix != "" && part != "":
		return nil, invalid("LogGroupNamePrefix and LogGroupNamePattern are mutually exclusive parameters.")
	case awsapi.Val(in.IncludeLinkedAccounts):
		return nil, unsupported("includeLinkedAccounts")
	}
	var names []string
	for _, id := range in.LogGroupIdentifiers {
		names = append(names, groupName(id))
	}
	view := s.db.View()
	var found []*model.LogGroup
	for g := range s.tables.LogGroups.List(view) {
		class := string(in.LogGroupClass)
		if strings.HasPrefix(g.Name, prefix) && strings.Contains(g.Name, part) && (class == "" || class == g.Class) &&
			(len(names) == 0 || slices.Contains(names, g.Name)) &&
			(len(in.AccountIdentifiers) == 0 || slices.Contains(in.AccountIdentifiers, s.scope.Account)) {
			found = append(found, g)
		}
	}
	page, next, err := awsapi.Page("logs:DescribeLogGroups", found, func(g *model.LogGroup) string { return g.Name }, in.NextToken, in.Limit, 50)
	if err != nil {
		return nil, err
	}
	out := &logsapi.DescribeLogGroupsOutput{LogGroups: make([]logsapi.LogGroup, 0, len(page)), NextToken: next}
	for _, g := range page {
		var bytes int64
		for st := range s.tables.LogStreams.By(view, "group", g.Name) {
			bytes += s.events.Stats(st.ID).Bytes
		}
		out.LogGroups = append(out.LogGroups, logsapi.LogGroup{
			Arn: awsapi.Ptr(g.ARN + anyVersion), LogGroupArn: awsapi.Ptr(g.ARN), LogGroupName: awsapi.Ptr(g.Name),
			CreationTime: awsapi.Ptr(g.CreatedAt.UnixMilli()), LogGroupClass: logsapi.LogGroupClass(g.Class), MetricFilterCount: awsapi.Ptr(int32(0)),
			RetentionInDays: awsapi.NonZero(int32(g.RetentionDays)), StoredBytes: awsapi.Ptr(bytes), DeletionProtectionEnabled: awsapi.Ptr(false),
		})
	}
	return out, nil
}

// PutRetentionPolicy sets for how many days events are kept.
func (s *Server) PutRetentionPolicy(ctx context.Context, in *logsapi.PutRetentionPolicyInput) (*logsapi.PutRetentionPolicyOutput, error) {
	days := awsapi.Val(in.RetentionInDays)
	if !slices.Contains(retentions, days) {
		words := make([]string, 0, len(retentions))
		for _, d := range retentions {
			words = append(words, strconv.Itoa(int(d)))
		}
		return nil, invalid("1 validation error detected: Value '%d' at 'retentionInDays' failed to satisfy constraint: Member must satisfy enum value set: [%s]",
			days, strings.Join(words, ", "))
	}
	return &logsapi.PutRetentionPolicyOutput{}, s.setRetention(ctx, awsapi.Val(in.LogGroupName), int(days))
}

// DeleteRetentionPolicy has events kept for ever.
func (s *Server) DeleteRetentionPolicy(ctx context.Context, in *logsapi.DeleteRetentionPolicyInput) (*logsapi.DeleteRetentionPolicyOutput, error) {
	return &logsapi.DeleteRetentionPolicyOutput{}, s.setRetention(ctx, awsapi.Val(in.LogGroupName), 0)
}

func (s *Server) setRetention(ctx context.Context, name string, days int) error {
	return s.editGroup(ctx, name, func(g *model.LogGroup) error {
		g.RetentionDays = days
		return nil
	})
}

func (s *Server) editGroup(ctx context.Context, name string, change func(*model.LogGroup) error) error {
	return s.update(ctx, func(tx *store.Txn) error {
		g, err := s.group(tx, name)
		if err != nil {
			return err
		}
		next := s.tables.LogGroups.Clone(g)
		if err := change(next); err != nil {
			return err
		}
		s.tables.LogGroups.Put(tx, next)
		return nil
	})
}

// maxTags is how many tags a group may have.
const maxTags = 50

func checkTags(tags map[string]string) error {
	if len(tags) > maxTags {
		return awsapi.NewError(logsapi.ErrTooManyTagsException, "The maximum number of tags per resource is %d.", maxTags)
	}
	for key := range tags {
		if strings.HasPrefix(strings.ToLower(key), "aws:") {
			return invalid("Tag keys may not begin with aws: ('%s').", key)
		}
	}
	return nil
}

func (s *Server) tag(ctx context.Context, name string, tags map[string]string) error {
	if err := checkTags(tags); err != nil {
		return err
	}
	return s.editGroup(ctx, name, func(g *model.LogGroup) error {
		if g.Tags == nil {
			g.Tags = model.Tags{}
		}
		maps.Copy(g.Tags, tags)
		return checkTags(g.Tags)
	})
}

func (s *Server) untag(ctx context.Context, name string, keys []string) error {
	return s.editGroup(ctx, name, func(g *model.LogGroup) error {
		for _, k := range keys {
			delete(g.Tags, k)
		}
		return nil
	})
}

func (s *Server) tags(name string) (map[string]string, error) {
	g, err := s.group(s.db.View(), name)
	if err != nil {
		return nil, err
	}
	if g.Tags == nil {
		return map[string]string{}, nil
	}
	return g.Tags, nil
}

// TagResource adds tags to the group with an ARN.
func (s *Server) TagResource(ctx context.Context, in *logsapi.TagResourceInput) (*logsapi.TagResourceOutput, error) {
	return &logsapi.TagResourceOutput{}, s.tag(ctx, groupName(awsapi.Val(in.ResourceArn)), in.Tags)
}

// UntagResource removes tags from the group with an ARN.
func (s *Server) UntagResource(ctx context.Context, in *logsapi.UntagResourceInput) (*logsapi.UntagResourceOutput, error) {
	return &logsapi.UntagResourceOutput{}, s.untag(ctx, groupName(awsapi.Val(in.ResourceArn)), in.TagKeys)
}

// ListTagsForResource lists the tags of the group with an ARN.
func (s *Server) ListTagsForResource(_ context.Context, in *logsapi.ListTagsForResourceInput) (*logsapi.ListTagsForResourceOutput, error) {
	tags, err := s.tags(groupName(awsapi.Val(in.ResourceArn)))
	return &logsapi.ListTagsForResourceOutput{Tags: tags}, err
}

// TagLogGroup adds tags to a group.
func (s *Server) TagLogGroup(ctx context.Context, in *logsapi.TagLogGroupInput) (*logsapi.TagLogGroupOutput, error) {
	return &logsapi.TagLogGroupOutput{}, s.tag(ctx, awsapi.Val(in.LogGroupName), in.Tags)
}

// UntagLogGroup removes tags from a group.
func (s *Server) UntagLogGroup(ctx context.Context, in *logsapi.UntagLogGroupInput) (*logsapi.UntagLogGroupOutput, error) {
	return &logsapi.UntagLogGroupOutput{}, s.untag(ctx, awsapi.Val(in.LogGroupName), in.Tags)
}

// ListTagsLogGroup lists the tags of a group.
func (s *Server) ListTagsLogGroup(_ context.Context, in *logsapi.ListTagsLogGroupInput) (*logsapi.ListTagsLogGroupOutput, error) {
	tags, err := s.tags(awsapi.Val(in.LogGroupName))
	return &logsapi.ListTagsLogGroupOutput{Tags: tags}, err
}
