// Package fake is a container.Runtime in memory, for tests of what uses a runtime.
//
// Containers run a Go function, so a test scripts what they do; nothing reaches the kernel. It passes the conformance
// suite of container/runtimetest as far as that needs no kernel. Start at [New].
package fake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/neargate/neargate/internal/container"
	"github.com/neargate/neargate/internal/fault"
)

// Process is one running function.
type Process struct {
	ID      string // of its container
	Args    []string
	Env     []string
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	Signals <-chan os.Signal
	// Killed is done when the process gets SIGKILL; the function's result no longer counts then.
	Killed context.Context
}

// Program decides what a process does, by its arguments; its result is the exit code.
type Program func(p Process) int

// Runtime is the fake.
type Runtime struct {
	Program Program
	// Fail, when set, is asked before each call, with the method's name and the container's ID; its error is returned.
	Fail func(method, id string) error
	// Image, when set, makes the image of an import; the zero image otherwise.
	Describe func(m container.Manifest) container.Image

	mu         sync.Mutex
	images     map[string]container.Image
	containers map[string]*instance
	calls      []string
}

type instance struct {
	spec    container.Spec
	state   container.State
	exit    container.Exit
	signals chan os.Signal
	kill    context.CancelFunc
	exited  chan struct{}
	starts  int
}

var _ container.Runtime = (*Runtime)(nil)

// New returns an empty runtime whose processes do what program says.
func New(program Program) *Runtime {
	return &Runtime{Program: program, images: map[string]container.Image{}, containers: map[string]*instance{}}
}

// Calls returns the calls that changed something, "Method id", in order.
func (r *Runtime) Calls() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls)
}

// Spec returns what a container was created from.
func (r *Runtime) Spec(id string) (container.Spec, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, ok := r.containers[id]
	if !ok {
		return container.Spec{}, false
	}
	return c.spec, true
}

// Lose forgets the process of a container and how it ended, as a reboot does.
func (r *Runtime) Lose(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.containers[id]; c != nil {
		c.state = container.Lost
		if c.kill != nil {
			c.kill()
		}
	}
}

func (r *Runtime) begin(method, id string) error {
	if r.Fail != nil {
		if err := r.Fail(method, id); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, method+" "+id)
	return nil
}

func (r *Runtime) get(id string) (*instance, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.containers[id]
	if c == nil {
		return nil, fault.NewNotFound("container", id)
	}
	return c, nil
}

// Import reads the image's configuration with fetch, once per digest.
func (r *Runtime) Import(ctx context.Context, m container.Manifest, fetch container.Fetch) (container.Image, error) {
	if i, err := r.Image(ctx, m.Digest); err == nil {
		return i, nil
	}
	if err := r.begin("Import", m.Digest); err != nil {
		return container.Image{}, err
	}
	config, layers, err := contents(m)
	if err != nil {
		return container.Image{}, err
	}
	image := container.Image{}
	for i, d := range append([]container.Descriptor{config}, layers...) {
		data, err := read(ctx, d, fetch)
		if err != nil {
			return container.Image{}, err
		}
		if i == 0 {
			if image, err = describe(data); err != nil {
				return container.Image{}, err
			}
		}
		image.Size += d.Size
	}
	if r.Describe != nil {
		image = r.Describe(m)
	}
	image.Digest, image.ConfigDigest = m.Digest, config.Digest
	r.mu.Lock()
	defer r.mu.Unlock()
	r.images[m.Digest] = image
	return image, nil
}

// AddImage puts an image there without an import.
func (r *Runtime) AddImage(i container.Image) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.images[i.Digest] = i
}

// Image returns an imported image.
func (r *Runtime) Image(_ context.Context, digest string) (container.Image, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i, ok := r.images[digest]
	if !ok {
		return container.Image{}, fault.NewNotFound("image", digest)
	}
	return i, nil
}

// Images returns all imported images.
func (r *Runtime) Images(context.Context) ([]container.Image, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]container.Image, 0, len(r.images))
	for _, i := range r.images {
		out = append(out, i)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Digest < out[j].Digest })
	return out, nil
}

// DeleteImage forgets the image.
func (r *Runtime) DeleteImage(_ context.Context, digest string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.images, digest)
	return nil
}

// Create makes the container.
func (r *Runtime) Create(ctx context.Context, s container.Spec) error {
	if err := r.begin("Create", s.ID); err != nil {
		return err
	}
	if _, err := r.Image(ctx, s.Image); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.containers[s.ID] != nil {
		return fault.NewExists("container", s.ID)
	}
	r.containers[s.ID] = &instance{spec: s, state: container.Created, exited: make(chan struct{})}
	return nil
}

