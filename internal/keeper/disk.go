package keeper

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// disk keeps all objects in one journal: each change appends a line, the last line of an object counts, and the journal is
// written anew when most of it is out of date. A file per object would cost a new inode per change, which for a hundred
// tasks that start at once is more than all the rest.
//
// Nothing is synced: the journal only has to outlive this process. After a crash of the host all namespaces are gone, and
// with them what the objects are about; the daemon then puts everything anew. A line that cannot be read is therefore
// left out, never a reason not to start.
type disk struct {
	path string
	seed maphash.Seed

	mu      sync.Mutex
	file    *os.File
	objects map[objectKey]savedObject
	size    int64 // of the journal
	live    int64 // of the lines in it that count
}

type objectKey struct {
	kind Kind
	id   string
}

// savedObject is what is remembered of a line: enough to see that an object has not changed.
type savedObject struct {
	hash uint64
	size int64
}

// entry is a line of the journal. Without an object it says that the object was deleted.
type entry struct {
	Kind   Kind            `json:"kind"`
	ID     string          `json:"id"`
	Object json.RawMessage `json:"object,omitempty"`
}

const (
	// journalSlack is how much out-of-date text is no reason to write the journal anew.
	journalSlack = 1 << 20
	maxEntry     = 64 << 20
)

func newDisk(dir string) *disk {
	return &disk{path: filepath.Join(dir, "objects.journal"), seed: maphash.MakeSeed()}
}

// open reads the journal and leaves it open for changes; broken counts the lines that were left out.
func (d *disk) open() (objects map[Kind][]json.RawMessage, broken int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	latest := map[objectKey]json.RawMessage{}
	broken, err = readJournal(d.path, latest)
	if err != nil {
		return nil, broken, err
	}
	d.closeFile()
	if err := d.rewrite(latest); err != nil {
		return nil, broken, err
	}
	objects = map[Kind][]json.RawMessage{}
	for _, key := range sortedKeys(latest) {
		objects[key.kind] = append(objects[key.kind], latest[key])
	}
	return objects, broken, nil
}

// close lets go of the journal, so that another process can open it.
func (d *disk) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closeFile()
}

func (d *disk) closeFile() {
	if d.file != nil {
		d.file.Close()
		d.file = nil
	}
}

// save remembers the object, unless it is remembered just so.
func (d *disk) save(kind Kind, id string, object json.RawMessage) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	key, hash := objectKey{kind, id}, maphash.Bytes(d.seed, object)
	if old, ok := d.objects[key]; ok && old.hash == hash {
		return nil
	}
	n, err := d.append(entry{Kind: kind, ID: id, Object: object})
	if err != nil {
		return fmt.Errorf("save %s %s: %w", kind, id, err)
	}
	d.live += n - d.objects[key].size
	d.objects[key] = savedObject{hash, n}
	return d.compact()
}

// remove forgets the object; one that is not remembered is no error.
func (d *disk) remove(kind Kind, id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := objectKey{kind, id}
	old, ok := d.objects[key]
	if !ok {
		return nil
	}
	if _, err := d.append(entry{Kind: kind, ID: id}); err != nil {
		return fmt.Errorf("remove %s %s: %w", kind, id, err)
	}
	d.live -= old.size
	delete(d.objects, key)
	return d.compact()
}

func (d *disk) append(e entry) (int64, error) {
	if d.file == nil {
		return 0, fs.ErrClosed
	}
	line, err := json.Marshal(e)
	if err != nil {
		return 0, err
	}
	line = append(line, '\n')
	if _, err := d.file.Write(line); err != nil {
		// Part of a line may be there; what follows it must begin on a line of its own.
		_, _ = d.file.WriteString("\n")
		return 0, err
	}
	d.size += int64(len(line))
	return int64(len(line)), nil
}

// compact writes the journal anew when that is worth it.
func (d *disk) compact() error {
	if d.size-d.live < d.live+journalSlack {
		return nil
	}
	latest := map[objectKey]json.RawMessage{}
	if _, err := readJournal(d.path, latest); err != nil {
		return err
	}
	d.closeFile()
	return d.rewrite(latest)
}

// rewrite replaces the journal by the objects alone and opens it.
func (d *disk) rewrite(latest map[objectKey]json.RawMessage) error {
	tmp := d.path + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600) // it may hold credentials
	if err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	d.file, d.size, d.live, d.objects = f, 0, 0, make(map[objectKey]savedObject, len(latest))
	for _, key := range sortedKeys(latest) {
		n, err := d.append(entry{Kind: key.kind, ID: key.id, Object: latest[key]})
		if err != nil {
			return fmt.Errorf("write journal: %w", err)
		}
		d.live += n
		d.objects[key] = savedObject{maphash.Bytes(d.seed, latest[key]), n}
	}
	if err := os.Rename(tmp, d.path); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return nil
}

func sortedKeys(m map[objectKey]json.RawMessage) []objectKey {
	keys := make([]objectKey, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b objectKey) int {
		return strings.Compare(string(a.kind)+"\x00"+a.id, string(b.kind)+"\x00"+b.id)
	})
	return keys
}

// readJournal adds what the journal says to latest and counts the lines that cannot be read.
func readJournal(path string, latest map[objectKey]json.RawMessage) (broken int, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read journal: %w", err)
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 64<<10)
	for {
		line, err := r.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			var e entry
			if json.Unmarshal(line, &e) != nil || e.Kind == "" || e.ID == "" || len(line) > maxEntry {
				broken++
			} else if key := (objectKey{e.Kind, e.ID}); e.Object == nil {
				delete(latest, key)
			} else {
				latest[key] = e.Object
			}
		}
		if errors.Is(err, io.EOF) {
			return broken, nil
		}
		if err != nil {
			return broken, fmt.Errorf("read journal: %w", err)
		}
	}
}

// replaceFile writes the file in one step, mode 0600. Each path has one writer at a time.
func replaceFile(path string, data []byte) error {
	tmp := path + ".new"
	err := os.WriteFile(tmp, data, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		err = os.WriteFile(tmp, data, 0o600)
	}
	if err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
