package wire_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/wire"
)

const (
	account   = "000000000000"
	principal = "arn:aws:iam::000000000000:root"
)

// keyring is the credentials of the tests.
type keyring struct{ now time.Time }

func (k keyring) Credential(_ context.Context, accessKey string) (wire.Credential, error) {
	switch accessKey {
	case "test":
		return wire.Credential{Secret: "test", Principal: principal}, nil
	case "ASIATEMP":
		return wire.Credential{Secret: "temp", SessionToken: "session", Expires: k.now.Add(time.Hour), Principal: principal, Account: "111111111111"}, nil
	case "ASIAOLD":
		return wire.Credential{Secret: "old", SessionToken: "session", Expires: k.now.Add(-time.Hour), Principal: principal}, nil
	}
	return wire.Credential{}, wire.ErrUnknownKey
}

func newServer() *wire.Server {
	return wire.NewServer(wire.Options{
		Account: account, Region: "us-east-1", Credentials: keyring{now: time.Now()}, Now: time.Now,
		Log: slog.New(slog.DiscardHandler),
	})
}

// start serves until the test ends and returns the configuration for SDK clients.
func start(t testing.TB, s *wire.Server) (aws.Config, string) {
	t.Helper()
	ts := httptest.NewServer(s)
	t.Cleanup(ts.Close)
	return config(ts.URL, "test", "test", ""), ts.URL
}

// steadyClient gives the transport a body of its own. The SDK closes its body as soon as the answer is there, and with a
// server as quick as this one that is before the transport has noticed the body's end: it then drops the connection in
// the middle of the answer (smithy-go 1.28, safeWriteToReadCloser.WriteTo returns io.EOF after Close).
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

func config(url, key, secret, token string) aws.Config {
	return aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(url),
		Credentials:      credentials.NewStaticCredentialsProvider(key, secret, token),
		RetryMaxAttempts: 1, HTTPClient: steadyClient{},
	}
}

// withHandler returns the description with every operation bound to one function, and without validation.
func withHandler(desc *awsapi.Service, h func(op *awsapi.Operation, in any) (any, error)) *awsapi.Service {
	for _, op := range desc.Operations {
		op.Input = &awsapi.Shape{Name: op.Input.Name, Kind: awsapi.Struct, Members: op.Input.Members}
		op.Bind = func(any) awsapi.Handler {
			return func(_ context.Context, in any) (any, error) { return h(op, in) }
		}
	}
	return desc
}
