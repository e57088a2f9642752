package cfn_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/neargate/neargate/internal/api/cfn/resource"
	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/awsapi/iamapi"
	"github.com/neargate/neargate/internal/awsapi/logsapi"
)

// thing is anything that exists in the fake cloud.
type thing struct {
	kind, id string
	tags     map[string]string
	refs     []string // IDs of things that cannot go while this exists
	text     map[string]string
}

// cloud is a fake of the services: enough behaviour to see whether things are made once, in order, and go away again.
type cloud struct {
	mu       sync.Mutex
	serial   int
	calls    []string
	things   map[string]*thing
	fail     map[string]error // by operation
	stuck    map[string]bool  // kinds that never become ready
	violated []string         // deletes that came too early
}

func newCloud() *cloud {
	return &cloud{things: make(map[string]*thing), fail: make(map[string]error), stuck: make(map[string]bool)}
}

// front is what one server sees of the cloud. A killed server's calls have no effect.
type front struct {
	ec2api.API
	*cloud
	killAt    int  // number of the call at which the server dies; 0 never
	killAfter bool // with the call's effect
	kill      func()
	dead      bool
}

var errDead = errors.New("the server is dead")

func call[O any](f *front, op string, effect func() (*O, error)) (*O, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return nil, errDead
	}
	f.calls = append(f.calls, op)
	die := f.killAt > 0 && len(f.calls) == f.killAt
	if die && !f.killAfter {
		f.dead = true
		f.kill()
		return nil, errDead
	}
	if err := f.fail[op]; err != nil {
		return nil, err
	}
	out, err := effect()
	if die {
		f.dead = true
		f.kill()
		return nil, errDead
	}
	return out, err
}

func (c *cloud) id(prefix string) string {
	c.serial++
	return fmt.Sprintf("%s-%04d", prefix, c.serial)
}

func (c *cloud) add(kind, id string, tags map[string]string, text map[string]string, refs ...string) *thing {
	t := &thing{kind: kind, id: id, tags: tags, refs: refs, text: text}
	c.things[id] = t
	return t
}

// drop deletes a thing unless something refers to it.
func (c *cloud) drop(id, notFound string) error {
	if _, ok := c.things[id]; !ok {
		return awsapi.NewError(notFound, "%s does not exist", id)
	}
	for _, other := range c.things {
		if other.id != id && slices.Contains(other.refs, id) {
			c.violated = append(c.violated, id+" by "+other.id)
			return awsapi.NewError("DependencyViolation", "%s has a dependent object %s", id, other.id)
		}
	}
	delete(c.things, id)
	return nil
}

func (c *cloud) list(kind string, ids []string, match func(*thing) bool) []*thing {
	var out []*thing
	for _, id := range slices.Sorted(maps.Keys(c.things)) {
		t := c.things[id]
		if t.kind == kind && (len(ids) == 0 || slices.Contains(ids, id)) && (match == nil || match(t)) {
			out = append(out, t)
		}
	}
	return out
}

// census counts what there is of each kind, as CloudFormation names it.
func (c *cloud) census() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make(map[string]int)
	for _, t := range c.things {
		out[t.kind]++
	}
	return out
}

func (c *cloud) find(kind string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for _, t := range c.list(kind, nil, nil) {
		out = append(out, t.id)
	}
	return out
}

func (f *front) services() resource.Services {
	return resource.Services{EC2: f, ECS: &ecsFront{front: f}, ELBv2: &elbFront{front: f}, Logs: &logsFront{front: f}, IAM: &iamFront{front: f}}
}

func v(p *string) string { return awsapi.Val(p) }
func s(t string) *string { return &t }

type logsFront struct {
	logsapi.API
	*front
}

func (f *logsFront) CreateLogGroup(_ context.Context, in *logsapi.CreateLogGroupInput) (*logsapi.CreateLogGroupOutput, error) {
	return call(f.front, "CreateLogGroup", func() (*logsapi.CreateLogGroupOutput, error) {
		if f.things[v(in.LogGroupName)] != nil {
			return nil, awsapi.NewError("ResourceAlreadyExistsException", "The specified log group already exists")
		}
		f.add("loggroup", v(in.LogGroupName), in.Tags, make(map[string]string))
		return &logsapi.CreateLogGroupOutput{}, nil
	})
}

