package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/stategate/stategate/cmd/gateway/internal/client"
	"github.com/stategate/stategate/cmd/gateway/internal/table"
)

func newReplay() *cobra.Command {
	var a asking
	var which selection
	var to string
	cmd := &cobra.Command{
		Use:   "replay NUMBER... | --function NAME | --ingress NAME | --egress NAME | --all",
		Short: "Give dead letters back to where they were set aside, each exactly once",
		Long: `replay sends messages to their functions again, records to the functions that they are for, and outputs to their egress; what is replayed is
no dead letter any more. Mend the cause first: what fails again is set aside again, and not replayed twice by one command. Many are replayed in
batches; Ctrl-C stops after the one that is running. Before many are replayed it asks, about what is there then, and wants --yes where nobody can be asked; those that are named
by their numbers are meant.`,
		Example: `  gateway deadletters replay 17 18
  gateway deadletters replay 19 --to shop/cart/ada
  gateway deadletters replay --function shop/cart --reason "function keeps failing" --yes
  gateway deadletters replay --all --yes`,
		ValidArgsFunction: a.letterArguments(),
	}
	a.registerSilent(cmd)
	which.register(cmd, &a)
	cmd.Flags().BoolVar(&which.all, "all", false, "those of every origin")
	cmd.Flags().StringVar(&to, "to", "", "address for one record that names none that can be used, NAMESPACE/NAME/ID")
	yes := registerYes(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if many, err := which.many(cmd, args); many || err != nil {
			switch {
			case err != nil:
				return err
			case to != "":
				return usage("--to is for one dead letter, by its number")
			}
			b := bulk{asking: &a, verb: "replay", done: "replayed", which: which}
			return b.run(cmd, *yes)
		}
		var body any
		if to != "" {
			if len(args) != 1 {
				return usage("--to is for one dead letter; got %s", number(len(args), "number"))
			}
			address, err := toAddress(to)
			if err != nil {
				return err
			}
			body = map[string]any{"to": map[string]string{"namespace": address.Type.Namespace, "name": address.Type.Name, "id": address.ID}}
		}
		return a.eachLetter(cmd, args, "replayed", nil, func(ctx context.Context, c *client.Client, number uint64) error {
			_, err := c.Do(ctx, client.Request{Method: http.MethodPost, Path: letterPath(number, "replay"), Body: body})
			return err
		})
	}
	return cmd
}

func newDiscard() *cobra.Command {
	var a asking
	var which selection
	cmd := &cobra.Command{
		Use:   "discard NUMBER... | --function NAME | --ingress NAME | --egress NAME | --all",
		Short: "Remove dead letters for good",
		Long: `discard removes dead letters: nobody gets them back. Who waited for their room goes on at once. Many are discarded in batches; Ctrl-C
stops after the one that is running. It asks first, about what is there then, and wants --yes where nobody can be asked.`,
		Example: `  gateway deadletters discard 17 18
  gateway deadletters discard --ingress shop/orders --reason "null key" --yes`,
		ValidArgsFunction: a.letterArguments(),
	}
	a.registerSilent(cmd)
	which.register(cmd, &a)
	cmd.Flags().BoolVar(&which.all, "all", false, "those of every origin")
	yes := registerYes(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if many, err := which.many(cmd, args); many || err != nil {
			if err != nil {
				return err
			}
			b := bulk{asking: &a, verb: "discard", done: "discarded", which: which}
			return b.run(cmd, *yes)
		}
		return a.eachLetter(cmd, args, "discarded", a.askDiscard(cmd, args, *yes), func(ctx context.Context, c *client.Client, number uint64) error {
			_, err := c.Do(ctx, client.Request{Method: http.MethodDelete, Path: letterPath(number)})
			return err
		})
	}
	return cmd
}

