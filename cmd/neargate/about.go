package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print which build this is",
		Args:  arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			name, commit := "devel", ""
			if info, ok := debug.ReadBuildInfo(); ok {
				if v := info.Main.Version; v != "" && v != "(devel)" {
					name = v
				}
				for _, s := range info.Settings {
					switch {
					case s.Key == "vcs.revision":
						commit = " commit " + s.Value + commit
					case s.Key == "vcs.modified" && s.Value == "true":
						commit += " with changes"
					}
				}
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "neargate %s build %s%s %s %s/%s\n", name, version(), commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
