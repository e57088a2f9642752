package cfn

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/neargate/neargate/internal/api/cfn/resource"
	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/cfnapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/stack"
	"github.com/neargate/neargate/internal/store"
)

// asked is what requests that bring a template have in common.
type asked struct {
	body, url        *string
	previousTemplate bool
	parameters       []cfnapi.Parameter
	tags             []cfnapi.Tag
	resourceTypes    []string
	notifications    []string
	rollback         *cfnapi.RollbackConfiguration
	policy           []*string // bodies and URLs of stack policies
}

// wanted is a template that was checked, with its parameters.
type wanted struct {
	body         string
	tmpl         *stack.Template
	parameters   map[string]string
	noEcho       []string
	capabilities []string
	tags         model.Tags
}

var (
	stackName   = regexp.MustCompile(`^[a-zA-Z][-a-zA-Z0-9]{0,127}$`)
	maxTagCount = 50
)

func checkName(field, name string) error {
	if !stackName.MatchString(name) {
		return invalid("1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*", name, field)
	}
	return nil
}

// templateBody returns the text of a request's template.
func templateBody(body, url *string) (string, error) {
	switch {
	case url != nil && body != nil:
		return "", invalid("Only one of Template URL or Template Body may be specified.")
	case url != nil:
		return "", unsupported("TemplateURL", "there is no S3 here yet; give the template in TemplateBody")
	case body == nil || *body == "":
		return "", invalid("Either Template URL or Template Body must be specified.")
	case len(*body) > stack.MaxTemplateBytes:
		return "", invalid("1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to %d", stack.MaxTemplateBytes)
	}
	return *body, nil
}

// parse reads a template and checks its references.
func (s *Server) parse(body string) (*stack.Template, error) {
	tmpl, err := stack.Parse(body)
	if err != nil {
		return nil, bad(err)
	}
	if err := tmpl.Check(s.types); err != nil {
		return nil, bad(err)
	}
	return tmpl, nil
}

// prepare checks everything of a request that can be checked before anything is made. st is the stack as it is, or the
// name and ARN of a new one.
func (s *Server) prepare(ctx context.Context, reader store.Reader, st *model.Stack, a asked) (*wanted, error) {
	for _, policy := range a.policy {
		if policy != nil {
			return nil, unsupported("StackPolicy", "stack policies are not enforced here")
		}
	}
	if len(a.notifications) > 0 {
		return nil, unsupported("NotificationARNs", "there are no SNS topics here")
	}
	if a.rollback != nil && (len(a.rollback.RollbackTriggers) > 0 || awsapi.Val(a.rollback.MonitoringTimeInMinutes) > 0) {
		return nil, unsupported("RollbackConfiguration", "there are no CloudWatch alarms here")
	}
	w := &wanted{}
	var err error
	if a.previousTemplate {
		if a.body != nil || a.url != nil {
			return nil, invalid("You cannot specify both usePreviousTemplate and Template Body/Template URL.")
		}
		w.body = st.Template
	} else if w.body, err = templateBody(a.body, a.url); err != nil {
		return nil, err
	}
	if w.tmpl, err = s.parse(w.body); err != nil {
		return nil, err
	}
	if len(a.resourceTypes) > 0 {
		for _, name := range w.tmpl.ResourceTypes() {
			if !slices.ContainsFunc(a.resourceTypes, func(allowed string) bool { return matchesType(allowed, name) }) {
				return nil, invalid("Resource type %s is not allowed by parameter ResourceTypes %v", name, a.resourceTypes)
			}
		}
	}
	if w.tags, err = stackTags(a.tags); err != nil {
		return nil, err
	}
	if err := s.bind(ctx, w, st, a); err != nil {
		return nil, err
	}
	return w, s.evaluate(reader, st, w)
}

// bind gives the parameters their values.
func (s *Server) bind(ctx context.Context, w *wanted, st *model.Stack, a asked) error {
	var given []stack.Given
	for _, p := range a.parameters {
		if awsapi.Val(p.UsePreviousValue) && p.ParameterValue != nil {
			return invalid("Invalid input for parameter key %s. Cannot specify usePreviousValue as true and non empty value for a parameter", awsapi.Val(p.ParameterKey))
		}
		given = append(given, stack.Given{Key: awsapi.Val(p.ParameterKey), Value: awsapi.Val(p.ParameterValue), UsePreviousValue: awsapi.Val(p.UsePreviousValue)})
	}
	var err error
	if w.parameters, err = w.tmpl.Resolve(given, st.Parameters); err != nil {
		return bad(err)
	}
	for _, p := range w.tmpl.Parameters {
		if p.NoEcho {
			w.noEcho = append(w.noEcho, p.Name)
		}
		kind, must := p.NamesSomething()
		if !must {
			continue
		}
		values := []string{w.parameters[p.Name]}
		if p.IsList() {
			values = nil
			list, _ := p.Value(w.parameters[p.Name]).([]any)
			for _, v := range list {
				text, _ := stack.Text(v)
				values = append(values, text)
			}
		}
		for _, v := range values {
			exists, err := s.exists(ctx, kind, v)
			if err != nil {
				return err
			}
			if !exists {
				return invalid("Parameter validation failed: parameter value %s for parameter name %s does not exist", v, p.Name)
			}
		}
	}
	return nil
}