// askDiscard asks whether letters are to go for good. One that is named alone is shown first.
func (a *asking) askDiscard(cmd *cobra.Command, numbers []string, yes bool) func(ctx context.Context, c *client.Client) error {
	return func(ctx context.Context, c *client.Client) error {
		if yes {
			return nil
		}
		what := fmt.Sprintf("Discard %d dead letters for good", len(numbers))
		if len(numbers) == 1 {
			number, err := letterNumber(numbers[0])
			if err != nil {
				return err
			}
			var d answeredDeadLetter
			if err := c.Get(ctx, letterPath(number), nil, &d); err != nil {
				return err
			}
			what = fmt.Sprintf("Discard dead letter %d for good: %s from %s, %s", number, table.Text(d.Kind), d.origin(), table.Text(d.Reason))
		}
		return confirm(cmd, false, what)
	}
}

// many reports whether a selection is meant, and not numbers.
func (s *selection) many(cmd *cobra.Command, args []string) (bool, error) {
	kind, _, err := s.origin()
	switch {
	case err != nil:
		return false, err
	case kind == "" && !s.all && len(args) == 0:
		return false, usage("deadletters %s wants numbers, or one of --function, --ingress, --egress and --all", cmd.Name())
	case kind == "" && !s.all && s.reason != "":
		return false, usage("--reason is for --function, --ingress, --egress or --all")
	case (kind != "" || s.all) && len(args) > 0:
		return false, usage("want numbers, or one of --function, --ingress, --egress and --all: not both")
	}
	return kind != "" || s.all, nil
}

// bulk does something to many dead letters, batch by batch.
type bulk struct {
	*asking
	verb, done string
	which      selection
}

// batchLetters is how many a batch looks at: with more at a time the flow beside it waits for their commit, and the whole is not much sooner done.
const batchLetters = 100

// refusedShown is how many of those that could not be replayed are named.
const refusedShown = 20

// answeredBatch is what came of a batch.
type answeredBatch struct {
	Done    int64
	Refused []struct {
		Number uint64
		Why    string
	}
	Next    *string
	Through uint64
}

func (b *bulk) run(cmd *cobra.Command, yes bool) error {
	return b.asking.run(cmd, func(ctx context.Context, c *client.Client, out io.Writer) error {
		kind, name, _ := b.which.origin() // many has looked
		var newest struct{ Number uint64 }
		if !yes { // what is set aside while the question stands is not what it is about
			if err := c.Get(ctx, newestPath, nil, &newest); err != nil {
				return err
			}
		}
		total, err := b.total(ctx, c, kind, name)
		if err != nil {
			return err
		}
		if !yes && (total == 0 || newest.Number == 0) { // there is nothing to be asked about
			fmt.Fprintln(cmd.ErrOrStderr(), noSuchLetters)
			return nil
		}
		if err := confirm(cmd, yes, b.question(kind, name, total)); err != nil {
			return err
		}
		return b.batches(ctx, cmd, c, out, kind, name, total, newest.Number)
	})
}

func (b *bulk) question(kind, name string, total int64) string {
	of := "of every origin"
	if kind != "" {
		of = "of " + kind + " " + table.Word(name)
	}
	verb := map[string]string{"replay": "Replay", "discard": "Discard for good"}[b.verb]
	if b.which.reason != "" {
		return fmt.Sprintf("%s all dead letters %s with the reason %q", verb, of, b.which.reason)
	}
	return fmt.Sprintf("%s %s %s", verb, plural(total, "dead letter", "dead letters"), of)
}

// total is how many there are of the origin, whatever their reasons.
func (b *bulk) total(ctx context.Context, c *client.Client, kind, name string) (n int64, err error) {
	_, err = c.All(ctx, totalsPath, nil, 0, func(raw json.RawMessage) error {
		var t answeredTotal
		if err := (client.Answer{Body: raw}).Into(&t); err != nil {
			return err
		}
		if b.which.all || t.Origin.Kind == kind && t.Origin.Name == name {
			n += t.Letters
		}
		return nil
	})
	return n, err
}

