package wire_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/awsapi/ecsapi"
	"github.com/neargate/neargate/internal/awsapi/stsapi"
	"github.com/neargate/neargate/internal/wire"
)

// identity answers GetCallerIdentity with what the edge found out.
type identity struct{}

func (identity) GetCallerIdentity(ctx context.Context, _ *stsapi.GetCallerIdentityInput) (*stsapi.GetCallerIdentityOutput, error) {
	r := awsapi.RequestFrom(ctx)
	return &stsapi.GetCallerIdentityOutput{Account: &r.Account, Arn: &r.Principal, UserId: &r.AccessKey}, nil
}

func (identity) ListClusters(context.Context, *ecsapi.ListClustersInput) (*ecsapi.ListClustersOutput, error) {
	return &ecsapi.ListClustersOutput{}, nil
}

func (identity) DescribeVpcs(context.Context, *ec2api.DescribeVpcsInput) (*ec2api.DescribeVpcsOutput, error) {
	return &ec2api.DescribeVpcsOutput{}, nil
}

func identityServer() *wire.Server {
	s := newServer()
	s.Mount(stsapi.Description(), identity{})
	s.Mount(ecsapi.Description(), identity{})
	s.Mount(ec2api.Description(), identity{})
	return s
}

func TestCallerIdentity(t *testing.T) {
	_, url := start(t, identityServer())
	cases := map[string]struct{ key, secret, token, account string }{
		"long-lived": {key: "test", secret: "test", account: account},
		"temporary":  {key: "ASIATEMP", secret: "temp", token: "session", account: "111111111111"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			out, err := sts.NewFromConfig(config(url, c.key, c.secret, c.token)).GetCallerIdentity(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if *out.Account != c.account || *out.Arn != principal || *out.UserId != c.key {
				t.Errorf("got %s %s %s", *out.Account, *out.Arn, *out.UserId)
			}
		})
	}
}

func TestPresignedCall(t *testing.T) {
	cfg, _ := start(t, identityServer())
	req, err := sts.NewPresignClient(sts.NewFromConfig(cfg)).PresignGetCallerIdentity(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r, _ := http.NewRequest(req.Method, req.URL, nil)
	if status, body := do(t, r); status != 200 || !strings.Contains(body, principal) {
		t.Errorf("%s: status %d, body %s", req.Method, status, body)
	}
}

// TestRefusedCallers checks the code and status of each service's protocol for callers that are not accepted.
func TestRefusedCallers(t *testing.T) {
	_, url := start(t, identityServer())
	type want struct {
		code   string
		status int
	}
	cases := map[string]struct {
		key, secret, token, region string
		ecs, ec2, sts              want
	}{
		"unknown key": {key: "other", secret: "test",
			ecs: want{"UnrecognizedClientException", 400}, ec2: want{"AuthFailure", 401}, sts: want{"InvalidClientTokenId", 403}},
		"wrong secret": {key: "test", secret: "other",
			ecs: want{"InvalidSignatureException", 403}, ec2: want{"AuthFailure", 401}, sts: want{"SignatureDoesNotMatch", 403}},
		"token of another": {key: "ASIATEMP", secret: "temp", token: "other",
			ecs: want{"UnrecognizedClientException", 400}, ec2: want{"AuthFailure", 401}, sts: want{"InvalidClientTokenId", 403}},
		"token missing": {key: "ASIATEMP", secret: "temp",
			ecs: want{"UnrecognizedClientException", 400}, ec2: want{"AuthFailure", 401}, sts: want{"InvalidClientTokenId", 403}},
		"token expired": {key: "ASIAOLD", secret: "old", token: "session",
			ecs: want{"ExpiredTokenException", 400}, ec2: want{"RequestExpired", 400}, sts: want{"ExpiredToken", 403}},
		"other region": {key: "test", secret: "test", region: "eu-west-1",
			ecs: want{"InvalidSignatureException", 403}, ec2: want{"AuthFailure", 401}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			cfg := config(url, c.key, c.secret, c.token)
			if c.region != "" {
				cfg.Region = c.region
			}
			_, err := ecs.NewFromConfig(cfg).ListClusters(t.Context(), &ecs.ListClustersInput{})
			checkError(t, "ecs", err, c.ecs.code, c.ecs.status)
			_, err = ec2.NewFromConfig(cfg).DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{})
			checkError(t, "ec2", err, c.ec2.code, c.ec2.status)
			_, err = sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
			checkError(t, "sts", err, c.sts.code, c.sts.status)
		})
	}
}

