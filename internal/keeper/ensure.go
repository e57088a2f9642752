package keeper

import (
	"context"
	"errors"
	"log/slog"
)

// EnsureOptions say which keeper is wanted.
type EnsureOptions struct {
	Options
	// Command starts a keeper: the program and its arguments. The child gets a session of its own and outlives us.
	Command []string
	// LogFile receives the child's standard output and error.
	LogFile string
	Logger  *slog.Logger
}

// Options of the keeper process.
type Options struct {
	// Dir holds the configuration, offsets and health on disk.
	Dir string
	// Socket is the control socket; mode 0600.
	Socket string
	// Version of the binary; a keeper of another version is replaced and hands over its sockets.
	Version string
	// Speed divides AWS delays until SetSpeed is called; 0 means 1.
	Speed  float64
	Logger *slog.Logger
}

// Ensure returns a client of the host's keeper: it adopts the one that runs, starts one if there is none, and replaces
// one of another version, which hands its sockets to the new one.
func Ensure(ctx context.Context, o EnsureOptions) (*Client, error) {
	return nil, errors.New("keeper: not built yet")
}

// Run is the keeper process: it restores what is on disk and serves until ctx ends or it is told to shut down.
func Run(ctx context.Context, o Options) error {
	return errors.New("keeper: not built yet")
}
