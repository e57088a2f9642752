// Package doctor looks at the host itself: what it lacks to run Neargate ([Host.Check]), what an instance has in the kernel
// and on disk ([Host.Look]), what of that has no record any more ([Leaks]), and how all of it is removed ([Host.Clean]).
//
// It asks nobody else: which records there are is an argument ([Records]). It changes nothing but in Clean, and there it
// touches only what an instance is known by: processes whose command line names its data directory, the network
// namespaces, control groups and tables with our names. Nothing is found by the name of a program alone.
//
// Start at [Host].
package doctor

import (
	"path/filepath"
)

// Host is this machine and the instance whose data directory is Data.
type Host struct {
	Data string // absolute, clean
	Lock string // path of the file that a running daemon holds locked
}

// New returns the host with an instance.
func New(data, lock string) (*Host, error) {
	abs, err := filepath.Abs(data)
	if err != nil {
		return nil, err
	}
	return &Host{Data: abs, Lock: lock}, nil
}

// cgroupRoot is the control group that the groups of all tasks are in.
const cgroupRoot = "/ng"
