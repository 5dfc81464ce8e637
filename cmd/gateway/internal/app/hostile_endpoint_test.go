//go:build unix

package app

import (
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/cmd/gateway/internal/report"
)

// hostileEndpoints are places where nobody answers, or not yet.
const hostileEndpoints = `---
kind: io.statefun.endpoints.v2/http
spec: {functions: away/*, urlPathTemplate: "http://${AWAY}/{function.name}", transport: {call: 10s}}
---
kind: io.statefun.endpoints.v2/http
spec: {functions: lost/*, urlPathTemplate: "http://functions.invalid/{function.name}", transport: {call: 10s}}
---
kind: io.statefun.endpoints.v2/http
spec: {functions: secret/*, urlPathTemplate: "https://user:hunter2@${HOST}/{function.name}", transport: {call: 10s}}
`

// TestHostileEndpoints: an endpoint that does not answer delays its own addresses only, the status names it, and once it
// answers, everything that waited is called, once and in order.
func TestHostileEndpoints(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	vars := map[string]string{"AWAY": listener.Addr().String(), "HOST": ""}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	vars["HOST"] = vars["AWAY"]
	a := newArena(t, hostileEndpoints, vars)
	t.Run("no such name", func(t *testing.T) {
		a.around(t, func() { a.unreachable(t, "lost", "http://functions.invalid/ownlost") })
	})
	t.Run("refused", func(t *testing.T) { a.around(t, func() { refusedThenBack(t, a, vars["AWAY"]) }) })
	t.Run("no TLS", func(t *testing.T) {
		a.around(t, func() { a.unreachable(t, "secret", "https://"+vars["HOST"]+"/ownsecret") })
		if a.seen.logged("hunter2") || strings.Contains(a.reasons(t), "hunter2") {
			t.Error("a password is shown")
		}
	})
	t.Run("hangs up", func(t *testing.T) { a.around(t, func() { hangsUp(t, a) }) })
	t.Run("429", func(t *testing.T) { a.around(t, func() { retryAfter(t, a) }) })
	t.Run("413", func(t *testing.T) { a.around(t, func() { tooLarge(t, a) }) })
	t.Run("413 to one message", func(t *testing.T) { a.around(t, func() { tooLargeAlone(t, a) }) })
	for _, namespace := range []string{"lost", "secret"} { // they wait still, and are not forgotten
		if v := a.view(t, namespace, "own"+namespace, namespace); v.Mailbox != 3 {
			t.Errorf("%d messages wait for %s, want 3", v.Mailbox, namespace)
		}
	}
	a.finish(t)
}

// unreachable sends three messages to an endpoint that is not there, and waits until everybody can know.
func (a *arena) unreachable(t *testing.T, namespace, shown string) {
	t.Helper()
	function := "own" + namespace
	for range 3 {
		a.say(t, "to "+namespace, send(target(namespace, function, namespace)))
	}
	hostileUntil(t, "the status names the endpoint", func() bool {
		return slices.ContainsFunc(a.app.Status(t.Context()).Reasons, func(r report.Reason) bool {
			return r.Kind == "endpoint" && strings.Contains(r.Text, "endpoint "+shown+" ")
		})
	})
	if v := a.view(t, namespace, function, namespace); v.LastError != "" && strings.Contains(a.reasons(t), v.LastError) {
		t.Error("the status repeats what the call has met: that is for who may look at the address")
	}
	if a.app.Status(t.Context()).Unready != "" {
		t.Error("the gateway is not ready because an endpoint is away")
	}
	if a.seen.count("call "+namespace+"/"+function+" unreachable") == 0 {
		t.Errorf("no call of %s/%s is counted as unreachable", namespace, function)
	}
	if v := a.view(t, namespace, function, namespace); v.LastError == "" || v.FailingSince == 0 {
		t.Errorf("the address shows nothing of it: %+v", v)
	}
}

// refusedThenBack starts the endpoint that was not there.
func refusedThenBack(t *testing.T, a *arena, addr string) {
	t.Helper()
	a.unreachable(t, "away", "http://"+addr+"/ownaway")
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: a.functions}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close(); <-ended })
	a.events["away"] += 3
	a.counted(t, "away")
	hostileUntil(t, "the status is good again", func() bool {
		return !slices.ContainsFunc(a.app.Status(t.Context()).Reasons, func(r report.Reason) bool { return strings.Contains(r.Text, addr+"/ownaway") })
	})
}

