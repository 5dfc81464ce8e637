package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/stategate/stategate/cmd/gateway/internal/client"
	"github.com/stategate/stategate/cmd/gateway/internal/table"
)

func newAudit() *cobra.Command {
	var a asking
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "List what operators have done, the newest first",
		Example: `  gateway audit --limit 20
  gateway audit -o json | jq '.[] | select(.what == "skip")'`,
		Args: noArguments,
	}
	a.register(cmd)
	a.registerLimit(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.run(cmd, func(ctx context.Context, c *client.Client, out io.Writer) error {
			return list(ctx, &a, c, out, cmd.ErrOrStderr(), listing[answeredAct]{
				path: "/v1/audit", head: []string{"AT", "NUMBER", "WHAT", "ON", "BY", "DETAIL"}, none: "no operator has done anything",
				row: func(x answeredAct) []string {
					return []string{table.Time(x.At), decimal(x.Number), table.Text(x.What), orNone(table.Short(x.On, 58)), orNone(table.Short(x.By, 58)), orNone(table.Short(x.Detail, 200))}
				},
			})
		})
	}
	return cmd
}

// answeredAct is one thing that an operator has done.
type answeredAct struct {
	Number               uint64
	At                   string
	By, What, On, Detail string
}
