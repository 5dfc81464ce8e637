package conns_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stategate/stategate/internal/conns"
)

// lines is a log that can be read while it is written.
type lines struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

func (l *lines) all(t *testing.T) (out []map[string]string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.String()) {
		var fields map[string]string
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		out = append(out, fields)
	}
	return out
}

// TestErrorLog: what a client does wrong is told at debug only, in lines of one text; a panic is an error.
func TestErrorLog(t *testing.T) {
	var written lines
	log := slog.New(slog.NewJSONHandler(&written, &slog.HandlerOptions{Level: slog.LevelDebug}))
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("ours") }))
	server.Config.ErrorLog = conns.ErrorLog(log, "admin")
	server.TLS = &tls.Config{NextProtos: []string{"http/1.1"}}
	server.StartTLS()
	defer server.Close()

	protocols := make([]string, 100)
	for i := range protocols {
		protocols[i] = strings.Repeat("\x01", 200) + "MARKER"
	}
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: protocols}).Handshake(); err == nil {
		t.Fatal("there is no protocol that both speak")
	}
	_, _ = io.Copy(io.Discard, conn) // the connection is closed when the line is written
	if _, err := server.Client().Get(server.URL); err == nil {
		t.Fatal("the handler panics")
	}
	got := written.all(t)
	if len(got) != 2 || got[0]["level"] != "DEBUG" || got[0]["msg"] != "admin: trouble with a connection" ||
		!strings.Contains(got[0]["detail"], "TLS handshake error") || len(got[0]["detail"]) > 4<<10 {
		t.Errorf("of a client: %v", got)
	}
	if last := got[len(got)-1]; last["level"] != "ERROR" || !strings.HasPrefix(last["msg"], "admin: a request has panicked") || !strings.Contains(last["detail"], "ours") {
		t.Errorf("of a panic: %v", last)
	}
}

// TestErrorLogOfAccept: that nobody is let in is known at once.
func TestErrorLogOfAccept(t *testing.T) {
	var written lines
	listener := &full{}
	server := &http.Server{ErrorLog: conns.ErrorLog(slog.New(slog.NewJSONHandler(&written, nil)), "admin")}
	_ = server.Serve(listener)
	got := written.all(t)
	if len(got) != 1 || got[0]["level"] != "WARN" || !strings.HasPrefix(got[0]["msg"], "admin: no connection can be accepted") || !strings.Contains(got[0]["detail"], "too many open files") {
		t.Errorf("got %v", got)
	}
}

// full accepts nothing for a while, and then for ever.
type full struct {
	net.Listener
	asked bool
}

func (f *full) Accept() (net.Conn, error) {
	if f.asked {
		return nil, net.ErrClosed
	}
	f.asked = true
	return nil, temporary{}
}

func (f *full) Close() error { return nil }

// temporary is an error after which a server tries again.
type temporary struct{}

func (temporary) Error() string   { return "too many open files" }
func (temporary) Timeout() bool   { return false }
func (temporary) Temporary() bool { return true }
