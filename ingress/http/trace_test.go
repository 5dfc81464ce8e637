package http

import (
	"context"
	"fmt"
	nethttp "net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
)

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// inTraces is an asker that notes in which traces messages are.
type inTraces struct {
	asker
	in []*api.Trace
}

func (a *inTraces) saw(m api.Message) { a.in = append(a.in, m.Trace) }

func (a *inTraces) Send(ctx context.Context, m api.Message) error {
	a.saw(m)
	return a.asker.Send(ctx, m)
}

func (a *inTraces) Ask(ctx context.Context, m api.Message) (api.TypedValue, error) {
	a.saw(m)
	return a.asker.Ask(ctx, m)
}

func (a *inTraces) Once(ctx context.Context, m api.Message, key string, reply bool) (api.TypedValue, error) {
	a.saw(m)
	return a.asker.Once(ctx, m, key, reply)
}

func (a *inTraces) Later(ctx context.Context, m api.Message, delay time.Duration, name string) error {
	a.saw(m)
	return a.asker.Later(ctx, m, delay, name)
}

// TestTraced: each request that this member answers is a span with its route and its status, and its message is in the trace that the
// hook says, whatever is asked. Without the hook nothing is in a trace.
func TestTraced(t *testing.T) {
	in := api.ParseTrace(traceparent)
	var mu sync.Mutex
	var told []string // guarded by mu
	cfg := testConfig()
	cfg.Traced = func(r *nethttp.Request, route string) (*api.Trace, func(int)) {
		return in, func(status int) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, fmt.Sprintf("%s %s %d", r.Method, route, status))
		}
	}
	for _, traced := range []bool{true, false} {
		if !traced {
			cfg.Traced = nil
		}
		a := &inTraces{asker: asker{reply: api.TypedValue{TypeName: "io.statefun.types/string", HasValue: true}}}
		s := serving(t, cfg, a)
		for _, ask := range []struct{ method, path, key string }{
			{"POST", "/v1/send/shop/cart/a", ""}, {"POST", "/v1/call/shop/cart/a", ""}, {"POST", "/v1/send/shop/cart/a", "key"},
			{"POST", "/v1/send/shop/cart?id=a&delay=1s&token=t", ""}, {"DELETE", "/v1/send/shop/cart/a?token=t", ""}, {"POST", "/v1/send/other/cart/a", ""}, {"GET", "/nowhere", ""},
		} {
			r := httptest.NewRequest(ask.method, ask.path, strings.NewReader("x"))
			r.Header.Set("Content-Type", "text/plain")
			if ask.key != "" {
				r.Header.Set(keyHeader, ask.key)
			}
			s.ServeHTTP(httptest.NewRecorder(), r)
		}
		if len(a.in) != 4 || slices.ContainsFunc(a.in, func(got *api.Trace) bool { return (got == in) != traced || !traced && got != nil }) {
			t.Errorf("traced %v: messages are in %v", traced, a.in)
		}
	}
	want := []string{
		"POST /v1/send/{namespace}/{name}/{id} 202", "POST /v1/call/{namespace}/{name}/{id} 200", "POST /v1/send/{namespace}/{name}/{id} 202",
		"POST /v1/send/{namespace}/{name} 202", "DELETE /v1/send/{namespace}/{name}/{id} 204", "POST /v1/send/{namespace}/{name}/{id} 404",
	}
	if !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

func TestTraceOf(t *testing.T) {
	for name, test := range map[string]struct {
		values []string
		want   bool
	}{
		"one": {[]string{traceparent}, true}, "none": {nil, false}, "two": {[]string{traceparent, traceparent}, false}, "two in one": {[]string{traceparent + "," + traceparent}, false},
		"upper case": {[]string{strings.ToUpper(traceparent)}, false}, "empty": {[]string{""}, false}, "huge": {[]string{strings.Repeat("0", 200_000)}, false},
		"zeros": {[]string{"00-" + strings.Repeat("0", 32) + "-" + strings.Repeat("0", 16) + "-00"}, false},
	} {
		if got := TraceOf(nethttp.Header{"Traceparent": test.values}); (got != nil) != test.want {
			t.Errorf("%s: in %v", name, got)
		}
	}
}
