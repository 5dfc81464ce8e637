package admin

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Role is what whoever asks may do.
type Role uint8

const (
	Stranger Role = iota // nothing but look at the probes and metrics
	Reader               // read
	Operator             // change, too
)

// Access decides who may ask. The zero value lets everybody do everything, who does not come from a page in a browser.
type Access struct {
	// Role tells the role of whoever sends a header Authorization; nil: nobody is asked for one.
	Role func(authorization string) Role
	// Local: it listens where only its own host is let in. A request for another name was led here by somebody (DNS rebinding).
	Local bool
	// TLS: it is asked by https.
	TLS bool
}

// open are the paths of probes and metrics: what asks there has no token.
var open = []string{"/healthz", "/readyz", "/metrics"}

// Protect lets in who may ask, and notes the role. What a role may do is for the routes to say.
func (a Access) Protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		if p, wrong := a.foreign(r); wrong {
			write(w, p)
			return
		}
		role := Operator
		if a.Role != nil {
			role = a.Role(r.Header.Get("Authorization"))
		}
		if role == Stranger && !slices.Contains(open, r.URL.EscapedPath()) {
			refuseStranger(w)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), roleKey{}, role)))
	})
}

type roleKey struct{}

// refuseStranger asks for a token. Who has none keeps no connection.
func refuseStranger(w http.ResponseWriter) {
	w.Header().Set("Connection", "close")
	w.Header().Set("WWW-Authenticate", `Bearer realm="stategate"`)
	write(w, problem{http.StatusUnauthorized, "the request carries no token that is known",
		"send it with the header Authorization: Bearer TOKEN; the tokens are in the files that adminTokenFile and adminReadTokenFile name"})
}

// operators lets only those in who may change. A role that nobody has noted is none.
func operators(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if role, _ := r.Context().Value(roleKey{}).(Role); role != Operator {
			write(w, problem{http.StatusForbidden, "only operators may do this, and the token is of a reader", "use a token of the file that adminTokenFile names"})
			return
		}
		next(w, r)
	}
}

// foreign refuses what a page of somebody else asks through the browser of an operator, who reaches what the page does not.
func (a Access) foreign(r *http.Request) (problem, bool) {
	if a.Local && !localName(r.Host) {
		return problem{http.StatusForbidden, "the gateway's admin side listens for its own host, and the request asks for another one",
			"ask for localhost or an address, also where a proxy passes requests on"}, true
	}
	page := problem{http.StatusForbidden, "a page of another site asks through a browser", "ask with curl, or from a server"}
	for _, origin := range r.Header.Values("Origin") {
		if !a.sameOrigin(origin, r.Host) {
			return page, true
		}
	}
	for _, site := range r.Header.Values("Sec-Fetch-Site") {
		if site != "same-origin" && site != "none" { // none: somebody has typed it. Another port of a host is same-site
			return page, true
		}
	}
	return problem{}, false
}

func (a Access) sameOrigin(origin, host string) bool {
	u, err := url.Parse(origin)
	scheme := "http"
	if a.TLS {
		scheme = "https"
	}
	return err == nil && u.Scheme == scheme && host != "" && strings.EqualFold(u.Host, host)
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
