package task

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/neargate/neargate/internal/keeper"
	"github.com/neargate/neargate/internal/linux/netns"
	"github.com/neargate/neargate/internal/model"
)

// HostNamespaces are the named network namespaces of this host.
type HostNamespaces struct{}

// Ensure makes the namespace if it is not there.
func (HostNamespaces) Ensure(name string) error {
	ns, _, err := netns.Ensure(name)
	if err != nil {
		return err
	}
	return ns.Close()
}

// Delete removes the namespace.
func (HostNamespaces) Delete(name string) error { return netns.Delete(name) }

// List returns the namespaces of tasks.
func (HostNamespaces) List() ([]string, error) { return netns.List(model.TaskNetns("")) }

// Sweep removes containers, control groups, namespaces, files and the keeper's objects that belong to no living task of
// this host. It must run only when the store's full list has been seen, which [Manager.Run] makes sure of. What there
// is on the host is listed before the records are read: a task that is new in between is then not taken for a leftover.
func (m *Manager) Sweep(ctx context.Context) error {
	containers, err := m.Runtime.List(ctx)
	if err != nil {
		return fmt.Errorf("list containers: %w", err)
	}
	groups, err := m.Groups.List(m.CgroupRoot)
	if err != nil {
		return err
	}
	namespaces, err := m.Namespaces.List()
	if err != nil {
		return err
	}
	folders, err := os.ReadDir(m.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("list task files: %w", err)
	}
	live := m.live()
	var errs []error
	for _, c := range containers {
		if !live[c.Labels[labelTask]] {
			m.Log.InfoContext(ctx, "remove a container without a task", "container", c.ID)
			errs = append(errs, m.Runtime.Delete(ctx, c.ID))
		}
	}
	for _, name := range groups {
		if !live[name] {
			errs = append(errs, m.Groups.Kill(m.group(name)), m.Groups.Remove(m.group(name)))
		}
	}
	for _, name := range namespaces {
		if kind, id, ok := model.ParseNetns(name); ok && kind == "task" && !live[id] {
			errs = append(errs, m.Namespaces.Delete(name))
		}
	}
	for _, e := range folders {
		if !live[e.Name()] {
			errs = append(errs, os.RemoveAll(filepath.Join(m.Dir, e.Name())))
		}
	}
	if err := m.Keeper.Prune(ctx, keeper.KindTask, slices.Collect(maps.Keys(live))); err != nil {
		errs = append(errs, fmt.Errorf("remove tasks from the keeper: %w", err))
	}
	return errors.Join(errs...)
}

// live returns the tasks whose things stay: those that run here, and those that are just cleaning up after themselves.
func (m *Manager) live() map[string]bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	live := map[string]bool{}
	for t := range m.Tables.Tasks.List(m.DB.View()) {
		if t.Host == m.Host && !t.IsStopped() {
			live[t.ID] = true
		}
	}
	for id := range m.runners {
		live[id] = true
	}
	return live
}
