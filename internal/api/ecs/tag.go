package ecs

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ecsapi"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

func itoa(n int) string { return strconv.Itoa(n) }

// tagList returns tags in the order of their keys.
func tagList(tags model.Tags) []ecsapi.Tag {
	list := make([]ecsapi.Tag, 0, len(tags))
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, ecsapi.Tag{Key: awsapi.Ptr(k), Value: awsapi.Ptr(tags[k])})
	}
	return list
}

// editMeta changes the Meta of the resource that an ARN names.
func (s *Server) editMeta(tx *store.Txn, arn string, change func(*model.Meta)) error {
	notFound := awsapi.NewError(ecsapi.ErrResourceNotFoundException, "The specified resource could not be found: %s", arn)
	parsed, ok := model.ParseARN(arn)
	if !ok || parsed.Service != "ecs" {
		return invalid("Invalid arn syntax: %s", arn)
	}
	kind, rest, _ := strings.Cut(parsed.Resource, "/")
	found := false
	switch kind {
	case "cluster":
		found = s.tables.Clusters.Edit(tx, rest, func(c *model.Cluster) { change(&c.Meta) })
	case "task-definition":
		found = s.tables.TaskDefinitions.Edit(tx, rest, func(d *model.TaskDefinition) { change(&d.Meta) })
	case "service":
		found = s.tables.Services.Edit(tx, rest, func(v *model.Service) { change(&v.Meta) })
	case "task":
		found = s.tables.Tasks.Edit(tx, model.LastSegment(rest), func(t *model.Task) { change(&t.Meta) })
	default:
		return invalid("Resources of the kind '%s' carry no tags here: %s", kind, arn)
	}
	if !found {
		return notFound
	}
	return nil
}

// TagResource adds tags to a cluster, task definition, service or task.
func (s *Server) TagResource(ctx context.Context, in *ecsapi.TagResourceInput) (*ecsapi.TagResourceOutput, error) {
	tags, err := tagsOf(in.Tags)
	if err != nil {
		return nil, err
	}
	err = s.db.Update(ctx, func(tx *store.Txn) error {
		var tooMany error
		err := s.editMeta(tx, awsapi.Val(in.ResourceArn), func(m *model.Meta) {
			merged := model.Tags{}
			maps.Copy(merged, m.Tags)
			maps.Copy(merged, tags)
			if len(merged) > maxTags {
				tooMany = invalid("A resource has at most %d tags.", maxTags)
			}
			m.Tags = merged
		})
		if err != nil {
			return err
		}
		return tooMany
	})
	if err != nil {
		return nil, err
	}
	return &ecsapi.TagResourceOutput{}, nil
}

// UntagResource removes tags.
func (s *Server) UntagResource(ctx context.Context, in *ecsapi.UntagResourceInput) (*ecsapi.UntagResourceOutput, error) {
	err := s.db.Update(ctx, func(tx *store.Txn) error {
		return s.editMeta(tx, awsapi.Val(in.ResourceArn), func(m *model.Meta) {
			maps.DeleteFunc(m.Tags, func(k, _ string) bool { return slices.Contains(in.TagKeys, k) })
		})
	})
	if err != nil {
		return nil, err
	}
	return &ecsapi.UntagResourceOutput{}, nil
}

// ListTagsForResource reads tags.
func (s *Server) ListTagsForResource(_ context.Context, in *ecsapi.ListTagsForResourceInput) (*ecsapi.ListTagsForResourceOutput, error) {
	arn := awsapi.Val(in.ResourceArn)
	view := s.db.View()
	parsed, ok := model.ParseARN(arn)
	if !ok || parsed.Service != "ecs" {
		return nil, invalid("Invalid arn syntax: %s", arn)
	}
	kind, rest, _ := strings.Cut(parsed.Resource, "/")
	var tags model.Tags
	found := false
	switch kind {
	case "cluster":
		if c, ok := s.tables.Clusters.Get(view, rest); ok {
			tags, found = c.Tags, true
		}
	case "task-definition":
		if d, ok := s.tables.TaskDefinitions.Get(view, rest); ok {
			tags, found = d.Tags, true
		}
	case "service":
		if v, ok := s.tables.Services.Get(view, rest); ok {
			tags, found = v.Tags, true
		}
	case "task":
		if t, ok := s.tables.Tasks.Get(view, model.LastSegment(rest)); ok {
			tags, found = t.Tags, true
		}
	}
	if !found {
		return nil, awsapi.NewError(ecsapi.ErrResourceNotFoundException, "The specified resource could not be found: %s", arn)
	}
	return &ecsapi.ListTagsForResourceOutput{Tags: tagList(tags)}, nil
}
