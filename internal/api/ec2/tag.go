package ec2

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// Limits of tags (EC2 user guide, "Tag restrictions").
const (
	maxTags        = 50
	maxTagKey      = 128
	maxTagValue    = 256
	reservedTagKey = "aws:"
)

// tagsFor returns the tags that a create call asks for a resource of that kind.
func tagsFor(specs []ec2api.TagSpecification, kind ec2api.ResourceType) (model.Tags, error) {
	var tags model.Tags
	for _, spec := range specs {
		if spec.ResourceType != kind {
			return nil, awsapi.NewError("InvalidParameterValue", "'%s' is not a valid taggable resource type for this operation.", spec.ResourceType)
		}
		for _, t := range spec.Tags {
			if err := addTag(&tags, t); err != nil {
				return nil, err
			}
		}
	}
	return tags, checkTagCount(tags)
}

// addTag checks a tag and adds it. The prefix aws: is refused, but for CloudFormation's own tags, which its resource
// types set through this same call.
func addTag(tags *model.Tags, t ec2api.Tag) error {
	key, value := awsapi.Val(t.Key), awsapi.Val(t.Value)
	switch {
	case key == "":
		return awsapi.NewError("InvalidParameterValue", "Tag key cannot be empty")
	case len([]rune(key)) > maxTagKey:
		return awsapi.NewError("InvalidParameterValue", "Tag key exceeds the maximum length of %d characters", maxTagKey)
	case len([]rune(value)) > maxTagValue:
		return awsapi.NewError("InvalidParameterValue", "Tag value exceeds the maximum length of %d characters", maxTagValue)
	case strings.HasPrefix(key, reservedTagKey) && !strings.HasPrefix(key, "aws:cloudformation:"):
		return awsapi.NewError("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
	}
	if *tags == nil {
		*tags = model.Tags{}
	}
	(*tags)[key] = value
	return nil
}

func checkTagCount(tags model.Tags) error {
	own := 0
	for k := range tags {
		if !strings.HasPrefix(k, reservedTagKey) {
			own++
		}
	}
	if own > maxTags {
		return awsapi.NewError("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
	}
	return nil
}

// tagList returns tags in the order of their keys.
func tagList(tags model.Tags) []ec2api.Tag {
	list := make([]ec2api.Tag, 0, len(tags))
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, ec2api.Tag{Key: awsapi.Ptr(k), Value: awsapi.Ptr(tags[k])})
	}
	return list
}

// tagged is a kind of record that can carry tags.
type tagged struct {
	kind    string // DescribeTags' resource type
	prefix  string
	missing func(id string) error
	// edit applies change to the record's tags and reports whether it exists.
	edit func(tx *store.Txn, id string, change func(*model.Meta)) bool
	list func(r store.Reader, visit func(id string, tags model.Tags))
}

// taggables returns all kinds of records that carry tags.
func (s *Server) taggables() []tagged {
	t := s.tables
	return []tagged{
		taggable("vpc", model.PrefixVPC, vpcNotFound, t.VPCs, func(r *model.VPC) (string, *model.Meta) { return r.ID, &r.Meta }),
		taggable("subnet", model.PrefixSubnet, subnetNotFound, t.Subnets, func(r *model.Subnet) (string, *model.Meta) { return r.ID, &r.Meta }),
		taggable("route-table", model.PrefixRouteTable, routeTableNotFound, t.RouteTables, func(r *model.RouteTable) (string, *model.Meta) { return r.ID, &r.Meta }),
		taggable("internet-gateway", model.PrefixInternetGateway, gatewayNotFound, t.InternetGateways, func(r *model.InternetGateway) (string, *model.Meta) { return r.ID, &r.Meta }),
		taggable("natgateway", model.PrefixNatGateway, natNotFound, t.NatGateways, func(r *model.NatGateway) (string, *model.Meta) { return r.ID, &r.Meta }),
		taggable("elastic-ip", model.PrefixAllocation, allocationNotFound, t.Addresses, func(r *model.Address) (string, *model.Meta) { return r.AllocationID, &r.Meta }),
		taggable("security-group", model.PrefixSecurityGroup, groupNotFound, t.SecurityGroups, func(r *model.SecurityGroup) (string, *model.Meta) { return r.ID, &r.Meta }),
		taggable("security-group-rule", model.PrefixSecurityGroupRule, ruleNotFound, t.SecurityGroupRules, func(r *model.SecurityGroupRule) (string, *model.Meta) { return r.ID, &r.Meta }),
		taggable("network-interface", model.PrefixENI, interfaceNotFound, t.NetworkInterfaces, func(r *model.NetworkInterface) (string, *model.Meta) { return r.ID, &r.Meta }),
	}
}

