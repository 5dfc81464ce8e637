package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
)

func TestColours(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no terminal to ask: %v", err)
	}
	defer terminal.Close()
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "xterm")
	if !colours(terminal) {
		t.Error("none on a terminal")
	}
	if colours(&bytes.Buffer{}) {
		t.Error("some in memory")
	}
	t.Setenv("TERM", "dumb")
	if colours(terminal) {
		t.Error("some on a terminal that has none")
	}
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "1")
	if colours(terminal) {
		t.Error("some, and nobody wants them")
	}
}

// Ids hold anything: what is not below /topics comes to the admin side as it was asked.
func TestTopicsLeaveOtherPathsAlone(t *testing.T) {
	say := func(who string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(who + " " + r.URL.EscapedPath())) })
	}
	both, alone := withTopics(say("admin"), say("topics")), withTopics(say("admin"), nil)
	for path, want := range map[string]string{
		"/topics": "topics /topics", "/topics/a%2Fb": "topics /topics/a%2Fb", "/topicsx": "admin /topicsx",
		"/v1/addresses/a/b/..%2F%2F/topics/": "admin /v1/addresses/a/b/..%2F%2F/topics/", "//x/../y": "admin //x/../y",
	} {
		w := httptest.NewRecorder()
		both.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://h"+path, nil))
		if got := w.Body.String(); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
	w := httptest.NewRecorder()
	alone.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/topics", nil))
	if got := w.Body.String(); got != "admin /topics" {
		t.Errorf("without Kafka: got %s", got)
	}
}

func TestInitRefuses(t *testing.T) {
	for _, args := range [][]string{{"init", "pyton"}, {"init", "go", "a", "b"}} {
		if code, stdout, stderr := call(t, args...); code != exitUsage || stdout != "" || stderr == "" {
			t.Errorf("%q: exit %d, stdout %q, stderr %q", args, code, stdout, stderr)
		}
	}
}
