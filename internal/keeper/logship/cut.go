package logship

import (
	"bytes"
	"regexp"
	"unicode/utf8"
)

// Limits of PutLogEvents (API reference).
const (
	maxBatchBytes  = 1 << 20
	maxBatchEvents = 10_000
	maxBatchSpan   = 24 * 60 * 60 * 1000 // milliseconds between the first and the last event
	eventOverhead  = 26
	// MaxEventBytes is how long one event may be; longer lines are cut into several events, as the awslogs driver does.
	MaxEventBytes = 256<<10 - eventOverhead
)

// event is one log event: its text as part of the bytes that were read, and where it began and ended there.
type event struct {
	text       []byte
	start, end int
	millis     int64
}

// cutter turns bytes into events. It is a pure function of its input, so that a batch that is cut again after a crash
// comes out the same.
type cutter struct {
	// begins, if set, matches the first line of an event; lines that do not match belong to the event before.
	begins *regexp.Regexp
	// final says that nothing follows the data: an unfinished line or event is one.
	final bool
	// settled says that nothing has followed the data for so long that the last event is complete, if its last line is.
	settled bool
}

// cut returns the events at the beginning of data, at most as many as fit into one batch, and how many bytes they (and
// the empty lines between them) take. Without final, the last event ends where it is certain to end.
func (c cutter) cut(data []byte) (events []event, consumed int) {
	b := batch{}
	pending, have, size := event{}, false, 0 // the event that further lines may join
	pos := 0
	for pos < len(data) {
		line, next, whole := c.nextLine(data, pos)
		if !whole && !c.final && len(line) < MaxEventBytes {
			break
		}
		if c.begins == nil {
			if len(line) > 0 {
				if !b.add(event{text: line, start: pos, end: next}) {
					return b.events, consumed
				}
			}
			pos, consumed = next, next
			continue
		}
		grown := effectiveLength(data[pos:next])
		if have && !c.begins.Match(line) && size+grown <= MaxEventBytes {
			pending.text, pending.end, size = data[pending.start:next], next, size+grown
			pos = next
			continue
		}
		if have {
			if !b.add(pending) {
				return b.events, consumed
			}
			consumed = pending.end
		}
		pending, have, size = event{text: data[pos:next], start: pos, end: next}, true, grown
		pos = next
	}
	if have && (c.final || c.settled && pos == len(data)) && b.add(pending) {
		consumed = pending.end
	}
	return b.events, consumed
}

// nextLine returns the line at pos without its end, and where the next one begins. A line is whole when its end was seen;
// a line that is too long for one event is cut where it would not fit any more, and counts as whole.
func (c cutter) nextLine(data []byte, pos int) (line []byte, next int, whole bool) {
	rest := data[pos:]
	end := bytes.IndexByte(rest, '\n')
	line, next = rest, len(data)
	if end >= 0 {
		line, next, whole = rest[:end], pos+end+1, true
	}
	if fit := fitting(line, MaxEventBytes); fit < len(line) {
		return line[:fit], pos + fit, true
	}
	if whole {
		line = bytes.TrimSuffix(line, []byte{'\r'})
	}
	return line, next, whole
}

// fitting returns how many bytes of text make at most limit bytes of valid UTF-8, never cutting a rune in two.
func fitting(text []byte, limit int) int {
	if len(text)*utf8.UTFMax <= limit {
		return len(text)
	}
	size := 0
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		size += utf8.RuneLen(r) // 3 for a byte that is no UTF-8 and will be sent as U+FFFD
		if size > limit {
			return i
		}
		i += n
	}
	return len(text)
}

// effectiveLength is how many bytes CloudWatch Logs counts: invalid bytes are sent as U+FFFD.
func effectiveLength(text []byte) int {
	if utf8.Valid(text) {
		return len(text)
	}
	size := 0
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		size += utf8.RuneLen(r)
		i += n
	}
	return size
}

// batch collects events up to the limits of one call.
type batch struct {
	events []event
	bytes  int
}

func (b *batch) add(e event) bool {
	size := effectiveLength(e.text) + eventOverhead
	if len(b.events) == maxBatchEvents || b.bytes+size > maxBatchBytes {
		return false
	}
	b.events = append(b.events, e)
	b.bytes += size
	return true
}
