package main

import (
	"github.com/spf13/cobra"

	"github.com/neargate/neargate/internal/cli"
)

func newStatusCommand() *cobra.Command {
	var flags clientFlags
	var status cli.Status
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show stacks, VPCs, load balancers with target health, services and tasks",
		Args:  arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			status.Screen = standardOutput()
			if status.Client, err = flags.connect(cmd.Context()); err != nil {
				return err
			}
			return status.Run(cmd.Context())
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&status.JSON, "json", false, "print JSON")
	cmd.Flags().BoolVarP(&status.Watch, "watch", "w", false, "show it again and again until interrupted")
	return cmd
}
