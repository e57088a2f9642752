package logs

import (
	"context"
	"fmt"
	"time"

	"github.com/neargate/neargate/internal/model"
)

// retainEvery is how often expired events are removed. Reads leave them out at once, whatever this is.
const retainEvery = time.Hour

// RunRetention removes expired events, and events of streams that are gone, at once and then every hour until ctx ends.
func (s *Server) RunRetention(ctx context.Context) {
	for {
		if err := s.Retain(ctx); err != nil {
			s.log.ErrorContext(ctx, "remove expired log events", "error", err)
		}
		timer := time.NewTimer(retainEvery)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// Retain removes events that have expired, and events of streams that are gone.
func (s *Server) Retain(ctx context.Context) error {
	kept := func() map[string]*model.LogStream {
		view, all := s.db.View(), map[string]*model.LogStream{}
		for st := range s.tables.LogStreams.List(view) {
			all[st.ID] = st
		}
		return all
	}
	var streams map[string]*model.LogStream
	if _, err := s.events.Sweep(func(id string) bool {
		if streams == nil {
			streams = kept()
		}
		return streams[id] != nil
	}); err != nil {
		return fmt.Errorf("sweep log streams: %w", err)
	}
	view := s.db.View()
	for id, st := range streams {
		if err := ctx.Err(); err != nil {
			return err
		}
		g, ok := s.tables.LogGroups.Get(view, st.Group)
		if !ok || g.RetentionDays == 0 {
			continue
		}
		if _, err := s.events.Expire(id, s.oldest(g)); err != nil {
			return err
		}
	}
	return nil
}
