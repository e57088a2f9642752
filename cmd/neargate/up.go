package main

import (
	"github.com/spf13/cobra"

	"github.com/neargate/neargate/internal/cli"
)

func newUpCommand() *cobra.Command {
	var flags clientFlags
	var up cli.Up
	cmd := &cobra.Command{
		Use:   "up TEMPLATE",
		Short: "Deploy a CloudFormation template: create its stack, or update it",
		Long: `Deploys a CloudFormation template and shows what happens, then the outputs and the addresses on this machine.
A stack that exists is updated; parameters that are not given keep their values.`,
		Example: "  neargate up template.yaml --parameter Image=000000000000.dkr.ecr.us-east-1.amazonaws.com/web-api:v1",
		Args:    arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			up.Template, up.Screen = args[0], standardOutput()
			if up.Client, err = flags.connect(cmd.Context()); err != nil {
				return err
			}
			return up.Run(cmd.Context())
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&up.Stack, "stack", "", "name of the stack (default: the template's file name, or its folder's for template.yaml)")
	cmd.Flags().StringArrayVarP(&up.Parameters, "parameter", "p", nil, "parameter of the template, Key=Value; may be repeated")
	cmd.Flags().StringArrayVar(&up.Tags, "tag", nil, "tag of the stack and its resources, Key=Value; may be repeated")
	cmd.Flags().StringSliceVar(&up.Capabilities, "capability", []string{"CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"}, "what the template may do")
	return cmd
}
