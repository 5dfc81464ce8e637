package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/stategate/stategate/cmd/gateway/internal/client"
	"github.com/stategate/stategate/cmd/gateway/internal/table"
)

// Variables of the environment that flags of the same name beat.
const (
	urlVariable   = "STATEGATE_URL"
	tokenVariable = "STATEGATE_TOKEN_FILE"
	caVariable    = "STATEGATE_CA_FILE"
)

// How answers are written.
const (
	outputTable = "table"
	outputJSON  = "json"
)

// tableRows is how many rows a table has that nobody has given a limit.
const tableRows = 1000

// asking are the flags of every command that asks the admin side of a gateway.
type asking struct {
	url, tokenFile, caFile string
	output                 string
	limit                  int
	watch                  time.Duration
}

// register adds whom to ask, and how to write what is answered.
func (a *asking) register(cmd *cobra.Command) {
	a.registerSilent(cmd)
	registerOutput(cmd, &a.output, "how to write: table, for people; json, for programs: the items of a list, or what the API answers")
}

func registerOutput(cmd *cobra.Command, output *string, about string) {
	cmd.Flags().StringVarP(output, "output", "o", outputTable, about)
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{outputTable, outputJSON}, cobra.ShellCompDirectiveNoFileComp))
}

// registerSilent is for commands that answer nothing.
func (a *asking) registerSilent(cmd *cobra.Command) {
	a.output = outputTable
	cmd.Flags().StringVar(&a.url, "url", "", "admin side of the gateway, such as "+client.DefaultURL+", the default ("+urlVariable+")")
	cmd.Flags().StringVar(&a.tokenFile, "token-file", "", "file whose first line is the token to send ("+tokenVariable+")")
	cmd.Flags().StringVar(&a.caFile, "ca-file", "", "certificates that have signed the gateway's, beside those of the system ("+caVariable+")")
}

func (a *asking) registerLimit(cmd *cobra.Command) {
	cmd.Flags().IntVar(&a.limit, "limit", 0, fmt.Sprintf("at most so many; default: all, in a table %d", tableRows))
}

// watchEvery is how often --watch looks when nothing else is said, and watchMin how often it may.
const (
	watchEvery = 2 * time.Second
	watchMin   = 200 * time.Millisecond
)

func (a *asking) registerWatch(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&a.watch, "watch", 0, "look again and again, each 2s or as given, until Ctrl-C")
	cmd.Flags().Lookup("watch").NoOptDefVal = watchEvery.String()
}

// open makes the client that the flags and the environment describe.
func (a *asking) open() (*client.Client, error) {
	switch {
	case a.output != outputTable && a.output != outputJSON:
		return nil, usage("flag --output: want table or json")
	case a.limit < 0:
		return nil, usage("flag --limit: want a number from 1 on")
	case a.watch != 0 && a.watch < watchMin:
		return nil, usage("flag --watch: want at least %v", watchMin)
	case a.watch != 0 && a.output == outputJSON:
		return nil, usage("--watch writes tables: want it without -o json")
	}
	c, err := client.New(client.Config{
		URL: orVariable(a.url, urlVariable), TokenFile: orVariable(a.tokenFile, tokenVariable), CAFile: orVariable(a.caFile, caVariable), Operator: operatorName(),
	})
	if wrong := (client.ConfigError)(""); errors.As(err, &wrong) {
		return nil, usageError(wrong)
	}
	return c, err
}

func orVariable(flag, variable string) string {
	if flag != "" {
		return flag
	}
	return os.Getenv(variable)
}

// operatorName is who asks, for the audit: as the host knows him.
func operatorName() string {
	name := os.Getenv("SUDO_USER")
	if u, err := user.Current(); name == "" && err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}

func (a *asking) isJSON() bool { return a.output == outputJSON }

// run opens a client and lets do write what it is answered, once, or with --watch again and again.
func (a *asking) run(cmd *cobra.Command, do func(ctx context.Context, c *client.Client, out io.Writer) error) error {
	c, err := a.open()
	if err != nil {
		return err
	}
	defer c.Close()
	if a.watch > 0 {
		return a.runAgain(cmd, c, do)
	}
	out := bufio.NewWriter(cmd.OutOrStdout())
	err = inCommands(do(cmd.Context(), c, out))
	return errors.Join(err, out.Flush())
}

