package etcd

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.uber.org/zap"

	"github.com/neargate/neargate/internal/store"
)

// Limits of the embedded etcd. One commit stays well below what one request may hold.
const (
	maxOps          = 8192
	maxRequestBytes = 10 << 20
	maxCommitBytes  = 6 << 20
	quotaBytes      = 8 << 30

	// maxSocketPath is what fits into sockaddr_un.
	maxSocketPath = 107

	startTimeout = 60 * time.Second
)

// EmbeddedConfig says where the embedded etcd lives.
type EmbeddedConfig struct {
	Dir string // made if missing; exactly one process may use it at a time
	// Socket is a path to listen on, for etcdctl; none if empty. The store does not need it.
	Socket string
	// KeepRevisions is how much history is kept for watchers that are behind, 10,000 if not set. It is dropped when
	// twice as much has come together.
	KeepRevisions int64
	Log           *slog.Logger
}

// Embedded starts an etcd in this process and returns a back end on it.
func Embedded(ctx context.Context, cfg EmbeddedConfig) (*Backend, error) {
	log := cfg.Log
	if log == nil {
		log = slog.Default()
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make etcd's directory: %w", err)
	}
	ec := embed.NewConfig()
	ec.Name = "neargate"
	ec.Dir = cfg.Dir
	closing := new(atomic.Bool)
	ec.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.New(&slogCore{log: log, closing: closing}))

	// A single member has nobody to talk to. Its advertised name is only ever compared with itself, so it is fixed: the
	// data directory can be moved.
	self := url.URL{Scheme: "unix", Host: "neargate"}
	ec.ListenPeerUrls, ec.ListenClientUrls = nil, nil
	ec.AdvertisePeerUrls, ec.AdvertiseClientUrls = []url.URL{self}, []url.URL{self}
	ec.InitialCluster = ec.Name + "=" + self.String()
	if cfg.Socket != "" {
		path, err := filepath.Abs(cfg.Socket)
		if err != nil {
			return nil, fmt.Errorf("etcd's socket: %w", err)
		}
		if len(path) > maxSocketPath {
			return nil, fmt.Errorf("etcd's socket %s: the path has %d characters, a Unix socket's has at most %d", path, len(path), maxSocketPath)
		}
		ec.ListenClientUrls = []url.URL{{Scheme: "unix", Path: path}}
	}
	ec.EnableGRPCGateway = false
	ec.Metrics = "basic"

	ec.MaxTxnOps = maxOps
	ec.MaxRequestBytes = maxRequestBytes
	ec.QuotaBackendBytes = quotaBytes
	// Entries since the last snapshot are kept in memory, and a single member never sends any to another.
	ec.SnapshotCount = 2000
	ec.SnapshotCatchUpEntries = 100
	ec.MaxWalFiles, ec.MaxSnapFiles = 2, 2
	// The write-ahead log makes a write durable; the database file may follow at leisure, with fewer fsyncs.
	ec.BackendBatchInterval = 500 * time.Millisecond
	ec.BootstrapDefragThresholdMegabytes = 64
	// A slow disk is not worth a line per request.
	ec.WarningApplyDuration = 2 * time.Second
	ec.WarningUnaryRequestDuration = 2 * time.Second
	ec.DowngradeCheckTime = 0
	ec.CompactHashCheckTime = math.MaxInt64 // there is no other member to compare with

	e, err := embed.StartEtcd(ec)
	if err != nil {
		return nil, fmt.Errorf("start etcd in %s: %w", cfg.Dir, err)
	}
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	select {
	case <-e.Server.ReadyNotify():
	case err = <-e.Err():
	case <-ctx.Done():
		err = ctx.Err()
	case <-timeout.C:
		err = fmt.Errorf("not ready after %s", startTimeout)
	}
	if err != nil {
		e.Close()
		return nil, fmt.Errorf("start etcd in %s: %w", cfg.Dir, err)
	}
	cli := v3client.New(e.Server)
	b := newBackend(cli, log, store.Limits{Ops: maxOps, Bytes: maxCommitBytes})
	if cfg.KeepRevisions > 0 {
		b.keep = cfg.KeepRevisions
	}
	b.close = func() {
		closing.Store(true)
		_ = cli.Close()
		e.Close()
	}
	return b, nil
}
