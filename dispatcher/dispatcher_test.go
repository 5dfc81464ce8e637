package dispatcher

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/dispatcher/endpoint"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/internal/testfunction"
	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 90 * time.Second

var counter = api.FunctionType{Namespace: "test", Name: "count"}

// life is a dispatcher on a store, with a source and a sink of the test's own.
type life struct {
	*Dispatcher
	t      *testing.T
	source api.Source
	ended  chan error
	stop   context.CancelFunc

	mu      sync.Mutex
	outputs map[string][]string // by key; guarded by mu
	results map[string]int      // of commits; guarded by mu
	failed  int                 // calls; guarded by mu
	changed chan struct{}       // guarded by mu
}

type function struct {
	*testfunction.Handler
	url string
}

func serveFunction(t *testing.T) *function {
	f := &function{Handler: &testfunction.Handler{}}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

// begin claims the store and runs an incarnation on it.
func begin(t *testing.T, store statestore.Store, f *function, change ...func(*Config)) *life {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	claim, err := store.Acquire(ctx, statestore.Member{ID: fmt.Sprint(t.Name(), time.Now().UnixNano())}, []string{"test/out"})
	if err != nil {
		t.Fatal(err)
	}
	l := &life{
		t: t, source: api.Source{Ingress: "test/in", Topic: "events"}, ended: make(chan error, 1),
		outputs: map[string][]string{}, results: map[string]int{}, changed: make(chan struct{}),
	}
	pool := endpoint.NewPool()
	t.Cleanup(pool.Close)
	cfg := Config{
		Store: store, Claim: claim, Machine: machine.Config{Incarnation: 1}, Pool: pool, Log: slog.New(slog.DiscardHandler), RenewEvery: 50 * time.Millisecond,
		Function: func(api.FunctionType) (Function, bool) {
			return Function{Function: machine.Function{Endpoint: f.url}, Spec: endpoint.Spec{URL: f.url}}, true
		},
		Egresses: map[string]machine.Egress{"test/out": {Outbox: true}}, Deliver: l.deliver,
		Hooks: Hooks{Call: func(_ api.FunctionType, result string, _ time.Duration) {
			if result != "ok" && result != "incomplete" {
				l.note(func() { l.failed++ })
			}
		}, Commit: func(result string, _ time.Duration, _ int) { l.note(func() { l.results[result]++ }) }},
	}
	for _, c := range change {
		c(&cfg)
	}
	l.Dispatcher = New(cfg)
	run, stop := context.WithCancel(context.Background())
	l.stop = stop
	over := make(chan struct{})
	go func() { l.ended <- l.Run(run); close(over) }()
	t.Cleanup(func() { stop(); <-over })
	return l
}

func (l *life) note(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *life) deliver(p statestore.OutputPack) {
	l.record(p)
	l.Delivered(p.Lane, p.First+uint64(len(p.Outputs)))
}

func (l *life) record(p statestore.OutputPack) {
	l.note(func() {
		for _, o := range p.Outputs {
			var r protocol.KafkaProducerRecord
			if err := proto.Unmarshal(o.Value.Value, &r); err != nil {
				l.t.Error(err)
			}
			l.outputs[string(r.Key)] = append(l.outputs[string(r.Key)], string(r.ValueBytes))
		}
	})
}

// until waits for something that notes change.
func (l *life) until(what string, ok func() bool) {
	l.t.Helper()
	limit := time.After(patience)
	for {
		l.mu.Lock()
		done, changed := ok(), l.changed
		l.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case err := <-l.ended:
			l.t.Fatalf("%s: the incarnation ended: %v", what, err)
		case <-limit:
			l.t.Fatalf("waited %v: %s", patience, what)
		}
	}
}

func (l *life) got(key string) string { return strings.Join(l.outputs[key], " ") }

// arrive brings one record for each id, from an offset on.
func (l *life) arrive(offset int64, ids ...string) {
	l.t.Helper()
	if _, ok := l.Progress(l.source); !ok {
		if err := l.Start(l.t.Context(), []statestore.Progress{{Source: l.source}}); err != nil {
			l.t.Fatal(err)
		}
	}
	records := make([]api.Record, len(ids))
	for i, id := range ids {
		records[i] = api.Record{Offset: offset + int64(i), ID: id, Value: api.TypedValue{TypeName: "test/event", HasValue: true, Value: []byte("x")},
			Routes: []api.Route{{Key: counter.String(), Target: counter}}}
	}
	if err := l.Arrive(l.t.Context(), l.source, records); err != nil {
		l.t.Fatal(err)
	}
}

func newStore(fault func(c *statestore.Commit) memory.Fault) *memory.Store {
	return memory.New(memory.Config{Lease: time.Second, Faults: memory.Faults{Commit: fault}})
}

