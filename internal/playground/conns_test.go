package playground

import (
	"bufio"
	"context"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"
)

// client is a connection that stays open.
type client struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func dial(t *testing.T, addr net.Addr) *client {
	t.Helper()
	conn, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &client{t, conn, bufio.NewReader(conn)}
}

func (c *client) ask(path string) {
	c.t.Helper()
	if _, err := c.conn.Write([]byte("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n")); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) wants(status int) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != status {
		c.t.Fatalf("answered %d, want %d", resp.StatusCode, status)
	}
}

// serveTwo serves two connections at once; requests of /held say that they have begun, and wait
// until held is closed, or for their end.
func serveTwo(t *testing.T, held, began chan struct{}) (addr net.Addr, stop func() error) {
	t.Helper()
	open, ended := make(chan net.Addr, 1), make(chan error, 1)
	ctx, end := context.WithCancel(t.Context())
	t.Cleanup(end)
	go func() {
		ended <- Serve(ctx, Config{
			Name: "test", Address: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler), Listening: func(a net.Addr) { open <- a }, ConnsMax: 2,
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/held" {
					began <- struct{}{}
					select {
					case <-held:
					case <-r.Context().Done():
						Answer(w, http.StatusServiceUnavailable, http.StatusServiceUnavailable, "the end")
						return
					}
				}
				Answer(w, http.StatusOK, http.StatusOK, "")
			}),
		})
	}()
	return wait(t, "the port", open), func() error {
		end()
		return wait(t, "the end", ended)
	}
}

// TestIdleKeepsNobodyOut: of connections that are idle the oldest is closed for a new one, and one that is busy never is.
func TestIdleKeepsNobodyOut(t *testing.T) {
	held, began := make(chan struct{}), make(chan struct{}, 2)
	addr, stop := serveTwo(t, held, began)
	busy := dial(t, addr)
	busy.ask("/held")
	wait(t, "the request", began)
	for range 5 {
		next := dial(t, addr)
		next.ask("/")
		next.wants(http.StatusOK) // and is idle from now on
	}
	other := dial(t, addr)
	other.ask("/held")
	wait(t, "the other request", began)
	last := dial(t, addr)
	last.ask("/")
	close(held)
	busy.wants(http.StatusOK)
	other.wants(http.StatusOK)
	last.wants(http.StatusOK)
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// TestStopIsAnswered: a request that waits is told of the stop, instead of being cut off.
func TestStopIsAnswered(t *testing.T) {
	began := make(chan struct{}, 1)
	addr, stop := serveTwo(t, nil, began)
	c := dial(t, addr)
	c.ask("/")
	c.wants(http.StatusOK)
	c.ask("/held")
	wait(t, "the request", began)
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	c.wants(http.StatusServiceUnavailable)
	if err := wait(t, "the stop", stopped); err != nil {
		t.Error(err)
	}
}

// TestPagesOfOthers: what a browser sends for a page of another site is refused.
func TestPagesOfOthers(t *testing.T) {
	addr, stop := serveTwo(t, nil, nil)
	for site, want := range map[string]int{"cross-site": 403, "same-site": 200, "same-origin": 200, "none": 200, "": 200} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr.String()+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if r.Close = true; site != "" {
			r.Header.Set("Sec-Fetch-Site", site)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%q: answered %d, want %d", site, resp.StatusCode, want)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
