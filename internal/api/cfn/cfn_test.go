package cfn_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/neargate/neargate/internal/api/cfn"
	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/cfnapi"
	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/store"
	"github.com/neargate/neargate/internal/store/mem"
	"github.com/neargate/neargate/internal/store/storetest"
)

// world is a store, a cloud and the server that lives in them, until it is killed and followed by another.
type world struct {
	t       *testing.T
	backend store.Backend
	cloud   *cloud
	ctx     context.Context
	front   *front
	server  *cfn.Server
	died    chan struct{}
	stop    context.CancelFunc
	ended   chan struct{}
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, backend: mem.New(), cloud: newCloud()}
	w.ctx = awsapi.WithRequest(t.Context(), awsapi.Request{Account: "000000000000", Region: "us-east-1", Principal: "arn:aws:iam::000000000000:root"})
	w.start(0, false)
	return w
}

// start runs a server that dies at a call, before or after its effect.
func (w *world) start(killAt int, after bool) {
	db, tables := storetest.On(w.t, w.backend)
	ctx, cancel := context.WithCancel(context.Background())
	died := make(chan struct{})
	w.cloud.mu.Lock()
	w.cloud.calls = nil
	w.cloud.mu.Unlock()
	w.front = &front{cloud: w.cloud, killAt: killAt, killAfter: after}
	w.front.kill = func() {
		close(died)
		cancel()
		db.Close() // what it still wants to write is lost
	}
	w.server = cfn.New(cfn.Options{DB: db, Tables: tables, Clock: clock.New(1), Services: w.front.services(), Poll: time.Millisecond, Timeout: 10 * time.Second, Retry: 10 * time.Second})
	w.died, w.stop, w.ended = died, cancel, make(chan struct{})
	server, ended := w.server, w.ended
	go func() {
		defer close(ended)
		_ = server.Run(ctx)
	}()
	w.t.Cleanup(func() {
		cancel()
		<-ended
	})
}

// until waits for what a running operation is about to do. The end of patience is far away; it only ends a test that is broken.
func (w *world) until(what string, so func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(time.Minute); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("not within a minute: %s", what)
		}
	}
}

func params(pairs ...string) []cfnapi.Parameter {
	var out []cfnapi.Parameter
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, cfnapi.Parameter{ParameterKey: s(pairs[i]), ParameterValue: s(pairs[i+1])})
	}
	return out
}

func (w *world) create(name, body string, pairs ...string) {
	w.t.Helper()
	_, err := w.server.CreateStack(w.ctx, &cfnapi.CreateStackInput{StackName: &name, TemplateBody: &body, Parameters: params(pairs...), Capabilities: []cfnapi.Capability{"CAPABILITY_IAM"}})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) update(name, body string, pairs ...string) {
	w.t.Helper()
	_, err := w.server.UpdateStack(w.ctx, &cfnapi.UpdateStackInput{StackName: &name, TemplateBody: &body, Parameters: params(pairs...), Capabilities: []cfnapi.Capability{"CAPABILITY_IAM"}})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) remove(name string) {
	w.t.Helper()
	if _, err := w.server.DeleteStack(w.ctx, &cfnapi.DeleteStackInput{StackName: &name}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) stack(name string) cfnapi.Stack {
	w.t.Helper()
	out, err := w.server.DescribeStacks(w.ctx, &cfnapi.DescribeStacksInput{StackName: &name})
	if err != nil {
		w.t.Fatal(err)
	}
	return out.Stacks[0]
}

// wait waits for a state that does not change by itself, or for the server's death.
func (w *world) wait(name string) string {
	w.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		select {
		case <-w.died:
			return "DIED"
		default:
		}
		out, err := w.server.DescribeStacks(w.ctx, &cfnapi.DescribeStacksInput{StackName: &name})
		if err != nil {
			return "GONE"
		}
		if status := string(out.Stacks[0].StackStatus); !strings.HasSuffix(status, "_IN_PROGRESS") {
			return status
		}
		time.Sleep(time.Millisecond)
	}
	w.t.Fatalf("stack %s does not settle:\n%s", name, strings.Join(w.events(name), "\n"))
	return ""
}

