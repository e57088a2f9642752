package logship

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sort"
	"time"

	"golang.org/x/sys/unix"
)

const (
	stateSize  = 512     // of the state file; one write of it is all or nothing for everyone but a power cut
	maxMarks   = 512     // remembered arrival times per log
	punchEvery = 1 << 20 // bytes sent between two returns of disk space
	holeAlign  = 4096
)

// position is how far a spool has been shipped. It is written before and after every batch, so that another process, or
// this one after a crash, goes on exactly there: a batch that may or may not have arrived is sent again with the same bounds.
type position struct {
	Spool   string `json:"spool"`             // identifies the spool file; a new one when the file begins anew
	Offset  int64  `json:"offset"`            // everything before was sent or dropped
	Sending int64  `json:"sending,omitempty"` // end of the batch that was on its way, 0 if none
	Dropped int64  `json:"dropped,omitempty"`
	Events  int64  `json:"events,omitempty"`
}

// spool is an open spool file with its position. Only the log's worker uses it, except where it says so.
type spool struct {
	file    *os.File
	state   *os.File
	pos     position
	punched int64
}

// openSpool opens the spool, making it if the shim has not yet, and reads its position from the state file.
func openSpool(path, statePath string) (*spool, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	st, err := os.OpenFile(statePath, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open spool state: %w", err)
	}
	s := &spool{file: f, state: st}
	if err := s.load(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *spool) load() error {
	data := make([]byte, stateSize)
	n, err := s.state.ReadAt(data, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read spool state: %w", err)
	}
	if n > 0 && json.Unmarshal(data[:n], &s.pos) != nil {
		s.pos = position{} // never written by us; better to send twice than not at all
	}
	return s.check()
}

// check begins anew when the file is shorter than what was sent of it: it is another one.
func (s *spool) check() error {
	size, err := s.size()
	if err != nil {
		return err
	}
	if s.pos.Spool != "" && size >= max(s.pos.Offset, s.pos.Sending) {
		return nil
	}
	id := make([]byte, 8)
	_, _ = rand.Read(id)
	s.pos = position{Spool: hex.EncodeToString(id), Dropped: s.pos.Dropped, Events: s.pos.Events}
	s.punched = 0
	return s.save()
}

// save writes the position in one write, padded, so that a reader never sees half of it.
func (s *spool) save() error {
	data, err := json.Marshal(s.pos)
	if err != nil {
		return fmt.Errorf("encode spool state: %w", err)
	}
	padded := make([]byte, stateSize)
	for i := copy(padded, data); i < stateSize; i++ {
		padded[i] = ' '
	}
	if _, err := s.state.WriteAt(padded, 0); err != nil {
		return fmt.Errorf("write spool state: %w", err)
	}
	return nil
}

// size may be called by anyone.
func (s *spool) size() (int64, error) {
	fi, err := s.file.Stat()
	if err != nil {
		return 0, fmt.Errorf("stat spool: %w", err)
	}
	return fi.Size(), nil
}

// read fills buf from the offset on, at most up to end.
func (s *spool) read(buf []byte, end int64) ([]byte, error) {
	if left := end - s.pos.Offset; int64(len(buf)) > left {
		buf = buf[:left]
	}
	n, err := s.file.ReadAt(buf, s.pos.Offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read spool: %w", err)
	}
	return buf[:n], nil
}

// advance moves the offset and gives back the disk space before it, now and then or when all is sent.
func (s *spool) advance(to int64) error {
	s.pos.Offset, s.pos.Sending = to, 0
	if err := s.save(); err != nil {
		return err
	}
	size, err := s.size()
	if err != nil {
		return err
	}
	aligned := to &^ (holeAlign - 1)
	if aligned-s.punched < punchEvery && (to < size || aligned-s.punched < 16*holeAlign) {
		return nil
	}
	// The file is appended to by others, so it cannot be truncated at its front: a hole frees the same blocks. Where
	// the file system has no holes, the space is freed with the task.
	err = unix.Fallocate(int(s.file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, s.punched, aligned-s.punched)
	if err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("free spool space: %w", err)
	}
	s.punched = aligned
	return nil
}

// dropTo gives up what is before the first line that begins after the offset from, and returns how many bytes that were. A
// batch that was on its way is given up as a whole: it may have arrived.
func (s *spool) dropTo(from, end int64) (int64, error) {
	buf := make([]byte, 64<<10)
	to := max(from, s.pos.Sending)
	for to > s.pos.Sending && to < end {
		n, err := s.file.ReadAt(buf[:min(int64(len(buf)), end-to)], to)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, fmt.Errorf("read spool: %w", err)
		}
		if n == 0 {
			break
		}
		if i := bytes.IndexByte(buf[:n], '\n'); i >= 0 {
			to += int64(i) + 1
			break
		}
		to += int64(n)
	}
	dropped := to - s.pos.Offset
	s.pos.Dropped += dropped
	return dropped, s.advance(to)
}

func (s *spool) close() {
	s.file.Close()
	s.state.Close()
}

// removeState removes the state file of a log that is no longer shipped.
func removeState(path string) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return
	}
}

// marks remember when the spool had which size: what was written is stamped with the time when it was seen, however
// much later it is sent.
type marks struct{ list []mark }

type mark struct {
	size   int64
	millis int64
}

// add files a size seen now. Times never go back, even if the clock does: events must be in order.
func (m *marks) add(size int64, now time.Time) {
	millis := now.UnixMilli()
	if n := len(m.list); n > 0 {
		last := &m.list[n-1]
		if size <= last.size {
			return
		}
		millis = max(millis, last.millis)
		if millis == last.millis {
			last.size = size
			return
		}
	}
	if len(m.list) == maxMarks { // what waits for so long loses precision: two neighbours become the later of both
		kept := m.list[:0]
		for i := 1; i < len(m.list); i += 2 {
			kept = append(kept, m.list[i])
		}
		m.list = kept
	}
	m.list = append(m.list, mark{size, millis})
}

// at returns when the byte at the offset was seen.
func (m *marks) at(offset int64, now time.Time) int64 {
	i := sort.Search(len(m.list), func(i int) bool { return m.list[i].size > offset })
	if i == len(m.list) {
		if i == 0 {
			return now.UnixMilli()
		}
		return max(now.UnixMilli(), m.list[i-1].millis)
	}
	return m.list[i].millis
}

// forget drops what is before the offset, but the last of it: later times must not be before it.
func (m *marks) forget(offset int64) {
	i := sort.Search(len(m.list), func(i int) bool { return m.list[i].size > offset })
	if i > 1 {
		m.list = append(m.list[:0], m.list[i-1:]...)
	}
}
