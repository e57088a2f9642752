package keeper

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// EnsureOptions say which keeper is wanted.
type EnsureOptions struct {
	// Socket, Version and Speed as in Options. The started keeper must be given the same.
	Socket  string
	Version string
	Speed   float64
	// Command starts a keeper: the program and its arguments. The child gets a session of its own and outlives us.
	Command []string
	// LogFile receives the child's standard output and error.
	LogFile string
	Logger  *slog.Logger
}

const (
	answerTimeout = 5 * time.Second
	startTimeout  = 40 * time.Second // a handover included
)

// Ensure returns a client of the host's keeper: it adopts the one that runs, starts one if there is none, and replaces
// one of another version, which hands its sockets to the new one.
func Ensure(ctx context.Context, o EnsureOptions) (*Client, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c := NewClient(o.Socket)
	info, err := ask(ctx, c)
	switch {
	case err == nil && info.Version == o.Version && info.Protocol == Protocol:
		o.Logger.Info("adopted the keeper", "pid", info.PID)
	default:
		if err == nil {
			o.Logger.Info("replacing the keeper", "pid", info.PID, "version", info.Version, "by", o.Version)
		}
		if err := start(ctx, c, o); err != nil {
			c.Close()
			return nil, err
		}
	}
	speed := o.Speed
	if speed <= 0 {
		speed = 1
	}
	if err := c.SetSpeed(ctx, speed); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Supervise starts the keeper anew whenever it does not answer, until ctx ends; after is called each time that has
// happened. A keeper that comes back restores itself from disk, so after has nothing to do but to look for what failed.
func Supervise(ctx context.Context, o EnsureOptions, after func(*Client)) {
	const every = 500 * time.Millisecond
	c := NewClient(o.Socket)
	defer c.Close()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(every):
		}
		if _, gone, err := probeSocket(ctx, o.Socket); err == nil || !gone {
			continue
		}
		fresh, err := Ensure(ctx, o)
		if err != nil {
			if ctx.Err() == nil && o.Logger != nil {
				o.Logger.Error("start the keeper", "error", err)
			}
			continue
		}
		if after != nil {
			after(fresh)
		}
		fresh.Close()
	}
}

// probeSocket reports whether somebody listens.
func probeSocket(ctx context.Context, socket string) (ok, gone bool, err error) {
	conn, gone, err := dialSocket(ctx, socket)
	if err != nil {
		return false, gone, err
	}
	conn.Close()
	return true, false, nil
}

func ask(ctx context.Context, c *Client) (Info, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	return c.Info(ctx)
}

// start runs a new keeper and waits until it is the one that answers.
func start(ctx context.Context, c *Client, o EnsureOptions) error {
	if len(o.Command) == 0 {
		return errors.New("start the keeper: no command")
	}
	for _, file := range []string{o.LogFile, o.Socket} {
		if file == "" {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("start the keeper: %w", err)
		}
	}
	cmd := exec.Command(o.Command[0], o.Command[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal, no signals of our process group
	cmd.Dir = "/"
	if o.LogFile != "" {
		f, err := os.OpenFile(o.LogFile, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return fmt.Errorf("start the keeper: %w", err)
		}
		defer f.Close()
		cmd.Stdout, cmd.Stderr = f, f
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the keeper: %w", err)
	}
	pid := cmd.Process.Pid
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // or it would stay a zombie as long as we live
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for pause := 2 * time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		info, err := ask(ctx, c)
		if err == nil && info.PID == pid {
			return nil
		}
		select {
		case err := <-ended:
			return fmt.Errorf("the keeper ended at once (%v); see %s", err, o.LogFile)
		case <-ctx.Done():
			return fmt.Errorf("the keeper (process %d) does not answer; see %s: %w", pid, o.LogFile, ctx.Err())
		case <-time.After(pause):
		}
	}
}
