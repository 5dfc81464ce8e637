package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/client"
	"github.com/stategate/stategate/cmd/gateway/internal/table"
)

const deadLettersPath = "/v1/deadletters"

func newDeadLetters() *cobra.Command {
	var a asking
	var from selection
	cmd := &cobra.Command{
		Use:   "deadletters",
		Short: "List what was set aside; show it, replay it, discard it",
		Example: `  gateway deadletters
  gateway deadletters --function shop/cart --limit 20
  gateway deadletters show 17
  gateway deadletters replay --function shop/cart
  gateway deadletters discard 17 18`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownVerb(cmd, args[0])
			}
			return nil
		},
	}
	a.register(cmd)
	a.registerLimit(cmd)
	from.register(cmd, &a)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		query, err := from.query()
		if err != nil {
			return err
		}
		return a.run(cmd, func(ctx context.Context, c *client.Client, out io.Writer) error {
			return list(ctx, &a, c, out, cmd.ErrOrStderr(), deadLetterList(query, time.Now()))
		})
	}
	cmd.AddCommand(newDeadLettersShow(), newReplay(), newDiscard(), newDeadLetterTotals())
	return cmd
}

// selection says which dead letters are meant: of one origin, or all; of one reason, or any.
type selection struct {
	function, ingress, egress, reason string
	all                               bool
}

func (s *selection) register(cmd *cobra.Command, a *asking) {
	cmd.Flags().StringVar(&s.function, "function", "", "those of this function, NAMESPACE/NAME")
	cmd.Flags().StringVar(&s.ingress, "ingress", "", "those of this ingress, NAMESPACE/NAME")
	cmd.Flags().StringVar(&s.egress, "egress", "", "those of this egress, NAMESPACE/NAME")
	cmd.Flags().StringVar(&s.reason, "reason", "", "those with this reason, such as \"function keeps failing\"")
	a.completeFlag(cmd, "function", functionsPath, "function")
	a.completeFlag(cmd, "ingress", ingressesPath, "ingress")
	a.completeFlag(cmd, "egress", egressesPath, "egress")
}

// origin is the kind of the one origin that is chosen, and its name; both "" for none.
func (s *selection) origin() (kind, name string, err error) {
	for _, o := range [][2]string{{"function", s.function}, {"ingress", s.ingress}, {"egress", s.egress}} {
		switch {
		case o[1] == "":
			continue
		case kind != "" || s.all:
			return "", "", usage("want one of --function, --ingress, --egress and --all")
		}
		kind, name = o[0], o[1]
		if _, err := typeName(name); err != nil {
			return "", "", usage("flag --%s: want NAMESPACE/NAME", kind)
		}
	}
	return kind, name, nil
}

func (s *selection) query() (url.Values, error) {
	kind, name, err := s.origin()
	query := url.Values{}
	if kind != "" {
		query.Set(kind, name)
	}
	if s.reason != "" {
		query.Set("reason", s.reason)
	}
	return query, err
}

// answeredDeadLetter is one of them.
type answeredDeadLetter struct {
	answeredPayload
	Number          uint64
	Kind, From      string
	Target          *string // nil: the one it comes from
	Origin          *answeredOrigin
	Reason, Detail  string
	At              string
	Source          *answeredSource
	LaneNumber      *int64
	Address, Caller *answeredAddress
	Key             *string // base64
	ValueBytes      int64
	Headers         []struct {
		Key   string
		Value *string
	}
}

// answeredOrigin is by what a letter is counted, and asked for.
type answeredOrigin struct{ Kind, Name string }

// origin is how the flags of commands name where a letter comes from.
func (d *answeredDeadLetter) origin() string {
	if d.Origin == nil || d.Origin.Name == "" {
		return table.Word(d.From)
	}
	return table.Text(d.Origin.Kind) + " " + table.Word(d.Origin.Name)
}

type answeredSource struct {
	Ingress, Topic    string
	Partition, Offset int64
}

const noSuchLetters = "there are no such dead letters"

func deadLetterList(query url.Values, now time.Time) listing[answeredDeadLetter] {
	return listing[answeredDeadLetter]{
		path: deadLettersPath, query: query, head: []string{"NUMBER", "AGE", "KIND", "FROM", "REASON", "ADDRESS", "BYTES", "DETAIL"}, none: noSuchLetters,
		row: func(d answeredDeadLetter) []string {
			return []string{decimal(d.Number), table.Since(d.At, now), table.Text(d.Kind), d.origin(), table.Text(d.Reason), d.Address.text(), decimal(max(d.ValueBytes, d.Bytes)), table.Short(d.Detail, 120)}
		},
	}
}

func newDeadLettersShow() *cobra.Command {
	var a asking
	cmd := &cobra.Command{
		Use:   "show NUMBER",
		Short: "Show one dead letter with its value, decoded where its type is known",
		Example: `  gateway deadletters show 17
  gateway deadletters show 17 -o json | jq .value`,
		Args: arguments(1, 1, "the number of one dead letter"), ValidArgsFunction: a.letterArguments(),
	}
	a.register(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		number, err := letterNumber(args[0])
		if err != nil {
			return err
		}
		return a.run(cmd, func(ctx context.Context, c *client.Client, out io.Writer) error {
			return one(ctx, &a, c, out, client.Request{Path: letterPath(number)}, func(d answeredDeadLetter) error { return d.write(out) })
		})
	}
	return cmd
}

