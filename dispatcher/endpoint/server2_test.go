package endpoint

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
)

// server2 is a function that speaks HTTP/2, over TLS or in the clear.
type server2 struct {
	url    string
	tls    *TLS
	opened atomic.Int32 // connections
}

// serve2 starts one. limit is how many calls it takes on one connection at a time, 0: as many as Go's server does.
func serve2(t testing.TB, scheme string, limit int, handler http.HandlerFunc) *server2 {
	t.Helper()
	s := &server2{}
	server := httptest.NewUnstartedServer(handler)
	server.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: limit}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.opened.Add(1)
		}
	}
	if scheme == "https" {
		a := newAuthority(t)
		server.TLS = &tls.Config{Certificates: []tls.Certificate{a.pair("server", loopback)}}
		server.EnableHTTP2 = true
		server.StartTLS()
		s.tls = &TLS{TrustCACerts: a.file}
	} else {
		server.Config.Protocols = new(http.Protocols)
		server.Config.Protocols.SetUnencryptedHTTP2(true)
		server.Start()
	}
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *server2) client(t testing.TB, change ...func(*Spec)) *Client {
	t.Helper()
	return client(t, s.url, append([]func(*Spec){func(spec *Spec) { spec.TLS, spec.HTTP2 = s.tls, HTTP2Always }}, change...)...)
}

// protocolOf answers a call with the protocol that it came in.
func protocolOf(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	good(w, []byte(r.Proto))
}

// only2 starts a function that speaks HTTP/2 only, as those do that say so: with its settings, either as soon as somebody connects or as the
// answer to a request that it does not understand.
func only2(t *testing.T, greets bool, opened *atomic.Int32) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	understood := &handed{conns: make(chan net.Conn), ended: make(chan struct{}), address: listener.Addr()}
	server := &http.Server{Handler: http.HandlerFunc(protocolOf), Protocols: new(http.Protocols), ErrorLog: log.New(io.Discard, "", 0)}
	server.Protocols.SetUnencryptedHTTP2(true)
	var all sync.WaitGroup
	all.Go(func() { server.Serve(understood) })
	all.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			opened.Add(1)
			all.Go(func() { understood.sort(c, greets) })
		}
	})
	t.Cleanup(func() { listener.Close(); server.Close(); all.Wait() })
	return "http://" + listener.Addr().String()
}

var (
	settingsFrame = []byte{0, 0, 6, frameSettings, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100}
	goAwayFrame   = []byte{0, 0, 8, frameGoAway, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}
)

// handed is a listener of connections that were accepted by somebody else.
type handed struct {
	conns   chan net.Conn
	ended   chan struct{}
	once    sync.Once
	address net.Addr
}

func (h *handed) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.ended:
		return nil, net.ErrClosed
	}
}

func (h *handed) Close() error   { h.once.Do(func() { close(h.ended) }); return nil }
func (h *handed) Addr() net.Addr { return h.address }

// sort hands on who begins with the preface, and answers all others with frames.
func (h *handed) sort(c net.Conn, greets bool) {
	if greets {
		c.Write(settingsFrame)
	}
	start := make([]byte, 3)
	if _, err := io.ReadFull(c, start); err != nil {
		c.Close()
		return
	}
	if string(start) == "PRI" {
		select {
		case h.conns <- &unread{Conn: c, first: bytes.NewReader(start), greeted: greets}:
		case <-h.ended:
			c.Close()
		}
		return
	}
	if !greets {
		c.Write(settingsFrame)
	}
	c.Write(goAwayFrame)
	c.(*net.TCPConn).CloseWrite()
	io.Copy(io.Discard, c) // so that what was written is not lost to a reset
	c.Close()
}

// unread gives back what was read. Where the greeting was said already it swallows that of Go's server.
type unread struct {
	net.Conn
	first   *bytes.Reader
	greeted bool
}

func (u *unread) Write(p []byte) (int, error) {
	if !u.greeted || len(p) < frameHeadBytes {
		return u.Conn.Write(p)
	}
	u.greeted = false
	greeting := frameHeadBytes + int(p[1])<<8 + int(p[2])
	n, err := u.Conn.Write(p[greeting:])
	return greeting + n, err
}

func (u *unread) Read(p []byte) (int, error) {
	if u.first.Len() > 0 {
		return u.first.Read(p)
	}
	return u.Conn.Read(p)
}

// refusing is a server of HTTP/2 that refuses the first calls unseen, by hand: each one, or with a farewell to the connection that says
// how far it has looked. It answers how many it was sent.
func refusing(t *testing.T, refusals int, farewell bool) (url string, calls *atomic.Int32) {
	calls = new(atomic.Int32)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { listener.Close(); all.Wait() })
	all.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { refuse(c, refusals, farewell, calls) })
		}
	})
	return "http://" + listener.Addr().String(), calls
}

func refuse(c net.Conn, refusals int, farewell bool, calls *atomic.Int32) {
	defer c.Close()
	r := bufio.NewReader(c)
	if _, err := io.CopyN(io.Discard, r, int64(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))); err != nil {
		return
	}
	c.Write(settingsFrame)
	head := make([]byte, frameHeadBytes)
	for {
		if _, err := io.ReadFull(r, head); err != nil {
			return
		}
		length := int64(head[0])<<16 | int64(head[1])<<8 | int64(head[2])
		if _, err := io.CopyN(io.Discard, r, length); err != nil {
			return
		}
		stream := head[5:9]
		switch head[3] {
		case frameSettings:
			if head[4] == 0 {
				c.Write([]byte{0, 0, 0, frameSettings, 1, 0, 0, 0, 0})
			}
		case 0x1: // HEADERS
			refused := int(calls.Add(1)) <= refusals
			if refused && farewell {
				c.Write([]byte{0, 0, 8, frameGoAway, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
				continue
			}
			if refused {
				c.Write(append(append([]byte{0, 0, 4, 0x3, 0}, stream...), 0, 0, 0, 7)) // RST_STREAM, REFUSED_STREAM
				continue
			}
			block := append([]byte{0x88, 0x0f, 0x10, byte(len(contentType))}, contentType...) // :status 200, content-type
			c.Write(append(append([]byte{0, 0, byte(len(block)), 0x1, 0x4}, stream...), block...))
			c.Write(append(append([]byte{0, 0, 2, 0x0, 0x1}, stream...), "ok"...))
		}
	}
}
