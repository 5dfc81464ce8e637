package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/spf13/cobra"

	"github.com/stategate/stategate/cmd/gateway/internal/client"
	"github.com/stategate/stategate/cmd/gateway/internal/nearest"
	"github.com/stategate/stategate/cmd/gateway/internal/table"
)

var logLevels = []string{"debug", "info", "warn", "error"}

func newLogLevel() *cobra.Command {
	var a asking
	cmd := &cobra.Command{
		Use:   "log-level [debug|info|warn|error]",
		Short: "Tell the least important line that is logged, or change it until the restart",
		Example: `  gateway log-level
  gateway log-level debug`,
		Args:              arguments(0, 1, "at most one level"),
		ValidArgsFunction: cobra.FixedCompletions(logLevels, cobra.ShellCompDirectiveNoFileComp),
	}
	a.register(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r := client.Request{Path: "/v1/log-level"}
		if len(args) == 1 {
			if !slices.Contains(logLevels, args[0]) {
				return usage("%s: %s", about("unknown level", "", args[0]), nearest.Guess(args[0], logLevels))
			}
			r.Method, r.Body = http.MethodPut, map[string]string{"level": args[0]}
		}
		return a.run(cmd, func(ctx context.Context, c *client.Client, out io.Writer) error {
			return one(ctx, &a, c, out, r, func(v struct{ Level string }) error {
				_, err := fmt.Fprintln(out, table.Text(v.Level))
				return err
			})
		})
	}
	return cmd
}
