package logs

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/logsapi"
	"github.com/neargate/neargate/internal/logstore"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// CreateLogStream makes a stream.
func (s *Server) CreateLogStream(ctx context.Context, in *logsapi.CreateLogStreamInput) (*logsapi.CreateLogStreamOutput, error) {
	group, name := awsapi.Val(in.LogGroupName), awsapi.Val(in.LogStreamName)
	err := s.update(ctx, func(tx *store.Txn) error {
		g, err := s.group(tx, group)
		if err != nil {
			return err
		}
		if s.tables.LogStreams.Has(tx, model.LogStreamKey(group, name)) {
			return awsapi.NewError(logsapi.ErrResourceAlreadyExistsException, "The specified log stream already exists")
		}
		s.tables.LogStreams.Put(tx, &model.LogStream{
			ID: model.Hex(32), Group: group, Name: name, ARN: g.ARN + ":log-stream:" + name, CreatedAt: s.clock.Now(),
		})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &logsapi.CreateLogStreamOutput{}, nil
}

// DeleteLogStream removes a stream and its events.
func (s *Server) DeleteLogStream(ctx context.Context, in *logsapi.DeleteLogStreamInput) (*logsapi.DeleteLogStreamOutput, error) {
	var id string
	err := s.update(ctx, func(tx *store.Txn) error {
		if _, err := s.group(tx, awsapi.Val(in.LogGroupName)); err != nil {
			return err
		}
		st, err := s.stream(tx, awsapi.Val(in.LogGroupName), awsapi.Val(in.LogStreamName))
		if err != nil {
			return err
		}
		id = st.ID
		s.tables.LogStreams.Delete(tx, st.Key())
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.drop([]string{id})
	return &logsapi.DeleteLogStreamOutput{}, nil
}

// listed is a stream with its place in a listing.
type listed struct {
	stream *model.LogStream
	stats  logstore.Stats
	key    string
}

// DescribeLogStreams lists the streams of a group by name or by their latest event.
func (s *Server) DescribeLogStreams(_ context.Context, in *logsapi.DescribeLogStreamsInput) (*logsapi.DescribeLogStreamsOutput, error) {
	prefix, byTime := awsapi.Val(in.LogStreamNamePrefix), in.OrderBy == logsapi.OrderByLastEventTime
	if prefix != "" && byTime {
		return nil, invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
	}
	view := s.db.View()
	g, err := s.namedGroup(view, in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	var all []listed
	for st := range s.tables.LogStreams.By(view, "group", g.Name) {
		if !strings.HasPrefix(st.Name, prefix) {
			continue
		}
		l := listed{stream: st, stats: s.events.Stats(st.ID), key: st.Name}
		if byTime {
			l.key = fmt.Sprintf("%020d:%s", l.stats.Last, st.Name)
		}
		all = append(all, l)
	}
	descending := awsapi.Val(in.Descending)
	kind := fmt.Sprintf("logs:DescribeLogStreams:%s:%t:%t", g.ID, byTime, descending)
	page, next, err := pageOf(kind, all, descending, in.NextToken, int(awsapi.Or(in.Limit, 50)))
	if err != nil {
		return nil, err
	}
	out := &logsapi.DescribeLogStreamsOutput{LogStreams: make([]logsapi.LogStream, 0, len(page)), NextToken: next}
	for _, l := range page {
		st := logsapi.LogStream{
			Arn: awsapi.Ptr(l.stream.ARN), LogStreamName: awsapi.Ptr(l.stream.Name), CreationTime: awsapi.Ptr(l.stream.CreatedAt.UnixMilli()),
			StoredBytes: awsapi.Ptr(int64(0)), // AWS reports nothing else here since 2019
		}
		if l.stats.Events > 0 {
			st.FirstEventTimestamp, st.LastEventTimestamp = awsapi.Ptr(l.stats.First), awsapi.Ptr(l.stats.Last)
			st.LastIngestionTime, st.UploadSequenceToken = awsapi.Ptr(l.stats.Ingested), awsapi.Ptr(sequenceToken(l.stats.Events))
		}
		out.LogStreams = append(out.LogStreams, st)
	}
	return out, nil
}

// pageOf returns the page of a listing in either direction.
func pageOf(kind string, all []listed, descending bool, token *string, limit int) ([]listed, *string, error) {
	order := func(a, b string) int {
		if descending {
			return cmp.Compare(b, a)
		}
		return cmp.Compare(a, b)
	}
	slices.SortFunc(all, func(a, b listed) int { return order(a.key, b.key) })
	if token != nil {
		after, err := awsapi.DecodeToken(kind, *token)
		if err != nil {
			return nil, nil, err
		}
		i, found := slices.BinarySearchFunc(all, after, func(l listed, key string) int { return order(l.key, key) })
		if found {
			i++
		}
		all = all[i:]
	}
	if len(all) <= limit {
		return all, nil, nil
	}
	return all[:limit], awsapi.Ptr(awsapi.EncodeToken(kind, all[limit-1].key)), nil
}

// sequenceToken returns something that looks as AWS's tokens do. AWS ignores them, and so does Neargate, unless they are [logstore.Token].
func sequenceToken(n int64) string { return fmt.Sprintf("4%055d", n) }
