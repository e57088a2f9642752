package task

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/neargate/neargate/internal/container"
	"github.com/neargate/neargate/internal/fault"
	"github.com/neargate/neargate/internal/model"
)

const (
	reasonOOM = "OutOfMemoryError: Container killed due to memory usage"

	maxReason      = 1024 // of a container, aws-facts 1.4
	maxCheckOutput = 4096
	checkFailed    = -1 // exit code of a check that did not end by itself
)

// do begins an action; its result comes over the results channel.
func (r *runner) do(ctx context.Context, a action) {
	o, c := r.containers[a.container], r.definitionOf(a.container)
	id := runtimeID(r.id, a.container)
	switch a.verb {
	case doStart, doAgain:
		o.busy = true
		again, t, digest := a.verb == doAgain, r.task, r.images[a.container].image.Digest
		r.beside(ctx, func() func() {
			err := r.start(ctx, t, c, digest, again)
			now := r.Clock.Now()
			return func() { r.started(ctx, c.Name, o, err, again, now) }
		})
	case doCheck:
		o.checking = true
		started := o.startedAt
		r.beside(ctx, func() func() {
			result, ok := r.check(ctx, id, c.HealthCheck)
			return func() {
				o.checking = false
				if ok && o.phase == phaseRunning && o.startedAt.Equal(started) {
					o.health = o.health.after(c.HealthCheck, result, started, r.Clock.Scale)
				} else {
					o.health.checked = result.at
				}
			}
		})
	case doSignal:
		o.signalledAt = r.Clock.Now()
		r.signal(ctx, id, stopSignal(r.images[a.container].image.StopSignal))
	case doKill:
		o.killed = true
		r.signal(ctx, id, syscall.SIGKILL)
	}
}

func (r *runner) signal(ctx context.Context, id string, s syscall.Signal) {
	r.beside(ctx, func() func() {
		if err := r.Runtime.Signal(ctx, id, s); err != nil && !isGone(err) && ctx.Err() == nil {
			r.Log.WarnContext(ctx, "signal container", "container", id, "signal", s, "error", err)
		}
		return func() {}
	})
}

// start makes a container and runs it, or runs it again.
func (r *runner) start(ctx context.Context, t *model.Task, c *model.ContainerDefinition, digest string, again bool) error {
	select {
	case r.starts <- struct{}{}:
		defer func() { <-r.starts }()
	case <-ctx.Done():
		return ctx.Err()
	}
	id := runtimeID(r.id, c.Name)
	if !again {
		spec, err := Compile(t, r.definition, c, digest, r.at)
		if err != nil {
			return fmt.Errorf("CannotCreateContainerError: %w", err)
		}
		if err := r.Runtime.Create(ctx, spec); err != nil && fault.KindOf(err) != fault.Exists {
			return fmt.Errorf("CannotStartContainerError: %w", err)
		}
	}
	if err := r.Runtime.Start(ctx, id); err != nil {
		if !again {
			err = errors.Join(err, r.Runtime.Delete(context.WithoutCancel(ctx), id))
		}
		return fmt.Errorf("CannotStartContainerError: %w", err)
	}
	return nil
}

// started takes the result of a start.
func (r *runner) started(ctx context.Context, name string, o *observed, err error, again bool, now time.Time) {
	o.busy = false
	if err != nil {
		if ctx.Err() != nil {
			return // the daemon ends: nothing is known
		}
		o.reason = clip(err.Error())
		if !again {
			o.phase = phaseFailed
		} else {
			o.lastRestart = now // it stays stopped; the policy may try again later
		}
		return
	}
	if o.firstStart.IsZero() {
		o.firstStart = now
	}
	if again {
		o.restarts, o.lastRestart = o.restarts+1, now
	}
	o.phase, o.startedAt, o.exit, o.reason, o.health, o.signalledAt, o.killed = phaseRunning, now, container.Exit{}, "", health{}, time.Time{}, false
	r.await(ctx, name, o)
}

// await watches for the end of a container's process.
func (r *runner) await(ctx context.Context, name string, o *observed) {
	id := runtimeID(r.id, name)
	r.beside(ctx, func() func() {
		exit := r.waitExit(ctx, id)
		return func() {
			o.phase, o.exit = phaseStopped, exit
			if exit.OOM {
				o.reason = reasonOOM
			}
		}
	})
}

// waitExit waits through restarts of the container runtime.
func (r *runner) waitExit(ctx context.Context, id string) container.Exit {
	for {
		exit, err := r.Runtime.Wait(ctx, id)
		if err == nil {
			return exit
		}
		if ctx.Err() != nil {
			return container.Exit{}
		}
		status, statusErr := r.Runtime.Status(ctx, id)
		switch {
		case isGone(statusErr) || (statusErr == nil && status.State == container.Lost):
			return lostExit(r.Clock.Now())
		case statusErr == nil && status.State == container.Stopped:
			return status.Exit
		}
		if !r.pause(ctx) {
			return container.Exit{}
		}
	}
}

// check runs a health check once; ok is false if it could not be run for a reason that is not the container's.
func (r *runner) check(ctx context.Context, id string, h *model.ContainerHealth) (result checkResult, ok bool) {
	command := checkCommand(h.Command)
	if command == nil {
		return checkResult{at: r.Clock.Now()}, false
	}
	timeout := view{scale: r.Clock.Scale}.patience(time.Duration(h.Timeout) * time.Second)
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	out := &tail{}
	code, err := r.Runtime.Exec(limited, id, container.Exec{Args: command, Stdout: out, Stderr: out})
	result = checkResult{ok: err == nil && code == 0, exitCode: code, output: out.String(), at: r.Clock.Now()}
	switch {
	case ctx.Err() != nil:
		return result, false
	case errors.Is(err, context.DeadlineExceeded):
		result.exitCode, result.output = checkFailed, fmt.Sprintf("Health check exceeded timeout (%ds)", h.Timeout)
	case fault.KindOf(err) == fault.Invalid && err != nil:
		result.exitCode, result.output = checkFailed, clip(err.Error())
	case err != nil:
		return result, false
	}
	return result, true
}

// tail keeps the beginning of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if room := maxCheckOutput - t.buf.Len(); room > 0 {
		t.buf.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.ToValidUTF8(t.buf.String(), "?")
}

// stopSignal reads an image's STOPSIGNAL: a name with or without SIG, or a number.
func stopSignal(text string) syscall.Signal {
	if n, err := strconv.Atoi(text); err == nil && n > 0 && n < 65 {
		return syscall.Signal(n)
	}
	name := strings.ToUpper(text)
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	if s := unix.SignalNum(name); s != 0 {
		return s
	}
	return syscall.SIGTERM
}

func clip(text string) string {
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "")
	}
	return text
}
