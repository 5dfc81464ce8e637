package http

import (
	"net"
	nethttp "net/http"
	"net/url"
	"slices"
	"strings"
)

// A browser sends requests for every page that is looked at on its host, also to addresses that nobody else reaches. Those of other sites
// are refused: by what the browser says of them and, where nothing but the loopback address keeps others out, by the name that was asked
// for, which a page may have pointed to the loopback address. Programs say neither.

// ofOthers refuses what a page of another site asks.
func (s *Server) ofOthers(r *nethttp.Request) *problem {
	if crossSite(r) {
		return &problem{status: nethttp.StatusForbidden, detail: "a page of another site may not ask here; nothing has happened", remedy: "let the page's own server ask"}
	}
	if s.local.Load() && !localName(r.Host) {
		return &problem{status: nethttp.StatusForbidden, detail: "the gateway listens for its own host, and the request asks for " + shown(r.Host) + "; nothing has happened",
			remedy: "ask for localhost or an address, also where a proxy passes requests on; or give the gateway --listen-token-file"}
	}
	return nil
}

// crossSite reports whether a browser sends it for a page of another site. It says so of itself, but not to hosts that it reaches in clear and
// that are not its own; there the page's origin must be of this host.
func crossSite(r *nethttp.Request) bool {
	sites := r.Header.Values("Sec-Fetch-Site")
	if len(sites) > 0 {
		return slices.Contains(sites, "cross-site")
	}
	return slices.ContainsFunc(r.Header.Values("Origin"), func(origin string) bool {
		u, err := url.Parse(origin)
		return err != nil || u.Host == "" || !strings.EqualFold(u.Hostname(), (&url.URL{Host: r.Host}).Hostname())
	})
}

// localName reports whether a Host is none that somebody else could have pointed here: localhost, or an address.
func localName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
	host, _, _ = strings.Cut(host, "%") // the zone of an address
	return host == "" || host == "localhost" || strings.HasSuffix(host, ".localhost") || net.ParseIP(host) != nil
}

func loopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
