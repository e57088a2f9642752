package wire_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/awsapi/ecsapi"
	"github.com/neargate/neargate/internal/awsapi/iamapi"
	"github.com/neargate/neargate/internal/wire"
)

// failing answers every operation with one error.
func failing(t *testing.T, log *slog.Logger, err error) aws.Config {
	s := wire.NewServer(wire.Options{
		Account: account, Region: "us-east-1", Credentials: keyring{now: time.Now()}, Now: time.Now, Log: log, MaxBody: 10000,
	})
	for _, desc := range []*awsapi.Service{ec2api.Description(), ecsapi.Description(), iamapi.Description()} {
		s.Mount(withHandler(desc, func(*awsapi.Operation, any) (any, error) {
			if err == nil {
				panic("a defect")
			}
			return nil, err
		}), nil)
	}
	cfg, _ := start(t, s)
	return cfg
}

func TestHandlerErrors(t *testing.T) {
	cases := map[string]struct {
		err           error
		ecs, ec2, iam string
		status        int
		iamStatus     int
	}{
		"code":             {err: awsapi.NewError("SomeCode", "text"), ecs: "SomeCode", ec2: "SomeCode", iam: "SomeCode", status: 400},
		"status":           {err: &awsapi.Error{Code: "Busy", HTTPStatus: 503}, ecs: "Busy", ec2: "Busy", iam: "Busy", status: 503},
		"status of model":  {err: awsapi.NewError(iamapi.ErrNoSuchEntity, "no"), ecs: "NoSuchEntity", ec2: "NoSuchEntity", iam: "NoSuchEntity", status: 400, iamStatus: 404},
		"unmapped":         {err: errors.New("disk on fire"), ecs: "ServerException", ec2: "InternalError", iam: "InternalFailure", status: 500},
		"panic":            {ecs: "ServerException", ec2: "InternalError", iam: "InternalFailure", status: 500},
		"foreign token":    {err: awsapi.ErrToken, ecs: "InvalidParameterException", ec2: "InvalidParameterValue", iam: "ValidationError", status: 400},
		"nothing returned": {err: errNothing, ecs: "ServerException", ec2: "InternalError", iam: "InternalFailure", status: 500},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			cfg := failing(t, slog.New(slog.NewTextHandler(&log, nil)), c.err)
			_, err := ecs.NewFromConfig(cfg).ListClusters(t.Context(), &ecs.ListClustersInput{})
			checkError(t, "ecs", err, c.ecs, c.status)
			_, err = ec2.NewFromConfig(cfg).DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{})
			checkError(t, "ec2", err, c.ec2, c.status)
			_, err = iam.NewFromConfig(cfg).GetRole(t.Context(), &iam.GetRoleInput{RoleName: aws.String("r")})
			status := c.status
			if c.iamStatus != 0 {
				status = c.iamStatus
			}
			checkError(t, "iam", err, c.iam, status)
			if strings.Contains(err.Error(), "disk on fire") {
				t.Errorf("the cause is shown to the caller: %v", err)
			}
			if isLogged := strings.Contains(log.String(), "request_id="); isLogged != (c.status >= 500) {
				t.Errorf("log: %q", log.String())
			}
		})
	}
}

var errNothing = errors.New("nothing")

func TestTypedErrors(t *testing.T) {
	cfg := failing(t, slog.New(slog.DiscardHandler), &awsapi.Error{
		Code: "ClusterNotFoundException", Message: "Cluster not found.", Fields: map[string]any{"resourceIds": []string{"c"}},
	})
	_, err := ecs.NewFromConfig(cfg).ListTasks(t.Context(), &ecs.ListTasksInput{})
	var notFound *ecstypes.ClusterNotFoundException
	if !errors.As(err, &notFound) || notFound.ErrorMessage() != "Cluster not found." {
		t.Errorf("ecs: %v", err)
	}
	cfg = failing(t, slog.New(slog.DiscardHandler), awsapi.NewError("NoSuchEntity", "The role with name r cannot be found."))
	_, err = iam.NewFromConfig(cfg).GetRole(t.Context(), &iam.GetRoleInput{RoleName: aws.String("r")})
	var noEntity *iamtypes.NoSuchEntityException
	if !errors.As(err, &noEntity) {
		t.Errorf("iam: %v", err)
	}
}

func TestDryRun(t *testing.T) {
	cfg := failing(t, slog.New(slog.DiscardHandler), awsapi.NewError("Called", "the handler was called"))
	client := ec2.NewFromConfig(cfg)
	_, err := client.DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{DryRun: aws.Bool(true)})
	checkError(t, "true", err, "DryRunOperation", 412)
	_, err = client.DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{DryRun: aws.Bool(false)})
	checkError(t, "false", err, "Called", 400)
}

