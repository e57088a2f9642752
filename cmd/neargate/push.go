package main

import (
	"github.com/spf13/cobra"

	"github.com/neargate/neargate/internal/cli"
)

func newPushCommand() *cobra.Command {
	var flags clientFlags
	var push cli.Push
	cmd := &cobra.Command{
		Use:   "push IMAGE [REPO[:TAG]]",
		Short: "Put an image into the registry: OCI archive, docker archive, OCI layout, or a static executable",
		Long: `Pushes an image into a repository of the registry, which is made if it is missing, and prints the name to put
into a task definition.

IMAGE is the path of an OCI archive, of what "docker save" wrote (each may be compressed with gzip), or of a folder
with an OCI layout. With --binary, an image is made of one static executable.`,
		Example: `  neargate push web-api.tar web-api:v1
  CGO_ENABLED=0 go build -o app . && neargate push --binary app --repo web-api:v1`,
		Args: arguments(cobra.MaximumNArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if push.Binary == "" {
				if len(args) == 0 {
					return cli.Usage("push what? Usage: %s", cmd.UseLine())
				}
				push.Image, args = args[0], args[1:]
			}
			switch {
			case len(args) > 1 || (len(args) == 1 && push.Repository != ""):
				return cli.Usage("too many arguments. Usage: %s", cmd.UseLine())
			case len(args) == 1:
				push.Repository = args[0]
			}
			push.Screen, push.Notes = standardOutput(), standardError()
			if push.Client, err = flags.connect(cmd.Context()); err != nil {
				return err
			}
			return push.Run(cmd.Context())
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&push.Repository, "repo", "", "REPO[:TAG] to push to (default: the name in the archive, or the file's)")
	cmd.Flags().StringVar(&push.Binary, "binary", "", "make an image of this static executable")
	cmd.Flags().StringArrayVar(&push.Entrypoint, "entrypoint", nil, "with --binary: a word of the entry point; may be repeated (default: the executable)")
	cmd.Flags().StringArrayVar(&push.Env, "env", nil, "with --binary: NAME=VALUE in the image's environment; may be repeated")
	cmd.Flags().IntSliceVar(&push.Ports, "port", nil, "with --binary: a TCP port that the image says it listens on")
	return cmd
}
