package containerd

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
	"time"

	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/cio"
	"github.com/containerd/containerd/protobuf"
	"github.com/containerd/typeurl/v2"
	"github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/neargate/neargate/internal/container"
	"github.com/neargate/neargate/internal/fault"
)

// outputGrace is how long output is awaited after the process has ended: a child that it left behind may hold the
// pipes open for ever.
const outputGrace = time.Second

// Exec runs one more process in the container.
func (r *Runtime) Exec(ctx context.Context, id string, e container.Exec) (int, error) {
	if len(e.Args) == 0 {
		return 0, fault.NewInvalid("command", "no command specified")
	}
	ctx = r.context(ctx)
	process, err := r.execProcess(ctx, id, e)
	if err != nil {
		return 0, err
	}
	execID := "exec-" + rand.Text()
	stdin, stdinDone := watchEOF(e.Stdin)
	options := []cio.Opt{cio.WithStreams(stdin, orDiscard(e.Stdout), orDiscard(e.Stderr)), cio.WithFIFODir(r.opts.TempDir)}
	if e.TTY {
		options = append(options, cio.WithTerminal)
	}
	streams, err := cio.NewCreator(options...)(execID)
	if err != nil {
		return 0, fmt.Errorf("make pipes: %w", err)
	}
	defer streams.Close()
	defer streams.Cancel() // without a process behind them the pipes would never end
	// What has begun is ended properly also when ctx ends.
	clean := context.WithoutCancel(ctx)
	tasks := r.client.TaskService()
	config := streams.Config()
	if _, err := tasks.Exec(ctx, &tasksapi.ExecProcessRequest{
		ContainerID: id, ExecID: execID, Terminal: e.TTY, Spec: process,
		Stdin: config.Stdin, Stdout: config.Stdout, Stderr: config.Stderr,
	}); err != nil {
		return 0, fmt.Errorf("make process: %w", translate(err, id))
	}
	defer func() {
		_, _ = tasks.DeleteProcess(clean, &tasksapi.DeleteProcessRequest{ContainerID: id, ExecID: execID})
	}()
	if _, err := tasks.Start(ctx, &tasksapi.StartRequest{ContainerID: id, ExecID: execID}); err != nil {
		if err, ok := errors.AsType[*runtimeError](runcError(err)); ok {
			return 0, &fault.Fault{Kind: fault.Invalid, ID: "command", Message: err.text}
		}
		return 0, fmt.Errorf("start process: %w", plain(err))
	}
	done := make(chan struct{})
	defer close(done)
	go r.serveExec(clean, id, execID, e.Resize, stdinDone, done)

	resp, err := tasks.Wait(ctx, &tasksapi.WaitRequest{ContainerID: id, ExecID: execID})
	if ctx.Err() != nil {
		kill := &tasksapi.KillRequest{ContainerID: id, ExecID: execID, Signal: uint32(syscall.SIGKILL)}
		if _, err := tasks.Kill(clean, kill); err == nil {
			_, _ = tasks.Wait(clean, &tasksapi.WaitRequest{ContainerID: id, ExecID: execID})
		}
		return 0, ctx.Err()
	}
	if err != nil {
		return 0, fmt.Errorf("wait for process: %w", plain(err))
	}
	finish(streams)
	return int(resp.ExitStatus), nil
}

// execProcess returns the encoded process: the container's own with another command.
func (r *Runtime) execProcess(ctx context.Context, id string, e container.Exec) (*anypb.Any, error) {
	record, err := r.client.ContainerService().Get(ctx, id)
	if err != nil {
		return nil, translate(err, id)
	}
	var spec specs.Spec
	if err := json.Unmarshal(record.Spec.GetValue(), &spec); err != nil {
		return nil, fmt.Errorf("decode specification of %s: %w", id, err)
	}
	spec.Process.Args = e.Args
	spec.Process.Terminal = e.TTY
	spec.Process.Env = environment(spec.Process.Env, e.Env, spec.Hostname)
	any, err := typeurl.MarshalAny(spec.Process)
	if err != nil {
		return nil, fmt.Errorf("encode process: %w", err)
	}
	return protobuf.FromAny(any), nil
}

// serveExec passes window sizes and the end of the input on until the process has ended.
func (r *Runtime) serveExec(ctx context.Context, id, execID string, resize <-chan container.WindowSize, stdin, done <-chan struct{}) {
	tasks := r.client.TaskService()
	for {
		select {
		case <-done:
			return
		case <-stdin:
			stdin = nil
			// The shim holds the pipe open too, so closing our end is not enough.
			_, _ = tasks.CloseIO(ctx, &tasksapi.CloseIORequest{ContainerID: id, ExecID: execID, Stdin: true})
		case size, ok := <-resize:
			if !ok {
				resize = nil
				continue
			}
			_, _ = tasks.ResizePty(ctx, &tasksapi.ResizePtyRequest{ContainerID: id, ExecID: execID,
				Width: uint32(size.Columns), Height: uint32(size.Rows)})
		}
	}
}

// finish waits for the rest of the output, for a bounded time.
func finish(streams cio.IO) {
	t := time.AfterFunc(outputGrace, streams.Cancel)
	defer t.Stop()
	streams.Wait()
}

func orDiscard(w io.Writer) io.Writer {
	if w == nil {
		return io.Discard
	}
	return w
}

// watchEOF returns a reader and a channel that is closed when the reader has come to its end. A nil reader stays nil.
func watchEOF(r io.Reader) (io.Reader, <-chan struct{}) {
	if r == nil {
		return nil, nil
	}
	w := &eofReader{r: r, done: make(chan struct{})}
	return w, w.done
}

type eofReader struct {
	r    io.Reader
	once sync.Once
	done chan struct{}
}

func (e *eofReader) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	if err != nil {
		e.once.Do(func() { close(e.done) })
	}
	return n, err
}
