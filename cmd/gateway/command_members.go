package main

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/stategate/stategate/cmd/gateway/internal/client"
	"github.com/stategate/stategate/cmd/gateway/internal/table"
)

func newMembers() *cobra.Command {
	var a asking
	cmd := &cobra.Command{
		Use:   "members",
		Short: "List the gateways of this store: the one that works, and those that wait",
		Long: `members lists the gateways that the store knows of. With PostgreSQL those are all; with SQLite the one that works only: who waits for its
file writes nothing into it. "gateway status", asked of one that waits, says that it does.`,
		Example: `  gateway members
  gateway members -o json | jq -r '.[] | select(.role == "active") | .admin'`,
		Args: noArguments,
	}
	a.register(cmd)
	a.registerWatch(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.run(cmd, func(ctx context.Context, c *client.Client, out io.Writer) error {
			return list(ctx, &a, c, out, cmd.ErrOrStderr(), memberList(time.Now()))
		})
	}
	return cmd
}

const membersPath = "/v1/members"

// answeredMember is a gateway.
type answeredMember struct {
	ID, Host            string
	PID                 int64
	Admin, Events       string
	Started, LeaseUntil string
	Role                string
	Epoch               json.RawMessage
}

// leaseText says how long a lease lasts, or since when it is over: its gateway is gone, or frozen.
func leaseText(until string, now time.Time) string {
	if at, err := time.Parse(time.RFC3339Nano, until); err == nil && now.Sub(at) >= time.Second {
		return "over for " + table.Since(until, now)
	}
	return table.Until(until, now)
}

func memberList(now time.Time) listing[answeredMember] {
	return listing[answeredMember]{
		path: membersPath, whole: true, head: []string{"ROLE", "HOST", "PID", "ADMIN", "EVENTS", "RUNS FOR", "EPOCH", "LEASE", "ID"}, none: "no gateway is known",
		row: func(m answeredMember) []string {
			lease := table.None
			if m.LeaseUntil != "" {
				lease = leaseText(m.LeaseUntil, now)
			}
			return []string{table.Text(m.Role), orNone(table.Text(m.Host)), table.Count(m.PID), orNone(table.Text(m.Admin)), orNone(table.Text(m.Events)), table.Since(m.Started, now), scalar(m.Epoch), lease, orNone(table.Text(m.ID))}
		},
	}
}
