// Command neargate runs production-shaped ECS Fargate stacks on one Linux machine behind the AWS APIs, with real
// containers and real packets. `neargate serve` is the daemon; most other subcommands are clients of it.
//
// This folder is wiring only: one file per subcommand. What a client does is in internal/cli, what doctor and cleanup do
// in internal/doctor. Start at newRootCommand.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/neargate/neargate/internal/cli"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := newRootCommand().ExecuteContext(ctx)
	var exited *exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exited): // what ran has said all there is to say
		return exited.code
	}
	fmt.Fprintf(os.Stderr, "neargate: %v\n", err)
	return cli.ExitCode(err)
}

// exitError ends the program with a code and without words.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "neargate",
		Short: "ECS Fargate on this machine: the AWS APIs, real containers, real packets",
		Long: `Neargate runs ECS Fargate stacks on one Linux machine behind the AWS APIs: VPCs, security groups, load
balancers and tasks with real packets between them.

  sudo neargate serve                  run the daemon
  neargate up template.yaml            deploy a CloudFormation template
  neargate status                      see what runs, and where it answers
  eval "$(neargate env)"               point aws, terraform and SDKs at it

Exit codes: 0 done; 1 it failed, and the message says why; 2 wrong arguments; 3 no daemon answers; 130 interrupted.
exec ends with the code of the command that it ran, or 125 when it could not run it.

Environment: NEARGATE_ENDPOINT, NEARGATE_REGION, NEARGATE_DATA are defaults of the flags; NEARGATE_ACCESS_KEY and
NEARGATE_SECRET_KEY replace the key pair test/test; NO_COLOR turns colours off.`,
		SilenceUsage: true, SilenceErrors: true,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return cli.Usage("%v\nSee `%s --help`.", err, cmd.CommandPath())
	})
	root.AddCommand(
		newServeCommand(), newKeeperCommand(), newInitCommand(),
		newUpCommand(), newDownCommand(), newStatusCommand(), newLogsCommand(), newExecCommand(), newURLCommand(), newPushCommand(),
		newEnvCommand(), newDoctorCommand(), newCleanupCommand(), newVersionCommand(),
	)
	return root
}

// arguments wraps a check of positional arguments, so that its error has the exit code of wrong usage.
func arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return cli.Usage("%v\nUsage: %s", err, cmd.UseLine())
		}
		return nil
	}
}

// defaultData is where serve keeps everything unless it is told otherwise.
const defaultData = "/var/lib/neargate"

// dataFlag adds --data for commands that look at the host itself.
func dataFlag(cmd *cobra.Command, data *string) {
	cmd.Flags().StringVar(data, "data", environment("NEARGATE_DATA", defaultData), "the daemon's data directory")
}

func environment(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}
