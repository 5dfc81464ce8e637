package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"

	"github.com/stategate/stategate/cmd/gateway/internal/app"
	"github.com/stategate/stategate/cmd/gateway/internal/metrics"
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
	mux := http.NewServeMux()
	mux.Handle("/metrics", meters.Handler())
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, r *http.Request) {
		s := a.Status(r.Context())
		if s.Unready != "" {
			w.WriteHeader(503)
		}
		_ = json.NewEncoder(w).Encode(s)
	})
	server := &http.Server{Handler: mux}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	_ = server.Serve(l)
	return nil
}
