package endpoint

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Calls that end before they are sent, or while they are, give their place back: else a connection would fill up with nothing.
func TestNoPlaceIsLost(t *testing.T) {
	for _, scheme := range schemes {
		const limit = 3
		s := serve2(t, scheme, limit, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if len(body) == 2 { // one of those that are cancelled
				<-r.Context().Done()
				return
			}
			good(w, body)
		})
		c := s.client(t)
		seed := rand.Uint64()
		random := rand.New(rand.NewPCG(seed, 0))
		var all sync.WaitGroup
		for range 200 {
			wait := time.Duration(random.IntN(3000)) * time.Microsecond
			all.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), wait)
				defer cancel()
				if _, _, fail := c.Call(ctx, []byte("xx")); fail == nil || fail.Kind != Timeout {
					t.Errorf("seed %d: got %v, want a time-out", seed, fail)
				}
			})
		}
		all.Wait()
		for range 3 * limit {
			all.Go(func() {
				if _, _, fail := c.Call(within(t, 20*time.Second), []byte("x")); fail != nil {
					t.Errorf("seed %d: %s", seed, fail.Text)
				}
			})
		}
		all.Wait()
		lines := c.carrier.lines
		until(t, func() bool { // resets are acknowledged in their time
			lines.mu.Lock()
			defer lines.mu.Unlock()
			for _, l := range lines.all {
				if l.calls != 0 {
					t.Fatalf("seed %d: %d calls on a connection that has none", seed, l.calls)
				}
				if l.client != nil && l.client.Err() == nil && l.client.InFlight() > 0 {
					return false
				}
			}
			return true
		})
	}
}

// Whose time is over does not wait for the connection that is dialed for him, and it is there for others.
func TestCallLeavesWhileDialing(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	c := client(t, "https://"+listener.Addr().String(), func(s *Spec) { s.Connect = time.Minute })
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			reply, _, fail := c.Call(within(t, 50*time.Millisecond), []byte("x"))
			wantFailure(t, reply, fail, Timeout, 0, "no connection within the attempt's time-out")
		})
	}
	all.Wait()
	lines := c.carrier.lines
	lines.mu.Lock()
	defer lines.mu.Unlock()
	if len(lines.all) != 1 || lines.all[0].calls != 0 {
		t.Errorf("%d connections are dialed, %d calls wait for the first; want 1 and 0", len(lines.all), lines.all[0].calls)
	}
}

// PoolSize bounds shared connections: at the bound calls wait for their turn, and get it.
func TestPoolSizeOfSharedConnections(t *testing.T) {
	for _, scheme := range schemes {
		s := serve2(t, scheme, 1, protocolOf)
		c := s.client(t, func(spec *Spec) { spec.PoolSize = 2 })
		var all sync.WaitGroup
		for range 12 {
			all.Go(func() {
				for range 5 {
					if _, _, fail := c.Call(within(t, 20*time.Second), []byte("x")); fail != nil {
						t.Error(fail.Text)
					}
				}
			})
		}
		all.Wait()
		if got := s.opened.Load(); got > 2 {
			t.Errorf("%s: %d connections, want at most 2", scheme, got)
		}
	}
}

// An https endpoint that does not offer HTTP/2 is believed for a while, and asked again then.
func TestHTTP1OverTLSIsRemembered(t *testing.T) {
	a := newAuthority(t)
	var opened atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(protocolOf))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{a.pair("server", loopback)}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	server.StartTLS()
	defer server.Close()
	c := client(t, server.URL, func(s *Spec) { s.TLS = &TLS{TrustCACerts: a.file} })
	calls := func(want int32) {
		for range 3 {
			reply, _, fail := c.Call(within(t, 5*time.Second), []byte("x"))
			if fail != nil || string(reply) != "HTTP/1.1" {
				t.Fatalf("got %q, %v", reply, fail)
			}
		}
		if got := opened.Load(); got != want {
			t.Errorf("%d connections, want %d", got, want)
		}
	}
	calls(2)
	if left := time.Until(time.Unix(0, c.carrier.askAt.Load())); left < askAgain/2 || left > askAgain {
		t.Errorf("asked again in %s", left)
	}
	c.carrier.askAt.Store(1) // long ago
	calls(3)
	calls(3)
}

// An endpoint comes back and takes fewer calls at a time than before: what it took then is not relied on.
func TestFewerStreamsThanBefore(t *testing.T) {
	const calls = 10
	start := func(address string, limit int) (stop func(), at string) {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		arrived, all := new(atomic.Int32), make(chan struct{})
		server := &http.Server{Protocols: new(http.Protocols), HTTP2: &http.HTTP2Config{MaxConcurrentStreams: limit}, ErrorLog: log.New(io.Discard, "", 0)}
		server.Protocols.SetUnencryptedHTTP2(true)
		server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			if arrived.Add(1) == calls {
				close(all)
			}
			select {
			case <-all:
				good(w, nil)
			case <-r.Context().Done():
			}
		})
		go server.Serve(listener)
		return func() { listener.Close(); server.Close() }, listener.Addr().String()
	}
	stop, address := start("127.0.0.1:0", calls)
	c := client(t, "http://"+address, func(s *Spec) { s.HTTP2 = HTTP2Always })
	for _, limit := range []int{calls, 1, 3, calls} {
		stop()
		stop, _ = start(address, limit)
		lines := c.carrier.lines
		until(t, func() bool { // the old connections are seen to be closed
			lines.mu.Lock()
			defer lines.mu.Unlock()
			lines.clearLocked(time.Now())
			return len(lines.all) == 0
		})
		var done sync.WaitGroup
		for range calls {
			done.Go(func() {
				if _, _, fail := c.Call(within(t, 20*time.Second), []byte("x")); fail != nil {
					t.Errorf("limit %d: %s", limit, fail.Text)
				}
			})
		}
		done.Wait()
	}
	stop()
}
