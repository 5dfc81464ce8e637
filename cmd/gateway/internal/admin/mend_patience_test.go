package admin

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// slowly sends a request whose body never comes whole, and answers what the server says to that.
func slowly(t *testing.T, server *httptest.Server, head string) <-chan string {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, head); err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 1)
	go func() {
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			said <- err.Error()
			return
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		said <- fmt.Sprintf("%d %s %v", response.StatusCode, body, err)
	}()
	return said
}

// Small bodies that come slowly hold the places of changes for some seconds, and not for as long as a connection may take: pausing and
// resuming mend what goes wrong.
func TestSlowBodiesLeave(t *testing.T) {
	t.Parallel()
	f := &fake{}
	server := httptest.NewServer(handlerOf(f))
	t.Cleanup(server.Close) // when the connections are closed
	began := time.Now()
	var all []<-chan string
	for i := range mendsMax {
		small, large := "Content-Length: 10\r\n\r\n{", "Content-Length: 100000\r\n\r\n{"
		chunked := "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"
		head := []string{
			"POST /v1/addresses/a/b/c/pause HTTP/1.1\r\nHost: x\r\n" + small, "POST /v1/addresses/a/b/c/pause HTTP/1.1\r\nHost: x\r\n" + chunked,
			"POST /v1/addresses/a/b/c/pause HTTP/1.1\r\nHost: x\r\n" + large, "PUT /v1/addresses/a/b/c/state/s?force=true HTTP/1.1\r\nHost: x\r\n" + large,
			"PUT /v1/log-level HTTP/1.1\r\nHost: x\r\n" + small, "PUT /v1/log-level HTTP/1.1\r\nHost: x\r\n" + chunked,
		}[i%6]
		all = append(all, slowly(t, server, head))
	}
	for i, said := range all {
		select {
		case got := <-said:
			if !strings.HasPrefix(got, "408 ") || !strings.Contains(got, "the body does not come in time; nothing has happened") {
				t.Errorf("number %d is answered %s", i, got)
			}
		case <-time.After(4 * smallTimeMax):
			t.Fatalf("number %d holds its place after %v", i, time.Since(began))
		}
	}
	if a := raw(t, f, "POST", "/v1/addresses/a/b/c/pause"); a.status != http.StatusNoContent || len(f.asked) != 1 {
		t.Errorf("then: %d %s, asked %q", a.status, a.text, f.asked)
	}
}

// What is done once a body has come may take longer than that.
func TestPromptBodyIsServed(t *testing.T) {
	t.Parallel()
	inside, late := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(soon(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			close(late)
			http.Error(w, err.Error(), http.StatusRequestTimeout)
			return
		}
		close(inside)
		<-late
		select {
		case <-r.Context().Done():
			http.Error(w, "ended", http.StatusInternalServerError)
		case <-time.After(100 * time.Millisecond): // for its connection to be given up, if it is to be
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	t.Cleanup(server.Close) // when the connections are closed
	prompt := slowly(t, server, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
	<-inside
	slow := slowly(t, server, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{")
	if got := <-slow; !strings.HasPrefix(got, "408 ") {
		t.Errorf("the slow one is answered %s", got)
	}
	if got := <-prompt; !strings.HasPrefix(got, "204 ") {
		t.Errorf("the prompt one is answered %s", got)
	}
}

// The large states that are counted have the time of their connection, and nothing else has.
func TestLargeBodyHasTime(t *testing.T) {
	const state = "/v1/addresses/a/b/c/state/s?force=true"
	for _, c := range []struct {
		method, path string
		bytes        int64
		want         bool
	}{
		{http.MethodPut, state, smallBody + 1, false}, {http.MethodPut, state, -1, false}, {http.MethodPut, state, smallBody, true}, {http.MethodPut, state, 10, true},
		{http.MethodDelete, state, 0, false}, {http.MethodPut, logLevelPath, smallBody + 1, true}, {http.MethodPut, logLevelPath, -1, true},
		{http.MethodPost, "/v1/addresses/a/b/c/pause", smallBody + 1, true}, {http.MethodPost, "/v1/addresses/a/b/c/pause", 0, false},
	} {
		r := httptest.NewRequest(c.method, c.path, strings.NewReader(""))
		r.Host, r.ContentLength = "127.0.0.1", c.bytes
		w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		handlerOf(&fake{}).ServeHTTP(w, r)
		if w.set != c.want {
			t.Errorf("%s %s of %d bytes: a time is set: %v, answered %d", c.method, c.path, c.bytes, w.set, w.Code)
		}
	}
}

type deadlines struct {
	*httptest.ResponseRecorder
	set bool
}

func (d *deadlines) SetReadDeadline(time.Time) error { d.set = true; return nil }
