package registry

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// ErrNoBlob says that the repository holds no blob with that digest.
var ErrNoBlob = errors.New("no such blob")

// Blobs is the content-addressed store on disk.
//
//	blobs/sha256/<2 digits>/<64 digits>   content, each once
//	links/<repository>/<64 digits>        empty file: this repository may see that blob; its time is the last push that relied on it
//	uploads/<id>, uploads/<id>.repo       unfinished uploads
//
// A blob belongs to a repository by its link, so that knowing a digest is not enough to read a layer of another repository.
// What nothing refers to is removed by [Blobs.Collect].
type Blobs struct {
	dir string
	// gc is held for reading from the check that a manifest's blobs are there until the manifest is recorded.
	gc      sync.RWMutex
	mu      sync.Mutex
	uploads map[string]*upload
}

// OpenBlobs opens the store in dir and makes it if it is not there.
func OpenBlobs(dir string) (*Blobs, error) {
	for _, sub := range []string{"blobs/sha256", "links", "uploads"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("make the registry's folder: %w", err)
		}
	}
	return &Blobs{dir: dir, uploads: map[string]*upload{}}, nil
}

// Stat returns the size of a blob of a repository.
func (b *Blobs) Stat(repo string, d Digest) (int64, error) {
	if _, err := os.Stat(b.linkPath(repo, d)); err != nil {
		return 0, noBlob(err)
	}
	return b.size(d)
}

// Touch reports the size of a blob like Stat, and keeps the blob from being collected while the push that asks for it goes on.
func (b *Blobs) Touch(repo string, d Digest) (int64, error) {
	b.gc.RLock()
	defer b.gc.RUnlock()
	return b.touch(repo, d)
}

// touch reports the size of a blob and keeps it; the caller holds gc.
func (b *Blobs) touch(repo string, d Digest) (int64, error) {
	now := time.Now()
	if err := os.Chtimes(b.linkPath(repo, d), now, now); err != nil {
		return 0, noBlob(err)
	}
	return b.size(d)
}

// Open opens a blob of a repository for reading.
func (b *Blobs) Open(repo string, d Digest) (*os.File, error) {
	if _, err := os.Stat(b.linkPath(repo, d)); err != nil {
		return nil, noBlob(err)
	}
	return b.openAny(d)
}

// openAny opens a blob whatever repository holds it: for downloads that a signed URL allows.
func (b *Blobs) openAny(d Digest) (*os.File, error) {
	f, err := os.Open(b.blobPath(d))
	if err != nil {
		return nil, noBlob(err)
	}
	return f, nil
}

// Read returns a small blob (a manifest, a config) whole. More than limit bytes is an error.
func (b *Blobs) Read(repo string, d Digest, limit int64) ([]byte, error) {
	f, err := b.Open(repo, d)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var buf bytes.Buffer
	n, err := io.Copy(&buf, io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read blob %s: %w", d, err)
	}
	if n > limit {
		return nil, fmt.Errorf("read blob %s: larger than %d bytes", d, limit)
	}
	return buf.Bytes(), nil
}

// Put stores content in a repository and returns its digest.
func (b *Blobs) Put(repo string, content []byte) (Digest, error) {
	b.gc.RLock()
	defer b.gc.RUnlock()
	return b.put(repo, content)
}

// put stores content; the caller holds gc.
func (b *Blobs) put(repo string, content []byte) (Digest, error) {
	d := DigestOf(content)
	path := b.blobPath(d)
	if _, err := os.Stat(path); err != nil {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return "", fmt.Errorf("store blob %s: %w", d, err)
		}
		if err := writeDurably(path, content); err != nil {
			return "", fmt.Errorf("store blob %s: %w", d, err)
		}
	}
	return d, b.link(repo, d)
}

// Mount gives a repository a blob that another one holds.
func (b *Blobs) Mount(from, to string, d Digest) (int64, error) {
	b.gc.RLock()
	defer b.gc.RUnlock()
	size, err := b.Stat(from, d)
	if err != nil {
		return 0, err
	}
	return size, b.link(to, d)
}

// Forget takes every blob from a deleted repository; content that no other repository holds goes with the next Collect.
func (b *Blobs) Forget(repo string) error {
	b.gc.Lock()
	defer b.gc.Unlock()
	if err := os.RemoveAll(b.linkDir(repo)); err != nil {
		return fmt.Errorf("forget the layers of %s: %w", repo, err)
	}
	return nil
}

// link lets a repository see a blob. The caller holds gc.
func (b *Blobs) link(repo string, d Digest) error {
	dir := b.linkDir(repo)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("link blob %s: %w", d, err)
	}
	f, err := os.OpenFile(b.linkPath(repo, d), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("link blob %s: %w", d, err)
	}
	_ = f.Close() // nothing was written
	now := time.Now()
	if err := os.Chtimes(f.Name(), now, now); err != nil {
		return fmt.Errorf("link blob %s: %w", d, err)
	}
	return syncDir(dir)
}

func (b *Blobs) size(d Digest) (int64, error) {
	info, err := os.Stat(b.blobPath(d))
	if err != nil {
		return 0, noBlob(err)
	}
	return info.Size(), nil
}

func (b *Blobs) blobPath(d Digest) string {
	h := d.Hex()
	return filepath.Join(b.dir, "blobs", "sha256", h[:2], h)
}

func (b *Blobs) linkDir(repo string) string {
	return filepath.Join(b.dir, "links", escapeRepository(repo))
}

func (b *Blobs) linkPath(repo string, d Digest) string {
	return filepath.Join(b.linkDir(repo), d.Hex())
}

// escapeRepository turns a repository's name into one path element. It stays below the 255 bytes of a file name: the longest name is 256
// characters, so the rare longer ones are cut and told apart by their digest.
func escapeRepository(repo string) string {
	const longest = 180
	e := strings.ReplaceAll(repo, "/", "%")
	if len(e) > longest {
		return e[:longest-digestHexLen] + DigestOf([]byte(repo)).Hex()
	}
	return e
}

func noBlob(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNoBlob
	}
	return err
}
