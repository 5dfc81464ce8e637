package main

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
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

// Who is in the wrong folder is told the ways on.
func TestDevWithoutApplication(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("STATEGATE_MODULE", "")
	code, _, stderr := call(t, "dev", "--admin", "127.0.0.1:0")
	if want := "gateway: there is no module.yaml in this folder: "; code != exitFailed || !strings.HasPrefix(stderr, want) || !strings.Contains(stderr, "gateway init go FOLDER") {
		t.Errorf("exit %d, %q", code, stderr)
	}
}

// A port that was asked for is that or none; one that nobody asked for gives way.
func TestListenForDev(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	cmd := newDev()
	other, err := listenForDev(cmd, taken.Addr().String(), "listen", false)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := cmd.Flags().Set("listen", taken.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if _, err := listenForDev(cmd, taken.Addr().String(), "listen", false); err == nil || !strings.Contains(err.Error(), "--listen: listen tcp") || !strings.Contains(err.Error(), "Give another address") {
		t.Errorf("got %v", err)
	}
	once, err := listenForDev(cmd, taken.Addr().String(), "listen", true)
	if err != nil {
		t.Fatal(err)
	}
	_ = once.Close()
}

func TestInitRefuses(t *testing.T) {
	for _, args := range [][]string{{"init", "pyton"}, {"init", "go", "a", "b"}, {"init", "go", ""}} {
		if code, stdout, stderr := call(t, args...); code != exitUsage || stdout != "" || stderr == "" {
			t.Errorf("%q: exit %d, stdout %q, stderr %q", args, code, stdout, stderr)
		}
	}
}
