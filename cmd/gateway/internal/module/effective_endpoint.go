package module

import (
	"net/url"
	"strconv"
	"time"

	yaml "go.yaml.in/yaml/v3"
)

// listEndpoint lists what counts for an endpoint. An endpoint v1 has the time-outs of okhttp in its spec, and no transport.
func (p *parser) listEndpoint(e *Endpoint, spec *yaml.Node) {
	l := p.list("endpoint", e.Functions.String(), e.Place, p.kind)
	l.add("functions", e.Functions.String(), child(spec, "functions"))
	l.add("urlPathTemplate", e.shown(), child(spec, "urlPathTemplate"))
	if shown := e.shown(); shown != e.URLTemplate {
		l.last().hidden = e.URLTemplate
	}
	if e.Fault != "" {
		l.add("fault", e.Fault+": no call can be made", nil)
		l.last().From = fileLine(e.Place)
	}
	l.amount("maxNumBatchRequests", numberOr(e.MaxNumBatchRequests, "no bound"), child(spec, "maxNumBatchRequests"))
	l.add("onFailure", string(e.OnFailure), child(spec, "onFailure"))
	if p.kind == kindEndpointV1 {
		l.timeouts("timeouts", &e.Transport, child(spec, "timeouts"))
	} else {
		l.transport(&e.Transport, child(spec, "transport"))
	}
	l.done()
}

// transport lists that of an endpoint v2.
func (l *lister) transport(t *Transport, n *yaml.Node) {
	name := under("transport")
	kind := transportAsync
	if t.Kind == OkHTTP {
		kind = transportOkHTTP
	}
	l.add(name("type"), kind, child(n, "type"))
	if t.Kind == OkHTTP {
		l.timeouts(name("timeouts"), t, child(n, "timeouts"))
	} else {
		call, connect := child(n, "call"), child(n, "connect")
		if old := child(n, "timeouts"); old != nil && old.Kind == yaml.MappingNode { // the older spelling replaces both
			call, connect = child(old, "call"), child(old, "connect")
		}
		l.amount(name("call"), inWords(t.Call, ""), call)
		l.amount(name("connect"), inWords(t.Connect, ""), connect)
		l.amount(name("pool_ttl"), inWords(t.PoolTTL, "0s"), child(n, "pool_ttl"))
		l.amount(name("pool_size"), strconv.Itoa(t.PoolSize), child(n, "pool_size"))
		l.amount(name("payload_max_bytes"), numberOr(t.PayloadMaxBytes, "no bound"), child(n, "payload_max_bytes"))
		for i, file := range []string{t.TrustCACerts, t.ClientCert, t.ClientKey, t.ClientKeyPassword} {
			if tlsNames[i] == "client_key_password" { // the path of a file, but the password itself is what one tries first
				l.hide(name(tlsNames[i]), file, child(n, tlsNames[i]))
			} else {
				l.add(name(tlsNames[i]), redact(file), child(n, tlsNames[i]))
			}
		}
	}
	l.add(name("verify_hostname"), strconv.FormatBool(!t.AnyHost), child(n, "verify_hostname"))
	http2, bulk := string(t.HTTP2), numberOr(t.Bulk, "auto")
	if t.HTTP2 == HTTP2Auto {
		http2 = "auto"
	}
	if t.Bulk == 1 {
		bulk = "never"
	}
	l.add(name("http2"), http2, child(n, "http2"))
	l.add(name("bulk"), bulk, child(n, "bulk"))
	l.add(name("proxy"), proxyInWords(string(t.Proxy)), child(n, "proxy"))
	if l.last().Value != string(t.Proxy) {
		l.last().hidden = string(t.Proxy)
	}
}

// proxyInWords is a proxy by scheme, host and port: whatever else is in its URL is not used, or is a password.
func proxyInWords(proxy string) string {
	u, err := url.Parse(proxy)
	switch {
	case proxy == "", proxy == ProxyFromEnvironment:
		return proxy
	case err != nil:
		return hidden
	case u.User != nil:
		return u.Scheme + "://" + hidden + "@" + u.Host
	}
	return u.Scheme + "://" + u.Host
}

// timeouts lists those of okhttp, which are cut to the longest of them.
func (l *lister) timeouts(prefix string, t *Transport, n *yaml.Node) {
	defaults, name := okhttpDefaults(), under(prefix)
	l.amount(name("call"), inWords(t.Call, ""), child(n, "call"))
	for _, f := range []struct {
		name         string
		is, standard time.Duration
	}{{"connect", t.Connect, defaults.Connect}, {"read", t.Read, defaults.Read}, {"write", t.Write, defaults.Write}} {
		at, asked := child(n, f.name), f.standard
		if at != nil && !l.p.unused[at] && !l.p.emptied(at) {
			asked, _ = parseDuration(l.p.scalarText(at))
		}
		l.amount(name(f.name), inWords(f.is, "no bound"), at)
		if asked > f.is {
			l.last().From += ", cut to call"
		}
	}
}
