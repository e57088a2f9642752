package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfn "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/google/uuid"
)

// Down deletes a stack and everything in it.
type Down struct {
	Client   *Client
	Screen   *Screen
	Template string // path; the stack is the one that up would make of it
	Stack    string // empty and no template: the only stack that there is
	Every    time.Duration
}

// Run deletes and shows what happens. A stack that is not there is no error.
func (d *Down) Run(ctx context.Context) error { return Explain(d.run(ctx), d.Client.Endpoint) }

func (d *Down) run(ctx context.Context) error {
	name := d.Stack
	var err error
	switch {
	case name == "" && d.Template != "":
		name, err = StackName(d.Template)
	case name == "":
		name, err = d.onlyStack(ctx)
	}
	if err != nil {
		return err
	}
	stack, err := findStack(ctx, d.Client.CloudFormation, name)
	if err != nil {
		return err
	}
	if stack == nil {
		d.Screen.Printf("There is no stack %s.\n", d.Screen.Paint(Strong, name))
		return nil
	}
	return d.remove(ctx, stack)
}

// onlyStack returns the name of the one stack.
func (d *Down) onlyStack(ctx context.Context) (string, error) {
	names, err := stackNames(ctx, d.Client.CloudFormation)
	if err != nil {
		return "", err
	}
	switch len(names) {
	case 0:
		return "", Failed("", "there is no stack")
	case 1:
		return names[0], nil
	}
	return "", Usage("there are %d stacks: say which with --stack (%s)", len(names), strings.Join(names, ", "))
}

func stackNames(ctx context.Context, api CloudFormationAPI) (names []string, err error) {
	pages := cloudformation.NewDescribeStacksPaginator(api, &cloudformation.DescribeStacksInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, s := range page.Stacks {
			names = append(names, aws.ToString(s.StackName))
		}
	}
	return names, nil
}

// remove deletes the stack and waits for its end.
func (d *Down) remove(ctx context.Context, stack *cfn.Stack) error {
	name, api := aws.ToString(stack.StackName), d.Client.CloudFormation
	watch := &stackWatch{api: api, stack: aws.ToString(stack.StackId), view: newProgress(d.Screen, time.Now), every: d.Every}
	if err := watch.begin(ctx); err != nil {
		return err
	}
	if _, err := api.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: &name, ClientRequestToken: aws.String(uuid.NewString())}); err != nil {
		return err
	}
	d.Screen.Printf("Deleting stack %s\n", d.Screen.Paint(Strong, name))
	began := time.Now()
	end, err := watch.follow(ctx)
	if errors.Is(err, context.Canceled) {
		return &Problem{Text: "interrupted; the deletion goes on without you", Code: ExitInterrupted, Err: err, Hint: "Run `neargate down` again to watch it."}
	} else if err != nil {
		return err
	}
	if end.StackStatus == cfn.StackStatusDeleteComplete {
		d.Screen.Printf("Stack %s is %s after %s.\n", d.Screen.Paint(Strong, name), d.Screen.Paint(Good, "gone"), age(time.Since(began)))
		return nil
	}
	text := fmt.Sprintf("stack %s is %s", name, end.StackStatus)
	if causes := outcomes(watch.events); len(causes) > 0 {
		text += ", blocked by:\n" + explainOutcome(causes)
	} else if reason := aws.ToString(end.StackStatusReason); reason != "" {
		text += ": " + reason
	}
	return Failed("Remove what blocks it, then run `neargate down --stack "+name+"` again: it goes on where it stopped.", "%s", text)
}
