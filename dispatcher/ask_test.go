package dispatcher

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/memory"
)

// answering is a function that answers its callers with what it is sent, twice; "silent" it does not answer, and "guess" it answers to
// a caller that it has made up.
type answering struct {
	mu      sync.Mutex
	callers []string // ids, guarded by mu
}

func (a *answering) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	call := &protocol.ToFunction{}
	if err := proto.Unmarshal(body, call); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	out := &protocol.FromFunction_InvocationResponse{}
	for _, i := range call.GetInvocation().GetInvocations() {
		a.mu.Lock()
		a.callers = append(a.callers, i.GetCaller().GetId())
		a.mu.Unlock()
		to := i.GetCaller()
		switch string(i.GetArgument().GetValue()) {
		case "silent":
			continue
		case "guess":
			to = &protocol.Address{Namespace: ReplyType.Namespace, Type: ReplyType.Name, Id: strings.Repeat("A", 24)}
		}
		for _, text := range []string{"first of ", "second of "} {
			out.OutgoingMessages = append(out.OutgoingMessages, &protocol.FromFunction_Invocation{
				Target: to, Argument: &protocol.TypedValue{Typename: "test/reply", HasValue: true, Value: []byte(text + string(i.GetArgument().GetValue()))},
			})
		}
	}
	answer, _ := proto.Marshal(&protocol.FromFunction{Response: &protocol.FromFunction_InvocationResult{InvocationResult: out}})
	_, _ = w.Write(answer)
}

func serveAnswering(t *testing.T) (*answering, *function) {
	t.Helper()
	a := &answering{}
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	return a, &function{url: server.URL}
}

