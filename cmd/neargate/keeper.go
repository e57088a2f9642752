package main

import (
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/neargate/neargate/internal/keeper"
)

// newKeeperCommand is the process that holds what tasks need while the daemon is away. The daemon starts it; nobody has
// to type this.
func newKeeperCommand() *cobra.Command {
	var data, build string
	var speed float64
	cmd := &cobra.Command{
		Use: "keeper", Short: "Hold what tasks need while the daemon is away (started by serve)", Args: cobra.NoArgs, Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			if build == "" {
				build = version()
			}
			return keeper.Run(ctx, keeper.Options{
				Dir: filepath.Join(data, "keeper"), Socket: keeperSocket(data), Version: build, Speed: speed,
				Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
			})
		},
	}
	cmd.Flags().StringVar(&data, "data", "/var/lib/neargate", "where everything is kept")
	cmd.Flags().StringVar(&build, "build", "", "what the daemon calls this build; found out if not given, which takes a moment")
	cmd.Flags().Float64Var(&speed, "speed", 1, "divide all AWS delays by this")
	return cmd
}

func keeperSocket(data string) string { return filepath.Join(data, "run", "keeper.sock") }
func edgeSocket(data string) string   { return filepath.Join(data, "run", "edge.sock") }
func ctlSocket(data string) string    { return filepath.Join(data, "run", "ctl.sock") }