func letterNumber(text string) (uint64, error) {
	number, err := strconv.ParseUint(text, 10, 63)
	if err != nil || number == 0 {
		return 0, usage("want numbers of dead letters; gateway deadletters lists them")
	}
	return number, nil
}

func letterPath(number uint64, of ...string) string {
	return client.Path(append([]string{"v1", "deadletters", strconv.FormatUint(number, 10)}, of...)...)
}

func (d *answeredDeadLetter) write(out io.Writer) error {
	pairs := [][2]string{
		{"number", decimal(d.Number)}, {"at", table.Time(d.At)}, {"kind", table.Text(d.Kind)}, {"from", d.origin()}, {"reason", table.Text(d.Reason)},
		{"detail", table.Short(d.Detail, valueShownAlone)}, {"address", d.Address.text()}, {"caller", d.Caller.text()},
	}
	if d.Target != nil {
		pairs = append(pairs, [2]string{"for", table.Word(*d.Target)})
	}
	if s := d.Source; s != nil {
		pairs = append(pairs, [2]string{"source", fmt.Sprintf("%s %s/%d offset %d", table.Word(s.Ingress), table.Word(s.Topic), s.Partition, s.Offset)})
	}
	if d.LaneNumber != nil {
		pairs = append(pairs, [2]string{"lane number", decimal(*d.LaneNumber)})
	}
	if d.Key != nil {
		pairs = append(pairs, [2]string{"key", "base64 " + table.Short(*d.Key, valueShownAlone)})
	}
	for _, h := range d.Headers {
		value := table.None
		if h.Value != nil {
			value = "base64 " + table.Short(*h.Value, valueShown)
		}
		pairs = append(pairs, [2]string{"header", table.Word(h.Key) + " " + value})
	}
	pairs = append(pairs, [2]string{"type", table.Text(d.TypeName)}, [2]string{"bytes", decimal(max(d.ValueBytes, d.Bytes))}, [2]string{"value", d.text(valueShownAlone)})
	return table.Fields(out, pairs...)
}

func newDeadLetterTotals() *cobra.Command {
	var a asking
	cmd := &cobra.Command{
		Use:     "totals",
		Short:   "Tell how many there are of each ingress, function and egress",
		Example: `  gateway deadletters totals`,
		Args:    noArguments,
	}
	a.register(cmd)
	a.registerLimit(cmd)
	a.registerWatch(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.run(cmd, func(ctx context.Context, c *client.Client, out io.Writer) error {
			return list(ctx, &a, c, out, cmd.ErrOrStderr(), listing[answeredTotal]{
				path: totalsPath, whole: true, head: []string{"KIND", "NAME", "LETTERS", "BYTES"}, none: "there are no dead letters",
				row: func(t answeredTotal) []string {
					return []string{table.Text(t.Origin.Kind), table.Word(t.Origin.Name), decimal(t.Letters), table.Bytes(t.Bytes)}
				},
			})
		})
	}
	return cmd
}

const (
	totalsPath = deadLettersPath + "/totals"
	newestPath = deadLettersPath + "/newest"
)

// answeredTotal is how many dead letters of one origin there are.
type answeredTotal struct {
	Origin         struct{ Kind, Name string }
	Letters, Bytes int64
}

// eachLetter does something to one dead letter after the other, and says what came of those that it could not be done to.
// ask is whether it is meant; nil: it is.
func (a *asking) eachLetter(cmd *cobra.Command, numbers []string, done string, ask func(ctx context.Context, c *client.Client) error, do func(ctx context.Context, c *client.Client, number uint64) error) error {
	all := make([]uint64, len(numbers))
	for i, text := range numbers {
		var err error
		if all[i], err = letterNumber(text); err != nil {
			return err
		}
	}
	return a.run(cmd, func(ctx context.Context, c *client.Client, out io.Writer) error {
		if ask != nil {
			if err := ask(ctx, c); err != nil {
				return err
			}
		}
		failed := false
		for i, number := range all {
			err := inCommands(do(ctx, c, number))
			var problem *client.Problem
			switch {
			case err == nil:
				fmt.Fprintf(out, "dead letter %d is %s\n", number, done)
			case errors.As(err, &problem) && problem.Status < http.StatusInternalServerError && problem.Status != http.StatusUnauthorized && problem.Status != http.StatusForbidden:
				failed = true
				name, text := fmt.Sprintf("dead letter %d", number), table.Text(strings.ReplaceAll(err.Error(), "\n", "; "))
				if !strings.HasPrefix(text, name) {
					text = name + ": " + text
				}
				fmt.Fprintf(cmd.ErrOrStderr(), "gateway: %s\n", text)
			case len(all) > 1:
				return fmt.Errorf("dead letter %d, after %d of %d: %w", number, i, len(all), err)
			default:
				return err
			}
		}
		if failed {
			return errReported
		}
		return nil
	})
}

// toAddress reads an address as one word, NAMESPACE/NAME/ID: an id may hold slashes.
func toAddress(text string) (a api.Address, err error) {
	parts := strings.SplitN(text, "/", 3)
	if len(parts) < 3 || parts[1] == "" {
		return a, usage("flag --to: want NAMESPACE/NAME/ID")
	}
	a = api.Address{Type: api.FunctionType{Namespace: parts[0], Name: parts[1]}, ID: parts[2]}
	if err := api.CheckAddress(a); err != nil {
		return a, usage("flag --to: %v", err)
	}
	return a, nil
}
