package trace

import (
	"net/http"
	"strconv"
	"time"

	"github.com/stategate/stategate/api"
	ingresshttp "github.com/stategate/stategate/ingress/http"
)

// Request begins the span of a request to an HTTP ingress, below the one that its headers name. The answer ends it.
func (t *Tracer) Request(r *http.Request, route string) (in *api.Trace, ended func(status int)) {
	parent := ingresshttp.TraceOf(r.Header)
	if in = t.sampler.under(parent); !in.Sampled() {
		return in, func(int) {}
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	s := &span{at: *in, name: cut(r.Method + " " + route), kind: server, begin: time.Now(), attributes: make([]attribute, 0, 5)}
	if parent != nil {
		s.parent, s.remote = parent.Span, true
	}
	s.attributes = append(s.attributes, text("http.request.method", r.Method), text("http.route", route), text("url.scheme", scheme), text("url.path", r.URL.EscapedPath()))
	return in, func(status int) {
		s.end = time.Now()
		s.attributes = append(s.attributes, number("http.response.status_code", int64(status)))
		if status >= http.StatusInternalServerError {
			s.wrong = strconv.Itoa(status)
		}
		t.add(s)
	}
}
