package codec_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/cfnapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/awsapi/ecsapi"
	"github.com/neargate/neargate/internal/awsapi/elbv2api"
	"github.com/neargate/neargate/internal/awsapi/logsapi"
	"github.com/neargate/neargate/internal/wire/codec"
)

func inputCodec(desc *awsapi.Service, operation string) *codec.Codec {
	op := desc.Operation(operation)
	return codec.Compile(op.Input, reflect.TypeOf(op.NewInput()).Elem())
}

func outputCodec(desc *awsapi.Service, operation string) *codec.Codec {
	op := desc.Operation(operation)
	return codec.Compile(op.Output, reflect.TypeOf(op.NewOutput()).Elem())
}

func TestDecodeJSON(t *testing.T) {
	c := inputCodec(ecsapi.Description(), "CreateService")
	body := ` { "serviceName" : "a\u00e9\n\"" , "desiredCount":2e0,"launchType":"FARGATE","loadBalancers":[ {"containerPort":80} , {} ],
		"enableECSManagedTags":true,"tags":[],"role":null,"networkConfiguration":{"awsvpcConfiguration":{"subnets":["s1",null,"s2"]}},
		"deploymentConfiguration":{"lifecycleHooks":[{"hookDetails":{"a":[1,{"b":"]}"}]}}]} } `
	var got ecsapi.CreateServiceInput
	if err := c.DecodeJSON([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	want := ecsapi.CreateServiceInput{
		ServiceName: awsapi.Ptr("aé\n\""), DesiredCount: awsapi.Ptr(int32(2)), LaunchType: ecsapi.LaunchTypeFargate,
		LoadBalancers:        []ecsapi.LoadBalancer{{ContainerPort: awsapi.Ptr(int32(80))}, {}},
		EnableECSManagedTags: awsapi.Ptr(true), Tags: []ecsapi.Tag{},
		NetworkConfiguration: &ecsapi.NetworkConfiguration{
			AwsvpcConfiguration: &ecsapi.AwsVpcConfiguration{Subnets: []string{"s1", "s2"}}},
		DeploymentConfiguration: &ecsapi.DeploymentConfiguration{
			LifecycleHooks: []ecsapi.DeploymentLifecycleHook{{HookDetails: awsapi.Document(`{"a":[1,{"b":"]}"}]}`)}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeJSONNamesTheMember(t *testing.T) {
	c := inputCodec(ecsapi.Description(), "RegisterTaskDefinition")
	cases := map[string]struct {
		body, name string
		unknown    bool
	}{
		"nested in a list": {body: `{"containerDefinitions":[{"portMappings":[{"containerPort":"80"}]}]}`, name: "containerDefinitions.portMappings.containerPort"},
		"map value":        {body: `{"containerDefinitions":[{"dockerLabels":{"a":1}}]}`, name: "containerDefinitions.dockerLabels"},
		"unknown":          {body: `{"containerDefinitions":[{"Image":"x"}]}`, name: "containerDefinitions.Image", unknown: true},
		"integer too big":  {body: `{"containerDefinitions":[{"cpu":4294967296}]}`, name: "containerDefinitions.cpu"},
		"integer in part":  {body: `{"containerDefinitions":[{"cpu":1.5}]}`, name: "containerDefinitions.cpu"},
		"list for string":  {body: `{"family":["a"]}`, name: "family"},
		"struct for list":  {body: `{"containerDefinitions":{}}`, name: "containerDefinitions"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var bad *codec.InputError
			err := c.DecodeJSON([]byte(tc.body), new(ecsapi.RegisterTaskDefinitionInput))
			if !errors.As(err, &bad) || bad.Name != tc.name || bad.Unknown != tc.unknown {
				t.Errorf("got %+v", err)
			}
		})
	}
}

func TestAppendJSON(t *testing.T) {
	at := time.UnixMilli(1700000000123).UTC()
	out := &ecsapi.DescribeTasksOutput{Tasks: []ecsapi.Task{{
		CreatedAt: &at, Group: awsapi.Ptr("a\"\\\x01\u2028\xff<"), Containers: []ecsapi.Container{}, Connectivity: ecsapi.ConnectivityConnected,
	}}}
	got := string(outputCodec(ecsapi.Description(), "DescribeTasks").AppendJSON(nil, out))
	want := `{"failures":[],"tasks":[{"connectivity":"CONNECTED","containers":[],"createdAt":1700000000.123,"group":"a\"\\\u0001` + "\u2028\uFFFD" + `<"}]}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestDecodeForm(t *testing.T) {
	form, err := codec.ParseForm("GroupId=sg-1&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=80&IpPermissions.1.IpRanges.2.CidrIp=b" +
		"&IpPermissions.1.IpRanges.1.CidrIp=a%2F8&IpPermissions.10.IpProtocol=udp&IpPermissions.2.IpProtocol=icmp&TagSpecification.1.Tag.1.Key=k+1&DryRun=True")
	if err != nil {
		t.Fatal(err)
	}
	var got ec2api.AuthorizeSecurityGroupIngressInput
	if err := inputCodec(ec2api.Description(), "AuthorizeSecurityGroupIngress").DecodeForm(form, codec.EC2Style(), &got); err != nil {
		t.Fatal(err)
	}
	want := ec2api.AuthorizeSecurityGroupIngressInput{
		GroupId: awsapi.Ptr("sg-1"), DryRun: awsapi.Ptr(true),
		IpPermissions: []ec2api.IpPermission{
			{IpProtocol: awsapi.Ptr("tcp"), FromPort: awsapi.Ptr(int32(80)), IpRanges: []ec2api.IpRange{{CidrIp: awsapi.Ptr("a/8")}, {CidrIp: awsapi.Ptr("b")}}},
			{IpProtocol: awsapi.Ptr("icmp")}, {IpProtocol: awsapi.Ptr("udp")},
		},
		TagSpecifications: []ec2api.TagSpecification{{Tags: []ec2api.Tag{{Key: awsapi.Ptr("k 1")}}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeQueryForm(t *testing.T) {
	form, err := codec.ParseForm("StackName=s&Capabilities.member.1=CAPABILITY_IAM&Parameters.member.1.ParameterKey=A&Parameters.member.1.ParameterValue=" +
		"&NotificationARNs=&Tags.member.1.Key=k")
	if err != nil {
		t.Fatal(err)
	}
	var got cfnapi.CreateStackInput
	if err := inputCodec(cfnapi.Description(), "CreateStack").DecodeForm(form, codec.QueryStyle(), &got); err != nil {
		t.Fatal(err)
	}
	want := cfnapi.CreateStackInput{
		StackName: awsapi.Ptr("s"), Capabilities: []cfnapi.Capability{cfnapi.CapabilityCapabilityIam},
		Parameters:       []cfnapi.Parameter{{ParameterKey: awsapi.Ptr("A"), ParameterValue: awsapi.Ptr("")}},
		NotificationARNs: []string{}, Tags: []cfnapi.Tag{{Key: awsapi.Ptr("k")}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestUnknownParameters(t *testing.T) {
	cases := map[string]struct{ encoded, name string }{
		"outermost":         {encoded: "Nope=1", name: "Nope"},
		"nested":            {encoded: "Filter.1.Nope=1", name: "Filter.1.Nope"},
		"list for a scalar": {encoded: "NextToken.1=1", name: "NextToken.1"},
		"not a number":      {encoded: "VpcId.x=1", name: "VpcId.x"},
	}
	c := inputCodec(ec2api.Description(), "DescribeVpcs")
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			form, err := codec.ParseForm(tc.encoded)
			if err != nil {
				t.Fatal(err)
			}
			var bad *codec.InputError
			if err := c.DecodeForm(form, codec.EC2Style(), new(ec2api.DescribeVpcsInput)); !errors.As(err, &bad) || !bad.Unknown || bad.Name != tc.name {
				t.Errorf("got %+v", err)
			}
		})
	}
}

func TestAppendXML(t *testing.T) {
	out := &ec2api.DescribeVpcsOutput{Vpcs: []ec2api.Vpc{{
		VpcId: awsapi.Ptr("vpc-1"), IsDefault: awsapi.Ptr(false), State: ec2api.VpcStateAvailable,
		Tags: []ec2api.Tag{{Key: awsapi.Ptr("a&b"), Value: awsapi.Ptr("")}}, CidrBlockAssociationSet: []ec2api.VpcCidrBlockAssociation{},
	}}}
	got := string(outputCodec(ec2api.Description(), "DescribeVpcs").AppendXML(nil, out))
	want := `<vpcSet><item><cidrBlockAssociationSet></cidrBlockAssociationSet><isDefault>false</isDefault><state>available</state>` +
		`<tagSet><item><key>a&amp;b</key><value></value></item></tagSet><vpcId>vpc-1</vpcId></item></vpcSet>`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	got = string(outputCodec(elbv2api.Description(), "DescribeTags").AppendXML(nil, &elbv2api.DescribeTagsOutput{}))
	if want := "<TagDescriptions></TagDescriptions>"; got != want {
		t.Errorf("empty: got %s, want %s", got, want)
	}
}

func TestEC2ListsAreItems(t *testing.T) {
	desc := ec2api.Description()
	seen := map[*awsapi.Shape]bool{}
	var walk func(path string, s *awsapi.Shape)
	walk = func(path string, s *awsapi.Shape) {
		if s == nil || seen[s] {
			return
		}
		seen[s] = true
		if s.Kind == awsapi.List && s.ElemName != "item" {
			t.Errorf("%s: elements are called %s", path, s.ElemName)
		}
		walk(path, s.Elem)
		for _, m := range s.Members {
			walk(path+"."+m.Name, m.Shape)
		}
	}
	for _, op := range desc.Operations {
		walk(op.Name, op.Output)
	}
}

// FuzzDecodeJSON checks that what is accepted survives being written and read again.
func FuzzDecodeJSON(f *testing.F) {
	task := inputCodec(ecsapi.Description(), "RegisterTaskDefinition")
	logs := inputCodec(logsapi.Description(), "PutLogEvents")
	f.Add(`{"family":"a","containerDefinitions":[{"name":"é\ud800","portMappings":[{"containerPort":1e2}],"dockerLabels":{"a":"b"},"environment":[]}]}`)
	f.Add(`{"logGroupName":"g","logStreamName":"s","logEvents":[{"timestamp":1,"message":"\n"}]}`)
	f.Add(`{"family":null,"family":"\"","tags":[{},null]}`)
	f.Fuzz(func(t *testing.T, body string) {
		roundTripJSON(t, task, body, new(ecsapi.RegisterTaskDefinitionInput), new(ecsapi.RegisterTaskDefinitionInput))
		roundTripJSON(t, logs, body, new(logsapi.PutLogEventsInput), new(logsapi.PutLogEventsInput))
	})
}

func roundTripJSON(t *testing.T, c *codec.Codec, body string, first, second any) {
	t.Helper()
	if err := c.DecodeJSON([]byte(body), first); err != nil {
		return
	}
	encoded := c.AppendJSON(nil, first)
	if !json.Valid(encoded) {
		t.Fatalf("wrote invalid JSON: %s", encoded)
	}
	if err := c.DecodeJSON(encoded, second); err != nil {
		t.Fatalf("cannot read own output %s: %v", encoded, err)
	}
	if again := c.AppendJSON(nil, second); string(again) != string(encoded) {
		t.Fatalf("%s became %s", encoded, again)
	}
}

// FuzzDecodeForm checks that any parameters are either refused or read into something that can be written.
func FuzzDecodeForm(f *testing.F) {
	ec2 := inputCodec(ec2api.Description(), "AuthorizeSecurityGroupIngress")
	elb := inputCodec(elbv2api.Description(), "CreateListener")
	f.Add("GroupId=sg-1&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=80&IpPermissions.1.IpRanges.1.CidrIp=0.0.0.0%2F0")
	f.Add("LoadBalancerArn=a&DefaultActions.member.1.Type=forward&DefaultActions.member.1.ForwardConfig.TargetGroups.member.1.Weight=1&DefaultActions.member.1.AuthenticateOidcConfig.AuthenticationRequestExtraParams.entry.1.key=a&DefaultActions.member.1.AuthenticateOidcConfig.AuthenticationRequestExtraParams.entry.1.value=b")
	f.Add("a.b.c..d=&.=&%=&=")
	f.Fuzz(func(t *testing.T, encoded string) {
		for _, c := range []struct {
			codec *codec.Codec
			style codec.FormStyle
			into  any
		}{{ec2, codec.EC2Style(), new(ec2api.AuthorizeSecurityGroupIngressInput)}, {elb, codec.QueryStyle(), new(elbv2api.CreateListenerInput)}} {
			form, err := codec.ParseForm(encoded)
			if err != nil {
				return
			}
			if err := c.codec.DecodeForm(form, c.style, c.into); err != nil {
				continue
			}
			if written := c.codec.AppendXML(nil, c.into); !isXML(string(written)) {
				t.Fatalf("wrote broken XML: %q", written)
			}
		}
	})
}

func isXML(body string) bool {
	return xml.Unmarshal([]byte("<a>"+body+"</a>"), new(struct{})) == nil
}

// FuzzText checks both ways to write a text against the standard library's readers.
func FuzzText(f *testing.F) {
	f.Add("a<b>&\"'\r\n\t\x00\xff\u2028\uFFFE")
	f.Fuzz(func(t *testing.T, text string) {
		var fromJSON string
		if err := json.Unmarshal(codec.AppendJSONString(nil, text), &fromJSON); err != nil {
			t.Fatal(err)
		}
		if utf8.ValidString(text) && fromJSON != text {
			t.Errorf("JSON: %q became %q", text, fromJSON)
		}
		var fromXML string
		if err := xml.Unmarshal([]byte("<a>"+string(codec.AppendXMLText(nil, text))+"</a>"), &fromXML); err != nil {
			t.Fatal(err)
		}
		isClean := utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool {
			return r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
		})
		if isClean && fromXML != text {
			t.Errorf("XML: %q became %q", text, fromXML)
		}
	})
}
