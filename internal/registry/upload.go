package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sync"

	"github.com/neargate/neargate/internal/model"
)

// Errors of uploads.
var (
	ErrNoUpload     = errors.New("no such upload")
	ErrWrongOffset  = errors.New("chunk does not begin where the upload ends")
	ErrWrongDigest  = errors.New("content does not match the digest")
	ErrUploadInUse  = errors.New("another chunk of this upload is on its way")
	uploadIDPattern = regexp.MustCompile(`^[0-9a-f-]{36}$`)
)

// upload is an unfinished blob. Its running hash is only kept in memory: after a restart the file is read once more.
type upload struct {
	mu   sync.Mutex
	repo string
	path string
	size int64
	hash hash.Hash // nil when it has to be computed anew
}

// StartUpload begins an upload into a repository and returns its identifier.
func (b *Blobs) StartUpload(repo string) (string, error) {
	id := model.NewUUID()
	path := b.uploadPath(id)
	if err := os.WriteFile(path+".repo", []byte(repo), 0o600); err != nil {
		return "", fmt.Errorf("start upload: %w", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return "", fmt.Errorf("start upload: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.uploads[id] = &upload{repo: repo, path: path, hash: sha256.New()}
	return id, nil
}

// UploadSize returns how many bytes of an upload have arrived.
func (b *Blobs) UploadSize(repo, id string) (int64, error) {
	u, err := b.upload(repo, id)
	if err != nil {
		return 0, err
	}
	if !u.mu.TryLock() {
		return 0, ErrUploadInUse
	}
	defer u.mu.Unlock()
	return u.size, nil
}

// AppendUpload adds a chunk that begins at offset (negative: wherever the upload ends) and returns the new size. When r breaks off, what came
// before stays, so that the client can go on from there.
func (b *Blobs) AppendUpload(ctx context.Context, repo, id string, offset int64, r io.Reader) (int64, error) {
	u, err := b.upload(repo, id)
	if err != nil {
		return 0, err
	}
	if !u.mu.TryLock() {
		return 0, ErrUploadInUse
	}
	defer u.mu.Unlock()
	if offset >= 0 && offset != u.size {
		return u.size, ErrWrongOffset
	}
	f, err := os.OpenFile(u.path, os.O_WRONLY, 0)
	if err != nil {
		return u.size, fmt.Errorf("open upload: %w", err)
	}
	defer func() { _ = f.Close() }() // durability is the commit's business
	if _, err := f.Seek(u.size, io.SeekStart); err != nil {
		return u.size, fmt.Errorf("open upload: %w", err)
	}
	var w io.Writer = f
	if u.hash != nil {
		w = &hashingWriter{file: f, hash: u.hash}
	}
	n, err := io.Copy(w, readerWithContext{ctx: ctx, r: r})
	u.size += n
	if err != nil {
		return u.size, fmt.Errorf("receive chunk: %w", err)
	}
	return u.size, nil
}

// CommitUpload ends an upload: it becomes the blob d of its repository if that is what its content says.
func (b *Blobs) CommitUpload(repo, id string, d Digest) (int64, error) {
	u, err := b.upload(repo, id)
	if err != nil {
		return 0, err
	}
	if !u.mu.TryLock() {
		return 0, ErrUploadInUse
	}
	defer u.mu.Unlock()
	f, err := os.OpenFile(u.path, os.O_RDWR, 0)
	if err != nil {
		return 0, ErrNoUpload // lost a race with another commit of the same upload
	}
	defer func() { _ = f.Close() }() // synced before it counts
	got, err := u.digest(f)
	if err != nil {
		return 0, fmt.Errorf("hash upload: %w", err)
	}
	if got != d {
		return 0, ErrWrongDigest
	}
	if err := f.Sync(); err != nil {
		return 0, fmt.Errorf("sync upload: %w", err)
	}
	b.gc.RLock()
	defer b.gc.RUnlock()
	path := b.blobPath(d)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return 0, fmt.Errorf("commit blob %s: %w", d, err)
	}
	if err := os.Rename(u.path, path); err != nil {
		return 0, fmt.Errorf("commit blob %s: %w", d, err)
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return 0, fmt.Errorf("commit blob %s: %w", d, err)
	}
	b.dropUpload(id)
	return u.size, b.link(repo, d)
}

// CancelUpload throws an upload away.
func (b *Blobs) CancelUpload(repo, id string) error {
	u, err := b.upload(repo, id)
	if err != nil {
		return err
	}
	if !u.mu.TryLock() {
		return ErrUploadInUse
	}
	defer u.mu.Unlock()
	b.dropUpload(id)
	return nil
}

func (b *Blobs) dropUpload(id string) {
	b.mu.Lock()
	delete(b.uploads, id)
	b.mu.Unlock()
	_ = os.Remove(b.uploadPath(id)) // the file is gone after a commit
	_ = os.Remove(b.uploadPath(id) + ".repo")
}

// upload finds an upload of a repository, in memory or, after a restart, on disk.
func (b *Blobs) upload(repo, id string) (*upload, error) {
	if !uploadIDPattern.MatchString(id) {
		return nil, ErrNoUpload
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	u := b.uploads[id]
	if u == nil {
		path := b.uploadPath(id)
		owner, err := os.ReadFile(path + ".repo")
		if err != nil {
			return nil, noUpload(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, noUpload(err)
		}
		u = &upload{repo: string(owner), path: path, size: info.Size()}
		b.uploads[id] = u
	}
	if u.repo != repo {
		return nil, ErrNoUpload
	}
	return u, nil
}

func (b *Blobs) uploadPath(id string) string { return filepath.Join(b.dir, "uploads", id) }

// digest returns the digest of what has arrived.
func (u *upload) digest(f *os.File) (Digest, error) {
	if u.hash != nil {
		return Digest(digestPrefix + hex.EncodeToString(u.hash.Sum(nil))), nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	d, _, err := hashReader(f)
	return d, err
}

// hashingWriter hashes what the file has taken, and no more, so that hash and file never part.
type hashingWriter struct {
	file *os.File
	hash hash.Hash
}

func (w *hashingWriter) Write(p []byte) (int, error) {
	n, err := w.file.Write(p)
	w.hash.Write(p[:n])
	return n, err
}

// readerWithContext stops reading when ctx ends.
type readerWithContext struct {
	ctx context.Context
	r   io.Reader
}

func (r readerWithContext) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

func noUpload(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNoUpload
	}
	return err
}
