package logs

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/logsapi"
	"github.com/neargate/neargate/internal/logstore"
	"github.com/neargate/neargate/internal/logstore/pattern"
	"github.com/neargate/neargate/internal/model"
)

// Limits of PutLogEvents (aws-facts 1.13), and of an answer.
const (
	maxBatchBytes = 1 << 20
	maxBatchSpan  = day
	maxAge        = 14 * day
	maxAhead      = 2 * 60 * 60 * 1000 // milliseconds
	maxAnswer     = 1 << 20
	maxEvents     = 10000
	maxScan       = 32 << 20 // what one FilterLogEvents looks at before it answers with a token
)

// PutLogEvents stores events; when it answers they are on disk. Events that are too old or too new are left out and the answer says which.
func (s *Server) PutLogEvents(ctx context.Context, in *logsapi.PutLogEventsInput) (*logsapi.PutLogEventsOutput, error) {
	if in.Entity != nil {
		return nil, unsupported("entity")
	}
	view := s.db.View()
	g, err := s.group(view, awsapi.Val(in.LogGroupName))
	if err != nil {
		return nil, err
	}
	st, err := s.stream(view, g.Name, awsapi.Val(in.LogStreamName))
	if err != nil {
		return nil, err
	}
	if err := checkBatch(in.LogEvents); err != nil {
		return nil, err
	}
	low, high, rejected := s.accepted(g, in.LogEvents)
	batch := logstore.Batch{Ingested: s.now()}
	for _, e := range in.LogEvents[low:high] {
		batch.Events = append(batch.Events, logstore.Input{Time: *e.Timestamp, Message: *e.Message})
	}
	token := awsapi.Val(in.SequenceToken)
	next := sequenceToken(batch.Ingested)
	if source, from, to, ok := logstore.ParseToken(token); ok {
		batch.Source, batch.From, batch.To = source, from, to
		next = logstore.Token(source, to, to)
	}
	if err := s.events.Append(ctx, st.ID, batch); err != nil {
		return nil, storeError(batch.Source, err)
	}
	return &logsapi.PutLogEventsOutput{NextSequenceToken: awsapi.Ptr(next), RejectedLogEventsInfo: rejected}, nil
}

