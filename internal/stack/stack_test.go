package stack

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the goldens")

// testTypes knows the types that the tests use.
type testTypes map[string]*Type

func (t testTypes) Lookup(name string) (*Type, bool) {
	typ, ok := t[name]
	return typ, ok
}

func types() testTypes {
	return testTypes{
		"AWS::EC2::VPC":         {Properties: map[string]Property{"CidrBlock": {Update: Replace}}, Attributes: []string{"CidrBlock", "Ipv6CidrBlocks"}},
		"AWS::EC2::Subnet":      {Properties: map[string]Property{"CidrBlock": {Update: Replace}, "VpcId": {Update: Replace, Required: true}}, Attributes: []string{"SubnetId"}},
		"AWS::IAM::Role":        {IAM: true, NameOf: "RoleName", Attributes: []string{"Arn"}},
		"AWS::ECS::Cluster":     {Attributes: []string{"Arn"}},
		"AWS::ECS::Service":     {Attributes: []string{"Name"}},
		"AWS::Logs::LogGroup":   {Attributes: []string{"Arn"}},
		"AWS::EC2::SubnetGroup": {Attributes: []string{"Outputs.*"}},
	}
}

func scope(t *testing.T, body string, given ...Given) *Scope {
	t.Helper()
	tmpl, err := Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	values, err := tmpl.Resolve(given, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &Scope{
		Template: tmpl, Parameters: values, Zones: []string{"us-east-1a", "us-east-1b", "us-east-1c"},
		Pseudo: Pseudo{Region: "us-east-1", AccountID: "000000000000", StackName: "demo", StackID: "arn:aws:cloudformation:us-east-1:000000000000:stack/demo/1"},
		Import: func(name string) (string, bool) {
			if !strings.HasPrefix(name, "vpc-") && !strings.HasPrefix(name, "cluster-") && !strings.HasPrefix(name, "auth-") {
				return "", false
			}
			return name + "-1," + name + "-2", true
		},
	}
}

const evalTemplate = `
AWSTemplateFormatVersion: 2010-09-09
Parameters:
  Name: {Type: String, Default: web}
  Count: {Type: Number, Default: 3}
  List: {Type: CommaDelimitedList, Default: 'a, b,c'}
Mappings:
  M: {one: {Cpu: 256, L: [x, y]}}
Conditions:
  Yes: !Equals [!Ref Name, web]
  No: !Not [!Condition Yes]
  Both: !And [!Condition Yes, !Or [!Condition No, !Equals [1, '1']]]
Resources:
  R:
    Type: AWS::EC2::VPC
    Properties:
      V: %s
`

func TestEval(t *testing.T) {
	tests := []struct{ name, expr, want string }{
		{"ref", `!Ref Name`, `"web"`},
		{"ref list", `!Ref List`, `["a","b","c"]`},
		{"number stays", `!Ref Count`, `"3"`},
		{"pseudo", `!Sub '${AWS::Region}-${AWS::AccountId}-${AWS::Partition}-${AWS::URLSuffix}-${AWS::StackName}'`, `"us-east-1-000000000000-aws-amazonaws.com-demo"`},
		{"sub map", `!Sub ['${A}-${Name}-${!Literal}-$x', {A: !Select [1, !Ref List]}]`, `"b-web-${Literal}-$x"`},
		{"join", `!Join ['-', [1, true, !Ref Name]]`, `"1-true-web"`},
		{"join of split", `!Join ['', !Split [',', 'x,y,,z']]`, `"xyz"`},
		{"select of azs", `!Select [1, !GetAZs '']`, `"us-east-1b"`},
		{"if true", `!If [Yes, 1, 2]`, `1`},
		{"if nested novalue in list", `[!If [No, a, !Ref 'AWS::NoValue'], b]`, `["b"]`},
		{"novalue in map", `{a: !Ref 'AWS::NoValue', b: !If [Both, 1, 2]}`, `{"b":1}`},
		{"find in map", `!FindInMap [M, one, Cpu]`, `256`},
		{"find list in map", `!FindInMap [M, one, L]`, `["x","y"]`},
		{"base64", `!Base64 hello`, `"aGVsbG8="`},
		{"cidr", `!Cidr ['10.0.0.0/16', 3, 8]`, `["10.0.0.0/24","10.0.1.0/24","10.0.2.0/24"]`},
		{"cidr v6", `!Select [1, !Cidr ['2600:1f16::/56', 4, 64]]`, `"2600:1f16:0:1::/64"`},
		{"import", `!Split [',', {'Fn::ImportValue': !Sub 'vpc-${Name}'}]`, `["vpc-web-1","vpc-web-2"]`},
		{"date is text", `2012-10-17`, `"2012-10-17"`},
		{"account is text", `012345678901`, `"012345678901"`},
		{"long form", `{'Fn::Join': [':', [a, {Ref: Name}]]}`, `"a:web"`},
		{"not a function", `{Ref: Name, x: 1}`, `{"Ref":"Name","x":1}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := scope(t, strings.Replace(evalTemplate, "%s", tt.expr, 1))
			got, err := s.Properties(s.Template.Resource("R"))
			if err != nil {
				t.Fatal(err)
			}
			text, _ := json.Marshal(got["V"])
			if string(text) != tt.want {
				t.Errorf("got %s, want %s", text, tt.want)
			}
		})
	}
}

func TestEvalErrors(t *testing.T) {
	tests := []struct{ name, expr, want string }{
		{"select out of range", `!Select [7, !Ref List]`, "Template error: Fn::Select  cannot select nonexistent value at index 7"},
		{"no mapping", `!FindInMap [M, two, Cpu]`, "Template error: Unable to get mapping for M::two::Cpu"},
		{"no export", `!ImportValue nothing`, "No export named nothing found"},
		{"import of a resource", `!ImportValue {Ref: R}`, "Template error: the attribute in Fn::ImportValue must not depend on any resources"},
		{"bad cidr", `!Cidr ['10.0.0.0/24', 3, 16]`, "Template error: Fn::Cidr"},
		{"other region", `!GetAZs eu-west-1`, "Template error: Fn::GetAZs"},
		{"list in sub", `!Sub '${List}'`, "is not a string"},
		{"sub name", `!Sub '${a b}'`, "Template error: variable names in Fn::Sub"},
		{"transform", `{'Fn::Transform': {Name: x}}`, "Fn::Transform is not supported"},
		{"length", `!Length [a]`, "AWS::LanguageExtensions"},
		{"equals in properties", `!Equals [a, b]`, "can only be used in the Conditions block"},
		{"two members", `{'Fn::Join': [',', []], other: 1}`, "must be the only member"},
		{"growth", `!Join ['` + strings.Repeat("x", 3000) + `', !Split [',', !Join ['` + strings.Repeat(",", 3000) + `', !Split [',', '` + strings.Repeat(",", 3000) + `']]]]`, "the value is too large"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := scope(t, strings.Replace(evalTemplate, "%s", tt.expr, 1))
			_, err := s.Properties(s.Template.Resource("R"))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{"empty", "", "Template format error: unsupported structure."},
		{"scalar", "hello", "Template format error: unsupported structure."},
		{"yaml", "Resources:\n  A: [\n", "Template format error: YAML not well-formed."},
		{"json", "{\n  \"Resources\": {,}\n}", "Template format error: JSON not well-formed. (line 2, column 16"},
		{"no resources", "Description: x", "Template format error: At least one Resources member must be defined."},
		{"unknown section", "Foo: 1\nResources: {A: {Type: T}}", "Invalid template property or properties [Foo]"},
		{"no type", "Resources:\n  A:\n    Properties: {}", "Every Resources object must contain a Type member. (line 3, column 5, at Resources/A)"},
		{"null", "Resources:\n  A:\n    Type: T\n    Properties:\n      X: {Y: }", "[/Resources/A/Properties/X/Y] 'null' values are not allowed in templates"},
		{"alias", "Resources:\n  A: &a\n    Type: T\n  B: *a", "YAML aliases are not allowed"},
		{"duplicate", "Resources:\n  A: {Type: T}\n  A: {Type: T}", `duplicate key "A"`},
		{"attribute", "Resources: {A: {Type: T, Foo: 1}}", "Invalid template resource property 'Foo'"},
		{"tag", "Resources: {A: {Type: T, Properties: {X: !Foo 1}}}", "unsupported YAML tag !Foo"},
		{"transform", "Transform: AWS::Serverless-2016-10-31\nResources: {A: {Type: T}}", "Transform [AWS::Serverless-2016-10-31] is not supported"},
		{"ssm", "Parameters: {P: {Type: 'AWS::SSM::Parameter::Value<String>'}}\nResources: {A: {Type: T}}", "parameters from Systems Manager are not supported"},
		{"parameter type", "Parameters: {P: {Type: Foo}}\nResources: {A: {Type: T}}", "Unrecognized parameter type: Foo"},
		{"name", "Resources: {a-b: {Type: T}}", "Resource name 'a-b' is non alphanumeric."},
		{"version", "AWSTemplateFormatVersion: 2011\nResources: {A: {Type: T}}", "is not a supported value for AWSTemplateFormatVersion"},
		{"policy", "Resources: {A: {Type: T, DeletionPolicy: Keep}}", "Unrecognized DeletionPolicy Keep"},
		{"creation policy", "Resources: {A: {Type: T, CreationPolicy: {}}}", "CreationPolicy is not supported for resource type T"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(tt.body)
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestCheckErrors(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{"ref", "Resources: {A: {Type: AWS::EC2::VPC, Properties: {X: !Ref B}}}", "Template format error: Unresolved resource dependencies [B] in the Resources block of the template"},
		{"output", "Resources: {A: {Type: AWS::EC2::VPC}}\nOutputs: {O: {Value: !Ref B}}", "Unresolved resource dependencies [B] in the Outputs block of the template"},
		{"sub", "Resources: {A: {Type: AWS::EC2::VPC, Properties: {X: !Sub '${B.C}'}}}", "Unresolved resource dependencies [B]"},
		{"depends on", "Resources: {A: {Type: AWS::EC2::VPC, DependsOn: B}}", "Unresolved resource dependencies [B]"},
		{"getatt", "Resources: {A: {Type: AWS::EC2::VPC, Properties: {X: !GetAtt B.C}}}", "Template error: instance of Fn::GetAtt references undefined resource B"},
		{"attribute", "Resources: {A: {Type: AWS::EC2::VPC}, B: {Type: T, Properties: {X: !GetAtt A.Foo}}}", "Template error: resource A does not support attribute type Foo in Fn::GetAtt"},
		{"condition", "Resources: {A: {Type: AWS::EC2::VPC, Condition: C}}", "Unresolved condition dependency C in the Resources block"},
		{"if", "Resources: {A: {Type: AWS::EC2::VPC, Properties: {X: !If [C, 1, 2]}}}", "Unresolved condition dependency C"},
		{"resource in condition", "Conditions: {C: !Equals [!Ref A, 1]}\nResources: {A: {Type: AWS::EC2::VPC}}", "Unresolved dependencies [A]. Cannot reference resources in the Conditions block of the template"},
		{"mapping", "Resources: {A: {Type: AWS::EC2::VPC, Properties: {X: !FindInMap [M, a, b]}}}", "Mapping named 'M' is not present"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tmpl, err := Parse(tt.body)
			if err != nil {
				t.Fatal(err)
			}
			if err := tmpl.Check(types()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestParameters(t *testing.T) {
	const body = `
Parameters:
  A: {Type: String, AllowedValues: [x, y], Default: x}
  B: {Type: Number, MinValue: 1, MaxValue: 10, Default: 5}
  C: {Type: String, AllowedPattern: '[a-z]+', MinLength: 2, MaxLength: 4, Default: abc}
  D: {Type: Number, MinValue: 0, Default: 1, ConstraintDescription: must be positive}
  E: {Type: List<Number>, Default: '1,2'}
  F: {Type: String}
Resources: {R: {Type: AWS::EC2::VPC}}`
	tests := []struct {
		name  string
		given []Given
		want  string
	}{
		{"missing", nil, "Parameters: [F] must have values"},
		{"unknown", []Given{{Key: "X", Value: "1"}}, "Parameters: [X] do not exist in the template"},
		{"allowed values", []Given{{Key: "A", Value: "z"}}, "Parameter 'A' must be one of AllowedValues"},
		{"number", []Given{{Key: "B", Value: "z"}}, "Parameter 'B' must be a number"},
		{"low", []Given{{Key: "B", Value: "0"}}, "Parameter 'B' must be a number not less than 1"},
		{"high", []Given{{Key: "B", Value: "11"}}, "Parameter 'B' must be a number not greater than 10"},
		{"pattern", []Given{{Key: "C", Value: "ABC"}}, "Parameter 'C' must match pattern [a-z]+"},
		{"short", []Given{{Key: "C", Value: "a"}}, "Parameter 'C' must contain at least 2 characters"},
		{"long", []Given{{Key: "C", Value: "abcde"}}, "Parameter 'C' must contain at most 4 characters"},
		{"description", []Given{{Key: "D", Value: "-1"}}, "Parameter D failed to satisfy constraint: must be positive"},
		{"list element", []Given{{Key: "E", Value: "1,x"}}, "Parameter 'E' must be a number"},
		{"no previous", []Given{{Key: "F", UsePreviousValue: true}}, "Cannot specify usePreviousValue as true"},
	}
	tmpl, err := Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tmpl.Resolve(tt.given, nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	got, err := tmpl.Resolve([]Given{{Key: "F", UsePreviousValue: true}}, map[string]string{"F": "before"})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"A": "x", "B": "5", "C": "abc", "D": "1", "E": "1,2", "F": "before"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRules(t *testing.T) {
	const body = `
Parameters: {V: {Type: String, Default: '%s'}}
Rules:
  Check:
    Assertions:
    - Assert: {'Fn::Not': [{'Fn::Contains': [['1', '2'], {Ref: V}]}]}
      AssertDescription: version 3 is needed
Resources: {R: {Type: AWS::EC2::VPC}}`
	if err := scope(t, strings.Replace(body, "%s", "3", 1)).Rules(); err != nil {
		t.Error(err)
	}
	if err := scope(t, strings.Replace(body, "%s", "2", 1)).Rules(); err == nil || !strings.Contains(err.Error(), "version 3 is needed") {
		t.Errorf("got %v", err)
	}
}

func TestCircle(t *testing.T) {
	s := scope(t, "Resources: {A: {Type: T, DependsOn: B}, B: {Type: T, Properties: {X: !GetAtt C.Y}}, C: {Type: T, Properties: {X: !Sub '${A}'}}, D: {Type: T, DependsOn: A}, E: {Type: T}}")
	_, err := s.Graph()
	if err == nil || err.Error() != "Circular dependency between resources: [A, B, C]" {
		t.Errorf("got %v", err)
	}
	c := scope(t, "Conditions: {A: !Not [!Condition B], B: !Not [!Condition A]}\nResources: {R: {Type: T, Condition: A}}")
	if err := c.Conditions(); err == nil || !strings.Contains(err.Error(), "Circular dependencies in conditions") {
		t.Errorf("got %v", err)
	}
}

func TestInactiveIsUnresolved(t *testing.T) {
	s := scope(t, "Conditions: {No: !Equals [a, b]}\nResources: {A: {Type: T, Condition: No}, B: {Type: T, DependsOn: A, Properties: {X: !If [No, !Ref A, none]}}, C: {Type: T, Properties: {X: !Ref A}}}")
	if _, err := s.Properties(s.Template.Resource("B")); err != nil {
		t.Error(err)
	}
	if _, err := s.Properties(s.Template.Resource("C")); err == nil || !strings.Contains(err.Error(), "Unresolved resource dependencies [A]") {
		t.Errorf("got %v", err)
	}
}

func TestDiff(t *testing.T) {
	const body = `
Resources:
  VPC: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16, EnableDnsSupport: true}}
  SubnetA: {Type: AWS::EC2::Subnet, Properties: {VpcId: !Ref VPC, CidrBlock: 10.0.0.0/24, MapPublicIpOnLaunch: true}}
  New: {Type: AWS::Logs::LogGroup}`
	deployed := func(cidr string) map[string]Deployed {
		return map[string]Deployed{
			"VPC":     {LogicalID: "VPC", PhysicalID: "vpc-1", Type: "AWS::EC2::VPC", Properties: map[string]any{"CidrBlock": cidr, "EnableDnsSupport": "true"}},
			"SubnetA": {LogicalID: "SubnetA", PhysicalID: "subnet-1", Type: "AWS::EC2::Subnet", Properties: map[string]any{"VpcId": "vpc-1", "CidrBlock": "10.0.0.0/24"}, Needs: []string{"VPC"}},
			"Gone":    {LogicalID: "Gone", PhysicalID: "gone-1", Type: "AWS::ECS::Cluster", Needs: []string{"SubnetA"}},
			"Kept":    {LogicalID: "Kept", PhysicalID: "kept-1", Type: "AWS::ECS::Cluster", Policies: [2]string{"Retain", ""}},
		}
	}
	for name, cidr := range map[string]string{"in-place": "10.0.0.0/16", "replace": "10.1.0.0/16"} {
		s := scope(t, body)
		old := deployed(cidr)
		for id, kind := range map[string]string{"Kept": "Retain"} {
			r := old[id]
			r.Policies[0] = kind
			old[id] = r
		}
		changes, err := Diff(s, old, types())
		if err != nil {
			t.Fatal(err)
		}
		plan, err := MakePlan(s, old)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := json.MarshalIndent(map[string]any{"Changes": changes, "Plan": plan}, "", "  ")
		golden(t, "diff-"+name, string(text)+"\n")
	}
}

// The variants of issue 2, 9.2.
func TestWiddixPlans(t *testing.T) {
	variants := []struct {
		name, file string
		given      []Given
	}{
		{"cluster", "cluster", []Given{{Key: "ParentVPCStack", Value: "vpc"}}},
		{"cluster-internal", "cluster", []Given{{Key: "ParentVPCStack", Value: "vpc"}, {Key: "LoadBalancerScheme", Value: "internal"}}},
		{"cluster-auth", "cluster", []Given{{Key: "ParentVPCStack", Value: "vpc"}, {Key: "ParentAuthProxyStack", Value: "auth"}}},
		{"service-public", "service-dedicated-alb", service()},
		{"service-private", "service-dedicated-alb", service(Given{Key: "SubnetsReach", Value: "Private"})},
		{"service-internal", "service-dedicated-alb", service(Given{Key: "LoadBalancerScheme", Value: "internal"}, Given{Key: "SubnetsReach", Value: "Private"})},
		{"service-proxy-sidecar-spot", "service-dedicated-alb", service(Given{Key: "ProxyImage", Value: "proxy:1"}, Given{Key: "SidecarImage", Value: "side:1"},
			Given{Key: "AppCommand", Value: "/app,-v"}, Given{Key: "AppEnvironment1Key", Value: "K"}, Given{Key: "AppEnvironment1Value", Value: "V"}, Given{Key: "Spot", Value: "true"})},
	}
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			body, err := os.ReadFile(filepath.Join("testdata/widdix", v.file+".yaml"))
			if err != nil {
				t.Fatal(err)
			}
			s := scope(t, string(body), v.given...)
			if err := s.Template.Check(types()); err != nil {
				t.Fatal(err)
			}
			if err := s.Conditions(); err != nil {
				t.Fatal(err)
			}
			s.AllowUnknown = true
			plan, err := MakePlan(s, nil)
			if err != nil {
				t.Fatal(err)
			}
			imports, err := s.Imports()
			if err != nil {
				t.Fatal(err)
			}
			type resource struct {
				Step       Step
				Properties any
			}
			var resources []resource
			for _, step := range plan.Forward {
				properties, err := s.Properties(s.Template.Resource(step.LogicalID))
				if err != nil {
					t.Fatal(err)
				}
				resources = append(resources, resource{step, properties})
			}
			text, _ := json.MarshalIndent(map[string]any{"Imports": imports, "Resources": resources}, "", "  ")
			golden(t, "widdix-"+v.name, string(text)+"\n")
		})
	}
}

func service(more ...Given) []Given {
	return append([]Given{{Key: "ParentVPCStack", Value: "vpc"}, {Key: "ParentClusterStack", Value: "cluster"}, {Key: "AppImage", Value: "app:1"}, {Key: "AutoScaling", Value: "false"}}, more...)
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata/golden", name+".json")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}
