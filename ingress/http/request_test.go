package http

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/ingress"
)

// patience is for what takes milliseconds on a quiet machine: it only decides when a test gives up.
const patience = 90 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// asker takes what is sent, and answers as it is told.
type asker struct {
	mu    sync.Mutex
	did   []string // guarded by mu
	err   error
	reply api.TypedValue
	wait  bool // until its context ends
}

func (a *asker) note(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.did = append(a.did, fmt.Sprintf(format, args...))
}

func text(m api.Message) string {
	return strings.Join([]string{m.Target.Type.Namespace, m.Target.Type.Name, m.Target.ID, m.Argument.TypeName, string(m.Argument.Value)}, "|")
}

func (a *asker) Send(_ context.Context, m api.Message) error {
	a.note("send %s", text(m))
	return a.err
}

func (a *asker) Ask(ctx context.Context, m api.Message) (api.TypedValue, error) {
	a.note("call %s", text(m))
	if a.wait {
		<-ctx.Done()
		return api.TypedValue{}, fmt.Errorf("%w: %w", ingress.ErrNoReply, context.Cause(ctx))
	}
	return a.reply, a.err
}

func (a *asker) Once(_ context.Context, m api.Message, key string, reply bool) (api.TypedValue, error) {
	a.note("once %s %s %v", key, text(m), reply)
	return a.reply, a.err
}

func (a *asker) Later(_ context.Context, m api.Message, delay time.Duration, name string) error {
	a.note("later %s %v %v", text(m), delay, name != "")
	return a.err
}

func (a *asker) CancelLater(_ context.Context, name string) error {
	a.note("cancel %v", name != "")
	return a.err
}

const bodyMax = 1000

func testConfig() Config {
	reach := func(t api.FunctionType) bool { return t.Namespace == "shop" }
	cart := api.FunctionType{Namespace: "shop", Name: "cart"}
	return Config{Ingresses: []Ingress{{
		ID: "shop/api", Reaches: []string{"shop/*"}, Reach: reach, BodyMax: bodyMax, Timeout: 10 * time.Second,
		Routes: []Route{
			{Method: "POST", Path: "/carts/{id}/items", Target: cart, ID: "{id}", Call: true, ValueType: "shop/AddItem"},
			{Method: "PUT", Path: "/stock/{shop}/{sku}", Target: api.FunctionType{Namespace: "hidden", Name: "stock"}, ID: "{shop}:{sku}"},
		},
	}}}
}

// serving is a server whose member works.
func serving(t *testing.T, cfg Config, a ingress.Asker) *Server {
	t.Helper()
	s := New(cfg)
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan struct{})
	s.mu.Lock()
	s.worker = &worker{} // Work puts another one in its place
	first := s.worker
	s.mu.Unlock()
	go func() { defer close(ended); _ = s.Work(ctx, a) }()
	for works := false; !works; {
		s.mu.Lock()
		works = s.worker != first
		s.mu.Unlock()
	}
	t.Cleanup(func() { end(); <-ended })
	return s
}

