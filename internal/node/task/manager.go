package task

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/container"
	"github.com/neargate/neargate/internal/keeper"
	"github.com/neargate/neargate/internal/linux/cgroup"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// Network wires a task's ENI; node/network does it.
type Network interface {
	// AttachENI makes the ENI so: a veth pair into its owner's namespace (model.TaskNetns). When it returns, the rules of
	// the ENI's groups are in force. Doing it twice is no error.
	AttachENI(ctx context.Context, eniID string) error
	// DetachENI removes the ENI from the kernel, and is no error if it is gone. The record is deleted afterwards.
	DetachENI(ctx context.Context, eniID string) error
}

// Keeper holds what a running task needs while the daemon is away; *keeper.Client is one.
type Keeper interface {
	PutTask(ctx context.Context, t keeper.Task) error
	DrainTask(ctx context.Context, id string, timeout time.Duration) (keeper.DrainResult, error)
	Delete(ctx context.Context, kind keeper.Kind, id string) error
	Prune(ctx context.Context, kind keeper.Kind, keep []string) error
}

// Credentials issues temporary credentials.
type Credentials interface {
	// Issue returns credentials of the role for a session named after the task. A role that does not exist, or that
	// ecs-tasks.amazonaws.com may not assume, is a fault.
	Issue(ctx context.Context, roleARN, taskID string) (model.Session, error)
}

// Namespaces makes and removes named network namespaces; the zero [HostNamespaces] is the real one.
type Namespaces interface {
	Ensure(name string) error
	Delete(name string) error
	List() ([]string, error) // of tasks only
}

// Groups makes and removes control groups; *cgroup.Tree is the real one.
type Groups interface {
	Ensure(group string, l cgroup.Limits) error
	List(group string) ([]string, error)
	Kill(group string) error
	Remove(group string) error
	Stats(group string) (cgroup.Stats, error)
}

// Dial connects from inside a namespace; [DialFrom] is the real one.
type Dial func(ctx context.Context, namespace string, resolver netip.AddrPort, network, address string) (net.Conn, error)

// Config is what a manager works with.
type Config struct {
	DB          *store.DB
	Tables      *store.Tables
	Scope       model.Scope
	Host        string // tasks placed on this host are ours
	Dir         string // <data>/tasks
	Runtime     container.Runtime
	Network     Network
	Keeper      Keeper
	Credentials Credentials
	Namespaces  Namespaces // nil: the host's
	Groups      Groups
	CgroupRoot  string // group that those of tasks are made in; empty: /ng
	Dial        Dial   // nil: DialFrom
	Clock       *clock.Clock
	Roots       *x509.CertPool // that the platform's own calls trust
	CAPEM       string         // the same for the keeper's log shipping
	CABundle    string         // host file with the CA bundle for containers; empty: none is mounted
	Log         *slog.Logger
}

// sweepAgain is when a sweep that failed is repeated.
const sweepAgain = 10 * time.Second

// Manager runs the tasks of this host.
type Manager struct {
	Config
	starts chan struct{} // how many containers are made at the same time

	mu      sync.Mutex
	runners map[string]*runner
	adopted map[string][]container.Status // containers found at the start, by task
	wg      sync.WaitGroup
}

