package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/neargate/neargate/internal/container/initproc"
)

// newInitCommand is what `initProcessEnabled` puts before a container's own command: a first process that passes signals
// on and reaps whatever is orphaned. This very binary is mounted into the container for it; nobody has to type this.
func newInitCommand() *cobra.Command {
	return &cobra.Command{
		Use: "init -- COMMAND [ARG...]", Hidden: true, DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 && args[0] == "--" {
				args = args[1:]
			}
			if len(args) == 0 {
				return errors.New("init: no command")
			}
			return &exitError{code: initproc.Run(args)}
		},
	}
}