func (f *logsFront) DescribeLogGroups(_ context.Context, in *logsapi.DescribeLogGroupsInput) (*logsapi.DescribeLogGroupsOutput, error) {
	return call(f.front, "DescribeLogGroups", func() (*logsapi.DescribeLogGroupsOutput, error) {
		out := &logsapi.DescribeLogGroupsOutput{}
		for _, t := range f.list("loggroup", nil, func(t *thing) bool { return strings.HasPrefix(t.id, v(in.LogGroupNamePrefix)) }) {
			arn := "arn:aws:logs:us-east-1:000000000000:log-group:" + t.id
			out.LogGroups = append(out.LogGroups, logsapi.LogGroup{LogGroupName: &t.id, LogGroupArn: &arn, Arn: s(arn + ":*")})
		}
		return out, nil
	})
}

func (f *logsFront) PutRetentionPolicy(_ context.Context, in *logsapi.PutRetentionPolicyInput) (*logsapi.PutRetentionPolicyOutput, error) {
	return call(f.front, "PutRetentionPolicy", func() (*logsapi.PutRetentionPolicyOutput, error) {
		f.things[v(in.LogGroupName)].text["days"] = fmt.Sprint(awsapi.Val(in.RetentionInDays))
		return &logsapi.PutRetentionPolicyOutput{}, nil
	})
}

func (f *logsFront) TagResource(_ context.Context, in *logsapi.TagResourceInput) (*logsapi.TagResourceOutput, error) {
	return call(f.front, "logs TagResource", func() (*logsapi.TagResourceOutput, error) {
		_, name, _ := strings.Cut(v(in.ResourceArn), "log-group:")
		maps.Copy(f.things[name].tags, in.Tags)
		return &logsapi.TagResourceOutput{}, nil
	})
}

func (f *logsFront) DeleteLogGroup(_ context.Context, in *logsapi.DeleteLogGroupInput) (*logsapi.DeleteLogGroupOutput, error) {
	return call(f.front, "DeleteLogGroup", func() (*logsapi.DeleteLogGroupOutput, error) {
		return &logsapi.DeleteLogGroupOutput{}, f.drop(v(in.LogGroupName), "ResourceNotFoundException")
	})
}

type iamFront struct {
	iamapi.API
	*front
}

func (f *iamFront) CreateRole(_ context.Context, in *iamapi.CreateRoleInput) (*iamapi.CreateRoleOutput, error) {
	return call(f.front, "CreateRole", func() (*iamapi.CreateRoleOutput, error) {
		if f.things[v(in.RoleName)] != nil {
			return nil, awsapi.NewError("EntityAlreadyExists", "Role with name %s already exists.", v(in.RoleName))
		}
		f.add("role", v(in.RoleName), nil, nil)
		return &iamapi.CreateRoleOutput{}, nil
	})
}

func (f *iamFront) GetRole(_ context.Context, in *iamapi.GetRoleInput) (*iamapi.GetRoleOutput, error) {
	return call(f.front, "GetRole", func() (*iamapi.GetRoleOutput, error) {
		t := f.things[v(in.RoleName)]
		if t == nil {
			return nil, awsapi.NewError("NoSuchEntity", "The role with name %s cannot be found.", v(in.RoleName))
		}
		return &iamapi.GetRoleOutput{Role: &iamapi.Role{RoleName: &t.id, Arn: s("arn:aws:iam::000000000000:role/" + t.id), RoleId: s("AROA")}}, nil
	})
}

func (f *iamFront) PutRolePolicy(_ context.Context, in *iamapi.PutRolePolicyInput) (*iamapi.PutRolePolicyOutput, error) {
	return call(f.front, "PutRolePolicy", func() (*iamapi.PutRolePolicyOutput, error) {
		f.add("policy", v(in.RoleName)+"/"+v(in.PolicyName), nil, nil, v(in.RoleName))
		return &iamapi.PutRolePolicyOutput{}, nil
	})
}

func (f *iamFront) DeleteRolePolicy(_ context.Context, in *iamapi.DeleteRolePolicyInput) (*iamapi.DeleteRolePolicyOutput, error) {
	return call(f.front, "DeleteRolePolicy", func() (*iamapi.DeleteRolePolicyOutput, error) {
		return &iamapi.DeleteRolePolicyOutput{}, f.drop(v(in.RoleName)+"/"+v(in.PolicyName), "NoSuchEntity")
	})
}

func (f *iamFront) TagRole(context.Context, *iamapi.TagRoleInput) (*iamapi.TagRoleOutput, error) {
	return call(f.front, "TagRole", func() (*iamapi.TagRoleOutput, error) { return &iamapi.TagRoleOutput{}, nil })
}

func (f *iamFront) DeleteRole(_ context.Context, in *iamapi.DeleteRoleInput) (*iamapi.DeleteRoleOutput, error) {
	return call(f.front, "DeleteRole", func() (*iamapi.DeleteRoleOutput, error) {
		return &iamapi.DeleteRoleOutput{}, f.drop(v(in.RoleName), "NoSuchEntity")
	})
}
