// Package keeper is the small long-lived process of a host that holds what running tasks must not lose while the daemon
// is down, restarting or being replaced: the VPC resolvers, task metadata and credentials, container output on its way
// to CloudWatch Logs, target health checks, the front door and the listeners of the AWS service addresses.
//
// It decides nothing. The daemon hands it whole configurations by (kind, id) over a Unix socket ([Client]); the keeper
// makes them so, keeps them on disk, and after a restart or an upgrade of its own goes on from there. It has no access to
// the store and knows none of its records. What it does with a configuration is in the packages below it (metadata,
// logship, health, forward) and in internal/dns. Start at [Client] for its use, at [Run] for the process.
package keeper
