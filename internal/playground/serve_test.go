package playground

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 90 * time.Second

// port is one that is being served.
type port struct {
	t         *testing.T
	addr      chan net.Addr
	degraded  chan string
	recovered chan string
	end       context.CancelFunc
	ended     chan error
}

func serve(t *testing.T, address string, handler http.HandlerFunc) *port {
	t.Helper()
	p := &port{t: t, addr: make(chan net.Addr, 1), degraded: make(chan string, 10), recovered: make(chan string, 10), ended: make(chan error, 1)}
	ctx, end := context.WithCancel(t.Context())
	p.end = end
	go func() {
		p.ended <- Serve(ctx, Config{
			Name: "ingress test/in", Address: address, Place: "module.yaml:12:7", Handler: handler, Log: slog.New(slog.DiscardHandler),
			Degraded: func(key, text string) { p.degraded <- key + " | " + text }, Recovered: func(key string) { p.recovered <- key },
			Listening: func(a net.Addr) { p.addr <- a },
		})
	}()
	t.Cleanup(end)
	return p
}

func wait[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("waited %v for %s", patience, what)
		panic("never")
	}
}

func (p *port) stop() {
	p.t.Helper()
	p.end()
	if err := wait(p.t, "the end", p.ended); err != nil {
		p.t.Error(err)
	}
}

func get(t *testing.T, url string) (*http.Response, string, error) {
	t.Helper()
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

func TestServe(t *testing.T) {
	p := serve(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
		Answer(w, http.StatusServiceUnavailable, http.StatusMethodNotAllowed, "later")
	})
	addr := wait(t, "the port", p.addr)
	resp, body, err := get(t, "http://"+addr.String())
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 503 || resp.Header.Get("Status") != "405" || resp.Header.Get("Retry-After") == "" || body != "later\n" {
		t.Errorf("answered %d, %v, %q", resp.StatusCode, resp.Header, body)
	}
	p.stop()
	if _, _, err := get(t, "http://"+addr.String()); err == nil {
		t.Error("the port is open after the end")
	}
}

// TestPortTaken: it is said where the module says so, and the port is opened as soon as it can be.
func TestPortTaken(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := serve(t, other.Addr().String(), func(http.ResponseWriter, *http.Request) {})
	text := wait(t, "the reason", p.degraded)
	if !strings.HasPrefix(text, "ingress test/in: port | module.yaml:12:7: ") || !strings.Contains(text, other.Addr().String()) || !strings.Contains(text, "in use") {
		t.Errorf("said is %q", text)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if addr := wait(t, "the port", p.addr); addr.String() != other.Addr().String() {
		t.Errorf("listens on %v", addr)
	}
	if key := wait(t, "that it is over", p.recovered); key != "ingress test/in: port" || len(p.degraded) > 0 {
		t.Errorf("key %q, and said %d times more", key, len(p.degraded))
	}
	p.stop()
}

// TestStopWhilePortIsTaken ends, and takes back what was said.
func TestStopWhilePortIsTaken(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	p := serve(t, other.Addr().String(), func(http.ResponseWriter, *http.Request) {})
	wait(t, "the reason", p.degraded)
	p.stop()
	wait(t, "that it is over", p.recovered)
}

// TestStopWithRequests: one that ends in time is answered; one that does not is told by its context.
func TestStopWithRequests(t *testing.T) {
	in, release, told := make(chan string, 2), make(chan struct{}), make(chan error, 1)
	p := serve(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
		in <- r.URL.Path
		if r.URL.Path == "/quick" {
			<-release
			return
		}
		<-r.Context().Done()
		told <- r.Context().Err()
	})
	base := "http://" + wait(t, "the port", p.addr).String()
	quick := make(chan error, 1)
	go func() { _, _, err := get(t, base+"/quick"); quick <- err }()
	slow := make(chan error, 1)
	go func() { _, _, err := get(t, base+"/slow"); slow <- err }()
	for range 2 {
		wait(t, "a request", in)
	}
	p.end()
	close(release)
	if err := wait(t, "the quick one", quick); err != nil {
		t.Error(err)
	}
	if err := wait(t, "the slow one's context", told); err == nil {
		t.Error("the slow one's context has not ended")
	}
	wait(t, "the slow one", slow)
	p.stop()
}

func TestAnswerIsPlain(t *testing.T) {
	w := httptest.NewRecorder()
	Answer(w, 200, 200, "")
	if w.Body.Len() > 0 || w.Header().Get("Status") != "200" || w.Header().Get("Content-Type") != "" {
		t.Errorf("%v %q", w.Header(), w.Body)
	}
}
