package elbv2

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/elbv2api"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

const maxTags = 50

// tagSet returns tags with some more in it; the old set is not changed.
func tagSet(old model.Tags, add []elbv2api.Tag) (model.Tags, error) {
	set := maps.Clone(old)
	if set == nil {
		set = model.Tags{}
	}
	seen := map[string]bool{}
	for _, t := range add {
		key := awsapi.Val(t.Key)
		switch {
		case key == "":
			return nil, invalid("Tag keys cannot be empty")
		case seen[key]:
			return nil, awsapi.NewError(elbv2api.ErrDuplicateTagKeys, "Duplicate tag key '%s' found", key)
		case strings.HasPrefix(key, "aws:") && !strings.HasPrefix(key, "aws:cloudformation:"):
			return nil, invalid("Tag key '%s' begins with aws:, which is reserved", key)
		}
		seen[key] = true
		set[key] = awsapi.Val(t.Value)
	}
	own := 0
	for k := range set {
		if !strings.HasPrefix(k, "aws:") {
			own++
		}
	}
	if own > maxTags {
		return nil, awsapi.NewError(elbv2api.ErrTooManyTags, "The maximum number of tags for a resource, %d, is exceeded", maxTags)
	}
	return set, nil
}

// AddTags adds tags to load balancers, target groups, listeners and rules.
func (s *Server) AddTags(ctx context.Context, in *elbv2api.AddTagsInput) (*elbv2api.AddTagsOutput, error) {
	err := s.update(ctx, func(tx *store.Txn) error {
		return s.editTags(tx, in.ResourceArns, func(old model.Tags) (model.Tags, error) { return tagSet(old, in.Tags) })
	})
	if err != nil {
		return nil, err
	}
	return &elbv2api.AddTagsOutput{}, nil
}

// RemoveTags removes tags; keys that are not there are ignored.
func (s *Server) RemoveTags(ctx context.Context, in *elbv2api.RemoveTagsInput) (*elbv2api.RemoveTagsOutput, error) {
	err := s.update(ctx, func(tx *store.Txn) error {
		return s.editTags(tx, in.ResourceArns, func(old model.Tags) (model.Tags, error) {
			set := maps.Clone(old)
			for _, k := range in.TagKeys {
				delete(set, k)
			}
			return set, nil
		})
	})
	if err != nil {
		return nil, err
	}
	return &elbv2api.RemoveTagsOutput{}, nil
}

// DescribeTags answers one description per ARN, in the order asked.
func (s *Server) DescribeTags(_ context.Context, in *elbv2api.DescribeTagsInput) (*elbv2api.DescribeTagsOutput, error) {
	view := s.db.View()
	out := &elbv2api.DescribeTagsOutput{}
	for _, arn := range in.ResourceArns {
		meta, err := s.metaOf(view, arn)
		if err != nil {
			return nil, err
		}
		d := elbv2api.TagDescription{ResourceArn: awsapi.Ptr(arn)}
		for _, k := range slices.Sorted(maps.Keys(meta.Tags)) {
			d.Tags = append(d.Tags, elbv2api.Tag{Key: awsapi.Ptr(k), Value: awsapi.Ptr(meta.Tags[k])})
		}
		out.TagDescriptions = append(out.TagDescriptions, d)
	}
	return out, nil
}

// resourceKind is the first part of an ARN's resource: loadbalancer, targetgroup, listener, listener-rule.
func resourceKind(arn string) string {
	a, ok := model.ParseARN(arn)
	if !ok || a.Service != "elasticloadbalancing" {
		return ""
	}
	kind, _, _ := strings.Cut(a.Resource, "/")
	return kind
}

func (s *Server) metaOf(r store.Reader, arn string) (*model.Meta, error) {
	switch resourceKind(arn) {
	case "loadbalancer":
		if rec, ok := s.tables.LoadBalancers.Get(r, arn); ok {
			return &rec.Meta, nil
		}
		return nil, loadBalancerNotFound(arn)
	case "targetgroup":
		if rec, ok := s.tables.TargetGroups.Get(r, arn); ok {
			return &rec.Meta, nil
		}
		return nil, targetGroupNotFound(arn)
	case "listener":
		if rec, ok := s.tables.Listeners.Get(r, arn); ok {
			return &rec.Meta, nil
		}
		return nil, listenerNotFound(arn)
	case "listener-rule":
		if rec, ok := s.tables.Rules.Get(r, arn); ok {
			return &rec.Meta, nil
		}
		if l, ok := s.listenerOfDefaultRule(r, arn); ok {
			return &model.Meta{CreatedAt: l.CreatedAt}, nil
		}
		return nil, ruleNotFound(arn)
	}
	return nil, invalid("'%s' is not a valid load balancer, target group, listener or rule ARN", arn)
}

func (s *Server) editTags(tx *store.Txn, arns []string, edit func(model.Tags) (model.Tags, error)) error {
	for _, arn := range arns {
		meta, err := s.metaOf(tx, arn)
		if err != nil {
			return err
		}
		tags, err := edit(meta.Tags)
		if err != nil {
			return err
		}
		switch resourceKind(arn) {
		case "loadbalancer":
			s.tables.LoadBalancers.Edit(tx, arn, func(r *model.LoadBalancer) { r.Tags = tags })
		case "targetgroup":
			s.tables.TargetGroups.Edit(tx, arn, func(r *model.TargetGroup) { r.Tags = tags })
		case "listener":
			s.tables.Listeners.Edit(tx, arn, func(r *model.Listener) { r.Tags = tags })
		case "listener-rule":
			if !s.tables.Rules.Edit(tx, arn, func(r *model.Rule) { r.Tags = tags }) {
				return unsupported("tags on the default rule of a listener: tag the listener instead.")
			}
		}
	}
	return nil
}
