package registry

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// uploadGrace is how long an unfinished upload, or a layer that no image names yet, is kept: a slow push must not lose its first layers.
const uploadGrace = 24 * time.Hour

// Collected says what a collection removed.
type Collected struct {
	Uploads, Links, Blobs int
	Bytes                 int64
}

// Collect removes what nothing refers to: uploads and links older than a day that no image of their repository names, repositories that are
// gone, and content that no repository holds. Images that are pushed meanwhile keep what they name.
func (b *Blobs) Collect(ctx context.Context, catalog Catalog, now time.Time) (Collected, error) {
	var done Collected
	if err := b.collectUploads(now, &done); err != nil {
		return done, err
	}
	b.gc.Lock()
	defer b.gc.Unlock()
	named, err := b.named(ctx, catalog)
	if err != nil {
		return done, err
	}
	held, err := b.collectLinks(named, now, &done)
	if err != nil {
		return done, err
	}
	return done, b.collectContent(ctx, held, now, &done)
}

func (b *Blobs) collectUploads(now time.Time, done *Collected) error {
	entries, err := os.ReadDir(filepath.Join(b.dir, "uploads"))
	if err != nil {
		return fmt.Errorf("list uploads: %w", err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || now.Sub(info.ModTime()) < uploadGrace {
			continue // gone meanwhile, or young
		}
		id := strings.TrimSuffix(e.Name(), ".repo")
		if data, err := os.Stat(b.uploadPath(id)); err == nil && now.Sub(data.ModTime()) < uploadGrace {
			continue // an old upload that still grows
		}
		b.dropUpload(id)
		if id == e.Name() {
			done.Uploads++
		}
	}
	return nil
}

// named returns, by link folder, the digests that a repository's images name.
func (b *Blobs) named(ctx context.Context, catalog Catalog) (map[string]map[string]bool, error) {
	repos, err := catalog.Repositories(ctx)
	if err != nil {
		return nil, fmt.Errorf("list repositories: %w", err)
	}
	named := make(map[string]map[string]bool, len(repos))
	for _, repo := range repos {
		images, err := catalog.Images(ctx, repo.Name)
		if err != nil {
			return nil, fmt.Errorf("list images of %s: %w", repo.Name, err)
		}
		digests := map[string]bool{}
		for _, img := range images {
			digests[Digest(img.Digest).Hex()] = true
			for _, d := range slices.Concat(img.Blobs, img.Manifests) {
				digests[Digest(d).Hex()] = true
			}
		}
		named[escapeRepository(repo.Name)] = digests
	}
	return named, nil
}

// collectLinks removes links that are not named and returns the digests that are still held.
func (b *Blobs) collectLinks(named map[string]map[string]bool, now time.Time, done *Collected) (map[string]bool, error) {
	root := filepath.Join(b.dir, "links")
	repos, err := os.ReadDir(root)
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	held := map[string]bool{}
	for _, repo := range repos {
		dir := filepath.Join(root, repo.Name())
		digests, exists := named[repo.Name()]
		links, err := os.ReadDir(dir)
		if err != nil {
			return nil, fmt.Errorf("list links: %w", err)
		}
		for _, l := range links {
			info, err := l.Info()
			keep := err == nil && exists && (digests[l.Name()] || now.Sub(info.ModTime()) < uploadGrace)
			if keep {
				held[l.Name()] = true
				continue
			}
			if err := os.Remove(filepath.Join(dir, l.Name())); err != nil {
				return nil, fmt.Errorf("remove link: %w", err)
			}
			done.Links++
		}
		if !exists {
			_ = os.Remove(dir) // the next collection takes it if something was added meanwhile
		}
	}
	return held, nil
}

func (b *Blobs) collectContent(ctx context.Context, held map[string]bool, now time.Time, done *Collected) error {
	root := filepath.Join(b.dir, "blobs", "sha256")
	shards, err := os.ReadDir(root)
	if err != nil {
		return fmt.Errorf("list blobs: %w", err)
	}
	for _, shard := range shards {
		if err := ctx.Err(); err != nil {
			return err
		}
		files, err := os.ReadDir(filepath.Join(root, shard.Name()))
		if err != nil {
			return fmt.Errorf("list blobs: %w", err)
		}
		for _, f := range files {
			if held[f.Name()] {
				continue
			}
			info, err := f.Info()
			if err != nil {
				continue
			}
			if strings.HasPrefix(f.Name(), ".tmp-") && now.Sub(info.ModTime()) < uploadGrace {
				continue // being written
			}
			if err := os.Remove(filepath.Join(root, shard.Name(), f.Name())); err != nil {
				return fmt.Errorf("remove blob: %w", err)
			}
			done.Blobs++
			done.Bytes += info.Size()
		}
	}
	return nil
}
