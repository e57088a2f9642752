package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/neargate/neargate/internal/cli"
	"github.com/neargate/neargate/internal/doctor"
)

func newDoctorCommand() *cobra.Command {
	var flags clientFlags
	var data string
	var leaks, asJSON bool
	var settle time.Duration
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what this machine lacks, with the command that mends it; --leaks: what was left behind",
		Long: `Checks what Neargate needs of this machine and names the command that mends what is missing. Run it as root to have
everything tried. It ends with 1 when something is missing.

With --leaks it lists processes, network namespaces, mounts, control groups, nftables tables and folders of Neargate
that no record asks for; without a running daemon everything that is still there. It ends with 1 when there are any.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			host, err := doctor.New(data, hostLock)
			if err != nil {
				return err
			}
			screen := standardOutput()
			if leaks {
				return listLeaks(cmd.Context(), screen, host, &flags, settle, asJSON)
			}
			return runChecks(cmd.Context(), screen, host, &flags, asJSON)
		},
	}
	flags.add(cmd)
	dataFlag(cmd, &data)
	cmd.Flags().BoolVar(&leaks, "leaks", false, "list what was left behind")
	cmd.Flags().DurationVar(&settle, "settle", 0, "with --leaks: how long what is still being removed may take")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func runChecks(ctx context.Context, screen *cli.Screen, host *doctor.Host, flags *clientFlags, asJSON bool) error {
	_, err := flags.connect(ctx)
	answers := err == nil
	listen := "127.0.0.1:4566"
	if u, err := url.Parse(flags.endpoint); err == nil && u.Host != "" {
		listen = u.Host
	}
	checks := host.Check(ctx, listen, answers)
	missing := 0
	for _, c := range checks {
		if c.State == doctor.Missing {
			missing++
		}
	}
	if asJSON {
		if err := printJSON(screen, checks); err != nil {
			return err
		}
	} else {
		for _, c := range checks {
			tone := cli.Good
			switch c.State {
			case doctor.Missing:
				tone = cli.Bad
			case doctor.Warning:
				tone = cli.Busy
			}
			screen.Printf("%s  %s: %s\n", screen.Paint(tone, fmt.Sprintf("%-7s", c.State)), c.Name, c.Found)
			if c.Mend != "" {
				screen.Printf("         -> %s\n", screen.Paint(cli.Strong, c.Mend))
			}
		}
	}
	if missing > 0 {
		return cli.Failed("", "%d of %d checks failed: Neargate does not run here until they are mended", missing, len(checks))
	}
	if !asJSON {
		screen.Printf("\nThis machine has all that Neargate needs.\n")
	}
	return nil
}

// listLeaks shows what was left behind. What a daemon is just removing is looked at again until settle is over.
func listLeaks(ctx context.Context, screen *cli.Screen, host *doctor.Host, flags *clientFlags, settle time.Duration, asJSON bool) error {
	const pause = 250 * time.Millisecond
	deadline := time.Now().Add(settle)
	for {
		left, err := findLeaks(ctx, host, flags)
		if err != nil {
			return err
		}
		if len(left) > 0 && time.Now().Before(deadline) && ctx.Err() == nil {
			time.Sleep(pause)
			continue
		}
		if asJSON {
			if left == nil {
				left = []doctor.Leak{}
			}
			if err := printJSON(screen, left); err != nil {
				return err
			}
		} else {
			for _, l := range left {
				screen.Printf("%s\n", l)
			}
		}
		switch {
		case len(left) > 0:
			return cli.Failed("A running daemon removes its own within seconds. Without one: neargate cleanup --data "+host.Data, "%d left behind", len(left))
		case !asJSON:
			screen.Printf("Nothing is left behind.\n")
		}
		return nil
	}
}

func findLeaks(ctx context.Context, host *doctor.Host, flags *clientFlags) ([]doctor.Leak, error) {
	// What is there is listed before the records are read: what is new in between is then not taken for a leftover.
	inventory, err := host.Look()
	if err != nil {
		return nil, err
	}
	var records *doctor.Records
	client, err := flags.connect(ctx)
	if err == nil {
		records, err = cli.Records(ctx, client)
	}
	if err != nil && cli.ExitCode(err) != cli.ExitUnreachable {
		return nil, err
	}
	return doctor.Leaks(inventory, records), nil
}

func printJSON(screen *cli.Screen, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	screen.Printf("%s\n", text)
	return nil
}
