package http

import (
	"bufio"
	"context"
	"io"
	"net"
	nethttp "net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
)

// silent sends what is given and answers all that comes until the connection ends.
func silent(t *testing.T, address, raw string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, raw); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Errorf("%.40q holds its connection: %v", raw, err)
	}
	return string(answer)
}

// TestSilentBodies: what is answered without a look at its body is answered although that never comes, and holds its connection no longer.
func TestSilentBodies(t *testing.T) {
	cfg := testConfig()
	cfg.BodyTimeMax = 500 * time.Millisecond
	working := serving(t, cfg, &asker{})
	workingAt, _ := open(t, working)
	crowded := serving(t, cfg, &asker{})
	crowded.requests = make(chan struct{}) // as many as there may be
	crowdedAt, _ := open(t, crowded)
	standbyAt, _ := open(t, New(cfg))
	cfg.Allow = bearer("secret")
	secret, _ := open(t, serving(t, cfg, &asker{}))
	for name, c := range map[string]struct {
		address, head, want string
	}{
		"without a token":        {secret, "POST /v1/send/shop/cart/a HTTP/1.1", "401"},
		"of nothing":             {workingAt, "POST / HTTP/1.1", "404"},
		"by another method":      {workingAt, "PUT /v1/send/shop/cart/a HTTP/1.1", "405"},
		"no id":                  {workingAt, "POST /v1/send/shop/cart HTTP/1.1", "400"},
		"no id for a route":      {workingAt, "POST /carts/%ff/items HTTP/1.1", "400"},
		"a cancellation":         {workingAt, "DELETE /v1/send/shop/cart/a?token=t HTTP/1.1", "204"},
		"an event":               {workingAt, "POST /v1/send/shop/cart/a HTTP/1.1", "408"},
		"too many":               {crowdedAt, "POST /v1/send/shop/cart/a HTTP/1.1", "503"},
		"nobody works":           {standbyAt, "POST /v1/send/shop/cart/a HTTP/1.1", "503"},
		"an expectation":         {workingAt, "POST /v1/send/shop/cart/a HTTP/1.1\r\nExpect: nothing", "417"},
		"an expectation without": {secret, "POST / HTTP/1.1\r\nExpect: nothing", "417"},
	} {
		for _, body := range []string{"Content-Length: 5", "Transfer-Encoding: chunked"} {
			t.Run(name+", "+body, func(t *testing.T) {
				t.Parallel()
				if got := silent(t, c.address, c.head+"\r\nHost: localhost\r\n"+body+"\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 "+c.want+" ") {
					t.Errorf("answered %q, want %s", got, c.want)
				}
			})
		}
	}
}

// slowly is an asker that answers long after a body must have come.
type slowly struct {
	asker
	after time.Duration
}

func (s *slowly) Ask(ctx context.Context, _ api.Message) (api.TypedValue, error) {
	timer := time.NewTimer(s.after)
	defer timer.Stop()
	select {
	case <-timer.C:
		return api.TypedValue{HasValue: true, Value: []byte("1")}, nil
	case <-ctx.Done():
		return api.TypedValue{}, context.Cause(ctx)
	}
}

// TestBodyTimeIsOfBodies: a request that has come is waited for longer than it might have taken to come, also by a member that passes it on.
func TestBodyTimeIsOfBodies(t *testing.T) {
	cfg := testConfig()
	cfg.BodyTimeMax = 100 * time.Millisecond
	active, _ := open(t, serving(t, cfg, &slowly{after: 3 * cfg.BodyTimeMax}))
	cfg.Owner = func(context.Context) (string, bool) { return active, true }
	standby, _ := open(t, New(cfg))
	for at, address := range map[string]string{"active": active, "standby": standby} {
		for _, body := range []string{"", "x"} {
			if code, text := post(t, "http://"+address+"/v1/call/shop/cart/a", strings.NewReader(body)); code != 200 {
				t.Errorf("%s, body %q: %d, %s", at, body, code, text)
			}
		}
	}
}

// TestPassedAsItIs: what is wrong with a query, or with how a body comes, is told by a member that passes requests on as by the one that works.
func TestPassedAsItIs(t *testing.T) {
	cfg := testConfig()
	cfg.BodyTimeMax = 100 * time.Millisecond
	a := &asker{}
	active, _ := open(t, serving(t, cfg, a))
	cfg.Owner = func(context.Context) (string, bool) { return active, true }
	standby, _ := open(t, New(cfg))
	for _, address := range []string{active, standby} {
		for _, query := range []string{"delay=10s;token=t", "delay=%zz", "dealy=10s"} {
			if code, text := post(t, "http://"+address+"/v1/send/shop/cart/a?"+query, strings.NewReader("x")); code != 400 {
				t.Errorf("%q: %d, %s", query, code, text)
			}
		}
		for _, body := range []string{"Content-Length: 10\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"} {
			if got := silent(t, address, "POST /v1/send/shop/cart/a HTTP/1.1\r\nHost: localhost\r\n"+body); !strings.HasPrefix(got, "HTTP/1.1 408 ") || !strings.Contains(got, "nothing has happened") {
				t.Errorf("a body that is slow: %q", got)
			}
		}
	}
	if a.mu.Lock(); len(a.did) > 0 {
		t.Errorf("done: %q", a.did)
	}
	a.mu.Unlock()
}

// TestPassedOnce: a request that has left is not sent again, whatever its method, and nobody says that nothing has happened.
func TestPassedOnce(t *testing.T) {
	dying, err := net.Listen("tcp", "127.0.0.1:0") // dies with what is not to warm a connection up
	if err != nil {
		t.Fatal(err)
	}
	var came atomic.Int64
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := dying.Accept()
			if err != nil {
				return
			}
			in := bufio.NewReader(conn)
			for range 2 {
				r, err := nethttp.ReadRequest(in)
				if err != nil {
					break
				}
				_, _ = io.Copy(io.Discard, r.Body)
				if came.Add(1); r.URL.Path != "/stock/warm" {
					break
				}
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
			_ = conn.Close()
		}
	}()
	defer func() { _ = dying.Close(); <-ended }()
	cfg := testConfig()
	for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
		cfg.Ingresses[0].Routes = append(cfg.Ingresses[0].Routes, Route{Method: method, Path: "/stock/{id}", Target: api.FunctionType{Namespace: "shop", Name: "stock"}, ID: "{id}", Call: true})
	}
	cfg.Owner = func(context.Context) (string, bool) { return dying.Addr().String(), true }
	standby, _ := open(t, New(cfg))
	ask := func(method, path, key string) (int, string, nethttp.Header) {
		r, err := nethttp.NewRequest(method, "http://"+standby+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if key != "" {
			r.Header.Set(keyHeader, key)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text), resp.Header
	}
	for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
		came.Store(0)
		if code, text, _ := ask(method, "/stock/warm", ""); code != 200 {
			t.Fatalf("%s: %d, %s", method, code, text)
		}
		if code, text, h := ask(method, "/stock/x", ""); code != 502 || !strings.Contains(text, "not known") || h.Get("Retry-After") != "" {
			t.Errorf("%s: %d, %s", method, code, text)
		}
		if n := came.Load(); n != 2 {
			t.Errorf("%s: %d requests came, want 2", method, n)
		}
	}
	if code, text, h := ask("POST", "/stock/x", "k"); code != 502 || h.Get("Retry-After") == "" || !strings.Contains(text, "same "+keyHeader) {
		t.Errorf("under a key: %d, %v, %s", code, h, text)
	}
}
