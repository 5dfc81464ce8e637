package endpoint

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func TestProtocolOverTLS(t *testing.T) {
	a := newAuthority(t)
	both := a.serve(loopback, tls.NoClientCert)
	one := httptest.NewUnstartedServer(http.HandlerFunc(protocolOf))
	one.TLS = &tls.Config{Certificates: []tls.Certificate{a.pair("server", loopback)}}
	one.Config.ErrorLog = log.New(io.Discard, "", 0)
	one.StartTLS()
	defer one.Close()
	for _, tc := range []struct {
		url  string
		mode HTTP2
		want string // "": Unreachable
	}{
		{both, HTTP2Auto, "HTTP/2.0"}, {both, HTTP2Always, "HTTP/2.0"}, {both, HTTP2Never, "HTTP/1.1"},
		{one.URL, HTTP2Auto, "HTTP/1.1"}, {one.URL, HTTP2Always, ""}, {one.URL, HTTP2Never, "HTTP/1.1"},
	} {
		c := client(t, tc.url, func(s *Spec) { s.TLS, s.HTTP2 = &TLS{TrustCACerts: a.file}, tc.mode })
		for range 2 {
			reply, _, fail := c.Call(within(t, 5*time.Second), []byte("x"))
			if tc.want == "" {
				wantFailure(t, reply, fail, Unreachable, 0, "")
			} else if fail != nil || string(reply) != tc.want {
				t.Errorf("mode %d: got %q, %v; want %s", tc.mode, reply, fail, tc.want)
			}
		}
	}
}

func TestProtocolInTheClear(t *testing.T) {
	var opened atomic.Int32
	start := func(http1, http2 bool) string {
		server := httptest.NewUnstartedServer(http.HandlerFunc(protocolOf))
		server.Config.Protocols = new(http.Protocols)
		server.Config.Protocols.SetHTTP1(http1)
		server.Config.Protocols.SetUnencryptedHTTP2(http2)
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.Start()
		t.Cleanup(server.Close)
		return server.URL
	}
	one, both := start(true, false), start(true, true)
	atOnce, onRequest := only2(t, true, &opened), only2(t, false, &opened)
	for name, tc := range map[string]struct {
		url  string
		mode HTTP2
		want string // "": a failure
	}{
		"HTTP/1, auto":                  {one, HTTP2Auto, "HTTP/1.1"},
		"HTTP/1, always":                {one, HTTP2Always, ""},
		"HTTP/1, never":                 {one, HTTP2Never, "HTTP/1.1"},
		"both, auto":                    {both, HTTP2Auto, "HTTP/1.1"},
		"both, always":                  {both, HTTP2Always, "HTTP/2.0"},
		"both, never":                   {both, HTTP2Never, "HTTP/1.1"},
		"only HTTP/2, greets, auto":     {atOnce, HTTP2Auto, "HTTP/2.0"},
		"only HTTP/2, greets, always":   {atOnce, HTTP2Always, "HTTP/2.0"},
		"only HTTP/2, greets, never":    {atOnce, HTTP2Never, ""},
		"only HTTP/2, answers, auto":    {onRequest, HTTP2Auto, "HTTP/2.0"},
		"only HTTP/2, answers, always":  {onRequest, HTTP2Always, "HTTP/2.0"},
		"only HTTP/2, answers, never":   {onRequest, HTTP2Never, ""},
		"only HTTP/2, answers, auto, 2": {onRequest, HTTP2Auto, "HTTP/2.0"},
	} {
		t.Run(name, func(t *testing.T) {
			c := client(t, tc.url, func(s *Spec) { s.HTTP2 = tc.mode })
			opened.Store(0)
			for range 3 {
				reply, _, fail := c.Call(within(t, 5*time.Second), []byte("hello"))
				if tc.want == "" {
					if fail == nil || fail.Kind != Unreachable && fail.Kind != BadReply {
						t.Errorf("got %q, %v", reply, fail)
					}
				} else if fail != nil || string(reply) != tc.want {
					t.Errorf("got %q, %v; want %s", reply, fail, tc.want)
				}
			}
			if got := opened.Load(); tc.want != "" && got > 2 {
				t.Errorf("three calls took %d connections: what was learnt is not remembered", got)
			}
		})
	}
}

