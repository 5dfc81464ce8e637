package http

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	nethttp "net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"time"
)

// A member that waits passes requests on to the one that works, so that one need not know which does. A request is passed on once: where
// it comes to a member that waits as well, nobody works right now, or two members do not agree yet who does.

// passedHeader marks a request that was passed on.
const passedHeader = "Stategate-Passed"

const passDialMax = 2 * time.Second

func newOnward(tlsConfig *tls.Config) nethttp.RoundTripper {
	return &nethttp.Transport{
		DialContext: (&net.Dialer{Timeout: passDialMax}).DialContext, MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute, DisableCompression: true,
		TLSClientConfig: tlsConfig, TLSHandshakeTimeout: passDialMax,
	}
}

// waiting is a time in which this member does not work and passes requests on.
type waiting struct {
	ctx context.Context // of the requests
	end context.CancelCauseFunc
}

func newWaiting() *waiting {
	ctx, end := context.WithCancelCause(context.Background())
	return &waiting{ctx, end}
}

// errWorks is why a request that was passed on is no longer waited for.
var errWorks = errors.New("this gateway works now, and no longer the one that was asked")

// passes bounds a request that is passed on: by a time, and by the end of what this member waits for.
func (s *Server) passes(request context.Context, during *waiting) (ctx context.Context, end func()) {
	ctx, cause := context.WithCancelCause(request)
	forget := context.AfterFunc(during.ctx, func() { cause(context.Cause(during.ctx)) })
	ctx, cancel := context.WithTimeout(ctx, s.cfg.PassTimeMax)
	return ctx, func() { forget(); cancel(); cause(nil) }
}

// passed ends a pass.
func (s *Server) passed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.passing--
	if s.stopping && s.passing == 0 {
		close(s.passedAll)
	}
}

// stopPassing passes nothing on any more, and lets what was passed on be answered, within a bound.
func (s *Server) stopPassing() {
	s.mu.Lock()
	s.stopping = true
	if s.passing == 0 {
		close(s.passedAll)
	}
	s.mu.Unlock()
	bound := time.NewTimer(s.cfg.DrainMax)
	defer bound.Stop()
	select {
	case <-s.passedAll:
	case <-bound.C:
		s.mu.Lock()
		s.waiting.end(errStopping) // they say so, and Shutdown waits for that
		s.mu.Unlock()
	}
}

// pass passes a request on to the member that works.
func (s *Server) pass(w nethttp.ResponseWriter, r *nethttp.Request, during *waiting) {
	ctx, end := s.passes(r.Context(), during)
	defer end()
	nobody := &problem{status: nethttp.StatusServiceUnavailable, detail: "no gateway works right now; nothing has happened", remedy: "send it again, a little later"}
	if r.Header.Get(passedHeader) != "" || s.cfg.Owner == nil {
		answer(w, nobody)
		return
	}
	address, ok := s.cfg.Owner(ctx)
	if !ok {
		answer(w, nobody)
		return
	}
	control := nethttp.NewResponseController(w)
	awaitBody(control, r, s.cfg.BodyTimeMax)
	_ = control.SetWriteDeadline(time.Now().Add(s.cfg.PassTimeMax + answerTimeMax))
	defer context.AfterFunc(ctx, func() { awaitBody(control, r, 0) })() // what still comes is waited for no longer
	to := &url.URL{Scheme: "http", Host: address}
	if s.cfg.Onward != nil {
		to.Scheme = "https"
	}
	out := &passed{keyed: r.Header.Get(keyHeader) != ""}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host, p.Out.URL.RawQuery = to.Scheme, to.Host, p.In.URL.RawQuery // what is wrong with the query is for the other to say
			p.Out.Host = to.Host                                                                         // that of this request was looked at here
			p.Out.Header.Set(passedHeader, "1")
			out.send(p.Out)
		},
		ModifyResponse: func(r *nethttp.Response) error { // this member says them already
			r.Header.Del("Cache-Control")
			r.Header.Del("X-Content-Type-Options")
			return nil
		},
		Transport: s.onward,
		ErrorHandler: func(w nethttp.ResponseWriter, _ *nethttp.Request, err error) {
			s.cfg.Log.Debug("http: a request cannot be passed on", "to", address, "error", err)
			answer(w, out.problem(ctx, nobody))
		},
	}
	proxy.ServeHTTP(w, r.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { out.left.Store(true) },
	})))
}

// longest is how long an answer may take.
func (s *Server) longest() time.Duration {
	longest := sendTimeMax
	for i := range s.cfg.Ingresses {
		longest = max(longest, s.cfg.Ingresses[i].Timeout)
	}
	return longest
}

// passed is a request that is being passed on, and what is known of it.
type passed struct {
	keyed bool
	left  atomic.Bool           // there was a connection for it
	body  io.Reader             // of the client
	short atomic.Pointer[error] // the body did not arrive, so that what has left is no whole request
}

func (p *passed) send(out *nethttp.Request) {
	switch {
	case out.Body != nil:
		p.body = out.Body
		out.Body = io.NopCloser(p)
	case out.Method == nethttp.MethodGet:
		// Go's client sends a GET again by itself when a connection ends that was kept, and it may have taken effect by then. It cannot do
		// so with a body that it cannot get again.
		out.Body = io.NopCloser(nethttp.NoBody)
	}
}

func (p *passed) Read(b []byte) (int, error) {
	n, err := p.body.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		p.short.CompareAndSwap(nil, &err)
	}
	return n, err
}

// problem says what is known of a request that came to no answer.
func (p *passed) problem(ctx context.Context, nobody *problem) *problem {
	if !p.left.Load() {
		return nobody
	}
	if err := p.short.Load(); err != nil {
		return notArrived(*err)
	}
	status := nethttp.StatusBadGateway
	if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		status = nethttp.StatusGatewayTimeout
	}
	unknown := &problem{status: status, detail: "the gateway that works has not answered: it is not known whether the event was taken", remedy: "ask the function what came of it; sent again it may take effect twice"}
	return unknown.under(p.keyed)
}
