package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/stategate/stategate/cmd/gateway/internal/client"
	"github.com/stategate/stategate/cmd/gateway/internal/table"
)

func newModule() *cobra.Command {
	var a asking
	var changes bool
	cmd := &cobra.Command{
		Use:   "module",
		Short: "Show the module as the gateway runs it, and what changed since the last start",
		Long: `module lists every setting of every endpoint, ingress and egress with its value and where that comes from: a file and line, a placeholder, or the
default. Secrets are not shown.`,
		Example: `  gateway module
  gateway module --changes`,
		Args: noArguments,
	}
	a.register(cmd)
	cmd.Flags().BoolVar(&changes, "changes", false, "only what changed since the last start")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.run(cmd, func(ctx context.Context, c *client.Client, out io.Writer) error {
			m, err := askModule(ctx, c)
			if err != nil {
				return err
			}
			if !a.isJSON() {
				return m.write(out, cmd.ErrOrStderr(), changes)
			}
			text, err := json.MarshalIndent(m.all, "", "  ")
			if err != nil {
				return err
			}
			return writeJSON(out, text)
		})
	}
	return cmd
}

// answeredModule is the module as it runs.
type answeredModule struct {
	Items []struct {
		Kind, ID, At string
		Settings     []answeredSetting
	}
	Changes []struct {
		Kind, ID, Path string
		Was, Is        json.RawMessage
	}
	Compared       *bool // false: it is not known yet what has changed
	MoreChanges    int64
	Since, Changed string

	all map[string]json.RawMessage // as it came, with the items of all pages
}

// askModule asks for all pages. Only a module of tens of thousands of settings has more than one.
func askModule(ctx context.Context, c *client.Client) (*answeredModule, error) {
	const path = "/v1/module"
	answer, err := c.Do(ctx, client.Request{Path: path})
	if err != nil {
		return nil, err
	}
	m := &answeredModule{}
	if err := answer.Into(&m.all); err != nil {
		return nil, err
	}
	var next *string
	if err := json.Unmarshal(m.all["next"], &next); err == nil && next != nil {
		var items []json.RawMessage
		if err := json.Unmarshal(m.all["items"], &items); err != nil {
			return nil, err
		}
		if _, err := c.Items(ctx, path, url.Values{"after": {*next}}, 0, func(raw json.RawMessage) error { items = append(items, raw); return nil }); err != nil {
			return nil, err
		}
		m.all["next"] = json.RawMessage("null")
		if m.all["items"], err = json.Marshal(items); err != nil {
			return nil, err
		}
	}
	text, err := json.Marshal(m.all)
	if err != nil {
		return nil, err
	}
	return m, client.Answer{Body: text}.Into(m)
}

type answeredSetting struct {
	Path, Name string
	Value      json.RawMessage
	From       string
}

func (m *answeredModule) write(out, stderr io.Writer, onlyChanges bool) error {
	if !onlyChanges {
		w := table.New(out, "COMPONENT", "SETTING", "VALUE", "FROM")
		for _, item := range m.Items {
			name := componentName(item.Kind, item.ID)
			if err := w.Row(name, "", "", table.Text(item.At)); err != nil {
				return err
			}
			for _, s := range item.Settings {
				if err := w.Row(name, table.Text(s.Path), scalar(s.Value), table.Text(s.From)); err != nil {
					return err
				}
			}
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	switch {
	case m.Compared != nil && !*m.Compared:
		_, err := fmt.Fprintln(stderr, "it is not known yet what has changed: the store was not asked")
		return err
	case len(m.Changes) == 0:
		_, err := fmt.Fprintln(stderr, "nothing has changed: no other module was run before")
		return err
	}
	if !onlyChanges {
		fmt.Fprintln(out)
	}
	fmt.Fprintf(stderr, "%s changed from the module before, last started %s; this one since %s\n", plural(int64(len(m.Changes))+m.MoreChanges, "setting has", "settings have"), table.Time(m.Since), table.Time(m.Changed))
	w := table.New(out, "COMPONENT", "SETTING", "WAS", "IS")
	for _, c := range m.Changes {
		if err := w.Row(componentName(c.Kind, c.ID), orElse(table.Text(c.Path), "(all of it)"), scalar(c.Was), scalar(c.Is)); err != nil {
			return err
		}
	}
	return w.Flush()
}

func componentName(kind, id string) string { return table.Text(kind) + " " + table.Text(id) }

func newSettings() *cobra.Command {
	var a asking
	cmd := &cobra.Command{
		Use:   "settings",
		Short: "Show the settings that the gateway runs with, and where each comes from",
		Long: `settings lists the settings of the deployment as they count: from a flag, the environment, the file of settings, or the default. Secrets
are not shown. "gateway config" is their manual.`,
		Example: `  gateway settings
  gateway settings -o json | jq '.[] | select(.from != "default")'`,
		Args: noArguments,
	}
	a.register(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.run(cmd, func(ctx context.Context, c *client.Client, out io.Writer) error {
			return list(ctx, &a, c, out, cmd.ErrOrStderr(), listing[answeredSetting]{
				path: "/v1/settings", head: []string{"SETTING", "VALUE", "FROM"}, none: "this gateway tells of no settings: gateway dev has its flags, and else what counts by default",
				row: func(s answeredSetting) []string {
					return []string{table.Word(s.Name), scalar(s.Value), table.Text(s.From)}
				},
			})
		})
	}
	return cmd
}
