package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/container/containerd"
	"github.com/neargate/neargate/internal/iam"
	"github.com/neargate/neargate/internal/keeper"
	"github.com/neargate/neargate/internal/linux/cgroup"
	"github.com/neargate/neargate/internal/logstore"
	"github.com/neargate/neargate/internal/pki"
	"github.com/neargate/neargate/internal/store"
	"github.com/neargate/neargate/internal/store/etcd"
)

// hostName is what this machine is called in records. One host has no need of a better name.
const hostName = "local"

// daemon is everything that `neargate serve` holds, in the order it is opened.
type daemon struct {
	serveOptions
	log   *slog.Logger
	clock *clock.Clock

	lock     *os.File
	listener net.Listener
	ca       *pki.CA
	bundle   string // file with the CA for containers
	backend  *etcd.Backend
	db       *store.DB
	tables   *store.Tables
	events   *logstore.Store
	keys     *iam.Keyring
	groups   *cgroup.Tree
	server   *containerd.Server
	runtime  *containerd.Runtime
	keeper   *keeper.Client

	closers []func()
}

// newDaemon opens everything, or gives back what it had opened. The loopback port is taken first: a second daemon, or
// somebody else's server, is noticed before anything is touched.
func newDaemon(ctx context.Context, o serveOptions, log *slog.Logger) (_ *daemon, err error) {
	d := &daemon{serveOptions: o, log: log, clock: clock.New(o.speed)}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	if d.listener, err = net.Listen("tcp", o.listen); err != nil {
		return nil, fmt.Errorf("--listen %s: %w (does something else listen there? try --listen 127.0.0.1:4567)", o.listen, err)
	}
	d.onClose(func() { _ = d.listener.Close() })
	if d.lock, err = lockHost(o.data); err != nil {
		return nil, err
	}
	d.onClose(func() { _ = d.lock.Close() })
	if err = makeFolders(o.data); err != nil {
		return nil, err
	}
	for _, open := range []func(context.Context) error{d.openPKI, d.openStore, d.openLogs, d.openContainers, d.openKeeper} {
		if err = open(ctx); err != nil {
			return nil, err
		}
	}
	d.keys = &iam.Keyring{DB: d.db, Tables: d.tables, Clock: d.clock, Scope: o.scope(), Admin: iam.Admin{AccessKeyID: o.accessKey, Secret: o.secretKey}}
	return d, nil
}

func (d *daemon) onClose(f func()) { d.closers = append(d.closers, f) }

// close gives back what was opened, newest first. What runs on the host goes on.
func (d *daemon) close() {
	for i := len(d.closers) - 1; i >= 0; i-- {
		d.closers[i]()
	}
	d.closers = nil
}

func (d *daemon) path(names ...string) string {
	return filepath.Join(append([]string{d.data}, names...)...)
}

func (d *daemon) openPKI(context.Context) error {
	var err error
	if d.ca, err = pki.Open(d.path("pki")); err != nil {
		return fmt.Errorf("open the certificate authority: %w", err)
	}
	d.bundle = d.path("pki", "container-bundle.pem")
	if err := os.WriteFile(d.bundle, d.ca.ContainerBundlePEM(), 0o644); err != nil {
		return fmt.Errorf("write the CA bundle for containers: %w", err)
	}
	return nil
}

func (d *daemon) openStore(ctx context.Context) error {
	var err error
	if len(d.etcd) > 0 {
		d.backend, err = etcd.Connect(ctx, etcd.ClusterConfig{Endpoints: d.etcd, Log: d.log})
	} else {
		d.backend, err = etcd.Embedded(ctx, etcd.EmbeddedConfig{Dir: d.path("etcd"), Socket: d.path("run", "etcd.sock"), Log: d.log})
	}
	if err != nil {
		return fmt.Errorf("open the store: %w", err)
	}
	d.onClose(d.backend.Close)
	if d.db, d.tables, err = store.OpenTables(ctx, d.backend, store.Options{Log: d.log}); err != nil {
		return fmt.Errorf("load the store: %w", err)
	}
	d.onClose(func() { d.db.Close() })
	return nil
}

func (d *daemon) openLogs(context.Context) error {
	var err error
	if d.events, err = logstore.Open(d.path("logs"), logstore.Options{Log: d.log}); err != nil {
		return fmt.Errorf("open the log store: %w", err)
	}
	d.onClose(func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		_ = d.events.Close(ctx)
	})
	return nil
}

func (d *daemon) openContainers(ctx context.Context) error {
	var err error
	if d.groups, err = cgroup.Detect(); err != nil {
		return fmt.Errorf("find the control groups: %w", err)
	}
	if d.server, err = containerd.NewServer(containerd.ServerOptions{Dir: d.path("containerd"), Logger: d.log}); err != nil {
		return err
	}
	if _, err = d.server.Ensure(ctx); err != nil {
		return fmt.Errorf("start containerd: %w", err)
	}
	own, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the own program: %w", err)
	}
	o := d.server.Options()
	o.Cgroups, o.Logger, o.Init = d.groups, d.log, []string{own, "init", "--"}
	if d.runtime, err = containerd.New(o); err != nil {
		return err
	}
	d.onClose(func() { _ = d.runtime.Close() })
	return nil
}

func (d *daemon) keeperOptions() (keeper.EnsureOptions, error) {
	own, err := os.Executable()
	if err != nil {
		return keeper.EnsureOptions{}, fmt.Errorf("find the own program: %w", err)
	}
	return keeper.EnsureOptions{
		Socket: keeperSocket(d.data), Version: version(), Speed: d.speed, LogFile: d.path("keeper", "keeper.log"), Logger: d.log,
		Command: []string{own, "keeper", "--data", d.data, "--speed", fmt.Sprint(d.speed), "--build", version()},
	}, nil
}

func (d *daemon) openKeeper(ctx context.Context) error {
	o, err := d.keeperOptions()
	if err != nil {
		return err
	}
	if d.keeper, err = keeper.Ensure(ctx, o); err != nil {
		return fmt.Errorf("start the keeper: %w", err)
	}
	d.onClose(d.keeper.Close)
	return nil
}

// closeTimeout bounds what is still written when the daemon ends.
const closeTimeout = 10 * time.Second

// run serves until ctx ends or a part of the daemon fails. One part that ends takes the others with it: a daemon that
// answers but does nothing would be worse than one that is started again.
func (d *daemon) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	start := func(name string, f func(context.Context) error) {
		wg.Go(func() {
			err := f(ctx)
			switch {
			case ctx.Err() != nil:
			case err != nil:
				cancel(fmt.Errorf("%s: %w", name, err))
			default:
				cancel(fmt.Errorf("%s ended", name))
			}
		})
	}
	if err := d.start(start); err != nil {
		return err
	}
	d.log.Info("Neargate is ready", "endpoint", "http://"+d.listen, "region", d.region, "account", d.account, "data", d.data, "speed", d.speed)
	<-ctx.Done()
	wg.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	d.log.Info("the daemon has stopped; tasks go on")
	return nil
}
