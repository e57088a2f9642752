package cli

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// binarySpec is an image that consists of one static executable.
type binarySpec struct {
	Path       string
	Entrypoint []string // empty: the executable without arguments
	Env        []string
	Ports      []int
}

// binaryImage makes the image. The same executable always gives the same image, whatever its time stamp and owner.
func binaryImage(s binarySpec) (v1.Image, error) {
	architecture, err := staticArchitecture(s.Path)
	if err != nil {
		return nil, err
	}
	content, err := binaryLayer(s.Path)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil })
	if err != nil {
		return nil, fmt.Errorf("make layer: %w", err)
	}
	image := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	image = mutate.ConfigMediaType(image, types.OCIConfigJSON)
	image, err = mutate.Append(image, mutate.Addendum{Layer: layer, MediaType: types.OCILayer, History: v1.History{CreatedBy: "neargate push --binary"}})
	if err != nil {
		return nil, fmt.Errorf("make image: %w", err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("make image: %w", err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", architecture
	config.Config.Entrypoint = s.Entrypoint
	if len(s.Entrypoint) == 0 {
		config.Config.Entrypoint = []string{"/" + filepath.Base(s.Path)}
	}
	config.Config.Env = append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/"}, s.Env...)
	config.Config.WorkingDir = "/"
	for _, port := range s.Ports {
		if config.Config.ExposedPorts == nil {
			config.Config.ExposedPorts = map[string]struct{}{}
		}
		config.Config.ExposedPorts[strconv.Itoa(port)+"/tcp"] = struct{}{}
	}
	image, err = mutate.ConfigFile(image, config)
	if err != nil {
		return nil, fmt.Errorf("make image: %w", err)
	}
	return image, nil
}

// staticArchitecture returns the architecture of an executable, in the words of image configurations. One that needs a
// dynamic loader is refused: it would not start in an image of its own.
func staticArchitecture(path string) (string, error) {
	if _, err := readable(path); err != nil {
		return "", err
	}
	f, err := elf.Open(path)
	if err != nil {
		return "", Usage("%s is not a Linux executable: %v", path, err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return "", Usage("%s is linked dynamically and would not start alone: build it static (Go: CGO_ENABLED=0; C: -static)", path)
		}
	}
	switch f.Machine {
	case elf.EM_X86_64:
		return "amd64", nil
	case elf.EM_AARCH64:
		return "arm64", nil
	}
	return "", Usage("%s is made for %s; Fargate has X86_64 and ARM64", path, f.Machine)
}

// binaryLayer returns the layer: the executable, a place for temporary files, and the users root and nobody.
func binaryLayer(path string) ([]byte, error) {
	program, err := os.ReadFile(path)
	if err != nil {
		return nil, Usage("cannot read %s: %v", path, err)
	}
	var b bytes.Buffer
	t := tar.NewWriter(&b)
	add := func(name string, kind byte, mode int64, data []byte) {
		err = errors.Join(err, t.WriteHeader(&tar.Header{
			Typeflag: kind, Name: name, Mode: mode, Size: int64(len(data)), ModTime: time.Unix(0, 0).UTC(), Format: tar.FormatUSTAR,
		}))
		_, writeErr := t.Write(data)
		err = errors.Join(err, writeErr)
	}
	add("etc/", tar.TypeDir, 0o755, nil)
	add("etc/passwd", tar.TypeReg, 0o644, []byte("root:x:0:0:root:/:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n"))
	add("etc/group", tar.TypeReg, 0o644, []byte("root:x:0:\nnobody:x:65534:\n"))
	add("tmp/", tar.TypeDir, 0o1777, nil)
	add(filepath.Base(path), tar.TypeReg, 0o755, program)
	if err = errors.Join(err, t.Close()); err != nil {
		return nil, fmt.Errorf("make layer: %w", err)
	}
	return b.Bytes(), nil
}
