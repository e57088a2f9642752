package compat

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go"

	"crypto/sha256"
	"encoding/hex"
)

// The tests named TestTerraform... make the calls of Terraform's AWS provider in its order, and demand of the answers what
// ../shared/client-contracts.md found the provider to rely on: members whose absence is a crash, states outside of
// its lists, codes that it takes for "not there".

// states polls as the provider's waiters do: the state must be a pending one until it is the target; any other, also an
// empty one, ends the wait with an error.
func states[I, O, F any](t testing.TB, call func(context.Context, *I, ...func(*F)) (*O, error), in *I, state func(*O) string, target string, pending ...string) *O {
	t.Helper()
	return eventually(t, call, in, func(out *O) bool {
		now := state(out)
		if now != target && !slices.Contains(pending, now) {
			t.Fatalf("%T: unexpected state %q, wanted target %q", in, now, target)
		}
		return now == target
	})
}

// deleted deletes with the provider's patience: some codes are tried again, because what depends is being deleted too.
func deleted[I, O, F any](t testing.TB, call func(context.Context, *I, ...func(*F)) (*O, error), in *I, retry ...string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		_, err := call(t.Context(), in)
		if err == nil {
			return
		}
		if !slices.Contains(retry, codeOf(err)) || time.Now().After(deadline) {
			t.Fatalf("%T: %v", in, err)
		}
	}
}

// oneOf demands exactly one result: the provider takes none and several alike for "not found".
func oneOf[T any](t testing.TB, what string, list []T) T {
	t.Helper()
	if len(list) != 1 {
		t.Fatalf("%s: %d results, the provider needs exactly one", what, len(list))
	}
	return list[0]
}

// says demands a part of an error's message that the provider looks for.
func says(t testing.TB, err error, code, part string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code || !strings.Contains(api.ErrorMessage(), part) {
		t.Errorf("got %v, want %s saying %q", err, code, part)
	}
}

// form makes a call of a query service with parameters as they are, also empty ones, which version 1 of the SDK (and so
// the provider of version 5) sends and version 2 cannot.
func (c *client) form(service string, parameters url.Values) (int, string) {
	c.t.Helper()
	body := parameters.Encode()
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.url+"/", strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	sum := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(c.t.Context(), aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, req, hex.EncodeToString(sum[:]), service, "us-east-1", time.Now()); err != nil {
		c.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}