func taggable[R any](kind, prefix string, missing func(string) error, table *store.Table[R], meta func(*R) (string, *model.Meta)) tagged {
	return tagged{kind: kind, prefix: prefix, missing: missing,
		edit: func(tx *store.Txn, id string, change func(*model.Meta)) bool {
			return table.Edit(tx, id, func(rec *R) {
				_, m := meta(rec)
				change(m)
			})
		},
		list: func(r store.Reader, visit func(string, model.Tags)) {
			for rec := range table.List(r) {
				id, m := meta(rec)
				visit(id, m.Tags)
			}
		},
	}
}

// taggableOf returns the kind that an identifier belongs to by its prefix.
func (s *Server) taggableOf(id string) (tagged, error) {
	for _, t := range s.taggables() {
		if strings.HasPrefix(id, t.prefix+"-") {
			return t, nil
		}
	}
	return tagged{}, awsapi.NewError("InvalidID", "The ID '%s' is not valid", id)
}

// CreateTags adds tags to resources, overwriting those with the same key.
func (s *Server) CreateTags(ctx context.Context, in *ec2api.CreateTagsInput) (*ec2api.CreateTagsOutput, error) {
	var added model.Tags
	for _, t := range in.Tags {
		if err := addTag(&added, t); err != nil {
			return nil, err
		}
	}
	err := s.editTags(ctx, in.Resources, func(m *model.Meta) error {
		if m.Tags == nil {
			m.Tags = model.Tags{}
		}
		maps.Copy(m.Tags, added)
		return checkTagCount(m.Tags)
	})
	if err != nil {
		return nil, err
	}
	return &ec2api.CreateTagsOutput{}, nil
}

// DeleteTags removes tags: those named, only with the value if one is given, or all when none is named.
func (s *Server) DeleteTags(ctx context.Context, in *ec2api.DeleteTagsInput) (*ec2api.DeleteTagsOutput, error) {
	err := s.editTags(ctx, in.Resources, func(m *model.Meta) error {
		if len(in.Tags) == 0 {
			maps.DeleteFunc(m.Tags, func(k, _ string) bool { return !strings.HasPrefix(k, reservedTagKey) })
		}
		for _, t := range in.Tags {
			if t.Value == nil || m.Tags[awsapi.Val(t.Key)] == *t.Value {
				delete(m.Tags, awsapi.Val(t.Key))
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ec2api.DeleteTagsOutput{}, nil
}

func (s *Server) editTags(ctx context.Context, ids []string, change func(*model.Meta) error) error {
	return s.update(ctx, func(tx *store.Txn) error {
		for _, id := range ids {
			kind, err := s.taggableOf(id)
			if err != nil {
				return err
			}
			var refused error
			if !kind.edit(tx, id, func(m *model.Meta) { refused = change(m) }) {
				return kind.missing(id)
			}
			if refused != nil {
				return refused
			}
		}
		return nil
	})
}

// tagRow is one tag of one resource, as DescribeTags lists them.
type tagRow struct{ id, kind, key, value string }

// DescribeTags lists tags over all resources.
func (s *Server) DescribeTags(_ context.Context, in *ec2api.DescribeTagsInput) (*ec2api.DescribeTagsOutput, error) {
	var rows []*tagRow
	view := s.db.View()
	for _, t := range s.taggables() {
		t.list(view, func(id string, tags model.Tags) {
			for _, k := range slices.Sorted(maps.Keys(tags)) {
				rows = append(rows, &tagRow{id: id, kind: t.kind, key: k, value: tags[k]})
			}
		})
	}
	id := func(r *tagRow) string { return r.id + "\x00" + r.key }
	slices.SortFunc(rows, func(a, b *tagRow) int { return strings.Compare(id(a), id(b)) })
	out, next, err := describe(query{filters: in.Filters, maxResults: in.MaxResults, nextToken: in.NextToken}, noun[tagRow, ec2api.TagDescription]{
		id: id,
		fields: fields[tagRow]{
			"resource-id":   func(r *tagRow) []string { return one(r.id) },
			"resource-type": func(r *tagRow) []string { return one(r.kind) },
			"key":           func(r *tagRow) []string { return one(r.key) },
			"value":         func(r *tagRow) []string { return one(r.value) },
		},
		convert: func(r *tagRow) ec2api.TagDescription {
			return ec2api.TagDescription{Key: &r.key, Value: &r.value, ResourceId: &r.id, ResourceType: ec2api.ResourceType(r.kind)}
		},
	}, nil, slices.Values(rows))
	if err != nil {
		return nil, err
	}
	return &ec2api.DescribeTagsOutput{Tags: out, NextToken: next}, nil
}