// Start runs the container's function.
func (r *Runtime) Start(_ context.Context, id string) error {
	if err := r.begin("Start", id); err != nil {
		return err
	}
	c, err := r.get(id)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.state == container.Running {
		return fault.New(fault.State, "container", id, "container %s runs already", id)
	}
	image := r.images[c.spec.Image]
	args := append(slices.Clone(c.spec.Entrypoint), c.spec.Command...)
	if len(c.spec.Entrypoint) == 0 {
		args = append(slices.Clone(image.Entrypoint), c.spec.Command...)
		if len(c.spec.Command) == 0 {
			args = append(slices.Clone(image.Entrypoint), image.Command...)
		}
	}
	var out io.Writer = io.Discard
	var closer io.Closer
	if c.spec.LogPath != "" {
		if err := os.MkdirAll(filepath.Dir(c.spec.LogPath), 0o755); err != nil {
			return err
		}
		f, err := os.OpenFile(c.spec.LogPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		out, closer = f, f
	}
	killed, kill := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 16)
	if c.state != container.Created {
		c.exited = make(chan struct{})
	}
	c.state, c.signals, c.kill, c.exit = container.Running, signals, kill, container.Exit{}
	c.starts++
	exited := c.exited
	p := Process{ID: id, Args: args, Env: merge(image.Env, c.spec.Env), Stdin: eof{}, Stdout: out, Stderr: out,
		Signals: signals, Killed: killed}
	go func() {
		code := runUntilKilled(killed, r.Program, p)
		r.mu.Lock()
		if c.state == container.Running {
			c.state = container.Stopped
		}
		c.exit = container.Exit{Code: code, At: time.Now().UTC()}
		r.mu.Unlock()
		kill()
		if closer != nil {
			_ = closer.Close()
		}
		close(exited)
	}()
	return nil
}

// runUntilKilled returns the function's result, or 137 as soon as it is killed.
func runUntilKilled(killed context.Context, program Program, p Process) int {
	result := make(chan int, 1)
	go func() { result <- program(p) }()
	select {
	case code := <-result:
		return code
	case <-killed.Done():
		return 128 + int(syscall.SIGKILL)
	}
}

// Signal sends a signal to the function.
func (r *Runtime) Signal(_ context.Context, id string, signal syscall.Signal) error {
	if err := r.begin(fmt.Sprintf("Signal(%d)", signal), id); err != nil {
		return err
	}
	c, err := r.get(id)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case c.state != container.Running:
	case signal == syscall.SIGKILL:
		c.kill()
	default:
		select {
		case c.signals <- signal:
		default:
		}
	}
	return nil
}

// Wait returns when the function has ended.
func (r *Runtime) Wait(ctx context.Context, id string) (container.Exit, error) {
	c, err := r.get(id)
	if err != nil {
		return container.Exit{}, err
	}
	r.mu.Lock()
	exited := c.exited
	r.mu.Unlock()
	select {
	case <-exited:
		r.mu.Lock()
		defer r.mu.Unlock()
		return c.exit, nil
	case <-ctx.Done():
		return container.Exit{}, ctx.Err()
	}
}

// Exec runs the program with other arguments.
func (r *Runtime) Exec(ctx context.Context, id string, e container.Exec) (int, error) {
	if err := r.begin("Exec", id); err != nil {
		return 0, err
	}
	c, err := r.get(id)
	if err != nil {
		return 0, err
	}
	r.mu.Lock()
	running, spec := c.state == container.Running, c.spec
	r.mu.Unlock()
	if !running {
		return 0, fault.New(fault.State, "container", id, "container %s does not run", id)
	}
	p := Process{ID: id, Args: e.Args, Env: merge(spec.Env, e.Env), Stdin: e.Stdin, Stdout: e.Stdout, Stderr: e.Stderr,
		Signals: make(chan os.Signal), Killed: ctx}
	if p.Stdin == nil {
		p.Stdin = eof{}
	}
	if p.Stdout == nil {
		p.Stdout = io.Discard
	}
	if p.Stderr == nil {
		p.Stderr = io.Discard
	}
	code := runUntilKilled(ctx, r.Program, p)
	return code, ctx.Err()
}

// Status tells what the container is doing.
func (r *Runtime) Status(_ context.Context, id string) (container.Status, error) {
	c, err := r.get(id)
	if err != nil {
		return container.Status{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return c.status(), nil
}

func (c *instance) status() container.Status {
	s := container.Status{ID: c.spec.ID, Group: c.spec.Group, Labels: c.spec.Labels, State: c.state}
	switch c.state {
	case container.Running:
		s.PID = 1
	case container.Stopped:
		s.Exit = c.exit
	}
	return s
}

// List returns all containers.
func (r *Runtime) List(context.Context) ([]container.Status, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]container.Status, 0, len(r.containers))
	for _, c := range r.containers {
		out = append(out, c.status())
	}
	sort.Slice(out, func(i, j int) bool { return out[i].ID < out[j].ID })
	return out, nil
}

// Delete removes the container.
func (r *Runtime) Delete(_ context.Context, id string) error {
	if err := r.begin("Delete", id); err != nil {
		return err
	}
	c, err := r.get(id)
	if fault.IsNotFound(err) {
		return nil
	} else if err != nil {
		return err
	}
	r.mu.Lock()
	running, exited := c.state == container.Running, c.exited
	if running {
		c.kill()
	}
	delete(r.containers, id)
	r.mu.Unlock()
	if running {
		<-exited
	}
	return nil
}

// merge puts environments together; a later value of a name wins.
func merge(envs ...[]string) []string {
	var out []string
	at := map[string]int{}
	for _, pair := range slices.Concat(envs...) {
		name, _, _ := strings.Cut(pair, "=")
		if i, ok := at[name]; ok {
			out[i] = pair
			continue
		}
		at[name] = len(out)
		out = append(out, pair)
	}
	return out
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

var errShort = errors.New("content has another digest than its descriptor")
