//go:build unix

package playgroundtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
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

// TestFetchedComesAgain: what was fetched comes again after a restart, of a clean stop too, as long as anything else of its commit waits,
// and no more when nothing does. From its first answer on a gateway denies nothing that waits.
func TestFetchedComesAgain(t *testing.T) {
	w := newWorld(t)
	w.start(w.gateway)
	w.must(w.curl("-X", "PUT", "-H", "Content-Type: application/vnd.example/Records", "{in}/example/many/a",
		"-d", `[{"topic": "greetings", "payload": "1"}, {"topic": "other topic", "payload": "2"}, {"topic": "greetings", "payload": "3"}]`))
	take := func(topic string, want ...string) {
		t.Helper()
		for _, want := range want {
			a := w.curl("{out}/" + topic)
			if w.must(a); a.body != want {
				t.Errorf("fetched %q, want %q", a.body, want)
			}
		}
		w.nothing(topic)
	}
	if got := w.fetch("greetings"); got != "1" { // its commit may still be to come
		t.Errorf("fetched %q", got)
	}
	take("greetings", "3")
	for range 2 {
		w.gateway.Stop()
		w.start(w.gateway)
		take("greetings", "1", "3")
	}
	take("other%20topic", "2")
	w.gateway.Stop()
	w.start(w.gateway)
	take("greetings")
	take("other%20topic")
}

// large is a curl line that puts a record of 600 KiB on topic greetings.
func (w *world) large(name string, more ...string) []string {
	w.t.Helper()
	file := filepath.Join(w.folder, name)
	text := fmt.Sprintf(`{"topic": "greetings", "payload": "%s %s"}`, name, strings.Repeat("x", 600<<10))
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
	return append(more, "-X", "PUT", "-H", "Content-Type: application/vnd."+egressType, "--data-binary", "@"+file, "{in}/example/echo/a")
}

// fill puts two of them, so that an outbox of 1 MiB is full.
func (w *world) fill() {
	w.t.Helper()
	w.must(w.curl(w.large("first")...))
	w.must(w.curl(w.large("second")...))
	w.gateway.Until("full", func(r testgateway.Readiness) bool {
		return r.Says("undelivered outputs of io.statefun.playground/egress")
	})
}

// TestStopIsAnswered: an event that waits for room when the gateway is stopped is answered, and has not happened.
func TestStopIsAnswered(t *testing.T) {
	w := newWorld(t, "STATEGATE_OUTBOX_BYTES_MAX=1MiB")
	w.start(w.gateway)
	w.fill()
	third := w.large("third")
	answered, failed := make(chan answer, 1), make(chan error, 1)
	go func() {
		a, err := w.tryCurl(third...)
		answered <- a
		failed <- err
	}()
	testgateway.Poll(t, "the event", func() (bool, string) {
		n := w.gateway.Samples().Sum("stategate_ingress_records_total", nil)
		return n == 3, fmt.Sprint(n)
	})
	w.gateway.Stop()
	if a, err := <-answered, <-failed; err != nil || a.code != 503 || a.status != "503" || !strings.Contains(a.body, "nothing has happened") {
		t.Errorf("answered %+v, %v", a, err)
	}
	w.start(w.gateway)
	for _, want := range []string{"first", "second"} {
		if got, _, _ := strings.Cut(w.fetch("greetings"), " "); got != want {
			t.Errorf("fetched %q, want %q", got, want)
		}
	}
	w.nothing("greetings")
}

// TestNobodyFetches: at the bound of the outbox events wait, which /readyz says; one record that is fetched lets them go on. An event whose
// sender does not wait takes effect once or never.
func TestNobodyFetches(t *testing.T) {
	w := newWorld(t, "STATEGATE_OUTBOX_BYTES_MAX=1MiB")
	w.start(w.gateway)
	fetch := func() string {
		name, _, _ := strings.Cut(w.fetch("greetings"), " ")
		return name
	}
	w.fill()
	if a, err := w.tryCurl(w.large("third", "--max-time", "1")...); err == nil {
		t.Errorf("an event beyond the bound is answered %+v", a)
	}
	if got := fetch(); got != "first" {
		t.Errorf("fetched %q", got)
	}
	w.must(w.curl(w.large("fourth")...))
	if got := fetch(); got != "second" {
		t.Errorf("fetched %q", got)
	}
	got := fetch()
	if got == "third" {
		got = fetch()
	}
	if got != "fourth" {
		t.Errorf("fetched %q", got)
	}
	w.nothing("greetings")
	w.gateway.Until("whole", func(r testgateway.Readiness) bool { return testgateway.IsActive(r) && len(r.Reasons) == 0 })
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