// batches does one after the other, of letters up to the number through; 0: the first batch says up to which. A batch that has begun ends, also when the command is to stop.
func (b *bulk) batches(ctx context.Context, cmd *cobra.Command, c *client.Client, out io.Writer, kind, name string, total int64, through uint64) error {
	body := map[string]any{"limit": batchLetters}
	if through > 0 {
		body["through"] = through
	}
	if kind != "" {
		body[kind] = name
	} else {
		body["all"] = true
	}
	known := total
	if b.which.reason != "" {
		body["reason"] = b.which.reason
		known = 0 // nobody has counted those
	}
	p := newBulkProgress(cmd.ErrOrStderr(), b.done, known)
	var done, refused int64
	for {
		answer, err := b.batch(context.WithoutCancel(ctx), c, body)
		if err != nil {
			p.clear()
			return fmt.Errorf("%w\n%s are %s; what is left can be %s by the same command", err, plural(done, "dead letter", "dead letters"), b.done, b.done)
		}
		done += answer.Done
		for _, r := range answer.Refused {
			if refused++; refused <= refusedShown {
				p.clear()
				fmt.Fprintf(cmd.ErrOrStderr(), "gateway: dead letter %d is left: %s\n", r.Number, table.Text(r.Why))
			}
		}
		p.add(answer.Done + int64(len(answer.Refused)))
		if answer.Next == nil {
			break
		}
		if body["after"] == *answer.Next {
			p.clear()
			return fmt.Errorf("the gateway goes on where it has been; %s are %s", plural(done, "dead letter", "dead letters"), b.done)
		}
		body["after"] = *answer.Next
		if answer.Through > 0 {
			body["through"] = answer.Through // what comes back meanwhile is not taken again
		}
		if ctx.Err() != nil {
			p.clear()
			return fmt.Errorf("interrupted: %s are %s; what is left can be %s by the same command", plural(done, "dead letter", "dead letters"), b.done, b.done)
		}
	}
	p.clear()
	fmt.Fprintf(out, "%s %s in %v\n", b.done, plural(done, "dead letter", "dead letters"), time.Since(p.began).Round(time.Millisecond))
	if refused > 0 {
		return fmt.Errorf("%s left; gateway deadletters shows them", plural(refused, "dead letter is", "dead letters are"))
	}
	return nil
}

func (b *bulk) batch(ctx context.Context, c *client.Client, body map[string]any) (out answeredBatch, err error) {
	answer, err := c.Do(ctx, client.Request{Method: http.MethodPost, Path: client.Path("v1", "deadletters", b.verb), Body: body})
	if err != nil {
		return out, err
	}
	return out, answer.Into(&out)
}

// bulkProgress tells how far it is: on a terminal in one line that changes, elsewhere in a line each few seconds.
type bulkProgress struct {
	out         io.Writer
	verb        string
	total, n    int64
	began, told time.Time
	terminal    bool
	shown       bool
}

// How often it is told, on a terminal and elsewhere.
const (
	bulkShownEvery = 100 * time.Millisecond
	bulkToldEvery  = 5 * time.Second
)

func newBulkProgress(out io.Writer, verb string, total int64) *bulkProgress {
	now := time.Now()
	return &bulkProgress{out: out, verb: verb, total: total, began: now, told: now, terminal: isScreen(out)}
}

func (p *bulkProgress) add(n int64) {
	p.n += n
	now := time.Now()
	if passed := now.Sub(p.told); !p.terminal && passed < bulkToldEvery || p.shown && passed < bulkShownEvery {
		return
	}
	p.told = now
	text := fmt.Sprintf("%s %d", p.verb, p.n)
	if p.total > 0 {
		text += fmt.Sprintf(" of %d", max(p.total, p.n))
	}
	text += fmt.Sprintf(", %.0f/s", float64(p.n)/max(now.Sub(p.began).Seconds(), 0.001))
	if !p.terminal {
		fmt.Fprintln(p.out, text)
		return
	}
	p.shown = true
	fmt.Fprint(p.out, "\r\x1b[K"+text)
}

// clear makes room on a terminal.
func (p *bulkProgress) clear() {
	if p.shown {
		p.shown = false
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
