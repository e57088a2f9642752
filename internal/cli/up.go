package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfn "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/google/uuid"
)

// Up deploys a CloudFormation template: it creates the stack, or updates the one that has the name.
type Up struct {
	Client       *Client
	Screen       *Screen
	Template     string   // path
	Stack        string   // empty: StackName of the template's path
	Parameters   []string // Key=Value
	Capabilities []string
	Tags         []string // Key=Value
	Every        time.Duration
}

// Run deploys and shows what happens, then the outputs and URLs; on failure the error says why.
func (u *Up) Run(ctx context.Context) error {
	body, err := os.ReadFile(u.Template)
	if err != nil {
		return Usage("cannot read the template: %v", err)
	}
	given, err := parsePairs("--parameter", u.Parameters)
	if err != nil {
		return err
	}
	tags, err := parsePairs("--tag", u.Tags)
	if err != nil {
		return err
	}
	name := u.Stack
	if name == "" {
		if name, err = StackName(u.Template); err != nil {
			return err
		}
	}
	request := &deployment{up: u, name: name, body: string(body), given: given, tags: tags}
	return Explain(request.run(ctx), u.Client.Endpoint)
}

// deployment is one run of up.
type deployment struct {
	up    *Up
	name  string
	body  string
	given []pair
	tags  []pair
}

func (d *deployment) run(ctx context.Context) error {
	c, screen := d.up.Client, d.up.Screen
	existing, err := d.ready(ctx)
	if err != nil {
		return err
	}
	parameters, err := d.parameters(ctx, existing)
	if err != nil {
		return err
	}
	watch := &stackWatch{api: c.CloudFormation, view: newProgress(screen, time.Now), every: d.up.Every}
	if existing == nil {
		out, err := c.CloudFormation.CreateStack(ctx, &cloudformation.CreateStackInput{
			StackName: &d.name, TemplateBody: &d.body, Parameters: parameters, Tags: stackTags(d.tags),
			Capabilities: capabilities(d.up.Capabilities), ClientRequestToken: aws.String(uuid.NewString()),
		})
		if err != nil {
			return err
		}
		screen.Printf("Creating stack %s\n", screen.Paint(Strong, d.name))
		watch.stack = aws.ToString(out.StackId)
	} else {
		watch.stack = aws.ToString(existing.StackId)
		if err := watch.begin(ctx); err != nil {
			return err
		}
		in := &cloudformation.UpdateStackInput{
			StackName: &d.name, TemplateBody: &d.body, Parameters: parameters,
			Capabilities: capabilities(d.up.Capabilities), ClientRequestToken: aws.String(uuid.NewString()),
		}
		if len(d.tags) > 0 {
			in.Tags = stackTags(d.tags)
		}
		if _, err := c.CloudFormation.UpdateStack(ctx, in); err != nil {
			if strings.Contains(err.Error(), "No updates are to be performed") {
				screen.Printf("Stack %s is up to date: nothing to change.\n", screen.Paint(Strong, d.name))
				return d.report(ctx, existing)
			}
			return err
		}
		screen.Printf("Updating stack %s\n", screen.Paint(Strong, d.name))
	}
	began := time.Now()
	stack, err := watch.follow(ctx)
	if errors.Is(err, context.Canceled) {
		return &Problem{Text: "interrupted; the deployment goes on without you", Code: ExitInterrupted, Err: err,
			Hint: "Watch it with `neargate up` again or `neargate status`, take it down with `neargate down --stack " + d.name + "`."}
	} else if err != nil {
		return err
	}
	switch stack.StackStatus {
	case cfn.StackStatusCreateComplete, cfn.StackStatusUpdateComplete:
		screen.Printf("Stack %s is %s after %s.\n", screen.Paint(Strong, d.name), screen.Paint(Good, string(stack.StackStatus)), age(time.Since(began)))
		return d.report(ctx, stack)
	}
	return d.failure(ctx, stack, watch.events)
}

// ready returns the stack to update, nil if it has to be created. A stack that a rollback left empty is removed, one
// that is being worked on is waited for.
func (d *deployment) ready(ctx context.Context) (*cfn.Stack, error) {
	c, screen := d.up.Client, d.up.Screen
	for {
		stack, err := findStack(ctx, c.CloudFormation, d.name)
		if err != nil || stack == nil {
			return nil, err
		}
		switch status := stack.StackStatus; {
		case status == cfn.StackStatusReviewInProgress:
			return nil, Failed("Execute its change set, or remove it: neargate down --stack "+d.name, "stack %s waits for a change set (%s)", d.name, status)
		case strings.HasSuffix(string(status), "_IN_PROGRESS"):
			screen.Printf("Stack %s is %s; waiting for that to end.\n", d.name, status)
			w := &stackWatch{api: c.CloudFormation, stack: aws.ToString(stack.StackId), view: newProgress(screen, time.Now), every: d.up.Every}
			if _, err := w.follow(ctx); err != nil {
				return nil, err
			}
		case status == cfn.StackStatusRollbackComplete:
			screen.Printf("Stack %s is %s, what an earlier attempt left; removing it first.\n", d.name, status)
			down := &Down{Client: c, Screen: screen, Stack: d.name, Every: d.up.Every}
			if err := down.remove(ctx, stack); err != nil {
				return nil, err
			}
		case strings.HasSuffix(string(status), "_FAILED") && status != cfn.StackStatusCreateFailed && status != cfn.StackStatusUpdateFailed:
			return nil, Failed("Remove it with `neargate down --stack "+d.name+"`, then deploy again.", "stack %s is %s: %s", d.name, status, aws.ToString(stack.StackStatusReason))
		default:
			return stack, nil
		}
	}
}

