package endpoint

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// swallower stands between gateway and function. Once told so it swallows what comes over the connections that there are, as a network does
// that has forgotten them; new ones work.
type swallower struct {
	listener net.Listener
	epoch    atomic.Int64
	opened   atomic.Int64
	all      sync.WaitGroup
}

func (s *swallower) start(t *testing.T, to string) {
	var err error
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.listener.Close() })
	s.all.Go(func() {
		for {
			c, err := s.listener.Accept()
			if err != nil {
				return
			}
			s.opened.Add(1)
			up, err := net.Dial("tcp", to)
			if err != nil {
				c.Close()
				continue
			}
			epoch := s.epoch.Load()
			s.all.Go(func() { s.carry(c, up, epoch) })
			s.all.Go(func() { s.carry(up, c, epoch) })
		}
	})
}

// carry ends when from does. To the other side what was swallowed looks open.
func (s *swallower) carry(from, to net.Conn, epoch int64) {
	defer from.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		swallows := s.epoch.Load() != epoch
		if err != nil {
			if !swallows {
				to.Close()
			}
			return
		}
		if !swallows {
			to.Write(buffer[:n])
		}
	}
}

// A peer that is gone without a word costs the calls that were under way, and one time-out, whichever protocol is spoken.
func TestSilentPeer(t *testing.T) {
	for _, tc := range []struct {
		scheme string
		mode   HTTP2
		ttl    time.Duration
	}{{"http", HTTP2Always, 0}, {"http", HTTP2Always, time.Hour}, {"https", HTTP2Auto, 0}, {"https", HTTP2Always, time.Hour}, {"https", HTTP2Never, 0}} {
		t.Run(fmt.Sprint(tc), func(t *testing.T) {
			between := &swallower{}
			t.Cleanup(between.all.Wait)
			s := serve2(t, tc.scheme, 0, protocolOf)
			between.start(t, strings.TrimPrefix(s.url, tc.scheme+"://"))
			c := client(t, tc.scheme+"://"+between.listener.Addr().String(), func(spec *Spec) {
				spec.TLS, spec.HTTP2, spec.PoolTTL = s.tls, tc.mode, tc.ttl
			})
			const rounds = 3
			for range rounds {
				if _, _, fail := c.Call(within(t, 10*time.Second), []byte("x")); fail != nil {
					t.Fatal(fail.Text)
				}
				between.epoch.Add(1)
				reply, _, fail := c.Call(within(t, 200*time.Millisecond), []byte("x"))
				wantFailure(t, reply, fail, Timeout, 0, "no complete reply within the attempt's time-out")
			}
			if got := between.opened.Load(); got != rounds {
				t.Errorf("%d connections, want %d", got, rounds)
			}
		})
	}
}

// leaving is a function and what it needs to have calls that last.
type leaving struct {
	*testing.T
	server   *server2
	pool     *Pool
	poolSize int
	release  chan struct{}
	arrived  chan string
	held     []chan *Failure
}

func newLeaving(t *testing.T, scheme string, poolSize, limit int) *leaving {
	l := &leaving{T: t, pool: pool(t), poolSize: poolSize, release: make(chan struct{}), arrived: make(chan string, 100)}
	l.server = serve2(t, scheme, limit, odd(l.release, l.arrived))
	return l
}

func (l *leaving) client(path string) *Client {
	l.Helper()
	c, err := l.pool.Client(Spec{URL: l.server.url + path, TLS: l.server.tls, HTTP2: HTTP2Always, PoolSize: l.poolSize, PoolTTL: time.Hour})
	if err != nil {
		l.Fatal(err)
	}
	return c
}

// hold begins a call that lasts, and returns when the function has it.
func (l *leaving) hold() {
	l.Helper()
	ctx, c, done := within(l, 60*time.Second), l.client("/held"), make(chan *Failure, 1)
	go func() { _, _, fail := c.Call(ctx, []byte("x")); done <- fail }()
	l.held = append(l.held, done)
	select {
	case <-l.arrived:
	case <-ctx.Done():
		l.Fatal("the call waits for others")
	}
}

