package logstore

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

const (
	// segmentSpan bounds the time that a segment covers, so that retention, which removes whole segments, is right to the day.
	segmentSpan = int64(24 * time.Hour / time.Millisecond)
	// rewriteLimit is the size up to which the last segment is merged with late events instead of starting one more: many tiny segments of a
	// stream whose clock jumps would make reads slow.
	rewriteLimit = 256 << 10
)

// rotate begins a new journal and has what the old one holds written to segments. Only the committer and Open call it.
func (s *Store) rotate() error {
	if s.flushing != nil {
		<-s.flushing
	}
	next, err := openJournal(s.dir, s.number+1)
	if err != nil {
		return err
	}
	s.number++
	if s.journal != nil {
		s.old = append(s.old, s.journal.path)
		_ = s.journal.file.Close() // everything in it is synced
	}
	s.journal, s.rotated = next, time.Now()
	s.mu.Lock()
	var dirty []*stream
	for _, st := range s.streams {
		switch {
		case st.active == nil && st.frozen == nil:
			continue
		case st.frozen == nil:
			st.frozen = st.active
		case st.active != nil: // an earlier flush went wrong
			st.frozen.sorted = false
			st.frozen.events = slices.Concat(st.frozen.events, st.active.events)
		}
		st.active = nil
		dirty = append(dirty, st)
	}
	s.mu.Unlock()
	done := make(chan struct{})
	s.flushing = done
	go func() {
		defer close(done)
		s.flush(dirty)
	}()
	return nil
}

func (s *Store) isFlushing() bool {
	select {
	case <-s.flushing:
		return false
	default:
		return true
	}
}

// flush writes the frozen tables of streams to segments and removes the journals that hold the same events.
func (s *Store) flush(dirty []*stream) {
	var errs error
	for _, st := range dirty {
		if err := s.flushStream(st); err != nil {
			errs = errors.Join(errs, fmt.Errorf("flush log stream %s: %w", st.id, err))
		}
	}
	if errs != nil {
		s.log.Error("write log segments; the journal is kept", "error", errs)
		return
	}
	for len(s.old) > 0 {
		s.step()
		if err := os.Remove(s.old[0]); err != nil && !errors.Is(err, os.ErrNotExist) {
			s.log.Error("remove journal of logs", "error", err)
			return
		}
		s.old = s.old[1:]
	}
}

// flushStream moves a stream's frozen table to its segments. It counts from the moment the meta file is replaced.
func (s *Store) flushStream(st *stream) error {
	st.disk.Lock()
	defer st.disk.Unlock()
	s.mu.Lock()
	if st.deleted {
		s.mu.Unlock()
		return nil
	}
	events := st.frozen.snapshot()
	m := st.meta()
	s.mu.Unlock()

	if err := os.MkdirAll(st.dir, 0o700); err != nil {
		return err
	}
	next, replaced, err := st.writeSegment(m, events)
	if err != nil {
		return err
	}
	s.step()
	m.Segments = next
	m.NextFile = next[len(next)-1].File + 1
	for i := range events {
		e := &events[i]
		m.Flushed = max(m.Flushed, e.Seq)
		m.Stats.add(e.Time, e.Ingested, len(e.Message))
	}
	if err := st.writeMeta(m); err != nil {
		return err
	}
	s.mu.Lock()
	st.segments, st.nextFile, st.flushed, st.onDisk, st.frozen = m.Segments, m.NextFile, m.Flushed, m.Stats, nil
	s.mu.Unlock()
	s.step()
	if replaced >= 0 {
		if err := os.Remove(st.segmentPath(replaced)); err != nil {
			s.log.Warn("remove rewritten log segment", "stream", st.id, "error", err) // the next Open does
		}
	}
	return nil
}

// writeSegment adds sorted events to the last segment if they follow it, else to a new one. It returns the list of segments with them, and the
// file that a rewrite has made superfluous (or -1).
func (st *stream) writeSegment(m *meta, events []Event) (next []segmentInfo, replaced int, err error) {
	first, last := events[0], events[len(events)-1]
	next = slices.Clone(m.Segments)
	info := segmentInfo{File: m.NextFile, First: first.Time}
	replaced = -1
	if n := len(next); n > 0 {
		tail := next[n-1]
		follows := Key{Time: tail.Last, Seq: tail.Max}.Compare(first.Key()) < 0
		switch {
		case follows && tail.Size < segmentLimit && last.Time-tail.First <= segmentSpan:
			info, next = tail, next[:n-1]
		case !follows && tail.Size < rewriteLimit:
			old, err := st.readSegment(tail)
			if err != nil {
				return nil, -1, fmt.Errorf("read segment to merge: %w", err)
			}
			events = append(old, events...)
			sortEvents(events)
			first, last = events[0], events[len(events)-1]
			info.First, next, replaced = first.Time, next[:n-1], tail.File
		}
	}
	f, err := os.OpenFile(st.segmentPath(info.File), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, -1, err
	}
	err = f.Truncate(info.Size) // a flush that went wrong may have left something behind
	if err == nil {
		b := encodeFrames(nil, events)
		_, err = f.WriteAt(b, info.Size)
		info.Size += int64(len(b))
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, -1, err
	}
	info.Last, info.Max = last.Time, last.Seq
	for i := range events {
		info.Bytes += int64(len(events[i].Message))
	}
	return append(next, info), replaced, nil
}

func (st *stream) readSegment(info segmentInfo) ([]Event, error) {
	seg, err := openSegment(st.segmentPath(info.File), info.Size)
	if err != nil {
		return nil, err
	}
	events, err := seg.all()
	return events, errors.Join(err, seg.Close())
}
