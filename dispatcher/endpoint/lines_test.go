package endpoint

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var schemes = []string{"http", "https"}

// More calls at a time than the endpoint takes on a connection go over more connections: none waits for another.
func TestFewStreamsAtATime(t *testing.T) {
	for _, scheme := range schemes {
		for _, limit := range []int{1, 2, 10} {
			t.Run(fmt.Sprint(scheme, " ", limit), func(t *testing.T) {
				const calls = 40
				var arrived atomic.Int32
				all := make(chan struct{})
				s := serve2(t, scheme, limit, func(w http.ResponseWriter, r *http.Request) {
					body, _ := io.ReadAll(r.Body)
					if arrived.Add(1) == calls {
						close(all)
					}
					select {
					case <-all:
						good(w, body)
					case <-r.Context().Done():
					}
				})
				c := s.client(t)
				// All calls must be there at once, so one that is put on a connection beyond its limit is in the way of all: that is what
				// is done when its settings are long in coming, as they may be on a busy machine.
				c.carrier.lines.greetWait = time.Minute
				for range 2 { // the second time on the connections that there are
					var done sync.WaitGroup
					for n := range calls {
						done.Go(func() {
							want := fmt.Sprint(n)
							reply, _, fail := c.Call(within(t, 20*time.Second), []byte(want))
							if fail != nil || string(reply) != want {
								t.Errorf("got %q, %v; want %q", reply, fail, want)
							}
						})
					}
					done.Wait()
				}
				if got := int(s.opened.Load()); got < calls/limit || got > 2*calls {
					t.Errorf("%d calls at a time, %d on a connection: %d connections", calls, limit, got)
				}
			})
		}
	}
}

func TestSharedConnection(t *testing.T) {
	for _, scheme := range schemes {
		s := serve2(t, scheme, 0, protocolOf)
		c := s.client(t)
		var all sync.WaitGroup // from the first call on, when nobody knows how many the endpoint takes
		for range 32 {
			all.Go(func() {
				for range 30 {
					if _, _, fail := c.Call(within(t, 10*time.Second), []byte("x")); fail != nil {
						t.Error(fail.Text)
					}
				}
			})
		}
		all.Wait()
		if got := s.opened.Load(); got != 1 {
			t.Errorf("%s: 960 calls by 32 callers took %d connections, want 1", scheme, got)
		}
	}
}

// odd is a function whose calls go wrong as their path says; held ones last until the test ends them.
func odd(release <-chan struct{}, arrived chan<- string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/good":
			body, _ := io.ReadAll(r.Body)
			good(w, body)
		case "/held":
			io.Copy(io.Discard, r.Body)
			arrived <- r.URL.Path
			<-release
			good(w, []byte("held"))
		case "/hangs":
			io.Copy(io.Discard, r.Body)
			arrived <- r.URL.Path
			<-r.Context().Done()
		case "/silent":
			good(w, []byte("begin"))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case "/unread":
			<-r.Context().Done()
		case "/large":
			w.Header().Set("Content-Type", contentType)
			for r.Context().Err() == nil {
				w.Write(make([]byte, 64<<10))
			}
		case "/aborts":
			io.Copy(io.Discard, r.Body)
			panic(http.ErrAbortHandler)
		case "/refuses":
			http.Error(w, "too large for me", http.StatusRequestEntityTooLarge)
		}
	}
}

