package endpoint

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// answerOf is a whole answer.
func answerOf(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// only is the one connection that a client has, which is idle.
func only(t *testing.T, c *Client) *conn {
	t.Helper()
	d := c.carrier.direct
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.idle) != 1 {
		t.Fatalf("%d connections are idle, want 1", len(d.idle))
	}
	return d.idle[0]
}

// waitHeard waits until something has come over an idle connection.
func waitHeard(c *conn) {
	for c.probe.silent() {
		runtime.Gosched()
	}
}

// TestUnaskedBytes: what a server says behind an answer is never taken for the next one.
func TestUnaskedBytes(t *testing.T) {
	for _, together := range []bool{true, false} {
		say := make(chan struct{})
		var conns atomic.Int32
		c := client(t, speak(t, func(c net.Conn) {
			n := conns.Add(1)
			readBody(c, 1)
			if together {
				io.WriteString(c, answerOf(fmt.Sprint(n))+answerOf("evil"))
			} else {
				io.WriteString(c, answerOf(fmt.Sprint(n)))
				<-say
				io.WriteString(c, answerOf("evil"))
			}
			readHead(c) // until it is closed
		}))
		for n := range 3 {
			reply, _, fail := c.Call(within(t, 5*time.Second), []byte("x"))
			if fail != nil || string(reply) != fmt.Sprint(n+1) {
				t.Fatalf("together %v, call %d: got %q, %v", together, n+1, reply, fail)
			}
			if !together {
				idle := only(t, c)
				say <- struct{}{}
				waitHeard(idle)
			}
		}
	}
}

// TestIdleEndIsSeen: a connection that the server closed meanwhile is not tried, so that what is sent once only is sent.
func TestIdleEndIsSeen(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		startBulk(w)
		w.Write(replied(1, "a"))
	}))
	defer server.Close()
	c := client(t, server.URL)
	for range 3 {
		if rest := c.Bulk(within(t, 5*time.Second), []byte("x"), 1, func() {}, func(int, []Answer) {}); rest != nil {
			t.Fatal(rest.Text)
		}
		idle := only(t, c)
		server.CloseClientConnections()
		waitHeard(idle)
	}
}

// TestIdleConnections: no more are kept than there may be, and none for longer than it may.
func TestIdleConnections(t *testing.T) {
	const all, kept = 5, 2
	var arrived, ended sync.WaitGroup
	arrived.Add(all)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		arrived.Done()
		arrived.Wait()
		good(w, nil)
	}))
	ended.Add(all)
	closed := make(chan struct{}, all)
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateClosed {
			closed <- struct{}{}
		}
	}
	server.Start()
	defer server.Close()
	c := client(t, server.URL, func(s *Spec) { s.PoolSize = kept })
	d := c.carrier.direct
	for range all {
		go func() {
			defer ended.Done()
			if _, _, fail := c.Call(within(t, 5*time.Second), []byte("x")); fail != nil {
				t.Error(fail.Text)
			}
		}()
	}
	ended.Wait()
	for range all - kept {
		<-closed
	}
	d.mu.Lock()
	if len(d.idle) != kept {
		t.Errorf("%d connections are kept, want %d", len(d.idle), kept)
	}
	d.idleMax = time.Millisecond
	d.sweep.Reset(0)
	d.mu.Unlock()
	for range kept {
		<-closed
	}
	for books := kept; books > 0; runtime.Gosched() {
		c.pool.mu.Lock()
		books = len(c.pool.conns)
		c.pool.mu.Unlock()
	}
}

// held is a dialer that waits for a permission for each dial.
func held(d *direct) (permit chan struct{}) {
	permit = make(chan struct{})
	dial := d.dial
	d.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		select {
		case <-permit:
			return dial(ctx, network, address)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return permit
}

// TestWaitingCallTakesWhatComesFree while its dial takes its time.
func TestWaitingCallTakesWhatComesFree(t *testing.T) {
	arrived, leave := make(chan struct{}), make(chan struct{})
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if string(body) == "first" {
			close(arrived)
			<-leave
		}
		good(w, body)
	})
	d := c.carrier.direct
	permit := held(d)
	done := make(chan *Failure, 2)
	run := func(text string) {
		reply, _, fail := c.Call(within(t, 5*time.Second), []byte(text))
		if fail == nil && string(reply) != text {
			t.Errorf("got %q, want %q", reply, text)
		}
		done <- fail
	}
	go run("first")
	permit <- struct{}{}
	<-arrived
	go run("second")
	for waits := 0; waits == 0; runtime.Gosched() {
		d.mu.Lock()
		waits = len(d.waiting)
		d.mu.Unlock()
	}
	close(leave)
	for range 2 {
		if fail := <-done; fail != nil {
			t.Error(fail.Text)
		}
	}
}

