package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/neargate/neargate/internal/cli"
	"github.com/neargate/neargate/internal/ctl"
)

func newExecCommand() *cobra.Command {
	var flags clientFlags
	var exec cli.Exec
	var data string
	var interactive bool
	cmd := &cobra.Command{
		Use:   "exec TASK [flags] -- COMMAND...",
		Short: "Run a command in a container of a task (as root on the daemon's host)",
		Long: `Runs a command in a container of a running task. TASK is an identifier or the beginning of one, an ARN, or a
service: any running task of it. The exit code is the command's.`,
		Example: "  sudo neargate exec web-api -it -- /bin/sh",
		Args:    arguments(cobra.MinimumNArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			exec.Task, exec.Command, exec.Socket = args[0], args[1:], ctlSocket(filepath.Clean(data))
			if exec.Client, err = flags.connect(cmd.Context()); err != nil {
				return err
			}
			code, err := runExec(cmd.Context(), &exec, interactive)
			if err == nil && code != 0 {
				err = &exitError{code: code}
			}
			return err
		},
	}
	flags.add(cmd)
	dataFlag(cmd, &data)
	cmd.Flags().StringVarP(&exec.Container, "container", "c", "", "container of the task (default: the first that runs)")
	cmd.Flags().BoolVarP(&interactive, "interactive", "i", false, "pass standard input on")
	cmd.Flags().BoolVarP(&exec.TTY, "tty", "t", false, "give the command a terminal")
	cmd.Flags().SetInterspersed(true)
	return cmd
}

// runExec connects the command with our own terminal or pipes.
func runExec(ctx context.Context, exec *cli.Exec, interactive bool) (int, error) {
	exec.Streams = ctl.Streams{Stdout: os.Stdout, Stderr: os.Stderr}
	if interactive {
		exec.Streams.Stdin = os.Stdin
	}
	in := int(os.Stdin.Fd())
	if !exec.TTY {
		return exec.Run(ctx)
	}
	if !interactive {
		// The end of the input would hang the terminal up: nothing is typed, but it does not end.
		typed, end := io.Pipe()
		defer end.Close()
		exec.Streams.Stdin = typed
	}
	if !term.IsTerminal(in) {
		if interactive {
			return 0, &cli.Problem{Text: "the standard input is not a terminal: leave -t out", Code: cli.ExitExec}
		}
		return exec.Run(ctx)
	}
	if cols, rows, err := term.GetSize(in); err == nil {
		exec.Rows, exec.Cols = uint16(rows), uint16(cols)
	}
	stop := watchSize(ctx, exec, in)
	defer stop()
	if interactive {
		// What is typed, Ctrl-C too, is for the command.
		old, err := term.MakeRaw(in)
		if err != nil {
			return 0, err
		}
		defer func() { _ = term.Restore(in, old) }()
	}
	return exec.Run(ctx)
}

// watchSize passes changes of the terminal's size on.
func watchSize(ctx context.Context, exec *cli.Exec, terminal int) (stop func()) {
	ctx, stop = context.WithCancel(ctx)
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	sizes := make(chan ctl.Size)
	exec.Streams.Resize = sizes
	go func() {
		defer signal.Stop(changed)
		for {
			select {
			case <-ctx.Done():
				return
			case <-changed:
			}
			cols, rows, err := term.GetSize(terminal)
			if err != nil {
				continue
			}
			select {
			case sizes <- ctl.Size{Rows: uint16(rows), Cols: uint16(cols)}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return stop
}
