package keeper

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/neargate/neargate/internal/keeper/logship"
	"github.com/neargate/neargate/internal/keeper/metadata"
	"github.com/neargate/neargate/internal/keeper/sockets"
)

// dialTimeout bounds a connection made for a task; a security group that drops it would take minutes otherwise.
const dialTimeout = 10 * time.Second

// taskRun is one task at work.
type taskRun struct {
	env   *environment
	netns string
	id    string
	place [2]string // namespace and interface of the metadata listener
	meta  *metadata.Task
	ports listeners[netip.AddrPort]

	mu   sync.Mutex // of logs: a drain goes on beside changes
	logs map[string]taskLog
}

type taskLog struct {
	cfg logship.Config
	log *logship.Log
}

// logState is the file that says how far a log has got. All are in one folder: a folder per task costs as much as the file.
func (e *environment) logState(task, container string) string {
	return filepath.Join(e.dir, "logs", url.PathEscape(task)+","+url.PathEscape(container)+".json")
}

// forgetLogs removes what is left of a task's logs.
func (e *environment) forgetLogs(task string) {
	folder := filepath.Join(e.dir, "logs")
	entries, err := os.ReadDir(folder)
	if err != nil {
		return
	}
	prefix := url.PathEscape(task) + "," // PathEscape leaves no other comma in front of this one
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), prefix) {
			_ = os.Remove(filepath.Join(folder, entry.Name()))
		}
	}
}

func (e *environment) startTask(spec Task) (running[Task], error) {
	t := &taskRun{env: e, netns: spec.Netns, id: spec.ID, place: [2]string{spec.MetadataNetns, spec.MetadataDevice}, logs: map[string]taskLog{}}
	t.meta = e.metadata.NewTask(spec.Metadata, func() (map[string]metadata.NetworkStats, error) { return readInterfaces(spec.Netns) })
	if err := t.update(spec); err != nil {
		t.pause()
		return nil, err
	}
	return t, nil
}

func (t *taskRun) update(spec Task) error {
	if t.place != [2]string{spec.MetadataNetns, spec.MetadataDevice} {
		return errors.New("metadata is served elsewhere now")
	}
	t.meta.Set(spec.Metadata)
	var wanted []netip.AddrPort
	if spec.Address.IsValid() {
		wanted = append(wanted, spec.Address)
	}
	err := t.ports.set(wanted, func(a netip.AddrPort) (io.Closer, func() error, error) {
		l, err := t.env.table.ListenOn(cmp.Or(spec.MetadataNetns, spec.Netns), spec.MetadataDevice, a)
		if err != nil {
			return nil, nil, err
		}
		return l, func() error { return t.meta.Serve(l) }, nil
	})
	if err != nil {
		return err
	}
	return t.setLogs(spec.Logs)
}

func (t *taskRun) setLogs(wanted []logship.Config) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	keep := map[string]bool{}
	for _, cfg := range wanted {
		keep[cfg.Spool] = true
		if cur, ok := t.logs[cfg.Spool]; ok {
			if reflect.DeepEqual(cur.cfg, cfg) {
				continue
			}
			if err := cur.log.Set(cfg); err != nil {
				return err
			}
			t.logs[cfg.Spool] = taskLog{cfg, cur.log}
			continue
		}
		dialer := sockets.Dialer{Netns: t.netns, Timeout: dialTimeout}
		log, err := t.env.shipper.Open(cfg, t.env.logState(t.id, cfg.Container), dialer.DialContext)
		if err != nil {
			return err
		}
		t.logs[cfg.Spool] = taskLog{cfg, log}
	}
	for spool, l := range t.logs {
		if !keep[spool] {
			l.log.Remove()
			delete(t.logs, spool)
		}
	}
	return nil
}

// drain waits for all of the task's logs together.
func (t *taskRun) drain(ctx context.Context) DrainResult {
	t.mu.Lock()
	var wg sync.WaitGroup
	var mu sync.Mutex
	left := int64(0)
	for _, l := range t.logs {
		wg.Go(func() {
			n := l.log.Drain(ctx)
			mu.Lock()
			left += n
			mu.Unlock()
		})
	}
	t.mu.Unlock()
	wg.Wait()
	return DrainResult{Drained: left == 0, Left: left}
}

func (t *taskRun) counters() []logship.Counters {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []logship.Counters
	for _, l := range t.logs {
		out = append(out, l.log.Counters())
	}
	return out
}

func (t *taskRun) pause() {
	t.ports.close()
	t.meta.Retire()
	t.env.lingers.add(t.meta)
	t.endLogs((*logship.Log).Close)
}

func (t *taskRun) remove() {
	t.ports.close()
	t.meta.Close()
	t.endLogs((*logship.Log).Remove)
}

func (t *taskRun) endLogs(end func(*logship.Log)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for spool, l := range t.logs {
		end(l.log)
		delete(t.logs, spool)
	}
}
