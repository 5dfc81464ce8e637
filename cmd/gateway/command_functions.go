package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/client"
	"github.com/stategate/stategate/cmd/gateway/internal/table"
)

const functionsPath = "/v1/functions"

func newFunctions() *cobra.Command {
	var a asking
	cmd := &cobra.Command{
		Use:   "functions [NAMESPACE/NAME]",
		Short: "List functions and what waits for them; pause and resume them",
		Example: `  gateway functions
  gateway functions shop/cart
  gateway functions pause shop/cart
  gateway functions resume shop/cart`,
		Args:              orVerb(arguments(0, 1, "at most one name, as NAMESPACE/NAME")),
		ValidArgsFunction: a.completeNames(functionsPath, "function"),
	}
	a.register(cmd)
	a.registerLimit(cmd)
	a.registerWatch(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return a.run(cmd, func(ctx context.Context, c *client.Client, out io.Writer) error {
				return list(ctx, &a, c, out, cmd.ErrOrStderr(), functionList())
			})
		}
		f, err := typeName(args[0])
		if err != nil {
			return err
		}
		return a.run(cmd, func(ctx context.Context, c *client.Client, out io.Writer) error {
			return one(ctx, &a, c, out, client.Request{Path: client.Path("v1", "functions", f.Namespace, f.Name)}, func(f answeredFunction) error { return f.write(out) })
		})
	}
	cmd.AddCommand(
		newPauseOf("pause", "functions", "function", "Start no more calls to any address of a function: its messages wait", functionsPath),
		newPauseOf("resume", "functions", "function", "Call the addresses of a function again", functionsPath),
	)
	return cmd
}

// answeredFunction is a function of the module, or of what the store keeps.
type answeredFunction struct {
	Function  string
	Declared  bool
	At        string
	Endpoint  string
	Fault     string // why no call can be made
	Endpoints []struct {
		Endpoint               string
		Open                   bool
		Outages, Calls, Queued int64
	}
	Transport *struct {
		CallSeconds, ConnectSeconds float64
	}
	OnFailure string
	States    []struct {
		Name, TypeName, Expiration string
		TTLSeconds                 float64
	}
	Waiting     answeredWaiting
	Paused      json.RawMessage
	DeadLetters int64
}

type answeredWaiting struct {
	Messages, Bytes             int64
	OldestSeconds               float64
	Failing, Stuck, Attempts    int64
	FailingSeconds, CallSeconds float64
}

func functionList() listing[answeredFunction] {
	return listing[answeredFunction]{
		path: functionsPath, head: []string{"FUNCTION", "MESSAGES", "OLDEST", "FAILING", "STUCK", "DEAD", "NOTES"}, none: "there is no function",
		row: func(f answeredFunction) []string {
			return []string{table.Word(f.Function), table.Count(f.Waiting.Messages), ageOrNone(f.Waiting.OldestSeconds), table.Count(f.Waiting.Failing), table.Count(f.Waiting.Stuck),
				table.Count(f.DeadLetters), f.notes()}
		},
	}
}

func (f *answeredFunction) notes() string {
	var notes []string
	if !f.Declared {
		notes = append(notes, "not declared")
	}
	if paused(f.Paused) != nil {
		notes = append(notes, "paused")
	}
	for _, e := range f.Endpoints {
		if e.Open {
			notes = append(notes, "down: "+table.Text(e.Endpoint))
		}
	}
	return orNone(strings.Join(notes, ", "))
}

// endpointsShown bounds the lines of endpoints: a template may name one for each function.
const endpointsShown = 20

func (f *answeredFunction) write(out io.Writer) error {
	pairs := [][2]string{
		{"function", table.Word(f.Function)}, {"declared", orElse(table.Text(f.At), yesOrNo(f.Declared))}, {"paused", pausedText(f.Paused, true)}, {"endpoint", table.Text(f.Endpoint)},
		{"fault", table.Text(f.Fault)}, {"time-outs", f.timeouts()}, {"onFailure", table.Text(f.OnFailure)},
		{"messages", fmt.Sprintf("%d, %s", f.Waiting.Messages, table.Bytes(f.Waiting.Bytes))}, {"oldest", ageOrNone(f.Waiting.OldestSeconds)},
		{"failing", f.Waiting.failing()}, {"oldest call", ageOrNone(f.Waiting.CallSeconds)},
		{"dead letters", decimal(f.DeadLetters)},
	}
	for i, e := range f.Endpoints {
		if i == endpointsShown {
			pairs = append(pairs, [2]string{"", fmt.Sprintf("and %d more endpoints", len(f.Endpoints)-i)})
			break
		}
		state := "which is not known to be down"
		if e.Open {
			state = "which is down, and tried by itself"
		}
		pairs = append(pairs, [2]string{"calls", fmt.Sprintf("%d are out to %s, %s; %s", e.Calls, table.Text(e.Endpoint), state, plural(e.Queued, "address queues", "addresses queue"))})
	}
	for _, s := range f.States {
		text := table.Word(s.Name) + " " + table.Word(s.TypeName)
		if s.TTLSeconds > 0 {
			text += " expires " + table.Age(s.TTLSeconds) + " " + table.Text(s.Expiration)
		}
		pairs = append(pairs, [2]string{"state", text})
	}
	return table.Fields(out, pairs...)
}

