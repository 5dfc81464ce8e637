//go:build unix

package logtest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// TestSecondSignalIsTold: a gateway that is told to stop again while it waits for a call ends at once, and its log says why.
func TestSecondSignalIsTold(t *testing.T) {
	called, over := make(chan struct{}, 10), make(chan struct{})
	functions := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		called <- struct{}{}
		select {
		case <-over:
		case <-r.Context().Done():
		}
	}))
	defer functions.Close()
	defer close(over)
	w := newWorld(t, functions.URL, "json")
	w.send("status", "a", "x")
	<-called
	w.Signal(syscall.SIGTERM)
	w.Until("it stops", func(r testgateway.Readiness) bool { return r.Code == http.StatusServiceUnavailable })
	w.Signal(syscall.SIGTERM)
	testgateway.Poll(t, "its end", func() (bool, string) { return !w.Process.Runs(), "it runs" })
	lines := w.lines()
	last := string(lines[len(lines)-1])
	if !strings.Contains(last, `"level":"WARN","msg":"told to stop again: the gateway ends at once, and waits for nothing more","signal":"terminated"`) {
		t.Errorf("the last line of the log is %s", last)
	}
	if stopped := w.Logged("not every call has ended"); len(stopped) > 0 {
		t.Errorf("it has waited: %s", stopped)
	}
}