// parameters returns the values given, and for an update "as before" for the others that the template still has.
func (d *deployment) parameters(ctx context.Context, existing *cfn.Stack) ([]cfn.Parameter, error) {
	var list []cfn.Parameter
	given := map[string]bool{}
	for _, p := range d.given {
		given[p.key] = true
		list = append(list, cfn.Parameter{ParameterKey: aws.String(p.key), ParameterValue: aws.String(p.value)})
	}
	if existing == nil {
		return list, nil
	}
	summary, err := d.up.Client.CloudFormation.GetTemplateSummary(ctx, &cloudformation.GetTemplateSummaryInput{TemplateBody: &d.body})
	if err != nil {
		return nil, err
	}
	declared := map[string]bool{}
	for _, p := range summary.Parameters {
		declared[aws.ToString(p.ParameterKey)] = true
	}
	for _, p := range existing.Parameters {
		key := aws.ToString(p.ParameterKey)
		if declared[key] && !given[key] {
			list = append(list, cfn.Parameter{ParameterKey: p.ParameterKey, UsePreviousValue: aws.Bool(true)})
		}
	}
	return list, nil
}

// report writes the outputs and the addresses at which the stack's load balancers answer.
func (d *deployment) report(ctx context.Context, stack *cfn.Stack) error {
	screen := d.up.Screen
	if len(stack.Outputs) > 0 {
		t := &table{indent: "  "}
		for _, o := range stack.Outputs {
			t.row(aws.ToString(o.OutputKey), printable(aws.ToString(o.OutputValue)))
		}
		screen.Printf("\n%s\n%s", screen.Paint(Strong, "Outputs"), t)
	}
	doors, err := (&reach{client: d.up.Client}).ofStack(ctx, aws.ToString(stack.StackId))
	if err != nil {
		return err
	}
	if len(doors) > 0 {
		t := &table{indent: "  "}
		for _, door := range doors {
			t.row(door.Name, door.text(screen))
		}
		screen.Printf("\n%s\n%s", screen.Paint(Strong, "Load balancers, as this machine reaches them"), t)
	}
	return nil
}

// failure explains why a stack did not come up.
func (d *deployment) failure(ctx context.Context, stack *cfn.Stack, events []cfn.StackEvent) error {
	causes := outcomes(events)
	text := fmt.Sprintf("stack %s is %s", d.name, stack.StackStatus)
	if len(causes) > 0 {
		text += " because:\n" + explainOutcome(causes)
	} else if reason := aws.ToString(stack.StackStatusReason); reason != "" {
		text += ": " + reason
	}
	if why := d.stoppedTasks(ctx, causes); why != "" {
		text += "\n" + why
	}
	hint := "Mend the cause and run `neargate up` again."
	return Failed(hint, "%s", text)
}

// stoppedTasks returns the reasons of tasks that ended, when an ECS service was what failed.
func (d *deployment) stoppedTasks(ctx context.Context, causes []cfn.StackEvent) string {
	for _, e := range causes {
		arn := aws.ToString(e.PhysicalResourceId)
		if aws.ToString(e.ResourceType) != "AWS::ECS::Service" || arn == "" {
			continue
		}
		reasons, err := stopReasons(ctx, d.up.Client.ECS, arn)
		if err != nil || len(reasons) == 0 {
			return ""
		}
		return "  its tasks stopped:\n    " + strings.Join(reasons, "\n    ")
	}
	return ""
}

// findStack returns the stack of that name, nil if there is none.
func findStack(ctx context.Context, api CloudFormationAPI, name string) (*cfn.Stack, error) {
	out, err := api.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &name})
	if err != nil {
		if apiCode(err) == "ValidationError" && strings.Contains(apiMessage(err), "does not exist") {
			return nil, nil
		}
		return nil, err
	}
	for i := range out.Stacks {
		if out.Stacks[i].StackStatus != cfn.StackStatusDeleteComplete {
			return &out.Stacks[i], nil
		}
	}
	return nil, nil
}

// genericNames are file names that say nothing about what is deployed.
var genericNames = map[string]bool{"template": true, "stack": true, "main": true, "index": true, "cloudformation": true, "cfn": true}

// StackName returns the name for the stack of a template: the file's, or its folder's when the file's says nothing.
func StackName(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("path of the template: %w", err)
	}
	base := filepath.Base(abs)
	base, _, _ = strings.Cut(base, ".")
	if genericNames[strings.ToLower(base)] {
		base = filepath.Base(filepath.Dir(abs))
	}
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '-'
	}, base)
	name = strings.Trim(strings.TrimLeft(name, "0123456789-"), "-")
	if name == "" {
		return "", Usage("no stack name can be made from the path %s: name it with --stack", path)
	}
	return name, nil
}

type pair struct{ key, value string }

// parsePairs reads Key=Value arguments; a key may come once.
func parsePairs(flag string, args []string) ([]pair, error) {
	var list []pair
	seen := map[string]bool{}
	for _, arg := range args {
		key, value, ok := strings.Cut(arg, "=")
		if !ok || key == "" {
			return nil, Usage("%s %q: it has to be Key=Value", flag, arg)
		}
		if seen[key] {
			return nil, Usage("%s %s is given twice", flag, key)
		}
		seen[key] = true
		list = append(list, pair{key: key, value: value})
	}
	return list, nil
}

func stackTags(pairs []pair) (tags []cfn.Tag) {
	for _, p := range pairs {
		tags = append(tags, cfn.Tag{Key: aws.String(p.key), Value: aws.String(p.value)})
	}
	return tags
}

func capabilities(names []string) (list []cfn.Capability) {
	for _, n := range names {
		list = append(list, cfn.Capability(n))
	}
	return list
}
