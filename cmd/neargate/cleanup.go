package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/neargate/neargate/internal/cli"
	"github.com/neargate/neargate/internal/doctor"
)

func newCleanupCommand() *cobra.Command {
	var data string
	var yes, purge bool
	cmd := &cobra.Command{
		Use:   "cleanup",
		Short: "End everything that outlives the daemon, and remove what it has in the kernel (root, daemon stopped)",
		Long: `Ends the keeper, containerd, all tasks and load balancers of an instance whose daemon has been stopped, and removes
its mounts, network namespaces and control groups. Records, images and logs stay, so that "neargate serve" starts the
services again; with --purge the data directory goes too.

It touches only what belongs to the instance in --data, never a process by its name alone.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if os.Geteuid() != 0 {
				return cli.Failed("Run it as root: sudo neargate cleanup", "only root can remove namespaces and control groups")
			}
			host, err := doctor.New(data, hostLock)
			if err != nil {
				return err
			}
			screen := standardOutput()
			if !yes {
				if err := confirm(screen, host, purge); err != nil {
					return err
				}
			}
			err = host.Clean(cmd.Context(), doctor.CleanOptions{Purge: purge, Note: func(line string) { screen.Printf("%s\n", line) }})
			var running *doctor.RunningError
			if errors.As(err, &running) {
				return cli.Failed(fmt.Sprintf("Stop it first: kill %d", running.PID), "%v", running)
			}
			if err != nil {
				return err
			}
			screen.Printf("Clean.\n")
			return nil
		},
	}
	dataFlag(cmd, &data)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&purge, "purge", false, "remove the data directory too: records, images, logs")
	return cmd
}

// confirm asks; without a terminal there is nobody to ask.
func confirm(screen *cli.Screen, host *doctor.Host, purge bool) error {
	inventory, err := host.Look()
	if err != nil {
		return err
	}
	what := fmt.Sprintf("%d processes, %d network namespaces, %d mounts", len(inventory.Processes), len(inventory.Namespaces), len(inventory.Mounts))
	if purge {
		what += " and everything in " + host.Data
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return cli.Usage("this ends and removes %s: say --yes", what)
	}
	screen.Printf("This ends and removes %s. Go on? [y/N] ", what)
	answer, _ := bufio.NewReader(os.Stdin).ReadString('\n')
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return cli.Failed("", "nothing was done")
	}
	return nil
}
