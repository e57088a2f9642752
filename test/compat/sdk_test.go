package compat

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/smithy-go"
)

// exceptions are the operations of the manifest that no scenario has to call rightly, or wrongly, with the reason.
var exceptions = map[string]struct{ rightly, wrongly string }{
	"ec2 DescribeAccountAttributes": {wrongly: "its only member is an enumeration"},
	"sts GetCallerIdentity":         {wrongly: "it has no input; TestCredentials calls it with wrong keys"},
	"ecr DescribeRegistry":          {wrongly: "it has no input"},
	"ecr SetRepositoryPolicy":       {rightly: "refused: nothing enforces policies of repositories yet"},
	"ecr DeleteRepositoryPolicy":    {rightly: "there are none to delete"},
	"ecr GetRepositoryPolicy":       {rightly: "there are none to get"},
	"cfn SetStackPolicy":            {rightly: "refused: nothing enforces policies of stacks yet"},
}

// TestSDK lets each service's scenarios run in a cloud of its own, and then demands that the scenarios have called every
// operation of the manifest, with success and with an answer that refuses.
func TestSDK(t *testing.T) {
	calls := newRecord()
	scenarios := map[string]func(*client){
		"ec2": scenarioEC2, "ecs": scenarioECS, "elbv2": scenarioELB, "ecr": scenarioECR, "logs": scenarioLogs,
		"iam": scenarioIAM, "sts": scenarioSTS, "cfn": scenarioCFN,
	}
	wrongly := map[string][]wrong{
		"ec2": wrongEC2, "ecs": wrongECS, "elbv2": wrongELB, "ecr": wrongECR, "logs": wrongLogs, "iam": wrongIAM, "sts": wrongSTS, "cfn": wrongCFN,
	}
	ran := make(chan string, len(scenarios))
	t.Run("services", func(t *testing.T) {
		for name, scenario := range scenarios {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				scenario(newClient(t, calls))
				ran <- name
			})
		}
		for name, cases := range wrongly {
			t.Run(name+" wrongly", func(t *testing.T) {
				t.Parallel()
				c := newClient(t, calls)
				for _, w := range cases {
					w.try(c, name)
				}
			})
		}
	})
	if len(ran) < len(scenarios) {
		return // a part was chosen with -run, or failed
	}
	for _, operation := range manifest(t) {
		except := exceptions[operation]
		if calls.success[operation] == 0 && except.rightly == "" {
			t.Errorf("%s: no scenario has called it with success", operation)
		}
		if calls.failure[operation] == 0 && except.wrongly == "" {
			t.Errorf("%s: no scenario has called it wrongly", operation)
		}
		if calls.success[operation] > 0 && except.rightly != "" || calls.failure[operation] > 0 && except.wrongly != "" {
			t.Errorf("%s: it has been called; take it out of the exceptions", operation)
		}
	}
}

// wrong is a call that has to be refused. Nothing exists in the cloud that it is made to.
type wrong struct {
	operation string
	input     string // as JSON; 'quotes' for "quotes"
	code      string
	says      string // part of the message
}

// untyped are the codes for which the SDK's models have no type of their own, as in AWS's answers.
var untyped = map[string]bool{"ValidationError": true, "ValidationException": true, "AccessDenied": true}

// try makes the call. Where the SDK has types for errors, the error must come as one: that needs the right code at the
// right place of the answer.
func (w wrong) try(c *client, service string) {
	c.t.Helper()
	_, err := c.any.Call(c.t.Context(), service, w.operation, []byte(strings.ReplaceAll(w.input, "'", `"`)))
	if got := codeOf(err); got != w.code || !strings.Contains(fmt.Sprint(err), w.says) {
		c.t.Errorf("%s %s: got %v; want %s saying %q", w.operation, w.input, err, w.code, w.says)
		return
	}
	var generic *smithy.GenericAPIError
	if errors.As(err, &generic) && service != "ec2" && !untyped[w.code] {
		c.t.Errorf("%s: the SDK has no type for %v", w.operation, err)
	}
}
