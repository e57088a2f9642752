package cli

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cfn "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const tick = time.Millisecond

func template(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "My shop.yaml")
	if err := os.WriteFile(path, []byte("Resources: {}"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestUpCreates(t *testing.T) {
	c := story()
	f := &fakeStacks{script: []func(*fakeStacks){
		func(*fakeStacks) {}, // no such stack yet
		func(f *fakeStacks) {
			f.event("My-shop", stackType, "CREATE_IN_PROGRESS", "User Initiated")
			f.event("Vpc", "AWS::EC2::VPC", "CREATE_IN_PROGRESS", "")
			f.event("Vpc", "AWS::EC2::VPC", "CREATE_IN_PROGRESS", "Resource creation Initiated")
		},
		func(f *fakeStacks) {
			f.event("Vpc", "AWS::EC2::VPC", "CREATE_COMPLETE", "")
			f.event("My-shop", stackType, "CREATE_COMPLETE", "")
			f.status(cfn.StackStatusCreateComplete)
			f.stacks[0].Outputs = []cfn.Output{{OutputKey: aws.String("URL"), OutputValue: aws.String("http://x")}, {OutputKey: aws.String("B"), OutputValue: aws.String("2")}}
		},
	}}
	c.CloudFormation = f
	screen, out := buffer()
	u := &Up{Client: c, Screen: screen, Template: template(t), Parameters: []string{"Image=a=b"}, Tags: []string{"team=x"}, Capabilities: []string{"CAPABILITY_IAM"}, Every: tick}
	if err := u.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, want := range []string{
		"Creating stack My-shop\n", "CREATE_IN_PROGRESS   Vpc (AWS::EC2::VPC)\n", "CREATE_COMPLETE      Vpc (AWS::EC2::VPC) 2.0s\n",
		"Stack My-shop is CREATE_COMPLETE after", "\nOutputs\n  URL  http://x\n  B    2\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if strings.Contains(text, "Initiated\n") && strings.Count(text, "Vpc") != 2 {
		t.Errorf("an event without news is shown:\n%s", text)
	}
	want := []cfn.Parameter{{ParameterKey: aws.String("Image"), ParameterValue: aws.String("a=b")}}
	if diff := cmp.Diff(want, f.put.Parameters, cmpopts.IgnoreUnexported(cfn.Parameter{})); diff != "" {
		t.Error(diff)
	}
}

func TestUpUpdatesAndKeepsParameters(t *testing.T) {
	c := story()
	f := &fakeStacks{stacks: []cfn.Stack{{
		StackName: aws.String("shop"), StackId: aws.String(stackARN), StackStatus: cfn.StackStatusCreateComplete,
		Parameters: []cfn.Parameter{{ParameterKey: aws.String("Count")}, {ParameterKey: aws.String("Image")}, {ParameterKey: aws.String("Gone")}},
	}}}
	f.event("shop", stackType, "CREATE_FAILED", "an old event must not be shown")
	c.CloudFormation = f
	f.script = []func(*fakeStacks){func(*fakeStacks) {}, func(f *fakeStacks) {
		f.event("shop", stackType, "UPDATE_COMPLETE", "")
		f.status(cfn.StackStatusUpdateComplete)
	}}
	screen, out := buffer()
	u := &Up{Client: c, Screen: screen, Template: template(t), Stack: "shop", Parameters: []string{"Image=v2"}, Every: tick}
	if err := u.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []cfn.Parameter{
		{ParameterKey: aws.String("Image"), ParameterValue: aws.String("v2")},
		{ParameterKey: aws.String("Count"), UsePreviousValue: aws.Bool(true)},
	}
	if diff := cmp.Diff(want, f.change.Parameters, cmpopts.IgnoreUnexported(cfn.Parameter{})); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(out.String(), "old event") || !strings.Contains(out.String(), "http://127.18.0.11") {
		t.Error(out.String())
	}
}

func TestUpWithoutChanges(t *testing.T) {
	c := story()
	c.CloudFormation.(*fakeStacks).fail = apiError("ValidationError", "No updates are to be performed.")
	screen, out := buffer()
	if err := (&Up{Client: c, Screen: screen, Template: template(t), Stack: "shop", Every: tick}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "up to date") {
		t.Error(out.String())
	}
}

func TestUpSaysTheFirstCauseFirst(t *testing.T) {
	c := story()
	f := &fakeStacks{}
	c.CloudFormation = f
	f.script = []func(*fakeStacks){func(*fakeStacks) {}, func(f *fakeStacks) {
		f.event("Other", "AWS::EC2::Subnet", "CREATE_FAILED", "Resource creation cancelled")
		f.event("Service", "AWS::ECS::Service", "CREATE_FAILED", "it did not become stable")
		f.events[0].PhysicalResourceId = aws.String(serviceA)
		f.event("Later", "AWS::EC2::VPC", "DELETE_FAILED", "is in use")
		f.event("x", stackType, "ROLLBACK_IN_PROGRESS", "The following resource(s) failed to create: [Service, Other].")
		f.status(cfn.StackStatusRollbackFailed)
	}}
	screen, _ := buffer()
	err := (&Up{Client: c, Screen: screen, Template: template(t), Stack: "x", Every: tick}).Run(t.Context())
	want := `stack x is ROLLBACK_FAILED because:
  Service (AWS::ECS::Service) CREATE_FAILED: it did not become stable
  then:
  Later (AWS::EC2::VPC) DELETE_FAILED: is in use
  its tasks stopped:
    Essential container in task exited; app: exit code 1
Mend the cause and run ` + "`neargate up` again."
	if err == nil || err.Error() != want || ExitCode(err) != ExitFailed {
		t.Errorf("%v", err)
	}
}

func TestUpRemovesWhatARollbackLeft(t *testing.T) {
	c := story()
	f := &fakeStacks{stacks: []cfn.Stack{{StackName: aws.String("x"), StackId: aws.String("id"), StackStatus: cfn.StackStatusRollbackComplete}}}
	c.CloudFormation = f
	f.script = []func(*fakeStacks){func(*fakeStacks) {}, func(f *fakeStacks) { f.status(cfn.StackStatusDeleteComplete) },
		func(f *fakeStacks) {}, func(f *fakeStacks) { f.stacks = f.stacks[1:]; f.status(cfn.StackStatusCreateComplete) }}
	screen, _ := buffer()
	if err := (&Up{Client: c, Screen: screen, Template: template(t), Stack: "x", Every: tick}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(f.asked, []string{"delete", "create"}) {
		t.Error(f.asked)
	}
}

func TestUpRefuses(t *testing.T) {
	screen, _ := buffer()
	file := template(t)
	for name, u := range map[string]*Up{
		"no template":     {Template: "/none.yaml"},
		"no value":        {Template: file, Parameters: []string{"Image"}},
		"twice":           {Template: file, Parameters: []string{"A=1", "A=2"}},
		"tag without key": {Template: file, Tags: []string{"=x"}},
	} {
		u.Client, u.Screen = story(), screen
		if err := u.Run(t.Context()); ExitCode(err) != ExitUsage {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestDown(t *testing.T) {
	c := story()
	f := c.CloudFormation.(*fakeStacks)
	f.script = []func(*fakeStacks){func(*fakeStacks) {}, func(*fakeStacks) {}, func(f *fakeStacks) {
		f.event("Vpc", "AWS::EC2::VPC", "DELETE_FAILED", "has dependencies")
		f.event("shop", stackType, "DELETE_FAILED", "The following resource(s) failed to delete: [Vpc].")
		f.status(cfn.StackStatusDeleteFailed)
	}}
	screen, _ := buffer()
	err := (&Down{Client: c, Screen: screen, Every: tick}).Run(t.Context()) // the only stack
	if err == nil || !strings.HasPrefix(err.Error(), "stack shop is DELETE_FAILED, blocked by:\n  Vpc (AWS::EC2::VPC) DELETE_FAILED: has dependencies\n") {
		t.Errorf("%v", err)
	}
	screen, out := buffer()
	if err := (&Down{Client: c, Screen: screen, Template: "/x/nothing/template.yaml", Every: tick}).Run(t.Context()); err != nil || out.String() != "There is no stack nothing.\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
	f.stacks = append(f.stacks, cfn.Stack{StackName: aws.String("b"), StackId: aws.String("b")})
	if err := (&Down{Client: c, Screen: screen}).Run(t.Context()); ExitCode(err) != ExitUsage || !strings.Contains(err.Error(), "shop, b") {
		t.Errorf("%v", err)
	}
}

func TestProgressOnATerminal(t *testing.T) {
	var b strings.Builder
	clock := now
	screen := &Screen{Out: &b, Terminal: true, Size: func() (int, int) { return 80, 24 }}
	p := newProgress(screen, func() time.Time { return clock })
	f := &fakeStacks{}
	f.event("s", stackType, "CREATE_IN_PROGRESS", "")
	f.event("Vpc", "AWS::EC2::VPC", "CREATE_IN_PROGRESS", "")
	f.event("Db", "AWS::EC2::Subnet", "CREATE_IN_PROGRESS", "")
	f.event("Vpc", "AWS::EC2::VPC", "CREATE_COMPLETE", "")
	events := slices.Clone(f.events)
	slices.Reverse(events)
	clock = now.Add(10 * time.Second)
	p.show(events)
	p.note("waiting")
	p.finish()
	golden(t, "progress.txt", strings.ReplaceAll(strings.ReplaceAll(b.String(), now.Add(3*time.Second).Local().Format(time.TimeOnly), "TIME"), "\x1b", "ESC"))
}

func TestStackName(t *testing.T) {
	for path, want := range map[string]string{
		"/x/web-api/template.yaml": "web-api", "/x/y/service-dedicated-alb.yaml": "service-dedicated-alb", "/x/my_app/main.yml": "my-app",
		"/x/9lives.json": "lives", "/x/a.b.yaml": "a",
	} {
		if got, err := StackName(path); got != want || err != nil {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	if _, err := StackName("/x/123.yaml"); ExitCode(err) != ExitUsage {
		t.Errorf("error %v", err)
	}
	if errors.Is(Usage("x"), os.ErrNotExist) {
		t.Error("a problem of usage is something else too")
	}
}