// checkError compares code and status of an error that the SDK returned; no code means no error.
func checkError(t *testing.T, what string, err error, code string, status int) {
	t.Helper()
	if code == "" {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		return
	}
	var api smithy.APIError
	var resp *awshttp.ResponseError
	if !errors.As(err, &api) || !errors.As(err, &resp) {
		t.Errorf("%s: no API error: %v", what, err)
		return
	}
	if api.ErrorCode() != code || resp.HTTPStatusCode() != status {
		t.Errorf("%s: got %s %d, want %s %d (%s)", what, api.ErrorCode(), resp.HTTPStatusCode(), code, status, api.ErrorMessage())
	}
	if resp.ServiceRequestID() == "" {
		t.Errorf("%s: no request id", what)
	}
}

func TestUnsigned(t *testing.T) {
	_, url := start(t, identityServer())
	cases := map[string]struct {
		target, host, body string
		status             int
		want               string
	}{
		"json":           {target: "AmazonEC2ContainerServiceV20141113.ListClusters", status: 403, want: "MissingAuthenticationTokenException"},
		"query":          {body: "Action=GetCallerIdentity&Version=2011-06-15", status: 403, want: "<ErrorResponse xmlns=\"https://sts"},
		"ec2 by version": {body: "Action=DescribeVpcs&Version=2016-11-15", status: 403, want: "<Response><Errors><Error><Code>MissingAuthenticationToken"},
		"ec2 by host":    {host: "ec2.us-east-1.amazonaws.com", status: 403, want: "<Response><Errors><Error><Code>MissingAuthenticationToken"},
		"nothing":        {status: 403, want: "<Code>MissingAuthenticationToken"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r, _ := http.NewRequest("POST", url, strings.NewReader(c.body))
			if c.target != "" {
				r.Header.Set("X-Amz-Target", c.target)
			}
			r.Host = c.host
			status, body := do(t, r)
			if status != c.status || !strings.Contains(body, c.want) {
				t.Errorf("status %d, body %s", status, body)
			}
		})
	}
}

func TestUnknownOperation(t *testing.T) {
	cfg, url := start(t, identityServer())
	_, err := ecs.NewFromConfig(cfg).ListTasks(t.Context(), &ecs.ListTasksInput{})
	checkError(t, "ecs", err, "UnknownOperationException", 400)
	_, err = ec2.NewFromConfig(cfg).DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{})
	checkError(t, "ec2", err, "InvalidAction", 400)
	_, err = ec2.NewFromConfig(cfg).DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{})
	checkError(t, "ec2, not in the manifest", err, "InvalidAction", 400)
	_, err = sts.NewFromConfig(cfg).GetSessionToken(t.Context(), &sts.GetSessionTokenInput{})
	checkError(t, "sts", err, "InvalidAction", 400)
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorMessage() != "The action GetSessionToken is not valid for this web service." {
		t.Errorf("message %q", api.ErrorMessage())
	}

	for name, r := range map[string]*http.Request{
		"json service":  signedRequest(t, url, "dynamodb", "{}", http.Header{"X-Amz-Target": {"DynamoDB_20120810.ListTables"}}),
		"query service": signedRequest(t, url, "autoscaling", "Action=DescribeTags&Version=2011-01-01", nil),
		"other version": signedRequest(t, url, "sts", "Action=GetCallerIdentity&Version=2001-01-01", nil),
	} {
		status, body := do(t, r)
		if status != 400 || !strings.Contains(body, "UnknownOperationException") && !strings.Contains(body, "InvalidAction") {
			t.Errorf("%s: status %d, body %s", name, status, body)
		}
	}
}

func TestOtherServiceInScope(t *testing.T) {
	_, url := start(t, identityServer())
	r := signedRequest(t, url, "ec2", "{}", http.Header{"X-Amz-Target": {"AmazonEC2ContainerServiceV20141113.ListClusters"}})
	if status, body := do(t, r); status != 403 || !strings.Contains(body, "correct service: 'ecs'") {
		t.Errorf("status %d, body %s", status, body)
	}
}
