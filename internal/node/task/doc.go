// Package task runs the tasks that are placed on this host, from the ENI to the last line of their logs.
//
// One goroutine owns one task ([runner]): it reads the task's record and what the container runtime shows, asks a pure
// function what to do next ([planNext], plan.go), does it, and writes what it sees into the record. Nothing that
// matters is only in memory, so after a restart of the daemon it goes on where it was: containers are found by their
// labels, exits that happened meanwhile by their kept status. States only move forward.
//
// Who does what: the ENI and its rules are made by [Network], which is told before the first process starts; metadata,
// credentials and logs are served by the keeper, so nothing of a running task depends on the daemon; images come
// through internal/image. The package places nothing and knows no services: control writes what is wanted.
//
// Start at [New] and [Manager.Run], then plan.go.
package task