// TestRequests: what each request becomes, and what is answered to each that is wrong.
func TestRequests(t *testing.T) {
	wrapped := func(s string) string { return "\x0a" + string(rune(len(s))) + s }
	long := strings.Repeat("x", api.IDBytesMax+1)
	for name, c := range map[string]struct {
		request string   // METHOD PATH
		headers []string // NAME: VALUE
		body    string

		code  int
		want  string // what is done
		tells string // in the answer
	}{
		"send":                 {"POST /v1/send/shop/cart/a", nil, "x", 202, "send shop|cart|a|io.stategate.types/bytes|x", ""},
		"call":                 {"POST /v1/call/shop/cart/a", nil, "x", 200, "call shop|cart|a|io.stategate.types/bytes|x", ""},
		"no body":              {"POST /v1/send/shop/cart/a", nil, "", 202, "send shop|cart|a|io.stategate.types/bytes|", ""},
		"text":                 {"POST /v1/send/shop/cart/a", []string{"Content-Type: text/plain; charset=UTF-8"}, "grün", 202, "send shop|cart|a|io.statefun.types/string|\x0a\x05grün", ""},
		"JSON":                 {"POST /v1/send/shop/cart/a", []string{"Content-Type: application/json"}, `{"a":1}`, 202, `send shop|cart|a|io.stategate.types/json|{"a":1}`, ""},
		"protobuf":             {"POST /v1/send/shop/cart/a", []string{"Content-Type: application/x-protobuf; messageType=shop.AddItem"}, "\x00", 202, "send shop|cart|a|type.googleapis.com/shop.AddItem|\x00", ""},
		"form of curl -d":      {"POST /v1/send/shop/cart/a", []string{"Content-Type: application/x-www-form-urlencoded"}, "x", 202, "send shop|cart|a|io.stategate.types/bytes|x", ""},
		"the header first":     {"POST /carts/a/items", []string{"Content-Type: application/json", "Stategate-Type: shop/Other"}, "x", 200, "call shop|cart|a|shop/Other|x", ""},
		"the route next":       {"POST /carts/a/items", []string{"Content-Type: application/json"}, "broken {", 200, "call shop|cart|a|shop/AddItem|broken {", ""},
		"a route that sends":   {"PUT /stock/b%2Fc/d?any=1", []string{"Content-Type: text/plain"}, "x", 202, "send hidden|stock|b/c:d|io.statefun.types/string|" + wrapped("x"), ""},
		"encoded once":         {"POST /v1/send/shop/cart/a%2Fb%20c%2520d", nil, "x", 202, "send shop|cart|a/b c%20d|io.stategate.types/bytes|x", ""},
		"a plus is a plus":     {"POST /v1/send/shop/cart/a+b", nil, "x", 202, "send shop|cart|a+b|io.stategate.types/bytes|x", ""},
		"encoded needlessly":   {"POST /v1/send/%73hop/cart/%61", nil, "x", 202, "send shop|cart|a|io.stategate.types/bytes|x", ""},
		"id in the query":      {"POST /v1/send/shop/cart?id=..", nil, "x", 202, "send shop|cart|..|io.stategate.types/bytes|x", ""},
		"empty id":             {"POST /v1/call/shop/cart?id=", nil, "x", 200, "call shop|cart||io.stategate.types/bytes|x", ""},
		"delayed":              {"POST /v1/send/shop/cart/a?delay=10s", nil, "x", 202, "later shop|cart|a|io.stategate.types/bytes|x 10s false", ""},
		"delayed with a token": {"POST /v1/send/shop/cart/a?delay=0s&token=t", nil, "x", 202, "later shop|cart|a|io.stategate.types/bytes|x 0s true", ""},
		"cancelled":            {"DELETE /v1/send/shop/cart/a?token=t", nil, "", 204, "cancel true", ""},
		"CloudEvent":           {"POST /v1/send/shop/cart/a", []string{"ce-specversion: 1.0", "ce-id: 1", "ce-source: /s", "ce-type: shop/Added%20it", "Content-Type: application/json"}, "x", 202, "send shop|cart|a|shop/Added it|x", ""},

		"no path":                   {"POST /", nil, "x", 404, "", "/v1/send/"},
		"GET of nothing":            {"GET /nothing", nil, "", 404, "", "/v1/call/"},
		"slash at the end":          {"POST /v1/send/shop/cart/", nil, "x", 404, "", "?id="},
		"five parts":                {"POST /v1/send/shop/cart/a/b", nil, "x", 404, "", "%2F"},
		"GET":                       {"GET /v1/call/shop/cart/a", nil, "", 405, "", "POST"},
		"DELETE of a call":          {"DELETE /v1/call/shop/cart/a?token=t", nil, "", 405, "", "POST"},
		"other method of a route":   {"PUT /carts/a/items", nil, "x", 405, "", "POST"},
		"no id":                     {"POST /v1/send/shop/cart", nil, "x", 400, "", "no id"},
		"two ids":                   {"POST /v1/send/shop/cart/a?id=b", nil, "x", 400, "", "query"},
		"two ids in the query":      {"POST /v1/send/shop/cart?id=a&id=b", nil, "x", 400, "", "2 times"},
		"id is no UTF-8":            {"POST /v1/send/shop/cart/%ff", nil, "x", 400, "", "UTF-8"},
		"id of a route is no UTF-8": {"POST /carts/%ff/items", nil, "x", 400, "", "UTF-8"},
		"id in the query no UTF-8":  {"POST /v1/send/shop/cart?id=%ff", nil, "x", 400, "", "UTF-8"},
		"long id":                   {"POST /v1/send/shop/cart/" + long, nil, "x", 400, "", "at most"},
		"long id of a route":        {"POST /carts/" + long + "/items", nil, "x", 400, "", "at most"},
		"unknown function":          {"POST /v1/send/other/cart/a", nil, "x", 404, "", "shop/*"},
		"of a route only":           {"POST /v1/send/hidden/stock/a", nil, "x", 404, "", "shop/*"},
		"the gateway's own type":    {"POST /v1/send/io.stategate/reply/a", nil, "x", 404, "", "shop/*"},
		"unknown key":               {"POST /v1/send/shop/cart/a?dealy=10s", nil, "x", 400, "", "delay"},
		"bad query":                 {"POST /v1/send/shop/cart/a?delay=%zz", nil, "x", 400, "", "query"},
		"delay of nothing":          {"POST /v1/send/shop/cart/a?delay=", nil, "x", 400, "", "10s"},
		"delay without a unit":      {"POST /v1/send/shop/cart/a?delay=10", nil, "x", 400, "", "10s"},
		"delay below 0":             {"POST /v1/send/shop/cart/a?delay=-1s", nil, "x", 400, "", "10s"},
		"delay of ages":             {"POST /v1/send/shop/cart/a?delay=2000000h", nil, "x", 400, "", "10s"},
		"a delayed call":            {"POST /v1/call/shop/cart/a?delay=10s", nil, "x", 400, "", "/v1/send"},
		"a token without a delay":   {"POST /v1/send/shop/cart/a?token=t", nil, "x", 400, "", "delay"},
		"cancelled without a token": {"DELETE /v1/send/shop/cart/a", nil, "", 400, "", "token"},
		"cancelled where it cannot": {"DELETE /v1/send/other/cart/a?token=t", nil, "", 404, "", "shop/*"},
		"broken JSON":               {"POST /v1/send/shop/cart/a", []string{"Content-Type: application/json"}, `{"a":`, 400, "", "no JSON"},
		"no JSON":                   {"POST /v1/send/shop/cart/a", []string{"Content-Type: application/json"}, ``, 400, "", "no JSON"},
		"text is no UTF-8":          {"POST /v1/send/shop/cart/a", []string{"Content-Type: text/plain"}, "\xff", 400, "", "UTF-8"},
		"text in Latin-1":           {"POST /v1/send/shop/cart/a", []string{"Content-Type: text/plain; charset=latin1"}, "x", 415, "", "latin1"},
		"unreadable content type":   {"POST /v1/send/shop/cart/a", []string{"Content-Type: a/b; c"}, "x", 400, "", "Content-Type"},
		"protobuf of no message":    {"POST /v1/send/shop/cart/a", []string{"Content-Type: application/x-protobuf"}, "x", 415, "", "messageType"},
		"several content types":     {"POST /v1/send/shop/cart/a", []string{"Content-Type: text/plain", "Content-Type: text/plain"}, "x", 400, "", "several"},
		"several types":             {"POST /v1/send/shop/cart/a", []string{"Stategate-Type: a/b", "Stategate-Type: c/d"}, "x", 400, "", "several"},
		"type is no UTF-8":          {"POST /v1/send/shop/cart/a", []string{"Stategate-Type: a/\xff"}, "x", 400, "", "UTF-8"},
		"compressed":                {"POST /v1/send/shop/cart/a", []string{"Content-Encoding: gzip"}, "x", 415, "", "gzip"},
		"an empty key":              {"POST /v1/send/shop/cart/a", []string{"Idempotency-Key: "}, "x", 400, "", "Idempotency-Key"},
		"a long key":                {"POST /v1/send/shop/cart/a", []string{"Idempotency-Key: " + strings.Repeat("k", 256)}, "x", 400, "", "255"},
		"an odd key":                {"POST /v1/send/shop/cart/a", []string{"Idempotency-Key: é"}, "x", 400, "", "ASCII"},
		"two keys":                  {"POST /v1/send/shop/cart/a", []string{"Idempotency-Key: k", "Idempotency-Key: k"}, "x", 400, "", "one"},
		"a key and a delay":         {"POST /v1/send/shop/cart/a?delay=1s", []string{"Idempotency-Key: k"}, "x", 400, "", "token"},
		"a key":                     {"POST /v1/send/shop/cart/a", []string{"Idempotency-Key: k 1"}, "x", 202, "once k 1 shop|cart|a|io.stategate.types/bytes|x false", ""},
		"a key of a call":           {"POST /carts/a/items", []string{"Idempotency-Key: " + strings.Repeat("k", 255)}, "x", 200, "once " + strings.Repeat("k", 255) + " shop|cart|a|shop/AddItem|x true", ""},
		"structured CloudEvent":     {"POST /v1/send/shop/cart/a", []string{"Content-Type: application/cloudevents+json"}, "{}", 415, "", "binary"},
		"CloudEvent without an id":  {"POST /v1/send/shop/cart/a", []string{"ce-specversion: 1.0", "ce-source: /s", "ce-type: t"}, "x", 400, "", "ce-id"},
		"CloudEvent of 0.3":         {"POST /v1/send/shop/cart/a", []string{"ce-specversion: 0.3"}, "x", 400, "", "0.3"},
		"CloudEvent badly encoded":  {"POST /v1/send/shop/cart/a", []string{"ce-specversion: 1.0", "ce-id: 1", "ce-source: /s", "ce-type: %zz"}, "x", 400, "", "encoded"},
		"large":                     {"POST /v1/send/shop/cart/a", nil, strings.Repeat("x", bodyMax+1), 413, "", "maxBodySize"},
		"as large as may be":        {"POST /v1/send/shop/cart/a", nil, strings.Repeat("x", bodyMax), 202, "send shop|cart|a|io.stategate.types/bytes|" + strings.Repeat("x", bodyMax), ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := &asker{reply: api.TypedValue{TypeName: "t/t", HasValue: true, Value: []byte("\xff")}}
			s := serving(t, testConfig(), a)
			method, path, _ := strings.Cut(c.request, " ")
			r := httptest.NewRequest(method, path, strings.NewReader(c.body))
			for _, h := range c.headers {
				k, v, _ := strings.Cut(h, ": ")
				r.Header.Add(k, v)
			}
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code != c.code || !strings.Contains(w.Body.String(), c.tells) {
				t.Errorf("answered %d, %s", w.Code, w.Body)
			}
			if diff := cmp.Diff(c.want, strings.Join(a.did, "\n")); diff != "" {
				t.Errorf("done (-want +got):\n%s", diff)
			}
			if c.code >= 400 {
				checkProblem(t, w)
			}
			if s.bodies.used != 0 {
				t.Errorf("%d bytes of the budget are not given back", s.bodies.used)
			}
		})
	}
}

