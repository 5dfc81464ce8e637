package http

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/ingress"
)

// open serves over real connections, and answers the address. end ends it.
func open(t *testing.T, s *Server) (address string, end func()) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, listener) }()
	end = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		ended <- nil
	}
	t.Cleanup(end)
	return listener.Addr().String(), end
}

var client = &nethttp.Client{Transport: &nethttp.Transport{DisableKeepAlives: true, ExpectContinueTimeout: time.Minute}}

// post answers the status and the body; 0: no answer came.
func post(t *testing.T, url string, body io.Reader, headers ...string) (int, string) {
	t.Helper()
	req, err := nethttp.NewRequest("POST", url, body)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		k, v, _ := strings.Cut(h, ": ")
		req.Header.Add(k, v)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(text)
}

// bearer allows who has one of these tokens.
func bearer(tokens ...string) func(string) bool {
	return func(authorization string) bool {
		token, ok := strings.CutPrefix(authorization, "Bearer ")
		return ok && slices.Contains(tokens, token)
	}
}

func TestTokens(t *testing.T) {
	cfg := testConfig()
	cfg.Allow = bearer("first", "second")
	address, _ := open(t, serving(t, cfg, &asker{}))
	for given, want := range map[string]int{
		"": 401, "Bearer": 401, "Bearer ": 401, "Bearer third": 401, "Basic first": 401, "first": 401, "Bearer first ": 202, "Bearer second": 202, "Bearer first": 202, "Bearer firs": 401,
	} {
		headers := []string{"Authorization: " + given}
		if given == "" {
			headers = nil
		}
		if code, text := post(t, "http://"+address+"/v1/send/shop/cart/a", nil, headers...); code != want || code == 401 && !strings.Contains(text, "Bearer TOKEN") {
			t.Errorf("%q: %d, %s", given, code, text)
		}
	}
	if code, _ := post(t, "http://"+address+"/nothing", nil); code != 401 {
		t.Errorf("a path that is not there: %d without a token", code)
	}
}

// TestHostileConnections: what is no request, bodies that are huge or slow, and those that stop in the middle.
func TestHostileConnections(t *testing.T) {
	cfg := testConfig()
	cfg.BodyTimeMax = 100 * time.Millisecond
	a := &asker{}
	address, _ := open(t, serving(t, cfg, a))
	talk := func(raw string) string {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, raw)
		answer, _ := io.ReadAll(conn)
		return string(answer)
	}
	for _, raw := range []string{"\x00\x01\r\n\r\n", "POST /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", "POST /v1/send/shop/cart/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
		"POST /v1/send/shop/cart/a HTTP/9.9\r\n\r\n", "POST / HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 2*headerBytesMax) + "\r\n\r\n"} {
		if got := talk(raw); strings.HasPrefix(got, "HTTP/1.1 2") {
			t.Errorf("%.40q is answered %q", raw, got)
		}
	}
	if got := talk("POST /v1/send/shop/cart/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc"); !strings.HasPrefix(got, "HTTP/1.1 408 ") || !strings.Contains(got, "in time") {
		t.Errorf("a body that is slow: %q", got)
	}
	if code, text := post(t, "http://"+address+"/v1/send/shop/cart/a", bytes.NewReader(make([]byte, 100<<20)), "Expect: 100-continue"); code != 413 {
		t.Errorf("100 MiB: %d, %s", code, text)
	}
	if got := talk("POST /v1/send/shop/cart/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
		t.Errorf("a body of broken chunks: %q", got)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.did) > 0 {
		t.Errorf("done: %q", a.did)
	}
}

// held is an asker whose calls wait until they are let go.
type held struct {
	asker
	asked chan struct{}
	let   chan struct{}
}

func (h *held) Ask(ctx context.Context, _ api.Message) (api.TypedValue, error) {
	h.asked <- struct{}{}
	select {
	case <-h.let:
		return api.TypedValue{HasValue: true, Value: []byte("1")}, nil
	case <-ctx.Done():
		return api.TypedValue{}, fmt.Errorf("%w: %w", ingress.ErrNoReply, context.Cause(ctx))
	}
}

func (h *held) Once(ctx context.Context, m api.Message, _ string, _ bool) (api.TypedValue, error) {
	return h.Ask(ctx, m)
}

