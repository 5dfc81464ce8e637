package http

import (
	"io"
	nethttp "net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// TestPaused: what comes while an operator has paused the ingress is refused with what that is, and nothing has happened; others go on.
func TestPaused(t *testing.T) {
	var paused atomic.Bool
	cfg := testConfig()
	id := cfg.Ingresses[0].ID
	cfg.Paused = func(ingress string) bool { return paused.Load() && ingress == id }
	a := &asker{}
	address, _ := open(t, serving(t, cfg, a))
	url := "http://" + address + "/v1/send/shop/cart/a"
	if status, text := post(t, url, strings.NewReader("x")); status != 202 {
		t.Fatalf("before: %d %s", status, text)
	}
	paused.Store(true)
	for _, target := range []string{url, "http://" + address + "/v1/call/shop/cart/a", url + "?delay=1s&token=t"} {
		resp, err := client.Post(target, "text/plain", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "10" || !strings.Contains(string(text), "paused by an operator; nothing has happened") || !strings.Contains(string(text), id) {
			t.Errorf("%s: %d %v %s", target, resp.StatusCode, resp.Header, text)
		}
	}
	if n := len(a.all()); n != 1 {
		t.Errorf("%d events were taken, want the one from before", n)
	}
	req, _ := nethttp.NewRequest("DELETE", url+"?token=t", nil) // takes nothing in
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 204 {
		t.Errorf("a cancellation: %d", resp.StatusCode)
	}
	paused.Store(false)
	if status, text := post(t, url, strings.NewReader("x")); status != 202 {
		t.Errorf("resumed: %d %s", status, text)
	}
}

// pausing pauses its ingress as soon as something of it is read.
type pausing struct {
	io.Reader
	paused *atomic.Bool
}

func (p *pausing) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	p.paused.Store(true)
	return n, err
}

// all is what was asked of it.
func (a *asker) all() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.did)
}

// TestPausedWhileABodyComes: what was on its way when the pause began is not taken either.
func TestPausedWhileABodyComes(t *testing.T) {
	var paused atomic.Bool
	cfg := testConfig()
	cfg.Paused = func(string) bool { return paused.Load() }
	a := &asker{}
	s := serving(t, cfg, a)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("POST", "/v1/send/shop/cart/a", &pausing{strings.NewReader("x"), &paused}))
	if w.Code != 503 || !strings.Contains(w.Body.String(), "paused by an operator") || len(a.all()) != 0 {
		t.Errorf("got %d %s, %d were taken", w.Code, w.Body.String(), len(a.all()))
	}
}