// checkProblem holds an answer to RFC 9457, with what has happened and what to do.
func checkProblem(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	var p struct {
		Type, Title, Detail, Remedy string
		Status                      int
	}
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s: %v, %s", w.Body, err, w.Header())
	}
	if p.Status != w.Code || p.Type == "" || p.Title == "" || p.Detail == "" || p.Remedy == "" {
		t.Errorf("answered %s", w.Body)
	}
	if (w.Code == 503) != (w.Header().Get("Retry-After") != "") {
		t.Errorf("%d has Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
}

// TestReplies: what a function says, as it is answered.
func TestReplies(t *testing.T) {
	value := func(name, v string) api.TypedValue {
		return api.TypedValue{TypeName: name, HasValue: true, Value: []byte(v)}
	}
	for name, c := range map[string]struct {
		v                      api.TypedValue
		code                   int
		contentType, body, typ string
	}{
		"string":      {value("io.statefun.types/string", "\x0a\x02a\""), 200, "application/json", `"a\""`, "io.statefun.types/string"},
		"empty":       {value("io.statefun.types/string", ""), 200, "application/json", `""`, "io.statefun.types/string"},
		"bool":        {value("io.statefun.types/bool", "\x08\x01"), 200, "application/json", `true`, "io.statefun.types/bool"},
		"int":         {value("io.statefun.types/int", "\x0d\xff\xff\xff\xff"), 200, "application/json", `-1`, "io.statefun.types/int"},
		"long":        {value("io.statefun.types/long", "\x09\xff\xff\xff\xff\xff\xff\xff\x7f"), 200, "application/json", `9223372036854775807`, "io.statefun.types/long"},
		"float":       {value("io.statefun.types/float", "\x0d\xcd\xcc\xcc\x3d"), 200, "application/json", `0.1`, "io.statefun.types/float"},
		"double":      {value("io.statefun.types/double", "\x09\x00\x00\x00\x00\x00\x00\xf8\x3f"), 200, "application/json", `1.5`, "io.statefun.types/double"},
		"infinite":    {value("io.statefun.types/double", "\x09\x00\x00\x00\x00\x00\x00\xf0\x7f"), 200, "application/json", `"+Inf"`, "io.statefun.types/double"},
		"broken":      {value("io.statefun.types/int", "\x0d"), 200, "application/octet-stream", "\x0d", "io.statefun.types/int"},
		"JSON":        {value("io.stategate.types/json", `{"a": 1}`), 200, "application/json", `{"a": 1}`, "io.stategate.types/json"},
		"JSON of own": {value("shop/Cart", `[1]`), 200, "application/json", `[1]`, "shop/Cart"},
		"bytes":       {value("shop/Cart", "\x00"), 200, "application/octet-stream", "\x00", "shop/Cart"},
		"nothing":     {api.TypedValue{TypeName: "shop/Cart"}, 204, "", "", "shop/Cart"},
		"odd name":    {value("a\r\nb: c%é", "1"), 200, "application/json", "1", "a%0D%0Ab:%20c%25%C3%A9"},
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			serving(t, testConfig(), &asker{reply: c.v}).ServeHTTP(w, httptest.NewRequest("POST", "/v1/call/shop/cart/a", nil))
			if w.Code != c.code || w.Header().Get("Content-Type") != c.contentType || w.Body.String() != c.body || w.Header().Get("Stategate-Type") != c.typ {
				t.Errorf("answered %d, %v, %q", w.Code, w.Header(), w.Body)
			}
		})
	}
}

