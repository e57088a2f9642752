// Package containerd runs containers with containerd and runc: the real implementation of container.Runtime.
//
// It uses an instance of containerd of its own (own root, state, socket and configuration, see [Server]) that outlives
// the daemon, and never one that the host may have for other purposes. It talks to containerd's services directly
// instead of through its high-level client where a container's start needs it: that saves two durable writes (a lease
// made and given back) and several questions per container. All containers of a group share one shim.
//
// It is not a sandbox manager: network namespaces and control group limits of a task are made by others before.
// Start at [Server.Ensure], [New] and [Compile].
package containerd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	tasktypes "github.com/containerd/containerd/api/types/task"

	client "github.com/containerd/containerd"
	"github.com/containerd/containerd/containers"
	"github.com/containerd/containerd/errdefs"
	"github.com/containerd/containerd/namespaces"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/status"

	"github.com/neargate/neargate/internal/container"
	"github.com/neargate/neargate/internal/fault"
	"github.com/neargate/neargate/internal/linux/cgroup"
)

const (
	namespace   = "neargate" // containerd's namespaces keep instances of clients apart; ours has one
	snapshotter = "overlayfs"
	runtimeName = "io.containerd.runc.v2"

	labelGroup  = "neargate/group"
	labelCgroup = "neargate/cgroup"
	labelLog    = "neargate/log"
	labelUser   = "neargate/label." // prefix of the caller's labels
)

// Options of the runtime.
type Options struct {
	Socket  string   // of containerd
	RuncDir string   // where runc keeps its state
	TempDir string   // for the pipes of Exec and the mounts of image views
	Stdin   string   // folder of the pipes that are standard inputs
	Init    []string // command put before a container's own when Spec.Init is set; its first word is a static program on the host
	Cgroups *cgroup.Tree
	Logger  *slog.Logger
}

// Runtime is container.Runtime on containerd.
type Runtime struct {
	client *client.Client
	opts   Options
	log    *slog.Logger

	nofile uint64 // default limit of open files
	images imageCache
	mu     sync.Mutex
	groups map[string]string // container ID to its control group, for those created here
}

var _ container.Runtime = (*Runtime)(nil)

// New connects to containerd. Close the runtime when done; containers go on.
func New(o Options) (*Runtime, error) {
	c, err := client.New(o.Socket, client.WithDefaultNamespace(namespace))
	if err != nil {
		return nil, fmt.Errorf("connect to containerd: %w", err)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Runtime{client: c, opts: o, log: o.Logger, nofile: nofileLimit(), groups: map[string]string{}}, nil
}

// nofileLimit returns Fargate's default limit of open files, or what this host allows if that is less: a limit can be
// raised only by whoever has the capability for it, and ours are containerd's too.
func nofileLimit() uint64 {
	var own unix.Rlimit
	var header = unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	if unix.Capget(&header, &caps[0]) == nil && caps[0].Effective&(1<<unix.CAP_SYS_RESOURCE) != 0 {
		return defaultNofile
	}
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &own); err != nil {
		return defaultNofile
	}
	return min(defaultNofile, own.Max)
}

// Close disconnects.
func (r *Runtime) Close() error { return r.client.Close() }

func (r *Runtime) context(ctx context.Context) context.Context {
	return namespaces.WithNamespace(ctx, namespace)
}

// Status tells what the container is doing.
func (r *Runtime) Status(ctx context.Context, id string) (container.Status, error) {
	ctx = r.context(ctx)
	record, err := r.client.ContainerService().Get(ctx, id)
	if err != nil {
		return container.Status{}, translate(err, id)
	}
	resp, err := r.client.TaskService().Get(ctx, &tasksapi.GetRequest{ContainerID: id})
	if err != nil {
		err = plain(err)
		if !errdefs.IsNotFound(err) {
			return container.Status{}, fmt.Errorf("get process of %s: %w", id, err)
		}
		return statusOf(record, nil), nil
	}
	return r.withOOM(statusOf(record, resp.Process), record.Labels[labelCgroup]), nil
}

// List returns all containers.
func (r *Runtime) List(ctx context.Context) ([]container.Status, error) {
	ctx = r.context(ctx)
	records, err := r.client.ContainerService().List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	resp, err := r.client.TaskService().List(ctx, &tasksapi.ListTasksRequest{})
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", plain(err))
	}
	processes := make(map[string]*tasktypes.Process, len(resp.Tasks))
	for _, p := range resp.Tasks {
		processes[p.ID] = p
	}
	out := make([]container.Status, 0, len(records))
	for _, record := range records {
		out = append(out, r.withOOM(statusOf(record, processes[record.ID]), record.Labels[labelCgroup]))
	}
	return out, nil
}

func statusOf(record containers.Container, p *tasktypes.Process) container.Status {
	s := container.Status{ID: record.ID, Group: record.Labels[labelGroup], State: container.Lost, Labels: map[string]string{}}
	for key, value := range record.Labels {
		if len(key) > len(labelUser) && key[:len(labelUser)] == labelUser {
			s.Labels[key[len(labelUser):]] = value
		}
	}
	if p == nil {
		return s
	}
	switch p.Status {
	case tasktypes.Status_CREATED:
		s.State = container.Created
	case tasktypes.Status_RUNNING, tasktypes.Status_PAUSED, tasktypes.Status_PAUSING:
		s.State, s.PID = container.Running, int(p.Pid)
	case tasktypes.Status_STOPPED:
		s.State = container.Stopped
		s.Exit = container.Exit{Code: int(p.ExitStatus), At: p.ExitedAt.AsTime()}
	}
	return s
}

// withOOM adds whether the kernel killed a process of the stopped container. The control group is there until the
// container is deleted, so no event can be missed.
func (r *Runtime) withOOM(s container.Status, group string) container.Status {
	if s.State == container.Stopped {
		s.Exit.OOM = r.hadOOM(group)
	}
	return s
}

func (r *Runtime) hadOOM(group string) bool {
	if group == "" || r.opts.Cgroups == nil {
		return false
	}
	n, err := r.opts.Cgroups.OOMKills(group)
	return err == nil && n > 0
}

// cgroupOf returns the control group of a container, asking containerd for one that was created by an earlier process.
func (r *Runtime) cgroupOf(ctx context.Context, id string) string {
	r.mu.Lock()
	group, ok := r.groups[id]
	r.mu.Unlock()
	if ok {
		return group
	}
	record, err := r.client.ContainerService().Get(ctx, id)
	if err != nil {
		return ""
	}
	return record.Labels[labelCgroup]
}

func (r *Runtime) remember(id, group string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if group == "" {
		delete(r.groups, id)
		return
	}
	r.groups[id] = group
}

// plain turns an error of a call into containerd's own; some of its clients have done so already.
func plain(err error) error {
	if _, ok := status.FromError(err); ok {
		return errdefs.FromGRPC(err)
	}
	return err
}

// translate turns containerd's error into ours.
func translate(err error, id string) error {
	err = plain(err)
	if errdefs.IsNotFound(err) {
		return errors.Join(fault.NewNotFound("container", id), err)
	}
	return err
}
