package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/netip"
	"time"

	"github.com/neargate/neargate/internal/container"
	"github.com/neargate/neargate/internal/ctl"
	"github.com/neargate/neargate/internal/iam"
	"github.com/neargate/neargate/internal/keeper"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/node/listener"
	"github.com/neargate/neargate/internal/node/network"
	"github.com/neargate/neargate/internal/node/task"
	"github.com/neargate/neargate/internal/node/zone"
	"github.com/neargate/neargate/internal/reconcile"
)

// startNode runs what makes this host so: networks, tasks, load balancers, names.
func (d *daemon) startNode(start starter) error {
	scope := d.scope()
	var addresses []netip.Addr
	for _, s := range model.ServiceNames(scope) {
		addresses = append(addresses, s.Address)
	}
	records := network.NewRecords(d.db, d.tables)
	net := network.New(network.Config{Source: records, Host: hostName, Services: addresses, Log: d.log})
	d.onClose(net.Close)
	start("network", func(ctx context.Context) error {
		return net.Loop(reconcile.Options[string]{Workers: 1, Log: d.log}, records.Sources(ctx)...).Run(ctx)
	})

	balancers := listener.New(listener.Config{DB: d.db, Tables: d.tables, Host: hostName, Dir: d.path("lb"), Network: net, Keeper: d.keeper, Log: d.log})
	start("load balancers", balancers.Run)

	zones := zone.New(zone.Options{DB: d.db, Tables: d.tables, Scope: scope, Keeper: d.keeper, EdgeSocket: edgeSocket(d.data)})
	start("zones", d.loop(zones, 1))

	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(d.ca.BundlePEM())
	tasks := task.New(task.Config{
		DB: d.db, Tables: d.tables, Scope: scope, Host: hostName, Dir: d.path("tasks"), Runtime: d.runtime, Network: network.ByID{Network: net}, Keeper: d.keeper,
		Credentials: issuer{d.keys}, Groups: d.groups, Clock: d.clock, Roots: roots, CAPEM: string(d.ca.BundlePEM()), CABundle: d.bundle, Log: d.log,
	})
	start("tasks", tasks.Run)
	start("containerd", func(ctx context.Context) error {
		d.server.Run(ctx, containerdEvery)
		return ctx.Err()
	})
	o, err := d.keeperOptions()
	if err != nil {
		return err
	}
	start("keeper", func(ctx context.Context) error {
		keeper.Supervise(ctx, o, nil)
		return ctx.Err()
	})
	return d.startCtl(start, tasks)
}

// containerdEvery is how often containerd is looked at, and started again if it is gone.
const containerdEvery = time.Second

// startCtl serves what is no AWS API: running a command in a container.
func (d *daemon) startCtl(start starter, tasks *task.Manager) error {
	server := &ctl.Server{Exec: func(ctx context.Context, r ctl.ExecRequest, s ctl.Streams) (int, error) {
		e := container.Exec{Args: r.Command, Stdin: s.Stdin, Stdout: s.Stdout, Stderr: s.Stderr, TTY: r.TTY}
		sizes := make(chan container.WindowSize, 1)
		e.Resize = sizes
		go func() {
			defer close(sizes)
			for size := range s.Resize {
				select {
				case sizes <- container.WindowSize{Rows: size.Rows, Columns: size.Cols}:
				case <-ctx.Done():
					return
				}
			}
		}()
		return tasks.Exec(ctx, r.Task, r.Container, e)
	}}
	listener, err := ctl.Listen(ctlSocket(d.data))
	if err != nil {
		return fmt.Errorf("listen for neargate exec: %w", err)
	}
	start("control socket", func(ctx context.Context) error { return server.Serve(ctx, listener) })
	return nil
}

// credentialLifetime is how long a task's credentials are good for. Fargate's last about six hours.
const credentialLifetime = 6 * time.Hour

// issuer gives tasks their credentials.
type issuer struct{ keys *iam.Keyring }

func (i issuer) Issue(ctx context.Context, roleARN, taskID string) (model.Session, error) {
	session, err := i.keys.IssueForTask(ctx, roleARN, taskID, credentialLifetime)
	if err != nil {
		return model.Session{}, err
	}
	return *session, nil
}
