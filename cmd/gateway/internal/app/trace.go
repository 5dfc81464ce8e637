package app

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/trace"
)

// traceArrivals lets the tracer, if there is one, see what comes in.
func (a *App) traceArrivals() {
	t := a.cfg.Tracer
	if t == nil {
		return
	}
	systems := trace.Incoming{}
	for i := range a.cfg.Module.KafkaIngresses {
		systems[a.cfg.Module.KafkaIngresses[i].ID] = "kafka"
	}
	for i := range a.cfg.Module.KinesisIngresses {
		systems[a.cfg.Module.KinesisIngresses[i].ID] = "aws_kinesis"
	}
	a.cfg.Hooks.Arriving = func(source api.Source, records []api.Record) func() { return t.Arriving(systems, source, records) }
	a.cfg.Hooks.Sending = t.Sending
}

// endpointOf is where a function is called, as far as that is a host. Nothing else of its URL is shown: it may hold a password.
func (a *App) endpointOf(t api.FunctionType) (host string, port int) {
	f, ok := a.functions.of(t)
	if !ok {
		return "", 0
	}
	u, err := url.Parse(f.Spec.URL)
	if err != nil || strings.HasSuffix(u.Scheme, "+unix") || u.Hostname() == "" {
		return "", 0
	}
	port, err = strconv.Atoi(u.Port())
	switch {
	case err == nil:
	case u.Scheme == "https":
		port = 443
	default:
		port = 80
	}
	return u.Hostname(), port
}
