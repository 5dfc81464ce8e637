package admin

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/version"
)

func protected(f *fake, access Access) http.Handler {
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "metrics\n") })
	return New(Config{Gateway: f, Access: access, Metrics: metrics, Version: version.Info{Version: "v1"}, Level: new(slog.LevelVar), Log: slog.New(slog.DiscardHandler)})
}

// roles are told by the token itself.
func roles(authorization string) Role {
	return map[string]Role{"Bearer reader": Reader, "Bearer operator": Operator}[authorization]
}

// askWith sends a request with headers, each as "Name: value".
func askWith(t *testing.T, h http.Handler, method, target string, headers ...string) answer {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	r.Host = "127.0.0.1:8081"
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		if name == "Host" {
			r.Host = value
			continue
		}
		r.Header.Add(name, value)
	}
	return served(t, h, r)
}

// served is the answer to a request.
func served(t *testing.T, h http.Handler, r *http.Request) answer {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	a := answer{status: w.Code, header: w.Header(), text: w.Body.String()}
	if strings.Contains(w.Header().Get("Content-Type"), "json") {
		if err := json.Unmarshal(w.Body.Bytes(), &a.body); err != nil {
			t.Errorf("%s %s: %v in %.200s", r.Method, r.RequestURI, err, a.text)
		}
	}
	return a
}

// everyRoute is each route of the index and the ones that change, with who may ask for them.
func everyRoute(t *testing.T, h http.Handler) map[string]Role {
	t.Helper()
	out := map[string]Role{"GET /nothing": Reader, "POST /": Reader}
	index := askWith(t, h, "GET", "/", "Authorization: Bearer operator")
	for _, r := range index.body["routes"].([]any) {
		method, path := r.(map[string]any)["method"].(string), exampleOf(r.(map[string]any)["path"].(string))
		role := Reader
		switch {
		case path == "/healthz" || path == "/readyz" || path == "/metrics":
			role = Stranger
		case strings.HasPrefix(path, "/debug/") || method != "GET":
			role = Operator
		}
		out[method+" "+path] = role
		if method == "GET" {
			out["HEAD "+path] = role
		}
	}
	return out
}

// exampleOf is a path with something in the place of each of its parts.
func exampleOf(path string) string {
	byID := strings.HasPrefix(path, addressByID) && !strings.HasPrefix(path, addressPath)
	path = strings.NewReplacer("{namespace}", "a", "{name}", "b", "{id}", "c", "{number}", "7", "{state}", "s", "{slot}", "0", "{profile}", "goroutine").Replace(path)
	switch {
	case byID:
		path += "?id="
	case path == addressesPath:
		path += "?function=a/b"
	}
	return path
}

// TestRoles asks for every route as everybody: what is refused has not reached the gateway.
func TestRoles(t *testing.T) {
	reached := false
	f := &fake{turning: true, fakeMender: fakeMender{outcome: func(string) error { reached = true; return nil }},
		dead: func(after uint64, _ int) ([]api.DeadLetter, error) {
			reached = true
			return []api.DeadLetter{{Number: after + 1}}, nil
		}}
	h := protected(f, Access{Role: roles})
	routes := everyRoute(t, h)
	if len(routes) < 20 {
		t.Fatalf("only %d routes: %v", len(routes), routes)
	}
	for route, needs := range routes {
		method, path, _ := strings.Cut(route, " ")
		for headers, role := range map[string]Role{
			"": Stranger, "Authorization: Bearer ": Stranger, "Authorization: Bearer reade": Stranger, "Authorization: Basic operator": Stranger, "Cookie: operator": Stranger,
			"Authorization: Bearer reader": Reader, "Authorization: Bearer operator": Operator,
		} {
			reached = false
			a := askWith(t, h, method, path, headers)
			switch {
			case role >= needs && (a.status == 401 || a.status == 403):
				t.Errorf("%s with %q: got %d %s", route, headers, a.status, a.text)
			case role < needs && role == Stranger:
				if a.status != 401 || a.header.Get("WWW-Authenticate") == "" || a.header.Get("Connection") != "close" || reached {
					t.Errorf("%s with %q: got %d %v, reached %v", route, headers, a.status, a.header, reached)
				}
				wantProblem(t, a, 401)
			case role < needs:
				if reached {
					t.Errorf("%s with %q reached the gateway", route, headers)
				}
				wantProblem(t, a, 403)
			}
			if a.header.Get("Cache-Control") != "no-store" || a.header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(a.header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
				t.Errorf("%s with %q: headers %v", route, headers, a.header)
			}
		}
	}
}

// TestOpenPathsOnly: nothing that only looks like a probe is open.
func TestOpenPathsOnly(t *testing.T) {
	h := protected(&fake{turning: true}, Access{Role: roles})
	for _, path := range []string{"/healthz/", "//healthz", "/%68ealthz", "/v1/../healthz", "/healthz/..%2fv1/deadletters", "/metrics/x", "/v1/deadletters?/healthz", "/HEALTHZ"} {
		wantProblem(t, askWith(t, h, "GET", path), 401)
	}
	wantProblem(t, askWith(t, h, "DELETE", "/healthz"), 405)
}