// checkBatch checks what makes AWS refuse a batch as a whole.
func checkBatch(events []logsapi.InputLogEvent) error {
	size := 0
	for i, e := range events {
		size += len(*e.Message) + logstore.EventOverhead
		if i > 0 && *e.Timestamp < *events[i-1].Timestamp {
			return invalid("Log events in a single PutLogEvents request must be in chronological order.")
		}
	}
	if size > maxBatchBytes {
		return invalid("Upload too large: %d bytes exceeds limit of %d", size, maxBatchBytes)
	}
	if n := len(events); n > 0 && *events[n-1].Timestamp-*events[0].Timestamp > maxBatchSpan {
		return invalid("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
	}
	return nil
}

// accepted returns which part of a batch, in order, is neither too old nor too new, and AWS's report about the rest.
func (s *Server) accepted(g *model.LogGroup, events []logsapi.InputLogEvent) (low, high int, rejected *logsapi.RejectedLogEventsInfo) {
	now := s.now()
	// firstAt returns the index of the first event that is not older than t.
	firstAt := func(t int64) int {
		i, _ := slices.BinarySearchFunc(events, t, func(e logsapi.InputLogEvent, t int64) int {
			if *e.Timestamp < t {
				return -1
			}
			return 1
		})
		return i
	}
	tooOld, expired, tooNew := firstAt(now-maxAge), firstAt(s.oldest(g)), firstAt(now+maxAhead+1)
	info := logsapi.RejectedLogEventsInfo{}
	if tooOld > 0 {
		info.TooOldLogEventEndIndex = awsapi.Ptr(int32(tooOld))
	}
	if expired > 0 {
		info.ExpiredLogEventEndIndex = awsapi.Ptr(int32(expired))
	}
	if tooNew < len(events) {
		info.TooNewLogEventStartIndex = awsapi.Ptr(int32(tooNew))
	}
	if info != (logsapi.RejectedLogEventsInfo{}) {
		rejected = &info
	}
	low = max(tooOld, expired)
	return low, max(low, tooNew), rejected
}

// Directions of a page token of GetLogEvents.
const (
	forward  = "f/"
	backward = "b/"
)

// digits of the two parts of a place in a stream: 56 together, as AWS's tokens and event identifiers have.
const (
	timeDigits = 20
	seqDigits  = 36
)

func place(k logstore.Key) string {
	return fmt.Sprintf("%0*d%0*d", timeDigits, k.Time, seqDigits, k.Seq)
}

func parsePlace(text string) (logstore.Key, bool) {
	if len(text) != timeDigits+seqDigits {
		return logstore.Key{}, false
	}
	t, err := strconv.ParseInt(text[:timeDigits], 10, 64)
	if err != nil || t < 0 {
		return logstore.Key{}, false
	}
	seq, err := strconv.ParseUint(text[timeDigits:], 10, 64)
	return logstore.Key{Time: t, Seq: seq}, err == nil
}

// GetLogEvents reads one stream, forward or backward. At either end the token that was sent comes back.
func (s *Server) GetLogEvents(ctx context.Context, in *logsapi.GetLogEventsInput) (*logsapi.GetLogEventsOutput, error) {
	if awsapi.Val(in.Unmask) {
		return nil, unsupported("unmask")
	}
	view := s.db.View()
	g, err := s.namedGroup(view, in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	st, err := s.stream(view, g.Name, awsapi.Val(in.LogStreamName))
	if err != nil {
		return nil, err
	}
	q := logstore.Query{
		Streams: []string{st.ID}, From: max(awsapi.Val(in.StartTime), s.oldest(g)), To: awsapi.Val(in.EndTime),
		Backward: !awsapi.Val(in.StartFromHead), Limit: int(awsapi.Or(in.Limit, maxEvents)), MaxBytes: maxAnswer,
	}
	var at logstore.Key
	if token := awsapi.Val(in.NextToken); token != "" {
		var ok bool
		direction := token[:min(len(token), len(forward))]
		if at, ok = parsePlace(strings.TrimPrefix(token, direction)); !ok || direction != forward && direction != backward {
			return nil, invalid("The specified nextToken is invalid.")
		}
		q.Backward = direction == backward
		if q.Backward {
			q.Before = &at
		} else {
			q.After = &at
		}
	}
	page, err := s.events.Read(ctx, q)
	if err != nil {
		return nil, err
	}
	first, last := at, at
	out := &logsapi.GetLogEventsOutput{Events: make([]logsapi.OutputLogEvent, 0, len(page.Events))}
	for i := range page.Events {
		e := &page.Events[i]
		if i == 0 {
			first = e.Key()
		}
		last = e.Key()
		out.Events = append(out.Events, logsapi.OutputLogEvent{
			Timestamp: awsapi.Ptr(e.Time), IngestionTime: awsapi.Ptr(e.Ingested), Message: awsapi.Ptr(e.Message),
		})
	}
	out.NextForwardToken, out.NextBackwardToken = awsapi.Ptr(forward+place(last)), awsapi.Ptr(backward+place(first))
	return out, nil
}

// FilterLogEvents searches streams of a group, merged by time.
func (s *Server) FilterLogEvents(ctx context.Context, in *logsapi.FilterLogEventsInput) (*logsapi.FilterLogEventsOutput, error) {
	switch {
	case awsapi.Val(in.Unmask):
		return nil, unsupported("unmask")
	case in.LogStreamNamePrefix != nil && len(in.LogStreamNames) > 0:
		return nil, invalid("LogStreamNamePrefix and LogStreamNames cannot be used together.")
	}
	wanted, err := pattern.Parse(awsapi.Val(in.FilterPattern))
	if err != nil {
		return nil, invalid("%s", err)
	}
	view := s.db.View()
	g, err := s.namedGroup(view, in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	q := logstore.Query{From: max(awsapi.Val(in.StartTime), s.oldest(g)), Limit: int(awsapi.Or(in.Limit, maxEvents)), MaxBytes: maxAnswer, MaxScan: maxScan}
	if in.EndTime != nil && *in.EndTime < math.MaxInt64 {
		q.To = *in.EndTime + 1 // unlike GetLogEvents, the end is included
	}
	if awsapi.Val(in.FilterPattern) != "" {
		q.Match = wanted.Match
	}
	names := map[string]string{}
	for st := range s.tables.LogStreams.By(view, "group", g.Name) {
		if len(in.LogStreamNames) > 0 && !slices.Contains(in.LogStreamNames, st.Name) || !strings.HasPrefix(st.Name, awsapi.Val(in.LogStreamNamePrefix)) {
			continue
		}
		names[st.ID] = st.Name
		q.Streams = append(q.Streams, st.ID)
	}
	for _, name := range in.LogStreamNames {
		if _, err := s.stream(view, g.Name, name); err != nil {
			return nil, err
		}
	}
	const kind = "logs:FilterLogEvents"
	if token := awsapi.Val(in.NextToken); token != "" {
		text, err := awsapi.DecodeToken(kind, token)
		if err != nil {
			return nil, err
		}
		at, ok := parsePlace(text)
		if !ok {
			return nil, awsapi.ErrToken
		}
		q.After = &at
	}
	page, err := s.events.Read(ctx, q)
	if err != nil {
		return nil, err
	}
	out := &logsapi.FilterLogEventsOutput{Events: make([]logsapi.FilteredLogEvent, 0, len(page.Events)), SearchedLogStreams: []logsapi.SearchedLogStream{}}
	for i := range page.Events {
		e := &page.Events[i]
		out.Events = append(out.Events, logsapi.FilteredLogEvent{
			EventId: awsapi.Ptr(place(e.Key())), LogStreamName: awsapi.Ptr(names[e.Stream]), Timestamp: awsapi.Ptr(e.Time),
			IngestionTime: awsapi.Ptr(e.Ingested), Message: awsapi.Ptr(e.Message),
		})
	}
	if page.More && page.Scanned != nil {
		out.NextToken = awsapi.Ptr(awsapi.EncodeToken(kind, place(*page.Scanned)))
	}
	return out, nil
}
