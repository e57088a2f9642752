package main

import (
	"github.com/spf13/cobra"

	"github.com/neargate/neargate/internal/cli"
)

func newDownCommand() *cobra.Command {
	var flags clientFlags
	var down cli.Down
	cmd := &cobra.Command{
		Use:   "down [TEMPLATE]",
		Short: "Delete a stack and everything in it",
		Long: `Deletes a stack: the one named by --stack, the one that "up TEMPLATE" makes, or the only one that there is.
When something blocks, it says what.`,
		Args: arguments(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if len(args) > 0 {
				down.Template = args[0]
			}
			down.Screen = standardOutput()
			if down.Client, err = flags.connect(cmd.Context()); err != nil {
				return err
			}
			return down.Run(cmd.Context())
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&down.Stack, "stack", "", "name of the stack")
	return cmd
}
