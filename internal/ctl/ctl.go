// Package ctl is the daemon's control socket: what Neargate offers on its own host and AWS has no API for, which is
// running a command in a container of a task (`neargate exec`).
//
// A request is an HTTP POST on a Unix socket that only root may open. It is answered with 101, and from then on both
// sides send frames (frame.go). Both halves are here: [Server] for the daemon, [Client] for the command line. It knows
// neither containers nor terminals; those belong to who implements Exec and to who calls the client.
// Start at [Server] and [Client].
package ctl

import (
	"io"
)

// ExecRequest is a command to run.
type ExecRequest struct {
	Task      string   `json:"-"` // identifier of the task
	Container string   `json:"-"` // empty: the task's only or first essential container, as the server decides
	Command   []string `json:"command"`
	TTY       bool     `json:"tty"`
	Rows      uint16   `json:"rows,omitempty"` // the terminal's first size
	Cols      uint16   `json:"cols,omitempty"`
}

// Size is the size of a terminal.
type Size struct{ Rows, Cols uint16 }

// Streams are what a command reads and writes.
type Streams struct {
	Stdin  io.Reader // nil: empty
	Stdout io.Writer
	Stderr io.Writer // not used with a terminal
	// Resize has the sizes of the terminal. On the server it begins with the request's and is closed at the end.
	Resize <-chan Size
}

const (
	execPath    = "/exec"
	upgradeName = "neargate-exec"
)
