package containerd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/errdefs"
	"github.com/containerd/containerd/mount"
	"github.com/containerd/continuity/fs"

	"github.com/neargate/neargate/internal/container"
)

const maxAccountFile = 1 << 20

// withRoot calls fn with the folder where an image's file system is mounted, read-only, and unmounts it afterwards. A
// view that a crash leaves behind refers to nothing and is collected by containerd.
func (r *Runtime) withRoot(ctx context.Context, chainID string, fn func(root string) error) (err error) {
	snapshots := r.client.SnapshotService(snapshotter)
	key := "neargate-view-" + rand.Text()
	mounts, err := snapshots.View(ctx, key, chainID)
	if err != nil {
		return fmt.Errorf("view image: %w", err)
	}
	defer func() {
		if rmErr := snapshots.Remove(context.WithoutCancel(ctx), key); rmErr != nil && !errdefs.IsNotFound(rmErr) {
			err = errors.Join(err, fmt.Errorf("remove view: %w", rmErr))
		}
	}()
	root, err := os.MkdirTemp(r.opts.TempDir, "view-")
	if err != nil {
		return fmt.Errorf("view image: %w", err)
	}
	defer os.Remove(root)
	if err := mount.All(mounts, root); err != nil {
		return fmt.Errorf("mount image: %w", err)
	}
	defer func() {
		if umErr := mount.UnmountAll(root, 0); umErr != nil {
			err = errors.Join(err, fmt.Errorf("unmount image: %w", umErr))
		}
	}()
	return fn(root)
}

// readUsers reads an image's accounts once, when it is imported or first used: looking them up at each start would cost
// a mount each time.
func (r *Runtime) readUsers(ctx context.Context, chainID string) (users, error) {
	if chainID == "" {
		return users{}, nil
	}
	var passwd, groups string
	err := r.withRoot(ctx, chainID, func(root string) (err error) {
		if passwd, err = readInside(root, "/etc/passwd"); err != nil {
			return err
		}
		groups, err = readInside(root, "/etc/group")
		return err
	})
	if err != nil {
		return users{}, err
	}
	return parseUsers(passwd, groups), nil
}

// readInside reads a file of an image without following a link out of it; a file that is not there is empty.
func readInside(root, name string) (string, error) {
	path, err := fs.RootPath(root, name)
	if err != nil {
		return "", nil // a loop of links is an image without that file
	}
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return "", nil // so is whatever else cannot be read as a file
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read %s of the image: %w", name, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxAccountFile))
	if err != nil {
		return "", fmt.Errorf("read %s of the image: %w", name, err)
	}
	return string(data), nil
}

// copyUp fills empty volumes with what the image has at their place.
func (r *Runtime) copyUp(ctx context.Context, s container.Spec, image *imageInfo) error {
	var todo []container.Mount
	for _, m := range s.Mounts {
		if !m.CopyUp || image.chainID == "" {
			continue
		}
		entries, err := os.ReadDir(m.Source)
		if err != nil {
			return fmt.Errorf("read volume: %w", err)
		}
		if len(entries) == 0 {
			todo = append(todo, m)
		}
	}
	if len(todo) == 0 {
		return nil
	}
	return r.withRoot(ctx, image.chainID, func(root string) error {
		for _, m := range todo {
			from, err := fs.RootPath(root, filepath.Clean(m.Target))
			if err != nil {
				return fmt.Errorf("find %s in the image: %w", m.Target, err)
			}
			if info, err := os.Stat(from); err != nil || !info.IsDir() {
				continue
			}
			if err := fs.CopyDir(m.Source, from); err != nil {
				return fmt.Errorf("fill volume from the image: %w", err)
			}
		}
		return nil
	})
}
