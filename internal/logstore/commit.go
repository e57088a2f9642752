package logstore

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Input is an event that is to be stored.
type Input struct {
	Time    int64 // milliseconds since 1970
	Message string
}

// Batch is what one call adds to a stream.
type Batch struct {
	Ingested int64 // milliseconds since 1970
	Events   []Input
	// Source, From and To make a batch recognisable when its sender has not got the answer and sends it again: the sender's name and the part of
	// its own log (bytes, lines) that the events come from. An empty Source is not checked.
	Source   string
	From, To int64
}

// OverlapError says that a batch begins before and ends behind what its source has already delivered: nothing was stored. The source has to go
// on at At.
type OverlapError struct{ At int64 }

func (e *OverlapError) Error() string { return fmt.Sprintf("events up to %d are already stored", e.At) }

// Errors of Append.
var (
	ErrClosed   = errors.New("log store is closed")
	ErrStreamID = errors.New("not a stream identifier")
)

// pending is a record on its way to the journal.
type pending struct {
	record *record
	stream *stream
	done   chan struct{} // closed when err is set
	err    error
}

// Append stores a batch; when it returns nil the events are on disk. A batch that the source has already delivered is not stored again, and that
// is a success.
func (s *Store) Append(ctx context.Context, id string, b Batch) error {
	if !isStreamID(id) {
		return ErrStreamID
	}
	for {
		p, wait, err := s.enqueue(id, b)
		if err != nil || p == nil {
			return err
		}
		if err := ctx.Err(); err != nil && wait {
			return err
		}
		<-p.done // soon: nothing but the disk is waited for
		if !wait {
			return p.err
		}
	}
}

// enqueue puts a batch into the queue. wait says that the pending it returns is an earlier batch of the same source, to be waited for first.
func (s *Store) enqueue(id string, b Batch) (p *pending, wait bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, false, ErrClosed
	case s.failed != nil:
		return nil, false, s.failed
	}
	st := s.stream(id)
	if b.Source != "" {
		if earlier := st.inflight[b.Source]; earlier != nil {
			return earlier, true, nil
		}
		if at, known := st.sources[b.Source]; known && b.To <= at {
			return nil, false, nil
		} else if known && b.From < at {
			return nil, false, &OverlapError{At: at}
		}
	}
	if len(b.Events) == 0 && b.Source == "" {
		return nil, false, nil
	}
	r := &record{stream: id, source: b.Source, to: b.To, ingested: b.Ingested, first: s.seq + 1, events: b.Events}
	s.seq += uint64(len(b.Events))
	p = &pending{record: r, stream: st, done: make(chan struct{})}
	if b.Source != "" {
		if st.inflight == nil {
			st.inflight = map[string]*pending{}
		}
		st.inflight[b.Source] = p
	}
	s.queue = append(s.queue, p)
	s.kick()
	return p, false, nil
}

// run is the committer: it writes what has queued up with one fsync, and has the tables written out when it is time.
func (s *Store) run() {
	defer close(s.done)
	age := time.NewTicker(s.flushEvery)
	defer age.Stop()
	var buf []byte
	for {
		select {
		case <-s.wake:
		case <-age.C:
		}
		s.mu.Lock()
		queue, closed, failed := s.queue, s.closed, s.failed
		s.queue = nil
		s.mu.Unlock()
		if len(queue) > 0 {
			buf = s.commit(queue, buf[:0])
			const keep = 4 << 20
			if cap(buf) > keep {
				buf = nil
			}
		}
		if closed && len(queue) == 0 {
			if s.flushing != nil {
				<-s.flushing
			}
			_ = s.journal.file.Close() // everything in it is synced
			return
		}
		if closed {
			s.kick()
			continue
		}
		due := s.journal.size >= s.flushBytes || s.journal.size > 0 && time.Since(s.rotated) >= s.flushEvery
		if !due || failed != nil {
			continue
		}
		if s.isFlushing() && s.journal.size < 2*s.flushBytes {
			continue // the disk is behind; beyond twice the size, writers wait for it
		}
		if err := s.rotate(); err != nil {
			s.log.Error("rotate the journal of logs", "error", err)
		}
	}
}

// commit makes records durable, applies them and tells those who wait.
func (s *Store) commit(queue []*pending, buf []byte) []byte {
	for _, p := range queue {
		buf = p.record.encode(buf)
	}
	broken, err := s.journal.write(buf)
	s.mu.Lock()
	defer s.mu.Unlock()
	if broken {
		s.failed = fmt.Errorf("log store takes no more events until a restart: %w", err)
		s.log.Error("the journal of logs is broken", "error", err)
	}
	for _, p := range queue {
		if p.record.source != "" {
			delete(p.stream.inflight, p.record.source)
		}
		if err == nil {
			s.apply(p.stream, p.record)
		}
		p.err = err
		close(p.done)
	}
	return buf
}

// apply puts the events of a durable record into memory. The caller holds mu or is alone.
func (s *Store) apply(st *stream, r *record) {
	if r.source != "" {
		if st.sources == nil {
			st.sources = map[string]int64{}
		}
		st.sources[r.source] = max(st.sources[r.source], r.to)
	}
	for i, e := range r.events {
		seq := r.first + uint64(i)
		if seq <= st.flushed {
			continue // replay: it is in a segment
		}
		if st.active == nil {
			st.active = &table{sorted: true}
		}
		st.active.add(Event{Time: e.Time, Seq: seq, Ingested: r.ingested, Message: e.Message})
		st.stats.add(e.Time, r.ingested, len(e.Message))
	}
}
