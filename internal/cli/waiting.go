package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
)

// quietFor is after how long without an event a person wants to know what is being waited for.
const quietFor = 5 * time.Second

// waiting returns what the resources that are being worked on wait for, as the runner writes it on them.
func (w *stackWatch) waiting(ctx context.Context) string {
	var lines []string
	pages := cloudformation.NewListStackResourcesPaginator(w.api, &cloudformation.ListStackResourcesInput{StackName: &w.stack})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "" // the next look says what is wrong
		}
		for _, r := range page.StackResourceSummaries {
			reason := aws.ToString(r.ResourceStatusReason)
			if strings.HasSuffix(string(r.ResourceStatus), "_IN_PROGRESS") && reason != "" && !strings.HasPrefix(reason, "Resource creation Initiated") {
				lines = append(lines, fmt.Sprintf("%s: %s", aws.ToString(r.LogicalResourceId), printable(reason)))
			}
		}
	}
	return strings.Join(lines, "; ")
}

// sayWaiting notes what is waited for when nothing has happened for a while, once for each thing that it says.
func (w *stackWatch) sayWaiting(ctx context.Context, fresh bool) {
	now := w.view.now()
	if fresh || w.quiet.IsZero() {
		w.quiet = now
		return
	}
	if now.Sub(w.quiet) < quietFor {
		return
	}
	w.quiet = now
	if text := w.waiting(ctx); text != "" && text != w.said {
		w.said = text
		w.view.note("Waiting for " + text)
	}
}
