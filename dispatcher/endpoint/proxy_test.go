package endpoint

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// proxyAddress is the same for all runs of a process: net/http asks the environment only once.
var proxyAddress = "127.0.0.1:0"

func proxyServer(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	listener, err := net.Listen("tcp", proxyAddress)
	if err != nil {
		t.Fatal(err)
	}
	proxyAddress = listener.Addr().String()
	server := httptest.NewUnstartedServer(handler)
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	return server
}

func TestProxy(t *testing.T) {
	var seen atomic.Value
	target := serve2(t, "https", 0, protocolOf)
	proxy := proxyServer(t, func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r.Method + " " + r.RequestURI + " " + r.Header.Get("Proxy-Authorization"))
		if r.Method == http.MethodConnect {
			tunnel(w, r)
			return
		}
		body, _ := io.ReadAll(r.Body)
		good(w, body)
	})
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("NO_PROXY", "")
	host := strings.TrimPrefix(proxy.URL, "http://")
	const elsewhere = "http://functions.invalid/f"
	for name, tc := range map[string]struct {
		url, proxy string
		want, seen string // want "": Unreachable
	}{
		"none":                  {elsewhere, "", "", ""},
		"named":                 {elsewhere, proxy.URL, "x", "POST " + elsewhere + " "},
		"with a password":       {elsewhere, "http://u:pw@" + host, "x", "POST " + elsewhere + " Basic dTpwdw=="},
		"of the environment":    {elsewhere, ProxyFromEnvironment, "x", "POST " + elsewhere + " "},
		"TLS through it":        {target.url, proxy.URL, "HTTP/2.0", "CONNECT " + strings.TrimPrefix(target.url, "https://") + " "},
		"not for what is local": {target.url, ProxyFromEnvironment, "HTTP/2.0", ""},
	} {
		t.Run(name, func(t *testing.T) {
			seen.Store("")
			c := client(t, tc.url, func(s *Spec) { s.TLS, s.Proxy = target.tls, tc.proxy })
			reply, _, fail := c.Call(within(t, 10*time.Second), []byte("x"))
			if tc.want == "" {
				wantFailure(t, reply, fail, Unreachable, 0, "")
			} else if fail != nil || string(reply) != tc.want {
				t.Errorf("got %q, %v; want %q", reply, fail, tc.want)
			}
			if got := seen.Load(); got != tc.seen {
				t.Errorf("the proxy saw %q, want %q", got, tc.seen)
			}
		})
	}
	for _, bad := range []Spec{{URL: elsewhere, Proxy: "proxy:8080"}, {URL: elsewhere, Proxy: "https://u:hunter2@proxy"}, {URL: elsewhere, Proxy: "http://u:hunter2@pro xy"},
		{URL: elsewhere, Proxy: proxy.URL, HTTP2: HTTP2Always}, {URL: elsewhere, HTTP2: 7}} {
		if _, err := New(bad); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%+v: got %v", bad, err)
		}
	}
}

func tunnel(w http.ResponseWriter, r *http.Request) {
	out, err := net.Dial("tcp", r.Host)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer out.Close()
	in, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer in.Close()
	io.WriteString(in, "HTTP/1.1 200 Connected\r\n\r\n")
	go func() { io.Copy(out, in); out.Close() }()
	io.Copy(in, out)
}
