package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/cmd/gateway/internal/report"
	"github.com/stategate/stategate/statestore"
)

func moduleOf(components int) report.Module {
	m := report.Module{Files: []string{"module.yaml"}, Compared: true}
	for i := range components {
		m.Components = append(m.Components, report.Component{Kind: "endpoint", ID: fmt.Sprintf("shop/f%d", i), At: "module.yaml:3", Settings: []report.Setting{
			{Name: "onFailure", Value: "retry", From: "default"}, {Name: "urlPathTemplate", Value: "http://***@h/<b>", From: "module.yaml:4, placeholder URL (environment)"},
		}})
	}
	return m
}

// TestModule: every setting with where it comes from, what has changed since when, and what a browser or a terminal obeys is escaped.
func TestModule(t *testing.T) {
	m := moduleOf(1)
	m.Changes = []report.Change{{Kind: "endpoint", ID: "shop/f0", Name: "onFailure", Was: "deadLetter", Is: "retry"}, {Kind: "egress", ID: "shop/out", Was: "declared"}, {Kind: "egress", ID: "shop/\x1b[2J", Is: "declared"}}
	m.More, m.Since, m.Changed = 7, time.UnixMilli(1700000000123).UTC(), time.UnixMilli(1700000060000).UTC()
	a := get(t, &fake{module: m}, "/v1/module")
	var want map[string]any
	if err := json.Unmarshal([]byte(`{"files":["module.yaml"],"items":[{"kind":"endpoint","id":"shop/f0","at":"module.yaml:3","settings":[
		{"path":"onFailure","value":"retry","from":"default"},{"path":"urlPathTemplate","value":"http://***@h/<b>","from":"module.yaml:4, placeholder URL (environment)"}]}],"next":null,"compared":true,
		"changes":[{"kind":"endpoint","id":"shop/f0","path":"onFailure","was":"deadLetter","is":"retry"},{"kind":"egress","id":"shop/out","path":"","was":"declared","is":null},
		{"kind":"egress","id":"shop/\u001b[2J","path":"","was":null,"is":"declared"}],"moreChanges":7,"since":"2023-11-14T22:13:20.123Z","changed":"2023-11-14T22:14:20.000Z"}`), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, a.body); a.status != 200 || diff != "" || strings.ContainsAny(a.text, "<\x1b") {
		t.Errorf("%d (-want +got):\n%s\n%s", a.status, diff, a.text)
	}
	if a := get(t, &fake{}, "/v1/module"); a.status != 200 || a.body["compared"] != false || a.body["since"] != nil || fmt.Sprint(a.body["items"], a.body["changes"]) != "[] []" {
		t.Errorf("an empty module: %d %s", a.status, a.text)
	}
	wantProblem(t, get(t, &fake{err: fmt.Errorf("the gateway starts: %w", statestore.ErrUnavailable)}, "/v1/module"), 503)
	wantProblem(t, get(t, &fake{err: errors.New("broken")}, "/v1/module"), 500)
}

// TestModulePages: a large module comes in pages of bounded size, and nothing of it is left out.
func TestModulePages(t *testing.T) {
	f := &fake{module: moduleOf(60_000)}
	seen, pages, after := 0, 0, ""
	for {
		a := get(t, f, "/v1/module"+after)
		if a.status != 200 || len(a.text) > 3*moduleBytesMax {
			t.Fatalf("%d with %d bytes", a.status, len(a.text))
		}
		for _, item := range a.body["items"].([]any) {
			if got := item.(map[string]any)["id"]; got != fmt.Sprintf("shop/f%d", seen) {
				t.Fatalf("component %d is %v", seen, got)
			}
			seen++
		}
		pages++
		next, more := a.body["next"].(string)
		if !more {
			break
		}
		after = "?after=" + next
	}
	if seen != 60_000 || pages < 2 {
		t.Errorf("%d components in %d pages", seen, pages)
	}
	if a := get(t, f, "/v1/module?limit=3&after=59998"); a.status != 200 || len(a.body["items"].([]any)) != 2 || a.body["next"] != nil {
		t.Errorf("the end: %d %.300s", a.status, a.text)
	}
	if a := get(t, f, "/v1/module?limit=3"); len(a.body["items"].([]any)) != 3 || a.body["next"] != "3" {
		t.Errorf("three: %.300s", a.text)
	}
}

