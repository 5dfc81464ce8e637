package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// fakeAdmin is an admin side that answers what a test says, and notes what it was asked.
type fakeAdmin struct {
	t   *testing.T
	url string

	mu      sync.Mutex
	handle  map[string]http.HandlerFunc // guarded by mu; by method and path; asked before answers
	answers map[string]fakeAnswer       // guarded by mu; by method and path with query, as in "GET /v1/x?limit=200"
	asked   []fakeAsked                 // guarded by mu
}

type fakeAnswer struct {
	status int
	header map[string]string
	body   string
}

type fakeAsked struct {
	what, body string
	header     http.Header
}

// newFakeAdmin serves for commands without --url.
func newFakeAdmin(t *testing.T) *fakeAdmin {
	t.Helper()
	f := &fakeAdmin{t: t, answers: map[string]fakeAnswer{}, handle: map[string]http.HandlerFunc{}}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.url = server.URL
	t.Setenv(urlVariable, server.URL)
	t.Setenv(tokenVariable, "")
	t.Setenv(caVariable, "")
	return f
}

func (f *fakeAdmin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		f.t.Error(err)
	}
	what := r.Method + " " + r.URL.EscapedPath()
	if r.URL.RawQuery != "" {
		what += "?" + r.URL.RawQuery
	}
	f.mu.Lock()
	f.asked = append(f.asked, fakeAsked{what, string(body), r.Header.Clone()})
	answer, ok := f.answers[what]
	handle := f.handle[r.Method+" "+r.URL.EscapedPath()]
	f.mu.Unlock()
	if handle != nil {
		w.Header().Set("Content-Type", "application/json")
		handle(w, r)
		return
	}
	if !ok {
		answer = fakeAnswer{status: http.StatusNotFound, body: fmt.Sprintf(`{"detail":"the fake knows no %s","remedy":"tell it"}`, strings.ReplaceAll(what, `"`, `'`))}
	}
	if answer.status == 0 {
		answer.status = http.StatusOK
	}
	w.Header().Set("Content-Type", "application/json")
	for name, value := range answer.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(answer.status)
	_, _ = io.WriteString(w, answer.body)
}

func (f *fakeAdmin) answer(what string, a fakeAnswer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[what] = a
}

// handles answers a method and path by a function.
func (f *fakeAdmin) handles(what string, h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.handle[what] = h
}

func (f *fakeAdmin) says(what, body string) { f.answer(what, fakeAnswer{body: body}) }

func (f *fakeAdmin) refuses(what string, status int, detail, remedy string) {
	f.answer(what, fakeAnswer{status: status, body: fmt.Sprintf(`{"type":"about:blank","title":"x","status":%d,"detail":%q,"remedy":%q}`, status, detail, remedy)})
}

// changes are what was asked that is no question, with bodies, since the last time.
func (f *fakeAdmin) changes() (all []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.asked {
		if !strings.HasPrefix(a.what, "GET ") {
			all = append(all, strings.TrimSpace(a.what+" "+a.body))
		}
	}
	f.asked = nil
	return all
}

// contextOf is what a command line runs in, and its Ctrl-C.
func contextOf(t *testing.T) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return ctx, cancel
}

// callIn is a command line that can be interrupted.
func callIn(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = execute(ctx, args, &out, &err)
	return code, out.String(), err.String()
}

// callWith is a command line with standard input.
func callWith(t *testing.T, stdin io.Reader, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	root := newRoot()
	root.SetIn(stdin)
	code = executeRoot(t.Context(), root, args, &out, &err)
	return code, out.String(), err.String()
}
