package resource

import (
	"context"
	"time"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/logsapi"
	"github.com/neargate/neargate/internal/stack"
)

// logsTypes makes the types of AWS::Logs.
type logsTypes struct {
	api logsapi.API
	d   *awsapi.Service
}

func (t *logsTypes) types() []*Type {
	return []*Type{
		{
			Type: stack.Type{
				Name:       "AWS::Logs::LogGroup",
				Properties: props("LogGroupName*", "RetentionInDays", "KmsKeyId", "LogGroupClass*", "DeletionProtectionEnabled", "Tags"),
				Attributes: []string{"Arn"},
			},
			Named: "LogGroupName", New: t.newGroup, Find: t.findGroup, Apply: t.applyGroup, Read: t.readGroup, Taggable: true,
			Remove: func(ctx context.Context, r *Request) error {
				_, err := invoke(ctx, t.d, t.api.DeleteLogGroup, &logsapi.DeleteLogGroupInput{LogGroupName: &r.PhysicalID})
				return err
			},
		},
		{
			Type: stack.Type{Name: "AWS::Logs::LogStream", Properties: props("LogGroupName!*", "LogStreamName*")},
			New: func(ctx context.Context, r *Request) (string, error) {
				name := r.nameOr("LogStreamName", 512)
				in := &logsapi.CreateLogStreamInput{LogStreamName: &name}
				if err := r.fill(in, "LogGroupName"); err != nil {
					return "", err
				}
				_, err := invoke(ctx, t.d, t.api.CreateLogStream, in)
				return name, err
			},
			Find: func(ctx context.Context, r *Request) (string, bool, error) {
				name := r.nameOr("LogStreamName", 512)
				out, err := invoke(ctx, t.d, t.api.DescribeLogStreams, &logsapi.DescribeLogStreamsInput{LogGroupName: p(r.text("LogGroupName")), LogStreamNamePrefix: &name})
				if err != nil {
					return "", false, absent(err)
				}
				for _, s := range out.LogStreams {
					if awsapi.Val(s.LogStreamName) == name {
						return name, true, nil
					}
				}
				return "", false, nil
			},
			Remove: func(ctx context.Context, r *Request) error {
				_, err := invoke(ctx, t.d, t.api.DeleteLogStream, &logsapi.DeleteLogStreamInput{LogGroupName: p(r.text("LogGroupName")), LogStreamName: &r.PhysicalID})
				return err
			},
		},
	}
}

func (t *logsTypes) newGroup(ctx context.Context, r *Request) (string, error) {
	name := r.nameOr("LogGroupName", 512)
	in := &logsapi.CreateLogGroupInput{LogGroupName: &name, Tags: userTags(r.Tags)}
	if err := r.fill(in, "KmsKeyId", "LogGroupClass", "DeletionProtectionEnabled"); err != nil {
		return "", err
	}
	_, err := invoke(ctx, t.d, t.api.CreateLogGroup, in)
	return name, err
}

func (t *logsTypes) group(ctx context.Context, name string) (logsapi.LogGroup, bool, error) {
	out, err := invoke(ctx, t.d, t.api.DescribeLogGroups, &logsapi.DescribeLogGroupsInput{LogGroupNamePrefix: &name})
	if err != nil {
		return logsapi.LogGroup{}, false, err
	}
	for _, g := range out.LogGroups {
		if awsapi.Val(g.LogGroupName) == name {
			return g, true, nil
		}
	}
	return logsapi.LogGroup{}, false, nil
}

func (t *logsTypes) findGroup(ctx context.Context, r *Request) (string, bool, error) {
	name := r.nameOr("LogGroupName", 512)
	g, ok, err := t.group(ctx, name)
	if g.CreationTime != nil {
		created := time.UnixMilli(*g.CreationTime)
		ok = ok && r.isOurs(&created)
	}
	return name, ok, err
}

func (t *logsTypes) applyGroup(ctx context.Context, r *Request) error {
	if r.Old != nil && r.changed("KmsKeyId", "DeletionProtectionEnabled") {
		return r.invalid("#", "KmsKeyId and DeletionProtectionEnabled cannot be changed")
	}
	if r.changed("RetentionInDays") {
		var err error
		if r.has("RetentionInDays") {
			in := &logsapi.PutRetentionPolicyInput{LogGroupName: &r.PhysicalID}
			if err := r.fill(in, "RetentionInDays"); err != nil {
				return err
			}
			_, err = invoke(ctx, t.d, t.api.PutRetentionPolicy, in)
		} else {
			_, err = invoke(ctx, t.d, t.api.DeleteRetentionPolicy, &logsapi.DeleteRetentionPolicyInput{LogGroupName: &r.PhysicalID})
		}
		if err != nil {
			return err
		}
	}
	set, remove := r.tagChanges()
	if len(set)+len(remove) == 0 {
		return nil
	}
	g, _, err := t.group(ctx, r.PhysicalID)
	if err != nil {
		return err
	}
	if len(set) > 0 {
		if _, err := invoke(ctx, t.d, t.api.TagResource, &logsapi.TagResourceInput{ResourceArn: g.LogGroupArn, Tags: set}); err != nil {
			return err
		}
	}
	if len(remove) > 0 {
		if _, err := invoke(ctx, t.d, t.api.UntagResource, &logsapi.UntagResourceInput{ResourceArn: g.LogGroupArn, TagKeys: remove}); err != nil {
			return err
		}
	}
	return nil
}

func (t *logsTypes) readGroup(ctx context.Context, r *Request) (Attributes, error) {
	g, _, err := t.group(ctx, r.PhysicalID)
	return Attributes{"Arn": awsapi.Val(g.Arn)}, err
}
