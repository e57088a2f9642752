package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/neargate/neargate/internal/cli"
)

func newEnvCommand() *cobra.Command {
	var flags clientFlags
	var shell, terraform, asJSON bool
	cmd := &cobra.Command{
		Use:     "env",
		Short:   "Print the settings with which aws, SDKs and terraform talk to this Neargate",
		Example: "  eval \"$(neargate env)\"\n  neargate env --terraform > provider.tf",
		Args:    arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := flags.connect(cmd.Context())
			if cli.ExitCode(err) == cli.ExitUnreachable { // the settings may be wanted before the daemon runs
				fmt.Fprintf(os.Stderr, "neargate: nothing answers at %s yet; the region is a guess\n", flags.endpoint)
				client, err = cli.Offline(flags.options()), nil
			}
			if err != nil {
				return err
			}
			env := &cli.Env{Client: client, Screen: standardOutput(), Format: cli.EnvShell}
			switch {
			case terraform:
				env.Format = cli.EnvTerraform
			case asJSON:
				env.Format = cli.EnvJSON
			}
			return env.Run()
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&shell, "shell", false, "exports for a shell (this is the default)")
	cmd.Flags().BoolVar(&terraform, "terraform", false, "a provider block for Terraform")
	cmd.Flags().BoolVar(&asJSON, "json", false, "JSON")
	cmd.MarkFlagsMutuallyExclusive("shell", "terraform", "json")
	return cmd
}
