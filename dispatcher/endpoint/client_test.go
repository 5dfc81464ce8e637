package endpoint

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a function and a client for it.
func serve(t testing.TB, handler http.HandlerFunc, change ...func(*Spec)) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return client(t, server.URL, change...)
}

func client(t testing.TB, url string, change ...func(*Spec)) *Client {
	t.Helper()
	spec := Spec{URL: url, Connect: 5 * time.Second}
	for _, c := range change {
		c(&spec)
	}
	c, err := New(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// speak starts a raw server: script gets each connection after the request's headers were read.
func speak(t testing.TB, script func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { listener.Close(); all.Wait() })
	all.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				if readHead(c) {
					script(c)
				}
			})
		}
	})
	return "http://" + listener.Addr().String()
}

func readHead(c net.Conn) bool {
	var got []byte
	one := make([]byte, 1)
	for !bytes.HasSuffix(got, []byte("\r\n\r\n")) {
		if _, err := c.Read(one); err != nil {
			return false
		}
		got = append(got, one[0])
	}
	return true
}

func readBody(c net.Conn, n int) { io.ReadFull(c, make([]byte, n)) }

func good(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Write(body)
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func wantFailure(t *testing.T, reply []byte, fail *Failure, kind Kind, status int, text string) {
	t.Helper()
	if fail == nil {
		t.Fatalf("got a reply of %d bytes, want %s", len(reply), kind)
	}
	if reply != nil {
		t.Errorf("got a reply of %d bytes beside the failure", len(reply))
	}
	if fail.Kind != kind || fail.Status != status || !strings.Contains(fail.Text, text) {
		t.Errorf("got %s, status %d, %q; want %s, status %d, %q", fail.Kind, fail.Status, fail.Text, kind, status, text)
	}
}

func TestRequest(t *testing.T) {
	type sent struct {
		Method, URI, Proto, Host string
		Length                   int64
		Encoding                 []string
		Body                     string
		Header                   http.Header
	}
	got := make(chan sent, 1)
	base := http.Header{
		"Content-Type": {contentType}, "User-Agent": {"statefun"}, "Accept-Encoding": {"gzip,deflate"}, "Content-Length": {"5"}, "Stategate-Bulk": {"1"},
	}
	for name, tc := range map[string]struct {
		path   string
		user   string
		accept bool
		uri    string
		header http.Header
	}{
		"plain":  {path: "", uri: "/", header: http.Header{}},
		"async":  {path: "/a/b", accept: true, uri: "/a/b", header: http.Header{"Accept": {contentType}}},
		"escape": {path: "/a%2Fb%20c?x=1&y", uri: "/a%2Fb%20c?x=1&y", header: http.Header{}},
		"user":   {path: "/f", user: "u:p%40@", uri: "/f", header: http.Header{"Authorization": {"Basic dTpwQA=="}}},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				h := r.Header.Clone()
				h.Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
				got <- sent{r.Method, r.RequestURI, r.Proto, r.Host, r.ContentLength, r.TransferEncoding, string(body), h}
				good(w, []byte("reply"))
			}))
			defer server.Close()
			host := strings.TrimPrefix(server.URL, "http://")
			c := client(t, "http://"+tc.user+host+tc.path, func(s *Spec) { s.Accept = tc.accept })
			reply, _, fail := c.Call(within(t, 5*time.Second), []byte("hello"))
			if fail != nil || string(reply) != "reply" {
				t.Fatalf("got %q, %v", reply, fail)
			}
			want := sent{"POST", tc.uri, "HTTP/1.1", host, 5, nil, "hello", base.Clone()}
			for k, v := range tc.header {
				want.Header[k] = v
			}
			if diff := cmp.Diff(want, <-got); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStatus(t *testing.T) {
	for _, tc := range []struct {
		status int
		header string
		body   string
		kind   Kind
		after  time.Duration
		text   string
	}{
		{status: 500, body: "it broke\n\x1b[31mred", kind: Status, text: `status 500 Internal Server Error: it broke\n\x1b[31mred`},
		{status: 500, kind: Status, text: "status 500 Internal Server Error"},
		{status: 500, body: strings.Repeat("\x00\x01\x02", 99), kind: Status, text: "a body that is not text"},
		{status: 599, body: strings.Repeat("é", 2000), kind: Status, text: strings.Repeat("é", 500)},
		{status: 400, kind: Status}, {status: 404, kind: Status}, {status: 408, kind: Status}, {status: 415, kind: Status},
		{status: 413, kind: TooLarge},
		{status: 429, header: "7", kind: Overloaded, after: 7 * time.Second},
		{status: 502, kind: Overloaded},
		{status: 503, header: "120", kind: Overloaded, after: 2 * time.Minute},
		{status: 504, kind: Overloaded},
		{status: 300, kind: Status}, {status: 304, kind: Status},
	} {
		t.Run(fmt.Sprint(tc.status, len(tc.body)), func(t *testing.T) {
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", contentType)
				if tc.header != "" {
					w.Header().Set("Retry-After", tc.header)
				}
				w.WriteHeader(tc.status)
				io.WriteString(w, tc.body)
			})
			reply, _, fail := c.Call(within(t, 5*time.Second), []byte("x"))
			wantFailure(t, reply, fail, tc.kind, tc.status, tc.text)
			if fail.RetryAfter != tc.after {
				t.Errorf("got retry after %s, want %s", fail.RetryAfter, tc.after)
			}
			if len(fail.Text) > textBytesMax+3 {
				t.Errorf("the text has %d bytes", len(fail.Text))
			}
		})
	}
}

