package logstore

import (
	"cmp"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
)

// Event is one log event.
type Event struct {
	Time     int64 // milliseconds since 1970, as the client says
	Seq      uint64
	Ingested int64 // milliseconds since 1970, when it arrived
	Message  string
	Stream   string // set by Read
}

// Key returns the event's place in the order.
func (e *Event) Key() Key { return Key{Time: e.Time, Seq: e.Seq} }

// Key is a place in the order of events: by time, then by arrival. It is unique across all streams.
type Key struct {
	Time int64
	Seq  uint64
}

// Compare orders keys.
func (k Key) Compare(o Key) int {
	return cmp.Or(cmp.Compare(k.Time, o.Time), cmp.Compare(k.Seq, o.Seq))
}

func sortEvents(events []Event) {
	slices.SortFunc(events, func(a, b Event) int { return a.Key().Compare(b.Key()) })
}

func isSorted(events []Event) bool {
	return slices.IsSortedFunc(events, func(a, b Event) int { return a.Key().Compare(b.Key()) })
}

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errBroken  = errors.New("broken log record")
)

// reader takes numbers and strings from a record; after the first thing that is not there, ok is false for good.
type reader struct {
	b  []byte
	ok bool
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.ok, r.b = false, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.ok, r.b = false, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) string() string {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.ok, r.b = false, nil
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}
