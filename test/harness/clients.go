package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Region and Account are the daemon's.
const (
	Region  = "us-east-1"
	Account = "000000000000"
)

// Clients are the SDK's clients of all services, by the names of internal/awsapi/manifest.txt.
type Clients map[string]any

// Clients returns SDK clients that never retry: what a retry would hide, a test wants to see.
func (d *Daemon) Clients() Clients {
	c := aws.Config{
		Region: Region, BaseEndpoint: aws.String(d.Endpoint), RetryMaxAttempts: 1, HTTPClient: steadyClient{},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}
	return Clients{
		"ec2": ec2.NewFromConfig(c), "ecs": ecs.NewFromConfig(c), "elbv2": elasticloadbalancingv2.NewFromConfig(c),
		"ecr": ecr.NewFromConfig(c), "logs": cloudwatchlogs.NewFromConfig(c), "iam": iam.NewFromConfig(c),
		"sts": sts.NewFromConfig(c), "cfn": cloudformation.NewFromConfig(c),
	}
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

// Call calls an operation with its input as JSON (the members' names as AWS documents them; case does not matter), and
// returns the SDK's output as JSON. An unknown member is an error: a typing mistake must not become a missing option.
func (c Clients) Call(ctx context.Context, service, operation string, input []byte) ([]byte, error) {
	client, ok := c[service]
	if !ok {
		return nil, fmt.Errorf("no service %q", service)
	}
	method := reflect.ValueOf(client).MethodByName(operation)
	if !method.IsValid() {
		return nil, fmt.Errorf("the SDK's %s client has no operation %s", service, operation)
	}
	in := reflect.New(method.Type().In(1).Elem())
	if len(input) > 0 {
		dec := json.NewDecoder(bytes.NewReader(input))
		dec.DisallowUnknownFields()
		if err := dec.Decode(in.Interface()); err != nil {
			return nil, fmt.Errorf("input of %s: %w: %s", operation, err, input)
		}
	}
	out := method.Call([]reflect.Value{reflect.ValueOf(ctx), in})
	if err, _ := out[1].Interface().(error); err != nil {
		return nil, err
	}
	return json.Marshal(plain(out[0]))
}

// plain turns the SDK's output into what JSON can say, without members that are not set and the SDK's own metadata.
func plain(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return plain(v.Elem())
	case reflect.Struct:
		if v.CanInterface() {
			if m, ok := v.Interface().(json.Marshaler); ok {
				return m
			}
		}
		members := map[string]any{}
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() || f.Name == "ResultMetadata" {
				continue
			}
			if member := plain(v.Field(i)); member != nil {
				members[f.Name] = member
			}
		}
		return members
	case reflect.Slice:
		if v.IsNil() {
			return nil
		}
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return v.Bytes()
		}
		items := make([]any, v.Len())
		for i := range items {
			items[i] = plain(v.Index(i))
		}
		return items
	case reflect.Map:
		if v.IsNil() {
			return nil
		}
		members := map[string]any{}
		for _, k := range v.MapKeys() {
			members[k.String()] = plain(v.MapIndex(k))
		}
		return members
	case reflect.Chan, reflect.Func:
		return nil
	case reflect.String:
		if v.Len() == 0 && v.Type().Name() != "string" { // an enumeration that is not set
			return nil
		}
		return v.String()
	default:
		return v.Interface()
	}
}

// Environment returns what the aws and neargate commands need to talk to the daemon, on top of this process's own
// environment without any settings of the user's for AWS.
func (d *Daemon) Environment() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "AWS_") && !strings.HasPrefix(e, "NEARGATE_") {
			env = append(env, e)
		}
	}
	return append(env,
		"AWS_ENDPOINT_URL="+d.Endpoint, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_DEFAULT_REGION="+Region, "AWS_REGION="+Region,
		"AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_MAX_ATTEMPTS=1",
		"NEARGATE_ENDPOINT="+d.Endpoint, "NEARGATE_DATA="+d.Data, "NO_COLOR=1")
}
