// Package proxy renders, runs and changes HAProxy, the layer 7 part of a load balancer.
//
// Render turns a [Config] (our own description: listeners, rules, groups, servers) into a configuration of HAProxy 2.6
// or newer that answers as an Application Load Balancer does: its headers, its error pages, its codes. [Process] starts
// it in a network namespace, adopts the one that runs, and reloads it. [Runtime] changes servers while it runs.
//
// The package knows no records and no AWS API; it checks no health and decides no routing. Start at [Config], then
// [Render].
package proxy
