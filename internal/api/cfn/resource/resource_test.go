package resource

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/neargate/neargate/internal/awsapi/ecsapi"
)

func TestName(t *testing.T) {
	r := &Request{StackName: "a-rather-long-stack-name", StackARN: "arn:1", LogicalID: "LoadBalancerSecurityGroup", Token: "t"}
	for _, limit := range []int{32, 64, 255} {
		name := r.Name(limit)
		if len(name) > limit || !strings.HasPrefix(name, "a-rather") || name != r.Name(limit) {
			t.Errorf("limit %d: %s (%d)", limit, name, len(name))
		}
	}
	other := *r
	other.Token = "u"
	if r.Name(64) == other.Name(64) {
		t.Error("two steps have the same name")
	}
	if got := r.shortName(); len(got) > 32 || !strings.HasPrefix(got, "a-rat-LoadB-") {
		t.Errorf("short name %s", got)
	}
}

func TestFill(t *testing.T) {
	text := `{"ContainerDefinitions": [{"Name": "a", "Essential": "true", "PortMappings": {"ContainerPort": "80"}, "Environment": [{"Name": "N", "Value": 1}],
		"LogConfiguration": {"LogDriver": "awslogs", "Options": {"n": 1, "b": true}}, "StopTimeout": 30.0}], "Cpu": 256, "RequiresCompatibilities": "FARGATE"}`
	r := &Request{LogicalID: "T", Properties: properties(t, text)}
	var in ecsapi.RegisterTaskDefinitionInput
	if err := r.fill(&in, "ContainerDefinitions", "Cpu", "RequiresCompatibilities", "Memory"); err != nil {
		t.Fatal(err)
	}
	want := ecsapi.RegisterTaskDefinitionInput{
		Cpu: p("256"), RequiresCompatibilities: []ecsapi.Compatibility{"FARGATE"},
		ContainerDefinitions: []ecsapi.ContainerDefinition{{
			Name: p("a"), Essential: p(true), PortMappings: []ecsapi.PortMapping{{ContainerPort: p(int32(80))}}, StopTimeout: p(int32(30)),
			Environment:      []ecsapi.KeyValuePair{{Name: p("N"), Value: p("1")}},
			LogConfiguration: &ecsapi.LogConfiguration{LogDriver: "awslogs", Options: map[string]string{"n": "1", "b": "true"}},
		}},
	}
	if diff := cmp.Diff(want, in); diff != "" {
		t.Error(diff)
	}
	for text, want := range map[string]string{
		`{"ContainerDefinitions": [{"name": "a"}]}`:                        "#/ContainerDefinitions/0: extraneous key [name] is not permitted",
		`{"ContainerDefinitions": [{"Name": ["a"]}]}`:                      "#/ContainerDefinitions/0/Name: expected type: String, found: JSONArray",
		`{"ContainerDefinitions": [{"StopTimeout": "1.5"}]}`:               "expected type: Integer, found: String",
		`{"ContainerDefinitions": [{"StopTimeout": 99999999999}]}`:         "expected type: Integer, found: Number",
		`{"ContainerDefinitions": [{"Essential": "yes"}]}`:                 "expected type: Boolean, found: String",
		`{"ContainerDefinitions": ["a"]}`:                                  "#/ContainerDefinitions/0: expected type: JSONObject, found: String",
		`{"ContainerDefinitions": [{"LogConfiguration": {"Options": 1}}]}`: "#/ContainerDefinitions/0/LogConfiguration/Options: expected type: Map, found: Number",
	} {
		r.Properties = properties(t, text)
		var in ecsapi.RegisterTaskDefinitionInput
		if err := r.fill(&in, "ContainerDefinitions"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

func TestPermission(t *testing.T) {
	r := &Request{LogicalID: "G"}
	for text, want := range map[string]string{
		`{"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80}`:              "exactly one of",
		`{"IpProtocol": "tcp", "CidrIp": "0.0.0.0/0", "CidrIpv6": "::/0"}`: "exactly one of",
		`{"FromPort": 80, "CidrIp": "0.0.0.0/0"}`:                          "required key [IpProtocol]",
		`{"IpProtocol": "tcp", "DestinationSecurityGroupId": "sg-1"}`:      "extraneous key [DestinationSecurityGroupId]",
		`{"IpProtocol": "tcp", "FromPort": "x", "CidrIp": "0.0.0.0/0"}`:    "expected type: Integer",
	} {
		if _, err := r.permission(properties(t, text), false, "#"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
	got, err := r.permission(properties(t, `{"IpProtocol": "tcp", "FromPort": "80", "ToPort": 81, "SourceSecurityGroupId": "sg-1", "Description": "d"}`), false, "#")
	if err != nil || *got.FromPort != 80 || *got.ToPort != 81 || *got.UserIdGroupPairs[0].GroupId != "sg-1" || *got.UserIdGroupPairs[0].Description != "d" {
		t.Errorf("%+v, %v", got, err)
	}
}

// Every type can do what the runner needs of it.
func TestTypesAreWhole(t *testing.T) {
	for name, typ := range New(Services{}).types {
		if typ.New == nil || typ.Name != name {
			t.Errorf("%s: no New, or another name: %s", name, typ.Name)
		}
		if len(typ.Attributes) > 0 && typ.Read == nil {
			t.Errorf("%s has attributes and no Read", name)
		}
		if _, ok := typ.Properties[typ.Named]; typ.Named != "" && !ok {
			t.Errorf("%s: no property %s", name, typ.Named)
		}
		if _, ok := typ.Properties["Tags"]; ok && !typ.Taggable {
			t.Errorf("%s has Tags and is not taggable", name)
		}
	}
}

func properties(t *testing.T, text string) map[string]any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var m map[string]any
	if err := dec.Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m
}
