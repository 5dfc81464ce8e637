package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/client"
	"github.com/stategate/stategate/cmd/gateway/internal/table"
)

func newAddresses() *cobra.Command {
	var a asking
	var prefix string
	var failing bool
	cmd := &cobra.Command{
		Use:   "addresses NAMESPACE/NAME",
		Short: "List the addresses of a function; show, retry, skip, pause and resume one",
		Long: `addresses lists the addresses of a function that have something, by id: states, messages that wait, wherever they are, or a call. Also those of a function
that the module does not declare any more. A gateway that waits knows only of states, and of messages that are stored by address: not of those that wait in
the memory of the one that works. The verbs are for one address, which is named by its function and its id.`,
		Example: `  gateway addresses shop/cart --prefix customer-7
  gateway addresses shop/cart --failing
  gateway addresses show shop/cart ada
  gateway addresses retry shop/cart ada
  gateway addresses skip shop/cart ada --message 17`,
		Args:              orVerb(arguments(1, 1, "the name of a function, as NAMESPACE/NAME")),
		ValidArgsFunction: a.functionArgument(),
	}
	a.register(cmd)
	a.registerLimit(cmd)
	cmd.Flags().BoolVar(&failing, "failing", false, "only those whose last attempt failed, and is made again")
	cmd.Flags().StringVar(&prefix, "prefix", "", "only ids that begin with this")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f, err := typeName(args[0])
		if err != nil {
			return err
		}
		query := url.Values{"function": {f.String()}}
		if prefix != "" {
			query.Set("prefix", prefix)
		}
		if failing {
			query.Set("failing", "true")
		}
		return a.run(cmd, func(ctx context.Context, c *client.Client, out io.Writer) error {
			l := addressList(query, failing)
			if f.Namespace == "" {
				l.none += "\nbefore the slash of " + table.Word(f.String()) + " the namespace is missing: is that meant?"
			}
			return list(ctx, &a, c, out, cmd.ErrOrStderr(), l)
		})
	}
	cmd.AddCommand(
		newAddressesShow(),
		newAddressesVerb("retry", "Try now what waits for the time of its next attempt", "is tried now", itIsDone),
		newAddressesSkip(),
		newAddressesVerb("pause", "Start no more calls to an address: its messages wait", "is paused", itIsDone),
		newAddressesVerb("resume", "Call an address again", "is resumed", resumed),
	)
	return cmd
}

const addressesPath = "/v1/addresses"

// answeredListedAddress is an address in the list.
type answeredListedAddress struct {
	Address   answeredAddress
	InMemory  bool
	Phase     string
	Messages  *int64 // nil: not known
	Stored    int64
	Failing   bool
	Attempts  int64
	LastError string
	Paused    json.RawMessage
}

func addressList(query url.Values, failing bool) listing[answeredListedAddress] {
	none := "no such address has states or messages, as far as this gateway knows; one that waits does not know of messages in the memory of the one that works"
	if failing {
		none = "no such address fails"
	}
	return listing[answeredListedAddress]{
		path: addressesPath, query: query, head: []string{"ID", "MESSAGES", "STORED", "PHASE", "FAILING", "PAUSED", "LAST ERROR"}, none: none,
		row: func(x answeredListedAddress) []string {
			failing, messages := table.None, "?" // of a standby, and of too many to know
			if x.Failing {
				failing = plural(x.Attempts, "attempt", "attempts")
			}
			if x.Messages != nil {
				messages = table.Count(*x.Messages)
			}
			return []string{table.Word(x.Address.ID), messages, table.Count(x.Stored), orNone(table.Text(x.Phase)), failing, pausedText(x.Paused, false), orNone(table.Short(x.LastError, 200))}
		},
	}
}

// newAddressesVerb is a verb for one address. say tells what came of it, which is what was wanted, by what was answered.
func newAddressesVerb(verb, short, wanted string, say func(a api.Address, wanted string, answer client.Answer) string) *cobra.Command {
	var a asking
	cmd := &cobra.Command{
		Use: verb + " NAMESPACE/NAME ID", Short: short, Example: "  gateway addresses " + verb + " shop/cart ada",
		Args: arguments(2, 2, "a function and an id: NAMESPACE/NAME ID"), ValidArgsFunction: a.addressArguments(),
	}
	a.registerSilent(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		address, err := addressOf(args)
		if err != nil {
			return err
		}
		path, query := client.AddressPath(address, verb)
		return a.run(cmd, func(ctx context.Context, c *client.Client, out io.Writer) error {
			answer, err := c.Do(ctx, client.Request{Method: http.MethodPost, Path: path, Query: query})
			if err != nil {
				return resumeFirst(err, address)
			}
			_, err = fmt.Fprintln(out, say(address, wanted, answer))
			return err
		})
	}
	return cmd
}

