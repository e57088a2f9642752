package logstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A journal file is a sequence of records: length and CRC-32C of the payload (4 bytes each, little endian), payload.
const (
	journalHeader = 8
	maxRecord     = 8 << 20 // no batch is larger; a length beyond it is a torn record
)

// record is what the journal holds of one Append.
type record struct {
	stream   string
	source   string // who sent it, for the recognition of repeats; empty: not wanted
	to       int64  // where the source stands afterwards
	ingested int64
	first    uint64 // Seq of the first event; the others follow
	events   []Input
}

// encode appends the record with its header to b.
func (r *record) encode(b []byte) []byte {
	start := len(b)
	b = append(b, make([]byte, journalHeader)...)
	b = appendString(b, r.stream)
	b = appendString(b, r.source)
	b = binary.AppendVarint(b, r.to)
	b = binary.AppendVarint(b, r.ingested)
	b = binary.AppendUvarint(b, r.first)
	b = binary.AppendUvarint(b, uint64(len(r.events)))
	for _, e := range r.events {
		b = binary.AppendVarint(b, e.Time)
		b = appendString(b, e.Message)
	}
	payload := b[start+journalHeader:]
	binary.LittleEndian.PutUint32(b[start:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(b[start+4:], crc32.Checksum(payload, castagnoli))
	return b
}

// decodeRecord reads a payload.
func decodeRecord(payload []byte) (*record, error) {
	in := reader{b: payload, ok: true}
	r := &record{stream: in.string(), source: in.string(), to: in.varint(), ingested: in.varint(), first: in.uvarint()}
	n := in.uvarint()
	if n > uint64(len(in.b)) { // an event takes two bytes at least
		return nil, errBroken
	}
	r.events = make([]Input, 0, n)
	for range n {
		r.events = append(r.events, Input{Time: in.varint(), Message: in.string()})
	}
	if !in.ok || len(in.b) > 0 || !isStreamID(r.stream) {
		return nil, errBroken
	}
	return r, nil
}

// readRecords calls fn with each whole record of r. It ends without an error at the first torn one: that one was never acknowledged.
func readRecords(r io.Reader, fn func(*record)) (torn bool, err error) {
	var header [journalHeader]byte
	for {
		if _, err := io.ReadFull(r, header[:]); errors.Is(err, io.EOF) {
			return false, nil
		} else if errors.Is(err, io.ErrUnexpectedEOF) {
			return true, nil
		} else if err != nil {
			return false, err
		}
		n := binary.LittleEndian.Uint32(header[:])
		if n == 0 || n > maxRecord {
			return true, nil
		}
		payload := make([]byte, n)
		if _, err := io.ReadFull(r, payload); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return true, nil
		} else if err != nil {
			return false, err
		}
		if crc32.Checksum(payload, castagnoli) != binary.LittleEndian.Uint32(header[4:]) {
			return true, nil
		}
		rec, err := decodeRecord(payload)
		if err != nil {
			return true, nil
		}
		fn(rec)
	}
}

// journal is the file that new records go to.
type journal struct {
	path string
	file *os.File
	size int64
}

func openJournal(dir string, number int) (*journal, error) {
	path := filepath.Join(dir, fmt.Sprintf("journal-%08d", number))
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make journal: %w", err)
	}
	if err := syncDir(dir); err != nil {
		return nil, fmt.Errorf("make journal: %w", err)
	}
	return &journal{path: path, file: f}, nil
}

// write appends b durably. After an error the file ends where it ended before; when even that cannot be had, broken is true.
func (j *journal) write(b []byte) (broken bool, err error) {
	if _, err := j.file.WriteAt(b, j.size); err != nil {
		if terr := j.file.Truncate(j.size); terr != nil {
			return true, errors.Join(err, terr)
		}
		return false, fmt.Errorf("write journal: %w", err)
	}
	if err := j.file.Sync(); err != nil {
		return true, fmt.Errorf("sync journal: %w", err) // what is on disk is unknown from here on
	}
	j.size += int64(len(b))
	return false, nil
}

// journals returns the journal files of a folder, oldest first, and the highest number.
func journals(dir string) (paths []string, last int, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, 0, fmt.Errorf("list journals: %w", err)
	}
	for _, e := range entries {
		digits, ok := strings.CutPrefix(e.Name(), "journal-")
		if !ok {
			continue
		}
		n, err := strconv.Atoi(digits)
		if err != nil {
			continue
		}
		paths, last = append(paths, filepath.Join(dir, e.Name())), max(last, n)
	}
	slices.Sort(paths)
	return paths, last, nil
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