// TestStop: a stop takes no more, lets those inside finish, and tells those that do not what is known.
func TestStop(t *testing.T) {
	for name, c := range map[string]struct {
		drain time.Duration
		let   bool
		code  int
	}{"finished": {time.Minute, true, 200}, "out of time": {time.Millisecond, false, 502}} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig()
			cfg.DrainMax = c.drain
			s, h := New(cfg), &held{asked: make(chan struct{}), let: make(chan struct{})}
			address, _ := open(t, s)
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- s.Work(ctx, h) }()
			got := make(chan int, 1)
			url := "http://" + address + "/v1/call/shop/cart/a"
			go func() {
				for {
					if code, _ := post(t, url, nil); code != 503 { // it works now
						got <- code
						return
					}
				}
			}()
			<-h.asked
			stop()
			if c.let {
				for draining := false; !draining; {
					s.mu.Lock()
					draining = s.worker.draining
					s.mu.Unlock()
				}
				if code, text := post(t, url, nil); code != 503 || !strings.Contains(text, "stops") {
					t.Errorf("while it stops: %d, %s", code, text)
				}
				close(h.let)
			}
			if code := <-got; code != c.code {
				t.Errorf("answered %d, want %d", code, c.code)
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if code, text := post(t, url, nil); code != 503 || !strings.Contains(text, "no gateway works") {
				t.Errorf("when nobody works: %d, %s", code, text)
			}
		})
	}
}

// TestPass: a member that waits passes requests on, once, as they are.
func TestPass(t *testing.T) {
	a := &asker{reply: api.TypedValue{TypeName: "t/t", HasValue: true, Value: []byte(`"yes"`)}}
	cfg := testConfig()
	cfg.Allow = bearer("secret")
	active, endActive := open(t, serving(t, cfg, a))
	to := active
	cfg.Owner = func(context.Context) (string, bool) { return to, to != "" }
	standby, _ := open(t, New(cfg))
	const auth = "Authorization: Bearer secret"
	if code, text := post(t, "http://"+standby+"/v1/call/shop/cart/a%2Fb?id=", strings.NewReader("x"), auth); code != 400 {
		t.Errorf("what is wrong with a request: %d, %s", code, text)
	}
	if code, text := post(t, "http://"+standby+"/v1/call/shop/cart/a%2Fb%2520", strings.NewReader("x"), auth, "Stategate-Type: x/y"); code != 200 || text != `"yes"` {
		t.Errorf("passed on: %d, %s", code, text)
	}
	if resp, err := client.Get("http://" + standby + "/v1/nothing"); err != nil || len(resp.Header.Values("Cache-Control")) != 1 || len(resp.Header.Values("X-Content-Type-Options")) != 1 {
		t.Errorf("headers: %v, %v", resp, err)
	} else {
		_ = resp.Body.Close()
	}
	if want := "call shop|cart|a/b%20|x/y|x"; len(a.did) != 1 || a.did[0] != want {
		t.Errorf("done: %q, want %q", a.did, want)
	}
	if code, _ := post(t, "http://"+standby+"/v1/call/shop/cart/a", nil); code != 401 {
		t.Errorf("without a token: %d", code)
	}
	to = standby // two that wait and take each other for the one that works
	if code, text := post(t, "http://"+standby+"/v1/call/shop/cart/a", nil, auth); code != 503 || !strings.Contains(text, "nothing has happened") {
		t.Errorf("in a circle: %d, %s", code, text)
	}
	to = active
	endActive()
	if code, text := post(t, "http://"+standby+"/v1/call/shop/cart/a", nil, auth); code != 503 || !strings.Contains(text, "nothing has happened") {
		t.Errorf("to one that is gone: %d, %s", code, text)
	}
	to = ""
	if code, text := post(t, "http://"+standby+"/v1/call/shop/cart/a", nil, auth); code != 503 {
		t.Errorf("to nobody: %d, %s", code, text)
	}
	broken, err := net.Listen("tcp", "127.0.0.1:0") // one that dies with the request
	if err != nil {
		t.Fatal(err)
	}
	defer broken.Close()
	go func() {
		if conn, err := broken.Accept(); err == nil {
			_, _ = conn.Read(make([]byte, 1))
			_ = conn.Close()
		}
	}()
	to = broken.Addr().String()
	if code, text := post(t, "http://"+standby+"/v1/call/shop/cart/a", nil, auth); code != 502 || !strings.Contains(text, "not known") {
		t.Errorf("to one that dies with it: %d, %s", code, text)
	}
}
