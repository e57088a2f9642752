// Package resource has CloudFormation's resource types: what properties each takes, and which API calls make, change,
// read and delete one.
//
// A type's functions are called by the runner of package cfn, one resource at a time, and again after a crash: New may be
// interrupted after the call that makes the thing, so Find looks for what it made; Apply, Remove and Read can be repeated.
// Calls go to the other services' generated interfaces in the same process. Nothing here knows templates, stacks or their
// states. Start at [Type] and [New].
package resource

import (
	"context"
	"time"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/awsapi/ecrapi"
	"github.com/neargate/neargate/internal/awsapi/ecsapi"
	"github.com/neargate/neargate/internal/awsapi/elbv2api"
	"github.com/neargate/neargate/internal/awsapi/iamapi"
	"github.com/neargate/neargate/internal/awsapi/logsapi"
	"github.com/neargate/neargate/internal/stack"
)

// Services are the APIs that the resource types call.
type Services struct {
	EC2   ec2api.API
	ECS   ecsapi.API
	ELBv2 elbv2api.API
	ECR   ecrapi.API
	Logs  logsapi.API
	IAM   iamapi.API
}

// Request is one step of one resource.
type Request struct {
	StackName  string
	StackARN   string
	LogicalID  string
	PhysicalID string         // empty for New and Find
	Token      string         // the same in all attempts of one step, different in every other
	Old        map[string]any // properties before an update; nil when the resource is new
	Properties map[string]any // properties as asked; of Remove: as they are
	OldTags    map[string]string
	Tags       map[string]string // of the stack, the properties, and CloudFormation's own
	Attributes Attributes        // as last read; of Remove
	Known      []string          // physical IDs that Find must not return: earlier resources of the same logical ID
	Since      time.Time         // when the step was begun: what Find finds by a name that the user chose must be newer
	Repeated   bool              // the step may have been begun before: what it makes may exist
}

// Attributes are the values of Fn::GetAtt: string or []string.
type Attributes map[string]any

// State is how far something is that takes time.
type State struct {
	Done bool
	Why  string // what it waits for
}

// Type is a resource type. Functions that a type does not need are nil.
type Type struct {
	stack.Type
	// New makes the resource and returns its physical ID.
	New func(ctx context.Context, r *Request) (string, error)
	// Find returns what an interrupted New has made.
	Find func(ctx context.Context, r *Request) (id string, found bool, err error)
	// Apply sets what New does not, and changes in place when Old is set.
	Apply func(ctx context.Context, r *Request) error
	// Ready says whether the resource can be used.
	Ready func(ctx context.Context, r *Request) (State, error)
	// Replaces decides on properties whose update is Conditionally.
	Replaces func(old, now map[string]any) bool
	// Remove begins to delete; an error that says "not found" counts as success.
	Remove func(ctx context.Context, r *Request) error
	// Gone says whether the resource no longer exists.
	Gone func(ctx context.Context, r *Request) (State, error)
	// Read returns the attributes.
	Read func(ctx context.Context, r *Request) (Attributes, error)
	// Live says that attributes change without an update of this resource, so they are read when they are used.
	Live bool
	// Named is the property that gives the resource a name of the user's: two of that name cannot exist side by side.
	Named string
	// Taggable says that the tags of the stack are put on it.
	Taggable bool
	// Timeout bounds Ready; 0 means the runner's default.
	Timeout time.Duration
}

// Registry is the set of resource types. It implements [stack.Types].
type Registry struct {
	types map[string]*Type
}

// Lookup returns what the engine has to know of a type.
func (g *Registry) Lookup(name string) (*stack.Type, bool) {
	t, ok := g.types[name]
	if !ok {
		return nil, false
	}
	return &t.Type, true
}

// Type returns a type, nil if it does not exist.
func (g *Registry) Type(name string) *Type { return g.types[name] }

// New returns all resource types, on top of these services.
func New(s Services) *Registry {
	g := &Registry{types: make(map[string]*Type)}
	ec2 := &ec2Types{api: s.EC2, d: ec2api.Description()}
	ecs := &ecsTypes{api: s.ECS, d: ecsapi.Description()}
	elb := &elbTypes{api: s.ELBv2, d: elbv2api.Description()}
	ecr := &ecrTypes{api: s.ECR, d: ecrapi.Description()}
	logs := &logsTypes{api: s.Logs, d: logsapi.Description()}
	iam := &iamTypes{api: s.IAM, d: iamapi.Description()}
	for _, list := range [][]*Type{ec2.vpcTypes(), ec2.routeTypes(), ec2.gatewayTypes(), ec2.securityGroupTypes(), ec2.interfaceTypes(),
		ecs.clusterTypes(), ecs.taskTypes(), ecs.serviceTypes(), elb.loadBalancerTypes(), elb.listenerTypes(), elb.targetGroupTypes(),
		ecr.types(), logs.types(), iam.roleTypes(), iam.policyTypes(), inertTypes()} {
		for _, t := range list {
			g.types[t.Name] = t
		}
	}
	return g
}

// props builds a table of properties: names are in place unless they carry a mark. "!" after a name means required, "*"
// that a change replaces the resource.
func props(names ...string) map[string]stack.Property {
	out := make(map[string]stack.Property, len(names))
	for _, name := range names {
		var p stack.Property
		for len(name) > 0 {
			switch name[len(name)-1] {
			case '!':
				p.Required = true
			case '*':
				p.Update = stack.Replace
			default:
				goto named
			}
			name = name[:len(name)-1]
		}
	named:
		out[name] = p
	}
	return out
}

// inertTypes are those that make nothing.
func inertTypes() []*Type {
	inert := func(name string, attributes ...string) *Type {
		return &Type{
			Type: stack.Type{Name: name, Properties: props("Analytics"), Attributes: attributes},
			New:  func(_ context.Context, r *Request) (string, error) { return r.Name(255), nil },
		}
	}
	return []*Type{inert("AWS::CloudFormation::WaitConditionHandle"), inert("AWS::CDK::Metadata")}
}

// p makes the pointers that the API types want.
func p[T any](v T) *T { return awsapi.Ptr(v) }
