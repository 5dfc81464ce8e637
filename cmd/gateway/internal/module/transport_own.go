package module

import (
	"net/url"
	"strconv"
	"strings"

	yaml "go.yaml.in/yaml/v3"
)

// HTTP2 says when functions are called over HTTP/2.
type HTTP2 string

const (
	HTTP2Auto   HTTP2 = ""       // written auto, the default: where the endpoint offers it
	HTTP2Always HTTP2 = "always" // and nothing else
	HTTP2Never  HTTP2 = "never"  // HTTP/1.1
)

// ProxyFromEnvironment is the Proxy that follows HTTP_PROXY, HTTPS_PROXY and NO_PROXY.
const ProxyFromEnvironment = "environment"

var ownNames = []string{"verify_hostname", "http2", "bulk", "proxy"}

// ownOptions reads them. What is wrong with them is an error, for no application of StateFun has them.
func (p *parser) ownOptions(o *object, own *Transport) {
	if n := o.take("verify_hostname"); n != nil {
		switch {
		case n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool":
			p.complain(n, Error, "verify_hostname: want true or false, got %s", p.describe(n))
		case strings.EqualFold(n.Value, "false"):
			own.AnyHost = true
			p.complain(o.fields["verify_hostname"].key, Warning, "verify_hostname is false: whoever has a certificate of a trusted authority, for whatever name, can pass for the function")
		}
	}
	if n := o.take("http2"); n != nil {
		switch text, _ := p.textOf(n, "http2", Error); HTTP2(text) {
		case "auto", "":
		case HTTP2Always, HTTP2Never:
			own.HTTP2 = HTTP2(text)
		default:
			p.complain(n, Error, "http2 is %s: want one of auto, always, never", p.describe(n))
		}
	}
	if n := o.take("bulk"); n != nil {
		own.Bulk = p.bulk(n)
	}
	o.knows("proxy")
	if o.written("proxy") {
		// Also of one that is there without a value: calls would go past the proxy.
		n := o.fields["proxy"].value
		if text := n.Value; n.Kind == yaml.ScalarNode && !isNull(n) && isProxy(text) {
			own.Proxy = Secret(text)
		} else {
			p.complain(n, Error, "proxy: want environment, http://HOST:PORT or socks5://HOST:PORT; leave the key out for none") // it may hold a password
		}
	}
}

// bulkMax is beyond what an announcement of bulk calls counts.
const bulkMax = 4096

// bulk reads auto, never, or a number of calls.
func (p *parser) bulk(n *yaml.Node) int {
	if v, ok := p.wholeNumber(n, true); ok && v >= 1 && v <= bulkMax {
		return int(v)
	}
	if n.Kind == yaml.ScalarNode && !isNull(n) {
		switch p.scalarText(n) {
		case "never":
			return 1
		case "auto", "":
			return 0
		}
	}
	p.complain(n, Error, "bulk is %s: want auto, never, or a number of calls from 1 to %d", p.describe(n), bulkMax)
	return 0
}

func isProxy(text string) bool {
	if text == ProxyFromEnvironment {
		return true
	}
	u, err := url.Parse(text)
	return err == nil && u.Hostname() != "" && (u.Scheme == "http" || u.Scheme == "socks5") && isPort(u.Port())
}

// isPort reports whether the port of an URL is one; none is that of its scheme.
func isPort(text string) bool {
	n, err := strconv.Atoi(text)
	return text == "" || err == nil && n >= 1 && n <= 65535
}

// checkOwnOptions says what the options of ours mean for an URL, and what they cannot.
func (p *parser) checkOwnOptions(e *Endpoint, template *yaml.Node) {
	scheme, _, _ := strings.Cut(strings.ToLower(e.URLTemplate), ":")
	switch {
	case e.Transport.Proxy == "":
	case strings.HasSuffix(scheme, "+unix"):
		p.complain(template, Warning, "urlPathTemplate %s is a socket of this machine: the proxy of the transport is not used", p.describe(template))
	case scheme == "http" && e.Transport.HTTP2 == HTTP2Always:
		p.complain(template, Error, "urlPathTemplate %s is not https: HTTP/2 (http2: always) does not pass through a proxy in the clear", p.describe(template))
	}
}