func TestRedirectNotFollowed(t *testing.T) {
	var calls atomic.Int32
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		http.Redirect(w, r, "/other", http.StatusTemporaryRedirect)
	})
	reply, _, fail := c.Call(within(t, 5*time.Second), []byte("x"))
	wantFailure(t, reply, fail, Status, 307, "redirects are not followed")
	if calls.Load() != 1 {
		t.Errorf("got %d calls, want 1", calls.Load())
	}
}

func TestContentType(t *testing.T) {
	for _, tc := range []struct {
		values []string
		exact  bool
		ok     bool
	}{
		{values: []string{"application/octet-stream"}, ok: true},
		{values: []string{"application/octet-stream"}, exact: true, ok: true},
		{values: []string{"Application/Octet-Stream"}, exact: true, ok: true},
		{values: []string{"application/octet-stream; charset=utf-8"}, ok: true},
		{values: []string{"application/octet-stream; charset=utf-8"}, exact: true},
		{values: []string{"text/plain, application/octet-stream"}, ok: true},
		{values: []string{"text/plain", "application/octet-stream"}, ok: true},
		{values: []string{"application/octet-streams"}},
		{values: []string{"text/html"}},
		{values: []string{""}},
		{values: nil},
	} {
		t.Run(fmt.Sprint(tc.values, tc.exact), func(t *testing.T) {
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header()["Content-Type"] = tc.values
				io.WriteString(w, "please log in")
			}, func(s *Spec) { s.ExactContentType = tc.exact })
			reply, _, fail := c.Call(within(t, 5*time.Second), []byte("x"))
			if !tc.ok {
				wantFailure(t, reply, fail, BadReply, 200, "must be application/octet-stream): please log in")
			} else if fail != nil || string(reply) != "please log in" {
				t.Errorf("got %q, %v", reply, fail)
			}
		})
	}
}

func TestEmptyReply(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) { good(w, nil) })
	reply, _, fail := c.Call(within(t, 5*time.Second), []byte("x"))
	if fail != nil || reply == nil || len(reply) != 0 {
		t.Errorf("got %v, %v; want an empty reply", reply, fail)
	}
}

// A front that says 500 in an ordinary header, with nothing else, must not pass for "no effects".
func TestStatusHeaderTrap(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = nil
		w.Header().Set("Status", "500")
	})
	reply, _, fail := c.Call(within(t, 5*time.Second), []byte("x"))
	wantFailure(t, reply, fail, BadReply, 200, "no content type (must be application/octet-stream), and a header Status: 500")
}