// New returns a manager; nothing happens before Run.
func New(c Config) *Manager {
	if c.Namespaces == nil {
		c.Namespaces = HostNamespaces{}
	}
	if c.CgroupRoot == "" {
		c.CgroupRoot = "/ng"
	}
	if c.Dial == nil {
		c.Dial = DialFrom
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	// Making a container is all CPU time: more at once than there are CPUs would only make all of them late.
	return &Manager{Config: c, runners: map[string]*runner{}, starts: make(chan struct{}, max(2, runtime.NumCPU()))}
}

// Run runs the tasks of this host until ctx ends; containers go on then. It first looks what is there and goes on with
// it, and removes what belongs to no task once it has seen the full list.
func (m *Manager) Run(ctx context.Context) error {
	defer m.wg.Wait()
	if err := m.adopt(ctx); err != nil {
		return err
	}
	changes := m.Tables.Tasks.Changes(ctx)
	defer changes.Stop()
	type batch struct {
		ids  []string
		full bool
	}
	batches := make(chan batch)
	m.wg.Go(func() {
		defer close(batches)
		for {
			ids, full, err := changes.Next(ctx)
			if err != nil {
				return
			}
			select {
			case batches <- batch{ids: ids, full: full}:
			case <-ctx.Done():
				return
			}
		}
	})
	var sweepDue <-chan time.Time
	for {
		sweep := false
		select {
		case b, ok := <-batches:
			if !ok {
				return ctx.Err()
			}
			view := m.DB.View()
			for _, id := range b.ids {
				t, ok := m.Tables.Tasks.Get(view, id)
				m.look(ctx, id, t, ok)
			}
			sweep = b.full
		case <-sweepDue:
			sweep = true
		}
		if !sweep {
			continue
		}
		sweepDue = nil
		if err := m.Sweep(ctx); err != nil && ctx.Err() == nil {
			m.Log.WarnContext(ctx, "remove what belongs to no task", "error", err)
			sweepDue = time.After(sweepAgain)
		}
	}
}

// adopt lists the containers that an earlier daemon left. It tries until the runtime answers: without the list, running
// tasks would be started a second time.
func (m *Manager) adopt(ctx context.Context) error {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		list, err := m.Runtime.List(ctx)
		if err == nil {
			m.adopted = map[string][]container.Status{}
			for _, c := range list {
				m.adopted[c.Labels[labelTask]] = append(m.adopted[c.Labels[labelTask]], c)
			}
			return nil
		}
		m.Log.WarnContext(ctx, "list containers", "error", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// look starts a task's goroutine, or tells it that its record has changed.
func (m *Manager) look(ctx context.Context, id string, t *model.Task, exists bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.runners[id]; r != nil {
		r.kick()
		return
	}
	if !exists || t.Host != m.Host || t.IsStopped() {
		return
	}
	r := newRunner(m, id, m.adopted[id])
	delete(m.adopted, id)
	m.runners[id] = r
	m.wg.Go(func() {
		r.run(ctx)
		m.mu.Lock()
		delete(m.runners, id)
		m.mu.Unlock()
	})
}

// runner returns the goroutine of a task.
func (m *Manager) runner(id string) (*runner, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.runners[id]; r != nil {
		return r, nil
	}
	return nil, fmt.Errorf("task %s does not run on this host", id)
}

// Exec runs a command in a container of a running task and returns its exit code.
func (m *Manager) Exec(ctx context.Context, taskID, name string, e container.Exec) (int, error) {
	if _, err := m.runner(taskID); err != nil {
		return 0, err
	}
	return m.Runtime.Exec(ctx, runtimeID(taskID, name), e)
}

// Stats returns what a task uses, and each of its containers by name.
func (m *Manager) Stats(taskID string) (total cgroup.Stats, containers map[string]cgroup.Stats, err error) {
	t, ok := m.Tables.Tasks.Get(m.DB.View(), taskID)
	if !ok {
		return total, nil, fmt.Errorf("task %s does not exist", taskID)
	}
	if total, err = m.Groups.Stats(m.group(taskID)); err != nil {
		return total, nil, fmt.Errorf("read use of task %s: %w", taskID, err)
	}
	containers = map[string]cgroup.Stats{}
	for i := range t.Containers {
		name := t.Containers[i].Name
		if s, err := m.Groups.Stats(m.group(taskID) + "/" + runtimeID(taskID, name)); err == nil {
			containers[name] = s
		}
	}
	return total, containers, nil
}

func (m *Manager) group(taskID string) string { return m.CgroupRoot + "/" + taskID }