// recorder is a real implementation of a few operations, so that validation is on.
type recorder struct{ calls int }

func (r *recorder) CreateVpc(context.Context, *ec2api.CreateVpcInput) (*ec2api.CreateVpcOutput, error) {
	r.calls++
	return &ec2api.CreateVpcOutput{}, nil
}

func (r *recorder) DeleteVpc(context.Context, *ec2api.DeleteVpcInput) (*ec2api.DeleteVpcOutput, error) {
	r.calls++
	return &ec2api.DeleteVpcOutput{}, nil
}

func (r *recorder) RegisterTaskDefinition(context.Context, *ecsapi.RegisterTaskDefinitionInput) (*ecsapi.RegisterTaskDefinitionOutput, error) {
	r.calls++
	return &ecsapi.RegisterTaskDefinitionOutput{}, nil
}

func (r *recorder) RunTask(context.Context, *ecsapi.RunTaskInput) (*ecsapi.RunTaskOutput, error) {
	r.calls++
	return &ecsapi.RunTaskOutput{}, nil
}

func (r *recorder) CreateRole(context.Context, *iamapi.CreateRoleInput) (*iamapi.CreateRoleOutput, error) {
	r.calls++
	return &iamapi.CreateRoleOutput{}, nil
}

func recording(t *testing.T) (*recorder, aws.Config, string) {
	s, r := newServer(), &recorder{}
	s.Mount(ec2api.Description(), r)
	s.Mount(ecsapi.Description(), r)
	s.Mount(iamapi.Description(), r)
	cfg, url := start(t, s)
	return r, cfg, url
}

// TestWrongInput checks the wording of what is wrong before a handler sees it.
func TestWrongInput(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	target := func(op string) http.Header {
		return http.Header{"X-Amz-Target": {"AmazonEC2ContainerServiceV20141113." + op}, "Content-Type": {"application/x-amz-json-1.1"}}
	}
	cases := map[string]struct {
		service, body string
		headers       http.Header
		want          string
	}{
		"ec2 required":     {service: "ec2", body: "Action=DeleteVpc&Version=2016-11-15", want: "<Code>MissingParameter</Code><Message>The request must contain the parameter VpcId</Message>"},
		"ec2 enum":         {service: "ec2", body: "Action=CreateVpc&Version=2016-11-15&InstanceTenancy=x", want: "<Code>InvalidParameterValue</Code><Message>Value (x) for parameter instanceTenancy is invalid."},
		"ec2 empty enum":   {service: "ec2", body: "Action=CreateVpc&Version=2016-11-15&InstanceTenancy=", want: "<CreateVpcResponse"},
		"ec2 unknown":      {service: "ec2", body: "Action=CreateVpc&Version=2016-11-15&Tag.1.Key=a", want: "<Code>UnknownParameter</Code><Message>The parameter Tag is not recognized</Message>"},
		"ec2 boolean":      {service: "ec2", body: "Action=CreateVpc&Version=2016-11-15&AmazonProvidedIpv6CidrBlock=maybe", want: "<Code>InvalidParameterValue</Code><Message>Invalid value for parameter AmazonProvidedIpv6CidrBlock"},
		"ec2 nested":       {service: "ec2", body: "Action=CreateVpc&Version=2016-11-15&TagSpecification.1.ResourceType=what", want: "Value (what) for parameter tagSpecifications.1.member.resourceType"},
		"iam all of it":    {service: "iam", body: "Action=CreateRole&Version=2010-05-08&RoleName=a/b", want: "<Code>ValidationError</Code><Message>2 validation errors detected: Value null at 'assumeRolePolicyDocument' failed to satisfy constraint: Member must not be null; Value 'a/b' at 'roleName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]+</Message>"},
		"iam length":       {service: "iam", body: "Action=CreateRole&Version=2010-05-08&AssumeRolePolicyDocument=x&RoleName=" + strings.Repeat("a", 65), want: "Member must have length less than or equal to 64"},
		"iam unknown":      {service: "iam", body: "Action=CreateRole&Version=2010-05-08&AssumeRolePolicyDocument=x&RoleName=a&Tags.1.Key=a", want: "The parameter Tags.1 is not known"},
		"iam integer":      {service: "iam", body: "Action=CreateRole&Version=2010-05-08&MaxSessionDuration=1h", want: "Invalid value for parameter MaxSessionDuration: &#39;1h&#39; is not an integer"},
		"ecs required":     {service: "ecs", body: `{"family":"a"}`, headers: target("RegisterTaskDefinition"), want: `{"__type":"ClientException","message":"1 validation error detected: Value null at 'containerDefinitions' failed to satisfy constraint: Member must not be null"}`},
		"ecs enum":         {service: "ecs", body: `{"taskDefinition":"a","launchType":"MOON"}`, headers: target("RunTask"), want: `{"__type":"InvalidParameterException","message":"1 validation error detected: Value 'MOON' at 'launchType'`},
		"ecs unknown":      {service: "ecs", body: `{"taskDefinition":"a","overrides":{"cpuu":"1"}}`, headers: target("RunTask"), want: `{"__type":"InvalidParameterException","message":"The parameter overrides.cpuu is not known to Neargate."}`},
		"ecs unknown null": {service: "ecs", body: `{"taskDefinition":"a","new":null}`, headers: target("RunTask"), want: `{"failures":[],"tasks":[]}`},
		"ecs kind":         {service: "ecs", body: `{"taskDefinition":"a","count":"1"}`, headers: target("RunTask"), want: `{"__type":"SerializationException","message":"count: STRING_VALUE can not be converted to an Integer"}`},
		"ecs broken":       {service: "ecs", body: `{"taskDefinition":`, headers: target("RunTask"), want: `{"__type":"SerializationException","message":"body: is not valid JSON"}`},
		"ecs list":         {service: "ecs", body: `[]`, headers: target("RunTask"), want: `body: has to be a JSON object`},
		"broken encoding":  {service: "ecs", body: `{}`, headers: http.Header{"X-Amz-Target": {"AmazonEC2ContainerServiceV20141113.RunTask"}, "Content-Encoding": {"gzip"}}, want: "UnsupportedMediaType"},
		"broken form":      {service: "ec2", body: "Action=%zz", headers: http.Header{"Content-Type": {form}}, want: "<Code>InvalidParameterValue</Code>"},
	}
	r, _, url := recording(t)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r.calls = 0
			_, body := do(t, signedRequest(t, url, c.service, c.body, c.headers))
			if !strings.Contains(body, c.want) && !strings.Contains(strings.ReplaceAll(body, "'", "&#39;"), c.want) {
				t.Errorf("got  %s\nwant %s", body, c.want)
			}
			if isError := strings.Contains(body, "rror") || strings.Contains(body, "xception"); isError && r.calls > 0 {
				t.Error("the handler was called")
			}
		})
	}
}