// TestOutcomes: what became of a message decides the answer.
func TestOutcomes(t *testing.T) {
	for _, c := range []struct {
		err   error
		code  int
		tells string
	}{
		{fmt.Errorf("%w: nobody serves it", ingress.ErrUnknownFunction), 404, "nothing has happened"},
		{fmt.Errorf("%w: too long", ingress.ErrUnusable), 400, "nothing has happened"},
		{fmt.Errorf("%w: no room", ingress.ErrNotTaken), 503, "nothing has happened"},
		{fmt.Errorf("%w: the store is away", ingress.ErrMaybeTaken), 502, "twice"},
		{fmt.Errorf("%w: taken over", ingress.ErrReplyLost), 502, "takes effect once"},
		{fmt.Errorf("%w: skipped by an operator", ingress.ErrSetAside), 502, "no effect"},
		{fmt.Errorf("%w: another body", ingress.ErrKeyUsed), 422, "nothing has happened"},
		{errors.New("something else"), 502, "twice"},
	} {
		for _, verb := range []string{"send", "call"} {
			w := httptest.NewRecorder()
			serving(t, testConfig(), &asker{err: c.err}).ServeHTTP(w, httptest.NewRequest("POST", "/v1/"+verb+"/shop/cart/a", nil))
			if w.Code != c.code || !strings.Contains(w.Body.String(), c.tells) {
				t.Errorf("%s, %v: answered %d, %s", verb, c.err, w.Code, w.Body)
			}
			checkProblem(t, w)
			r := httptest.NewRequest("POST", "/v1/"+verb+"/shop/cart/a", nil)
			r.Header.Set("Idempotency-Key", "k")
			w = httptest.NewRecorder()
			serving(t, testConfig(), &asker{err: c.err}).ServeHTTP(w, r)
			if again := w.Code > 500; w.Code != c.code || again != (w.Header().Get("Retry-After") != "") || again != strings.Contains(w.Body.String(), "takes effect once, and is answered") {
				t.Errorf("%s under a key, %v: answered %d, %v, %s", verb, c.err, w.Code, w.Header(), w.Body)
			}
		}
	}
	cfg := testConfig()
	cfg.Ingresses[0].Timeout = 10 * time.Millisecond
	w := httptest.NewRecorder()
	serving(t, cfg, &asker{wait: true}).ServeHTTP(w, httptest.NewRequest("POST", "/v1/call/shop/cart/a", nil))
	if w.Code != 504 || !strings.Contains(w.Body.String(), "takes effect once") {
		t.Errorf("without a reply in time: %d, %s", w.Code, w.Body)
	}
}

