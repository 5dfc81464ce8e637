package endpoint

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestOutcome: what a function says, in whichever way it fails, is in the text and not in its outcome.
func TestOutcome(t *testing.T) {
	const marker = "MARKER of a payload: with\nmore"
	answers := map[string]http.HandlerFunc{
		"status 500 Internal Server Error": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, marker, http.StatusInternalServerError) },
		"status 413 Request Entity Too Large": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, marker, http.StatusRequestEntityTooLarge)
		},
		"status 401 Unauthorized (requests are not signed; give the gateway a signingKeyFile)": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", signatureChallenge)
			http.Error(w, marker, http.StatusUnauthorized)
		},
		"status 302 Found (redirects are not followed)": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/"+"MARKER")
			w.WriteHeader(http.StatusFound)
			_, _ = w.Write([]byte(marker))
		},
		"status 200 with": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte(marker))
		},
		"status 200 with another content type": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html-MARKER")
			_, _ = w.Write([]byte(marker))
		},
		"status 200 with content type text/html": func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = []string{`text/html; x=" (must be MARKER`, `MARKER: x`}
		},
		"status 201 with another content type": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", `x" (must be MARKER): y`)
			w.WriteHeader(http.StatusCreated)
		},
		"the reply is not HTTP": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = conn.Write([]byte("HTTP/1.1 MARKER\r\n\r\n"))
				_ = conn.(*net.TCPConn).CloseWrite()
			}
		},
	}
	for want, answer := range answers {
		s := httptest.NewServer(answer)
		c := client(t, s.URL)
		_, _, f := c.Call(context.Background(), []byte("x"))
		s.Close()
		if f == nil || !strings.Contains(f.Text, "MARKER") || strings.Contains(f.Outcome(), "MARKER") || !strings.HasPrefix(f.Outcome(), want) {
			t.Errorf("%s: got %+v", want, f)
		}
	}
	c := client(t, "http://f/")
	for _, status := range []uint32{0, 200, 399, 500, 1 << 31} {
		f := c.failed(failed{status: status, reason: []byte(marker)})
		if !strings.Contains(f.Text, "MARKER") || strings.Contains(f.Outcome(), "MARKER") || f.Outcome() == "" {
			t.Errorf("%d of a bulk: got %+v", status, f)
		}
	}
	if f := (&Failure{Text: "connect: connection refused"}); f.Outcome() != f.Text {
		t.Errorf("got %q", f.Outcome())
	}
}