func TestTooLarge(t *testing.T) {
	cfg := failing(t, slog.New(slog.DiscardHandler), awsapi.NewError("Called", "the handler was called"))
	_, err := ec2.NewFromConfig(cfg).CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: aws.String(strings.Repeat("1", 20000))})
	checkError(t, "large", err, "RequestEntityTooLarge", 413)
	var zipped bytes.Buffer
	zw := gzip.NewWriter(&zipped)
	_, _ = zw.Write([]byte(`{"cluster":"` + strings.Repeat("a", 20000) + `"}`))
	_ = zw.Close()
	status, _ := do(t, signedRequest(t, *cfg.BaseEndpoint, "ecs", zipped.String(), http.Header{
		"X-Amz-Target": {"AmazonEC2ContainerServiceV20141113.ListTasks"}, "Content-Encoding": {"gzip"}}))
	if status != 413 {
		t.Errorf("a small body that grows: status %d", status)
	}
}

func TestGzip(t *testing.T) {
	var zipped bytes.Buffer
	zw := gzip.NewWriter(&zipped)
	_, _ = zw.Write([]byte(`{"taskDefinition":"a"}`))
	_ = zw.Close()
	r, _, url := recording(t)
	status, body := do(t, signedRequest(t, url, "ecs", zipped.String(), http.Header{
		"X-Amz-Target": {"AmazonEC2ContainerServiceV20141113.RunTask"}, "Content-Encoding": {"gzip"}}))
	if status != 200 || r.calls != 1 {
		t.Errorf("status %d, body %s, calls %d", status, body, r.calls)
	}
}

func TestRoutesComeFirst(t *testing.T) {
	s := newServer()
	s.Handle(func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/v2/") }, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
	}))
	_, url := start(t, s)
	r, _ := http.NewRequest("GET", url+"/v2/", nil)
	if status, _ := do(t, r); status != http.StatusTeapot {
		t.Errorf("status %d", status)
	}
}

func TestMountNamesWhatIsMissing(t *testing.T) {
	missing := newServer().Mount(ec2api.Description(), &recorder{})
	if len(missing) != len(ec2api.Description().Operations)-2 {
		t.Errorf("%d operations missing", len(missing))
	}
}
