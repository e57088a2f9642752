package logstore

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

// A segment is a sequence of frames, in order. A frame: length of the payload and CRC-32C of all that follows (4 bytes each), time of the first
// and of the last event (8 bytes each), payload. Times are outside, so that a reader finds its place by headers alone.
const (
	frameHeader  = 24
	frameTarget  = 64 << 10 // a frame is closed when its payload reaches this
	segmentLimit = 4 << 20  // a segment takes no more frames beyond this
	maxFrame     = frameTarget + maxRecord
)

// encodeFrames appends the frames of sorted events to b.
func encodeFrames(b []byte, events []Event) []byte {
	for len(events) > 0 {
		start := len(b)
		b = append(b, make([]byte, frameHeader)...)
		first, n := events[0], 0
		for n < len(events) && (n == 0 || len(b)-start-frameHeader < frameTarget) {
			e := &events[n]
			b = binary.AppendUvarint(b, uint64(e.Time-first.Time))
			b = binary.AppendUvarint(b, e.Seq)
			b = binary.AppendVarint(b, e.Ingested-e.Time)
			b = appendString(b, e.Message)
			n++
		}
		frame := b[start:]
		binary.LittleEndian.PutUint32(frame, uint32(len(frame)-frameHeader))
		binary.LittleEndian.PutUint64(frame[8:], uint64(first.Time))
		binary.LittleEndian.PutUint64(frame[16:], uint64(events[n-1].Time))
		binary.LittleEndian.PutUint32(frame[4:], crc32.Checksum(frame[8:], castagnoli))
		events = events[n:]
	}
	return b
}

// frame is where a frame is and which time it covers.
type frame struct {
	offset      int64
	size        int // of the payload
	first, last int64
}

// decodeFrame reads a whole frame, header included.
func decodeFrame(b []byte) ([]Event, error) {
	if len(b) < frameHeader || crc32.Checksum(b[8:], castagnoli) != binary.LittleEndian.Uint32(b[4:]) {
		return nil, errBroken
	}
	first := int64(binary.LittleEndian.Uint64(b[8:]))
	in := reader{b: b[frameHeader:], ok: true}
	var events []Event
	for in.ok && len(in.b) > 0 {
		e := Event{Time: first + int64(in.uvarint()), Seq: in.uvarint()}
		e.Ingested = e.Time + in.varint()
		e.Message = in.string()
		if !in.ok {
			return nil, errBroken
		}
		events = append(events, e)
	}
	return events, nil
}

// segment is an open segment file.
type segment struct {
	file   *os.File
	frames []frame
}

// openSegment opens a segment and reads its frame headers, up to the size that counts.
func openSegment(path string, size int64) (*segment, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	s := &segment{file: f}
	var h [frameHeader]byte
	for at := int64(0); at < size; {
		if _, err := f.ReadAt(h[:], at); err != nil {
			_ = f.Close()
			return nil, fmt.Errorf("read frame of %s at %d: %w", path, at, err)
		}
		fr := frame{offset: at, size: int(binary.LittleEndian.Uint32(h[:])),
			first: int64(binary.LittleEndian.Uint64(h[8:])), last: int64(binary.LittleEndian.Uint64(h[16:]))}
		if fr.size > maxFrame || at+frameHeader+int64(fr.size) > size {
			_ = f.Close()
			return nil, fmt.Errorf("read frame of %s at %d: %w", path, at, errBroken)
		}
		s.frames = append(s.frames, fr)
		at += frameHeader + int64(fr.size)
	}
	return s, nil
}

func (s *segment) load(fr frame) ([]Event, error) {
	b := make([]byte, frameHeader+fr.size)
	if _, err := s.file.ReadAt(b, fr.offset); err != nil {
		return nil, err
	}
	return decodeFrame(b)
}

// all returns every event of the segment.
func (s *segment) all() ([]Event, error) {
	var events []Event
	for _, fr := range s.frames {
		part, err := s.load(fr)
		if err != nil {
			return nil, err
		}
		events = append(events, part...)
	}
	return events, nil
}

var _ io.Closer = (*segment)(nil)

// Close closes the file.
func (s *segment) Close() error { return s.file.Close() }
