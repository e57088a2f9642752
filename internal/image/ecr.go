package image

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/smithy-go"
)

const (
	authLead       = "unable to pull secrets or registry auth: "
	authConnection = authLead + "The task cannot pull registry auth from Amazon ECR: There is a connection issue between the task and Amazon ECR. Check your task network configuration. "
	authService    = authLead + "execution resource retrieval failed: unable to retrieve ecr registry auth: service call has been retried 1 time(s): "
)

// authorize gets the registry's password from ECR, once for all images of the task in one registry.
func (s *Session) authorize(ctx context.Context, ref Reference) error {
	if !ref.IsECR() || s.opts.Credentials == nil {
		return nil // without a role the registry refuses, in its own words
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tokens[ref.Host] != "" {
		return nil
	}
	client := ecr.New(ecr.Options{
		Region: ref.ECRRegion, Credentials: s.opts.Credentials, HTTPClient: s.client,
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts = authAttempts
			o.Backoff = retry.BackoffDelayerFunc(func(attempt int, _ error) (time.Duration, error) {
				return s.opts.Clock.Scale(min(firstBackoff<<min(attempt, 8), longestBackoff)), nil
			})
		}),
	})
	out, err := client.GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return authError(err)
	case len(out.AuthorizationData) == 0 || aws.ToString(out.AuthorizationData[0].AuthorizationToken) == "":
		return &Error{Name: ResourceInit, Text: authService + "no authorization data"}
	}
	token := aws.ToString(out.AuthorizationData[0].AuthorizationToken)
	if plain, err := base64.StdEncoding.DecodeString(token); err != nil || !strings.HasPrefix(string(plain), "AWS:") {
		return &Error{Name: ResourceInit, Text: authService + "malformed authorization token", Err: err}
	}
	s.tokens[ref.Host] = "Basic " + token
	return nil
}

// authError words a failure of GetAuthorizationToken: an answer of the service is told apart from no answer.
func authError(err error) error {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		status, id := 0, ""
		if response, ok := errors.AsType[*awshttp.ResponseError](err); ok {
			status, id = response.HTTPStatusCode(), response.ServiceRequestID()
		}
		text := fmt.Sprintf("%s%s: %s status code: %d, request id: %s", authService, api.ErrorCode(), api.ErrorMessage(), status, id)
		return &Error{Name: ResourceInit, Text: text, Err: err}
	}
	return &Error{Name: ResourceInit, Text: authConnection + err.Error(), Err: err}
}