func (l *leaving) good() {
	l.Helper()
	if reply, _, fail := l.client("/good").Call(within(l, 10*time.Second), []byte("y")); fail != nil || string(reply) != "y" {
		l.Fatalf("got %q, %v", reply, fail)
	}
}

// timesOut has a call that times out when the function has it.
func (l *leaving) timesOut() {
	l.Helper()
	reply, _, fail := l.client("/hangs").Call(within(l, 100*time.Millisecond), []byte("x"))
	wantFailure(l.T, reply, fail, Timeout, 0, "")
}

// age makes all connections old.
func (l *leaving) age() {
	s := l.client("/good").carrier.lines
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range s.all {
		line.conn.retireAt = time.Now().Add(-time.Second)
	}
}

// end lets the calls end that last; they must not have noticed anything. Then one connection at most is left.
func (l *leaving) end() {
	l.Helper()
	close(l.release)
	for _, done := range l.held {
		if fail := <-done; fail != nil {
			l.Error(fail.Text)
		}
	}
	until(l.T, func() bool { l.pool.mu.Lock(); defer l.pool.mu.Unlock(); return len(l.pool.conns) <= 1 })
}

func (l *leaving) wantOpened(want int32) {
	l.Helper()
	if got := l.server.opened.Load(); got != want {
		l.Errorf("%d connections were made, want %d", got, want)
	}
}

// A call that times out has its connection leave: it takes no new calls, those that it has go on, and it ends with them.
func TestTimedOutCallRetiresItsConnection(t *testing.T) {
	for _, scheme := range schemes {
		t.Run(scheme, func(t *testing.T) {
			l := newLeaving(t, scheme, 0, 0)
			l.hold()
			l.good()
			l.wantOpened(1)
			l.timesOut()
			l.good()
			l.good()
			l.wantOpened(2)
			l.end()
		})
	}
}

// However many calls time out beside others that last, the connections that leave have a bound; from there on the last one goes on.
func TestRetiredConnectionsAreBounded(t *testing.T) {
	l := newLeaving(t, "http", 1, 0)
	for n := range leavingMin + 4 {
		l.hold()
		l.timesOut()
		l.good()
		if n == leavingMin-1 { // the last one has no other call: it can end at once
			l.timesOut()
			l.good()
		}
	}
	l.wantOpened(leavingMin + 2)
	l.end()
}

// While PoolSize connections take calls and are full, calls wait for their turn: an old one, with room, would never end.
func TestOldConnectionTakesNothingForWantOfRoom(t *testing.T) {
	l := newLeaving(t, "http", 1, 2)
	l.hold()
	l.good() // it is known to take two
	l.age()
	l.hold()
	l.good()
	l.hold()
	reply, _, fail := l.client("/good").Call(within(t, 2*roomTick), []byte("y"))
	wantFailure(t, reply, fail, Timeout, 0, "no connection within the attempt's time-out")
	l.wantOpened(2)
	l.end()
}

// PoolSize bounds the connections that take calls. One that is old and busy does not keep others from a new one; when there are too many
// of those the youngest goes on. No call waits for the end of others.
func TestOldConnectionsDoNotBlock(t *testing.T) {
	for _, scheme := range schemes {
		t.Run(scheme, func(t *testing.T) {
			l := newLeaving(t, scheme, 1, 0)
			for range leavingMin + 4 {
				l.hold()
				l.age()
				l.good()
			}
			l.wantOpened(leavingMin + 1)
			l.end()
		})
	}
}

// breaking is a function of which one reply has headers of so many bytes, in several frames, while others are under way: before their
// reply, and within it.
type breaking struct {
	bytes    int
	release  chan struct{}
	arrived  chan string
	begun    atomic.Int32
	breakers atomic.Int32
}

func (b *breaking) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	switch r.URL.Path {
	case "/huge":
		b.breakers.Add(1)
		for n := range b.bytes / 10_000 {
			w.Header().Set(fmt.Sprint("X-", n), strings.Repeat("v", 10_000))
		}
		good(w, []byte("huge"))
		return
	case "/begun":
		good(w, []byte("he"))
		w.(http.Flusher).Flush()
		defer w.Write([]byte("ld"))
	case "/held":
		defer good(w, []byte("held"))
	}
	b.begun.Add(1)
	b.arrived <- r.URL.Path
	select {
	case <-b.release:
	case <-r.Context().Done():
	}
}

