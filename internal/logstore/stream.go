package logstore

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
)

var streamIDPattern = regexp.MustCompile(`^[0-9a-z][0-9a-z-]{3,63}$`)

// isStreamID reports whether id can name a stream: it becomes a folder's name.
func isStreamID(id string) bool { return streamIDPattern.MatchString(id) }

// meta is what a stream's meta file says. It is the commit point of a flush: segments count as far as it says.
type meta struct {
	Segments []segmentInfo    `json:"segments,omitempty"`
	NextFile int              `json:"nextFile"`
	Flushed  uint64           `json:"flushed"` // every event up to this Seq is in a segment or was removed
	Sources  map[string]int64 `json:"sources,omitempty"`
	Stats    Stats            `json:"stats"`
}

// segmentInfo describes one segment file.
type segmentInfo struct {
	File  int    `json:"file"`
	Size  int64  `json:"size"`
	First int64  `json:"first"` // times
	Last  int64  `json:"last"`
	Max   uint64 `json:"max"`   // Seq of the last event in the order
	Bytes int64  `json:"bytes"` // of messages
}

// Stats is what is known about a stream without reading it.
type Stats struct {
	First    int64 `json:"first,omitempty"` // time of the earliest event ever
	Last     int64 `json:"last,omitempty"`
	Ingested int64 `json:"ingested,omitempty"` // when the latest arrived
	Bytes    int64 `json:"bytes,omitempty"`    // of messages that are still there
	Events   int64 `json:"events,omitempty"`   // ever
}

func (s *Stats) add(time, ingested int64, bytes int) {
	if s.Events == 0 || time < s.First {
		s.First = time
	}
	if s.Events == 0 || time > s.Last {
		s.Last = time
	}
	s.Ingested = max(s.Ingested, ingested)
	s.Bytes += int64(bytes)
	s.Events++
}

// stream is one stream. Store.mu guards its fields; disk holds off flush, expiry and deletion from each other.
type stream struct {
	id       string
	dir      string
	disk     sync.Mutex
	deleted  bool
	segments []segmentInfo // replaced, never changed: readers keep what they have
	nextFile int
	flushed  uint64
	sources  map[string]int64
	inflight map[string]*pending // by source: its batch on the way to disk
	stats    Stats               // of everything
	onDisk   Stats               // of what is in segments
	active   *table              // since the last rotation
	frozen   *table              // being flushed
}

// table holds events that are not in a segment yet.
type table struct {
	events []Event
	sorted bool
}

func (t *table) add(e Event) {
	if n := len(t.events); n > 0 && t.sorted && t.events[n-1].Key().Compare(e.Key()) > 0 {
		t.sorted = false
	}
	t.events = append(t.events, e)
}

// snapshot returns the events in order. The result stays as it is: later events go behind it, and sorting makes a copy.
func (t *table) snapshot() []Event {
	if t == nil {
		return nil
	}
	if !t.sorted {
		t.events = append([]Event(nil), t.events...)
		sortEvents(t.events)
		t.sorted = true
	}
	return t.events[:len(t.events):len(t.events)]
}

// meta returns what the meta file shall say now. Sources may be ahead of the segments: what is missing is in the journal. Store.mu is held.
func (s *stream) meta() *meta {
	return &meta{Segments: s.segments, NextFile: s.nextFile, Flushed: s.flushed, Sources: maps.Clone(s.sources), Stats: s.onDisk}
}

func (s *stream) segmentPath(file int) string {
	return filepath.Join(s.dir, fmt.Sprintf("%08d.seg", file))
}

// writeMeta replaces the meta file.
func (s *stream) writeMeta(m *meta) error {
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode meta of %s: %w", s.id, err)
	}
	tmp := filepath.Join(s.dir, "meta.tmp")
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write meta of %s: %w", s.id, err)
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write meta of %s: %w", s.id, err)
	}
	if err := os.Rename(tmp, filepath.Join(s.dir, "meta")); err != nil {
		return fmt.Errorf("write meta of %s: %w", s.id, err)
	}
	return syncDir(s.dir)
}

// removeStrays removes segment files that the meta file does not name.
func (s *stream) removeStrays() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("list segments of %s: %w", s.id, err)
	}
	for _, e := range entries {
		named := e.Name() == "meta" || slices.ContainsFunc(s.segments, func(i segmentInfo) bool { return filepath.Base(s.segmentPath(i.File)) == e.Name() })
		if named {
			continue
		}
		if err := os.Remove(filepath.Join(s.dir, e.Name())); err != nil {
			return fmt.Errorf("remove stray segment of %s: %w", s.id, err)
		}
	}
	return nil
}

// loadStream reads a stream's folder. Segment files that the meta file does not name are left-overs of a crash and are removed.
func loadStream(dir, id string) (*stream, error) {
	s := &stream{id: id, dir: dir}
	b, err := os.ReadFile(filepath.Join(dir, "meta"))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	} else if err != nil {
		return nil, fmt.Errorf("read meta of %s: %w", id, err)
	}
	var m meta
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("read meta of %s: %w", id, err)
	}
	s.segments, s.nextFile, s.flushed, s.sources, s.stats = m.Segments, m.NextFile, m.Flushed, m.Sources, m.Stats
	s.onDisk = m.Stats
	return s, s.removeStrays()
}
