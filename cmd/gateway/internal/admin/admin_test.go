package admin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/report"
	"github.com/stategate/stategate/cmd/gateway/internal/version"
)

func handlerOf(f *fake) http.Handler {
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "metrics\n") })
	return New(Config{Gateway: f, Metrics: metrics, Version: version.Info{Version: "v1", Commit: "abc", Go: "go1.26"}, Level: new(slog.LevelVar), Log: slog.New(slog.DiscardHandler)})
}

// answer is what came back, with its body read as JSON.
type answer struct {
	status int
	header http.Header
	body   map[string]any
	text   string
}

// raw sends a request line as it is, which no client library would.
func raw(t *testing.T, f *fake, method, target string) answer {
	t.Helper()
	server := httptest.NewServer(handlerOf(f))
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() {
		_, _ = io.WriteString(conn, method+" "+target+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	}() // a server that refuses early does not read all
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%s %.80s: %v", method, target, err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body) // cut off where the server refuses early
	a := answer{status: response.StatusCode, header: response.Header, text: string(body)}
	if strings.Contains(response.Header.Get("Content-Type"), "json") && method != "HEAD" {
		if err := json.Unmarshal(body, &a.body); err != nil {
			t.Errorf("%s %.80s: %v in %.200s", method, target, err, body)
		}
	}
	if err := theChecker().answer(method, target, a.status, response.Header.Get("Content-Type"), body); err != nil {
		t.Errorf("%s %.80s: not as the document says: %v", method, target, err)
	}
	return a
}

func get(t *testing.T, f *fake, target string) answer {
	t.Helper()
	return raw(t, f, "GET", target)
}

// wantProblem checks the form that all errors have.
func wantProblem(t *testing.T, a answer, status int) {
	t.Helper()
	if a.status != status || a.header.Get("Content-Type") != "application/problem+json" || a.body["status"] != float64(status) ||
		a.body["title"] != http.StatusText(status) || a.body["type"] != "about:blank" || a.body["detail"] == "" || a.body["remedy"] == "" || len(a.body) != 5 {
		t.Errorf("got %d %s %s, want a problem with %d", a.status, a.header.Get("Content-Type"), a.text, status)
	}
}

func TestHealthz(t *testing.T) {
	if a := get(t, &fake{turning: true}, "/healthz"); a.status != 200 || a.body["status"] != "ok" {
		t.Errorf("got %d %s", a.status, a.text)
	}
	if a := get(t, &fake{}, "/healthz"); a.status != 503 || a.body["status"] != "hanging" {
		t.Errorf("got %d %s", a.status, a.text)
	}
}

func TestReadyz(t *testing.T) {
	many := make([]report.Reason, reasonsMax+5)
	for _, c := range []struct {
		status report.Status
		code   int
		want   string
	}{
		{report.Status{Active: true}, 200, `{"status":"ok","role":"active","reasons":[]}`},
		{report.Status{}, 200, `{"status":"ok","role":"standby","reasons":[]}`},
		{report.Status{Active: true, Reasons: []report.Reason{{Kind: "stuck", Text: "3 addresses <>&"}}}, 200, `{"status":"degraded","role":"active","reasons":[{"kind":"stuck","text":"3 addresses \u003c\u003e&"}]}`},
		{report.Status{Unready: "draining"}, 503, `{"status":"unready","role":"standby","reasons":[{"kind":"unready","text":"draining"}]}`},
		{report.Status{Active: true, Unready: "x", Reasons: []report.Reason{{Kind: "a", Text: "b"}}}, 503, `{"status":"unready","role":"active","reasons":[{"kind":"unready","text":"x"},{"kind":"a","text":"b"}]}`},
	} {
		a := get(t, &fake{status: c.status}, "/readyz")
		var b bytes.Buffer
		if err := json.Compact(&b, []byte(a.text)); err != nil || a.status != c.code || b.String() != c.want {
			t.Errorf("got %d %s, want %d %s", a.status, b.String(), c.code, c.want)
		}
	}
	a := get(t, &fake{status: report.Status{Reasons: []report.Reason{{Kind: "endpoint", Text: "http://u:hunter2@h/f?token=hunter2 does not answer: why?"}}}}, "/readyz")
	if text := a.body["reasons"].([]any)[0].(map[string]any)["text"]; text != "http://***@h/f?*** does not answer: why?" {
		t.Errorf("got %v", text)
	}
	many[0].Text = strings.Repeat("ü", 10_000)
	a = get(t, &fake{status: report.Status{Reasons: many}}, "/readyz")
	reasons := a.body["reasons"].([]any)
	if len(reasons) != reasonsMax+1 || len(a.text) > 20_000 || reasons[reasonsMax].(map[string]any)["text"] != "5 more; /metrics counts them" {
		t.Errorf("got %d reasons in %d bytes, the last %v", len(reasons), len(a.text), reasons[len(reasons)-1])
	}
}

func TestPlainRoutes(t *testing.T) {
	f := full("a/b")
	if a := get(t, f, "/metrics"); a.status != 200 || a.text != "metrics\n" {
		t.Errorf("got %d %s", a.status, a.text)
	}
	if a := get(t, f, "/v1/version"); a.status != 200 || a.body["version"] != "v1" || a.body["commit"] != "abc" || a.body["goVersion"] != "go1.26" || a.body["program"] != "gateway" {
		t.Errorf("got %d %s", a.status, a.text)
	}
	a := get(t, f, "/")
	routes := a.body["routes"].([]any)
	if a.status != 200 || len(routes) < 10 {
		t.Fatalf("got %d %s", a.status, a.text)
	}
	for _, r := range routes { // each that the index names is there
		path := exampleOf(r.(map[string]any)["path"].(string))
		if r.(map[string]any)["method"] != "GET" || strings.HasPrefix(path, profilePath) { // TestRoles, TestProfiles
			continue
		}
		for _, method := range []string{"GET", "HEAD"} {
			a := raw(t, f, method, path)
			if a.status != 200 || a.header.Get("Cache-Control") != "no-store" || a.header.Get("X-Content-Type-Options") != "nosniff" || (method == "HEAD") != (a.text == "") {
				t.Errorf("%s %s: got %d %q", method, path, a.status, a.text)
			}
		}
	}
}

func TestNotThere(t *testing.T) {
	f := &fake{}
	for _, path := range []string{"/x", "/healthz/", "//healthz", "/v1", "/v1/addresses/a/b/", "/v1/addresses/a/b/c/d", "/v1/addresses/a", "/../healthz", "/%68ealthz", "/v1/%2e%2e/healthz", "/" + strings.Repeat("x", 100_000)} {
		wantProblem(t, get(t, f, path), 404)
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"} {
		for _, path := range []string{"/", "/healthz", "/v1/addresses/a/b/c", "/v1/version"} {
			a := raw(t, f, method, path)
			wantProblem(t, a, 405)
			if a.header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: Allow is %q", method, path, a.header.Get("Allow"))
			}
		}
	}
	if a := raw(t, f, "BREW", "/healthz"); a.status != 405 {
		t.Errorf("an unknown method: got %d", a.status)
	}
}