// evaluate checks conditions, rules, types, the order of resources and the capabilities.
func (s *Server) evaluate(reader store.Reader, st *model.Stack, w *wanted) error {
	scope := s.newScope(reader, st, w.tmpl, w.parameters)
	if err := scope.Conditions(); err != nil {
		return bad(err)
	}
	if err := scope.Rules(); err != nil {
		return bad(err)
	}
	graph, err := scope.Graph()
	if err != nil {
		return bad(err)
	}
	if err := w.tmpl.Unrecognized(s.types, slices.Collect(maps.Keys(graph.Needs))); err != nil {
		return bad(err)
	}
	// Imports look at every value that will be needed, so what can be wrong with a value is found now. An export that is
	// missing is for the operation to say, as on AWS.
	if _, err := scope.Imports(); err != nil && !isMissingExport(err) {
		return bad(err)
	}
	return nil
}

func isMissingExport(err error) bool {
	var e *stack.Error
	return errors.As(err, &e) && strings.HasPrefix(e.Message, "No export named ")
}

// checkCapabilities asks for the acknowledgement that IAM resources need.
func (s *Server) checkCapabilities(w *wanted, given []cfnapi.Capability) error {
	for _, c := range given {
		w.capabilities = append(w.capabilities, string(c))
	}
	need, _ := w.tmpl.Capabilities(s.types)
	if need == "" || slices.Contains(w.capabilities, need) || slices.Contains(w.capabilities, "CAPABILITY_NAMED_IAM") {
		return nil
	}
	return awsapi.NewError(cfnapi.ErrInsufficientCapabilitiesException, "Requires capabilities : [%s]", need)
}

// matchesType matches AWS::EC2::VPC, AWS::EC2::* and AWS::*.
func matchesType(allowed, name string) bool {
	prefix, wild := strings.CutSuffix(allowed, "*")
	return allowed == name || wild && strings.HasPrefix(name, prefix)
}

func stackTags(tags []cfnapi.Tag) (model.Tags, error) {
	if len(tags) > maxTagCount {
		return nil, invalid("1 validation error detected: Value at 'tags' failed to satisfy constraint: Member must have length less than or equal to %d", maxTagCount)
	}
	out := make(model.Tags, len(tags))
	for _, t := range tags {
		key := awsapi.Val(t.Key)
		if strings.HasPrefix(key, "aws:") {
			return nil, invalid("User-defined tag keys can't start with aws:. Tag: %s", key)
		}
		if _, twice := out[key]; twice {
			return nil, invalid("Duplicate tag keys: %s", key)
		}
		out[key] = awsapi.Val(t.Value)
	}
	return out, nil
}

// exists reports whether the value of a parameter with one of AWS's own types names something.
func (s *Server) exists(ctx context.Context, kind, value string) (bool, error) {
	found := false
	var err error
	switch kind {
	case "AWS::EC2::AvailabilityZone::Name":
		return slices.Contains(zones(awsapi.RequestFrom(ctx).Region), value), nil
	case "AWS::EC2::VPC::Id":
		var out *ec2api.DescribeVpcsOutput
		if out, err = s.ec2.EC2.DescribeVpcs(ctx, &ec2api.DescribeVpcsInput{VpcIds: []string{value}}); err == nil {
			found = len(out.Vpcs) > 0
		}
	case "AWS::EC2::Subnet::Id":
		var out *ec2api.DescribeSubnetsOutput
		if out, err = s.ec2.EC2.DescribeSubnets(ctx, &ec2api.DescribeSubnetsInput{SubnetIds: []string{value}}); err == nil {
			found = len(out.Subnets) > 0
		}
	case "AWS::EC2::SecurityGroup::Id":
		var out *ec2api.DescribeSecurityGroupsOutput
		if out, err = s.ec2.EC2.DescribeSecurityGroups(ctx, &ec2api.DescribeSecurityGroupsInput{GroupIds: []string{value}}); err == nil {
			found = len(out.SecurityGroups) > 0
		}
	case "AWS::EC2::SecurityGroup::GroupName":
		var out *ec2api.DescribeSecurityGroupsOutput
		filter := ec2api.Filter{Name: awsapi.Ptr("group-name"), Values: []string{value}}
		if out, err = s.ec2.EC2.DescribeSecurityGroups(ctx, &ec2api.DescribeSecurityGroupsInput{Filters: []ec2api.Filter{filter}}); err == nil {
			found = len(out.SecurityGroups) > 0
		}
	}
	if err != nil {
		var aws *awsapi.Error
		if errors.As(err, &aws) {
			return false, nil // not found, or not even the form of an ID
		}
		return false, fmt.Errorf("look up parameter value %s: %w", value, err)
	}
	return found, nil
}

var _ stack.Types = (*resource.Registry)(nil)
