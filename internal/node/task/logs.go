package task

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/smithy-go"

	"github.com/neargate/neargate/internal/image"
	"github.com/neargate/neargate/internal/keeper/logship"
	"github.com/neargate/neargate/internal/model"
)

// Options of the awslogs driver.
const (
	optionGroup     = "awslogs-group"
	optionRegion    = "awslogs-region"
	optionPrefix    = "awslogs-stream-prefix"
	optionCreate    = "awslogs-create-group"
	optionMode      = "mode"
	optionBuffer    = "max-buffer-size"
	optionMultiline = "awslogs-multiline-pattern"
	optionDatetime  = "awslogs-datetime-format"
)

const (
	logAttempts = 3
	logLead     = "failed to validate logger args: "
)

// logStream returns <prefix>/<container>/<task id>.
func logStream(options map[string]string, name, taskID string) string {
	return options[optionPrefix] + "/" + name + "/" + taskID
}

// compileLog turns a container's log configuration into what the keeper ships.
func compileLog(c *model.ContainerDefinition, taskID string, at place, resolver netip.AddrPort) (logship.Config, error) {
	o := c.Log.Options
	log := logship.Config{
		Container: c.Name, Spool: logPath(at.dir, c.Name), Region: o[optionRegion], Group: o[optionGroup],
		Stream: logStream(o, c.Name, taskID), CreateGroup: o[optionCreate] == "true", Blocking: o[optionMode] == "blocking",
		MultilinePattern: o[optionMultiline], DatetimeFormat: o[optionDatetime], Remote: logship.Remote{Resolver: resolver},
	}
	for _, name := range []string{optionRegion, optionGroup, optionPrefix} {
		if o[name] == "" {
			return log, initError("unable to get awslogs driver arguments: " + name + " is required")
		}
	}
	var err error
	if log.MaxBuffer, err = parseSize(o[optionBuffer]); err != nil {
		return log, initError(fmt.Sprintf("%sinvalid %s %q", logLead, optionBuffer, o[optionBuffer]))
	}
	if err := log.Validate(); err != nil {
		return log, initError(logLead + err.Error())
	}
	return log, nil
}

// parseSize reads a size as docker does: 4096, 1k, 10m, 1g, with an optional b; empty is 0.
func parseSize(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	lower := strings.TrimSuffix(strings.ToLower(text), "b")
	factor := int64(1)
	for suffix, f := range map[string]int64{"k": 1 << 10, "m": 1 << 20, "g": 1 << 30} {
		if strings.HasSuffix(lower, suffix) {
			lower, factor = strings.TrimSuffix(lower, suffix), f
			break
		}
	}
	n, err := strconv.ParseInt(lower, 10, 32)
	if err != nil || n <= 0 {
		return 0, errors.New("not a size")
	}
	return n * factor, nil
}

func initError(text string) *image.Error { return &image.Error{Name: image.ResourceInit, Text: text} }

// openStream makes a container's log stream over the task's network, as Fargate does before it starts anything: a
// missing group or a cut way fails the task.
func (r *runner) openStream(ctx context.Context, client *http.Client, credentials aws.CredentialsProvider, log logship.Config) error {
	api := cloudwatchlogs.New(cloudwatchlogs.Options{
		Region: log.Region, Credentials: credentials, HTTPClient: client,
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts = logAttempts
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return r.Clock.Scale(time.Second), nil })
		}),
	})
	_, err := api.CreateLogStream(ctx, &cloudwatchlogs.CreateLogStreamInput{LogGroupName: &log.Group, LogStreamName: &log.Stream})
	var missing *types.ResourceNotFoundException
	if errors.As(err, &missing) && log.CreateGroup {
		_, err = api.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &log.Group})
		var exists *types.ResourceAlreadyExistsException
		if err == nil || errors.As(err, &exists) { // another task may have been quicker
			_, err = api.CreateLogStream(ctx, &cloudwatchlogs.CreateLogStreamInput{LogGroupName: &log.Group, LogStreamName: &log.Stream})
		}
	}
	var exists *types.ResourceAlreadyExistsException
	if err == nil || errors.As(err, &exists) { // made before a restart of the daemon
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return logError(err)
}

// logError words a failure of the log driver (aws-facts 1.4).
func logError(err error) *image.Error {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		text := fmt.Sprintf("%screate stream has been retried 1 times: failed to create Cloudwatch log stream: %s: %s : exit status 1",
			logLead, api.ErrorCode(), api.ErrorMessage())
		return &image.Error{Name: image.ResourceInit, Text: text, Err: err}
	}
	return &image.Error{Name: image.ResourceInit, Err: err, Text: logLead +
		"The task cannot find the Amazon CloudWatch log group defined in the task definition. There is a connection issue between the task and Amazon CloudWatch. Check your network configuration. : signal: killed"}
}
