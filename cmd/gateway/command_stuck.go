package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stategate/stategate/cmd/gateway/internal/client"
	"github.com/stategate/stategate/cmd/gateway/internal/table"
)

func newStuck() *cobra.Command {
	var a asking
	cmd := &cobra.Command{
		Use:   "stuck",
		Short: "Tell what is stuck, for how long and why, and what to do",
		Long: `stuck lists everything that waits longer than it should, the oldest first, each with its cause and below it, behind ->, what to do, mostly
the very command; above that, where it is another one, the command that shows more. An endpoint that is down is one line, however many addresses wait for it. docs/OPERATIONS.md explains the causes.`,
		Example: `  gateway stuck
  gateway stuck --watch
  gateway stuck -o json | jq -r '.[].remedy'`,
		Args: noArguments,
	}
	a.register(cmd)
	a.registerLimit(cmd)
	a.registerWatch(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.run(cmd, func(ctx context.Context, c *client.Client, out io.Writer) error {
			return stuck(ctx, &a, c, out, cmd.ErrOrStderr())
		})
	}
	return cmd
}

const stuckPath = "/v1/stuck"

// answeredStuck is one thing that is stuck.
type answeredStuck struct {
	Cause      string
	Since      *string // nil: nobody knows
	ForSeconds float64
	On         struct {
		Kind, Name string
		Address    *answeredAddress
	}
	Count                   int64
	Text, LastError, Remedy string
	Look                    string // shows more, and mends nothing
}

// on names what it is about, as other commands take it.
func (s *answeredStuck) on() string {
	switch {
	case s.On.Address != nil && s.On.Kind == "address":
		return s.On.Address.text()
	case s.On.Name != "":
		return table.Word(s.On.Name)
	}
	return table.Word(s.On.Kind)
}

// stuckTextMax is how many characters of each text people see.
const stuckTextMax = 400

func (s *answeredStuck) why() string {
	text := table.Short(s.Text, stuckTextMax)
	if s.On.Address != nil && s.On.Kind != "address" {
		text += "; the oldest is " + s.On.Address.text()
	}
	if s.LastError != "" && !strings.Contains(s.Text, s.LastError) {
		text += ": " + table.Short(s.LastError, stuckTextMax)
	}
	return text
}

func stuck(ctx context.Context, a *asking, c *client.Client, out, stderr io.Writer) error {
	if a.isJSON() {
		return listJSON(ctx, c, out, stuckPath, nil, true, a.limit)
	}
	w := table.New(out, "FOR", "CAUSE", "ON", "COUNT", "WHY")
	more, err := c.All(ctx, stuckPath, nil, a.limit, func(raw json.RawMessage) error {
		var s answeredStuck
		if err := (client.Answer{Body: raw}).Into(&s); err != nil {
			return err
		}
		age := table.Age(s.ForSeconds)
		if s.Since == nil && s.ForSeconds == 0 {
			age = table.None
		}
		if err := w.Row(age, table.Word(s.Cause), s.on(), decimal(max(s.Count, 1)), s.why()); err != nil {
			return err
		}
		if s.Look != "" {
			if err := w.Note("          " + table.Text(s.Look)); err != nil {
				return err
			}
		}
		if s.Remedy == "" {
			return nil
		}
		if s.Look != "" && s.Cause == "poisoned" { // else what a slip in the code fails on is soon set aside, too
			if err := w.Note("          mend its function first: it is tried again by itself; set aside only what can never succeed"); err != nil {
				return err
			}
		}
		return w.Note("       -> " + table.Text(s.Remedy))
	})
	if err == nil {
		err = w.Flush()
	}
	switch {
	case err != nil:
		return err
	case w.Empty() && a.watch > 0:
		fmt.Fprintln(out, nothingStuck)
	case w.Empty():
		fmt.Fprintln(stderr, nothingStuck)
	case more:
		fmt.Fprintln(stderr, "there is more: --limit N shows more")
	}
	return nil
}

const nothingStuck = "nothing is stuck"