func TestCommitWhoseOutcomeIsUnknown(t *testing.T) {
	for _, fault := range []memory.Fault{memory.FaultUnavailable, memory.FaultLost, memory.FaultDone, memory.FaultLate} {
		t.Run(fmt.Sprint(fault), func(t *testing.T) {
			var n atomic.Int64
			l := begin(t, newStore(func(*statestore.Commit) memory.Fault {
				if n.Add(1)%2 == 0 {
					return fault
				}
				return memory.FaultNone
			}), serveFunction(t))
			for i := range 10 {
				l.arrive(int64(i), "a")
				l.until("the output", func() bool { return len(l.outputs["a"]) == i+1 })
			}
			l.until("commits in doubt", func() bool { return l.results["doubt"]+l.results["unavailable"] >= 3 })
			l.mu.Lock()
			defer l.mu.Unlock()
			if got := l.got("a"); got != "1 2 3 4 5 6 7 8 9 10" {
				t.Errorf("got outputs %q", got)
			}
		})
	}
}

// TestStoreThatWentBack: a store that has forgotten what it confirmed ends the program, and nothing is delivered on top of it.
func TestStoreThatWentBack(t *testing.T) {
	store := newStore(nil)
	back := &backStore{Store: store}
	l := begin(t, store, serveFunction(t), func(c *Config) { c.Store = back })
	l.arrive(0, "a")
	l.until("the output", func() bool { return l.got("a") == "1" })
	back.gone.Store(true)
	l.arrive(1, "a")
	if err := l.end(); !errors.Is(err, ErrWentBack) {
		t.Errorf("ended with %v, want %v", err, ErrWentBack)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if got := l.got("a"); got != "1" {
		t.Errorf("delivered %q", got)
	}
}

// backStore answers, once gone, like a copy from before the first commit.
type backStore struct {
	*memory.Store
	gone atomic.Bool
}

func (s *backStore) Commit(ctx context.Context, c *statestore.Commit) error {
	if s.gone.Load() {
		return fmt.Errorf("connection lost: %w", statestore.ErrDoubt)
	}
	return s.Store.Commit(ctx, c)
}

func (s *backStore) LastCommit(ctx context.Context, f statestore.Fence) (uint64, error) {
	if s.gone.Load() {
		return 0, nil
	}
	return s.Store.LastCommit(ctx, f)
}

// end waits for the incarnation's own end.
func (l *life) end() error {
	l.t.Helper()
	select {
	case err := <-l.ended:
		return err
	case <-time.After(patience):
		l.t.Fatal("the incarnation does not end")
		return nil
	}
}

// TestTakenOver: what a member has gathered that was taken over is neither committed nor delivered; the successor does it anew.
func TestTakenOver(t *testing.T) {
	first := newStore(nil)
	f := serveFunction(t)
	hold := make(chan struct{})
	f.Before = func(_, id string) int {
		if id == "late" {
			<-hold
		}
		return 0
	}
	l := begin(t, first, f)
	l.arrive(0, "a", "late")
	l.until("the output", func() bool { return l.got("a") == "1" })

	second := first.Open(memory.Faults{})
	if err := first.Release(t.Context(), l.cfg.Claim.Fence); err != nil { // as a takeover does, it raises the epoch
		t.Fatal(err)
	}
	close(hold)
	if err := l.end(); !errors.Is(err, statestore.ErrFenced) {
		t.Errorf("ended with %v, want %v", err, statestore.ErrFenced)
	}
	next := begin(t, second, f)
	p, ok := next.Progress(l.source)
	if !ok || p.Position() != 1 {
		t.Fatalf("position %d (%v), want 1: the record that was not finished", p.Position(), ok)
	}
	next.arrive(p.Position(), "late")
	next.until("the output", func() bool { return next.got("late") == "1" })
	l.mu.Lock()
	defer l.mu.Unlock()
	if got := l.got("late"); got != "" {
		t.Errorf("the member that was taken over delivered %q", got)
	}
}

func TestStoreAway(t *testing.T) {
	var away atomic.Bool
	fail := func(string) error {
		if away.Load() {
			return errors.New("away")
		}
		return nil
	}
	store := memory.New(memory.Config{Lease: time.Second, Faults: memory.Faults{Call: fail, Commit: func(*statestore.Commit) memory.Fault {
		if away.Load() {
			return memory.FaultUnavailable
		}
		return memory.FaultNone
	}}})
	told := make(chan string, 100)
	l := begin(t, &unavailable{store}, serveFunction(t), func(c *Config) {
		c.Hooks.Degraded = func(key, _ string) { told <- key }
	})
	l.arrive(0, "a")
	l.until("the output", func() bool { return l.got("a") == "1" })
	away.Store(true)
	l.arrive(1, "a", "b")
	if key := <-told; !strings.HasPrefix(key, "store ") {
		t.Errorf("degraded by %q", key)
	}
	if l.StoreAway() == "" {
		t.Error("the store is away, and nobody is told")
	}
	away.Store(false)
	l.until("the outputs", func() bool { return l.got("a") == "1 2" && l.got("b") == "1" })
}

// unavailable makes the faults of calls what a server that is away answers.
type unavailable struct{ *memory.Store }

func (s *unavailable) States(ctx context.Context, a []api.Address) ([]statestore.Loaded, error) {
	found, err := s.Store.States(ctx, a)
	if err != nil {
		err = fmt.Errorf("%w: %w", statestore.ErrUnavailable, err)
	}
	return found, err
}

func (s *unavailable) Renew(ctx context.Context, f statestore.Fence) error {
	err := s.Store.Renew(ctx, f)
	if err != nil && !errors.Is(err, statestore.ErrFenced) {
		err = fmt.Errorf("%w: %w", statestore.ErrUnavailable, err)
	}
	return err
}

// TestDrain: calls that are out end and are committed; messages behind them are not called any more.
func TestDrain(t *testing.T) {
	f := serveFunction(t)
	reached, hold := make(chan struct{}, 10), make(chan struct{})
	f.Before = func(_, id string) int {
		if id == "a" {
			reached <- struct{}{}
			<-hold
		}
		return 0
	}
	store := newStore(nil)
	l := begin(t, store, f)
	l.arrive(0, "before") // so that the function's states are known
	l.until("the output", func() bool { return l.got("before") == "1" })
	l.arrive(1, "a")
	<-reached
	l.arrive(2, "a", "a")
	drained := make(chan error, 1)
	go func() { drained <- l.Drain(t.Context()) }()
	select {
	case err := <-drained:
		t.Fatalf("drained with a call out: %v", err)
	case <-time.After(30 * time.Millisecond): // the negative cannot be waited for
	}
	close(hold)
	if err := <-drained; err != nil {
		t.Fatal(err)
	}
	if err := l.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p, _ := l.Progress(l.source); p.Position() != 2 {
		t.Errorf("position %d, want 2", p.Position())
	}
	found, err := store.States(t.Context(), []api.Address{{Type: counter, ID: "a"}})
	if err != nil || len(found[0].Values) != 1 || binary.LittleEndian.Uint64(found[0].Values[0].Value[1:]) != 1 {
		t.Errorf("state %+v, %v, want one count of 1", found, err)
	}
}

func TestDrainOutOfTime(t *testing.T) {
	f := serveFunction(t)
	reached := make(chan struct{}, 1)
	f.Before = func(string, string) int { reached <- struct{}{}; return 0 }
	l := begin(t, newStore(nil), f)
	l.arrive(0, "hang-1")
	<-reached
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := l.Drain(ctx); err == nil || !strings.Contains(err.Error(), "waited for a call that had not ended") {
		t.Errorf("got %v, want what it waited for", err)
	}
}

// TestHostileReplies go through the whole way of a reply; each fails its call alone, with a text that says why.
func TestHostileReplies(t *testing.T) {
	mutation := func(m *protocol.FromFunction_PersistedValueMutation) []byte {
		b, err := proto.Marshal(&protocol.FromFunction{Response: &protocol.FromFunction_InvocationResult{
			InvocationResult: &protocol.FromFunction_InvocationResponse{StateMutations: []*protocol.FromFunction_PersistedValueMutation{m}}}})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	missing := func(name string) []byte {
		b, err := proto.Marshal(&protocol.FromFunction{Response: &protocol.FromFunction_IncompleteInvocationContext_{
			IncompleteInvocationContext: &protocol.FromFunction_IncompleteInvocationContext{
				MissingValues: []*protocol.FromFunction_PersistedValueSpec{{StateName: name}}}}})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, c := range []struct {
		name  string
		reply []byte
		want  string
	}{
		{"garbage", []byte{0xff, 0xff}, "decode reply"},
		{"unregistered state", mutation(&protocol.FromFunction_PersistedValueMutation{StateName: "x"}), `state "x"`},
		{"unknown mutation", mutation(&protocol.FromFunction_PersistedValueMutation{StateName: "x", MutationType: 7}), "unknown kind 7"},
		{"state without a name", missing(""), "1 to 512 bytes"},
		{"state with a long name", missing(strings.Repeat("n", 513)), "1 to 512 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("Content-Type", protocol.ContentType)
				_, _ = w.Write(c.reply)
			}))
			defer server.Close()
			l := begin(t, newStore(nil), &function{url: server.URL})
			l.arrive(0, "a")
			for limit := time.Now().Add(patience); ; {
				v, _, err := l.View(t.Context(), api.Address{Type: counter, ID: "a"})
				if err != nil {
					t.Fatal(err)
				}
				if v.LastError != "" {
					if !strings.Contains(v.LastError, c.want) {
						t.Errorf("got %q, want %q in it", v.LastError, c.want)
					}
					return
				}
				if time.Now().After(limit) {
					t.Fatal("no error is seen")
				}
			}
		})
	}
}
