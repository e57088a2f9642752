package resource

import (
	"context"
	"slices"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
)

// ec2Types makes the types of AWS::EC2.
type ec2Types struct {
	api ec2api.API
	d   *awsapi.Service
}

func (t *ec2Types) tags(r *Request, kind ec2api.ResourceType) []ec2api.TagSpecification {
	return []ec2api.TagSpecification{{ResourceType: kind, Tags: ec2Tags(r.Tags)}}
}

func ec2Tags(tags map[string]string) []ec2api.Tag {
	return tagList(tags, func(k, v string) ec2api.Tag { return ec2api.Tag{Key: p(k), Value: p(v)} })
}

// retag brings the tags of an EC2 resource up to date.
func (t *ec2Types) retag(ctx context.Context, r *Request, id string) error {
	set, remove := r.tagChanges()
	if len(set) > 0 {
		if _, err := invoke(ctx, t.d, t.api.CreateTags, &ec2api.CreateTagsInput{Resources: []string{id}, Tags: ec2Tags(set)}); err != nil {
			return err
		}
	}
	if len(remove) > 0 {
		in := &ec2api.DeleteTagsInput{Resources: []string{id}}
		for _, key := range remove {
			in.Tags = append(in.Tags, ec2api.Tag{Key: p(key)})
		}
		if _, err := invoke(ctx, t.d, t.api.DeleteTags, in); err != nil {
			return err
		}
	}
	return nil
}

// mine are the filters that find what this stack made for this logical ID.
func mine(r *Request) []ec2api.Filter {
	return []ec2api.Filter{
		{Name: p("tag:" + TagStackID), Values: []string{r.StackARN}},
		{Name: p("tag:" + TagLogicalID), Values: []string{r.LogicalID}},
	}
}

// unknown returns the first of the IDs that is not one of an earlier resource.
func unknown[T any](r *Request, items []T, id func(*T) *string) (string, bool, error) {
	for i := range items {
		if v := awsapi.Val(id(&items[i])); v != "" && !slices.Contains(r.Known, v) {
			return v, true, nil
		}
	}
	return "", false, nil
}

// first returns the only item of an answer; ok is false if there is none.
func first[T any](items []T) (item T, ok bool) {
	if len(items) == 0 {
		return item, false
	}
	return items[0], true
}

func boolValue(r *Request, name string) (*ec2api.AttributeBooleanValue, error) {
	v := &ec2api.AttributeBooleanValue{}
	return v, r.fill(v, name+"=Value")
}
