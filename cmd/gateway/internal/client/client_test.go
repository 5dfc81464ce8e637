package client

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
)

// serve is an admin side that answers so.
func serve(t *testing.T, answer http.HandlerFunc, cfg Config) *Client {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	cfg.URL = server.URL
	return open(t, cfg)
}

func open(t *testing.T, cfg Config) *Client {
	t.Helper()
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func says(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, body)
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestRequestCarriesWhoAsks(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "Bearer first" {
			t.Errorf("Authorization %q", got)
		}
		if got, want := r.Header.Get("Stategate-Operator"), "ann? ??@host"; got != want {
			t.Errorf("operator %q, want %q", got, want)
		}
		if r.URL.EscapedPath() != "/v1/x/a%2Fb" || r.URL.RawQuery != "id=." || r.Method != http.MethodPost || r.Header.Get("If-Match") != `"7"` {
			t.Errorf("got %s %s", r.Method, r.URL)
		}
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body["n"] != 1.0 || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("body %v, %v", body, err)
		}
		w.Header().Set("ETag", `"8"`)
		says(`{"ok":true}`)(w, r)
	}, Config{TokenFile: write(t, "\n first \nsecond\n"), Operator: "ann\n \x1b\x00@host"})
	a, err := c.Do(t.Context(), Request{Method: http.MethodPost, Path: Path("v1", "x", "a/b"), Query: url.Values{"id": {"."}}, Header: http.Header{"If-Match": {`"7"`}}, Body: map[string]int{"n": 1}})
	if err != nil || string(a.Body) != `{"ok":true}` || a.Header.Get("ETag") != `"8"` {
		t.Errorf("got %+v, %v", a, err)
	}
	if long := headerText(strings.Repeat("x", 1000)); len(long) != operatorMax {
		t.Errorf("%d characters", len(long))
	}
}

func TestSettings(t *testing.T) {
	if c := open(t, Config{}); c.URL() != DefaultURL {
		t.Errorf("got %s", c.URL())
	}
	if c := open(t, Config{URL: "https://gate:8081/under/"}); c.URL() != "https://gate:8081/under" {
		t.Errorf("got %s", c.URL())
	}
	if c := open(t, Config{URL: "gate:8081"}); c.URL() != "http://gate:8081" { // as gateway members tells it
		t.Errorf("got %s", c.URL())
	}
	for _, bad := range []Config{
		{URL: "gate"}, {URL: "gate:"}, {URL: ":80"}, {URL: "hunter2@gate:80"}, {URL: "gate:80?hunter2"}, {URL: "ftp://x"}, {URL: "http://"}, {URL: "http://:80"}, {URL: "http://u:hunter2@gate"}, {URL: "http://gate/?token=hunter2"}, {URL: "http://gate/#hunter2"}, {URL: "http://hunter2\x7f"},
		{TokenFile: write(t, "")}, {TokenFile: write(t, "hunter2 hunter2\n")}, {TokenFile: write(t, "hunter2\x00\n")}, {TokenFile: write(t, strings.Repeat("hunter2", 1<<16))},
		{CAFile: write(t, "hunter2")},
	} {
		_, err := New(bad)
		if !errors.As(err, new(ConfigError)) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%+v: got %v", bad, err)
		}
	}
	for _, missing := range []Config{{TokenFile: "/none/x"}, {CAFile: "/none/x"}} {
		if _, err := New(missing); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	}
}

func TestProblems(t *testing.T) {
	status, body := 0, ""
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "http://127.0.0.1:1/")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}, Config{})
	for _, k := range []struct {
		status     int
		body, want string
	}{
		{404, `{"detail":"there is no dead letter 7","remedy":"list them"}`, "there is no dead letter 7\nlist them"},
		{409, `{"detail":"it waits","remedy":""}`, "it waits"},
		{500, "<html>oops", "is no admin side of a gateway (status 500 Internal Server Error)"},
		{404, `{"detail":7}`, "is no admin side of a gateway"},
		{404, ``, "is no admin side of a gateway"},
		{200, `<html>`, "is no admin side of a gateway (status 200 OK)"},
		{302, ``, "sends elsewhere"},
		{400, "Client sent an HTTP request to an HTTPS server.\n", "speaks https"},
	} {
		status, body = k.status, k.body
		_, err := c.Do(t.Context(), Request{Path: "/v1/x"})
		var p *Problem
		if !errors.As(err, &p) || p.Status != k.status || !strings.Contains(err.Error(), k.want) {
			t.Errorf("%d %s: got %v", k.status, k.body, err)
		}
		if _, err := c.Items(t.Context(), "/v1/x", nil, 0, nil); !errors.As(err, &p) || !strings.Contains(err.Error(), k.want) {
			t.Errorf("%d %s: a list gives %v", k.status, k.body, err)
		}
	}
	status, body = 404, `{"detail":"`+strings.Repeat("ä", problemTextMax)+`"}`
	if _, err := c.Do(t.Context(), Request{Path: "/v1/x"}); len(err.Error()) > problemTextMax+10 {
		t.Errorf("%d bytes of detail", len(err.Error()))
	}
}

