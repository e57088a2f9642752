package etcd_test

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/neargate/neargate/internal/fault"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
	"github.com/neargate/neargate/internal/store/etcd"
	"github.com/neargate/neargate/internal/store/storetest"
)

var quiet = slog.New(slog.DiscardHandler)

func embedded(t testing.TB, cfg etcd.EmbeddedConfig) *etcd.Backend {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = filepath.Join(t.TempDir(), "etcd")
	}
	cfg.Log = quiet
	b, err := etcd.Embedded(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func harness(b *etcd.Backend) storetest.Harness {
	return storetest.Harness{Backend: b, Compact: func(ctx context.Context) error { return b.Compact(ctx, 0) }}
}

func TestConformanceEmbedded(t *testing.T) {
	storetest.TestBackend(t, func(t testing.TB) storetest.Harness { return harness(embedded(t, etcd.EmbeddedConfig{})) })
}

// connect returns a back end that speaks with an embedded etcd over its socket, as with a cluster.
func connect(t testing.TB) *etcd.Backend {
	t.Helper()
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	embedded(t, etcd.EmbeddedConfig{Dir: filepath.Join(dir, "etcd"), Socket: socket})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	b, err := etcd.Connect(ctx, etcd.ClusterConfig{Endpoints: []string{"unix://" + socket}, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func TestConformanceConnected(t *testing.T) {
	storetest.TestBackend(t, func(t testing.TB) storetest.Harness { return harness(connect(t)) })
}

func TestLostLeadershipFencesWrites(t *testing.T) {
	b := connect(t)
	db, tables := storetest.On(t, b)
	err := b.Lead(t.Context(), "control", func(ctx context.Context) {
		write := func() error {
			return db.Update(ctx, func(tx *store.Txn) error {
				tables.Clusters.Put(tx, &model.Cluster{Name: model.NewUUID()})
				return nil
			})
		}
		if err := write(); err != nil {
			t.Errorf("write of the leader: %v", err)
		}
		if err := b.Depose(t.Context(), "control"); err != nil {
			t.Fatal(err)
		}
		if err := write(); fault.KindOf(err) != fault.Conflict && ctx.Err() == nil {
			t.Errorf("write of a deposed leader: %v", err)
		}
	})
	if err != nil {
		t.Error(err)
	}
	if n := tables.Clusters.Len(db.View()); n != 1 {
		t.Errorf("%d records, want 1", n)
	}
}

func TestLongSocketPathIsRefusedWithItsName(t *testing.T) {
	socket := filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	_, err := etcd.Embedded(t.Context(), etcd.EmbeddedConfig{Dir: t.TempDir(), Socket: socket, Log: quiet})
	if err == nil || !strings.Contains(err.Error(), socket) {
		t.Errorf("got %v", err)
	}
}

func TestClusterThatDoesNotAnswer(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := etcd.Connect(ctx, etcd.ClusterConfig{Endpoints: []string{"unix://" + filepath.Join(t.TempDir(), "none")}, Log: quiet})
	if err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("got %v", err)
	}
}

func TestSizeIsKnown(t *testing.T) {
	file, used, err := embedded(t, etcd.EmbeddedConfig{}).Size(t.Context())
	if err != nil || file <= 0 || used <= 0 || used > file {
		t.Errorf("file %d, used %d, %v", file, used, err)
	}
}

func TestCleanStartAndStopLogNothing(t *testing.T) {
	var out bytes.Buffer
	dir := t.TempDir()
	b, err := etcd.Embedded(t.Context(), etcd.EmbeddedConfig{
		Dir: filepath.Join(dir, "etcd"), Socket: filepath.Join(dir, "s"), Log: slog.New(slog.NewTextHandler(&out, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
	if out.Len() > 0 {
		t.Errorf("log:\n%s", out.String())
	}
}
