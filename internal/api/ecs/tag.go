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
	key, kind, err := s.tagged(tx, arn)
	if err != nil {
		return err
	}
	switch kind {
	case "cluster":
		s.tables.Clusters.Edit(tx, key, func(c *model.Cluster) { change(&c.Meta) })
	case "task-definition":
		s.tables.TaskDefinitions.Edit(tx, key, func(d *model.TaskDefinition) { change(&d.Meta) })
	case "service":
		s.tables.Services.Edit(tx, key, func(v *model.Service) { change(&v.Meta) })
	case "task":
		s.tables.Tasks.Edit(tx, key, func(t *model.Task) { change(&t.Meta) })
	}
	return nil
}

// tagged returns the kind of resource that an ARN names, and its key.
func (s *Server) tagged(r store.Reader, arn string) (key, kind string, err error) {
	parsed, ok := model.ParseARN(arn)
	if !ok || parsed.Service != "ecs" {
		return "", "", invalid("Invalid arn syntax: %s", arn)
	}
	kind, key, _ = strings.Cut(parsed.Resource, "/")
	found := ""
	switch kind {
	case "cluster":
		if c, ok := s.tables.Clusters.Get(r, key); ok && c.Status == model.ClusterActive {
			found = c.ARN
		}
	case "task-definition":
		if d, ok := s.tables.TaskDefinitions.Get(r, key); ok {
			found = d.ARN
		}
	case "service":
		if v, ok := s.tables.Services.Get(r, key); ok {
			found = v.ARN
		}
	case "task":
		key = model.LastSegment(key)
		if t, ok := s.tables.Tasks.Get(r, key); ok {
			found = t.ARN
		}
	default:
		return "", "", invalid("Resources of the kind '%s' carry no tags here: %s", kind, arn)
	}
	if found != arn {
		return "", "", awsapi.NewError(ecsapi.ErrResourceNotFoundException, "The specified resource could not be found: %s", arn)
	}
	return key, kind, nil
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
	view := s.db.View()
	key, kind, err := s.tagged(view, awsapi.Val(in.ResourceArn))
	if err != nil {
		return nil, err
	}
	var tags model.Tags
	switch kind {
	case "cluster":
		c, _ := s.tables.Clusters.Get(view, key)
		tags = c.Tags
	case "task-definition":
		d, _ := s.tables.TaskDefinitions.Get(view, key)
		tags = d.Tags
	case "service":
		v, _ := s.tables.Services.Get(view, key)
		tags = v.Tags
	case "task":
		t, _ := s.tables.Tasks.Get(view, key)
		tags = t.Tags
	}
	return &ecsapi.ListTagsForResourceOutput{Tags: tagList(tags)}, nil
}