// hangsUp closes the connection instead of an answer, for a while.
func hangsUp(t *testing.T, a *arena) {
	t.Helper()
	a.functions.misbehave("ownhangup", "hangs up", raw("", nil))
	a.tell(t, "ownhangup", "hangs up")
	hostileUntil(t, "the status names the endpoint", func() bool {
		return strings.Contains(a.reasons(t), "/ownhangup ")
	})
	if a.seen.count("call test/ownhangup unreachable") == 0 {
		t.Error("no call is counted as unreachable")
	}
	a.functions.behave("ownhangup", "hangs up")
	a.counted(t, "hangs up")
}

// reasons is all that the status names.
func (a *arena) reasons(t *testing.T) string {
	t.Helper()
	var all []string
	for _, r := range a.app.Status(t.Context()).Reasons {
		all = append(all, r.Text)
	}
	return strings.Join(all, "\n")
}

// retryAfter asks to be left alone for an hour: that counts up to the back-off cap, and not less than that.
func retryAfter(t *testing.T, a *arena) {
	t.Helper()
	var mu sync.Mutex
	var asked []time.Time
	a.functions.misbehave("ownbusy", "busy", func(w http.ResponseWriter, _ *http.Request, _ *batchRequest) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, time.Now())
		w.Header().Set("Retry-After", "3600")
		http.Error(w, "busy", http.StatusTooManyRequests)
	})
	a.tell(t, "ownbusy", "busy")
	hostileUntil(t, "it was asked three times", func() bool { mu.Lock(); defer mu.Unlock(); return len(asked) >= 3 })
	a.functions.behave("ownbusy", "busy")
	a.counted(t, "busy")
	mu.Lock()
	defer mu.Unlock()
	for i := 1; i < len(asked); i++ {
		if gap := asked[i].Sub(asked[i-1]); gap < time.Duration(hostileBounds.BackoffMax-10)*time.Millisecond {
			t.Errorf("it was asked again after %v, want at least %d ms", gap, hostileBounds.BackoffMax)
		}
	}
	if a.seen.count("call test/ownbusy overloaded") < 3 {
		t.Errorf("%d calls are counted as overloaded, want 3", a.seen.count("call test/ownbusy overloaded"))
	}
}

// tooLarge takes three messages at a time: batches are halved until they pass.
func tooLarge(t *testing.T, a *arena) {
	t.Helper()
	const all, passes = 40, 3
	a.tell(t, "ownsmall", "first") // the function's states are known from now on
	a.counted(t, "first")
	gathered := make(chan struct{})
	var mu sync.Mutex
	var refused, taken []int
	a.functions.misbehave("ownsmall", "small", func(w http.ResponseWriter, r *http.Request, batch *batchRequest) {
		<-gathered // the rest of the messages gathers behind the first one
		n := len(batch.Invocations)
		mu.Lock()
		defer mu.Unlock()
		if n > passes {
			refused = append(refused, n)
			http.Error(w, "too large", http.StatusRequestEntityTooLarge)
			return
		}
		taken = append(taken, n)
		a.functions.count(w, r, &protocol.ToFunction{Request: &protocol.ToFunction_Invocation_{Invocation: batch}})
	})
	for range all {
		a.tell(t, "ownsmall", "small")
	}
	hostileUntil(t, "all of them wait", func() bool { return a.view(t, "test", "ownsmall", "small").Mailbox == all })
	close(gathered)
	a.counted(t, "small")
	mu.Lock()
	defer mu.Unlock()
	if len(refused) < 3 {
		t.Errorf("batches of %v messages were refused, want several", refused)
	}
	for i := 1; i < len(refused) && i < 3; i++ {
		if refused[i] != refused[i-1]/2 {
			t.Errorf("batches of %v messages were refused, want each half of the one before at first", refused)
		}
	}
	if slices.Max(taken) < 2 {
		t.Errorf("batches of %v messages were taken: they were halved too often", taken)
	}
	if a.seen.count("call test/ownsmall too_large") != len(refused) {
		t.Errorf("%d calls are counted as too large, want %d", a.seen.count("call test/ownsmall too_large"), len(refused))
	}
}

// tooLargeAlone refuses even one message: nothing can be halved, so it waits and says so.
func tooLargeAlone(t *testing.T, a *arena) {
	t.Helper()
	a.functions.misbehave("ownbrief", "tiny", func(w http.ResponseWriter, _ *http.Request, _ *batchRequest) {
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
	})
	a.tell(t, "ownbrief", "tiny")
	hostileUntil(t, "the address says so", func() bool {
		return strings.Contains(a.view(t, "test", "ownbrief", "tiny").LastError, "status 413 Request Entity Too Large")
	})
	hostileUntil(t, "it is stuck, and the status says so", func() bool { return a.reason(t, "stuck") != "" })
	a.functions.behave("ownbrief", "tiny")
	a.counted(t, "tiny")
}
