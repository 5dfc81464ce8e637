package endpoint

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// counted starts a function that counts the connections made to it.
func counted(t *testing.T, handler http.HandlerFunc) (string, *atomic.Int32) {
	t.Helper()
	var opened atomic.Int32
	server := httptest.NewUnstartedServer(handler)
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	return server.URL, &opened
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	good(w, append([]byte(r.URL.Path+" "), body...))
}

func pool(t *testing.T) *Pool {
	p := NewPool()
	t.Cleanup(p.Close)
	return p
}

func call(t *testing.T, p *Pool, spec Spec, want string) *Client {
	t.Helper()
	c, err := p.Client(spec)
	if err != nil {
		t.Fatal(err)
	}
	reply, _, fail := c.Call(within(t, 5*time.Second), []byte("x"))
	if fail != nil || string(reply) != want {
		t.Fatalf("got %q, %v; want %q", reply, fail, want)
	}
	return c
}

func TestPoolSharesConnections(t *testing.T) {
	url, opened := counted(t, echo)
	p := pool(t)
	for n := range 10 {
		call(t, p, Spec{URL: fmt.Sprint(url, "/", n)}, fmt.Sprintf("/%d x", n))
	}
	if got := opened.Load(); got != 1 {
		t.Errorf("ten functions of one host took %d connections, want 1", got)
	}
	call(t, p, Spec{URL: url + "/0", Connect: time.Second}, "/0 x")
	if got := opened.Load(); got != 2 {
		t.Errorf("other settings: got %d connections, want 2", got)
	}
}

func TestPoolRemembersClients(t *testing.T) {
	p := pool(t)
	spec := Spec{URL: "http://fn/a", TLS: &TLS{}}
	first, err := p.Client(spec)
	if err != nil {
		t.Fatal(err)
	}
	spec.TLS = &TLS{} // compared by value
	if again, _ := p.Client(spec); again != first {
		t.Error("the same spec has another client")
	}
	for n := range clientsMax + 10 {
		if _, err := p.Client(Spec{URL: fmt.Sprintf("http://host-%d/", n)}); err != nil {
			t.Fatal(err)
		}
	}
	if len(p.clients) != clientsMax || p.recent.Len() != clientsMax || len(p.carriers) != clientsMax {
		t.Errorf("got %d clients, %d in order, %d carriers; want %d", len(p.clients), p.recent.Len(), len(p.carriers), clientsMax)
	}
	if again, _ := p.Client(spec); again == first {
		t.Error("the longest unused client is still remembered")
	}
}

func TestForgottenClientStillCalls(t *testing.T) {
	url, _ := counted(t, echo)
	p := pool(t)
	c := call(t, p, Spec{URL: url + "/a"}, "/a x")
	for n := range clientsMax {
		if _, err := p.Client(Spec{URL: fmt.Sprintf("http://host-%d/", n)}); err != nil {
			t.Fatal(err)
		}
	}
	if again, _ := p.Client(Spec{URL: url + "/a"}); again == c {
		t.Fatal("the client is still remembered")
	}
	reply, _, fail := c.Call(within(t, 5*time.Second), []byte("y"))
	if fail != nil || string(reply) != "/a y" {
		t.Errorf("got %q, %v", reply, fail)
	}
	p.Close()
	if len(p.conns) != 0 {
		t.Errorf("%d connections outlive the pool", len(p.conns))
	}
}

func TestPoolTTL(t *testing.T) {
	url, opened := counted(t, echo)
	p := pool(t)
	spec := Spec{URL: url + "/a", PoolTTL: time.Hour}
	c := call(t, p, spec, "/a x")
	call(t, p, spec, "/a x")
	if got := opened.Load(); got != 1 {
		t.Fatalf("got %d connections, want 1", got)
	}
	p.mu.Lock()
	for connection := range p.conns {
		if left := time.Until(connection.retireAt); left < 59*time.Minute || left > 73*time.Minute {
			t.Errorf("retires in %s", left)
		}
		connection.retireAt = time.Now().Add(-time.Second) // idle: nobody else reads it
	}
	p.mu.Unlock()
	for range 3 {
		reply, _, fail := c.Call(within(t, 5*time.Second), []byte("x"))
		if fail != nil || string(reply) != "/a x" {
			t.Fatalf("got %q, %v", reply, fail)
		}
	}
	if got := opened.Load(); got != 2 {
		t.Errorf("got %d connections after one grew old, want 2", got)
	}
}

func TestFailuresAndConnections(t *testing.T) {
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		opened  int32 // by three calls
	}{
		"small error body": {func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", 500) }, 1},
		"error of 20 KB":   {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500); w.Write(make([]byte, 20<<10)) }, 1},
		"error of 1 MB":    {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500); w.Write(make([]byte, 1<<20)) }, 3},
		"wrong type":       {func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }, 1},
		"too large":        {func(w http.ResponseWriter, r *http.Request) { good(w, make([]byte, 2000)) }, 3},
	} {
		t.Run(name, func(t *testing.T) {
			url, opened := counted(t, tc.handler)
			c := client(t, url, func(s *Spec) { s.ReplyBytesMax = 1000 })
			for range 3 {
				if _, _, fail := c.Call(within(t, 5*time.Second), []byte("x")); fail == nil {
					t.Fatal("got a reply")
				}
			}
			if got := opened.Load(); got != tc.opened {
				t.Errorf("three calls opened %d connections, want %d", got, tc.opened)
			}
		})
	}
}

func TestBadSpecs(t *testing.T) {
	p := pool(t)
	for _, spec := range []Spec{
		{URL: "http://fn/", Connect: -1}, {URL: "http://fn/", Read: -1}, {URL: "http://fn/", Write: -1},
		{URL: "http://fn/", PoolTTL: -1}, {URL: "http://fn/", PoolSize: -1}, {URL: "http://fn/", ReplyBytesMax: -1},
		{URL: "http://fn/", TLS: &TLS{ClientCert: "x"}}, {URL: "http://fn/", TLS: &TLS{ClientKey: "x"}},
	} {
		if _, err := p.Client(spec); err == nil {
			t.Errorf("%+v: accepted", spec)
		}
	}
	if len(p.clients) != 0 || len(p.carriers) != 0 {
		t.Error("bad specs are remembered")
	}
	p.Close()
	if _, err := p.Client(Spec{URL: "http://fn/"}); err == nil {
		t.Error("a closed pool gives a client")
	}
	p.Close()
}
