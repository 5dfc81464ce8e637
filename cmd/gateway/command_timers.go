package main

import (
	"context"
	"io"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/stategate/stategate/cmd/gateway/internal/client"
	"github.com/stategate/stategate/cmd/gateway/internal/table"
)

func newTimers() *cobra.Command {
	var a asking
	var function string
	cmd := &cobra.Command{
		Use:   "timers",
		Short: "List delayed messages that are not due yet, the next first",
		Example: `  gateway timers
  gateway timers --function shop/cart --limit 20`,
		Args: noArguments,
	}
	a.register(cmd)
	a.registerLimit(cmd)
	cmd.Flags().StringVar(&function, "function", "", "only those for addresses of this function, NAMESPACE/NAME")
	a.completeFlag(cmd, "function", functionsPath, "function")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		query := url.Values{}
		if function != "" {
			f, err := typeName(function)
			if err != nil {
				return usage("flag --function: want NAMESPACE/NAME")
			}
			query.Set("function", f.String())
		}
		return a.run(cmd, func(ctx context.Context, c *client.Client, out io.Writer) error {
			return list(ctx, &a, c, out, cmd.ErrOrStderr(), timerList(query, time.Now()))
		})
	}
	return cmd
}

// answeredTimer is a delayed message.
type answeredTimer struct {
	Due            string
	Number         uint64
	Sender, Target *answeredAddress
	Token          string
	TypeName       string
	Bytes          int64
}

func timerList(query url.Values, now time.Time) listing[answeredTimer] {
	return listing[answeredTimer]{
		path: "/v1/timers", query: query, head: []string{"DUE IN", "NUMBER", "TARGET", "SENDER", "TOKEN", "TYPE", "BYTES"}, none: "no message is delayed",
		row: func(t answeredTimer) []string {
			token := table.None
			if t.Token != "" {
				token = table.Word(t.Token)
			}
			return []string{table.Until(t.Due, now), decimal(t.Number), t.Target.text(), t.Sender.text(), token, table.Word(t.TypeName), decimal(t.Bytes)}
		},
	}
}