// Headers that are too large fail their call. Where net/http has to end the connection for them, the calls that were on it are sent again,
// and only once: the function is kept apart then.
func TestHugeHeadersAmongOthers(t *testing.T) {
	const rounds, others = 3, 2
	for _, scheme := range schemes {
		for name, tc := range map[string]struct {
			bytes           int
			text            string
			breakers, begun int32 // how often calls were sent
			opened          int32
		}{
			"beyond our bound": {400_000, "headers are larger than the bound of 65536 bytes", rounds, rounds * others, 1},
			// One that is broken and one for the others of later rounds, one for each call that is sent again, and for each that is kept apart.
			"beyond that of net/http":  {2_000_000, "connection error: PROTOCOL_ERROR", rounds + 1, rounds*others + others, 2 + others + rounds},
			"far beyond, in one piece": {8_000_000, "connection error: PROTOCOL_ERROR", rounds + 1, rounds*others + others, 2 + others + rounds},
		} {
			t.Run(scheme+" "+name, func(t *testing.T) {
				b := &breaking{bytes: tc.bytes, release: make(chan struct{}), arrived: make(chan string, 100)}
				s := serve2(t, scheme, 0, b.ServeHTTP)
				p := pool(t)
				ctx := within(t, 20*time.Second)
				call := func(path string) ([]byte, *Failure) {
					c, err := p.Client(Spec{URL: s.url + path, TLS: s.tls, HTTP2: HTTP2Always})
					if err != nil {
						t.Fatal(err)
					}
					reply, _, fail := c.Call(ctx, []byte("x"))
					return reply, fail
				}
				var all sync.WaitGroup
				arrives := func() {
					select {
					case <-b.arrived:
					case <-ctx.Done():
						t.Error("a call does not arrive")
					}
				}
				for round := range rounds {
					for _, path := range []string{"/held", "/begun"} {
						all.Go(func() {
							if reply, fail := call(path); fail != nil || string(reply) != "held" {
								t.Errorf("%s: got %q, %+v", path, reply, fail)
							}
						})
						arrives()
					}
					if reply, fail := call("/huge"); fail == nil || fail.Kind != BadReply || !strings.Contains(fail.Text, tc.text) {
						t.Errorf("got %q, %+v; want %s, %q", reply, fail, BadReply, tc.text)
					}
					for range tc.begun - rounds*others {
						if round == 0 {
							arrives() // again
						}
					}
				}
				close(b.release)
				all.Wait()
				if got := b.breakers.Load(); got != tc.breakers {
					t.Errorf("calls with huge headers were sent %d times, want %d", got, tc.breakers)
				}
				if got := b.begun.Load(); got != tc.begun {
					t.Errorf("other calls were sent %d times, want %d", got, tc.begun)
				}
				if got := s.opened.Load(); got != tc.opened {
					t.Errorf("%d connections, want %d", got, tc.opened)
				}
			})
		}
	}
}

// The bound of headers is one, whichever protocol is spoken, and for what is within it.
func TestHeadersUpToTheirBound(t *testing.T) {
	size := 0
	s := serve2(t, "https", 0, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("X", strings.Repeat("v", size))
		good(w, nil)
	})
	for _, mode := range []HTTP2{HTTP2Always, HTTP2Never} {
		c := s.client(t, func(spec *Spec) { spec.HTTP2 = mode })
		size = headerBytesMax - 200
		if _, _, fail := c.Call(within(t, 10*time.Second), []byte("x")); fail != nil {
			t.Errorf("mode %d: %s", mode, fail.Text)
		}
		size = headerBytesMax + 5000 // net/http counts what it has read ahead
		if reply, _, fail := c.Call(within(t, 10*time.Second), []byte("x")); fail == nil || fail.Kind != BadReply {
			t.Errorf("mode %d: got %q, %v", mode, reply, fail)
		}
	}
}