func TestNobodyAnswers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := open(t, Config{URL: "http://" + l.Addr().String()})
	l.Close()
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		_, err = nobody.Do(t.Context(), Request{Method: method, Path: "/v1/x"})
		if err == nil || !strings.Contains(err.Error(), nobody.URL()) || !strings.Contains(err.Error(), "STATEGATE_URL") || errors.Is(err, ErrUnknown) {
			t.Errorf("%s: got %v", method, err)
		}
	}
	cut := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, Config{})
	if _, err := cut.Do(t.Context(), Request{Path: "/"}); err == nil || errors.Is(err, ErrUnknown) {
		t.Errorf("a question that is cut off: %v", err)
	}
	if _, err := cut.Do(t.Context(), Request{Method: http.MethodPost, Path: "/"}); !errors.Is(err, ErrUnknown) {
		t.Errorf("a change that is cut off: %v", err)
	}
	ended := make(chan struct{})
	defer close(ended)
	silent := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-ended:
		}
	}, Config{Timeout: 50 * time.Millisecond})
	if _, err := silent.Do(t.Context(), Request{Path: "/"}); err == nil || !strings.Contains(err.Error(), "does not answer in time") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := silent.Do(ctx, Request{Path: "/"}); !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "interrupted") {
		t.Errorf("got %v", err)
	}
}

func TestTLS(t *testing.T) {
	server := httptest.NewTLSServer(says(`{"items":[1]}`))
	t.Cleanup(server.Close)
	server.Config.ErrorLog = nil
	stranger := open(t, Config{URL: server.URL})
	if _, err := stranger.Do(t.Context(), Request{Method: http.MethodPost, Path: "/"}); err == nil || !strings.Contains(err.Error(), "--ca-file") || errors.Is(err, ErrUnknown) {
		t.Errorf("got %v", err)
	}
	ca := write(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	known := open(t, Config{URL: server.URL, CAFile: ca})
	if _, err := known.Do(t.Context(), Request{Path: "/"}); err != nil {
		t.Error(err)
	}
	plain := open(t, Config{URL: strings.Replace(server.URL, "https", "http", 1)})
	if _, err := plain.Do(t.Context(), Request{Path: "/"}); err == nil || !strings.Contains(err.Error(), "https") {
		t.Errorf("got %v", err)
	}
	http1 := httptest.NewServer(says("{}"))
	t.Cleanup(http1.Close)
	wrong := open(t, Config{URL: strings.Replace(http1.URL, "http", "https", 1)})
	if _, err := wrong.Do(t.Context(), Request{Path: "/"}); err == nil || !strings.Contains(err.Error(), "speaks http") {
		t.Errorf("got %v", err)
	}
}

func TestPaths(t *testing.T) {
	for _, c := range []struct {
		id   string
		of   []string
		want string
	}{
		{"bob", nil, "/v1/addresses/shop/cart/bob"}, {"a/b c%?\x00ä", []string{"retry"}, "/v1/addresses/shop/cart/a%2Fb%20c%25%3F%00%C3%A4/retry"},
		{"", nil, "/v1/addresses/shop/cart?id="}, {".", []string{"state", "x"}, "/v1/addresses/shop/cart/state/x?id=."}, {"..", []string{"skip"}, "/v1/addresses/shop/cart/skip?id=.."},
		{"...", nil, "/v1/addresses/shop/cart/..."},
	} {
		path, query := AddressPath(api.Address{Type: api.FunctionType{Namespace: "shop", Name: "cart"}, ID: c.id}, c.of...)
		if query != nil {
			path += "?" + query.Encode()
		}
		if path != c.want {
			t.Errorf("%q: got %s, want %s", c.id, path, c.want)
		}
	}
}
