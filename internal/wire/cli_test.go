package wire_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/cfnapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/awsapi/ecsapi"
	"github.com/neargate/neargate/internal/awsapi/elbv2api"
	"github.com/neargate/neargate/internal/awsapi/iamapi"
	"github.com/neargate/neargate/internal/awsapi/logsapi"
)

// sample implements one operation per protocol and kind of trouble for the aws command.
type sample struct{ *canned }

func (sample) DescribeTags(_ context.Context, in *elbv2api.DescribeTagsInput) (*elbv2api.DescribeTagsOutput, error) {
	var out elbv2api.DescribeTagsOutput
	for _, arn := range in.ResourceArns {
		out.TagDescriptions = append(out.TagDescriptions, elbv2api.TagDescription{ResourceArn: &arn, Tags: []elbv2api.Tag{}})
	}
	return &out, nil
}

func (sample) GetRole(_ context.Context, in *iamapi.GetRoleInput) (*iamapi.GetRoleOutput, error) {
	return nil, awsapi.NewError(iamapi.ErrNoSuchEntity, "The role with name %s cannot be found.", *in.RoleName)
}

func (sample) GetTemplateSummary(context.Context, *cfnapi.GetTemplateSummaryInput) (*cfnapi.GetTemplateSummaryOutput, error) {
	return &cfnapi.GetTemplateSummaryOutput{}, nil
}

func (sample) PutLogEvents(_ context.Context, in *logsapi.PutLogEventsInput) (*logsapi.PutLogEventsOutput, error) {
	return &logsapi.PutLogEventsOutput{NextSequenceToken: in.LogEvents[0].Message}, nil
}

func TestAWSCommand(t *testing.T) {
	if testing.Short() {
		t.Skip("the aws command takes a second per call")
	}
	if _, err := exec.LookPath("aws"); err != nil {
		t.Skip("no aws command on this host")
	}
	s := newServer()
	for _, desc := range []*awsapi.Service{
		ec2api.Description(), ecsapi.Description(), elbv2api.Description(), iamapi.Description(), cfnapi.Description(), logsapi.Description(),
	} {
		s.Mount(desc, sample{newCanned()})
	}
	_, url := start(t, s)
	cases := map[string]struct {
		args  string
		query string // JMESPath
		want  string
		fails string
	}{
		"ec2":             {args: "ec2 describe-vpcs --filters Name=vpc-id,Values=a,b", query: "length(Vpcs)", want: "10"},
		"ec2 dry run":     {args: "ec2 describe-vpcs --dry-run", fails: "(DryRunOperation)"},
		"ec2 unknown":     {args: "ec2 describe-volumes", fails: "(InvalidAction)"},
		"ecs":             {args: "ecs describe-tasks --cluster c --tasks a", query: "[tasks[0].cpu,failures]", want: `["256",[]]`},
		"ecs unknown":     {args: "ecs list-clusters", fails: "(UnknownOperationException)"},
		"elbv2":           {args: "elbv2 describe-tags --resource-arns a b", query: "TagDescriptions[].Tags", want: "[[],[]]"},
		"iam":             {args: "iam get-role --role-name nobody", fails: "(NoSuchEntity)"},
		"iam, wrong":      {args: "iam get-role --role-name a/b", fails: "(ValidationError)"},
		"cloudformation":  {args: "cloudformation get-template-summary --stack-name s", query: "Parameters", want: "[]"},
		"logs, not ASCII": {args: "logs put-log-events --log-group-name g --log-stream-name s --log-events timestamp=1,message=é", query: "nextSequenceToken", want: `"é"`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			// Not AWS_ENDPOINT_URL: Debian 12's command (2.9) does not know it yet, and would ask AWS.
			args := append(strings.Fields(c.args), "--output", "json", "--endpoint-url", url)
			if c.query != "" {
				args = append(args, "--query", c.query)
			}
			cmd := exec.CommandContext(t.Context(), "aws", args...)
			cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_REGION=us-east-1",
				"AWS_DEFAULT_REGION=us-east-1", "AWS_MAX_ATTEMPTS=1", "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=/dev/null", "AWS_PAGER=", "PYTHONUTF8=1")
			var stderr strings.Builder
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if c.fails != "" {
				if err == nil || !strings.Contains(stderr.String(), c.fails) {
					t.Errorf("want %s: %v\n%s%s", c.fails, err, out, stderr.String())
				}
				return
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, stderr.String())
			}
			if got := compact(t, out); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func compact(t *testing.T, raw []byte) string {
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	b, _ := json.Marshal(v)
	return string(b)
}
