package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/client"
	"github.com/stategate/stategate/cmd/gateway/internal/table"
)

// valueBytesMax bounds a value that is given: the gateway takes no larger ones.
const valueBytesMax = 16 << 20

func addressRequest(a api.Address) client.Request {
	path, query := client.AddressPath(a)
	return client.Request{Path: path, Query: query}
}

func stateRequest(a api.Address, state string) client.Request {
	path, query := client.AddressPath(a, "state", state)
	return client.Request{Path: path, Query: query}
}

func withRaw(query url.Values) url.Values {
	out := url.Values{"raw": {"true"}}
	for k, v := range query {
		out[k] = v
	}
	return out
}

// condition says as what a state must be found for a change to be made.
type condition struct {
	version      string
	unset, force bool
}

func (c *condition) register(cmd *cobra.Command, unset bool) {
	cmd.Flags().StringVar(&c.version, "if-version", "", "only if the state has this version; default: the one that it has now, which is shown")
	if unset {
		cmd.Flags().BoolVar(&c.unset, "if-unset", false, "only if the state is not set")
	}
	cmd.Flags().BoolVar(&c.force, "force", false, "whatever the state is now")
}

func (c *condition) check() error {
	given := 0
	for _, is := range []bool{c.version != "", c.unset, c.force} {
		if is {
			given++
		}
	}
	if given > 1 {
		return usage("want one of --if-version, --if-unset and --force")
	}
	if strings.ContainsFunc(c.version, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' }) {
		return usage("flag --if-version: want a version, as gateway state get shows it")
	}
	return nil
}

// failed says what was asked for where the state is not as that wants it.
func (c *condition) failed(err error) error {
	var p *client.Problem
	if !errors.As(err, &p) || p.Status != http.StatusPreconditionFailed {
		return err
	}
	p.Remedy = "gateway state get shows it as it is now"
	switch {
	case c.unset:
		p.Detail, p.Remedy = "the state is set, and --if-unset wants it not to be: nothing is changed", p.Remedy+"; without --if-unset that is changed"
	case c.version != "":
		p.Detail = "the state does not have the version of --if-version: nothing is changed"
	default:
		p.Detail = "the state has changed while it was looked at: nothing is changed"
	}
	return err
}

// given reports whether it needs no look at the state.
func (c *condition) given() bool { return c.version != "" || c.unset || c.force }

// of puts the condition on a request.
func (c *condition) of(r *client.Request, found *answeredState) {
	r.Header = http.Header{}
	switch {
	case c.force:
		query := url.Values{"force": {"true"}}
		for k, v := range r.Query {
			query[k] = v
		}
		r.Query = query
	case c.version != "":
		r.Header.Set("If-Match", `"`+c.version+`"`)
	case c.unset || found == nil:
		r.Header.Set("If-None-Match", "*")
	default:
		r.Header.Set("If-Match", `"`+found.Version+`"`)
	}
}

// lookAtState is the state as it is now; nil where it is not set.
func lookAtState(ctx context.Context, c *client.Client, r client.Request) (*answeredState, error) {
	var s answeredState
	err := c.Get(ctx, r.Path, r.Query, &s)
	var problem *client.Problem
	switch {
	case errors.As(err, &problem) && problem.Status == http.StatusNotFound:
		return nil, nil
	case err != nil:
		return nil, err
	}
	return &s, nil
}

// tellState says what a state is before it is changed.
func tellState(stderr io.Writer, found *answeredState) {
	if found == nil {
		fmt.Fprintln(stderr, "it was not set")
		return
	}
	fmt.Fprintf(stderr, "it was version %s, %s of %s: %s\n", table.Text(found.Version), table.Word(found.TypeName), table.Bytes(found.Bytes), found.text(valueShown))
}

