//go:build unix

package playgroundtest

import (
	"fmt"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// TestGreeter is the walk-through of the playground's greeter.
func TestGreeter(t *testing.T) {
	w := newWorld(t)
	w.start(w.gateway)
	w.nothing("greetings")
	w.must(w.greet("Bob", "Bob"))
	if got, want := w.fetch("greetings"), "Hello Bob, visit 1 of Bob"; got != want {
		t.Errorf("greeted %q, want %q", got, want)
	}
	for i := 2; i <= 20; i++ { // one after the other: they are called in order
		w.must(w.greet("Bob", fmt.Sprint("Bob ", i)))
	}
	for i := 2; i <= 20; i++ {
		if got, want := w.fetch("greetings"), fmt.Sprintf("Hello Bob %d, visit %d of Bob", i, i); got != want {
			t.Fatalf("greeted %q, want %q", got, want)
		}
	}
	w.nothing("greetings")
	w.gateway.Stop()
}

// TestKilledBehindTheAnswer: what was answered with 200 takes effect once, although the gateway dies before its function has answered.
func TestKilledBehindTheAnswer(t *testing.T) {
	w := newWorld(t)
	w.start(w.gateway)
	w.block()
	for _, id := range []string{"a", "b", "a"} {
		w.must(w.greet(id, id))
	}
	<-w.seen // a call is out
	w.gateway.Kill()
	w.start(w.gateway)
	w.release()
	got := map[string]bool{}
	for range 3 {
		got[w.fetch("greetings")] = true
	}
	for _, want := range []string{"Hello a, visit 1 of a", "Hello a, visit 2 of a", "Hello b, visit 1 of b"} {
		if !got[want] {
			t.Errorf("no %q among %v", want, got)
		}
	}
	w.nothing("greetings")
	w.must(w.greet("a", "a"))
	if got, want := w.fetch("greetings"), "Hello a, visit 3 of a"; got != want {
		t.Errorf("greeted %q, want %q", got, want)
	}
}

// TestRecordsWaitForTheirReader: a stop does not wait for them, and they are there after it.
func TestRecordsWaitForTheirReader(t *testing.T) {
	w := newWorld(t)
	w.start(w.gateway)
	for i := range 3 {
		w.must(w.greet(fmt.Sprint(i), "x"))
		<-w.seen
	}
	testgateway.Poll(t, "three records", func() (bool, string) {
		n := w.gateway.Samples().Sum("stategate_egress_pending_outputs", nil)
		return n == 3, fmt.Sprint(n)
	})
	w.gateway.Stop()
	if lines := w.gateway.Logged("not everything is delivered"); len(lines) > 0 {
		t.Errorf("the stop waited for a reader: %s", lines)
	}
	w.start(w.gateway)
	got := map[string]bool{}
	for range 3 {
		got[w.fetch("greetings")] = true
	}
	for i := range 3 {
		if want := fmt.Sprintf("Hello x, visit 1 of %d", i); !got[want] {
			t.Errorf("no %q among %v", want, got)
		}
	}
	w.nothing("greetings")
}

// TestTwoGateways: the one that works has the ports, and the other one opens them when it takes over.
func TestTwoGateways(t *testing.T) {
	w := newWorld(t)
	w.start(w.gateway)
	other := w.newGateway("other")
	other.Start()
	other.Until("standby", testgateway.IsStandby)
	w.must(w.greet("a", "a"))
	if got, want := w.fetch("greetings"), "Hello a, visit 1 of a"; got != want {
		t.Errorf("greeted %q, want %q", got, want)
	}
	w.block()
	w.must(w.greet("a", "a"))
	for range 2 {
		<-w.seen
	}
	w.gateway.Kill()
	w.release()
	other.Until("active", testgateway.IsActive)
	w.opened(w.in)
	w.opened(w.out)
	w.must(w.greet("a", "a"))
	for {
		got := w.fetch("greetings")
		if got == "Hello a, visit 1 of a" { // it was fetched, and may come again after a crash
			continue
		}
		if want := "Hello a, visit 2 of a"; got != want {
			t.Errorf("greeted %q, want %q", got, want)
		}
		break
	}
	if got, want := w.fetch("greetings"), "Hello a, visit 3 of a"; got != want {
		t.Errorf("greeted %q, want %q", got, want)
	}
}
