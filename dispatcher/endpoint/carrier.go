package endpoint

import (
	"context"
	"crypto/tls"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// carrierKey is what connections have in common.
type carrierKey struct {
	scheme, host, socket            string
	connect, read, write, retireAge time.Duration
	poolSize                        int
	http2                           HTTP2
	proxy                           string
	tls                             TLS
}

// carrier is the connections of one host and the same settings, and how many remembered clients use it.
type carrier struct {
	key     carrierKey
	pool    *Pool
	clients int // guarded by Pool.mu

	direct *direct         // connections that one call has at a time, in the clear; nil over TLS, through a proxy and without a probe
	http1  *http.Transport // those, pooled by net/http; used where direct is nil
	lines  *lines          // connections that calls share; nil where HTTP/2 is never spoken
	// askAt is when the endpoint is asked again, in Unix nanoseconds, whether it speaks HTTP/2: 0 at once, never far away.
	askAt atomic.Int64
}

const (
	// askAgain is how long an https endpoint that did not offer HTTP/2 is believed.
	askAgain = 10 * time.Minute
	never    = 1<<63 - 1
)

func newCarrier(p *Pool, key carrierKey) (*carrier, error) {
	k := &carrier{key: key, pool: p}
	config, err := key.tls.config()
	if err != nil {
		return nil, err
	}
	proxy, err := proxyOf(key.proxy)
	if err != nil {
		return nil, err
	}
	with := func(spoken *http.Protocols) *http.Transport { return k.transport(spoken, config.Clone(), proxy) }
	k.http1 = with(protocols(true, false, false))
	k.http1.MaxResponseHeaderBytes = headerBytesMax
	if canProbe && key.scheme == "http" && key.proxy == "" && isASCII(key.host) { // net/http knows how other names are written
		k.direct = newDirect(k)
	}
	if key.http2 == HTTP2Never {
		k.askAt.Store(never)
		return k, nil
	}
	isTLS := key.scheme == "https"
	k.lines = newLines(k, with(protocols(isTLS && key.http2 == HTTP2Auto, isTLS, !isTLS)))
	if !isTLS && key.http2 == HTTP2Auto {
		k.askAt.Store(never) // nobody offers anything in the clear
	}
	return k, nil
}

func protocols(http1, http2, clear2 bool) *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(http1)
	p.SetHTTP2(http2)
	p.SetUnencryptedHTTP2(clear2)
	return p
}

func (k *carrier) transport(spoken *http.Protocols, config *tls.Config, proxy proxyFunc) *http.Transport {
	return &http.Transport{
		Proxy:                  proxy, // not from the environment unless told: a function's URL says where it is
		DialContext:            k.dialer(spoken.UnencryptedHTTP2()),
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    k.key.connect,
		DisableCompression:     true, // decoded here, within the reply's bound
		MaxIdleConnsPerHost:    k.key.poolSize,
		IdleConnTimeout:        k.key.idleMax(),
		ResponseHeaderTimeout:  k.key.read,
		MaxResponseHeaderBytes: sharedHeaderBytesMax,
		Protocols:              spoken,
	}
}

// idleMax is how long a connection is kept without a call.
func (key *carrierKey) idleMax() time.Duration {
	if key.retireAge > 0 {
		return min(idleMax, key.retireAge)
	}
	return idleMax
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}

// shares reports whether the next call goes over a shared connection.
func (k *carrier) shares() bool {
	at := k.askAt.Load()
	return at == 0 || at != never && time.Now().UnixNano() > at
}

// learn keeps what the endpoint was found to speak.
func (k *carrier) learn(http2 bool) {
	switch {
	case http2:
		k.askAt.Store(0)
	case k.key.scheme == "https":
		k.askAt.Store(time.Now().Add(askAgain).UnixNano())
	default:
		k.askAt.Store(never) // until it answers HTTP/1.1 with frames
	}
}

func (k *carrier) closeIdle() {
	k.http1.CloseIdleConnections()
	if k.direct != nil {
		k.direct.closeIdle()
	}
	if k.lines != nil {
		k.lines.closeIdle()
	}
}

// dialKey is the context's key for a place to put the connection that is dialed.
type dialKey struct{}

// dialer connects within its bounds and writes each connection into the pool's books.
func (k *carrier) dialer(clear2 bool) func(context.Context, string, string) (net.Conn, error) {
	p, key := k.pool, k.key
	timeout := dialMax
	if key.connect > 0 {
		timeout = key.connect
	}
	dialer := net.Dialer{Timeout: timeout}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if !p.beginDial() {
			return nil, errPoolClosed
		}
		defer p.dials.Done()
		if key.socket != "" {
			network, address = "unix", key.socket
		}
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(p.ctx, func() { cancel(errPoolClosed) })()
		raw, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		c := &conn{Conn: raw, write: key.write, buffers: &p.buffers}
		if key.http2 == HTTP2Auto && key.scheme == "http" && key.proxy == "" {
			c.surprise = &surprise{spokenTo2: clear2}
		}
		if key.retireAge > 0 {
			c.retireAt = time.Now().Add(key.retireAge + rand.N(key.retireAge/5+1))
		}
		c.gone = func() { p.forget(c) }
		if !p.remember(c) {
			c.Close()
			return nil, errPoolClosed
		}
		if place, ok := ctx.Value(dialKey{}).(**conn); ok {
			c.shared = true
			*place = c
		}
		return c, nil
	}
}