func newStateSet() *cobra.Command {
	var a asking
	var when condition
	var given givenValue
	cmd := &cobra.Command{
		Use:   "set NAMESPACE/NAME ID STATE VALUE|@FILE|-",
		Short: "Change one state of one address of a gateway that runs",
		Long: `set writes one value, durably and audited, when no call to the address is out. It shows what the state is now and changes that and nothing
else: when it has changed meanwhile nothing is written. VALUE is the text of a string, a number, true or false for StateFun's types; else the
bytes of the value as they are, unless --json or --base64 say what it is. @FILE takes them from a file, - from standard input.
Put -- before a value that begins with a dash.`,
		Example: `  gateway state set shop/cart ada items 3
  gateway state set shop/cart ada note @note.json --type shop.types/Note
  gateway state set shop/cart ada items 4 --if-version 5f2c8e1b9a7d3c40
  gateway state set shop/cart ada balance -- -5`,
		Args: arguments(4, 4, "a function, an id, a state and a value: NAMESPACE/NAME ID STATE VALUE"), ValidArgsFunction: a.addressArguments(),
	}
	a.registerSilent(cmd)
	when.register(cmd, true)
	given.register(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		address, err := addressOf(args)
		if err != nil {
			return err
		}
		if err := errors.Join(when.check(), given.check()); err != nil {
			return err
		}
		value, err := readValue(cmd, args[3])
		if err != nil {
			return err
		}
		return a.run(cmd, func(ctx context.Context, c *client.Client, out io.Writer) error {
			r := stateRequest(address, args[2])
			found, err := lookAtState(ctx, c, r)
			if err != nil {
				return err
			}
			tellState(cmd.ErrOrStderr(), found)
			typeName, err := given.typeOf(ctx, c, address, args[2], found)
			if err != nil {
				return err
			}
			if r.Body, err = given.body(typeName, value); err != nil {
				return err
			}
			r.Method = http.MethodPut
			when.of(&r, found)
			answer, err := c.Do(ctx, r)
			if err != nil {
				return when.failed(err)
			}
			_, err = fmt.Fprintf(out, "state %s of %s is set: version %s\n", table.Word(args[2]), addressText(address), table.Text(strings.Trim(answer.Header.Get("ETag"), `"`)))
			return err
		})
	}
	return cmd
}

func newStateDelete() *cobra.Command {
	var a asking
	var when condition
	cmd := &cobra.Command{
		Use:   "delete NAMESPACE/NAME ID STATE",
		Short: "Remove one state of one address of a gateway that runs",
		Long: `delete removes one value, durably and audited, when no call to the address is out. It shows what the state is now and removes that and nothing
else: when it has changed meanwhile nothing is removed.`,
		Example: `  gateway state delete shop/cart ada items
  gateway state delete shop/cart ada items --if-version 5f2c8e1b9a7d3c40`,
		Args: arguments(3, 3, "a function, an id and a state: NAMESPACE/NAME ID STATE"), ValidArgsFunction: a.addressArguments(),
	}
	a.registerSilent(cmd)
	when.register(cmd, false)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		address, err := addressOf(args)
		if err != nil {
			return err
		}
		if err := when.check(); err != nil {
			return err
		}
		return a.run(cmd, func(ctx context.Context, c *client.Client, out io.Writer) error {
			r := stateRequest(address, args[2])
			var found *answeredState
			if !when.given() {
				if err := c.Get(ctx, r.Path, r.Query, &found); err != nil {
					return err
				}
				tellState(cmd.ErrOrStderr(), found)
			}
			r.Method = http.MethodDelete
			when.of(&r, found)
			if _, err := c.Do(ctx, r); err != nil {
				return when.failed(err)
			}
			_, err := fmt.Fprintf(out, "state %s of %s is removed\n", table.Word(args[2]), addressText(address))
			return err
		})
	}
	return cmd
}

// givenValue says how a value on the command line is meant.
type givenValue struct {
	typeName           string
	json, base64, asIs bool
}

func (g *givenValue) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&g.typeName, "type", "", "type of the value, such as io.statefun.types/int; default: the one that it has, or that the function has declared")
	cmd.Flags().BoolVar(&g.json, "json", false, "the value is JSON")
	cmd.Flags().BoolVar(&g.base64, "base64", false, "the value is base64 of its bytes")
	cmd.Flags().BoolVar(&g.asIs, "bytes", false, "the value is its bytes, as state get --raw writes them")
}

func (g *givenValue) check() error {
	if g.json && g.base64 || g.json && g.asIs || g.base64 && g.asIs {
		return usage("want one of --json, --base64 and --bytes")
	}
	return nil
}