func (w *world) expect(name, status string) {
	w.t.Helper()
	if got := w.wait(name); got != status {
		w.t.Fatalf("stack %s is %s, want %s:\n%s", name, got, status, strings.Join(w.events(name), "\n"))
	}
}

// events returns the history, oldest first.
func (w *world) events(name string) []string {
	out, err := w.server.DescribeStackEvents(w.ctx, &cfnapi.DescribeStackEventsInput{StackName: &name})
	if err != nil {
		return []string{err.Error()}
	}
	var lines []string
	for _, e := range out.StackEvents {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s", v(e.LogicalResourceId), e.ResourceStatus, v(e.ResourceStatusReason))))
	}
	slices.Reverse(lines)
	return lines
}

func demo(t *testing.T) string {
	body, err := os.ReadFile("../../../examples/web-api/template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// What the demo is made of. Rules: two default ones were replaced by those of the template, plus the chained one.
var demoCensus = map[string]int{
	"vpc": 1, "igw": 1, "attachment": 1, "subnet": 4, "rtb": 3, "route": 3, "association": 4, "eip": 2, "nat": 2, "sg": 2, "rule": 4, "lb": 1, "tg": 1,
	"listener": 1, "loggroup": 1, "role": 2, "policy": 1, "cluster": 1, "taskdef": 1, "service": 1,
}

func TestCreateUpdateDelete(t *testing.T) {
	w := newWorld(t)
	w.create("demo", demo(t), "Image", "api:1")
	w.expect("demo", "CREATE_COMPLETE")
	if diff := cmp.Diff(demoCensus, w.cloud.census()); diff != "" {
		t.Error(diff)
	}
	outputs := make(map[string]string)
	for _, o := range w.stack("demo").Outputs {
		outputs[v(o.OutputKey)] = v(o.OutputValue)
	}
	if !strings.HasPrefix(outputs["URL"], "http://demo-LoadB-") || !strings.HasSuffix(outputs["URL"], ".elb.amazonaws.com") {
		t.Errorf("outputs: %v", outputs)
	}

	before := w.cloud.find("taskdef")
	w.update("demo", demo(t), "Image", "api:2")
	w.expect("demo", "UPDATE_COMPLETE")
	if diff := cmp.Diff(demoCensus, w.cloud.census()); diff != "" {
		t.Error(diff)
	}
	if after := w.cloud.find("taskdef"); slices.Equal(before, after) {
		t.Errorf("the revision was not replaced: %v", after)
	}

	body, name := demo(t), "demo"
	_, err := w.server.UpdateStack(w.ctx, &cfnapi.UpdateStackInput{StackName: &name, TemplateBody: &body, Parameters: params("Image", "api:2"), Capabilities: []cfnapi.Capability{"CAPABILITY_IAM"}})
	if err == nil || !strings.Contains(err.Error(), "No updates are to be performed.") {
		t.Errorf("got %v", err)
	}

	arn := v(w.stack("demo").StackId)
	w.remove("demo")
	w.expect(arn, "DELETE_COMPLETE")
	if left := w.cloud.census(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if len(w.cloud.violated) > 0 {
		t.Errorf("deleted too early: %v", w.cloud.violated)
	}
	if _, err := w.server.DescribeStacks(w.ctx, &cfnapi.DescribeStacksInput{StackName: &name}); err == nil || !strings.Contains(err.Error(), "Stack with id demo does not exist") {
		t.Errorf("got %v", err)
	}
}

func TestFailureRollsBackAndNamesTheCauseFirst(t *testing.T) {
	w := newWorld(t)
	w.cloud.fail["CreateCluster"] = awsapi.NewError("InvalidParameterException", "no cluster today")
	w.create("demo", demo(t), "Image", "api:1")
	w.expect("demo", "ROLLBACK_COMPLETE")
	if left := w.cloud.census(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	var failed []string
	for _, e := range w.events("demo") {
		if strings.Contains(e, "CREATE_FAILED") {
			failed = append(failed, e)
		}
	}
	if len(failed) == 0 || !strings.HasPrefix(failed[0], "Cluster CREATE_FAILED Resource handler returned message: \"no cluster today (Service: ECS, Status Code: 400") {
		t.Errorf("failed: %q", failed)
	}
	for _, e := range failed[1:] {
		if !strings.HasSuffix(e, "Resource creation cancelled") {
			t.Errorf("second cause: %s", e)
		}
	}
	if reason := v(w.stack("demo").StackStatusReason); reason != "" {
		t.Errorf("reason %q", reason)
	}
	if !slices.ContainsFunc(w.events("demo"), func(e string) bool {
		return strings.HasPrefix(e, "demo ROLLBACK_IN_PROGRESS The following resource(s) failed to create: [Cluster")
	}) {
		t.Errorf("events: %q", w.events("demo"))
	}
	w.remove("demo")
	if got := w.wait("demo"); got != "GONE" {
		t.Errorf("got %s", got)
	}
}

func TestFailedUpdateGoesBack(t *testing.T) {
	for _, image := range []string{"api:broken", "api:fail"} {
		t.Run(image, func(t *testing.T) {
			w := newWorld(t)
			w.create("demo", demo(t), "Image", "api:1")
			w.expect("demo", "CREATE_COMPLETE")
			before := w.cloud.find("taskdef")
			if image == "api:fail" {
				w.cloud.fail["UpdateService"] = awsapi.NewError("InvalidParameterException", "no")
			}
			w.update("demo", demo(t), "Image", image)
			if image == "api:fail" {
				// The way back needs the call too, and so fails until it works again.
				if got := w.wait("demo"); got == "UPDATE_ROLLBACK_FAILED" {
					w.cloud.mu.Lock()
					delete(w.cloud.fail, "UpdateService")
					w.cloud.mu.Unlock()
					if _, err := w.server.ContinueUpdateRollback(w.ctx, &cfnapi.ContinueUpdateRollbackInput{StackName: s("demo")}); err != nil {
						t.Fatal(err)
					}
				}
			}
			w.expect("demo", "UPDATE_ROLLBACK_COMPLETE")
			if diff := cmp.Diff(demoCensus, w.cloud.census()); diff != "" {
				t.Error(diff)
			}
			if after := w.cloud.find("taskdef"); !slices.Equal(before, after) {
				t.Errorf("revisions %v, before %v", after, before)
			}
			if got := w.cloud.things[w.cloud.find("service")[0]].text["taskdef"]; got != before[0] {
				t.Errorf("the service runs %s, want %s", got, before[0])
			}
		})
	}
}

func TestExportsAndImports(t *testing.T) {
	w := newWorld(t)
	const importer = `
Resources:
  Subnet: {Type: AWS::EC2::Subnet, Properties: {VpcId: !ImportValue net-vpc, CidrBlock: 10.0.0.0/24}}`
	w.create("app", importer)
	w.expect("app", "ROLLBACK_COMPLETE")
	if !slices.Contains(w.events("app"), "app ROLLBACK_IN_PROGRESS No export named net-vpc found. Rollback requested by user.") {
		t.Errorf("events: %q", w.events("app"))
	}
	w.remove("app")
	if got := w.wait("app"); got != "GONE" {
		t.Fatal(got)
	}
	const exporter = `
Parameters: {Block: {Type: String, Default: 10.0.0.0/16}}
Resources:
  VPC: {Type: AWS::EC2::VPC, Properties: {CidrBlock: !Ref Block}}
  Other: {Type: AWS::Logs::LogGroup}
Outputs:
  Vpc: {Value: !Ref VPC, Export: {Name: net-vpc}}`
	w.create("net", exporter)
	w.expect("net", "CREATE_COMPLETE")
	w.create("app", importer)
	w.expect("app", "CREATE_COMPLETE")
	_, err := w.server.DeleteStack(w.ctx, &cfnapi.DeleteStackInput{StackName: s("net")})
	if err == nil || !strings.Contains(err.Error(), "Export net-vpc cannot be deleted as it is in use by app") {
		t.Errorf("got %v", err)
	}
	w.update("net", strings.Replace(exporter, "Default: 10.0", "Default: 10.1", 1))
	w.expect("net", "UPDATE_ROLLBACK_COMPLETE")
	if !slices.Contains(w.events("net"), "net UPDATE_ROLLBACK_IN_PROGRESS Export net-vpc cannot be updated as it is in use by app.") {
		t.Errorf("events: %q", w.events("net"))
	}
	if got := w.cloud.census(); got["vpc"] != 1 {
		t.Errorf("census: %v", got)
	}
	w.create("two", strings.Replace(exporter, "Other", "Another", 1))
	w.expect("two", "ROLLBACK_COMPLETE")
	if !slices.Contains(w.events("two"), "two ROLLBACK_IN_PROGRESS Export with name net-vpc is already exported by stack net. Rollback requested by user.") {
		t.Errorf("events: %q", w.events("two"))
	}
	out, err := w.server.ListImports(w.ctx, &cfnapi.ListImportsInput{ExportName: s("net-vpc")})
	if err != nil || !slices.Equal(out.Imports, []string{"app"}) {
		t.Errorf("imports %v, %v", out, err)
	}
	w.remove("app")
	if got := w.wait("app"); got != "GONE" {
		t.Fatal(got)
	}
	w.remove("net")
	if got := w.wait("net"); got != "GONE" {
		t.Fatal(got)
	}
}

func TestChangeSets(t *testing.T) {
	w := newWorld(t)
	body := "Resources: {Logs: {Type: AWS::Logs::LogGroup, Properties: {RetentionInDays: 7}}}"
	create := func(name, kind, body string) (*cfnapi.CreateChangeSetOutput, error) {
		return w.server.CreateChangeSet(w.ctx, &cfnapi.CreateChangeSetInput{StackName: s("cs"), ChangeSetName: &name, ChangeSetType: cfnapi.ChangeSetType(kind), TemplateBody: &body})
	}
	if _, err := create("first", "UPDATE", body); err == nil || !strings.Contains(err.Error(), "Stack [cs] does not exist") {
		t.Errorf("got %v", err)
	}
	out, err := create("first", "CREATE", body)
	if err != nil {
		t.Fatal(err)
	}
	if st := w.stack("cs"); st.StackStatus != "REVIEW_IN_PROGRESS" {
		t.Errorf("status %s", st.StackStatus)
	}
	d, err := w.server.DescribeChangeSet(w.ctx, &cfnapi.DescribeChangeSetInput{ChangeSetName: out.Id})
	if err != nil || d.Status != "CREATE_COMPLETE" || len(d.Changes) != 1 || d.Changes[0].ResourceChange.Action != "Add" {
		t.Fatalf("%+v, %v", d, err)
	}
	if _, err := w.server.ExecuteChangeSet(w.ctx, &cfnapi.ExecuteChangeSetInput{ChangeSetName: out.Id}); err != nil {
		t.Fatal(err)
	}
	w.expect("cs", "CREATE_COMPLETE")
	if _, err := w.server.ExecuteChangeSet(w.ctx, &cfnapi.ExecuteChangeSetInput{ChangeSetName: out.Id}); err == nil || !strings.Contains(err.Error(), "InvalidChangeSetStatus") {
		t.Errorf("got %v", err)
	}
	if out, err = create("same", "UPDATE", body); err != nil {
		t.Fatal(err)
	}
	if d, _ = w.server.DescribeChangeSet(w.ctx, &cfnapi.DescribeChangeSetInput{ChangeSetName: out.Id}); d.Status != "FAILED" || !strings.HasPrefix(v(d.StatusReason), "The submitted information didn't contain changes.") {
		t.Errorf("%+v", d)
	}
	if out, err = create("more", "UPDATE", strings.Replace(body, "7", "14", 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.server.ExecuteChangeSet(w.ctx, &cfnapi.ExecuteChangeSetInput{ChangeSetName: s("more"), StackName: s("cs")}); err != nil {
		t.Fatal(err)
	}
	w.expect("cs", "UPDATE_COMPLETE")
	if got := w.cloud.things[w.cloud.find("loggroup")[0]].text["days"]; got != "14" {
		t.Errorf("retention %s", got)
	}
	for range 2 {
		if _, err := w.server.DeleteChangeSet(w.ctx, &cfnapi.DeleteChangeSetInput{ChangeSetName: s("more"), StackName: s("cs")}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.server.DescribeChangeSet(w.ctx, &cfnapi.DescribeChangeSetInput{ChangeSetName: out.Id}); err == nil || !strings.HasPrefix(err.Error(), "ChangeSetNotFound: ") {
		t.Errorf("got %v", err)
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	tests := []struct {
		name string
		in   cfnapi.CreateStackInput
		want string
	}{
		{"capability", cfnapi.CreateStackInput{TemplateBody: s(small)}, "InsufficientCapabilitiesException: Requires capabilities : [CAPABILITY_IAM]"},
		{"type", cfnapi.CreateStackInput{TemplateBody: s("Resources: {A: {Type: AWS::Foo::Bar}}")}, "ValidationError: Template format error: Unrecognized resource types: [AWS::Foo::Bar]"},
		{"circle", cfnapi.CreateStackInput{TemplateBody: s("Resources: {A: {Type: AWS::EC2::VPC, DependsOn: B}, B: {Type: AWS::EC2::VPC, DependsOn: A}}")}, "Circular dependency between resources: [A, B]"},
		{"parameter", cfnapi.CreateStackInput{TemplateBody: s(small), Parameters: params("Foo", "1")}, "Parameters: [Foo] do not exist in the template"},
		{"subnet", cfnapi.CreateStackInput{TemplateBody: s("Parameters: {S: {Type: AWS::EC2::Subnet::Id}}\nResources: {A: {Type: AWS::EC2::VPC}}"), Parameters: params("S", "subnet-1")}, "Parameter validation failed: parameter value subnet-1 for parameter name S does not exist"},
		{"url", cfnapi.CreateStackInput{TemplateURL: s("https://s3.amazonaws.com/x")}, "TemplateURL is not supported"},
		{"none", cfnapi.CreateStackInput{}, "Either Template URL or Template Body must be specified."},
		{"size", cfnapi.CreateStackInput{TemplateBody: s(small + strings.Repeat("#", 51_200))}, "less than or equal to 51200"},
		{"policy", cfnapi.CreateStackInput{TemplateBody: s(small), StackPolicyBody: s("{}")}, "stack policies are not enforced"},
		{"name", cfnapi.CreateStackInput{StackName: s("1x"), TemplateBody: s(small)}, "Member must satisfy regular expression pattern"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.in.StackName == nil {
				tt.in.StackName = s("refused")
			}
			_, err := w.server.CreateStack(w.ctx, &tt.in)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	if len(w.cloud.find("vpc")) > 0 {
		t.Error("something was made")
	}
}

func TestPropertiesAreChecked(t *testing.T) {
	tests := []struct{ name, resource, want string }{
		{"unsupported", "{Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16, Foo: 1}}", "Encountered unsupported property Foo"},
		{"required", "{Type: AWS::EC2::Subnet, Properties: {CidrBlock: 10.0.0.0/16}}", "#: required key [VpcId] not found"},
		{"nested", "{Type: AWS::ECS::TaskDefinition, Properties: {ContainerDefinitions: [{Name: a, Image: b, Foo: 1}]}}", "#/ContainerDefinitions/0: extraneous key [Foo] is not permitted"},
		{"kind", "{Type: AWS::Logs::LogGroup, Properties: {RetentionInDays: seven}}", "#/RetentionInDays: expected type: Integer, found: String"},
		{"model", "{Type: AWS::ECS::Service, Properties: {LaunchType: ROCKET}}", "failed to satisfy constraint"},
	}
	w := newWorld(t)
	for i, tt := range tests {
		name := fmt.Sprintf("bad%d", i)
		w.create(name, "Resources: {A: "+tt.resource+"}")
		w.expect(name, "ROLLBACK_COMPLETE")
		if !slices.ContainsFunc(w.events(name), func(e string) bool { return strings.HasPrefix(e, "A CREATE_FAILED") && strings.Contains(e, tt.want) }) {
			t.Errorf("%s: %q", tt.name, w.events(name))
		}
	}
	if left := w.cloud.census(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestDeleteDuringCreate(t *testing.T) {
	w := newWorld(t)
	w.cloud.stuck["service"] = true
	w.create("demo", demo(t), "Image", "api:1")
	arn := v(w.stack("demo").StackId)
	w.until("the service is being made", func() bool { return len(w.cloud.find("service")) > 0 })
	w.remove("demo")
	w.expect(arn, "DELETE_COMPLETE")
	if left := w.cloud.census(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestCancelUpdate(t *testing.T) {
	w := newWorld(t)
	w.create("demo", demo(t), "Image", "api:1")
	w.expect("demo", "CREATE_COMPLETE")
	w.update("demo", demo(t), "Image", "api:never")
	w.until("the service waits for its tasks", func() bool {
		out, err := w.server.DescribeStackResource(w.ctx, &cfnapi.DescribeStackResourceInput{StackName: s("demo"), LogicalResourceId: s("Service")})
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(v(out.StackResourceDetail.ResourceStatusReason), "0 of 2 tasks are running")
	})
	if _, err := w.server.CancelUpdateStack(w.ctx, &cfnapi.CancelUpdateStackInput{StackName: s("demo")}); err != nil {
		t.Fatal(err)
	}
	w.expect("demo", "UPDATE_ROLLBACK_COMPLETE")
	if diff := cmp.Diff(demoCensus, w.cloud.census()); diff != "" {
		t.Error(diff)
	}
}

func TestPolicies(t *testing.T) {
	w := newWorld(t)
	w.create("x", `
Resources:
  Kept: {Type: AWS::Logs::LogGroup, DeletionPolicy: Retain}
  Gone: {Type: AWS::Logs::LogGroup}`)
	w.expect("x", "CREATE_COMPLETE")
	w.remove("x")
	if got := w.wait("x"); got != "GONE" {
		t.Fatal(got)
	}
	if got := w.cloud.find("loggroup"); len(got) != 1 || !strings.HasPrefix(got[0], "x-Kept-") {
		t.Errorf("log groups %v", got)
	}
	name, body := "y", "Resources: {A: {Type: AWS::Logs::LogGroup}}"
	if _, err := w.server.CreateStack(w.ctx, &cfnapi.CreateStackInput{StackName: &name, TemplateBody: &body, EnableTerminationProtection: awsapi.Ptr(true), ClientRequestToken: s("t")}); err != nil {
		t.Fatal(err)
	}
	w.expect("y", "CREATE_COMPLETE")
	if _, err := w.server.CreateStack(w.ctx, &cfnapi.CreateStackInput{StackName: &name, TemplateBody: &body, ClientRequestToken: s("t")}); err != nil {
		t.Errorf("the same request once more: %v", err)
	}
	if _, err := w.server.CreateStack(w.ctx, &cfnapi.CreateStackInput{StackName: &name, TemplateBody: &body}); err == nil || !strings.Contains(err.Error(), "AlreadyExistsException: Stack [y] already exists") {
		t.Errorf("got %v", err)
	}
	if _, err := w.server.DeleteStack(w.ctx, &cfnapi.DeleteStackInput{StackName: &name}); err == nil || !strings.Contains(err.Error(), "TerminationProtection is enabled") {
		t.Errorf("got %v", err)
	}
}

func TestStackTagsReachResources(t *testing.T) {
	w := newWorld(t)
	name, body := "x", "Resources: {A: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16, Tags: [{Key: Name, Value: mine}]}}}"
	if _, err := w.server.CreateStack(w.ctx, &cfnapi.CreateStackInput{StackName: &name, TemplateBody: &body, Tags: []cfnapi.Tag{{Key: s("team"), Value: s("a")}}}); err != nil {
		t.Fatal(err)
	}
	w.expect("x", "CREATE_COMPLETE")
	want := map[string]string{"team": "a", "Name": "mine", "aws:cloudformation:stack-name": "x", "aws:cloudformation:logical-id": "A", "aws:cloudformation:stack-id": v(w.stack("x").StackId)}
	if diff := cmp.Diff(want, w.cloud.things[w.cloud.find("vpc")[0]].tags); diff != "" {
		t.Error(diff)
	}
	if _, err := w.server.UpdateStack(w.ctx, &cfnapi.UpdateStackInput{StackName: &name, TemplateBody: &body, Tags: []cfnapi.Tag{{Key: s("team"), Value: s("b")}}}); err != nil {
		t.Fatal(err)
	}
	w.expect("x", "UPDATE_COMPLETE")
	want["team"] = "b"
	if diff := cmp.Diff(want, maps.Clone(w.cloud.things[w.cloud.find("vpc")[0]].tags)); diff != "" {
		t.Error(diff)
	}
}