func TestAsk(t *testing.T) {
	a, f := serveAnswering(t)
	l := begin(t, newStore(nil), f)
	for _, text := range []string{"x", "y"} {
		msg := eventTo("a")
		msg.Argument.Value = []byte(text)
		got, err := l.Ask(t.Context(), msg)
		if err != nil || got.TypeName != "test/reply" || string(got.Value) != "first of "+text {
			t.Fatalf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"silent", "guess"} {
		msg := eventTo("a")
		msg.Argument.Value = []byte(text)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		if got, err := l.Ask(ctx, msg); !errors.Is(err, ErrNoReply) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
		cancel()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	seen := map[string]bool{}
	for _, id := range a.callers {
		if len(id) != 24 || seen[id] {
			t.Errorf("callers %v", a.callers)
		}
		seen[id] = true
	}
	l.Dispatcher.mu.Lock()
	defer l.Dispatcher.mu.Unlock()
	if len(l.asking) > 0 || len(l.waiters) > 0 {
		t.Errorf("%d and %d wait still", len(l.asking), len(l.waiters))
	}
	if got := l.totals(); len(got) > 0 {
		t.Errorf("set aside: %+v", got)
	}
}

// TestAskIntoTheEnd: whoever waits for a reply when the incarnation ends is told what is known.
func TestAskIntoTheEnd(t *testing.T) {
	_, f := serveAnswering(t)
	down := serveFunction(t)
	down.SetDown("count", true)
	t.Run("its message is durable", func(t *testing.T) {
		committed := make(chan struct{}, 10)
		l := begin(t, newStore(func(*statestore.Commit) memory.Fault { committed <- struct{}{}; return memory.FaultNone }), down)
		asked := make(chan error, 1)
		go func() { _, err := l.Ask(t.Context(), eventTo("a")); asked <- err }()
		<-committed
		if err := l.Send(t.Context(), eventTo("b")); err != nil { // the commit before it is confirmed
			t.Fatal(err)
		}
		l.stop()
		if err := <-asked; !errors.Is(err, ErrReplyLost) {
			t.Errorf("it is told %v", err)
		}
	})
	t.Run("nobody knows", func(t *testing.T) {
		tried := make(chan struct{}, 1)
		l := begin(t, newStore(func(*statestore.Commit) memory.Fault {
			select {
			case tried <- struct{}{}:
			default:
			}
			return memory.FaultUnavailable
		}), f)
		asked := make(chan error, 1)
		go func() { _, err := l.Ask(t.Context(), eventTo("a")); asked <- err }()
		<-tried
		l.stop()
		if err := <-asked; !errors.Is(err, ErrSentMaybe) {
			t.Errorf("it is told %v", err)
		}
	})
}

// TestLater: a delayed message comes when it is due, unless another one has taken its name, or it is cancelled.
func TestLater(t *testing.T) {
	l := begin(t, newStore(nil), serveFunction(t))
	for _, id := range []string{"a", "b"} {
		if err := l.Later(t.Context(), eventTo(id), time.Hour, "name "+id); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.CancelLater(t.Context(), "name a"); err != nil {
		t.Fatal(err)
	}
	if err := l.Later(t.Context(), eventTo("b"), 20*time.Millisecond, "name b"); err != nil {
		t.Fatal(err)
	}
	if err := l.Later(t.Context(), eventTo("c"), 0, ""); err != nil {
		t.Fatal(err)
	}
	l.until("the outputs", func() bool { return l.got("b") == "1" && l.got("c") == "1" })
	var refusal *Refusal
	if err := l.Later(t.Context(), eventTo("c"), -time.Second, ""); !errors.As(err, &refusal) || refusal.Reason != "bad delay" {
		t.Errorf("a delay below 0: %v", err)
	}
	if got := l.got("a"); got != "" {
		t.Errorf("what was cancelled has run: %q", got)
	}
}

// TestOnce: what has one key takes effect once, also when it comes again after a crash; another message under it is refused.
func TestOnce(t *testing.T) {
	a, f := serveAnswering(t)
	store := newStore(nil)
	msg := eventTo("a")
	for life := range 2 {
		l := begin(t, store, f)
		var wait sync.WaitGroup
		for range 10 {
			wait.Add(1)
			go func() {
				defer wait.Done()
				got, err := l.Once(t.Context(), msg, "key", true)
				if err != nil || string(got.Value) != "first of x" || got.TypeName != "test/reply" {
					t.Errorf("life %d: %+v, %v", life, got, err)
				}
			}()
		}
		wait.Wait()
		other := eventTo("a")
		other.Argument.Value = []byte("y")
		if got, err := l.Once(t.Context(), other, "key", true); !errors.Is(err, ErrKeyUsed) {
			t.Errorf("another body: %+v, %v", got, err)
		}
		if got, err := l.Once(t.Context(), msg, "key", false); !errors.Is(err, ErrKeyUsed) {
			t.Errorf("without a reply: %+v, %v", got, err)
		}
		if _, err := l.Once(t.Context(), other, "another key", false); err != nil {
			t.Errorf("another key: %v", err)
		}
		unknown := msg
		unknown.Target.ID = "\xff"
		var refusal *Refusal
		if _, err := l.Once(t.Context(), unknown, "key", true); !errors.As(err, &refusal) {
			t.Errorf("a bad address: %v", err)
		}
		l.stop()
		if err := l.end(); err != nil {
			t.Fatal(err)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	called := slices.DeleteFunc(a.callers, func(id string) bool { return id == "" }) // sends may be called again: they were not waited for
	if len(called) != 1 {
		t.Errorf("the function was called %d times: %q", len(called), called)
	}
}

// TestOnceSilent: whoever waits in vain is told so, and asks again.
func TestOnceSilent(t *testing.T) {
	_, f := serveAnswering(t)
	l := begin(t, newStore(nil), f, func(c *Config) { c.Machine.OnceMax = 1 })
	msg := eventTo("a")
	msg.Argument.Value = []byte("silent")
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if got, err := l.Once(ctx, msg, "key", true); !errors.Is(err, ErrNoReply) {
			t.Errorf("%+v, %v", got, err)
		}
		cancel()
	}
	if got, err := l.Once(t.Context(), msg, "another key", true); !errors.Is(err, ErrNotSent) {
		t.Errorf("beyond the bound: %+v, %v", got, err)
	}
}

// TestAskForWhatIsSetAside: whoever waits for the reply of a message that becomes a dead letter is told so when that is durable.
func TestAskForWhatIsSetAside(t *testing.T) {
	f := serveFunction(t)
	failing(f)
	store := newStore(nil)
	l := begin(t, store, f, func(c *Config) { c.Machine.BackoffMin, c.Machine.BackoffMax = 3_600_000, 3_600_000 })
	asked := make(chan error, 1)
	go func() { _, err := l.Ask(t.Context(), eventTo("a")); asked <- err }()
	l.until("a call that fails", func() bool { return l.failed == 1 })
	if err := l.Skip(t.Context(), eventTo("a").Target, l.view("a").Front.Number, "bob"); err != nil {
		t.Fatal(err)
	}
	if err := <-asked; !errors.Is(err, ErrSetAside) || !strings.Contains(err.Error(), "skipped by an operator") {
		t.Errorf("it is told %v", err)
	}
	if letters, err := store.DeadLetters(t.Context(), 0, 10); err != nil || len(letters) != 1 || letters[0].Caller.Type != ReplyType {
		t.Errorf("dead letters %+v, %v", letters, err)
	}
}
