package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/neargate/neargate/internal/cli"
)

// clientFlags are the flags of commands that call the daemon's API.
type clientFlags struct{ endpoint, region string }

func (f *clientFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.endpoint, "endpoint", environment("NEARGATE_ENDPOINT", cli.DefaultEndpoint), "address of the daemon")
	cmd.Flags().StringVar(&f.region, "region", os.Getenv("NEARGATE_REGION"), "AWS region (default: the one that the daemon serves)")
}

func (f *clientFlags) options() cli.Options {
	return cli.Options{
		Endpoint: f.endpoint, Region: f.region,
		Key: environment("NEARGATE_ACCESS_KEY", cli.DefaultKey), Secret: environment("NEARGATE_SECRET_KEY", cli.DefaultKey),
	}
}

func (f *clientFlags) connect(ctx context.Context) (*cli.Client, error) {
	return cli.Connect(ctx, f.options())
}

func standardOutput() *cli.Screen { return cli.NewScreen(os.Stdout, os.Getenv) }
func standardError() *cli.Screen  { return cli.NewScreen(os.Stderr, os.Getenv) }
