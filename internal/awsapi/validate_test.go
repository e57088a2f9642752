package awsapi_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/cfnapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/awsapi/ecrapi"
	"github.com/neargate/neargate/internal/awsapi/ecsapi"
	"github.com/neargate/neargate/internal/awsapi/elbv2api"
	"github.com/neargate/neargate/internal/awsapi/iamapi"
	"github.com/neargate/neargate/internal/awsapi/logsapi"
	"github.com/neargate/neargate/internal/awsapi/stsapi"
)

func descriptions() []*awsapi.Service {
	return []*awsapi.Service{
		ec2api.Description(), ecsapi.Description(), elbv2api.Description(), ecrapi.Description(), logsapi.Description(),
		iamapi.Description(), stsapi.Description(), cfnapi.Description(),
	}
}

func TestValidate(t *testing.T) {
	p := awsapi.Ptr[string]
	cases := map[string]struct {
		service   *awsapi.Service
		operation string
		in        any
		want      []awsapi.Violation
	}{
		"good": {service: ec2api.Description(), operation: "DeleteVpc", in: &ec2api.DeleteVpcInput{VpcId: p("vpc-1")}},
		"required": {service: ec2api.Description(), operation: "DeleteVpc", in: &ec2api.DeleteVpcInput{},
			want: []awsapi.Violation{{Rule: awsapi.RuleRequired, Path: "vpcId", Parameter: "VpcId", Constraint: "Member must not be null"}}},
		"required, in a list": {service: iamapi.Description(), operation: "TagRole",
			in: &iamapi.TagRoleInput{RoleName: p("r"), Tags: []iamapi.Tag{{Key: p("a"), Value: p("b")}, {Key: p("c")}}},
			want: []awsapi.Violation{{Rule: awsapi.RuleRequired, Path: "tags.2.member.value", Parameter: "Tags.2.Value",
				Constraint: "Member must not be null"}}},
		"enum, in a list": {service: cfnapi.Description(), operation: "CreateStack",
			in: &cfnapi.CreateStackInput{StackName: p("s"), Capabilities: []cfnapi.Capability{"CAPABILITY_IAM", "X"}},
			want: []awsapi.Violation{{Rule: awsapi.RuleEnum, Path: "capabilities.2.member", Parameter: "Capabilities.2", Value: "X",
				Constraint: "Member must satisfy enum value set: [CAPABILITY_IAM, CAPABILITY_NAMED_IAM, CAPABILITY_AUTO_EXPAND]"}}},
		"range": {service: elbv2api.Description(), operation: "DescribeLoadBalancers",
			in: &elbv2api.DescribeLoadBalancersInput{PageSize: awsapi.Ptr(int32(401))},
			want: []awsapi.Violation{{Rule: awsapi.RuleRange, Path: "pageSize", Parameter: "PageSize", Value: "401",
				Constraint: "Member must have value less than or equal to 400"}}},
		"length and pattern": {service: logsapi.Description(), operation: "CreateLogGroup",
			in: &logsapi.CreateLogGroupInput{LogGroupName: p("")},
			want: []awsapi.Violation{
				{Rule: awsapi.RuleLength, Path: "logGroupName", Parameter: "logGroupName", Constraint: "Member must have length greater than or equal to 1"},
				{Rule: awsapi.RulePattern, Path: "logGroupName", Parameter: "logGroupName", Constraint: `Member must satisfy regular expression pattern: [\.\-_/#A-Za-z0-9]+`}}},
		"length counts characters": {service: iamapi.Description(), operation: "CreatePolicy",
			in: &iamapi.CreatePolicyInput{PolicyName: p("p"), PolicyDocument: p("{}"), Description: p(strings.Repeat("é", 1000))}},
		"map entry": {service: logsapi.Description(), operation: "TagLogGroup",
			in: &logsapi.TagLogGroupInput{LogGroupName: p("g"), Tags: map[string]string{"a": strings.Repeat("x", 257)}},
			want: []awsapi.Violation{{Rule: awsapi.RuleLength, Path: "tags.a", Parameter: "tags.a", Value: strings.Repeat("x", 257),
				Constraint: "Member must have length less than or equal to 256"}}},
		"pattern matches the whole": {service: iamapi.Description(), operation: "GetRole",
			in: &iamapi.GetRoleInput{RoleName: p("ok\nno")},
			want: []awsapi.Violation{{Rule: awsapi.RulePattern, Path: "roleName", Parameter: "RoleName", Value: "ok\nno",
				Constraint: `Member must satisfy regular expression pattern: [\w+=,.@-]+`}}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := c.service.Operation(c.operation).Validate(c.in)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestPatterns lists the patterns that Go cannot check: the values are accepted as they are.
func TestPatterns(t *testing.T) {
	unchecked := map[string]bool{}
	seen := map[*awsapi.Shape]bool{}
	var walk func(s *awsapi.Shape)
	walk = func(s *awsapi.Shape) {
		if s == nil || seen[s] {
			return
		}
		seen[s] = true
		if _, err := awsapi.CompilePattern(s.Pattern); err != nil {
			unchecked[s.Name+" "+s.Pattern] = true
		}
		walk(s.Elem)
		for _, m := range s.Members {
			walk(m.Shape)
		}
	}
	for _, desc := range descriptions() {
		for _, op := range desc.Operations {
			walk(op.Input)
		}
	}
	if diff := cmp.Diff(map[string]bool{}, unchecked); diff != "" {
		t.Error(diff)
	}
}

func TestCompilePattern(t *testing.T) {
	cases := []struct {
		pattern, value string
		want           bool
	}{
		{pattern: "[a-z]+", value: "abc", want: true},
		{pattern: "[a-z]+", value: "abc1", want: false},
		{pattern: "a|b", value: "bc", want: false},
		{pattern: `[\u0020-\u00FF]+`, value: "é", want: true},
		{pattern: `[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\r\n\t]*`, value: "a😀\n", want: true},
		{pattern: `^a$`, value: "a", want: true},
	}
	for _, c := range cases {
		re, err := awsapi.CompilePattern(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
		} else if re.MatchString(c.value) != c.want {
			t.Errorf("%s on %q: %v", c.pattern, c.value, !c.want)
		}
	}
}

func TestDescriptions(t *testing.T) {
	for _, desc := range descriptions() {
		if len(desc.Operations) == 0 || desc.Version == "" || desc.SigningName == "" {
			t.Errorf("%s: %+v", desc.Name, desc)
		}
		for _, op := range desc.Operations {
			if op.Bind(struct{}{}) != nil {
				t.Errorf("%s %s is bound to nothing", desc.Name, op.Name)
			}
		}
	}
	if got := iamapi.Description().ErrorStatus(iamapi.ErrNoSuchEntity); got != 404 {
		t.Errorf("NoSuchEntity has status %d", got)
	}
	if got := ecsapi.Description().ErrorStatus(ecsapi.ErrServerException); got != 500 {
		t.Errorf("ServerException has status %d", got)
	}
	_ = ecrapi.API(nil)
}