func TestCanceled(t *testing.T) {
	arrived := make(chan struct{})
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // the server sees a hang-up only after the body
		close(arrived)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-arrived; cancel() }()
	reply, _, fail := c.Call(ctx, []byte("x"))
	wantFailure(t, reply, fail, Canceled, 0, "cancelled")

	reply, _, fail = c.Call(ctx, []byte("x"))
	wantFailure(t, reply, fail, Canceled, 0, "cancelled")
}

func TestDeadline(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	reply, _, fail := c.Call(within(t, 50*time.Millisecond), []byte("x"))
	wantFailure(t, reply, fail, Timeout, 0, "no complete reply within the attempt's time-out")
}

func TestReadSilence(t *testing.T) {
	quick := func(s *Spec) { s.Read = 60 * time.Millisecond }
	t.Run("headers", func(t *testing.T) {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}, quick)
		reply, _, fail := c.Call(within(t, 10*time.Second), []byte("x"))
		wantFailure(t, reply, fail, Timeout, 0, "no reply in time")
	})
	t.Run("body", func(t *testing.T) {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			good(w, []byte("begin"))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, quick)
		reply, _, fail := c.Call(within(t, 10*time.Second), []byte("x"))
		wantFailure(t, reply, fail, Timeout, 200, "no piece of the reply within 60ms")
	})
	t.Run("slow but alive", func(t *testing.T) {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			for range 10 {
				good(w, []byte("x"))
				w.(http.Flusher).Flush()
				<-time.After(20 * time.Millisecond)
			}
		}, func(s *Spec) { s.Read = 150 * time.Millisecond })
		reply, _, fail := c.Call(within(t, 10*time.Second), []byte("x"))
		if fail != nil || len(reply) != 10 {
			t.Errorf("got %q, %v", reply, fail)
		}
	})
}

func TestLargeRequest(t *testing.T) {
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // 4 MiB
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got, _ := io.ReadAll(r.Body)
		good(w, []byte(strconv.FormatBool(bytes.Equal(got, sent))))
	}, func(s *Spec) { s.Write = 5 * time.Second })
	for range 3 {
		reply, _, fail := c.Call(within(t, 10*time.Second), sent)
		if fail != nil || string(reply) != "true" {
			t.Fatalf("got %q, %v", reply, fail)
		}
	}
}

// The function answers before it has read the request, and reads on; the caller overwrites its bytes at once. What
// comes over must not hold any of the new ones (and the race detector sees a write loop that still reads them).
func TestBodyIsReturned(t *testing.T) {
	overwritten := make(chan struct{})
	seen := make(chan bool)
	c := client(t, speak(t, func(c net.Conn) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 0\r\n\r\n")
		<-overwritten
		rest, _ := io.ReadAll(c)
		seen <- bytes.ContainsRune(rest, 1)
	}))
	body := make([]byte, 32<<20)
	for range 5 {
		if _, _, fail := c.Call(within(t, 10*time.Second), body); fail != nil {
			t.Fatal(fail.Text)
		}
		for at := range body {
			body[at] = 1
		}
		overwritten <- struct{}{}
		if <-seen {
			t.Error("the request was still read after the call")
		}
		clear(body)
	}
}

func TestConcurrentCallsReuseConnections(t *testing.T) {
	var opened atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		good(w, body)
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	c := client(t, server.URL)
	var all sync.WaitGroup
	for worker := range 32 {
		all.Go(func() {
			for n := range 50 {
				want := fmt.Sprint(worker, " ", n)
				reply, _, fail := c.Call(within(t, 10*time.Second), []byte(want))
				if fail != nil || string(reply) != want {
					t.Errorf("got %q, %v; want %q", reply, fail, want)
				}
			}
		})
	}
	all.Wait()
	if n := opened.Load(); n > 200 { // net/http also dials beside connections that come free; keeping two makes it some 500
		t.Errorf("1,600 calls by 32 callers opened %d connections", n)
	}
}