// itIsDone says no more than that.
func itIsDone(a api.Address, wanted string, _ client.Answer) string {
	return addressText(a) + " " + wanted
}

// resumed says that there was no pause to end, and that an address whose pause has ended is not called all the same.
func resumed(a api.Address, wanted string, answer client.Answer) string {
	var said struct {
		answeredResume
		Near   *answeredAddress
		Paused json.RawMessage
	}
	if answer.Into(&said) != nil {
		return addressText(a) + " " + wanted
	}
	ofFunction := paused(said.Paused) != nil
	command := ": gateway functions resume " + table.Word(a.Type.String())
	switch {
	case said.nothing() && ofFunction:
		return addressText(a) + " is not paused itself, but its function is" + command
	case said.nothing() && said.Near != nil:
		return addressText(a) + nothingToResume + "; did you mean " + said.Near.text() + "?"
	case said.nothing():
		return addressText(a) + nothingToResume
	case ofFunction:
		return addressText(a) + " " + wanted + ", but its function is paused" + command
	}
	return addressText(a) + " " + wanted
}

// resumeFirst says which command resumes what cannot be tried while it is paused.
func resumeFirst(err error, a api.Address) error {
	var p *client.Problem
	switch {
	case !errors.As(err, &p) || p.Remedy != "resume it":
	case strings.HasPrefix(p.Detail, "function "):
		p.Remedy = "gateway functions resume " + table.Word(a.Type.String())
	default:
		p.Remedy = "gateway addresses resume " + typedAddress(a)
	}
	return err
}

// typedAddress is an address as a command takes it: an id that looks like a flag stands behind two dashes.
func typedAddress(a api.Address) string {
	if strings.HasPrefix(a.ID, "-") {
		return "-- " + addressText(a)
	}
	return addressText(a)
}

func newAddressesSkip() *cobra.Command {
	var a asking
	var message string
	cmd := &cobra.Command{
		Use:   "skip NAMESPACE/NAME ID",
		Short: "Set the message at the front aside, so that those behind it go on",
		Long: `skip makes the message at the front of an address a dead letter, exactly once: it can be looked at and replayed later. --message is its number, as "gateway
stuck" and "gateway addresses show" tell it: when another one is at the front meanwhile, nothing is skipped. Without --message it shows the one at the
front and asks on a terminal.`,
		Example: `  gateway addresses show shop/cart ada
  gateway addresses skip shop/cart ada --message 17`,
		Args: arguments(2, 2, "a function and an id: NAMESPACE/NAME ID"), ValidArgsFunction: a.addressArguments(),
	}
	a.registerSilent(cmd)
	cmd.Flags().StringVar(&message, "message", "", "number of the message that is to be at the front")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		address, err := addressOf(args)
		if err != nil {
			return err
		}
		number, err := strconv.ParseUint(message, 10, 63)
		if message != "" && err != nil {
			return usage("flag --message: want the number of a message")
		}
		if message == "" {
			if number, err = a.askFront(cmd, address); err != nil {
				return err
			}
		}
		path, query := client.AddressPath(address, "skip")
		return a.change(cmd, client.Request{Method: http.MethodPost, Path: path, Query: query, Body: map[string]uint64{"message": number}},
			fmt.Sprintf("message %d of %s is set aside; gateway deadletters shows it", number, addressText(address)))
	}
	return cmd
}

// askFront shows the message at the front and asks whether it is to be skipped.
func (a *asking) askFront(cmd *cobra.Command, address api.Address) (number uint64, err error) {
	if !canAsk(cmd) {
		return 0, usage("addresses skip needs --message NUMBER where nobody can be asked; gateway addresses show tells the number")
	}
	c, err := a.open()
	if err != nil {
		return 0, err
	}
	defer c.Close()
	path, query := client.AddressPath(address)
	var shown answeredView
	if err := c.Get(cmd.Context(), path, query, &shown); err != nil {
		return 0, err
	}
	front := shown.Mailbox.Front
	if front == nil {
		return 0, fmt.Errorf("no message is known to be at the front of %s", addressText(address))
	}
	fmt.Fprintln(cmd.ErrOrStderr(), front.text())
	return front.Number, confirm(cmd, false, fmt.Sprintf("Set message %d of %s aside", front.Number, addressText(address)))
}
