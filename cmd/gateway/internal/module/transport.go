package module

import (
	"cmp"
	"math"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/stategate/stategate/api"
)

// TransportKind chooses a set of defaults; the gateway has one way to call.
type TransportKind string

const (
	Async  TransportKind = "async"  // io.statefun.transports.v1/async, the default of endpoints v2
	OkHTTP TransportKind = "okhttp" // io.statefun.transports.v1/okhttp, the only one of endpoints v1; unix sockets
)

const (
	transportAsync  = "io.statefun.transports.v1/async"
	transportOkHTTP = "io.statefun.transports.v1/okhttp"
)

// Transport says how an endpoint is called.
type Transport struct {
	Kind    TransportKind
	Call    time.Duration // budget of one logical request with all its attempts; async 2 min, okhttp 1 min
	Connect time.Duration // of one TCP connect; async 20 s, okhttp 10 s
	Read    time.Duration // without a byte of the response; okhttp 10 s; 0: no limit (async)
	Write   time.Duration // without a byte of the request taken; okhttp 10 s; 0: no limit (async)

	PoolTTL         time.Duration // age at which a pooled connection is retired; async 15 s; 0: never
	PoolSize        int           // connections of one function type; 1024
	PayloadMaxBytes int64         // of a response; async 32 MiB; 0: no limit named (okhttp)

	// Paths of PEM files; "": the system's certificates, no client certificate. ClientKeyPassword is the path of a file too.
	TrustCACerts, ClientCert, ClientKey, ClientKeyPassword string

	// Options of ours, in both kinds.
	AnyHost bool  // of verify_hostname: false; the certificate of the endpoint may be anybody's, of a trusted authority still
	HTTP2   HTTP2 // of http2
	Bulk    int   // of bulk: at most so many calls in one request; 1: never, each goes alone; 0: auto, as many as the function announces
	// Proxy of proxy: an URL, in which a password may be, or ProxyFromEnvironment; "": none, whatever the environment says.
	Proxy Secret
}

func asyncDefaults() Transport {
	return Transport{
		Kind: Async, Call: 2 * time.Minute, Connect: 20 * time.Second,
		PoolTTL: 15 * time.Second, PoolSize: 1024, PayloadMaxBytes: 32 << 20,
	}
}

// okhttpDefaults keeps idle connections for a minute, so they are not retired by age.
func okhttpDefaults() Transport {
	return Transport{
		Kind: OkHTTP, Call: time.Minute, Connect: 10 * time.Second, Read: 10 * time.Second, Write: 10 * time.Second,
		PoolSize: 1024,
	}
}

func (t *Transport) hasTLS() bool {
	return t.TrustCACerts != "" || t.ClientCert != "" || t.ClientKey != "" || t.AnyHost
}

// transport reads the transport of an endpoint v2. Its options are read by StateFun at the first call only.
func (p *parser) transport(spec *object) (t Transport, fault string) {
	n := spec.take("transport")
	if n == nil {
		return asyncDefaults(), ""
	}
	o := p.object(n, "transport", Error)
	if o == nil {
		return asyncDefaults(), ""
	}
	kind := transportAsync
	if n := o.take("type"); n != nil {
		var ft api.FunctionType
		if ft = p.typeName(n, "type of transport"); !ft.IsZero() {
			kind = ft.String()
		}
	}
	o.wrong = Warning
	defer o.close()
	switch kind {
	case transportAsync:
		t, fault = p.asyncTransport(o)
		p.ownOptions(o, &t)
		return t, cmp.Or(p.misspeltSecurity(o, append([]string{"proxy"}, tlsNames...)), fault)
	case transportOkHTTP:
		t = okhttpDefaults()
		p.okhttpTimeouts(o, &t)
		p.ownOptions(o, &t)
		o.ignored("the okhttp transport has its time-outs under timeouts", "call", "connect")
		o.ignored("the okhttp transport has no such option", "pool_ttl", "pool_size", "payload_max_bytes")
		o.ignored("the okhttp transport trusts the system's authorities and has no certificate of its own", tlsNames...)
		return t, p.misspeltSecurity(o, []string{"proxy"})
	}
	p.complain(o.take("type"), Error, "unknown transport %s: %s", quote(kind), guess(kind, []string{transportAsync, transportOkHTTP}))
	o.knows("timeouts", "call", "connect", "pool_ttl", "pool_size", "payload_max_bytes")
	o.knows(tlsNames...)
	o.knows(ownNames...)
	return asyncDefaults(), ""
}

func (p *parser) asyncTransport(o *object) (t Transport, fault string) {
	t = asyncDefaults()
	t.Call = o.duration("call", t.Call, false)
	t.Connect = o.duration("connect", t.Connect, false)
	if n := o.take("timeouts"); n != nil {
		// The spelling of older versions wins as a whole, with the defaults that it had.
		if timeouts := p.object(n, "timeouts", Warning); timeouts != nil {
			t.Call = timeouts.duration("call", time.Minute, false)
			t.Connect = timeouts.duration("connect", 10*time.Second, false)
			timeouts.ignored("the async transport does not limit it", "read", "write")
			timeouts.close()
			for _, name := range []string{"call", "connect"} {
				if o.has(name) {
					p.complain(o.fields[name].key, Warning, "%s has no meaning beside timeouts, which replaces call and connect both", name)
				}
			}
		}
	}
	t.PoolTTL = o.duration("pool_ttl", t.PoolTTL, true)
	t.PoolSize = int(o.number("pool_size", int64(t.PoolSize), 1, math.MaxInt32))
	t.PayloadMaxBytes = o.number("payload_max_bytes", t.PayloadMaxBytes, 1, math.MaxInt32)

	return t, p.certificates(o, &t)
}

// okhttpTimeouts reads timeouts. Connect, read and write must not exceed call, and by StateFun's defaults they do as soon as
// call alone is set below 10 s; then it cannot call at all. Here they are cut to call.
func (p *parser) okhttpTimeouts(o *object, t *Transport) {
	n := o.take("timeouts")
	if n == nil {
		return
	}
	timeouts := p.object(n, "timeouts", Warning)
	if timeouts == nil {
		return
	}
	t.Call = timeouts.duration("call", t.Call, false)
	for _, f := range []struct {
		name string
		to   *time.Duration
	}{{"connect", &t.Connect}, {"read", &t.Read}, {"write", &t.Write}} {
		*f.to = timeouts.duration(f.name, *f.to, false)
		if *f.to <= t.Call {
			continue
		}
		at, written := n, ""
		if timeouts.has(f.name) {
			at = timeouts.take(f.name)
		} else {
			written = " (its default)"
		}
		p.complain(at, Warning, "%s of timeouts is %s%s, longer than call, %s: it is cut to that, StateFun would fail at the first call", f.name, *f.to, written, t.Call)
		*f.to = t.Call
	}
	timeouts.close()
}

// location is the path of a file that the module names: a path, relative to the working directory as in StateFun, a file: URI, or
// classpath:, for which the folder of the module file stands. A ~ is not expanded.
func (p *parser) location(s string) string {
	if resource, ok := strings.CutPrefix(s, "classpath:"); ok {
		return filepath.Join(filepath.Dir(p.file), resource)
	}
	if strings.HasPrefix(s, "file:") {
		if u, err := url.Parse(s); err == nil && u.Path != "" {
			return u.Path
		}
	}
	return s
}
