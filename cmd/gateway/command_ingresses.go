package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sort"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stategate/stategate/cmd/gateway/internal/client"
	"github.com/stategate/stategate/cmd/gateway/internal/table"
)

const ingressesPath = "/v1/ingresses"

func newIngresses() *cobra.Command {
	var a asking
	cmd := &cobra.Command{
		Use:   "ingresses [NAMESPACE/NAME]",
		Short: "List ingresses with lag and what they wait for; pause, resume and forget them",
		Example: `  gateway ingresses
  gateway ingresses shop/orders
  gateway ingresses pause shop/orders
  gateway ingresses forget shop/orders`,
		Args:              orVerb(arguments(0, 1, "at most one name, as NAMESPACE/NAME")),
		ValidArgsFunction: a.completeNames(ingressesPath, "ingress"),
	}
	a.register(cmd)
	a.registerLimit(cmd)
	a.registerWatch(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return a.run(cmd, func(ctx context.Context, c *client.Client, out io.Writer) error {
				return list(ctx, &a, c, out, cmd.ErrOrStderr(), ingressList())
			})
		}
		f, err := typeName(args[0])
		if err != nil {
			return err
		}
		return a.run(cmd, func(ctx context.Context, c *client.Client, out io.Writer) error {
			return one(ctx, &a, c, out, client.Request{Path: client.Path("v1", "ingresses", f.Namespace, f.Name)}, func(i answeredIngress) error { return i.write(out) })
		})
	}
	cmd.AddCommand(
		newPauseOf("pause", "ingresses", "ingress", "Read no more of an ingress", ingressesPath),
		newPauseOf("resume", "ingresses", "ingress", "Read an ingress again, from where it was", ingressesPath),
		newForget("ingresses", "ingress", ingressesPath, "Forget where an ingress has been that the module no longer declares",
			func(raw json.RawMessage, name string) (declared bool, question string, err error) {
				var i answeredIngress
				err = json.Unmarshal(raw, &i)
				return i.Declared, fmt.Sprintf("Where the %s of ingress %s have been is forgotten: declared again, it begins as though it were new", plural(i.Partitions, "partition", "partitions"), name), err
			}),
	)
	return cmd
}

// answeredIngress is an ingress, with its sources where it was asked for alone.
type answeredIngress struct {
	Ingress, Kind string
	Declared      bool
	Paused        json.RawMessage
	Partitions    int64
	Waiting       map[string]int64 // partitions, by what they wait for
	Lag           *int64
	OldestSeconds float64
	Conditions    []answeredText
	Sources       []struct {
		Topic         string
		Partition     int64
		Position      json.RawMessage
		Finished      json.RawMessage
		Lag           *int64
		OldestSeconds float64
		WaitsFor      string
	}
}

func ingressList() listing[answeredIngress] {
	return listing[answeredIngress]{
		path: ingressesPath, head: []string{"INGRESS", "KIND", "PARTITIONS", "LAG", "OLDEST", "WAITING", "NOTES"}, none: "the module declares no ingress",
		row: func(i answeredIngress) []string {
			return []string{table.Word(i.Ingress), table.Text(i.Kind), table.Count(i.Partitions), numberOrNone(i.Lag), ageOrNone(i.OldestSeconds), i.waiting(),
				notesOf(i.Declared, i.Paused, i.Conditions)}
		},
	}
}

func numberOrNone(n *int64) string {
	if n == nil {
		return table.None
	}
	return decimal(*n)
}

func (i *answeredIngress) waiting() string {
	var said []string
	for cause, n := range i.Waiting {
		if n > 0 {
			said = append(said, fmt.Sprintf("%d %s", n, table.Text(cause)))
		}
	}
	sort.Strings(said)
	return orNone(strings.Join(said, ", "))
}

func notesOf(declared bool, pausedRaw json.RawMessage, conditions []answeredText) string {
	var notes []string
	if !declared {
		notes = append(notes, "not declared")
	}
	if paused(pausedRaw) != nil {
		notes = append(notes, "paused")
	}
	if len(conditions) > 0 {
		notes = append(notes, table.Short(texts(conditions), stuckTextMax))
	}
	return orNone(strings.Join(notes, ", "))
}

func (i *answeredIngress) write(out io.Writer) error {
	err := table.Fields(out, [2]string{"ingress", table.Word(i.Ingress)}, [2]string{"kind", table.Text(i.Kind)}, [2]string{"declared", yesOrNo(i.Declared)},
		[2]string{"paused", pausedText(i.Paused, true)}, [2]string{"lag", numberOrNone(i.Lag)}, [2]string{"oldest", ageOrNone(i.OldestSeconds)}, [2]string{"conditions", texts(i.Conditions)})
	if err != nil || len(i.Sources) == 0 {
		return err
	}
	fmt.Fprintln(out)
	w := table.New(out, "TOPIC", "PARTITION", "POSITION", "FINISHED", "LAG", "OLDEST", "WAITS FOR")
	for _, s := range i.Sources {
		if err := w.Row(table.Word(s.Topic), decimal(s.Partition), scalar(s.Position), table.Short(scalar(s.Finished), valueShown), numberOrNone(s.Lag), ageOrNone(s.OldestSeconds), orNone(table.Text(s.WaitsFor))); err != nil {
			return err
		}
	}
	return w.Flush()
}

// newForget is the verb that removes what the store keeps of something that is gone from the module. look reads what is known of it.
func newForget(noun, what, path, short string, look func(raw json.RawMessage, name string) (declared bool, question string, err error)) *cobra.Command {
	var a asking
	cmd := &cobra.Command{
		Use:               "forget NAMESPACE/NAME",
		Short:             short,
		Long:              short + ". While the module declares it nothing is forgotten. It asks first, and wants --yes where nobody can be asked.",
		Example:           fmt.Sprintf("  gateway %s forget %s\n  gateway %s forget %s --yes", noun, exampleOf[what], noun, exampleOf[what]),
		Args:              arguments(1, 1, "the name of one "+what+", as NAMESPACE/NAME"),
		ValidArgsFunction: a.completeNames(path, what),
	}
	a.registerSilent(cmd)
	yes := registerYes(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f, err := typeName(args[0])
		if err != nil {
			return err
		}
		name := table.Word(f.String())
		return a.run(cmd, func(ctx context.Context, c *client.Client, out io.Writer) error {
			if !*yes {
				var raw json.RawMessage
				if err := c.Get(ctx, client.Path("v1", noun, f.Namespace, f.Name), nil, &raw); err != nil {
					return err
				}
				declared, question, err := look(raw, name)
				switch {
				case err != nil:
					return err
				case declared:
					return fmt.Errorf("the module declares %s %s: nothing is forgotten\ntake it out of the module and start the gateway with that first", what, name)
				}
				if err := confirm(cmd, false, question); err != nil {
					return err
				}
			}
			if _, err := c.Do(ctx, client.Request{Method: http.MethodPost, Path: client.Path("v1", noun, f.Namespace, f.Name, "forget")}); err != nil {
				return err
			}
			_, err := fmt.Fprintf(out, "%s %s is forgotten\n", what, name)
			return err
		})
	}
	return cmd
}
