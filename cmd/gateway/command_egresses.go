package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/client"
	"github.com/stategate/stategate/cmd/gateway/internal/table"
)

const egressesPath = "/v1/egresses"

func newEgresses() *cobra.Command {
	var a asking
	cmd := &cobra.Command{
		Use:   "egresses [NAMESPACE/NAME]",
		Short: "List egresses with outbox and lanes; decide where a lane goes on; forget one",
		Example: `  gateway egresses
  gateway egresses shop/receipts
  gateway egresses decide shop/receipts --deliver stored
  gateway egresses forget shop/receipts`,
		Args:              orVerb(arguments(0, 1, "at most one name, as NAMESPACE/NAME")),
		ValidArgsFunction: a.completeNames(egressesPath, "egress"),
	}
	a.register(cmd)
	a.registerLimit(cmd)
	a.registerWatch(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return a.run(cmd, func(ctx context.Context, c *client.Client, out io.Writer) error {
				return list(ctx, &a, c, out, cmd.ErrOrStderr(), egressList())
			})
		}
		f, err := typeName(args[0])
		if err != nil {
			return err
		}
		return a.run(cmd, func(ctx context.Context, c *client.Client, out io.Writer) error {
			return one(ctx, &a, c, out, client.Request{Path: client.Path("v1", "egresses", f.Namespace, f.Name)}, func(e answeredEgress) error { return e.write(out) })
		})
	}
	cmd.AddCommand(newDecide(), newForget("egresses", "egress", egressesPath, "Forget what waits for an egress that the module no longer declares",
		func(raw json.RawMessage, name string) (declared bool, question string, err error) {
			var e answeredEgress
			err = json.Unmarshal(raw, &e)
			return e.Declared, fmt.Sprintf("What waits for egress %s is dropped and never delivered: %s, %s", name, plural(e.Outbox.Outputs, "output", "outputs"), table.Bytes(e.Outbox.Bytes)), err
		}))
	return cmd
}

// answeredEgress is an egress, with its lanes where it was asked for alone.
type answeredEgress struct {
	Egress, Kind, Delivery string
	Declared               bool
	Outbox                 struct {
		Outputs, Bytes int64
		OldestSeconds  float64
	}
	Conditions []answeredText
	Lanes      []answeredLane
}

type answeredLane struct {
	Slot       int64
	Next       uint64
	Delivered  *uint64
	StoredFrom *uint64
	Started    bool
	Halted     *string
}

func egressList() listing[answeredEgress] {
	return listing[answeredEgress]{
		path: egressesPath, head: []string{"EGRESS", "KIND", "DELIVERY", "OUTPUTS", "BYTES", "OLDEST", "NOTES"}, none: "the module declares no egress",
		row: func(e answeredEgress) []string {
			return []string{table.Word(e.Egress), table.Text(e.Kind), orNone(table.Text(e.Delivery)), table.Count(e.Outbox.Outputs), table.Bytes(e.Outbox.Bytes), ageOrNone(e.Outbox.OldestSeconds), e.notes()}
		},
	}
}

func (e *answeredEgress) notes() string {
	conditions := slices.Clone(e.Conditions)
	for _, l := range e.Lanes {
		if l.Halted != nil && !slices.Contains(conditions, answeredText(*l.Halted)) {
			conditions = append(conditions, answeredText(*l.Halted))
		}
	}
	return notesOf(e.Declared, nil, conditions)
}

func (e *answeredEgress) write(out io.Writer) error {
	err := table.Fields(out, [2]string{"egress", table.Word(e.Egress)}, [2]string{"kind", table.Text(e.Kind)}, [2]string{"delivery", table.Text(e.Delivery)}, [2]string{"declared", yesOrNo(e.Declared)},
		[2]string{"outbox", fmt.Sprintf("%s, %s, the oldest for %s", plural(e.Outbox.Outputs, "output", "outputs"), table.Bytes(e.Outbox.Bytes), ageOrNone(e.Outbox.OldestSeconds))},
		[2]string{"conditions", texts(e.Conditions)})
	if err != nil || len(e.Lanes) == 0 {
		return err
	}
	fmt.Fprintln(out)
	w := table.New(out, "LANE", "NEXT", "DELIVERED", "STORED FROM", "STARTED", "HALTED")
	for _, l := range e.Lanes {
		halted := table.None
		switch {
		case l.Halted != nil && slices.Contains(e.Conditions, answeredText(*l.Halted)):
			halted = "stands still" // why stands above
		case l.Halted != nil:
			halted = table.Text(*l.Halted)
		}
		if err := w.Row(decimal(l.Slot), decimal(l.Next), positionOrNone(l.Delivered), positionOrNone(l.StoredFrom), yesOrNo(l.Started), halted); err != nil {
			return err
		}
	}
	return w.Flush()
}

