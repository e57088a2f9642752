package cfn_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/smithy-go"

	"github.com/neargate/neargate/internal/awsapi/cfnapi"
	"github.com/neargate/neargate/internal/wire"
)

type oneKey struct{}

func (oneKey) Credential(context.Context, string) (wire.Credential, error) {
	return wire.Credential{Secret: "test", Principal: "arn:aws:iam::000000000000:root"}, nil
}

// serve puts a world's server behind the edge.
func serve(w *world) (url string) {
	edge := wire.NewServer(wire.Options{Account: "000000000000", Region: "us-east-1", Credentials: oneKey{}, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if missing := edge.Mount(cfnapi.Description(), w.server); len(missing) > 0 {
		w.t.Fatalf("operations without an implementation: %v", missing)
	}
	server := httptest.NewServer(edge)
	w.t.Cleanup(server.Close)
	return server.URL
}

func sdk(url string) *cloudformation.Client {
	return cloudformation.New(cloudformation.Options{Region: "us-east-1", BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""), RetryMaxAttempts: 1})
}

func TestSDK(t *testing.T) {
	w := newWorld(t)
	client := sdk(serve(w))
	ctx := t.Context()
	_, err := client.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: aws.String("nothing")})
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != "ValidationError" || api.ErrorMessage() != "Stack with id nothing does not exist" {
		t.Errorf("got %v", err)
	}
	var missing *types.ChangeSetNotFoundException
	if _, err := client.DescribeChangeSet(ctx, &cloudformation.DescribeChangeSetInput{ChangeSetName: aws.String("arn:aws:cloudformation:us-east-1:000000000000:changeSet/x/1")}); !errors.As(err, &missing) {
		t.Errorf("got %v", err)
	}
	var capability *types.InsufficientCapabilitiesException
	if _, err := client.CreateStack(ctx, &cloudformation.CreateStackInput{StackName: aws.String("demo"), TemplateBody: aws.String(demo(t)), Parameters: []types.Parameter{{ParameterKey: aws.String("Image"), ParameterValue: aws.String("a")}}}); !errors.As(err, &capability) {
		t.Errorf("got %v", err)
	}
	if _, err := client.CreateStack(ctx, &cloudformation.CreateStackInput{
		StackName: aws.String("demo"), TemplateBody: aws.String(demo(t)), Capabilities: []types.Capability{types.CapabilityCapabilityIam}, OnFailure: types.OnFailureDelete,
		Parameters: []types.Parameter{{ParameterKey: aws.String("Image"), ParameterValue: aws.String("api:1")}}, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}},
	}); err != nil {
		t.Fatal(err)
	}
	waiter := cloudformation.NewStackCreateCompleteWaiter(client, func(o *cloudformation.StackCreateCompleteWaiterOptions) {
		o.MinDelay, o.MaxDelay = time.Millisecond, 10*time.Millisecond
	})
	out, err := waiter.WaitForOutput(ctx, &cloudformation.DescribeStacksInput{StackName: aws.String("demo")}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if st := out.Stacks[0]; len(st.Outputs) != 5 || len(st.Tags) != 1 || st.CreationTime == nil || len(st.Parameters) != 5 {
		t.Errorf("%+v", st)
	}
	seen := 0
	for pages := cloudformation.NewDescribeStackEventsPaginator(client, &cloudformation.DescribeStackEventsInput{StackName: aws.String("demo")}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		seen += len(page.StackEvents)
	}
	if want := len(w.cloud.find("vpc")); want != 1 || seen < 100 {
		t.Errorf("%d events", seen)
	}
	resources, err := client.ListStackResources(ctx, &cloudformation.ListStackResourcesInput{StackName: aws.String("demo")})
	if err != nil || len(resources.StackResourceSummaries) != 33 {
		t.Errorf("%d resources, %v", len(resources.StackResourceSummaries), err)
	}
	summary, err := client.GetTemplateSummary(ctx, &cloudformation.GetTemplateSummaryInput{StackName: aws.String("demo")})
	if err != nil || len(summary.Parameters) != 5 || len(summary.Capabilities) != 1 {
		t.Errorf("%+v, %v", summary, err)
	}
	if _, err := client.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: aws.String("demo")}); err != nil {
		t.Fatal(err)
	}
	gone := cloudformation.NewStackDeleteCompleteWaiter(client, func(o *cloudformation.StackDeleteCompleteWaiterOptions) {
		o.MinDelay, o.MaxDelay = time.Millisecond, 10*time.Millisecond
	})
	if err := gone.Wait(ctx, &cloudformation.DescribeStacksInput{StackName: out.Stacks[0].StackId}, time.Minute); err != nil {
		t.Fatal(err)
	}
}

// `aws cloudformation deploy` makes, changes, and finds nothing to change. Its waiter sleeps half a minute between two
// looks, so the change sets are executed by hand.
func TestAWSCommand(t *testing.T) {
	if testing.Short() {
		t.Skip("the aws command takes a second per call")
	}
	if _, err := exec.LookPath("aws"); err != nil {
		t.Skip("no aws command on this host")
	}
	w := newWorld(t)
	url := serve(w)
	file := filepath.Join(t.TempDir(), "template.yaml")
	if err := os.WriteFile(file, []byte(small), 0o600); err != nil {
		t.Fatal(err)
	}
	command := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "aws", append([]string{"--endpoint-url", url, "--region", "us-east-1", "cloudformation"}, args...)...)
		cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_CONFIG_FILE=/nonexistent", "AWS_SHARED_CREDENTIALS_FILE=/nonexistent", "AWS_PAGER=", "AWS_DEFAULT_REGION=us-east-1", "AWS_MAX_ATTEMPTS=1", "AWS_EC2_METADATA_DISABLED=true")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	deploy := func(days string) string {
		// The command names its change set after the second it runs in: two in one second would collide.
		time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
		out, err := command("deploy", "--stack-name", "x", "--template-file", file, "--capabilities", "CAPABILITY_IAM", "--parameter-overrides", "Days="+days, "--no-execute-changeset", "--no-fail-on-empty-changeset")
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return out
	}
	for _, days := range []string{"7", "14"} {
		out := deploy(days)
		i := strings.Index(out, "arn:aws:cloudformation:")
		if i < 0 {
			t.Fatalf("no change set in %q", out)
		}
		if out, err := command("execute-change-set", "--change-set-name", strings.Fields(out[i:])[0]); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		w.expect("x", map[string]string{"7": "CREATE_COMPLETE", "14": "UPDATE_COMPLETE"}[days])
	}
	if out := deploy("14"); !strings.Contains(out, "No changes to deploy") {
		t.Errorf("got %q", out)
	}
	if out, err := command("delete-stack", "--stack-name", "x"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := w.wait("x"); got != "GONE" {
		t.Errorf("got %s", got)
	}
	if out, err := command("wait", "stack-delete-complete", "--stack-name", "x"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
