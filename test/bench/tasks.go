package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/neargate/neargate/test/harness"
)

// runTask measures RunTask until DescribeTasks says RUNNING, with the image on the host; the baseline is runc with the
// same root file system.
func runTask(ctx context.Context, d *daemon, runs int) (_ []Row, err error) {
	g, err := d.prepare(ctx)
	if err != nil {
		return nil, err
	}
	b, err := newBundle(ctx, d.image)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.remove()) }()
	one := func() (float64, error) {
		began := time.Now()
		arn, err := d.startTask(ctx, g)
		took := time.Since(began)
		if err != nil {
			return 0, err
		}
		return took.Seconds() * 1000, d.stopTask(ctx, g, arn)
	}
	first, err := one() // pulls the image
	if err != nil {
		return nil, err
	}
	say("  first, with the pull of the image: %.0f ms", first)
	var p pairs
	for run := range runs {
		const tasks = 3
		var own, base []float64
		for range tasks {
			ms, err := one()
			if err != nil {
				return nil, err
			}
			bare, err := b.start(ctx)
			if err != nil {
				return nil, err
			}
			own, base = append(own, ms), append(base, bare.Seconds()*1000)
		}
		say("  run %d: %.0f ms, runc alone %.0f ms", run+1, median(own), median(base))
		p.add(median(own), median(base))
	}
	return []Row{p.row("RunTask to RUNNING, image present / runc alone", "ms", limit{AtMost: 200, isValue: true})}, nil
}

// burstTasks is Fargate's burst quota.
const burstTasks = 100

// hundred measures CreateService until all tasks are RUNNING; the baseline is a bare containerd that starts as many
// containers of the same image.
func hundred(ctx context.Context, d *daemon, runs int) (_ []Row, err error) {
	g, err := d.prepare(ctx)
	if err != nil {
		return nil, err
	}
	bare, err := newBareContainerd(ctx, d.image)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, bare.stop()) }()
	var p pairs
	for run := range runs {
		own, err := d.burst(ctx, g, fmt.Sprintf("burst-%d", run+1))
		if err != nil {
			return nil, err
		}
		base, err := bare.burst(ctx, burstTasks)
		if err != nil {
			return nil, err
		}
		say("  run %d: %.1f s, bare containerd %.1f s", run+1, own.Seconds(), base.Seconds())
		p.add(own.Seconds(), base.Seconds())
	}
	return []Row{p.row("100 tasks of a service to RUNNING / bare containerd", "s", limit{AtMost: 10, isValue: true})}, nil
}

// burst makes a service, measures until all its tasks run, and deletes it.
func (d *daemon) burst(ctx context.Context, g *stage, name string) (time.Duration, error) {
	before := len(harness.Namespaces())
	began := time.Now()
	if _, err := d.call(ctx, "ecs", "CreateService", "", map[string]any{"Cluster": g.cluster, "ServiceName": name, "TaskDefinition": "bench",
		"DesiredCount": burstTasks, "LaunchType": "FARGATE", "NetworkConfiguration": g.awsvpc()}); err != nil {
		return 0, err
	}
	err := d.awaitRunning(ctx, g, name, burstTasks)
	took := time.Since(began)
	ctx = context.WithoutCancel(ctx)
	if _, derr := d.call(ctx, "ecs", "DeleteService", "", map[string]any{"Cluster": g.cluster, "Service": name, "Force": true}); derr != nil {
		return took, errors.Join(err, derr)
	}
	for deadline := time.Now().Add(taskLimit); len(harness.Namespaces()) > before; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			return took, errors.Join(err, errors.New("tasks of the deleted service are left"))
		}
	}
	return took, err
}

func (d *daemon) awaitRunning(ctx context.Context, g *stage, service string, n int) error {
	for deadline := time.Now().Add(taskLimit); ; time.Sleep(20 * time.Millisecond) {
		got, err := d.call(ctx, "ecs", "DescribeServices", "Services[0].RunningCount", map[string]any{"Cluster": g.cluster, "Services": []string{service}})
		if err != nil {
			return err
		}
		if got == strconv.Itoa(n) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("service %s has %s running tasks, not %d", service, got, n)
		}
	}
}
