package http

import (
	"crypto/tls"
	"errors"
	"net"
	nethttp "net/http"
	"net/http/httputil"
	"net/url"
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

// pass passes a request on to the member that works.
func (s *Server) pass(w nethttp.ResponseWriter, r *nethttp.Request) {
	nobody := &problem{status: nethttp.StatusServiceUnavailable, detail: "no gateway works right now; nothing has happened", remedy: "send it again, a little later"}
	if r.Header.Get(passedHeader) != "" || s.cfg.Owner == nil {
		answer(w, nobody)
		return
	}
	address, ok := s.cfg.Owner(r.Context())
	if !ok {
		answer(w, nobody)
		return
	}
	control := nethttp.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(s.cfg.BodyTimeMax))
	_ = control.SetWriteDeadline(time.Now().Add(s.cfg.BodyTimeMax + s.longest() + 2*answerTimeMax)) // the one that works has bounds of its own
	to := &url.URL{Scheme: "http", Host: address}
	if s.cfg.Onward != nil {
		to.Scheme = "https"
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host = to.Scheme, to.Host
			p.Out.Host = r.Host
			p.Out.Header.Set(passedHeader, "1")
		},
		Transport: s.onward,
		ErrorHandler: func(w nethttp.ResponseWriter, _ *nethttp.Request, err error) {
			s.cfg.Log.Debug("http: a request cannot be passed on", "to", address, "error", err)
			answer(w, passProblem(err, nobody))
		},
	}
	proxy.ServeHTTP(w, r)
}

// longest is how long an answer may take.
func (s *Server) longest() time.Duration {
	longest := sendTimeMax
	for i := range s.cfg.Ingresses {
		longest = max(longest, s.cfg.Ingresses[i].Timeout)
	}
	return longest
}

// passProblem says what is known of a request that came to no answer.
func passProblem(err error, nobody *problem) *problem {
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return nobody
	}
	return &problem{status: nethttp.StatusBadGateway, detail: "the gateway that works has not answered: it is not known whether the event was taken", remedy: "ask the function what came of it; sent again it may take effect twice"}
}
