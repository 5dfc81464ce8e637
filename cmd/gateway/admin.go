package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"

	"github.com/stategate/stategate/cmd/gateway/internal/admin"
	"github.com/stategate/stategate/cmd/gateway/internal/app"
	"github.com/stategate/stategate/cmd/gateway/internal/credential"
	"github.com/stategate/stategate/cmd/gateway/internal/metrics"
	"github.com/stategate/stategate/cmd/gateway/internal/report"
	"github.com/stategate/stategate/cmd/gateway/internal/version"
	"github.com/stategate/stategate/statestore"
)

// serveAdmin serves the admin side until ctx ends.
func serveAdmin(ctx context.Context, door adminDoor, g *asked, meters *metrics.Metrics) error {
	return admin.Serve(ctx, door.Listener, door.secure, adminHandler(door.access, g, meters))
}

func adminHandler(access admin.Access, g *asked, meters *metrics.Metrics) http.Handler {
	meters.SetSource(g.snapshot)
	return admin.New(admin.Config{Gateway: g, Access: access, Metrics: meters.Handler(), Level: g.level, Settings: g.settings, Version: version.Read()})
}

// asked is the gateway in the words of its admin side, also before there is one: probes are answered from the first moment.
type asked struct {
	app   atomic.Pointer[app.App]
	files *credential.Files // nil: none
	level *slog.LevelVar    // nil: it stays as it is

	settings func() []report.Setting // nil: there are none of a deployment
}

func (g *asked) snapshot(ctx context.Context) metrics.Snapshot {
	a := g.app.Load()
	if a == nil {
		return metrics.Snapshot{}
	}
	s := a.Status(ctx)
	out := metrics.Snapshot{Active: s.Active, Ready: s.Unready == "", Gauges: a.Gauges(), Overview: a.Overview(), DeadLetters: a.DeadCount()}
	for _, r := range s.Reasons {
		out.Reasons = append(out.Reasons, r.Kind)
	}
	for _, r := range g.ownReasons() {
		out.Reasons = append(out.Reasons, r.Kind)
	}
	return out
}

// ownReasons are those of what the program reads beside the application.
func (g *asked) ownReasons() (out []report.Reason) {
	if g.files == nil {
		return nil
	}
	for _, text := range g.files.Troubles() {
		out = append(out, report.Reason{Kind: "credentials", Text: text})
	}
	return out
}

func (g *asked) Turning(ctx context.Context) bool {
	a := g.app.Load()
	return a == nil || a.Turning(ctx)
}

func (g *asked) Status(ctx context.Context) report.Status {
	a := g.app.Load()
	if a == nil {
		return report.Status{Unready: "starting"}
	}
	s := a.Status(ctx)
	s.Reasons = append(s.Reasons, g.ownReasons()...)
	return s
}

// errStarting is what is said of the store before it is open.
var errStarting = fmt.Errorf("the gateway starts: %w", statestore.ErrUnavailable)

func (g *asked) Application() (admin.Application, error) {
	a := g.app.Load()
	if a == nil {
		return nil, errStarting
	}
	return a, nil
}
