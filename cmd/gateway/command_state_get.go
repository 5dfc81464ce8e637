package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/stategate/stategate/cmd/gateway/internal/client"
	"github.com/stategate/stategate/cmd/gateway/internal/table"
)

func newStateGet() *cobra.Command {
	var a asking
	var raw bool
	cmd := &cobra.Command{
		Use:   "get NAMESPACE/NAME ID [STATE]",
		Short: "Show the state of one address of a gateway that runs",
		Long: `get asks a gateway for the values of an address, or one of them, with the version that a change may be bound to. --raw writes the bytes
of one value as they are, and nothing else.`,
		Example: `  gateway state get shop/cart ada
  gateway state get shop/cart ada items
  gateway state get shop/cart ada items --raw > items.bin`,
		Args: arguments(2, 3, "a function, an id, and at most one state: NAMESPACE/NAME ID [STATE]"), ValidArgsFunction: a.addressArguments(),
	}
	a.register(cmd)
	cmd.Flags().BoolVar(&raw, "raw", false, "write the bytes of the value as they are")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		address, err := addressOf(args)
		if err != nil {
			return err
		}
		if raw && (len(args) < 3 || a.isJSON()) {
			return usage("--raw writes the bytes of one state: want its name, and no -o json")
		}
		return a.run(cmd, func(ctx context.Context, c *client.Client, out io.Writer) error {
			if len(args) == 2 {
				return getStates(ctx, &a, c, out, cmd.ErrOrStderr(), addressRequest(address))
			}
			r := stateRequest(address, args[2])
			if !raw {
				return one(ctx, &a, c, out, r, func(s answeredState) error { return s.write(out, time.Now()) })
			}
			if isScreen(cmd.OutOrStdout()) {
				return usage("--raw writes bytes that a terminal may obey: send them to a file, or through a pipe")
			}
			var s answeredState
			if err := c.Get(ctx, r.Path, withRaw(r.Query), &s); err != nil {
				return err
			}
			value, err := s.raw()
			if err != nil {
				return fmt.Errorf("the answer holds no bytes: %w", err)
			}
			_, err = out.Write(value)
			return err
		})
	}
	return cmd
}

func getStates(ctx context.Context, a *asking, c *client.Client, out, stderr io.Writer, r client.Request) error {
	if a.isJSON() {
		all := struct{ State []json.RawMessage }{[]json.RawMessage{}} // without any it is [], not null
		if err := c.Get(ctx, r.Path, r.Query, &all); err != nil {
			return err
		}
		text, err := json.MarshalIndent(all.State, "", "  ")
		if err != nil {
			return err
		}
		return writeJSON(out, text)
	}
	return one(ctx, a, c, out, r, func(v answeredView) error {
		if len(v.State) == 0 {
			fmt.Fprintln(stderr, "no state is set")
			return nil
		}
		return writeStates(out, v.State, time.Now())
	})
}

func (s *answeredState) write(out io.Writer, now time.Time) error {
	expires := "never"
	if s.Expires != "" {
		expires = "in " + table.Until(s.Expires, now)
	}
	committed := ""
	if s.Committed != nil && !*s.Committed {
		committed = "not yet; stored is " + s.storedText()
	}
	return table.Fields(out, [2]string{"state", table.Word(s.Name)}, [2]string{"type", table.Text(s.TypeName)}, [2]string{"version", table.Text(s.Version)}, [2]string{"bytes", decimal(s.Bytes)},
		[2]string{"expires", expires}, [2]string{"committed", committed}, [2]string{"value", s.text(valueShownAlone)})
}
