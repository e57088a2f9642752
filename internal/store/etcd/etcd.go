// Package etcd is the durable store back end: an etcd in this process (Embedded), or a cluster elsewhere (Connect).
//
// The embedded one is a single member without any network listener; the store talks to it by function calls. On
// request it listens on a Unix socket, for etcdctl. Both use the same keys, so a data directory can become the first
// member of a cluster. Start at [Embedded] and [Connect].
package etcd

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/neargate/neargate/internal/store"
)

const (
	root       = "/neargate/"
	dataPrefix = root + "data/" // what store reads and writes
	leadPrefix = root + "lead/" // elections

	loadPage      = 1000
	keepRevisions = 10_000
)

// Backend is a store.Backend over etcd. Close it after the DBs that use it.
type Backend struct {
	cli    *clientv3.Client
	log    *slog.Logger
	limits store.Limits
	shared bool  // other processes write, too
	keep   int64 // revisions that a compaction leaves
	close  func()

	mu        sync.Mutex
	compacted int64 // revision of the last compaction asked for
	seats     map[string]chan struct{}
	wg        sync.WaitGroup
}

// ClusterConfig names an etcd cluster that is run by somebody else.
type ClusterConfig struct {
	Endpoints []string
	TLS       *tls.Config
	Username  string
	Password  string
	// MaxOps is the cluster's --max-txn-ops, 128 if not set.
	MaxOps int
	Log    *slog.Logger
}

// Connect returns a back end on an etcd cluster. It returns an error if the cluster does not answer until ctx ends.
func Connect(ctx context.Context, cfg ClusterConfig) (*Backend, error) {
	log := cfg.Log
	if log == nil {
		log = slog.Default()
	}
	closing := new(atomic.Bool)
	cli, err := clientv3.New(clientv3.Config{
		Endpoints:            cfg.Endpoints,
		TLS:                  cfg.TLS,
		Username:             cfg.Username,
		Password:             cfg.Password,
		DialTimeout:          5 * time.Second,
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: 5 * time.Second,
		MaxCallSendMsgSize:   16 << 20,
		Logger:               zap.New(&slogCore{log: log, closing: closing}),
	})
	if err != nil {
		return nil, fmt.Errorf("connect to etcd %s: %w", strings.Join(cfg.Endpoints, ","), err)
	}
	if _, err := cli.Get(ctx, dataPrefix, clientv3.WithKeysOnly()); err != nil {
		_ = cli.Close()
		return nil, fmt.Errorf("etcd %s does not answer: %w", strings.Join(cfg.Endpoints, ","), err)
	}
	ops := cfg.MaxOps
	if ops <= 0 {
		ops = 128
	}
	b := newBackend(cli, log, store.Limits{Ops: ops, Bytes: 1 << 20})
	b.shared = true
	b.close = func() {
		closing.Store(true)
		_ = cli.Close()
	}
	return b, nil
}

func newBackend(cli *clientv3.Client, log *slog.Logger, limits store.Limits) *Backend {
	return &Backend{cli: cli, log: log, limits: limits, keep: keepRevisions, seats: map[string]chan struct{}{}}
}

// Close ends the connection, and the embedded etcd.
func (b *Backend) Close() {
	b.wg.Wait()
	b.close()
}

// Limits returns the limits of one commit.
func (b *Backend) Limits() store.Limits { return b.limits }

// Load returns all keys as they are at one revision.
func (b *Backend) Load(ctx context.Context) (int64, []store.KV, error) {
	var rev int64
	var kvs []store.KV
	from := dataPrefix
	end := clientv3.GetPrefixRangeEnd(dataPrefix)
	for {
		opts := []clientv3.OpOption{clientv3.WithRange(end), clientv3.WithLimit(loadPage)}
		if rev != 0 {
			opts = append(opts, clientv3.WithRev(rev), clientv3.WithSerializable())
		}
		resp, err := b.cli.Get(ctx, from, opts...)
		if err != nil {
			return 0, nil, fmt.Errorf("read from etcd: %w", err)
		}
		if rev == 0 {
			rev = resp.Header.Revision
		}
		for _, kv := range resp.Kvs {
			kvs = append(kvs, store.KV{Key: string(kv.Key[len(dataPrefix):]), Value: kv.Value, Mod: kv.ModRevision})
		}
		if !resp.More {
			return rev, kvs, nil
		}
		from = string(resp.Kvs[len(resp.Kvs)-1].Key) + "\x00"
	}
}

