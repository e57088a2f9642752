package compat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"github.com/neargate/neargate/test/harness"
)

// client is the SDK's clients of one cloud.
type client struct {
	*cloud
	t    *testing.T
	ec2  *ec2.Client
	ecs  *ecs.Client
	elb  *elasticloadbalancingv2.Client
	ecr  *ecr.Client
	logs *cloudwatchlogs.Client
	iam  *iam.Client
	sts  *sts.Client
	cfn  *cloudformation.Client
	any  harness.Clients
}

// newClient starts a cloud and returns clients for it, whose calls the record notes (nil: nothing notes them).
func newClient(t *testing.T, r *record) *client {
	c := newCloud(t)
	return c.client(t, config(c.url, r))
}

// config is the configuration of clients that never retry: what a retry would hide, a test wants to see.
func config(url string, r *record) aws.Config {
	cfg := aws.Config{
		Region: harness.Region, BaseEndpoint: aws.String(url), RetryMaxAttempts: 1, HTTPClient: steadyClient{},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}
	if r != nil {
		cfg.APIOptions = append(cfg.APIOptions, r.attach)
	}
	return cfg
}

func (c *cloud) client(t *testing.T, cfg aws.Config) *client {
	s := &client{
		cloud: c, t: t, ec2: ec2.NewFromConfig(cfg), ecs: ecs.NewFromConfig(cfg), elb: elasticloadbalancingv2.NewFromConfig(cfg), ecr: ecr.NewFromConfig(cfg),
		logs: cloudwatchlogs.NewFromConfig(cfg), iam: iam.NewFromConfig(cfg), sts: sts.NewFromConfig(cfg), cfn: cloudformation.NewFromConfig(cfg),
	}
	s.any = harness.Clients{"ec2": s.ec2, "ecs": s.ecs, "elbv2": s.elb, "ecr": s.ecr, "logs": s.logs, "iam": s.iam, "sts": s.sts, "cfn": s.cfn}
	return s
}

// steadyClient gives the transport a body of its own: the SDK closes its body as soon as the answer is there, which with
// a server next door can be before the transport has noticed the body's end (see internal/wire/edge_test.go).
type steadyClient struct{}

func (steadyClient) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	return http.DefaultClient.Do(r)
}

// must calls an operation that has to succeed.
func must[I, O, F any](t testing.TB, call func(context.Context, *I, ...func(*F)) (*O, error), in *I) *O {
	t.Helper()
	out, err := call(t.Context(), in)
	if err != nil {
		t.Fatalf("%T: %v", in, err)
	}
	return out
}

// refused calls an operation that has to be refused with a code, and returns the message.
func refused[I, O, F any](t testing.TB, code string, call func(context.Context, *I, ...func(*F)) (*O, error), in *I) string {
	t.Helper()
	_, err := call(t.Context(), in)
	if got := codeOf(err); got != code {
		t.Errorf("%T: got %s (%v), want %s", in, got, err, code)
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorMessage()
	}
	return ""
}

// codeOf returns the code of an error that a service has answered.
func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	if err != nil {
		return "no answer of the service"
	}
	return "success"
}

// eventually calls until done reports true; AWS's delays are some milliseconds here.
func eventually[I, O, F any](t testing.TB, call func(context.Context, *I, ...func(*F)) (*O, error), in *I, done func(*O) bool) *O {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		out, err := call(t.Context(), in)
		if err != nil {
			t.Fatalf("%T: %v", in, err)
		}
		if done(out) {
			return out
		}
		if time.Now().After(deadline) {
			t.Fatalf("%T: still not so after a minute: %+v", in, out)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// gone calls until the answer is an error with the code.
func gone[I, O, F any](t testing.TB, code string, call func(context.Context, *I, ...func(*F)) (*O, error), in *I) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		_, err := call(t.Context(), in)
		if codeOf(err) == code {
			return
		}
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("%T: got %v, want %s", in, err, code)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// want compares an answer's value.
func want[T any](t testing.TB, what string, got, wanted T) {
	t.Helper()
	if !reflect.DeepEqual(got, wanted) {
		t.Errorf("%s: got %#v, want %#v", what, got, wanted)
	}
}

// present demands that members of an answer are set: pointers not nil, strings and lists not empty. The names are paths
// like "State.Code".
func present(t testing.TB, answer any, names ...string) {
	t.Helper()
	for _, name := range names {
		v := reflect.ValueOf(answer)
		for part := range strings.SplitSeq(name, ".") {
			for v.Kind() == reflect.Pointer && !v.IsNil() {
				v = v.Elem()
			}
			if v.Kind() != reflect.Struct || !v.FieldByName(part).IsValid() {
				t.Errorf("%T has no %s (at %s)", answer, name, part)
				v = reflect.Value{}
				break
			}
			v = v.FieldByName(part)
		}
		if v.IsValid() && v.IsZero() {
			t.Errorf("%T: %s is not set", answer, name)
		}
	}
}

// absent demands that members are not set: a client would store an invented value, and see a change the next time.
func absent(t testing.TB, answer any, names ...string) {
	t.Helper()
	for _, name := range names {
		v := reflect.Indirect(reflect.ValueOf(answer)).FieldByName(name)
		if !v.IsValid() {
			t.Errorf("%T has no %s", answer, name)
		} else if !v.IsZero() && (v.Kind() != reflect.Slice || v.Len() > 0) {
			t.Errorf("%T: %s is set to %v", answer, name, reflect.Indirect(v))
		}
	}
}

// record notes which operations have been called, and what came of it. It is safe for concurrent use.
type record struct {
	mu      sync.Mutex
	success map[string]int // by "service operation", as in the manifest
	failure map[string]int
}

func newRecord() *record {
	return &record{success: make(map[string]int), failure: make(map[string]int)}
}

// serviceNames are the manifest's names of the SDK's services.
var serviceNames = map[string]string{
	ec2.ServiceID: "ec2", ecs.ServiceID: "ecs", elasticloadbalancingv2.ServiceID: "elbv2", ecr.ServiceID: "ecr",
	cloudwatchlogs.ServiceID: "logs", iam.ServiceID: "iam", sts.ServiceID: "sts", cloudformation.ServiceID: "cfn",
}

// attach puts the record in the way of every call of a client.
func (r *record) attach(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("record", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		out, metadata, err := next.HandleInitialize(ctx, in)
		operation := serviceNames[awsmiddleware.GetServiceID(ctx)] + " " + awsmiddleware.GetOperationName(ctx)
		var api smithy.APIError
		r.mu.Lock()
		defer r.mu.Unlock()
		switch {
		case err == nil:
			r.success[operation]++
		case errors.As(err, &api): // not what the SDK itself has refused
			r.failure[operation]++
		}
		return out, metadata, err
	}), middleware.After)
}

// manifest reads the operations of internal/awsapi/manifest.txt, as "service operation".
func manifest(t testing.TB) []string {
	t.Helper()
	body, err := os.ReadFile("../../internal/awsapi/manifest.txt")
	if err != nil {
		t.Fatal(err)
	}
	var operations []string
	for line := range strings.Lines(string(body)) {
		line, _, _ = strings.Cut(line, "#")
		if fields := strings.Fields(line); len(fields) == 2 {
			operations = append(operations, fmt.Sprintf("%s %s", fields[0], fields[1]))
		}
	}
	if len(operations) < 100 {
		t.Fatalf("the manifest has only %d operations", len(operations))
	}
	return operations
}
