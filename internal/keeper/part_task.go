package keeper

import (
	"context"
	"io"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
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
	meta  *metadata.Task
	ports listeners[netip.AddrPort]

	mu   sync.Mutex // of logs: a drain goes on beside changes
	logs map[string]taskLog
}

type taskLog struct {
	cfg logship.Config
	log *logship.Log
}

func (e *environment) logFolder(task string) string {
	return filepath.Join(e.dir, "logs", url.PathEscape(task))
}

func (e *environment) startTask(spec Task) (running[Task], error) {
	t := &taskRun{env: e, netns: spec.Netns, id: spec.ID, logs: map[string]taskLog{}}
	t.meta = e.metadata.NewTask(spec.Metadata, func() (map[string]metadata.NetworkStats, error) { return readInterfaces(spec.Netns) })
	if err := t.update(spec); err != nil {
		t.pause()
		return nil, err
	}
	return t, nil
}

func (t *taskRun) update(spec Task) error {
	t.meta.Set(spec.Metadata)
	var wanted []netip.AddrPort
	if spec.Address.IsValid() {
		wanted = append(wanted, spec.Address)
	}
	err := t.ports.set(wanted, func(a netip.AddrPort) (io.Closer, func() error, error) {
		l, err := t.env.table.ListenOn(spec.MetadataNetns, spec.MetadataDevice, a)
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
		state := filepath.Join(t.env.logFolder(t.id), url.PathEscape(cfg.Container)+".json")
		log, err := t.env.shipper.Open(cfg, state, dialer.DialContext)
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
	_ = os.RemoveAll(t.env.logFolder(t.id))
}

func (t *taskRun) endLogs(end func(*logship.Log)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for spool, l := range t.logs {
		end(l.log)
		delete(t.logs, spool)
	}
}
