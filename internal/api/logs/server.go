// Package logs implements the part of CloudWatch Logs' API that keeps and finds log events: groups, streams, events, retention.
//
// Groups and streams are records of the store; events are in internal/logstore, where a stream has an identifier of its own, so
// that a stream that is deleted and made again is another one. There is one file per noun, and the method of an operation has the
// operation's name. Metric filters, subscriptions and queries are not here. Start at [Server].
//
// A shipper that may send a batch twice puts [logstore.Token] into sequenceToken, which AWS ignores: the batch is then stored once.
package logs

import (
	"context"
	"log/slog"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/logsapi"
	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/logstore"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// Server implements [logsapi.API].
type Server struct {
	db     *store.DB
	tables *store.Tables
	events *logstore.Store
	clock  *clock.Clock
	scope  model.Scope
	log    *slog.Logger
}

var _ logsapi.API = (*Server)(nil)

// Options are what a Server needs.
type Options struct {
	DB     *store.DB
	Tables *store.Tables
	Events *logstore.Store
	Clock  *clock.Clock
	Scope  model.Scope
	Log    *slog.Logger
}

// New returns a Server.
func New(o Options) *Server {
	return &Server{db: o.DB, tables: o.Tables, events: o.Events, clock: o.Clock, scope: o.Scope, log: o.Log}
}

// update runs a transaction.
func (s *Server) update(ctx context.Context, fn func(tx *store.Txn) error) error {
	return s.db.Update(ctx, fn)
}

// now returns the time in milliseconds since 1970.
func (s *Server) now() int64 { return s.clock.Now().UnixMilli() }

// group returns the group of that name.
func (s *Server) group(r store.Reader, name string) (*model.LogGroup, error) {
	if g, ok := s.tables.LogGroups.Get(r, name); ok {
		return g, nil
	}
	return nil, errNoGroup()
}

// namedGroup returns the group that a request names by name or by identifier (a name or an ARN); exactly one of them has to be there.
func (s *Server) namedGroup(r store.Reader, name, identifier *string) (*model.LogGroup, error) {
	switch {
	case name != nil && identifier != nil:
		return nil, invalid("LogGroupName and LogGroupIdentifier cannot be used together.")
	case name != nil:
		return s.group(r, *name)
	case identifier != nil:
		return s.group(r, groupName(*identifier))
	}
	return nil, invalid("Either LogGroupName or LogGroupIdentifier must be specified.")
}

// stream returns the stream of that name.
func (s *Server) stream(r store.Reader, group, name string) (*model.LogStream, error) {
	if st, ok := s.tables.LogStreams.Get(r, model.LogStreamKey(group, name)); ok {
		return st, nil
	}
	return nil, awsapi.NewError(logsapi.ErrResourceNotFoundException, "The specified log stream does not exist.")
}

// oldest returns the time before which the group's events have expired; 0 without a retention.
func (s *Server) oldest(g *model.LogGroup) int64 {
	if g.RetentionDays == 0 {
		return 0
	}
	return s.now() - int64(g.RetentionDays)*day
}

const day = int64(24 * 60 * 60 * 1000) // milliseconds