func (a *asking) runAgain(cmd *cobra.Command, c *client.Client, do func(ctx context.Context, c *client.Client, out io.Writer) error) error {
	tick := time.NewTicker(a.watch)
	defer tick.Stop()
	stdout := cmd.OutOrStdout()
	for {
		var screen bytes.Buffer
		if isScreen(stdout) {
			screen.WriteString("\x1b[H\x1b[2J")
		}
		fmt.Fprintf(&screen, "%s  %s, each %v\n\n", time.Now().Format(time.TimeOnly), c.URL(), a.watch)
		err := inCommands(do(cmd.Context(), c, &screen))
		switch {
		case cmd.Context().Err() != nil:
			return nil
		case errors.Is(err, errReported): // it is on the screen
		case err != nil:
			fmt.Fprintf(&screen, "gateway: %s\n", table.Text(err.Error()))
		}
		if _, err := stdout.Write(screen.Bytes()); err != nil {
			return err
		}
		select {
		case <-cmd.Context().Done():
			return nil
		case <-tick.C:
		}
	}
}

// isScreen: what is written is looked at, on a terminal.
func isScreen(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// listing is a list of the API, and how people see it.
type listing[T any] struct {
	path  string
	query url.Values
	whole bool // it comes in one answer, and is asked for without a page
	head  []string
	row   func(T) []string
	none  string // what to tell people where there is nothing
}

// list writes a list as it comes.
func list[T any](ctx context.Context, a *asking, c *client.Client, out, stderr io.Writer, l listing[T]) error {
	if a.isJSON() {
		return listJSON(ctx, c, out, l.path, l.query, l.whole, a.limit)
	}
	limit := a.limit
	if limit == 0 {
		limit = tableRows
	}
	w := table.New(out, l.head...)
	more, err := walker(c, l.whole)(ctx, l.path, l.query, limit, func(raw json.RawMessage) error {
		var item T
		if err := (client.Answer{Body: raw}).Into(&item); err != nil {
			return err
		}
		return w.Row(l.row(item)...)
	})
	err = errors.Join(err, w.Flush())
	switch {
	case err != nil:
		return err
	case w.Empty() && l.none != "":
		fmt.Fprintln(stderr, l.none)
	case more:
		fmt.Fprintf(stderr, "there are more than %d: --limit N shows more, -o json all\n", limit)
	}
	return nil
}

// walk goes through the items of a list.
type walk func(ctx context.Context, path string, query url.Values, limit int, each func(json.RawMessage) error) (more bool, err error)

func walker(c *client.Client, whole bool) walk {
	if whole {
		return c.All
	}
	return c.Items
}

// listJSON writes the items of a list as one JSON array, an item a line. What breaks off is no JSON.
func listJSON(ctx context.Context, c *client.Client, out io.Writer, path string, query url.Values, whole bool, limit int) error {
	lead := "["
	_, err := walker(c, whole)(ctx, path, query, limit, func(raw json.RawMessage) error {
		var b bytes.Buffer
		b.WriteString(lead + "\n")
		lead = ","
		if err := json.Compact(&b, raw); err != nil {
			return err
		}
		_, err := out.Write(table.Harmless(b.Bytes()))
		return err
	})
	if err != nil {
		return err
	}
	if lead == "[" {
		_, err = io.WriteString(out, "[]\n")
	} else {
		_, err = io.WriteString(out, "\n]\n")
	}
	return err
}

// one asks for one thing and writes it: as it is, or as people see it.
func one[T any](ctx context.Context, a *asking, c *client.Client, out io.Writer, r client.Request, people func(T) error) error {
	answer, err := c.Do(ctx, r)
	if err != nil {
		return err
	}
	if a.isJSON() {
		return writeJSON(out, answer.Body)
	}
	var v T
	if err := answer.Into(&v); err != nil {
		return err
	}
	return people(v)
}

func writeJSON(out io.Writer, text []byte) error {
	_, err := fmt.Fprintln(out, strings.TrimRight(string(table.Harmless(text)), "\n"))
	return err
}
