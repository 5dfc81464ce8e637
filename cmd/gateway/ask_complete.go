package main

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stategate/stategate/cmd/gateway/internal/client"
)

// A shell waits for completions: they are few and quick, or there are none.
const (
	completeTimeMax = time.Second
	completeMax     = 1000
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

func (a *asking) names(ctx context.Context, path, field, begun string) (out []cobra.Completion) {
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, completeTimeMax)
	defer cancel()
	c, err := client.New(client.Config{
		URL: orVariable(a.url, urlVariable), TokenFile: orVariable(a.tokenFile, tokenVariable), CAFile: orVariable(a.caFile, caVariable), Timeout: completeTimeMax,
	})
	if err != nil {
		return nil
	}
	defer c.Close()
	_, _ = c.Items(ctx, path, nil, completeMax, func(raw json.RawMessage) error { // what has come is better than nothing
		var item map[string]json.RawMessage
		var name string
		if json.Unmarshal(raw, &item) == nil && json.Unmarshal(item[field], &name) == nil && plainName(name) && strings.HasPrefix(name, begun) {
			out = append(out, name)
		}
		return nil
	})
	return out
}

// plainName is one that a shell takes for a word, and its completion for no word with a description.
func plainName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"'`$\\;&|<>()*?[]{}!#", r) })
}