// TestLaterNames: two tokens, or two addresses, never share a name.
func TestLaterNames(t *testing.T) {
	at := func(ns, name, id string) api.Address {
		return api.Address{Type: api.FunctionType{Namespace: ns, Name: name}, ID: id}
	}
	seen := map[string]bool{}
	for _, n := range []string{laterName(at("a", "b", "c"), "t"), laterName(at("a", "b", "ct"), "t"), laterName(at("a", "b", "c"), "tt"), laterName(at("ab", "", "c"), "t"), laterName(at("a", "bc", ""), "t")} {
		if seen[n] || len(n) > 100 || n == "" {
			t.Errorf("name %q", n)
		}
		seen[n] = true
	}
	if laterName(at("a", "b", "c"), "") != "" {
		t.Error("without a token there is a name")
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestBodies(t *testing.T) {
	const most = 1 << 20
	exact := bytes.Repeat([]byte("x"), most)
	for name, c := range map[string]struct {
		body     io.Reader
		announce int64
		used     int64 // of the budget, by others
		code     int   // 0: it is read
		bytes    int
	}{
		"exactly the bound":            {bytes.NewReader(exact), most, 0, 0, most},
		"the bound, not announced":     {bytes.NewReader(exact), -1, 0, 0, most},
		"one more, not announced":      {io.MultiReader(bytes.NewReader(exact), strings.NewReader("x")), -1, 0, 413, 0},
		"announced":                    {strings.NewReader(""), 100 << 20, 0, 413, 0},
		"endless":                      {endless{}, -1, 0, 413, 0},
		"a small one without any room": {strings.NewReader("x"), -1, bodiesBytesMax, 0, 1},
		"a large one without any room": {bytes.NewReader(exact), -1, bodiesBytesMax, 503, 0},
	} {
		b := &budget{bytesMax: bodiesBytesMax, used: c.used}
		r := httptest.NewRequest("PUT", "/", nil)
		r.Body, r.ContentLength = io.NopCloser(c.body), c.announce
		got, held, wrong := b.read(r, most)
		switch {
		case wrong != nil && wrong.status != c.code, wrong == nil && c.code != 0:
			t.Errorf("%s: %+v, want %d", name, wrong, c.code)
		case len(got) != c.bytes && wrong == nil:
			t.Errorf("%s: %d bytes, want %d", name, len(got), c.bytes)
		}
		b.give(held)
		if b.used != c.used {
			t.Errorf("%s: %d of the budget is used, want %d", name, b.used, c.used)
		}
	}
}

// FuzzRequest: whatever a path, a query and a content type hold, what is taken is an address and a type that the gateway can hold.
func FuzzRequest(f *testing.F) {
	for _, path := range []string{"/v1/send/shop/b/c", "/v1/call/shop/b/c%2Fd", "/v1/send/shop/b/%", "//", "/carts/%00/items", "/v1/send/shop/b?id=%ff"} {
		f.Add(path, "text/plain; q=1", "x")
		f.Add(path, "application/json", "\xff")
	}
	f.Fuzz(func(t *testing.T, path, contentType, text string) {
		r := httptest.NewRequest("POST", "/", strings.NewReader(text))
		u, err := r.URL.Parse(path)
		if err != nil || !strings.HasPrefix(u.Path, "/") {
			return
		}
		r.URL = u
		r.Header.Set("Content-Type", contentType)
		a := &recorded{}
		s := New(testConfig())
		s.worker = &worker{asker: a, ctx: context.Background()}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		for _, m := range a.all {
			if api.CheckAddress(m.Target) != nil || api.CheckValue(m.Argument) != nil || m.Argument.TypeName == "" || w.Code != 202 && w.Code != 200 {
				t.Errorf("%q gives %+v, %d", path, m, w.Code)
			}
		}
		if len(a.all) == 0 && w.Code < 400 {
			t.Errorf("%q is answered %d, and nothing was done", path, w.Code)
		}
	})
}

// recorded is an asker that keeps messages.
type recorded struct {
	asker
	all []api.Message
}

func (r *recorded) Send(_ context.Context, m api.Message) error { r.all = append(r.all, m); return nil }
func (r *recorded) Ask(_ context.Context, m api.Message) (api.TypedValue, error) {
	r.all = append(r.all, m)
	return api.TypedValue{HasValue: true, Value: []byte("1")}, nil
}
func (r *recorded) Later(_ context.Context, m api.Message, _ time.Duration, _ string) error {
	r.all = append(r.all, m)
	return nil
}
