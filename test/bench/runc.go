package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// bundle is a root file system with runc's own default configuration, in a folder of its own.
type bundle struct {
	dir string
	n   int
}

func newBundle(ctx context.Context, image v1.Image) (_ *bundle, err error) {
	dir, err := os.MkdirTemp("/tmp", "ngb")
	if err != nil {
		return nil, err
	}
	b := &bundle{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.remove())
		}
	}()
	root := filepath.Join(dir, "rootfs")
	if err := os.Mkdir(root, 0o755); err != nil {
		return nil, err
	}
	files := mutate.Extract(image)
	defer files.Close()
	untar := exec.CommandContext(ctx, "tar", "-x", "-C", root)
	untar.Stdin = files
	if out, err := untar.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("unpack the image: %w: %s", err, out)
	}
	if err := b.runc(ctx, "spec", "--bundle", dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "config.json")
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var config map[string]any
	if err := json.Unmarshal(text, &config); err != nil {
		return nil, err
	}
	process, ok := config["process"].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("runc's configuration has no process")
	}
	process["terminal"], process["args"] = false, []string{"/app"}
	if text, err = json.Marshal(config); err != nil {
		return nil, err
	}
	return b, os.WriteFile(path, text, 0o644)
}

func (b *bundle) runc(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "runc", append([]string{"--root", filepath.Join(b.dir, "state")}, args...)...)
	var said bytes.Buffer
	log, err := os.Create(filepath.Join(b.dir, "log")) // not a pipe: the container would keep it open
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(log.Name())
		said.Write(text)
		return fmt.Errorf("runc %s: %w: %s", args[0], err, said.String())
	}
	return nil
}

// start measures `runc run --detach`, which returns when the process runs, and ends the container.
func (b *bundle) start(ctx context.Context) (time.Duration, error) {
	b.n++
	id := fmt.Sprintf("%s-%d", filepath.Base(b.dir), b.n)
	began := time.Now()
	err := b.runc(ctx, "run", "--detach", "--bundle", b.dir, id)
	took := time.Since(began)
	return took, errors.Join(err, b.runc(context.WithoutCancel(ctx), "delete", "--force", id))
}

func (b *bundle) remove() error { return os.RemoveAll(b.dir) }