// Commit does a conditional transaction.
func (b *Backend) Commit(ctx context.Context, c store.Commit) (store.Result, error) {
	conds := make([]clientv3.Cmp, 0, len(c.Conds)+1)
	for _, cond := range c.Conds {
		conds = append(conds, clientv3.Compare(clientv3.ModRevision(dataPrefix+cond.Key), "=", cond.Mod))
	}
	ops := make([]clientv3.Op, 0, len(c.Puts)+len(c.Deletes))
	for _, kv := range c.Puts {
		ops = append(ops, clientv3.OpPut(dataPrefix+kv.Key, string(kv.Value)))
	}
	for _, key := range c.Deletes {
		ops = append(ops, clientv3.OpDelete(dataPrefix+key))
	}
	// If it fails, the guards say how far the others are.
	otherwise := []clientv3.Op{clientv3.OpGet(dataPrefix+store.GuardPrefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())}
	if c.Fence != nil {
		conds = append(conds, clientv3.Compare(clientv3.CreateRevision(c.Fence.Key), "=", c.Fence.Create))
		otherwise = append(otherwise, clientv3.OpGet(c.Fence.Key, clientv3.WithKeysOnly()))
	}
	resp, err := b.cli.Txn(ctx).If(conds...).Then(ops...).Else(otherwise...).Commit()
	if err != nil {
		return store.Result{}, fmt.Errorf("etcd transaction: %w", err)
	}
	if resp.Succeeded {
		b.compact(resp.Header.Revision)
		return store.Result{OK: true, Revision: resp.Header.Revision}, nil
	}
	var res store.Result
	for _, kv := range resp.Responses[0].GetResponseRange().Kvs {
		res.Revision = max(res.Revision, kv.ModRevision)
	}
	if c.Fence != nil {
		kvs := resp.Responses[1].GetResponseRange().Kvs
		res.FenceLost = len(kvs) == 0 || kvs[0].CreateRevision != c.Fence.Create
	}
	return res, nil
}

// compact drops old history when enough has come together.
func (b *Backend) compact(rev int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.compacted == 0 {
		b.compacted = rev // since this process has started
	}
	if rev-b.compacted < 2*b.keep {
		return
	}
	b.compacted = rev - b.keep
	b.wg.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := b.Compact(ctx, rev-b.keep); err != nil {
			b.log.Warn("compact etcd", "revision", rev-b.keep, "error", err)
		}
	})
}

// Compact drops the history before a revision; 0 means the current one. That another process was first is no error.
func (b *Backend) Compact(ctx context.Context, rev int64) error {
	if rev == 0 {
		resp, err := b.cli.Get(ctx, dataPrefix, clientv3.WithCountOnly())
		if err != nil {
			return fmt.Errorf("read revision: %w", err)
		}
		rev = resp.Header.Revision
	}
	if _, err := b.cli.Compact(ctx, rev); err != nil && rpctypes.Error(err) != rpctypes.ErrCompacted { // rpctypes compares by value
		return fmt.Errorf("compact: %w", err)
	}
	return nil
}

// Watch delivers the changes after a revision.
func (b *Backend) Watch(ctx context.Context, after int64, deliver func([]store.Event)) error {
	ctx, cancel := context.WithCancel(ctx) // ends the watch on the server when deliver stops
	defer cancel()
	if b.shared {
		ctx = clientv3.WithRequireLeader(ctx)
	}
	for resp := range b.cli.Watch(ctx, dataPrefix, clientv3.WithPrefix(), clientv3.WithRev(after+1)) {
		if resp.CompactRevision != 0 {
			return store.ErrCompacted
		}
		if err := resp.Err(); err != nil {
			return fmt.Errorf("watch etcd: %w", err)
		}
		events := make([]store.Event, 0, len(resp.Events))
		for _, ev := range resp.Events {
			events = append(events, store.Event{
				KV:      store.KV{Key: string(ev.Kv.Key[len(dataPrefix):]), Value: ev.Kv.Value, Mod: ev.Kv.ModRevision},
				Deleted: ev.Type == clientv3.EventTypeDelete,
			})
		}
		if len(events) > 0 {
			deliver(events)
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return fmt.Errorf("watch etcd: ended")
}

// Size returns the size of the database file and how much of it is in use.
func (b *Backend) Size(ctx context.Context) (file, used int64, err error) {
	resp, err := b.cli.Status(ctx, b.endpoint())
	if err != nil {
		return 0, 0, fmt.Errorf("etcd status: %w", err)
	}
	return resp.DbSize, resp.DbSizeInUse, nil
}

func (b *Backend) endpoint() string {
	if eps := b.cli.Endpoints(); len(eps) > 0 {
		return eps[0]
	}
	return ""
}
