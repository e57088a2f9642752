package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/logsapi"
	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/logstore"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store/storetest"
)

var testTime = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

func newServer(t *testing.T) *Server {
	t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	events, err := logstore.Open(t.TempDir(), logstore.Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = events.Close(context.WithoutCancel(t.Context())) })
	db, tables := storetest.New(t)
	return New(Options{DB: db, Tables: tables, Events: events, Clock: clock.Fixed(testTime), Log: log,
		Scope: model.Scope{Account: "000000000000", Region: "us-east-1"}})
}

// must returns the answer of a call that has to go well.
func must[T any](t *testing.T) func(T, error) T {
	return func(out T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

func (s *Server) withStream(t *testing.T, group string, streams ...string) *Server {
	t.Helper()
	must[*logsapi.CreateLogGroupOutput](t)(s.CreateLogGroup(t.Context(), &logsapi.CreateLogGroupInput{LogGroupName: &group}))
	for _, name := range streams {
		must[*logsapi.CreateLogStreamOutput](t)(s.CreateLogStream(t.Context(), &logsapi.CreateLogStreamInput{LogGroupName: &group, LogStreamName: &name}))
	}
	return s
}

// event is a message that many milliseconds after testTime.
func event(after int64, message string) logsapi.InputLogEvent {
	return logsapi.InputLogEvent{Timestamp: awsapi.Ptr(testTime.UnixMilli() + after), Message: &message}
}

func (s *Server) put(t *testing.T, group, stream string, events ...logsapi.InputLogEvent) *logsapi.PutLogEventsOutput {
	t.Helper()
	return must[*logsapi.PutLogEventsOutput](t)(s.PutLogEvents(t.Context(), &logsapi.PutLogEventsInput{
		LogGroupName: &group, LogStreamName: &stream, LogEvents: events}))
}

func TestGroups(t *testing.T) {
	s := newServer(t).withStream(t, "/ecs/web").withStream(t, "/ecs/api").withStream(t, "other")
	name := "/ecs/web"
	_, err := s.CreateLogGroup(t.Context(), &logsapi.CreateLogGroupInput{LogGroupName: &name})
	wantError(t, err, "ResourceAlreadyExistsException: The specified log group already exists")
	_, err = s.CreateLogGroup(t.Context(), &logsapi.CreateLogGroupInput{LogGroupName: awsapi.Ptr("x"), KmsKeyId: awsapi.Ptr("k")})
	wantError(t, err, "InvalidParameterException: Neargate does not support the parameter kmsKeyId")
	must[*logsapi.PutRetentionPolicyOutput](t)(s.PutRetentionPolicy(t.Context(), &logsapi.PutRetentionPolicyInput{LogGroupName: &name, RetentionInDays: awsapi.Ptr(int32(14))}))
	_, err = s.PutRetentionPolicy(t.Context(), &logsapi.PutRetentionPolicyInput{LogGroupName: &name, RetentionInDays: awsapi.Ptr(int32(2))})
	wantError(t, err, "InvalidParameterException: 1 validation error detected: Value '2' at 'retentionInDays'")
	out := must[*logsapi.DescribeLogGroupsOutput](t)(s.DescribeLogGroups(t.Context(), &logsapi.DescribeLogGroupsInput{LogGroupNamePrefix: awsapi.Ptr("/ecs/"), Limit: awsapi.Ptr(int32(1))}))
	if len(out.LogGroups) != 1 || *out.LogGroups[0].LogGroupName != "/ecs/api" || out.LogGroups[0].RetentionInDays != nil || out.NextToken == nil {
		t.Errorf("first page: %+v", out)
	}
	out = must[*logsapi.DescribeLogGroupsOutput](t)(s.DescribeLogGroups(t.Context(), &logsapi.DescribeLogGroupsInput{LogGroupNamePrefix: awsapi.Ptr("/ecs/"), NextToken: out.NextToken}))
	want := []logsapi.LogGroup{{
		Arn: awsapi.Ptr("arn:aws:logs:us-east-1:000000000000:log-group:/ecs/web:*"), LogGroupArn: awsapi.Ptr("arn:aws:logs:us-east-1:000000000000:log-group:/ecs/web"),
		LogGroupName: &name, CreationTime: awsapi.Ptr(testTime.UnixMilli()), LogGroupClass: "STANDARD", MetricFilterCount: awsapi.Ptr(int32(0)),
		RetentionInDays: awsapi.Ptr(int32(14)), StoredBytes: awsapi.Ptr(int64(0)), DeletionProtectionEnabled: awsapi.Ptr(false),
	}}
	if diff := cmp.Diff(want, out.LogGroups); diff != "" || out.NextToken != nil {
		t.Errorf("second page (-want +got):\n%s", diff)
	}
	arn := "arn:aws:logs:us-east-1:000000000000:log-group:/ecs/web:*"
	must[*logsapi.TagResourceOutput](t)(s.TagResource(t.Context(), &logsapi.TagResourceInput{ResourceArn: &arn, Tags: map[string]string{"a": "1", "b": "2"}}))
	must[*logsapi.UntagLogGroupOutput](t)(s.UntagLogGroup(t.Context(), &logsapi.UntagLogGroupInput{LogGroupName: &name, Tags: []string{"a"}}))
	tags := must[*logsapi.ListTagsForResourceOutput](t)(s.ListTagsForResource(t.Context(), &logsapi.ListTagsForResourceInput{ResourceArn: awsapi.Ptr(strings.TrimSuffix(arn, ":*"))}))
	if diff := cmp.Diff(map[string]string{"b": "2"}, tags.Tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	must[*logsapi.DeleteLogGroupOutput](t)(s.DeleteLogGroup(t.Context(), &logsapi.DeleteLogGroupInput{LogGroupName: &name}))
	_, err = s.DeleteLogGroup(t.Context(), &logsapi.DeleteLogGroupInput{LogGroupName: &name})
	wantError(t, err, "ResourceNotFoundException: The specified log group does not exist.")
}

func TestStreams(t *testing.T) {
	s := newServer(t).withStream(t, "g", "a", "b", "c")
	s.put(t, "g", "c", event(0, "x"))
	s.put(t, "g", "a", event(5, "x"))
	_, err := s.CreateLogStream(t.Context(), &logsapi.CreateLogStreamInput{LogGroupName: awsapi.Ptr("g"), LogStreamName: awsapi.Ptr("a")})
	wantError(t, err, "ResourceAlreadyExistsException: The specified log stream already exists")
	_, err = s.CreateLogStream(t.Context(), &logsapi.CreateLogStreamInput{LogGroupName: awsapi.Ptr("none"), LogStreamName: awsapi.Ptr("a")})
	wantError(t, err, "ResourceNotFoundException: The specified log group does not exist.")
	list := func(by logsapi.OrderBy, descending bool) string {
		t.Helper()
		var names []string
		in := &logsapi.DescribeLogStreamsInput{LogGroupIdentifier: awsapi.Ptr("arn:aws:logs:us-east-1:000000000000:log-group:g"), OrderBy: by, Descending: &descending, Limit: awsapi.Ptr(int32(2))}
		for {
			out := must[*logsapi.DescribeLogStreamsOutput](t)(s.DescribeLogStreams(t.Context(), in))
			for _, st := range out.LogStreams {
				names = append(names, *st.LogStreamName)
			}
			if in.NextToken = out.NextToken; in.NextToken == nil {
				return strings.Join(names, " ")
			}
		}
	}
	if got := list(logsapi.OrderByLogStreamName, false); got != "a b c" {
		t.Errorf("by name: %s", got)
	}
	if got := list(logsapi.OrderByLastEventTime, true); got != "a c b" {
		t.Errorf("latest first: %s", got)
	}
	id, _ := s.tables.LogStreams.Get(s.db.View(), "g:a")
	must[*logsapi.DeleteLogStreamOutput](t)(s.DeleteLogStream(t.Context(), &logsapi.DeleteLogStreamInput{LogGroupName: awsapi.Ptr("g"), LogStreamName: awsapi.Ptr("a")}))
	if st := s.events.Stats(id.ID); st.Events != 0 {
		t.Error("events of a deleted stream are still there")
	}
}

func TestPutLogEvents(t *testing.T) {
	s := newServer(t).withStream(t, "g", "s")
	group, stream := awsapi.Ptr("g"), awsapi.Ptr("s")
	hour := int64(60 * 60 * 1000)
	out := s.put(t, "g", "s", event(1*hour, "in"), event(3*hour, "new"))
	if out.RejectedLogEventsInfo == nil || *out.RejectedLogEventsInfo.TooNewLogEventStartIndex != 1 || out.NextSequenceToken == nil {
		t.Errorf("too new: %+v", out.RejectedLogEventsInfo)
	}
	out = s.put(t, "g", "s", event(-15*day, "old"), event(-15*day+1, "old"), event(-14*day, "in"))
	if out.RejectedLogEventsInfo == nil || *out.RejectedLogEventsInfo.TooOldLogEventEndIndex != 2 {
		t.Errorf("too old: %+v", out.RejectedLogEventsInfo)
	}
	if got := s.get(t, nil); got != "in in" {
		t.Errorf("stored: %s", got)
	}
	must[*logsapi.PutRetentionPolicyOutput](t)(s.PutRetentionPolicy(t.Context(), &logsapi.PutRetentionPolicyInput{LogGroupName: group, RetentionInDays: awsapi.Ptr(int32(1))}))
	out = s.put(t, "g", "s", event(-2*day, "expired"))
	if out.RejectedLogEventsInfo == nil || *out.RejectedLogEventsInfo.ExpiredLogEventEndIndex != 1 {
		t.Errorf("expired: %+v", out.RejectedLogEventsInfo)
	}
	if got := s.get(t, nil); got != "in" {
		t.Errorf("after the retention: %s", got)
	}
	tests := []struct {
		in   *logsapi.PutLogEventsInput
		want string
	}{
		{&logsapi.PutLogEventsInput{LogGroupName: group, LogStreamName: stream, LogEvents: []logsapi.InputLogEvent{event(2, "a"), event(1, "b")}},
			"InvalidParameterException: Log events in a single PutLogEvents request must be in chronological order."},
		{&logsapi.PutLogEventsInput{LogGroupName: group, LogStreamName: stream, LogEvents: []logsapi.InputLogEvent{event(0, "a"), event(day+1, "b")}},
			"InvalidParameterException: The batch of log events in a single PutLogEvents request cannot span more than 24 hours."},
		{&logsapi.PutLogEventsInput{LogGroupName: group, LogStreamName: stream, LogEvents: []logsapi.InputLogEvent{event(0, strings.Repeat("x", maxBatchBytes-25))}},
			"InvalidParameterException: Upload too large: 1048577 bytes exceeds limit of 1048576"},
		{&logsapi.PutLogEventsInput{LogGroupName: awsapi.Ptr("none"), LogStreamName: stream}, "ResourceNotFoundException: The specified log group does not exist."},
		{&logsapi.PutLogEventsInput{LogGroupName: group, LogStreamName: awsapi.Ptr("none")}, "ResourceNotFoundException: The specified log stream does not exist."},
	}
	for _, tt := range tests {
		_, err := s.PutLogEvents(t.Context(), tt.in)
		wantError(t, err, tt.want)
	}
}

// get reads the stream s of the group g.
func (s *Server) get(t *testing.T, edit func(*logsapi.GetLogEventsInput)) string {
	t.Helper()
	in := &logsapi.GetLogEventsInput{LogGroupName: awsapi.Ptr("g"), LogStreamName: awsapi.Ptr("s")}
	if edit != nil {
		edit(in)
	}
	out := must[*logsapi.GetLogEventsOutput](t)(s.GetLogEvents(t.Context(), in))
	var all []string
	for _, e := range out.Events {
		all = append(all, *e.Message)
	}
	return strings.Join(all, " ")
}

// TestRepeatedBatch is a shipper that does not get the answer and sends again.
func TestRepeatedBatch(t *testing.T) {
	s := newServer(t).withStream(t, "g", "s")
	in := &logsapi.PutLogEventsInput{LogGroupName: awsapi.Ptr("g"), LogStreamName: awsapi.Ptr("s"),
		LogEvents: []logsapi.InputLogEvent{event(0, "one")}, SequenceToken: awsapi.Ptr(logstore.Token("task/app", 0, 4))}
	for range 3 {
		out := must[*logsapi.PutLogEventsOutput](t)(s.PutLogEvents(t.Context(), in))
		if *out.NextSequenceToken != logstore.Token("task/app", 4, 4) {
			t.Errorf("next token: %s", *out.NextSequenceToken)
		}
	}
	in.SequenceToken = awsapi.Ptr(logstore.Token("task/app", 0, 8))
	_, err := s.PutLogEvents(t.Context(), in)
	var api *awsapi.Error
	if !errors.As(err, &api) || api.Code != "InvalidSequenceTokenException" || api.Fields["expectedSequenceToken"] != logstore.Token("task/app", 4, 4) {
		t.Errorf("overlapping batch: %v", err)
	}
	if got := s.get(t, nil); got != "one" {
		t.Errorf("stored: %s", got)
	}
}

func TestGetLogEvents(t *testing.T) {
	s := newServer(t).withStream(t, "g", "s")
	for i := range 5 {
		s.put(t, "g", "s", event(int64(i), fmt.Sprint(i)))
	}
	in := &logsapi.GetLogEventsInput{LogGroupName: awsapi.Ptr("g"), LogStreamName: awsapi.Ptr("s"), Limit: awsapi.Ptr(int32(2))}
	read := func(token *string) (got, next, back string) {
		t.Helper()
		in.NextToken = token
		out := must[*logsapi.GetLogEventsOutput](t)(s.GetLogEvents(t.Context(), in))
		for _, e := range out.Events {
			got += *e.Message
		}
		return got, *out.NextForwardToken, *out.NextBackwardToken
	}
	got, next, back := read(nil)
	if got != "34" {
		t.Errorf("without a token: %s", got)
	}
	if got, same, _ := read(&next); got != "" || same != next {
		t.Errorf("at the end: %s %s, want %s", got, same, next)
	}
	s.put(t, "g", "s", event(5, "5"))
	if got, _, _ := read(&next); got != "5" {
		t.Errorf("what came meanwhile: %s", got)
	}
	if got, _, back = read(&back); got != "12" {
		t.Errorf("backward: %s", got)
	}
	if got, _, back = read(&back); got != "0" {
		t.Errorf("backward again: %s", got)
	}
	if got, _, same := read(&back); got != "" || same != back {
		t.Errorf("at the beginning: %s %s, want %s", got, same, back)
	}
	if got := s.get(t, func(in *logsapi.GetLogEventsInput) {
		in.StartFromHead, in.StartTime, in.EndTime = awsapi.Ptr(true), awsapi.Ptr(testTime.UnixMilli()+1), awsapi.Ptr(testTime.UnixMilli()+3)
	}); got != "1 2" {
		t.Errorf("between: %s", got)
	}
	in.NextToken = awsapi.Ptr("x/1")
	_, err := s.GetLogEvents(t.Context(), in)
	wantError(t, err, "InvalidParameterException: The specified nextToken is invalid.")
}

func TestFilterLogEvents(t *testing.T) {
	s := newServer(t).withStream(t, "g", "a/1", "a/2", "b/1")
	s.put(t, "g", "a/1", event(0, "ERROR one"), event(2, "fine"))
	s.put(t, "g", "a/2", event(1, "ERROR two"), event(3, "ERROR three"))
	s.put(t, "g", "b/1", event(1, "ERROR four"))
	filter := func(edit func(*logsapi.FilterLogEventsInput)) string {
		t.Helper()
		in := &logsapi.FilterLogEventsInput{LogGroupName: awsapi.Ptr("g"), Limit: awsapi.Ptr(int32(2))}
		edit(in)
		var all []string
		ids := map[string]bool{}
		for {
			out := must[*logsapi.FilterLogEventsOutput](t)(s.FilterLogEvents(t.Context(), in))
			for _, e := range out.Events {
				all = append(all, *e.LogStreamName+":"+*e.Message)
				ids[*e.EventId] = true
			}
			if in.NextToken = out.NextToken; in.NextToken == nil {
				if len(ids) != len(all) {
					t.Errorf("event identifiers repeat")
				}
				return strings.Join(all, ", ")
			}
		}
	}
	tests := []struct {
		name string
		edit func(*logsapi.FilterLogEventsInput)
		want string
	}{
		{"all", func(*logsapi.FilterLogEventsInput) {}, "a/1:ERROR one, a/2:ERROR two, b/1:ERROR four, a/1:fine, a/2:ERROR three"},
		{"pattern", func(in *logsapi.FilterLogEventsInput) { in.FilterPattern = awsapi.Ptr("ERROR -two") }, "a/1:ERROR one, b/1:ERROR four, a/2:ERROR three"},
		{"prefix", func(in *logsapi.FilterLogEventsInput) { in.LogStreamNamePrefix = awsapi.Ptr("b/") }, "b/1:ERROR four"},
		{"names", func(in *logsapi.FilterLogEventsInput) { in.LogStreamNames = []string{"a/2"} }, "a/2:ERROR two, a/2:ERROR three"},
		{"time", func(in *logsapi.FilterLogEventsInput) {
			in.StartTime, in.EndTime = awsapi.Ptr(testTime.UnixMilli()+1), awsapi.Ptr(testTime.UnixMilli()+2)
		}, "a/2:ERROR two, b/1:ERROR four, a/1:fine"},
	}
	for _, tt := range tests {
		if got := filter(tt.edit); got != tt.want {
			t.Errorf("%s: %s\nwant %s", tt.name, got, tt.want)
		}
	}
	_, err := s.FilterLogEvents(t.Context(), &logsapi.FilterLogEventsInput{LogGroupName: awsapi.Ptr("g"), FilterPattern: awsapi.Ptr("{")})
	wantError(t, err, "InvalidParameterException: Invalid filter pattern")
}

func TestRetain(t *testing.T) {
	s := newServer(t).withStream(t, "g", "s")
	s.put(t, "g", "s", event(0, "kept"))
	if err := s.events.Append(t.Context(), "stray", logstore.Batch{Events: []logstore.Input{{Time: 1, Message: "x"}}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Retain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.events.Stats("stray").Events != 0 {
		t.Error("events without a stream are still there")
	}
	if got := s.get(t, nil); got != "kept" {
		t.Errorf("left: %s", got)
	}
}
