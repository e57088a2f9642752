package cli

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Annotations by which tools write an image's name into a layout.
const (
	annotationRefName        = "org.opencontainers.image.ref.name"
	annotationContainerdName = "io.containerd.image.name"
)

// openImage opens an OCI layout (a folder), an OCI archive or the output of `docker save`, compressed with gzip or not.
func openImage(file string) (*source, error) {
	info, err := readable(file)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return openLayout(file, func() {})
	}
	kind, err := archiveKind(file)
	if err != nil {
		return nil, err
	}
	switch kind {
	case "docker":
		return openDocker(file)
	case "oci":
		dir, err := os.MkdirTemp("", "neargate-push-")
		if err != nil {
			return nil, fmt.Errorf("unpack %s: %w", file, err)
		}
		remove := func() { _ = os.RemoveAll(dir) }
		if err := unpack(file, dir); err != nil {
			remove()
			return nil, err
		}
		return openLayout(dir, remove)
	}
	return nil, Usage("%s is neither an OCI archive (it has no oci-layout) nor the output of docker save (it has no manifest.json); for an executable say --binary", file)
}

// openArchive returns a reader of a tar file that may be compressed.
func openArchive(file string) (io.Reader, func(), error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, nil, Usage("cannot read %s: %v", file, err)
	}
	buffered := bufio.NewReader(f)
	if magic, _ := buffered.Peek(2); string(magic) != "\x1f\x8b" {
		return buffered, func() { f.Close() }, nil
	}
	z, err := gzip.NewReader(buffered)
	if err != nil {
		f.Close()
		return nil, nil, Usage("cannot read %s: %v", file, err)
	}
	return z, func() { f.Close() }, nil
}

// archiveKind returns "docker" for the output of docker save, "oci" for an OCI archive and nothing for anything else.
// What docker saves since version 25 is both; its manifest.json has the image's name.
func archiveKind(file string) (kind string, err error) {
	r, done, err := openArchive(file)
	if err != nil {
		return "", err
	}
	defer done()
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return kind, nil
		}
		if err != nil {
			return "", Usage("%s is not a tar archive: %v; for an executable say --binary", file, err)
		}
		switch path.Clean(h.Name) {
		case "manifest.json":
			return "docker", nil
		case "oci-layout":
			kind = "oci"
		}
	}
}

func openDocker(file string) (*source, error) {
	opener := func() (io.ReadCloser, error) {
		r, done, err := openArchive(file)
		if err != nil {
			return nil, err
		}
		return &archiveReader{Reader: r, close: done}, nil
	}
	manifest, err := tarball.LoadManifest(opener)
	if err != nil {
		return nil, Usage("%s: %v", file, err)
	}
	if len(manifest) != 1 {
		return nil, Usage("%s has %d images: save one at a time (docker save IMAGE)", file, len(manifest))
	}
	image, err := tarball.Image(opener, nil)
	if err != nil {
		return nil, Usage("%s: %v", file, err)
	}
	src := &source{image: image, close: func() {}}
	if tags := manifest[0].RepoTags; len(tags) > 0 {
		src.name = tags[0]
	}
	return src, nil
}

type archiveReader struct {
	io.Reader
	close func()
}

func (a *archiveReader) Close() error { a.close(); return nil }

// openLayout opens what a layout names: one image, or an index of one image for several platforms.
func openLayout(dir string, done func()) (_ *source, err error) {
	defer func() {
		if err != nil {
			done()
		}
	}()
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, Usage("%s is not an OCI layout: %v", dir, err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, Usage("%s: %v", dir, err)
	}
	var entries []v1.Descriptor
	for _, d := range manifest.Manifests {
		if d.MediaType.IsImage() || d.MediaType.IsIndex() {
			entries = append(entries, d)
		}
	}
	if len(entries) != 1 {
		return nil, Usage("the layout has %d images: it has to have one", len(entries))
	}
	src := &source{close: done, name: entries[0].Annotations[annotationContainerdName]}
	if src.name == "" {
		// The reference's name is often a tag alone.
		if ref := entries[0].Annotations[annotationRefName]; strings.Contains(ref, ":") {
			src.name = ref
		}
	}
	if entries[0].MediaType.IsIndex() {
		src.index, err = index.ImageIndex(entries[0].Digest)
	} else {
		src.image, err = index.Image(entries[0].Digest)
	}
	if err != nil {
		return nil, Usage("the layout is damaged: %v", err)
	}
	return src, nil
}

// unpack writes the files of an OCI archive into a folder; nothing can be written outside of it.
func unpack(file, dir string) error {
	r, done, err := openArchive(file)
	if err != nil {
		return err
	}
	defer done()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("unpack %s: %w", file, err)
	}
	defer root.Close()
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return Usage("%s is damaged: %v", file, err)
		}
		target := filepath.FromSlash(path.Clean(h.Name))
		if h.Typeflag != tar.TypeReg || !filepath.IsLocal(target) {
			continue // a layout consists of plain files
		}
		if err := unpackFile(root, target, t); err != nil {
			return fmt.Errorf("unpack %s of %s: %w", h.Name, file, err)
		}
	}
}

func unpackFile(root *os.Root, target string, r io.Reader) error {
	if dir := filepath.Dir(target); dir != "." {
		if err := root.MkdirAll(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	f, err := root.Create(target)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(f, r); err != nil {
		return err
	}
	return f.Close()
}