// An endpoint that spoke HTTP/2 only is replaced by one that knows HTTP/1.1 only, and the other way round: no call is lost.
func TestProtocolChangesWithTheEndpoint(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	c := client(t, "http://"+address)
	for turn := range 4 {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: http.HandlerFunc(protocolOf), ErrorLog: log.New(io.Discard, "", 0)}
		understood := net.Listener(listener)
		want := "HTTP/1.1"
		var all sync.WaitGroup
		if turn%2 == 1 {
			want = "HTTP/2.0"
			server.Protocols = new(http.Protocols)
			server.Protocols.SetUnencryptedHTTP2(true)
			sorted := &handed{conns: make(chan net.Conn), ended: make(chan struct{}), address: listener.Addr()}
			understood = sorted
			all.Go(func() {
				for {
					c, err := listener.Accept()
					if err != nil {
						return
					}
					all.Go(func() { sorted.sort(c, false) })
				}
			})
		}
		all.Go(func() { server.Serve(understood) })
		for range 3 {
			reply, _, fail := c.Call(within(t, 5*time.Second), []byte("hello"))
			if fail != nil || string(reply) != want {
				t.Errorf("turn %d: got %q, %v; want %s", turn, reply, fail, want)
			}
		}
		listener.Close()
		server.Close()
		all.Wait()
		c.carrier.closeIdle()
	}
}

func TestSurprise(t *testing.T) {
	for name, tc := range map[string]struct {
		spokenTo2 bool
		pieces    []string
		want      bool
	}{
		"settings":              {false, []string{string(settingsFrame)}, true},
		"settings, in pieces":   {false, []string{"\x00", "\x00\x06", "\x04\x00\x00\x00\x00", "\x00rest"}, true},
		"farewell":              {false, []string{string(goAwayFrame)}, true},
		"answer of HTTP/1":      {false, []string{"HTTP/1.1 200 OK\r\n"}, false},
		"cut short":             {false, []string{"\x00\x00\x06\x04\x00\x00\x00\x00"}, false},
		"data of a stream":      {false, []string{"\x00\x00\x06\x00\x00\x00\x00\x00\x01"}, false},
		"settings of a stream":  {false, []string{"\x00\x00\x06\x04\x00\x00\x00\x00\x01"}, false},
		"HTTP/1 to a preface":   {true, []string{"HTTP/1.1 400 Bad Request\r\n"}, true},
		"in pieces":             {true, []string{"HT", "TP/1", ".0 505"}, true},
		"settings to a preface": {true, []string{string(settingsFrame)}, false},
		"late":                  {true, []string{string(settingsFrame), "HTTP/1.1 400"}, false},
	} {
		s := surprise{spokenTo2: tc.spokenTo2}
		got := false
		for _, piece := range tc.pieces {
			got = s.hear([]byte(piece)) || got
		}
		if got != tc.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

// brokenPipe takes the first bytes and then no more.
type brokenPipe struct {
	net.Conn
	taken bool
}

func (b *brokenPipe) SetReadDeadline(time.Time) error { return nil }

func (b *brokenPipe) Write(p []byte) (int, error) {
	if !b.taken {
		b.taken = true
		return len(p), nil
	}
	return 0, syscall.EPIPE
}

// A server that knows no HTTP/2 answers the preface and hangs up. Its answer must be read, though the next frame meets a closed
// connection; once it was heard, a connection that takes nothing is lost for all who share it, at once.
func TestBrokenSharedConnection(t *testing.T) {
	preface := []byte("PRI * HTTP/2.0")
	for name, tc := range map[string]struct {
		heard string
		fails bool
	}{"nothing heard": {"", false}, "answer of HTTP/1": {"HTTP/1.1 400", true}, "settings": {string(settingsFrame), true}} {
		c := &conn{Conn: &brokenPipe{}, shared: true, surprise: &surprise{spokenTo2: true}}
		if _, err := c.Write(preface); err != nil {
			t.Fatal(err)
		}
		c.surprise.hear([]byte(tc.heard))
		if n, err := c.Write(preface); (err != nil) != tc.fails || !tc.fails && n != len(preface) {
			t.Errorf("%s: got %d, %v", name, n, err)
		}
	}
	c := &conn{Conn: &brokenPipe{taken: true}, shared: true}
	c.sent.Store(1)
	if _, err := c.Write(preface); err == nil {
		t.Error("where the protocol is settled nothing is awaited")
	}
}
