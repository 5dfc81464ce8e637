package http

import (
	"context"
	"io"
	"net"
	nethttp "net/http"
	"strings"
	"testing"
	"time"
)

// passing is a member that waits and passes on to one that works and answers nothing until it is let.
type passing struct {
	standby *Server
	active  *held
	address string
	end     func()
	answers chan string // status and body
}

func passOn(t *testing.T, change func(*Config)) *passing {
	t.Helper()
	cfg := testConfig()
	cfg.Ingresses[0].Timeout = 2 * patience // the one that works does not give up before the test does
	p := &passing{active: &held{asked: make(chan struct{}), let: make(chan struct{})}, answers: make(chan string, 1)}
	to, _ := open(t, serving(t, cfg, p.active))
	cfg.Owner = func(context.Context) (string, bool) { return to, true }
	change(&cfg)
	p.standby = New(cfg)
	p.address, p.end = open(t, p.standby)
	return p
}

// call asks by the member that waits, and returns when the one that works has it.
func (p *passing) call(t *testing.T, headers ...string) {
	t.Helper()
	go func() {
		code, text := post(t, "http://"+p.address+"/v1/call/shop/cart/a", nil, headers...)
		p.answers <- nethttp.StatusText(code) + " " + text
	}()
	select {
	case <-p.active.asked:
	case <-time.After(patience):
		t.Fatal("the request is not passed on")
	}
}

func (p *passing) wants(t *testing.T, parts ...string) {
	t.Helper()
	select {
	case got := <-p.answers:
		for _, part := range parts {
			if !strings.Contains(got, part) {
				t.Errorf("answered %q, want %q in it", got, part)
			}
		}
	case <-time.After(patience):
		t.Fatal("no answer")
	}
}

// TestPassedToTheSilent: a request that was passed on to one that says nothing is answered when its time is over.
func TestPassedToTheSilent(t *testing.T) {
	p := passOn(t, func(cfg *Config) { cfg.PassTimeMax = time.Second })
	p.call(t)
	p.wants(t, "Gateway Timeout", "not known", "may take effect twice")
	p.call(t, keyHeader+": k")
	p.wants(t, "Gateway Timeout", "same "+keyHeader)
}

// TestPassTimeMax: it is longer than the one that works may take by its own bounds.
func TestPassTimeMax(t *testing.T) {
	cfg := testConfig()
	cfg.Ingresses = append(cfg.Ingresses, Ingress{Timeout: 10 * time.Minute}, Ingress{Timeout: time.Second})
	if got, want := New(cfg).cfg.PassTimeMax, 30*time.Second+10*time.Minute+answerTimeMax; got != want {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestPassedUntilItWorks: a member that begins to work waits no longer for the one that did.
func TestPassedUntilItWorks(t *testing.T) {
	p := passOn(t, func(*Config) {})
	p.call(t)
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.standby.Work(ctx, &asker{}) }()
	p.wants(t, "Bad Gateway", "not known")
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	p.call(t) // it waits again
	close(p.active.let)
	p.wants(t, "OK 1")
}

// TestPassedBodyUntilItWorks: it does not wait for a body either.
func TestPassedBodyUntilItWorks(t *testing.T) {
	p := passOn(t, func(cfg *Config) { cfg.BodyTimeMax = 2 * patience })
	conn, err := net.Dial("tcp", p.address)
	k := keep(t, conn, err)
	if _, err := io.WriteString(k, "POST /v1/send/shop/cart/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nabc"); err != nil {
		t.Fatal(err)
	}
	for came := false; !came; {
		p.standby.mu.Lock()
		came = p.standby.passing > 0
		p.standby.mu.Unlock()
	}
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.standby.Work(ctx, &asker{}) }()
	resp, err := nethttp.ReadResponse(k.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _ = resp.Body.Close(); resp.StatusCode < 400 {
		t.Errorf("answered %d", resp.StatusCode)
	}
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestStopWaitsForPasses: a member that waits and stops lets what it has passed on be answered, within a bound, and passes nothing on any more.
func TestStopWaitsForPasses(t *testing.T) {
	p := passOn(t, func(cfg *Config) { cfg.DrainMax = time.Minute })
	p.call(t)
	stopped := make(chan struct{})
	go func() { defer close(stopped); p.end() }()
	for stopping := false; !stopping; {
		p.standby.mu.Lock()
		stopping = p.standby.stopping
		p.standby.mu.Unlock()
	}
	if code, text := post(t, "http://"+p.address+"/v1/call/shop/cart/a", nil); code != 503 || !strings.Contains(text, "stops") {
		t.Errorf("while it stops: %d, %s", code, text)
	}
	close(p.active.let)
	p.wants(t, "OK 1")
	<-stopped

	p = passOn(t, func(cfg *Config) { cfg.DrainMax = time.Millisecond })
	p.call(t)
	p.end()
	p.wants(t, "Bad Gateway", "not known")
}
