package main

import (
	"github.com/spf13/cobra"

	"github.com/neargate/neargate/internal/cli"
)

func newLogsCommand() *cobra.Command {
	var flags clientFlags
	var logs cli.Logs
	cmd := &cobra.Command{
		Use:   "logs GROUP|STACK|SERVICE|TASK",
		Short: "Print log events, the streams interleaved by time",
		Example: `  neargate logs -f web-api
  neargate logs /ecs/web --since 1h --filter '"POST"'`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			logs.Name, logs.Screen = args[0], standardOutput()
			if logs.Client, err = flags.connect(cmd.Context()); err != nil {
				return err
			}
			return logs.Run(cmd.Context())
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVarP(&logs.Follow, "follow", "f", false, "go on with what comes")
	cmd.Flags().StringVar(&logs.Since, "since", "", "how far back: 30s, 10m, 2h, 1d, or a time like 2026-01-02T15:04:05Z (default 10m)")
	cmd.Flags().StringVar(&logs.Filter, "filter", "", "CloudWatch Logs filter pattern")
	return cmd
}
