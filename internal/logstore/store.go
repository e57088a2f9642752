package logstore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Options are the sizes that tests change; zero values are the defaults.
type Options struct {
	Log        *slog.Logger
	FlushBytes int64         // journal size at which tables are written out; 16 MiB
	FlushEvery time.Duration // and the age; 1 minute

	step func() // called between the steps of a flush: tests look at what a crash would leave there
}

// Store is the log store in one folder.
type Store struct {
	dir        string
	log        *slog.Logger
	flushBytes int64
	flushEvery time.Duration

	mu      sync.Mutex
	streams map[string]*stream
	seq     uint64 // of the latest event
	queue   []*pending
	failed  error // the journal cannot be written any more
	closed  bool

	wake chan struct{} // the queue is not empty, or Close
	done chan struct{} // the committer has ended

	journal  *journal // the committer's
	number   int
	flushing chan struct{} // closed when the flush that runs has ended; nil: none ever ran
	old      []string      // journals that the flush makes superfluous
	rotated  time.Time
	step     func()
}

// Open opens the store in dir; events that a crash left in the journal are taken up.
func Open(dir string, o Options) (*Store, error) {
	s := &Store{
		dir: dir, log: o.Log, flushBytes: o.FlushBytes, flushEvery: o.FlushEvery, streams: map[string]*stream{},
		step: o.step, wake: make(chan struct{}, 1), done: make(chan struct{}), rotated: time.Now(),
	}
	if s.step == nil {
		s.step = func() {}
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.flushBytes <= 0 {
		s.flushBytes = 16 << 20
	}
	if s.flushEvery <= 0 {
		s.flushEvery = time.Minute
	}
	if err := os.MkdirAll(filepath.Join(dir, "streams"), 0o700); err != nil {
		return nil, fmt.Errorf("make log folder: %w", err)
	}
	if err := s.loadStreams(); err != nil {
		return nil, err
	}
	if err := s.replay(); err != nil {
		return nil, err
	}
	if err := s.rotate(); err != nil {
		return nil, err
	}
	go s.run()
	return s, nil
}

func (s *Store) loadStreams() error {
	shards, err := os.ReadDir(filepath.Join(s.dir, "streams"))
	if err != nil {
		return fmt.Errorf("list streams: %w", err)
	}
	for _, shard := range shards {
		ids, err := os.ReadDir(filepath.Join(s.dir, "streams", shard.Name()))
		if err != nil {
			return fmt.Errorf("list streams: %w", err)
		}
		for _, e := range ids {
			if !isStreamID(e.Name()) {
				continue
			}
			st, err := loadStream(s.streamDir(e.Name()), e.Name())
			if err != nil {
				return err
			}
			s.streams[st.id] = st
			s.seq = max(s.seq, st.flushed)
		}
	}
	return nil
}

// replay takes up what the journals hold beyond the segments.
func (s *Store) replay() error {
	paths, last, err := journals(s.dir)
	if err != nil {
		return err
	}
	s.number, s.old = last, paths
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("replay journal: %w", err)
		}
		torn, err := readRecords(bufio.NewReaderSize(f, 1<<20), func(r *record) {
			s.apply(s.stream(r.stream), r)
			s.seq = max(s.seq, r.first+uint64(len(r.events)))
		})
		_ = f.Close() // only read
		if err != nil {
			return fmt.Errorf("replay journal %s: %w", path, err)
		}
		if torn {
			s.log.Warn("the journal of logs ends in a torn record; it was never acknowledged", "file", path)
		}
	}
	return nil
}

// stream returns a stream, new if need be. The caller holds mu or is alone.
func (s *Store) stream(id string) *stream {
	st := s.streams[id]
	if st == nil {
		st = &stream{id: id, dir: s.streamDir(id)}
		s.streams[id] = st
	}
	return st
}

func (s *Store) streamDir(id string) string { return filepath.Join(s.dir, "streams", id[:2], id) }

// Stats returns what is known about a stream, zero for one without events.
func (s *Store) Stats(id string) Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.streams[id]; st != nil {
		return st.stats
	}
	return Stats{}
}

// Delete removes a stream and its events.
func (s *Store) Delete(id string) error {
	s.mu.Lock()
	st := s.streams[id]
	delete(s.streams, id)
	if st != nil {
		st.deleted = true
	}
	s.mu.Unlock()
	if st == nil {
		return nil
	}
	st.disk.Lock()
	defer st.disk.Unlock()
	if err := os.RemoveAll(st.dir); err != nil {
		return fmt.Errorf("delete log stream %s: %w", id, err)
	}
	return nil
}

// Sweep deletes the streams that keep does not want. It asks only after it has listed, so a stream that is made meanwhile is not in danger as long
// as its record was there before its first event.
func (s *Store) Sweep(keep func(id string) bool) (removed int, err error) {
	s.mu.Lock()
	ids := make([]string, 0, len(s.streams))
	for id := range s.streams {
		ids = append(ids, id)
	}
	s.mu.Unlock()
	for _, id := range ids {
		if keep(id) {
			continue
		}
		if derr := s.Delete(id); derr != nil {
			err = errors.Join(err, derr)
			continue
		}
		removed++
	}
	return removed, err
}

// Expire removes whole segments of a stream whose events are all older than before (milliseconds). Reads have to ask for the time themselves:
// younger segments may hold older events.
func (s *Store) Expire(id string, before int64) (removed int, err error) {
	s.mu.Lock()
	st := s.streams[id]
	s.mu.Unlock()
	if st == nil {
		return 0, nil
	}
	st.disk.Lock()
	defer st.disk.Unlock()
	s.mu.Lock()
	var keep, gone []segmentInfo
	var bytes int64
	for _, seg := range st.segments {
		if seg.Last < before {
			gone, bytes = append(gone, seg), bytes+seg.Bytes
			continue
		}
		keep = append(keep, seg)
	}
	if len(gone) == 0 || st.deleted {
		s.mu.Unlock()
		return 0, nil
	}
	st.segments = keep
	st.stats.Bytes -= bytes
	st.onDisk.Bytes -= bytes
	m := st.meta()
	s.mu.Unlock()
	if err := st.writeMeta(m); err != nil {
		return 0, err
	}
	for _, seg := range gone {
		if err := os.Remove(st.segmentPath(seg.File)); err != nil {
			return removed, fmt.Errorf("expire log segment: %w", err)
		}
		removed++
	}
	return removed, nil
}

// Close ends the store. What is in the journal stays there for the next Open.
func (s *Store) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.kick()
	select {
	case <-s.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

func (s *Store) kick() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
