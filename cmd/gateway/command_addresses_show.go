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

func newAddressesShow() *cobra.Command {
	var a asking
	cmd := &cobra.Command{
		Use:   "show NAMESPACE/NAME ID",
		Short: "Show one address: state, mailbox, call, timers, last error",
		Example: `  gateway addresses show shop/cart ada
  gateway addresses show shop/cart ada -o json | jq .lastError`,
		Args: arguments(2, 2, "a function and an id: NAMESPACE/NAME ID"), ValidArgsFunction: a.addressArguments(),
	}
	a.register(cmd)
	a.registerWatch(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		address, err := addressOf(args)
		if err != nil {
			return err
		}
		path, query := client.AddressPath(address)
		return a.run(cmd, func(ctx context.Context, c *client.Client, out io.Writer) error {
			return one(ctx, &a, c, out, client.Request{Path: path, Query: query}, func(v answeredView) error { return v.write(out, time.Now()) })
		})
	}
	return cmd
}

// answeredView is one address.
type answeredView struct {
	Address            answeredAddress
	Shard              int64
	Role               string
	Declared, InMemory bool
	Phase              string
	State              []answeredState
	Mailbox            answeredMailbox
	Call               *answeredCall
	Failure            *answeredFailure
	LastError          string
	Timers             []answeredTimer
	TimersComplete     *bool
	Paused             json.RawMessage
}

type answeredState struct {
	answeredPayload
	Name, Version    string
	Touched, Expires string
	Committed        *bool // false: memory is ahead of the store
	Stored           *struct {
		answeredPayload
		Version string
	}
}

type answeredMailbox struct {
	Messages *int64
	Stored   int64
	Front    *answeredFront
}

func (m *answeredMailbox) text(standby bool) string {
	switch {
	case m.Messages == nil && !standby:
		return fmt.Sprintf("%d that are stored by address; whether others wait is not known: the function is not declared, and has too many addresses", m.Stored)
	case m.Messages == nil:
		return fmt.Sprintf("%d that are stored by address; those that wait in memory, and are stored too, the gateway that works can tell", m.Stored)
	case m.Stored == 0:
		return decimal(*m.Messages)
	}
	return fmt.Sprintf("%d, %d of them in the store alone", *m.Messages, m.Stored)
}

type answeredFront struct {
	answeredPayload
	Number uint64
	Caller *answeredAddress
	Since  string
}

func (f *answeredFront) text() string {
	text := fmt.Sprintf("message %d: %s of %s", f.Number, table.Word(f.TypeName), table.Bytes(f.Bytes))
	if f.Caller != nil {
		text += " from " + f.Caller.text()
	}
	if f.Since != "" {
		text += ", since " + table.Time(f.Since)
	}
	if len(f.Value) > 0 && string(f.Value) != "null" {
		text += ": " + f.answeredPayload.text(valueShown)
	}
	return text
}

type answeredCall struct {
	RunningSeconds float64
	Attempt        int64
}

func (c *answeredCall) text() string {
	if c == nil {
		return ""
	}
	return fmt.Sprintf("out for %s, attempt %d", table.Age(c.RunningSeconds), c.Attempt)
}

type answeredFailure struct {
	FailedForSeconds float64
	Attempts         int64
	NextAttempt      string
	BudgetIsUsed     bool
}

func (f *answeredFailure) text(now time.Time) string {
	if f == nil {
		return ""
	}
	text := fmt.Sprintf("for %s, %s", table.Age(f.FailedForSeconds), plural(f.Attempts, "attempt", "attempts"))
	if f.NextAttempt != "" {
		text += ", the next in " + table.Until(f.NextAttempt, now)
	}
	if f.BudgetIsUsed {
		text += "; longer than its budget"
	}
	return text
}

// nothing: an address that nothing was ever sent to looks so, and one whose name is mistyped.
func (v *answeredView) nothing() bool {
	empty := v.Mailbox.Stored == 0 && v.Mailbox.Messages != nil && *v.Mailbox.Messages == 0 // of a standby it is not known
	return empty && len(v.State) == 0 && len(v.Timers) == 0 && v.Call == nil && v.Failure == nil && v.Mailbox.Front == nil
}

// pausedText says which command ends the pause of its function, since that of an address does not.
func (v *answeredView) pausedText() string {
	text := pausedText(v.Paused, true)
	if p := paused(v.Paused); p != nil && p.Of == "function" {
		text += ", with its function: gateway functions resume " + table.Word(v.Address.function())
	}
	return text
}

func (v *answeredView) write(out io.Writer, now time.Time) error {
	pairs := [][2]string{{"address", v.Address.text()}, {"paused", v.pausedText()}}
	if !v.Declared {
		pairs = append(pairs, [2]string{"declared", "no: the module says of no endpoint that serves the function"})
	}
	pairs = append(pairs, [2]string{"phase", table.Text(v.Phase)}, [2]string{"messages", v.Mailbox.text(v.Role == "standby")})
	if v.Mailbox.Front != nil {
		pairs = append(pairs, [2]string{"front", v.Mailbox.Front.text()})
	}
	pairs = append(pairs, [2]string{"call", v.Call.text()}, [2]string{"failing", v.Failure.text(now)}, [2]string{"last error", table.Short(v.LastError, valueShownAlone)}, [2]string{"shard", decimal(v.Shard)})
	if v.nothing() {
		pairs = append(pairs, [2]string{"known", "nothing: it has no state, no message and no timer, now"})
	}
	if v.Role == "standby" {
		pairs = append(pairs, [2]string{"role", "standby: what waits in memory is known to the gateway that works"})
	}
	if err := table.Fields(out, pairs...); err != nil {
		return err
	}
	if len(v.State) > 0 {
		fmt.Fprintln(out)
		if err := writeStates(out, v.State, now); err != nil {
			return err
		}
	}
	if len(v.Timers) == 0 {
		return nil
	}
	fmt.Fprintln(out)
	l := timerList(nil, now)
	w := table.New(out, l.head...)
	for _, t := range v.Timers {
		if err := w.Row(l.row(t)...); err != nil {
			return err
		}
	}
	if v.TimersComplete != nil && !*v.TimersComplete {
		if err := w.Note("there may be more: gateway timers lists all"); err != nil {
			return err
		}
	}
	return w.Flush()
}

// storedText is what the store has while memory is ahead of it.
func (s *answeredState) storedText() string {
	if s.Stored == nil || s.Stored.Version == "" {
		return "nothing"
	}
	return s.Stored.text(valueShown)
}

func writeStates(out io.Writer, states []answeredState, now time.Time) error {
	w := table.New(out, "STATE", "TYPE", "BYTES", "VERSION", "EXPIRES", "VALUE")
	for i := range states {
		s := &states[i]
		expires := table.None
		if s.Expires != "" {
			expires = "in " + table.Until(s.Expires, now)
		}
		value := s.text(valueShown)
		if s.Committed != nil && !*s.Committed {
			value += " (not committed yet; stored is " + s.storedText() + ")"
		}
		if err := w.Row(table.Word(s.Name), table.Word(s.TypeName), decimal(s.Bytes), orNone(table.Text(s.Version)), expires, value); err != nil {
			return err
		}
	}
	return w.Flush()
}