// What befalls one call on a shared connection is its own: the others, and those that come after it, do not notice.
func TestOneCallAmongOthers(t *testing.T) {
	for _, scheme := range schemes {
		release, arrived := make(chan struct{}), make(chan string, 10)
		s := serve2(t, scheme, 0, odd(release, arrived))
		p := pool(t)
		at := func(path string) *Client {
			c, err := p.Client(Spec{URL: s.url + path, TLS: s.tls, HTTP2: HTTP2Always, Connect: 5 * time.Second, Read: time.Second,
				Write: time.Second, ReplyBytesMax: 1 << 20})
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		patient, err := p.Client(Spec{URL: s.url + "/held", TLS: s.tls, HTTP2: HTTP2Always, Connect: 5 * time.Second, Read: 0, ReplyBytesMax: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		held := make(chan *Failure, 1)
		go func() { _, _, fail := patient.Call(within(t, 30*time.Second), []byte("x")); held <- fail }()
		<-arrived
		for _, tc := range []struct {
			path   string
			size   int
			kind   Kind
			status int
			text   string
		}{
			{"/hangs", 1, Timeout, 0, "no reply in time"},
			{"/silent", 1, Timeout, 200, "no piece of the reply within 1s"},
			{"/unread", 8 << 20, Timeout, 0, "no piece of the request was taken within 1s"},
			{"/large", 1, BadReply, 200, "larger than the bound"},
			{"/aborts", 1, Unreachable, 0, "no reply"},
			{"/refuses", 8 << 20, TooLarge, 413, "too large for me"},
		} {
			reply, _, fail := at(tc.path).Call(within(t, 20*time.Second), make([]byte, tc.size))
			wantFailure(t, reply, fail, tc.kind, tc.status, tc.text)
			if reply, _, fail := at("/good").Call(within(t, 5*time.Second), []byte("y")); fail != nil || string(reply) != "y" {
				t.Errorf("%s, after %s: got %q, %v", scheme, tc.path, reply, fail)
			}
		}
		close(release)
		if fail := <-held; fail != nil {
			t.Errorf("%s: the call that was running all the time: %s", scheme, fail.Text)
		}
		if got := s.opened.Load(); got != 5 { // one for each set of time-outs, and a new one after each call that timed out
			t.Errorf("%s: %d connections, want 5", scheme, got)
		}
	}
}

func TestCanceledCallAmongOthers(t *testing.T) {
	for _, scheme := range schemes {
		release, arrived := make(chan struct{}), make(chan string, 10)
		s := serve2(t, scheme, 0, odd(release, arrived))
		p := pool(t)
		start := func(ctx context.Context, path string) <-chan *Failure {
			c, err := p.Client(Spec{URL: s.url + path, TLS: s.tls, HTTP2: HTTP2Always})
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan *Failure, 1)
			go func() { _, _, fail := c.Call(ctx, []byte("x")); done <- fail }()
			<-arrived
			return done
		}
		held := start(within(t, 30*time.Second), "/held")
		for range 20 {
			ctx, cancel := context.WithCancel(context.Background())
			hangs := start(ctx, "/hangs")
			cancel()
			if fail := <-hangs; fail == nil || fail.Kind != Canceled {
				t.Errorf("got %v", fail)
			}
		}
		close(release)
		if fail := <-held; fail != nil {
			t.Errorf("%s: %s", scheme, fail.Text)
		}
		if got := s.opened.Load(); got != 1 {
			t.Errorf("%s: %d connections, want 1", scheme, got)
		}
	}
}

// A shared connection that has grown old takes no further call, and ends with the last one on it.
func TestPoolTTLOfSharedConnections(t *testing.T) {
	for _, scheme := range schemes {
		release, arrived := make(chan struct{}), make(chan string, 10)
		s := serve2(t, scheme, 0, odd(release, arrived))
		p := pool(t)
		made := func(path string) *Client {
			c, err := p.Client(Spec{URL: s.url + path, TLS: s.tls, HTTP2: HTTP2Always, PoolTTL: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		long := make(chan *Failure, 1)
		go func() { _, _, fail := made("/held").Call(within(t, 30*time.Second), []byte("x")); long <- fail }()
		<-arrived
		call := func() {
			if _, _, fail := made("/good").Call(within(t, 5*time.Second), []byte("x")); fail != nil {
				t.Fatal(fail.Text)
			}
		}
		call()
		shared := made("/good").carrier.lines
		shared.mu.Lock()
		if left := time.Until(shared.all[0].conn.retireAt); len(shared.all) != 1 || left < 59*time.Minute || left > 73*time.Minute {
			t.Errorf("%s: %d connections, retired in %s", scheme, len(shared.all), left)
		}
		shared.all[0].conn.retireAt = time.Now().Add(-time.Second)
		shared.mu.Unlock()
		call()
		call()
		if got := s.opened.Load(); got != 2 {
			t.Errorf("%s: %d connections after one grew old, want 2", scheme, got)
		}
		p.mu.Lock()
		open := len(p.conns)
		p.mu.Unlock()
		if open != 2 {
			t.Errorf("%s: %d connections while a call runs on the old one, want 2", scheme, open)
		}
		close(release)
		if fail := <-long; fail != nil {
			t.Errorf("%s: the call on the old connection: %s", scheme, fail.Text)
		}
		until(t, func() bool { p.mu.Lock(); defer p.mu.Unlock(); return len(p.conns) == 1 })
	}
}

// until waits for what happens in goroutines of net/http, which tells nobody.
func until(t *testing.T, what func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); !what(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal("it does not happen")
		}
	}
}

// A server that says farewell finishes what it has; the next call goes to who listens then.
func TestFarewellOfAServer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	release, arrived := make(chan struct{}), make(chan string, 10)
	start := func(l net.Listener) *http.Server {
		server := &http.Server{Handler: odd(release, arrived), Protocols: new(http.Protocols)}
		server.Protocols.SetUnencryptedHTTP2(true)
		go server.Serve(l)
		return server
	}
	old := start(listener)
	p := pool(t)
	at := func(path string) *Client {
		c, err := p.Client(Spec{URL: "http://" + listener.Addr().String() + path, HTTP2: HTTP2Always})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	held := make(chan *Failure, 1)
	go func() { _, _, fail := at("/held").Call(within(t, 30*time.Second), []byte("x")); held <- fail }()
	<-arrived
	gone := make(chan error, 1)
	go func() { gone <- old.Shutdown(context.Background()) }()
	var next net.Listener
	until(t, func() bool { next, err = net.Listen("tcp", listener.Addr().String()); return err == nil })
	defer start(next).Close()
	for range 20 {
		if reply, _, fail := at("/good").Call(within(t, 5*time.Second), []byte("y")); fail != nil || string(reply) != "y" {
			t.Errorf("got %q, %v", reply, fail)
		}
	}
	close(release)
	if fail := <-held; fail != nil {
		t.Error(fail.Text)
	}
	if err := <-gone; err != nil {
		t.Error(err)
	}
}

// A call that was refused unseen is sent again, a few times, whichever way the endpoint says it.
func TestRefusedUnseen(t *testing.T) {
	for _, farewell := range []bool{false, true} {
		for _, tc := range []struct {
			refusals int
			calls    int32
			ok       bool
		}{{0, 1, true}, {1, 2, true}, {2, 3, true}, {3, 3, false}} {
			url, calls := refusing(t, tc.refusals, farewell)
			c := client(t, url, func(s *Spec) { s.HTTP2 = HTTP2Always })
			reply, _, fail := c.Call(within(t, 20*time.Second), []byte("x"))
			if !tc.ok {
				wantFailure(t, reply, fail, Unreachable, 0, "refuses the call unseen")
			} else if fail != nil || string(reply) != "ok" {
				t.Errorf("farewell %v, %d refusals: got %q, %v", farewell, tc.refusals, reply, fail)
			}
			if got := calls.Load(); got != tc.calls {
				t.Errorf("farewell %v, %d refusals: sent %d times, want %d", farewell, tc.refusals, got, tc.calls)
			}
		}
	}
}