func positionOrNone(n *uint64) string {
	if n == nil {
		return table.None
	}
	return decimal(*n)
}

func newDecide() *cobra.Command {
	var a asking
	var lane uint32
	var deliver string
	cmd := &cobra.Command{
		Use:   "decide NAMESPACE/NAME --deliver stored|new|NUMBER",
		Short: "Decide where a lane goes on that stands still because nobody knows what was delivered",
		Long: `decide lets a lane go on whose cursor is lost, or whose store is older than what was delivered. What was delivered before nobody knows but you:
  stored   all outputs that the store keeps: some may be delivered twice
  new      only what comes from now on: what is stored and was not delivered is lost
  NUMBER   from that output on; "gateway egresses NAME" shows the numbers
It asks first, and wants --yes where nobody can be asked.`,
		Example: `  gateway egresses shop/receipts
  gateway egresses decide shop/receipts --deliver stored
  gateway egresses decide shop/receipts --lane 0 --deliver 4711 --yes`,
		Args:              arguments(1, 1, "the name of one egress, as NAMESPACE/NAME"),
		ValidArgsFunction: a.completeNames(egressesPath, "egress"),
	}
	a.registerSilent(cmd)
	cmd.Flags().Uint32Var(&lane, "lane", 0, "number of the lane")
	cmd.Flags().StringVar(&deliver, "deliver", "", "stored, new, or the number of the first output to deliver")
	_ = cmd.RegisterFlagCompletionFunc("deliver", cobra.FixedCompletions([]string{"stored\tall that the store keeps; some may come twice", "new\tonly what comes from now on"}, cobra.ShellCompDirectiveNoFileComp))
	yes := registerYes(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f, err := typeName(args[0])
		if err != nil {
			return err
		}
		name := table.Word(f.String())
		var body any = deliver
		var warning string
		switch n, err := strconv.ParseUint(deliver, 10, 63); {
		case deliver == "stored":
			warning = "All outputs of lane %d of %s that are stored are delivered: some may come twice"
		case deliver == "new":
			warning = "What is stored of lane %d of %s is never delivered: some may be missing"
		case err != nil:
			return usage("flag --deliver: want stored, new or the number of an output")
		default:
			body, warning = n, "Lane %d of %s goes on with output "+deliver+": those before it are not delivered, those from it on may come twice"
		}
		return a.run(cmd, func(ctx context.Context, c *client.Client, out io.Writer) error {
			if !*yes {
				if err := standsStill(ctx, c, f, lane); err != nil {
					return err
				}
				if err := confirm(cmd, false, fmt.Sprintf(warning, lane, name)); err != nil {
					return err
				}
			}
			path := client.Path("v1", "egresses", f.Namespace, f.Name, "lanes", strconv.FormatUint(uint64(lane), 10), "decide")
			if _, err := c.Do(ctx, client.Request{Method: http.MethodPost, Path: path, Body: map[string]any{"deliver": body}}); err != nil {
				return err
			}
			_, err := fmt.Fprintf(out, "lane %d of %s goes on\n", lane, name)
			return err
		})
	}
	return cmd
}

// standsStill reports why nothing is to be decided about a lane; nil: it waits for that.
func standsStill(ctx context.Context, c *client.Client, f api.FunctionType, lane uint32) error {
	var e answeredEgress
	if err := c.Get(ctx, client.Path("v1", "egresses", f.Namespace, f.Name), nil, &e); err != nil {
		return err
	}
	for _, l := range e.Lanes {
		if l.Slot == int64(lane) && l.Halted != nil {
			return nil
		}
	}
	return fmt.Errorf("lane %d of egress %s does not stand still: there is nothing to decide\nlook at it: gateway egresses %s", lane, table.Word(f.String()), table.Word(f.String()))
}
