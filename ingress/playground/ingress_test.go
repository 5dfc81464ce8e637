package playground

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/ingress"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// senders takes what is sent.
type senders struct {
	sent []api.Message
	err  error
}

func (s *senders) Send(_ context.Context, m api.Message) error {
	s.sent = append(s.sent, m)
	return s.err
}

func newHandler(s ingress.Sender) *handler { return &handler{New(Config{ID: "test/in"}), s} }

const vendorRequest = "application/vnd.example/GreetRequest"

func TestRequests(t *testing.T) {
	text := func(s string) string { return "\x0a" + string(rune(len(s))) + s }
	for name, c := range map[string]struct {
		method, path, contentType, body string

		code  int
		want  string // what is sent: namespace|name|id|type|value
		tells string // in the answer
	}{
		"as documented": {"PUT", "/example/person/Bob", vendorRequest, `{"name":"Bob"}`, 200, `example|person|Bob|example/GreetRequest|{"name":"Bob"}`, ""},
		"by POST":       {"POST", "/example/person/Bob", vendorRequest, "x", 200, "example|person|Bob|example/GreetRequest|x", ""},
		"by GET":        {"GET", "/example/person/Bob", vendorRequest, "", 200, "example|person|Bob|example/GreetRequest|", ""},
		"parameters":    {"PUT", "/e/p/b", vendorRequest + "; charset=utf-8", "x", 200, "e|p|b|example/GreetRequest|x", ""},
		"other case":    {"PUT", "/e/p/b", "Application/VND.example/GreetRequest", "x", 200, "e|p|b|example/GreetRequest|x", ""},
		"text":          {"PUT", "/e/p/b", "text/plain", "grün", 200, "e|p|b|io.statefun.types/string|" + "\x0a\x05grün", ""},
		"curl -d":       {"POST", "/e/p/b", "application/x-www-form-urlencoded", "hello", 200, "e|p|b|io.statefun.types/string|" + text("hello"), ""},
		"JSON as text":  {"POST", "/e/p/b", "application/json; charset=utf-8", "{}", 200, "e|p|b|io.statefun.types/string|" + text("{}"), ""},
		"empty text":    {"POST", "/e/p/b", "text/plain", "", 200, "e|p|b|io.statefun.types/string|", ""},
		"binary":        {"PUT", "/e/p/b", "application/vnd.e/b", "\x00\xff", 200, "e|p|b|e/b|\x00\xff", ""},

		"encoded once":        {"PUT", "/e/p/a%2Fb%20c%2520d", vendorRequest, "x", 200, "e|p|a/b c%20d|example/GreetRequest|x", ""},
		"encoded needlessly":  {"PUT", "/%65/p/%62", vendorRequest, "x", 200, "e|p|b|example/GreetRequest|x", ""},
		"a percent sign":      {"PUT", "/e/p/100%25", vendorRequest, "x", 200, "e|p|100%|example/GreetRequest|x", ""},
		"a plus is a plus":    {"PUT", "/e/p/a+b", vendorRequest, "x", 200, "e|p|a+b|example/GreetRequest|x", ""},
		"dots are no folders": {"PUT", "/e/p/..", vendorRequest, "x", 200, "e|p|..|example/GreetRequest|x", ""},
		"a query is no part":  {"PUT", "/e/p/b?q=1", vendorRequest, "x", 200, "e|p|b|example/GreetRequest|x", ""},

		"no path":            {"GET", "/", vendorRequest, "x", 404, "", "three"},
		"two parts":          {"PUT", "/e/p", vendorRequest, "x", 404, "", "curl"},
		"four parts":         {"PUT", "/e/p/a/b", vendorRequest, "x", 404, "", "%2F"},
		"slash at the end":   {"PUT", "/e/p/a/", vendorRequest, "x", 404, "", "three"},
		"no id":              {"PUT", "/e/p/", vendorRequest, "x", 404, "", "empty"},
		"no namespace":       {"PUT", "//p/a", vendorRequest, "x", 404, "", "empty"},
		"id is no UTF-8":     {"PUT", "/e/p/%ff", vendorRequest, "x", 400, "", "UTF-8"},
		"long id":            {"PUT", "/e/p/" + strings.Repeat("x", api.IDBytesMax+1), vendorRequest, "x", 400, "", "at most"},
		"long name":          {"PUT", "/e/" + strings.Repeat("x", api.NameBytesMax+1) + "/a", vendorRequest, "x", 400, "", "at most"},
		"no content type":    {"PUT", "/e/p/a", "", "x", 415, "", "no Content-Type"},
		"blank content type": {"PUT", "/e/p/a", " ;", "x", 415, "", "empty"},
		"no type name":       {"PUT", "/e/p/a", "application/vnd.", "x", 415, "", "names no type"},
		"type is no UTF-8":   {"PUT", "/e/p/a", "application/vnd.e/\xff", "x", 400, "", "UTF-8"},
		"text is no UTF-8":   {"PUT", "/e/p/a", "text/plain", "\xff", 415, "", "no text"},
		"large":              {"PUT", "/e/p/a", vendorRequest, strings.Repeat("x", bodyBytesMax+1), 413, "", "larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &senders{}
			h := newHandler(s)
			r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
			if c.contentType != "" {
				r.Header.Set("Content-Type", c.contentType)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != c.code || w.Header().Get("Status") != fmt.Sprint(c.code) || !strings.Contains(w.Body.String(), c.tells) || (w.Body.Len() > 0) != (c.code != 200) {
				t.Errorf("answered %d, header %q, %q", w.Code, w.Header().Get("Status"), w.Body)
			}
			got := ""
			for _, m := range s.sent {
				got += strings.Join([]string{m.Target.Type.Namespace, m.Target.Type.Name, m.Target.ID, m.Argument.TypeName, string(m.Argument.Value)}, "|")
				if !m.Argument.HasValue || !m.Caller.IsZero() {
					t.Errorf("sent %+v", m)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("sent (-want +got):\n%s", diff)
			}
			if h.bodies.used != 0 {
				t.Errorf("%d bytes of the budget are not given back", h.bodies.used)
			}
		})
	}
}

func TestSeveralContentTypes(t *testing.T) {
	r := httptest.NewRequest("PUT", "/e/p/a", strings.NewReader("x"))
	r.Header["Content-Type"] = []string{vendorRequest, "text/plain"}
	w := httptest.NewRecorder()
	newHandler(&senders{}).ServeHTTP(w, r)
	if w.Code != 400 {
		t.Errorf("answered %d, %q", w.Code, w.Body)
	}
}

// TestOutcomes: what became of a message decides the answer.
func TestOutcomes(t *testing.T) {
	for _, c := range []struct {
		err   error
		code  int
		retry string
		tells string
	}{
		{fmt.Errorf("%w: nobody serves it", ingress.ErrUnknownFunction), 404, "", "nothing has happened"},
		{fmt.Errorf("%w: too long", ingress.ErrUnusable), 400, "", "nothing has happened"},
		{fmt.Errorf("%w: no room", ingress.ErrNotTaken), 503, "1", "send it again"},
		{fmt.Errorf("%w: the store is away", ingress.ErrMaybeTaken), 504, "", "twice"},
		{errors.New("something else"), 504, "", "twice"},
	} {
		r := httptest.NewRequest("PUT", "/e/p/a", strings.NewReader("x"))
		r.Header.Set("Content-Type", vendorRequest)
		w := httptest.NewRecorder()
		newHandler(&senders{err: c.err}).ServeHTTP(w, r)
		if w.Code != c.code || w.Header().Get("Retry-After") != c.retry || w.Header().Get("Status") != fmt.Sprint(c.code) || !strings.Contains(w.Body.String(), c.tells) {
			t.Errorf("%v: answered %d, %v, %q", c.err, w.Code, w.Header(), w.Body)
		}
	}
}

// TestPaused: what comes while an operator has paused the ingress is refused, and nothing has happened.
func TestPaused(t *testing.T) {
	paused := true
	s := &senders{}
	h := &handler{New(Config{ID: "test/in", Paused: func() bool { return paused }}), s}
	ask := func() *httptest.ResponseRecorder {
		r := httptest.NewRequest("PUT", "/e/p/a", strings.NewReader("x"))
		r.Header.Set("Content-Type", vendorRequest)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	if w := ask(); w.Code != 503 || !strings.Contains(w.Body.String(), "paused by an operator; nothing has happened") || len(s.sent) != 0 {
		t.Errorf("paused: answered %d, %q, and %d are sent", w.Code, w.Body, len(s.sent))
	}
	paused = false
	if w := ask(); w.Code != 200 || len(s.sent) != 1 {
		t.Errorf("it goes on: answered %d, %q, and %d are sent", w.Code, w.Body, len(s.sent))
	}
}

// body is one whose length nobody has announced.
type body struct {
	io.Reader
	err error
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if errors.Is(err, io.EOF) && b.err != nil {
		err = b.err
	}
	return n, err
}

func (b *body) Close() error { return nil }

func TestBodies(t *testing.T) {
	exact := bytes.Repeat([]byte("x"), bodyBytesMax)
	for name, c := range map[string]struct {
		body     io.ReadCloser
		announce int64
		used     int64 // of the budget, by others
		code     int   // 0: it is read
		bytes    int
	}{
		"exactly the bound":             {&body{Reader: bytes.NewReader(exact)}, bodyBytesMax, 0, 0, bodyBytesMax},
		"the bound, not announced":      {&body{Reader: bytes.NewReader(exact)}, -1, 0, 0, bodyBytesMax},
		"one more, not announced":       {&body{Reader: io.MultiReader(bytes.NewReader(exact), strings.NewReader("x"))}, -1, 0, 413, 0},
		"endless":                       {&body{Reader: endless{}}, -1, 0, 413, 0},
		"announced and not sent":        {&body{Reader: strings.NewReader("x"), err: io.ErrUnexpectedEOF}, bodyBytesMax, 0, 400, 0},
		"a small one without any room":  {&body{Reader: strings.NewReader("x")}, -1, bodiesBytesMax, 0, 1},
		"a large one without any room":  {&body{Reader: bytes.NewReader(exact)}, -1, bodiesBytesMax, 503, 0},
		"a large one with a last piece": {&body{Reader: bytes.NewReader(exact)}, -1, bodiesBytesMax - bodyBytesMax - 1, 0, bodyBytesMax},
	} {
		b := &budget{bytesMax: bodiesBytesMax, used: c.used}
		r := httptest.NewRequest("PUT", "/e/p/a", nil)
		r.Body, r.ContentLength = c.body, c.announce
		got, held, refused := b.read(r)
		switch {
		case refused != nil && refused.status != c.code, refused == nil && c.code != 0:
			t.Errorf("%s: %+v, want %d", name, refused, c.code)
		case len(got) != c.bytes:
			t.Errorf("%s: %d bytes, want %d", name, len(got), c.bytes)
		case cap(got) > bodyBytesMax+1:
			t.Errorf("%s: %d bytes of memory", name, cap(got))
		}
		b.give(held)
		if b.used != c.used {
			t.Errorf("%s: %d of the budget is used, want %d", name, b.used, c.used)
		}
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// TestRun: over a real connection, and what bytes that are no request do.
func TestRun(t *testing.T) {
	s := &senders{}
	addr := make(chan net.Addr, 1)
	in := New(Config{ID: "test/in", Address: "127.0.0.1:0", Place: "module.yaml:1:1", Listening: func(a net.Addr) { addr <- a }})
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- in.Run(ctx, s) }()
	base := (<-addr).String()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, raw := range []string{"\x00\x01\x02\r\n\r\n", "PUT /e/p/%zz HTTP/1.1\r\nHost: x\r\n\r\n", "PUT /e/p/a HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", "PUT /e/p/a HTTP/9.9\r\n\r\n"} {
		conn, err := net.Dial("tcp", base)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte(raw)); err != nil {
			t.Error(err)
		}
		answer, _ := io.ReadAll(conn)
		if bytes.HasPrefix(answer, []byte("HTTP/1.1 2")) {
			t.Errorf("%q is answered %q", raw, answer)
		}
		_ = conn.Close()
	}
	req, err := http.NewRequest("PUT", "http://"+base+"/e/p/a", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", vendorRequest)
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 200 || len(s.sent) != 1 {
		t.Errorf("answered %s, sent %v", resp.Status, s.sent)
	}
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// FuzzRequest: whatever a path and a content type hold, what is taken is an address and a type that the gateway can hold.
func FuzzRequest(f *testing.F) {
	for _, path := range []string{"/a/b/c", "/a/b/c%2Fd", "/a/b/%", "//", "/%00/%ff/x", "/a/b/c/d"} {
		f.Add(path, "application/vnd.e/x; q=1", "x")
		f.Add(path, "text/plain", "\xff")
	}
	f.Fuzz(func(t *testing.T, path, contentType, text string) {
		a, refused := targetOf(path)
		if refused == nil && (a.ID == "" || a.Type.Namespace == "" || api.CheckAddress(a) != nil) {
			t.Errorf("path %q gives %+v", path, a)
		}
		k, refused := kindOf(http.Header{"Content-Type": {contentType}})
		if refused != nil {
			return
		}
		if k.typeName == "" {
			t.Errorf("content type %q gives a type without a name", contentType)
		}
		if v, refused := k.value([]byte(text)); refused == nil && (!v.HasValue || v.TypeName != k.typeName) {
			t.Errorf("%q, %q give %+v", contentType, text, v)
		}
	})
}

// TestBudget: what others hold counts, what one holds already is no reason to refuse it, and one alone always has room.
func TestBudget(t *testing.T) {
	for _, c := range []struct {
		used, held, more int64
		want             bool
	}{
		{0, 0, 100, true}, {0, 0, 101, true}, {100, 100, 1, true}, {50, 10, 50, true}, {50, 10, 51, false}, {50, 49, 51, false}, {99, 0, 2, false}, {100, 0, 1, false},
	} {
		b := &budget{bytesMax: 100, used: c.used}
		if got := b.grow(c.held, c.more); got != c.want || got && b.used != c.used+c.more || !got && b.used != c.used {
			t.Errorf("%+v: %v, and %d is used", c, got, b.used)
		}
	}
}
