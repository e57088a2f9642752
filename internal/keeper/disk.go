package keeper

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// disk keeps one file per object. Files are replaced by rename and never synced: they only have to outlive this process.
// After a crash of the host all namespaces are gone, and with them what the files are about; the daemon then puts
// everything anew. A file that cannot be read is therefore left out with a warning, never a reason not to start.
type disk struct{ dir string }

func (d disk) path(kind Kind, id string) string {
	return filepath.Join(d.dir, "objects", string(kind), url.PathEscape(id)+".json")
}

// save writes the object unless the file holds it already.
func (d disk) save(kind Kind, id string, data []byte) error {
	path := d.path(kind, id)
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) {
		return nil
	}
	if err := replaceFile(path, data); err != nil {
		return fmt.Errorf("save %s %s: %w", kind, id, err)
	}
	return nil
}

// remove forgets the object; a missing one is no error.
func (d disk) remove(kind Kind, id string) error {
	if err := os.Remove(d.path(kind, id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s %s: %w", kind, id, err)
	}
	return nil
}

// loadAll reads all objects of one kind; broken ones are returned by file name.
func loadAll[S any](d disk, kind Kind) (objects []S, broken map[string]error) {
	dir := filepath.Join(d.dir, "objects", string(kind))
	entries, err := os.ReadDir(dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, map[string]error{dir: err}
	}
	broken = map[string]error{}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".json") {
			continue // left by a crash between writing and renaming
		}
		var s S
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err == nil {
			err = json.Unmarshal(data, &s)
		}
		if err != nil {
			broken[e.Name()] = err
			continue
		}
		objects = append(objects, s)
	}
	return objects, broken
}

// replaceFile writes the file in one step, mode 0600: it may hold credentials. Each path has one writer at a time.
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
