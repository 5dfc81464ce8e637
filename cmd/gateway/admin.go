package main

import (
	"context"
	"net"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/admin"
	"github.com/stategate/stategate/cmd/gateway/internal/app"
	"github.com/stategate/stategate/cmd/gateway/internal/metrics"
	"github.com/stategate/stategate/cmd/gateway/internal/version"
)

// serveAdmin serves the admin side until ctx ends.
func serveAdmin(ctx context.Context, l net.Listener, a *app.App, meters *metrics.Metrics) error {
	meters.SetSource(func(ctx context.Context) metrics.Snapshot {
		s := a.Status(ctx)
		out := metrics.Snapshot{Active: s.Active, Gauges: a.Gauges(), DeadLetters: a.DeadLetters()}
		for _, r := range s.Reasons {
			out.Reasons = append(out.Reasons, r.Kind)
		}
		return out
	})
	return admin.Serve(ctx, l, admin.New(admin.Config{Gateway: asked{a}, Metrics: meters.Handler(), Version: version.Read()}))
}

// asked is the gateway in the words of its admin side.
type asked struct{ *app.App }

func (a asked) Status(ctx context.Context) admin.Status {
	s := a.App.Status(ctx)
	out := admin.Status{Unready: s.Unready, Active: s.Active}
	for _, r := range s.Reasons {
		out.Reasons = append(out.Reasons, admin.Reason(r))
	}
	return out
}

func (a asked) Address(ctx context.Context, address api.Address) (admin.Address, error) {
	found, err := a.App.Address(ctx, address)
	return admin.Address(found), err
}

func (a asked) DeadLetters(ctx context.Context, after uint64, limit int) ([]api.DeadLetter, error) {
	return a.StoredDeadLetters(ctx, after, limit)
}