func (f *answeredFunction) timeouts() string {
	if f.Transport == nil {
		return ""
	}
	return fmt.Sprintf("%s for an attempt, and until an address counts as stuck; %s to connect", table.Age(f.Transport.CallSeconds), table.Age(f.Transport.ConnectSeconds))
}

func (w *answeredWaiting) failing() string {
	text := fmt.Sprintf("%s, %d of them for longer than their budget", plural(w.Failing, "address", "addresses"), w.Stuck)
	if w.Failing > 0 {
		text += fmt.Sprintf("; for up to %s and %s", table.Age(w.FailingSeconds), plural(w.Attempts, "attempt", "attempts"))
	}
	return text
}

// exampleOf is what each kind of thing is named in examples.
var exampleOf = map[string]string{"function": "shop/cart", "ingress": "shop/orders", "egress": "shop/receipts"}

// newPauseOf is a verb of a noun: pause or resume.
func newPauseOf(verb, noun, what, short, path string) *cobra.Command {
	var a asking
	cmd := &cobra.Command{
		Use:               verb + " NAMESPACE/NAME",
		Short:             short,
		Example:           fmt.Sprintf("  gateway %s %s %s", noun, verb, exampleOf[what]),
		Args:              arguments(1, 1, "the name of one "+what+", as NAMESPACE/NAME"),
		ValidArgsFunction: a.completeNames(path, what),
	}
	a.registerSilent(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f, err := typeName(args[0])
		if err != nil {
			return err
		}
		return a.run(cmd, func(ctx context.Context, c *client.Client, out io.Writer) error {
			answer, err := c.Do(ctx, client.Request{Method: http.MethodPost, Path: client.Path("v1", noun, f.Namespace, f.Name, verb)})
			if err != nil {
				return err
			}
			text := what + " " + table.Word(f.String()) + " is " + verb + "d"
			var said struct {
				answeredResume
				Known *bool
				Near  string
			}
			if err := answer.Into(&said); err != nil {
				said.Known, said.Changed = nil, nil // it is done, whatever else was to be said
			}
			if said.Known != nil && !*said.Known {
				fmt.Fprintf(cmd.ErrOrStderr(), "no message has come for %s %s since the gateway began to work, and nothing is kept for it: is the name right?\n", what, table.Word(f.String()))
			}
			if said.nothing() {
				text = what + " " + table.Word(f.String()) + nothingToResume
				if said.Near != "" {
					text += "; did you mean " + table.Word(said.Near) + "?"
				}
			}
			_, err = fmt.Fprintln(out, text)
			return err
		})
	}
	return cmd
}

// answeredResume says whether there was a pause to end.
type answeredResume struct{ Changed *bool }

func (r answeredResume) nothing() bool { return r.Changed != nil && !*r.Changed }

const nothingToResume = " is not paused; there is nothing to resume"

// change asks for a change and says that it is made.
func (a *asking) change(cmd *cobra.Command, r client.Request, done string) error {
	return a.run(cmd, func(ctx context.Context, c *client.Client, out io.Writer) error {
		if _, err := c.Do(ctx, r); err != nil {
			return err
		}
		_, err := fmt.Fprintln(out, done)
		return err
	})
}

func ageOrNone(seconds float64) string {
	if seconds == 0 {
		return table.None
	}
	return table.Age(seconds)
}

func orNone(text string) string { return orElse(text, table.None) }

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

func yesOrNo(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}

// functionArgument completes the first argument by a function, for addresses.
func (a *asking) functionArgument() cobra.CompletionFunc {
	return a.completeNames(functionsPath, "function")
}

func addressText(a api.Address) string { return table.Address(a.Type.String(), a.ID) }
