package wire_test

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/cfnapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/awsapi/ecsapi"
	"github.com/neargate/neargate/internal/awsapi/iamapi"
	"github.com/neargate/neargate/internal/wire"
)

var update = flag.Bool("update", false, "write the golden files")

var uuid = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)

// TestGolden pins down whole answers, headers included, for one success and one error of each protocol.
func TestGolden(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	p := awsapi.Ptr[string]
	outputs := map[string]any{
		"DescribeVpcs": &ec2api.DescribeVpcsOutput{Vpcs: []ec2api.Vpc{{VpcId: p("vpc-1"), State: ec2api.VpcStateAvailable, IsDefault: awsapi.Ptr(false),
			Tags: []ec2api.Tag{{Key: p("Name"), Value: p("a & b")}}}}},
		"DeleteVpc": &ec2api.DeleteVpcOutput{},
		"DescribeTasks": &ecsapi.DescribeTasksOutput{Tasks: []ecsapi.Task{{TaskArn: p("arn"), CreatedAt: &at, Cpu: p("256"),
			Containers: []ecsapi.Container{{ExitCode: awsapi.Ptr(int32(0)), NetworkBindings: []ecsapi.NetworkBinding{}}}}}},
		"DescribeStacks": &cfnapi.DescribeStacksOutput{Stacks: []cfnapi.Stack{{StackName: p("s"), CreationTime: &at, StackStatus: cfnapi.StackStatusCreateComplete,
			Outputs: []cfnapi.Output{{OutputKey: p("URL"), OutputValue: p("http://a/?b=c&d")}}}}},
		"DeleteStack": &cfnapi.DeleteStackOutput{},
	}
	answer := func(op *awsapi.Operation, _ any) (any, error) {
		if out, ok := outputs[op.Name]; ok {
			return out, nil
		}
		return nil, awsapi.NewError("NoSuchEntity", "<%s> is \"not\" there", op.Name)
	}
	s := newServer()
	for _, desc := range []*awsapi.Service{ec2api.Description(), ecsapi.Description(), iamapi.Description(), cfnapi.Description()} {
		s.Mount(withHandler(desc, answer), nil)
	}
	cases := []struct{ name, service, body, target string }{
		{name: "ec2", service: "ec2", body: "Action=DescribeVpcs&Version=2016-11-15"},
		{name: "ec2-nothing", service: "ec2", body: "Action=DeleteVpc&Version=2016-11-15&VpcId=v"},
		{name: "ec2-error", service: "ec2", body: "Action=CreateVpc&Version=2016-11-15"},
		{name: "json", service: "ecs", body: "{}", target: "AmazonEC2ContainerServiceV20141113.DescribeTasks"},
		{name: "json-error", service: "ecs", body: "{}", target: "AmazonEC2ContainerServiceV20141113.RunTask"},
		{name: "query", service: "cloudformation", body: "Action=DescribeStacks&Version=2010-05-15"},
		{name: "query-nothing", service: "cloudformation", body: "Action=DeleteStack&Version=2010-05-15&StackName=s"},
		{name: "query-error", service: "iam", body: "Action=GetRole&Version=2010-05-08&RoleName=r"},
	}
	_, url := start(t, s)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			headers := http.Header{}
			if c.target != "" {
				headers = http.Header{"X-Amz-Target": {c.target}, "Content-Type": {"application/x-amz-json-1.1"}}
			}
			got := exchange(t, signedRequest(t, url, c.service, c.body, headers))
			golden := filepath.Join("testdata", c.name+".golden")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// exchange returns the answer as text, with request ids and dates replaced.
func exchange(t *testing.T, r *http.Request) string {
	t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	_, body := drain(t, resp)
	fmt.Fprintf(&b, "%s\n", resp.Status)
	var lines []string
	for name, values := range resp.Header {
		if name == "Date" {
			continue
		}
		lines = append(lines, name+": "+strings.Join(values, ","))
	}
	slices.Sort(lines)
	b.WriteString(strings.Join(lines, "\n") + "\n\n" + body + "\n")
	return uuid.ReplaceAllString(b.String(), "REQUEST-ID")
}

// FuzzEdge sends anything to the edge: it answers, and never with a 5xx.
func FuzzEdge(f *testing.F) {
	s := wire.NewServer(wire.Options{
		Account: account, Region: "us-east-1", Credentials: keyring{now: time.Now()}, Now: time.Now, Log: newDiscard(), MaxBody: 1 << 20,
	})
	s.Mount(ec2api.Description(), newCanned())
	s.Mount(ecsapi.Description(), newCanned())
	f.Add("ec2", "", "Action=DescribeVpcs&Version=2016-11-15", "")
	f.Add("ecs", "AmazonEC2ContainerServiceV20141113.DescribeTasks", `{"tasks":["a"]}`, "")
	f.Add("", "x", "Action=DescribeVpcs&Version=2016-11-15", "Action=X")
	f.Fuzz(func(t *testing.T, service, target, body, query string) {
		headers := http.Header{}
		if target != "" {
			headers.Set("X-Amz-Target", target)
		}
		r := signedRequest(t, "http://127.0.0.1/", service, body, headers)
		r.URL.RawQuery = query
		rec := newRecorder()
		s.ServeHTTP(rec, r)
		if rec.Code >= 500 {
			t.Errorf("status %d: %s", rec.Code, rec.Body)
		}
	})
}