// TestSettings: they are told before there is an application, to readers too, in pages.
func TestSettings(t *testing.T) {
	all := []report.Setting{{Name: "store", Value: "postgres://u:***@h/d", From: "environment STATEGATE_STORE"}, {Name: "lease", Value: "3s", From: "default"}, {Name: "slots", Value: "12", From: "gateway.yaml:3"}}
	h := New(Config{Gateway: &fake{err: statestore.ErrUnavailable}, Access: Access{Role: roles}, Metrics: http.NotFoundHandler(), Settings: func() []report.Setting { return all }, Log: slog.New(slog.DiscardHandler)})
	ask := func(h http.Handler, method, target, token string) answer {
		r := httptest.NewRequest(method, target, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		a := answer{status: w.Code, header: w.Header(), text: w.Body.String()}
		if err := json.Unmarshal(w.Body.Bytes(), &a.body); err != nil {
			t.Errorf("%s %s: %v in %s", method, target, err, a.text)
		}
		return a
	}
	names := func(a answer) (out []string) {
		for _, item := range a.body["items"].([]any) {
			out = append(out, fmt.Sprint(item.(map[string]any)["name"], "=", item.(map[string]any)["value"], " ", item.(map[string]any)["from"]))
		}
		return out
	}
	a := ask(h, "GET", "/v1/settings", "reader")
	if diff := cmp.Diff([]string{"store=postgres://u:***@h/d environment STATEGATE_STORE", "lease=3s default", "slots=12 gateway.yaml:3"}, names(a)); a.status != 200 || diff != "" || a.body["next"] != nil {
		t.Errorf("%d %s", a.status, diff)
	}
	if a := ask(h, "GET", "/v1/settings?limit=2", "operator"); len(names(a)) != 2 || a.body["next"] != "2" {
		t.Errorf("two: %s", a.text)
	}
	if a := ask(h, "GET", "/v1/settings?limit=2&after=2", "operator"); len(names(a)) != 1 || a.body["next"] != nil {
		t.Errorf("the rest: %s", a.text)
	}
	if a := ask(h, "GET", "/v1/settings", "nobody"); a.status != 401 {
		t.Errorf("a stranger: %d", a.status)
	}
	if a := ask(h, "PUT", "/v1/settings", "operator"); a.status != 405 {
		t.Errorf("PUT: %d", a.status)
	}
	none := New(Config{Gateway: &fake{}, Metrics: http.NotFoundHandler(), Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if a := ask(none, "GET", "/v1/settings", ""); a.status != 200 || len(names(a)) != 0 || a.body["next"] != nil {
		t.Errorf("without settings: %d %s", a.status, a.text)
	}
}

// TestEffectiveRefuses: what is wrong with a question is said.
func TestEffectiveRefuses(t *testing.T) {
	h := New(Config{Gateway: &fake{module: moduleOf(3)}, Metrics: http.NotFoundHandler(), Settings: func() []report.Setting { return nil }, Log: slog.New(slog.DiscardHandler)})
	for _, query := range []string{
		"?after=x", "?after=-1", "?after=4", "?after=18446744073709551616", "?after=", "?limit=0", "?limit=1001", "?limit=x", "?limit=-1", "?limit=", "?limit=1&limit=2", "?other=1", "?after=%zz", "?after=" + strings.Repeat("9", 100_000), "?after=%00",
	} {
		for _, path := range []string{"/v1/module", "/v1/settings"} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", path+query, nil))
			if w.Code != 400 || !strings.Contains(w.Header().Get("Content-Type"), "problem") || w.Body.Len() > 2000 {
				t.Errorf("%s%.40s: %d %.300s", path, query, w.Code, w.Body)
			}
		}
	}
}
