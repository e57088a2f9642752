package main

import (
	"github.com/spf13/cobra"

	"github.com/neargate/neargate/internal/cli"
)

func newURLCommand() *cobra.Command {
	var flags clientFlags
	var address cli.URL
	cmd := &cobra.Command{
		Use:     "url NAME",
		Short:   "Print the address on this machine of a load balancer, stack, service or public task",
		Example: "  curl \"$(neargate url web-api)\"",
		Args:    arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			address.Name, address.Screen = args[0], standardOutput()
			if address.Client, err = flags.connect(cmd.Context()); err != nil {
				return err
			}
			return address.Run(cmd.Context())
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&address.All, "all", false, "print every address: each listener in each zone")
	cmd.Flags().BoolVar(&address.JSON, "json", false, "print JSON")
	return cmd
}
