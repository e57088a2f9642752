package ctl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

// A frame is a type byte, the payload's length as four bytes, big-endian, and the payload. Types beyond those below are
// skipped, so that either side may be newer.
type frameType byte

const (
	frameStdin    frameType = 0
	frameStdout   frameType = 1 // without payload: sign of life
	frameStderr   frameType = 2
	frameResize   frameType = 3 // rows and columns, two bytes each
	frameExit     frameType = 4 // JSON of exitStatus; the last one
	frameStdinEOF frameType = 5
)

const (
	headerSize = 5
	// maxPayload bounds what one side can make the other hold.
	maxPayload = 64 << 10
	resizeSize = 4
)

var errFrameSize = errors.New("frame is too large")

// exitStatus is how a command ended; with Error set it did not run, or its end is not known.
type exitStatus struct {
	Code  int    `json:"code"`
	Error string `json:"error,omitempty"`
}

// frameReader reads frames. The payload is valid until the next call.
type frameReader struct {
	r      io.Reader
	header [headerSize]byte
	buf    []byte
}

func (f *frameReader) next() (frameType, []byte, error) {
	if _, err := io.ReadFull(f.r, f.header[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(f.header[1:])
	if n > maxPayload {
		return 0, nil, fmt.Errorf("%w: %d bytes", errFrameSize, n)
	}
	if cap(f.buf) < int(n) {
		f.buf = make([]byte, n)
	}
	f.buf = f.buf[:n]
	if _, err := io.ReadFull(f.r, f.buf); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	return frameType(f.header[0]), f.buf, nil
}

// frameWriter writes frames from several goroutines.
type frameWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (f *frameWriter) write(t frameType, payload []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	buf := make([]byte, 0, headerSize+min(len(payload), maxPayload))
	for first := true; first || len(payload) > 0; first = false {
		part := payload[:min(len(payload), maxPayload)]
		payload = payload[len(part):]
		buf = append(buf[:0], byte(t))
		buf = binary.BigEndian.AppendUint32(buf, uint32(len(part)))
		buf = append(buf, part...)
		if _, err := f.w.Write(buf); err != nil {
			return err
		}
	}
	return nil
}

// stream returns a writer whose data goes out as frames of one type.
func (f *frameWriter) stream(t frameType) io.Writer { return &frameStream{frames: f, kind: t} }

type frameStream struct {
	frames *frameWriter
	kind   frameType
}

func (s *frameStream) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := s.frames.write(s.kind, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (s Size) encode() []byte {
	b := binary.BigEndian.AppendUint16(nil, s.Rows)
	return binary.BigEndian.AppendUint16(b, s.Cols)
}

// decodeSize reports whether the payload is a size.
func decodeSize(payload []byte) (Size, bool) {
	if len(payload) != resizeSize {
		return Size{}, false
	}
	return Size{Rows: binary.BigEndian.Uint16(payload), Cols: binary.BigEndian.Uint16(payload[2:])}, true
}
