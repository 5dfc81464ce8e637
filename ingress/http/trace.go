package http

import (
	"context"
	nethttp "net/http"

	"github.com/stategate/stategate/api"
)

// tracedKey is where the context of a request holds its trace.
type tracedKey struct{}

// traceIn is the trace of a request; nil: it is in none.
func traceIn(ctx context.Context) *api.Trace {
	in, _ := ctx.Value(tracedKey{}).(*api.Trace)
	return in
}

// traced makes a span of each request, if any is to be made.
func (s *Server) traced(route string, serve nethttp.HandlerFunc) nethttp.HandlerFunc {
	if s.cfg.Traced == nil {
		return serve
	}
	return func(w nethttp.ResponseWriter, r *nethttp.Request) {
		in, ended := s.cfg.Traced(r, route)
		noted := &noting{ResponseWriter: w, status: nethttp.StatusOK}
		defer func() { ended(noted.status) }()
		serve(noted, r.WithContext(context.WithValue(r.Context(), tracedKey{}, in)))
	}
}

// noting remembers the status of an answer.
type noting struct {
	nethttp.ResponseWriter
	status int
}

func (w *noting) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for response controllers.
func (w *noting) Unwrap() nethttp.ResponseWriter { return w.ResponseWriter }

// TraceOf is the trace that a request's headers name; nil: none, or two that may differ.
func TraceOf(h nethttp.Header) *api.Trace {
	all := h.Values(api.TraceHeader)
	if len(all) != 1 {
		return nil
	}
	return api.ParseTrace(all[0])
}
