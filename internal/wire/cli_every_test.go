package wire_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/cfnapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/awsapi/ecrapi"
	"github.com/neargate/neargate/internal/awsapi/ecsapi"
	"github.com/neargate/neargate/internal/awsapi/elbv2api"
	"github.com/neargate/neargate/internal/awsapi/iamapi"
	"github.com/neargate/neargate/internal/awsapi/logsapi"
	"github.com/neargate/neargate/internal/awsapi/stsapi"
)

// TestAWSCommandKnowsEveryOperation sends every operation of the manifest through the aws command: what it must have and
// the plain members beside it go in, every member of the answer comes out. An operation that this version of the
// command does not have is skipped. It takes a second of CPU per call, so it runs in CI and when asked for.
func TestAWSCommandKnowsEveryOperation(t *testing.T) {
	if os.Getenv("CI") == "" && os.Getenv("NEARGATE_AWS_ALL") == "" {
		t.Skip("takes minutes: set NEARGATE_AWS_ALL=1")
	}
	if _, err := exec.LookPath("aws"); err != nil {
		t.Skip("no aws command on this host")
	}
	var mu sync.Mutex
	got := map[string]any{}
	answers := map[string]any{}
	s := newServer()
	commands := map[string]string{"ec2": "ec2", "ecs": "ecs", "elbv2": "elbv2", "ecr": "ecr", "logs": "logs", "iam": "iam", "sts": "sts", "cfn": "cloudformation"}
	descs := []*awsapi.Service{
		ec2api.Description(), ecsapi.Description(), elbv2api.Description(), ecrapi.Description(), logsapi.Description(),
		iamapi.Description(), stsapi.Description(), cfnapi.Description(),
	}
	for _, desc := range descs {
		for _, op := range desc.Operations {
			answer := op.NewOutput()
			(&filler{}).fill(reflect.ValueOf(answer).Elem(), 0)
			endPages(reflect.ValueOf(answer).Elem())
			answers[desc.Name+op.Name] = answer
		}
		s.Mount(withHandler(desc, func(op *awsapi.Operation, in any) (any, error) {
			mu.Lock()
			defer mu.Unlock()
			got[desc.Name+op.Name] = in
			return answers[desc.Name+op.Name], nil
		}), nil)
	}
	_, url := start(t, s)
	version, _ := exec.Command("aws", "--version").CombinedOutput()
	sameModels := strings.Contains(string(version), "botocore/1.43.") // the release that our models are of
	atOnce := make(chan struct{}, 4)
	for _, desc := range descs {
		for _, op := range desc.Operations {
			t.Run(desc.Name+"/"+op.Name, func(t *testing.T) {
				t.Parallel()
				atOnce <- struct{}{}
				defer func() { <-atOnce }()
				input, err := json.Marshal(commandInput(op.Input, 0))
				if err != nil {
					t.Fatal(err)
				}
				cmd := exec.CommandContext(t.Context(), "aws", commands[desc.Name], kebab(op.Name), "--cli-input-json", string(input), "--output", "json", "--endpoint-url", url)
				cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1",
					"AWS_MAX_ATTEMPTS=1", "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=/dev/null", "AWS_PAGER=", "PYTHONUTF8=1")
				var stderr strings.Builder
				cmd.Stderr = &stderr
				out, err := cmd.Output()
				if err != nil && strings.Contains(stderr.String(), "Invalid choice") {
					t.Skip("this version of the aws command does not have it")
				}
				if err != nil {
					t.Fatalf("%v\n%s\ninput %s", err, stderr.String(), input)
				}
				mu.Lock()
				arrived := got[desc.Name+op.Name]
				mu.Unlock()
				if arrived == nil {
					t.Fatal("the operation was not called")
				}
				for _, m := range op.Input.Members {
					if m.Required && reflect.ValueOf(arrived).Elem().FieldByName(m.Field).IsZero() {
						t.Errorf("%s did not arrive; input %s", m.Name, input)
					}
				}
				var printed map[string]any
				if len(out) > 0 {
					if err := json.Unmarshal(out, &printed); err != nil {
						t.Fatalf("%v: %s", err, out)
					}
				}
				for _, m := range op.Output.Members {
					field := reflect.ValueOf(answers[desc.Name+op.Name]).Elem().FieldByName(m.Field)
					if _, ok := printed[m.Name]; !ok && !field.IsZero() && sameModels {
						t.Errorf("the answer's %s was not printed", m.Name)
					}
				}
			})
		}
	}
}

// endPages makes an answer the last page: the command would ask for more pages for ever.
func endPages(answer reflect.Value) {
	for i := range answer.NumField() {
		switch name := answer.Type().Field(i).Name; {
		case strings.Contains(strings.ToLower(name), "token") && !strings.Contains(name, "Client"), strings.HasSuffix(name, "Marker"), name == "IsTruncated":
			answer.Field(i).SetZero()
		}
	}
}

// commandInput returns what an operation must have, and beside it the plain members of the first level, as the command's
// JSON. Members that steer the command itself are left out.
func commandInput(shape *awsapi.Shape, depth int) map[string]any {
	input := map[string]any{}
	for _, m := range shape.Members {
		name := strings.ToLower(m.Name)
		plain := depth == 0 && (m.Shape.Kind == awsapi.String || m.Shape.Kind == awsapi.Integer || m.Shape.Kind == awsapi.Bool)
		steers := name == "dryrun" || strings.HasSuffix(name, "token") || name == "marker" || name == "maxresults" || name == "maxitems" || name == "pagesize" || name == "limit"
		if m.Required || (plain && !steers) {
			input[m.Name] = commandValue(m.Shape, depth)
		}
	}
	return input
}

func commandValue(shape *awsapi.Shape, depth int) any {
	const deepest = 6
	low := 1.0
	if shape.Min != nil && *shape.Min > low {
		low = *shape.Min
	}
	switch shape.Kind {
	case awsapi.Struct:
		if depth > deepest {
			return map[string]any{}
		}
		inner := commandInput(shape, depth+1)
		for _, m := range shape.Members { // a structure of which nothing is required must not be empty
			if len(inner) == 0 && (m.Shape.Kind == awsapi.String || m.Shape.Kind == awsapi.Integer) {
				inner[m.Name] = commandValue(m.Shape, depth+1)
			}
		}
		return inner
	case awsapi.List:
		return slices.Repeat([]any{commandValue(shape.Elem, depth+1)}, int(low))
	case awsapi.Map:
		return map[string]any{"k": commandValue(shape.Elem, depth+1)}
	case awsapi.Bool:
		return true
	case awsapi.Integer, awsapi.Long, awsapi.Float, awsapi.Double:
		return low
	case awsapi.Timestamp:
		return 1700000000
	case awsapi.Blob:
		return "QUJD" // base64 for version 2 of the command, text for version 1
	}
	if len(shape.Enum) > 0 {
		return shape.Enum[0]
	}
	return strings.Repeat("v", int(low))
}

var (
	wordStart = regexp.MustCompile(`(.)([A-Z][a-z]+)`)
	wordEnd   = regexp.MustCompile(`([a-z0-9])([A-Z])`)
)

// kebab turns an operation's name into the command's: DescribeSSLPolicies is describe-ssl-policies.
func kebab(name string) string {
	return strings.ToLower(wordEnd.ReplaceAllString(wordStart.ReplaceAllString(name, "$1-$2"), "$1-$2"))
}
