package main

import "context"

// bench is one benchmark; it makes one row or a few that come from the same runs.
type bench struct {
	name  string
	about string
	// inside runs in namespaces of its own; onDaemon on a daemon. One of them is set.
	inside   func(ctx context.Context, b *inside) ([]Row, error)
	onDaemon func(ctx context.Context, d *daemon, runs int) ([]Row, error)
}

// suite is the benchmarks in the order in which they run. Those on a daemon share one, so the first ones find it fresh.
func suite() []bench {
	return []bench{
		{name: "packets", about: "throughput, round trip and CPU of packets between two tasks", inside: packets},
		{name: "eni", about: "an ENI made and wired", inside: wireENIs},
		{name: "balancer", about: "requests through a load balancer", inside: balancer},
		{name: "memory", about: "memory of the daemon and the keeper when idle", onDaemon: memory},
		{name: "task", about: "RunTask to RUNNING", onDaemon: runTask},
		{name: "describe", about: "Describe calls", onDaemon: describe},
		{name: "write", about: "durable writes", onDaemon: writes},
		{name: "rule", about: "a security group change in force for 500 members", onDaemon: ruleChange},
		{name: "hundred", about: "100 tasks of one service to RUNNING", onDaemon: hundred},
		{name: "demo", about: "memory with the demo's stack", onDaemon: demoMemory},
	}
}
