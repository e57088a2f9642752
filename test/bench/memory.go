package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/neargate/neargate/test/harness"
)

const (
	idleFor   = 5 * time.Second // before memory is looked at
	idleEvery = time.Second     // between two looks
)

// memory measures the daemon and the keeper of a fresh start; etcd is in the daemon.
func memory(ctx context.Context, d *daemon, runs int) ([]Row, error) {
	return d.idle(ctx, "daemon and keeper idle, fresh, etcd included", runs, limit{AtMost: 150})
}

// idle looks at the memory of the daemon and the keeper some times.
func (d *daemon) idle(ctx context.Context, name string, runs int, l limit) ([]Row, error) {
	keeper, err := d.keeperPID()
	if err != nil {
		return nil, err
	}
	var all []float64
	wait := idleFor
	for range runs {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(wait):
		}
		wait = idleEvery
		total := 0.0
		var each []string
		for _, p := range []struct {
			what string
			pid  int
		}{{"daemon", d.PID()}, {"keeper", keeper}} {
			mib, err := resident(p.pid)
			if err != nil {
				return nil, err
			}
			total += mib
			each = append(each, fmt.Sprintf("%s %.1f MiB", p.what, mib))
		}
		say("  %s", strings.Join(each, ", "))
		all = append(all, total)
	}
	return []Row{values(name, "MiB", all, l)}, nil
}

// resident returns the resident memory of a process, file pages included.
func resident(pid int) (mib float64, err error) {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("process %d has no memory", pid)
}

// keeperPID finds the keeper of the daemon.
func (d *daemon) keeperPID() (int, error) {
	for _, p := range d.Processes() {
		pid, command, _ := strings.Cut(p, " ")
		if strings.Contains(command, " keeper ") {
			return strconv.Atoi(pid)
		}
	}
	return 0, fmt.Errorf("no keeper among %q", d.Processes())
}

// demoMemory deploys the demo's stack as make demo does, and measures memory when it runs; it also says how long that took.
func demoMemory(ctx context.Context, d *daemon, runs int) (_ []Row, err error) {
	root, err := harness.Root()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("/tmp", "ngb")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "web-api")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", program, ".")
	build.Dir, build.Env = filepath.Join(root, "examples/web-api/app"), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the demo's application: %w\n%s", err, out)
	}
	image, err := d.command(ctx, "push", "--binary", program, "--repo", "web-api:v1", "--port", "8080")
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if _, err := d.command(ctx, "up", filepath.Join(root, "examples/web-api/template.yaml"), "--stack", "web-api", "--parameter", "Image="+strings.TrimSpace(image)); err != nil {
		return nil, err
	}
	up := time.Since(began)
	defer func() {
		if _, downErr := d.command(context.WithoutCancel(ctx), "down", "web-api"); err == nil {
			err = downErr
		}
	}()
	rows, err := d.idle(ctx, "daemon and keeper idle, with the demo's stack, after the benchmarks that ran", runs, limit{})
	return append(rows, values("the demo's stack deployed", "s", []float64{up.Seconds()}, limit{})), err
}

// command runs a subcommand of neargate against the daemon and returns what it prints.
func (d *daemon) command(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, d.Binary, args...)
	cmd.Env = d.Environment()
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("neargate %s: %w\n%s%s", args[0], err, out.String(), said.String())
	}
	return out.String(), nil
}