// TestTooMany: beyond the bound questions are refused, and probes still answered.
func TestTooMany(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	h := handlerOf(&fake{turning: true, address: func(context.Context, api.Address) (report.Address, error) {
		entered <- struct{}{}
		<-leave
		return report.Address{}, nil
	}})
	ask := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w
	}
	done := make(chan int, requestsMax)
	for range requestsMax {
		go func() { done <- ask("/v1/addresses/a/b/c").Code }()
		<-entered
	}
	if w := ask("/v1/addresses/a/b/c"); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("got %d", w.Code)
	}
	if w := ask("/healthz"); w.Code != 200 {
		t.Errorf("got %d", w.Code)
	}
	close(leave)
	for range requestsMax {
		if code := <-done; code != 200 {
			t.Errorf("got %d", code)
		}
	}
	go func() { <-entered }()
	if w := ask("/v1/addresses/a/b/c"); w.Code != 200 {
		t.Errorf("afterwards: got %d", w.Code)
	}
}

// TestTooManyWalks: lists of addresses, which take turns, hold a few of the places at most, and all else is answered meanwhile.
func TestTooManyWalks(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	var walks atomic.Int32
	h := handlerOf(&fake{turning: true, addresses: func(api.FunctionType, string, []byte, int) ([]api.Address, []byte, error) {
		if walks.Add(1) <= walksMax {
			entered <- struct{}{}
			<-leave
		}
		return nil, nil, nil
	}})
	ask := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w
	}
	const walk = "/v1/addresses?function=a/b"
	done := make(chan int, walksMax)
	for range walksMax {
		go func() { done <- ask(walk).Code }()
		<-entered
	}
	for range requestsMax {
		if w := ask(walk); w.Code != 503 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "lists of addresses") {
			t.Fatalf("one more: got %d, %s", w.Code, w.Body)
		}
	}
	for _, path := range []string{stuckPath, functionsPath, "/v1/addresses/a/b/c", deadLettersPath} {
		if w := ask(path); w.Code != 200 {
			t.Errorf("%s meanwhile: got %d", path, w.Code)
		}
	}
	close(leave)
	for range walksMax {
		if code := <-done; code != 200 {
			t.Errorf("got %d", code)
		}
	}
	if w := ask(walk); w.Code != 200 {
		t.Errorf("afterwards: got %d", w.Code)
	}
}

var errSecret = errors.New("hunter2 is the password")