// TestDialOutlivesItsCall: a handshake that takes longer than a call may is there for the next one.
func TestDialOutlivesItsCall(t *testing.T) {
	c := serve(t, echo)
	d := c.carrier.direct
	permit := held(d)
	reply, _, fail := c.Call(within(t, 10*time.Millisecond), []byte("x"))
	wantFailure(t, reply, fail, Timeout, 0, "no connection within the attempt's time-out")
	permit <- struct{}{}
	for n := 0; n == 0; runtime.Gosched() {
		d.mu.Lock()
		n = len(d.idle)
		d.mu.Unlock()
	}
	if _, _, fail := c.Call(within(t, 5*time.Second), []byte("x")); fail != nil {
		t.Error(fail.Text)
	}
}

// TestAnswerWhileAsking: an endpoint may answer before it has read all, and wait for its answer to be taken.
func TestAnswerWhileAsking(t *testing.T) {
	url, opened := counted(t, func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", contentType)
		io.Copy(w, r.Body)
	})
	c := client(t, url)
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	for range 2 {
		reply, _, fail := c.Call(within(t, 20*time.Second), body)
		if fail != nil || !bytes.Equal(reply, body) {
			t.Fatalf("got %d bytes, %v", len(reply), fail)
		}
		c.pool.Release(Room(reply))
	}
	if got := opened.Load(); got != 1 {
		t.Errorf("got %d connections, want 1", got)
	}
}

// TestEarlyAnswerToALargeRequest that the endpoint reads nothing of, and the connection stays open: it is not waited for.
func TestEarlyAnswerToALargeRequest(t *testing.T) {
	over := make(chan struct{})
	c := client(t, speak(t, func(c net.Conn) {
		io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
		<-over
	}))
	defer close(over)
	for range 2 {
		reply, _, fail := c.Call(within(t, 20*time.Second), make([]byte, 32<<20))
		wantFailure(t, reply, fail, TooLarge, 413, "big")
	}
	if n := len(c.carrier.direct.idle); n != 0 {
		t.Errorf("%d connections are kept on which a request was not sent to its end", n)
	}
}

func TestCancelWithinALargeRequest(t *testing.T) {
	over, arrived := make(chan struct{}), make(chan struct{})
	c := client(t, speak(t, func(net.Conn) { close(arrived); <-over }))
	defer close(over)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	body := make([]byte, 32<<20)
	reply, _, fail := c.Call(ctx, body)
	wantFailure(t, reply, fail, Canceled, 0, "cancelled")
	for i := range body { // it is the caller's again: the race detector looks
		body[i] = 1
	}
}

// TestCancelAtAnyTime: a call that is cancelled harms no other, however late, and no reply is another call's.
func TestCancelAtAnyTime(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		good(w, body)
	})
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for n := range 300 {
				ctx, cancel := context.WithCancel(t.Context())
				if n%2 == 0 {
					all.Go(func() {
						for range rand.N(200) {
							runtime.Gosched()
						}
						cancel()
					})
				}
				want := fmt.Sprint(worker, " ", n)
				reply, _, fail := c.Call(ctx, []byte(want))
				cancel()
				switch {
				case fail != nil && (n%2 == 1 || fail.Kind != Canceled):
					t.Errorf("call %d: %s, %s", n, fail.Kind, fail.Text)
				case fail == nil && string(reply) != want:
					t.Errorf("got %q, want %q", reply, want)
				}
			}
		})
	}
	all.Wait()
}

// TestDeadlinesOfFormerCalls mean nothing to the next one on their connection.
func TestDeadlinesOfFormerCalls(t *testing.T) {
	for name, tc := range map[string]struct {
		read, wait time.Duration
		status     int
	}{
		"of a piece":    {40 * time.Millisecond, 60 * time.Millisecond, 200},
		"of a rest":     {0, drainWait + 20*time.Millisecond, 500},
		"of both kinds": {time.Minute, drainWait + 20*time.Millisecond, 500},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, opened := counted(t, func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				w.Header().Set("Content-Type", contentType)
				w.WriteHeader(tc.status)
				io.WriteString(w, strings.Repeat("x", 5000))
			})
			c := client(t, url, func(s *Spec) { s.Read = tc.read })
			for range 2 {
				_, _, fail := c.Call(within(t, 5*time.Second), []byte("x"))
				if (fail == nil) != (tc.status == 200) || fail != nil && fail.Status != tc.status {
					t.Errorf("got %v", fail)
				}
				<-time.After(tc.wait)
			}
			if got := opened.Load(); got != 1 {
				t.Errorf("got %d connections, want 1", got)
			}
		})
	}
}

// cancelling is a connection that cancels the call as soon as its answer has come.
type cancelling struct {
	net.Conn
	cancel func()
}

func (c cancelling) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.cancel()
	}
	return n, err
}

// TestCancelWithTheAnswer: a connection that is being closed is not kept, though the answer has come over it.
func TestCancelWithTheAnswer(t *testing.T) {
	c := serve(t, echo)
	d := c.carrier.direct
	ctx, cancel := context.WithCancel(t.Context())
	dial := d.dial
	d.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		raw, err := dial(ctx, network, address)
		if err == nil {
			raw.(*conn).Conn = cancelling{raw.(*conn).Conn, cancel}
		}
		return raw, err
	}
	if _, _, fail := c.Call(ctx, []byte("x")); fail != nil {
		t.Fatal(fail.Text)
	}
	if len(d.idle) != 0 {
		t.Error("the connection is kept")
	}
}
