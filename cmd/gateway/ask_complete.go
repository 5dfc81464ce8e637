package main

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/client"
)

// A shell waits for completions: they are few and quick, or there are none.
const (
	completeTimeMax = time.Second
	completeMax     = 1000
	completeIDs     = 100 // of addresses, and of dead letters: one page, whatever there is
)

// completeNames completes the first argument with names that a list of the gateway has, and says nothing where it cannot be asked.
func (a *asking) completeNames(path, field string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return a.names(cmd.Context(), path, field, begun), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeFlag completes the value of a flag in the same way.
func (a *asking) completeFlag(cmd *cobra.Command, flag, path, field string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return a.names(cmd.Context(), path, field, begun), cobra.ShellCompDirectiveNoFileComp
	})
}

// addressArguments completes a function, an id of it, and a state of that address.
func (a *asking) addressArguments() cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) (out []cobra.Completion, _ cobra.ShellCompDirective) {
		switch len(args) {
		case 0:
			out = a.names(cmd.Context(), functionsPath, "function", begun)
		case 1:
			out = a.ids(cmd.Context(), args[0], begun)
		case 2:
			if address, err := addressOf(args); err == nil && strings.Contains(cmd.Use, "STATE") {
				out = a.states(cmd.Context(), address, begun)
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}

// letterArguments completes numbers of dead letters.
func (a *asking) letterArguments() cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) (out []cobra.Completion, _ cobra.ShellCompDirective) {
		a.look(cmd.Context(), deadLettersPath, nil, completeIDs, func(raw json.RawMessage) {
			var d struct{ Number uint64 }
			if json.Unmarshal(raw, &d) != nil || d.Number == 0 {
				return
			}
			if n := decimal(d.Number); strings.HasPrefix(n, begun) && !slices.Contains(args, n) {
				out = append(out, n)
			}
		})
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}

func (a *asking) names(ctx context.Context, path, field, begun string) (out []cobra.Completion) {
	a.look(ctx, path, nil, completeMax, func(raw json.RawMessage) {
		var item map[string]json.RawMessage
		var name string
		if json.Unmarshal(raw, &item) == nil && json.Unmarshal(item[field], &name) == nil && plainName(name) && strings.HasPrefix(name, begun) {
			out = append(out, name)
		}
	})
	return out
}

func (a *asking) ids(ctx context.Context, function, begun string) (out []cobra.Completion) {
	query := url.Values{"function": {function}}
	if begun != "" {
		query.Set("prefix", begun)
	}
	a.look(ctx, addressesPath, query, completeIDs, func(raw json.RawMessage) {
		var item struct{ Address answeredAddress }
		if id := &item.Address.ID; json.Unmarshal(raw, &item) == nil && plainName(*id) && strings.HasPrefix(*id, begun) && (*id)[0] != '-' {
			out = append(out, *id)
		}
	})
	return out
}

func (a *asking) states(ctx context.Context, address api.Address, begun string) (out []cobra.Completion) {
	a.ask(ctx, func(ctx context.Context, c *client.Client) {
		r := addressRequest(address)
		var v struct{ State []struct{ Name string } }
		if c.Get(ctx, r.Path, r.Query, &v) != nil {
			return
		}
		for _, s := range v.State {
			if plainName(s.Name) && strings.HasPrefix(s.Name, begun) {
				out = append(out, s.Name)
			}
		}
	})
	return out
}

// look sees the first items of a list, as many as come soon.
func (a *asking) look(ctx context.Context, path string, query url.Values, limit int, each func(json.RawMessage)) {
	a.ask(ctx, func(ctx context.Context, c *client.Client) {
		_, _ = c.Items(ctx, path, query, limit, func(raw json.RawMessage) error { // what has come is better than nothing
			each(raw)
			return nil
		})
	})
}

// ask lets do ask for a moment, where somebody can be asked.
func (a *asking) ask(ctx context.Context, do func(ctx context.Context, c *client.Client)) {
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, completeTimeMax)
	defer cancel()
	c, err := client.New(client.Config{
		URL: orVariable(a.url, urlVariable), TokenFile: orVariable(a.tokenFile, tokenVariable), CAFile: orVariable(a.caFile, caVariable), Timeout: completeTimeMax,
	})
	if err != nil {
		return
	}
	defer c.Close()
	do(ctx, c)
}

// plainName is one that a shell takes for a word, and its completion for no word with a description.
func plainName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"'`$\\;&|<>()*?[]{}!#", r) })
}

// noFiles keeps shells from offering files where none is wanted: as the values of flags that name none, and as arguments of commands that
// take none.
func noFiles(cmd *cobra.Command) {
	cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		if _, own := cmd.GetFlagCompletionFunc(f.Name); own || f.NoOptDefVal != "" || namesFile(f) {
			return
		}
		values := cobra.NoFileCompletions
		if f.Name == "log-level" {
			values = cobra.FixedCompletions(logLevels, cobra.ShellCompDirectiveNoFileComp)
		}
		_ = cmd.RegisterFlagCompletionFunc(f.Name, values)
	})
	if name := cmd.Name(); cmd.ValidArgsFunction == nil && name != "check" && name != "import" {
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
	for _, c := range cmd.Commands() {
		noFiles(c)
	}
}

// namesFile: the value of the flag is a file or a folder.
func namesFile(f *pflag.Flag) bool {
	kind := f.Value.Type()
	return kind == "PATH" || kind == "FILE" || strings.HasSuffix(f.Name, "-file") || f.Name == "config" || f.Name == "output" || f.Name == "store"
}
