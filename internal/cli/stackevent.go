package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfn "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

const (
	pollEvery = 250 * time.Millisecond
	// awayMost is how long an operation under way is watched while no daemon answers: it may be restarting.
	awayMost    = 2 * time.Minute
	stackType   = "AWS::CloudFormation::Stack"
	maxOutcomes = 20
)

// stackWatch follows the events of one stack from the moment that begin was called.
type stackWatch struct {
	api   CloudFormationAPI
	stack string // ARN: a deleted stack can still be asked for by it
	view  *progress
	every time.Duration

	quiet  time.Time // since when nothing has happened, or since it was last said what is waited for
	said   string
	last   string // identifier of the newest event that was seen
	events []cfn.StackEvent
}

// begin remembers which events are old.
func (w *stackWatch) begin(ctx context.Context) error {
	out, err := w.api.DescribeStackEvents(ctx, &cloudformation.DescribeStackEventsInput{StackName: &w.stack})
	if err != nil {
		return err
	}
	if len(out.StackEvents) > 0 {
		w.last = aws.ToString(out.StackEvents[0].EventId)
	}
	return nil
}

// follow shows what happens until the stack's operation has ended, and returns the stack. Its events are in w.events, oldest first.
func (w *stackWatch) follow(ctx context.Context) (*cfn.Stack, error) {
	if w.every == 0 {
		w.every = pollEvery
	}
	tick := time.NewTicker(w.every)
	defer tick.Stop()
	var away time.Time
	for {
		stack, err := w.look(ctx)
		switch {
		case err != nil && unreachable(err) && (away.IsZero() || time.Since(away) < awayMost):
			if away.IsZero() {
				away = time.Now()
				w.view.note("Neargate does not answer; waiting for it to come back")
			}
		case err != nil:
			return nil, err
		case !strings.HasSuffix(string(stack.StackStatus), "_IN_PROGRESS"):
			w.view.finish()
			return stack, nil
		default:
			away = time.Time{}
		}
		select {
		case <-ctx.Done():
			w.view.finish()
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}

// look reads the state first and the events after it, so that an operation that has ended has all its events shown.
func (w *stackWatch) look(ctx context.Context) (*cfn.Stack, error) {
	out, err := w.api.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &w.stack})
	if err != nil {
		return nil, err
	}
	if len(out.Stacks) == 0 {
		return nil, fmt.Errorf("stack %s is gone", w.stack)
	}
	fresh, err := w.fresh(ctx)
	if err != nil {
		return nil, err
	}
	w.events = append(w.events, fresh...)
	if len(fresh) > 0 || w.said == "" {
		w.view.show(fresh)
	}
	w.sayWaiting(ctx, len(fresh) > 0)
	return &out.Stacks[0], nil
}

// fresh returns the events since the last call, oldest first.
func (w *stackWatch) fresh(ctx context.Context) ([]cfn.StackEvent, error) {
	var newest []cfn.StackEvent
	pages := cloudformation.NewDescribeStackEventsPaginator(w.api, &cloudformation.DescribeStackEventsInput{StackName: &w.stack})
read:
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for i := range page.StackEvents {
			if aws.ToString(page.StackEvents[i].EventId) == w.last {
				break read
			}
			newest = append(newest, page.StackEvents[i])
		}
	}
	for i, j := 0, len(newest)-1; i < j; i, j = i+1, j-1 {
		newest[i], newest[j] = newest[j], newest[i]
	}
	if n := len(newest); n > 0 {
		w.last = aws.ToString(newest[n-1].EventId)
	}
	return newest, nil
}

// outcomes returns what went wrong, the first cause first: a failure that was ordered because of an earlier one is left
// out, and so is the stack's own summary unless there is nothing else.
func outcomes(events []cfn.StackEvent) (causes []cfn.StackEvent) {
	var summary []cfn.StackEvent
	for _, e := range events {
		reason := aws.ToString(e.ResourceStatusReason)
		isStack := aws.ToString(e.ResourceType) == stackType && aws.ToString(e.PhysicalResourceId) == aws.ToString(e.StackId)
		switch status := string(e.ResourceStatus); {
		case isStack && reason != "" && (strings.Contains(status, "FAILED") || strings.Contains(status, "ROLLBACK")):
			summary = append(summary, e)
		case isStack || !strings.HasSuffix(status, "_FAILED"):
		case reason == "Resource creation cancelled" || reason == "Resource update cancelled":
		default:
			causes = append(causes, e)
		}
	}
	if len(causes) == 0 {
		causes = summary
	}
	if len(causes) > maxOutcomes {
		causes = causes[:maxOutcomes]
	}
	return causes
}

// explainOutcome writes the reasons of a failure as text for people.
func explainOutcome(causes []cfn.StackEvent) string {
	var b strings.Builder
	for i, e := range causes {
		if i == 1 {
			b.WriteString("  then:\n")
		}
		reason := aws.ToString(e.ResourceStatusReason)
		if reason == "" {
			reason = "no reason was given"
		}
		fmt.Fprintf(&b, "  %s (%s) %s: %s\n", aws.ToString(e.LogicalResourceId), aws.ToString(e.ResourceType), e.ResourceStatus, printable(reason))
	}
	return strings.TrimRight(b.String(), "\n")
}
