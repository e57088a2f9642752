package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	client "github.com/containerd/containerd"
	"github.com/containerd/containerd/cio"
	"github.com/containerd/containerd/namespaces"
	"github.com/containerd/containerd/oci"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// bareContainerd is a containerd with its default configuration, and an image in it.
type bareContainerd struct {
	dir    string
	cmd    *exec.Cmd
	client *client.Client
	image  client.Image
	n      int
}

const (
	bareNamespace = "bench"
	// parallelStarts is how many containers are started at a time; more than this is no faster on two cores.
	parallelStarts = 8
)

func newBareContainerd(ctx context.Context, image v1.Image) (_ *bareContainerd, err error) {
	dir, err := os.MkdirTemp("/tmp", "ngb")
	if err != nil {
		return nil, err
	}
	c := &bareContainerd{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.stop())
		}
	}()
	config, socket := filepath.Join(dir, "config.toml"), filepath.Join(dir, "s")
	text := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\n  address = %q\n[ttrpc]\n  address = %q\n",
		filepath.Join(dir, "root"), filepath.Join(dir, "state"), socket, socket+".ttrpc")
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	c.cmd = exec.Command("containerd", "--config", config, "--log-level", "warn")
	c.cmd.Stdout, c.cmd.Stderr = log, log
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.cmd.Start(); err != nil {
		c.cmd = nil
		return nil, err
	}
	if c.client, err = client.New(socket, client.WithDefaultNamespace(bareNamespace), client.WithTimeout(30*time.Second)); err != nil {
		return nil, fmt.Errorf("connect to containerd: %w", err)
	}
	archive := filepath.Join(dir, "image.tar")
	tag, err := name.NewTag("bench.local/app:v1")
	if err != nil {
		return nil, err
	}
	if err := tarball.WriteToFile(archive, tag, image); err != nil {
		return nil, err
	}
	f, err := os.Open(archive)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	imported, err := c.client.Import(namespaces.WithNamespace(ctx, bareNamespace), f)
	if err != nil || len(imported) == 0 {
		return nil, fmt.Errorf("import the image: %w", err)
	}
	c.image = client.NewImage(c.client, imported[0])
	return c, c.image.Unpack(namespaces.WithNamespace(ctx, bareNamespace), client.DefaultSnapshotter)
}

// burst measures how long it takes until that many containers run, and ends them.
func (c *bareContainerd) burst(ctx context.Context, n int) (time.Duration, error) {
	ctx = namespaces.WithNamespace(ctx, bareNamespace)
	c.n++
	began := time.Now()
	err := parallel(n, parallelStarts, func(i int) error { return c.startOne(ctx, fmt.Sprintf("c%d-%d", c.n, i)) })
	took := time.Since(began)
	return took, errors.Join(err, c.clear())
}

func (c *bareContainerd) startOne(ctx context.Context, id string) error {
	made, err := c.client.NewContainer(ctx, id, client.WithImage(c.image), client.WithNewSnapshot(id, c.image), client.WithNewSpec(oci.WithImageConfig(c.image)))
	if err != nil {
		return fmt.Errorf("make container: %w", err)
	}
	task, err := made.NewTask(ctx, cio.NullIO)
	if err != nil {
		return fmt.Errorf("make task: %w", err)
	}
	if err := task.Start(ctx); err != nil {
		return fmt.Errorf("start task: %w", err)
	}
	return nil
}

// clear ends and deletes all containers.
func (c *bareContainerd) clear() error {
	ctx, cancel := context.WithTimeout(namespaces.WithNamespace(context.Background(), bareNamespace), time.Minute)
	defer cancel()
	all, err := c.client.Containers(ctx)
	if err != nil {
		return err
	}
	return parallel(len(all), parallelStarts, func(i int) error {
		if task, err := all[i].Task(ctx, nil); err == nil {
			if _, err := task.Delete(ctx, client.WithProcessKill); err != nil {
				return err
			}
		}
		return all[i].Delete(ctx, client.WithSnapshotCleanup)
	})
}

// stop ends everything and removes it.
func (c *bareContainerd) stop() error {
	var errs []error
	if c.client != nil {
		errs = append(errs, c.clear(), c.client.Close())
	}
	if c.cmd != nil {
		_ = c.cmd.Process.Signal(syscall.SIGTERM)
		_ = c.cmd.Wait()
	}
	return errors.Join(append(errs, os.RemoveAll(c.dir))...)
}

// parallel calls f for 0 to n-1, that many at a time, and returns what failed.
func parallel(n, width int, f func(int) error) error {
	errs := make([]error, n)
	gate := make(chan struct{}, width)
	var wg sync.WaitGroup
	for i := range n {
		gate <- struct{}{}
		wg.Go(func() {
			defer func() { <-gate }()
			errs[i] = f(i)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
