package admin

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/report"
	"github.com/stategate/stategate/statestore"
)

// TestLogLevel: it is shown and changed, the log tells of each change whatever the level, and nothing else changes it.
func TestLogLevel(t *testing.T) {
	var written bytes.Buffer
	level := new(slog.LevelVar)
	level.Set(slog.LevelWarn)
	log := slog.New(slog.NewTextHandler(&written, &slog.HandlerOptions{Level: level}))
	f := &fake{about: report.About{Member: statestore.Member{Address: "host:8081"}}}
	h := New(Config{Gateway: f, Access: Access{Role: roles}, Metrics: http.NotFoundHandler(), Level: level, Log: log})
	ask := func(method, body, token string) answer {
		r := httptest.NewRequest(method, logLevelPath, strings.NewReader(body))
		r.Header.Set("Stategate-Operator", "ann")
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return answer{status: w.Code, header: w.Header(), text: w.Body.String()}
	}
	shows := func(want string) {
		t.Helper()
		if a := ask("GET", "", "reader"); a.status != 200 || a.text != "{\n  \"level\": \""+want+"\"\n}\n" || level.Level() != levels[want] {
			t.Errorf("%d, %q, and the level is %v; want %s", a.status, a.text, level.Level(), want)
		}
	}
	shows("warn")
	for _, change := range []struct{ to, tells string }{
		{"debug", "level=INFO msg=\"the level of the log is changed\" from=warn to=debug"}, {"error", "level=INFO msg=\"the level of the log is changed\" from=debug to=error"},
		{"info", "level=INFO msg=\"the level of the log is changed\" from=error to=info"},
	} {
		written.Reset()
		if a := ask("PUT", `{"level":"`+change.to+`"}`, "operator"); a.status != 200 {
			t.Errorf("to %s: %d %s", change.to, a.status, a.text)
		}
		shows(change.to)
		if !strings.Contains(written.String(), change.tells) {
			t.Errorf("to %s: the log says %q, want %q", change.to, written.String(), change.tells)
		}
	}
	for _, body := range []string{
		"", "debug", `{"level":"DEBUG"}`, `{"level":"trace"}`, `{"level":1}`, `{"level":"debug","x":1}`, `{"level":"debug"}{"level":"debug"}`, "{}", "[]", "null", `{"level":"\u001b[2Jdebug"}`,
		`{"level":"` + strings.Repeat("x", 1<<20) + `"}`, "\xff", strings.Repeat("[", 10_000),
	} {
		a := ask("PUT", body, "operator")
		if want := map[bool]int{true: 413, false: 400}[len(body) > mendBytesMax]; a.status != want || !strings.Contains(a.header.Get("Content-Type"), "problem") || strings.Contains(a.text, "\x1b") || len(a.text) > 1000 {
			t.Errorf("%.40q: %d %.200q", body, a.status, a.text)
		}
	}
	if a := ask("PUT", `{"level":"debug"}`, "reader"); a.status != http.StatusForbidden {
		t.Errorf("a reader changes it: %d", a.status)
	}
	if a := ask("PUT", `{"level":"debug"}`, "nobody"); a.status != http.StatusUnauthorized {
		t.Errorf("a stranger changes it: %d", a.status)
	}
	if a := ask("POST", `{"level":"debug"}`, "operator"); a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "GET, HEAD, PUT" {
		t.Errorf("POST: %d, Allow %q", a.status, a.header.Get("Allow"))
	}
	shows("info")
	if want := []string{"noted log-level on gateway host:8081: warn to debug", "noted log-level on gateway host:8081: debug to error", "noted log-level on gateway host:8081: error to info"}; !slices.Equal(f.asked, want) || !strings.HasPrefix(f.by, "ann at 192.0.2.1, token ") {
		t.Errorf("the audit has %q by %q, want %q", f.asked, f.by, want)
	}
	for _, c := range []struct {
		err  error
		told bool
	}{{report.ErrStandby, false}, {errors.New("the store is away"), true}} { // it is changed all the same
		written.Reset()
		f.outcome = func(string) error { return c.err }
		if a := ask("PUT", `{"level":"info"}`, "operator"); a.status != 200 || strings.Contains(written.String(), "the audit may not have it") != c.told {
			t.Errorf("%v: %d %s, and the log says %q", c.err, a.status, a.text, written.String())
		}
	}
	shows("info")

	h = New(Config{Gateway: &fake{}, Metrics: http.NotFoundHandler(), Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	for _, method := range []string{"GET", "PUT"} {
		if a := ask(method, `{"level":"debug"}`, ""); a.status != http.StatusNotFound {
			t.Errorf("%s without a log: %d", method, a.status)
		}
	}
}