// typeOf is the type that is given, else that of the value as it is, else the one that the function has declared.
func (g *givenValue) typeOf(ctx context.Context, c *client.Client, address api.Address, state string, found *answeredState) (string, error) {
	switch {
	case g.typeName != "":
		return g.typeName, nil
	case found != nil:
		return found.TypeName, nil
	}
	var f answeredFunction
	if err := c.Get(ctx, client.Path("v1", "functions", address.Type.Namespace, address.Type.Name), nil, &f); err != nil {
		return "", err
	}
	for _, s := range f.States {
		if s.Name == state {
			return s.TypeName, nil
		}
	}
	return "", usage("the type of state %s is not known: give it with --type", table.Word(state))
}

// body is the value as the API takes it.
func (g *givenValue) body(typeName string, value []byte) (map[string]any, error) {
	body := map[string]any{"typeName": typeName, "encoding": encodingJSON}
	builtin, is := strings.CutPrefix(typeName, "io.statefun.types/")
	text := strings.TrimSpace(string(value))
	switch {
	case g.base64:
		clean := strings.Join(strings.Fields(text), "")
		if _, err := base64.StdEncoding.DecodeString(clean); err != nil {
			return nil, usage("the value is not base64")
		}
		body["encoding"], body["value"] = encodingBase64, clean
	case g.asIs:
		body["encoding"], body["value"] = encodingBase64, base64.StdEncoding.EncodeToString(value)
	case g.json:
		if !json.Valid(value) {
			return nil, usage("the value is not JSON")
		}
		body["value"] = json.RawMessage(text)
	case is && builtin == "string":
		if !utf8.Valid(value) {
			return nil, usage("the value is not UTF-8, as a string is")
		}
		body["value"] = string(value)
	case is && (builtin == "float" || builtin == "double") && (text == "NaN" || text == "Infinity" || text == "-Infinity"):
		body["value"] = text
	case is && builtin == "bool" && (text == "true" || text == "false"):
		body["value"] = json.RawMessage(text)
	case is && (builtin == "int" || builtin == "long" || builtin == "float" || builtin == "double") && isNumber(text):
		if err := holds(builtin, text); err != nil {
			return nil, err
		}
		body["value"] = json.RawMessage(text)
	case is && (builtin == "bool" || builtin == "int" || builtin == "long" || builtin == "float" || builtin == "double"):
		return nil, isNone(builtin)
	default:
		body["encoding"], body["value"] = encodingBase64, base64.StdEncoding.EncodeToString(value)
	}
	return body, nil
}

func isNone(builtin string) error {
	return usage("the value is no %s; nothing has happened", builtin)
}

// holds says why a number is none of this type, as the gateway would.
func holds(builtin, text string) (err error) {
	switch builtin {
	case "int":
		_, err = strconv.ParseInt(text, 10, 32)
	case "long":
		_, err = strconv.ParseInt(text, 10, 64)
	case "float":
		_, err = strconv.ParseFloat(text, 32)
	case "double":
		_, err = strconv.ParseFloat(text, 64)
	}
	switch {
	case errors.Is(err, strconv.ErrRange):
		return usage("the value is outside of what the type %s holds; nothing has happened", builtin)
	case err != nil:
		return isNone(builtin)
	}
	return nil
}

// isNumber: JSON writes it so.
func isNumber(text string) bool {
	var n json.Number
	return text != "" && (text[0] == '-' || text[0] >= '0' && text[0] <= '9') && json.Unmarshal([]byte(text), &n) == nil
}

// readValue is the value itself, or what it names: @FILE, or - for standard input.
func readValue(cmd *cobra.Command, given string) ([]byte, error) {
	var from io.Reader
	switch name, isFile := strings.CutPrefix(given, "@"); {
	case given == "-":
		from = cmd.InOrStdin()
	case isFile:
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		from = f
	default:
		return []byte(given), nil
	}
	value, err := io.ReadAll(io.LimitReader(from, valueBytesMax+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the value: %w", err)
	case len(value) > valueBytesMax:
		return nil, usage("the value is larger than %s", table.Bytes(valueBytesMax))
	}
	return value, nil
}
