package main

import (
	"context"

	"github.com/neargate/neargate/internal/control/deploy"
	"github.com/neargate/neargate/internal/control/gateway"
	"github.com/neargate/neargate/internal/control/place"
	"github.com/neargate/neargate/internal/control/reap"
	"github.com/neargate/neargate/internal/control/targets"
	"github.com/neargate/neargate/internal/reconcile"
)

// sourced is a reconciler that knows what it has to look at.
type sourced interface {
	reconcile.Reconciler[string]
	Sources(ctx context.Context) []reconcile.Source[string]
}

// loop runs a reconciler.
func (d *daemon) loop(r sourced, workers int) func(context.Context) error {
	return func(ctx context.Context) error {
		return reconcile.New[string](r, reconcile.Options[string]{Workers: workers, Log: d.log}, r.Sources(ctx)...).Run(ctx)
	}
}

// startControl runs what decides, on the one daemon that leads.
func (d *daemon) startControl(start starter) {
	start("control", func(ctx context.Context) error {
		for ctx.Err() == nil {
			if err := d.db.Lead(ctx, "control", d.control); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
}

// control runs until it does not lead any more.
func (d *daemon) control(ctx context.Context) {
	scope := d.scope()
	parts := map[string]func(context.Context) error{
		"placement":    d.loop(place.New(place.Options{DB: d.db, Tables: d.tables, Clock: d.clock, Scope: scope, Host: hostName}), 4),
		"services":     d.loop(deploy.New(d.db, d.tables, d.clock, scope), 4),
		"targets":      d.loop(targets.New(d.db, d.tables, d.clock), 2),
		"nat gateways": d.loop(gateway.New(d.db, d.tables, d.clock), 1),
		"reaper":       reap.New(d.db, d.tables, d.clock).Run,
	}
	done := make(chan error, len(parts))
	ctx, cancel := context.WithCancel(ctx)
	for name, run := range parts {
		go func() {
			err := run(ctx)
			if err != nil && ctx.Err() == nil {
				d.log.Error("a part of control has ended", "part", name, "err", err)
			}
			cancel() // all or nothing: the next leadership starts them together
			done <- err
		}()
	}
	for range parts {
		<-done
	}
	cancel()
}