// TestForeign: what a page of another site asks through a browser is refused, also with a token; so is another name, on loopback.
func TestForeign(t *testing.T) {
	for name, c := range map[string]struct {
		access  Access
		headers []string
		refused bool
	}{
		"curl":                         {Access{Local: true}, nil, false},
		"localhost":                    {Access{Local: true}, []string{"Host: localhost:8081"}, false},
		"its address":                  {Access{Local: true}, []string{"Host: [::1]:8081"}, false},
		"a name below localhost":       {Access{Local: true}, []string{"Host: gateway.localhost"}, false},
		"another name":                 {Access{Local: true}, []string{"Host: evil.example:8081"}, true},
		"one that looks like it":       {Access{Local: true}, []string{"Host: localhost.evil.example"}, true},
		"one that begins like one":     {Access{Local: true}, []string{"Host: 127.0.0.1.evil.example"}, true},
		"another name with a token":    {Access{Local: true, Role: roles}, []string{"Host: evil.example", "Authorization: Bearer operator"}, true},
		"another name, not on it":      {Access{}, []string{"Host: gateway.internal"}, false},
		"its own page":                 {Access{Local: true}, []string{"Origin: http://127.0.0.1:8081", "Sec-Fetch-Site: same-origin"}, false},
		"its own page by https":        {Access{TLS: true}, []string{"Host: gateway.internal", "Origin: https://gateway.internal"}, false},
		"its own page, but in clear":   {Access{TLS: true}, []string{"Host: gateway.internal", "Origin: http://gateway.internal"}, true},
		"another port":                 {Access{Local: true}, []string{"Origin: http://127.0.0.1:3000"}, true},
		"another port, without origin": {Access{Local: true}, []string{"Sec-Fetch-Site: same-site"}, true},
		"another site":                 {Access{Role: roles}, []string{"Origin: https://evil.example", "Authorization: Bearer operator"}, true},
		"an image":                     {Access{Local: true}, []string{"Sec-Fetch-Site: cross-site"}, true},
		"a file":                       {Access{Local: true}, []string{"Origin: null"}, true},
		"an empty one":                 {Access{Local: true}, []string{"Origin: "}, true},
		"two of them":                  {Access{Local: true}, []string{"Origin: http://127.0.0.1:8081", "Origin: http://evil.example"}, true},
		"not an URL":                   {Access{Local: true}, []string{"Origin: http://%zz"}, true},
		"typed":                        {Access{Local: true}, []string{"Sec-Fetch-Site: none"}, false},
	} {
		h := protected(&fake{turning: true}, c.access)
		for _, route := range []string{"GET /healthz", "GET /metrics", "GET /", "DELETE /v1/deadletters/7"} {
			method, path, _ := strings.Cut(route, " ")
			if a := askWith(t, h, method, path, c.headers...); c.refused {
				wantProblem(t, a, 403)
			} else if a.status == 403 && method == "GET" {
				t.Errorf("%s: %s is answered %d %s", name, route, a.status, a.text)
			}
		}
	}
}

// TestProfiles: operators have them, whoever is on the host when nobody is asked, and nobody else.
func TestProfiles(t *testing.T) {
	for name, c := range map[string]struct {
		access Access
		header string
		want   int
	}{
		"on the host":        {Access{Local: true}, "", 200},
		"open to all":        {Access{}, "", 403},
		"an operator":        {Access{Role: roles}, "Authorization: Bearer operator", 200},
		"a reader":           {Access{Role: roles}, "Authorization: Bearer reader", 403},
		"a reader, on it":    {Access{Local: true, Role: roles}, "Authorization: Bearer reader", 403},
		"a stranger":         {Access{Role: roles}, "", 401},
		"a stranger, on it ": {Access{Local: true, Role: roles}, "", 401},
	} {
		h := protected(&fake{}, c.access)
		for _, path := range []string{"/debug/pprof/", "/debug/pprof/goroutine?debug=1", "/debug/pprof/heap", "/debug/pprof/trace?seconds=0.01"} {
			if a := askWith(t, h, "GET", path, c.header); a.status != c.want {
				t.Errorf("%s: %s is answered %d %.200s", name, path, a.status, a.text)
			}
		}
	}
	h := protected(&fake{}, Access{Local: true})
	for _, path := range []string{"/debug/pprof/cmdline", "/debug/pprof/nothing", "/debug", "/debug/pprof/heap/x"} { // a command line may hold a password
		wantProblem(t, askWith(t, h, "GET", path), 404)
	}
}

// TestNothingHarmful: whatever ids, keys and reasons hold, an answer shows no tag to a page and nothing that a terminal obeys.
func TestNothingHarmful(t *testing.T) {
	hostile := "<script>alert(1)</script>\x1b[2J\x9b\u009b31m\x7f\u202egnp.exe\u200b\U000e0041\u2028\x00&'\""
	h := protected(full(hostile), Access{Local: true})
	asked := 0
	for route := range everyRoute(t, h) {
		method, path, _ := strings.Cut(route, " ")
		if path = strings.Replace(path, "/b/c", "/b/%3Cscript%3E%C2%9B%E2%80%AE", 1); method != "GET" || strings.HasPrefix(path, "/debug/") || path == "/metrics" {
			continue
		}
		asked++
		a := askWith(t, h, "GET", path)
		if strings.ContainsFunc(a.text, func(r rune) bool { return r != '\n' && harmful(r) || r < ' ' && r != '\n' }) {
			t.Errorf("%s: %d %q", path, a.status, a.text)
		}
	}
	if asked < 20 {
		t.Errorf("only %d routes were asked", asked)
	}
	reasons := askWith(t, h, "GET", "/readyz").body["reasons"].([]any)
	want := strings.Replace(hostile, "J\x9b", "J\ufffd", 1)
	if got := reasons[0].(map[string]any)["text"]; got != want {
		t.Errorf("decoded it is %q, want %q", got, want)
	}
}
