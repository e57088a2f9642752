package runtimetest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sort"
	"sync"
	"testing"

	"github.com/neargate/neargate/internal/container"
	"github.com/neargate/neargate/internal/fault"
)

// ImageConfig is what a test image says; Files are its content by path, all of mode 0755 and owned by root. A path that
// ends in a slash is a folder, whose content is "uid:gid mode" (octal).
type ImageConfig struct {
	Files      map[string][]byte
	Entrypoint []string
	Command    []string
	Env        []string
	User       string
	WorkDir    string
	StopSignal string
	Volumes    []string
}

// Image is a test image in memory.
type Image struct {
	Manifest container.Manifest
	Blobs    map[string][]byte // by digest: configuration and layer
	Probe    string            // path of the probe inside
}

// ProbeImage makes an image whose entry point is the probe; binary may be empty where nothing runs it.
func ProbeImage(binary []byte) (*Image, error) {
	const path = "/probe"
	i, err := NewImage(ImageConfig{
		Files: map[string][]byte{
			"probe":      binary,
			"etc/passwd": []byte("root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:app:/home/app:/bin/sh\n"),
			"etc/group":  []byte("root:x:0:\napp:x:1001:\nextra:x:2000:app\n"),
			"data/":      []byte("1000:1001 750"),
			"data/seed":  []byte("from the image"),
			"tmp/":       []byte("0:0 1777"),
		},
		Entrypoint: []string{path}, Command: []string{"print", "default command"}, Env: []string{"FROM_IMAGE=image", "BOTH=image"},
		Volumes: []string{"/data"},
	})
	if err != nil {
		return nil, err
	}
	i.Probe = path
	return i, nil
}

// NewImage makes an image of one layer.
func NewImage(c ImageConfig) (*Image, error) {
	layer, diffID, err := makeLayer(c.Files)
	if err != nil {
		return nil, err
	}
	type process struct {
		Entrypoint []string            `json:"Entrypoint,omitempty"`
		Cmd        []string            `json:"Cmd,omitempty"`
		Env        []string            `json:"Env,omitempty"`
		User       string              `json:"User,omitempty"`
		WorkingDir string              `json:"WorkingDir,omitempty"`
		StopSignal string              `json:"StopSignal,omitempty"`
		Volumes    map[string]struct{} `json:"Volumes,omitempty"`
	}
	p := process{Entrypoint: c.Entrypoint, Cmd: c.Command, Env: c.Env, User: c.User, WorkingDir: c.WorkDir, StopSignal: c.StopSignal,
		Volumes: map[string]struct{}{}}
	for _, v := range c.Volumes {
		p.Volumes[v] = struct{}{}
	}
	config, err := json.Marshal(map[string]any{
		"os": "linux", "architecture": runtime.GOARCH, "config": p,
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{diffID}},
	})
	if err != nil {
		return nil, err
	}
	descriptor := func(kind string, data []byte) map[string]any {
		return map[string]any{"mediaType": kind, "digest": Digest(data), "size": len(data)}
	}
	const manifestType = "application/vnd.oci.image.manifest.v1+json"
	raw, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType,
		"config": descriptor("application/vnd.oci.image.config.v1+json", config),
		"layers": []any{descriptor("application/vnd.oci.image.layer.v1.tar+gzip", layer)},
	})
	if err != nil {
		return nil, err
	}
	return &Image{
		Manifest: container.Manifest{Descriptor: container.Descriptor{MediaType: manifestType, Digest: Digest(raw), Size: int64(len(raw))}, Raw: raw},
		Blobs:    map[string][]byte{Digest(config): config, Digest(layer): layer},
	}, nil
}

// Fetch is a container.Fetch that reads the image from memory.
func (i *Image) Fetch(_ context.Context, d container.Descriptor) (io.ReadCloser, error) {
	data, ok := i.Blobs[d.Digest]
	if !ok {
		return nil, fault.NewNotFound("blob", d.Digest)
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

// Digest returns the digest of content.
func Digest(data []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(data)) }

func makeLayer(files map[string][]byte) (compressed []byte, diffID string, err error) {
	var plain, packed bytes.Buffer
	w := tar.NewWriter(&plain)
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		data := files[name]
		h := &tar.Header{Name: name, Mode: 0o755, Size: int64(len(data)), Typeflag: tar.TypeReg}
		if name[len(name)-1] == '/' {
			h.Typeflag, h.Size = tar.TypeDir, 0
			_, _ = fmt.Sscanf(string(data), "%d:%d %o", &h.Uid, &h.Gid, &h.Mode)
			data = nil
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, "", err
		}
		if _, err := w.Write(data); err != nil {
			return nil, "", err
		}
	}
	if err := w.Close(); err != nil {
		return nil, "", err
	}
	z, _ := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	if _, err := z.Write(plain.Bytes()); err != nil {
		return nil, "", err
	}
	if err := z.Close(); err != nil {
		return nil, "", err
	}
	return packed.Bytes(), Digest(plain.Bytes()), nil
}

var buildProbe = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "probe")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "probe")
	cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", out, "github.com/neargate/neargate/internal/container/runtimetest/probecmd")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the probe: %w: %s", err, text)
	}
	return os.ReadFile(out)
})

// ProbeBinary builds the probe, once per test program, and returns it.
func ProbeBinary(t testing.TB) []byte {
	t.Helper()
	data, err := buildProbe()
	if err != nil {
		t.Fatal(err)
	}
	return data
}
