package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/memory"
)

func pauseOf(id string) statestore.Pause {
	return statestore.Pause{Kind: statestore.PauseAddress, Address: api.Address{Type: counter, ID: id}, By: "ada"}
}

func ended(p statestore.Pause) statestore.Pause {
	p.Ended = true
	return p
}

var (
	functionPause = statestore.Pause{Kind: statestore.PauseFunction, Address: api.Address{Type: counter}, By: "ada"}
	ingressPause  = statestore.Pause{Kind: statestore.PauseIngress, Ingress: "test/in", By: "ada"}
)

func (l *life) pauseIt(p statestore.Pause) {
	l.t.Helper()
	if _, err := l.Pause(l.t.Context(), p); err != nil {
		l.t.Fatal(err)
	}
}

// TestPauseTellsWhetherItChanges: of two that pause or resume the same thing one is told that it has done so.
func TestPauseTellsWhetherItChanges(t *testing.T) {
	l := begin(t, memory.New(memory.Config{}), serveFunction(t))
	for _, p := range []statestore.Pause{functionPause, ingressPause, pauseOf("ada")} {
		for i, c := range []struct {
			p    statestore.Pause
			want bool
		}{{ended(p), false}, {p, true}, {p, false}, {ended(p), true}, {ended(p), false}} {
			if changed, err := l.Pause(t.Context(), c.p); err != nil || changed != c.want {
				t.Errorf("step %d, %+v: changed %v, %v", i, c.p, changed, err)
			}
		}
	}
	l.pauseIt(functionPause) // is no pause of its addresses
	if changed, err := l.Pause(t.Context(), ended(pauseOf("ada"))); err != nil || changed {
		t.Errorf("an address whose function is paused: changed %v, %v", changed, err)
	}
}

func (l *life) view(id string) machine.View {
	l.t.Helper()
	v, _, err := l.View(l.t.Context(), api.Address{Type: counter, ID: id})
	if err != nil {
		l.t.Fatal(err)
	}
	return v
}

// acts are what the store has of operators, the oldest first.
func acts(t *testing.T, store statestore.Store) (all []string) {
	t.Helper()
	found, err := store.Acts(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range slices.Backward(found) {
		all = append(all, fmt.Sprintf("%s %s %s", a.By, a.What, a.On))
	}
	return all
}

// TestPausedAcrossTakeover: what is paused is not called, by the next owner neither, and goes on in order when it is resumed.
func TestPausedAcrossTakeover(t *testing.T) {
	store, f := newStore(nil), serveFunction(t)
	l := begin(t, store, f)
	l.pauseIt(functionPause)
	l.pauseIt(functionPause) // changes nothing
	l.pauseIt(pauseOf("b"))
	l.arrive(0, "a", "b", "a", "a")
	if v := l.view("a"); v.Phase == "calling" || v.Paused == nil || v.Paused.By != "ada" {
		t.Errorf("paused, and in memory is %+v", v)
	}
	l.stop()
	if err := l.end(); err != nil {
		t.Fatal(err)
	}

	l = begin(t, store, f)
	all, err := l.Paused(t.Context())
	if err != nil || len(all) != 2 || all[0].Address.ID != "b" || all[1].Kind != statestore.PauseFunction || all[1].AtMS == 0 {
		t.Fatalf("paused are %+v, %v", all, err)
	}
	l.arrive(0, "a", "b", "a", "a", "c")
	if err := l.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	called := len(l.outputs) + l.failed
	l.mu.Unlock()
	if called > 0 {
		t.Errorf("%d calls were made of a paused function", called)
	}
	l.pauseIt(ended(functionPause))
	l.until("the outputs of what is not paused by itself", func() bool { return l.got("a") == "1 2 3" && l.got("c") == "1" })
	if l.view("b").Phase != "paused" {
		t.Errorf("the paused address is %+v", l.view("b"))
	}
	l.pauseIt(ended(pauseOf("b")))
	l.until("the output of b", func() bool { return l.got("b") == "1" })
	want := []string{"ada pause function test/count", "ada pause address test/count/b", "ada resume function test/count", "ada resume address test/count/b"}
	if got := acts(t, store); !slices.Equal(got, want) {
		t.Errorf("the store has the acts %q, want %q", got, want)
	}
}

// TestPausedIngressAfterStart: not even the first records after a start come in, and whoever has no source can ask.
func TestPausedIngressAfterStart(t *testing.T) {
	store, f := newStore(nil), serveFunction(t)
	l := begin(t, store, f)
	l.arrive(0, "a")
	l.pauseIt(ingressPause)
	l.stop()
	if err := l.end(); err != nil {
		t.Fatal(err)
	}

	l = begin(t, store, f)
	if !l.PausedIngress("test/in") || l.PausedIngress("test/other") {
		t.Errorf("paused is test/in %v, test/other %v", l.PausedIngress("test/in"), l.PausedIngress("test/other"))
	}
	soon, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	record := api.Record{Offset: 1, ID: "b", Routes: []api.Route{{Key: counter.String(), Target: counter}}}
	if err := l.Arrive(soon, l.source, []api.Record{record}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a paused ingress brings records: %v", err)
	}
	if state, err := l.Overview(t.Context()); err != nil || state.Ingresses["test/in"].Paused[machine.PauseOperator] != 1 {
		t.Errorf("its partitions are %+v, %v", state.Ingresses, err)
	}
	arrived := make(chan error, 1)
	go func() { arrived <- l.Arrive(t.Context(), l.source, []api.Record{record}) }()
	l.pauseIt(ended(ingressPause))
	if err := <-arrived; err != nil || l.PausedIngress("test/in") {
		t.Errorf("resumed, and it arrives with %v, paused %v", err, l.PausedIngress("test/in"))
	}
	l.until("the output", func() bool { return l.got("b") == "1" })
}

// TestPauseDenied: what cannot be paused is denied with what to do, and nothing of it is kept.
func TestPauseDenied(t *testing.T) {
	store := newStore(nil)
	none := api.FunctionType{Namespace: "no", Name: "body"}
	l := begin(t, store, serveFunction(t), func(c *Config) {
		declared := c.Function
		c.Function = func(f api.FunctionType) (Function, bool) {
			if f == none {
				return Function{}, false
			}
			return declared(f)
		}
	})
	for _, p := range []statestore.Pause{
		{}, {Kind: 200}, {Kind: statestore.PauseIngress}, {Kind: statestore.PauseIngress, Ingress: strings.Repeat("i", 1026)}, {Kind: statestore.PauseIngress, Ingress: "\xff"},
		{Kind: statestore.PauseIngress, Ingress: "a\x00"}, {Kind: statestore.PauseFunction}, {Kind: statestore.PauseFunction, Address: api.Address{Type: none}},
		{Kind: statestore.PauseFunction, Address: api.Address{Type: machine.OnceType}}, {Kind: statestore.PauseFunction, Address: api.Address{Type: machine.ReplyType}},
		{Kind: statestore.PauseAddress, Address: api.Address{Type: none, ID: "a"}}, {Kind: statestore.PauseAddress, Address: api.Address{Type: counter, ID: "\xff"}},
		{Kind: statestore.PauseAddress, Address: api.Address{Type: counter, ID: strings.Repeat("i", api.IDBytesMax+1)}},
	} {
		var objection *Objection
		if _, err := l.Pause(t.Context(), p); !errors.As(err, &objection) || objection.Detail == "" || objection.Remedy == "" {
			t.Errorf("pause of %+v: %v", p, err)
		}
	}
	for _, p := range []statestore.Pause{ended(functionPause), ended(ingressPause), ended(pauseOf("never paused"))} {
		l.pauseIt(p)
	}
	if all, err := l.Paused(t.Context()); err != nil || len(all) > 0 || len(acts(t, store)) > 0 {
		t.Errorf("paused are %+v, %v, acts %v", all, err, acts(t, store))
	}
	hostile := pauseOf("id\x00 of " + strings.Repeat("é", 100))
	hostile.By = strings.Repeat("b", 1<<20)
	l.pauseIt(hostile)
	if all, err := l.Paused(t.Context()); err != nil || len(all) != 1 || all[0].Address != hostile.Address || len(all[0].By) > 3000 {
		t.Errorf("paused are %d, %v", len(all), err)
	}
}

// failing has calls fail until mend is called.
func failing(f *function) (mend func()) {
	broken := &atomic.Bool{}
	broken.Store(true)
	f.Before = func(string, string) int {
		if broken.Load() {
			return http.StatusInternalServerError
		}
		return 0
	}
	return func() { broken.Store(false) }
}

// TestRetryAndSkip: an address that would wait for a minute is tried at once, and a message on which its function fails is set aside, once.
func TestRetryAndSkip(t *testing.T) {
	late := 0
	store := newStore(func(c *statestore.Commit) memory.Fault {
		if len(c.DeadLetters) > 0 && late == 0 { // its outcome is unknown at first
			late++
			return memory.FaultLate
		}
		return memory.FaultNone
	})
	f := serveFunction(t)
	mend := failing(f)
	l := begin(t, store, f, func(c *Config) { c.Machine.BackoffMin, c.Machine.BackoffMax = 3_600_000, 3_600_000 })
	a := api.Address{Type: counter, ID: "a"}
	l.arrive(0, "a", "a", "a")
	l.until("a call that fails", func() bool { return l.failed == 1 })
	v := l.view("a")
	if v.Phase != "backoff" || v.Front.Number == 0 || v.Front.Bytes != 1 || v.Front.TypeName != "test/event" {
		t.Fatalf("after the first call %+v", v)
	}
	if err := l.Retry(t.Context(), a, "bob"); err != nil {
		t.Fatal(err)
	}
	l.until("a second one", func() bool { return l.failed == 2 })
	var objection *Objection
	for _, number := range []uint64{0, v.Front.Number + 1, 1 << 63} {
		if err := l.Skip(t.Context(), a, number, "bob"); !errors.As(err, &objection) {
			t.Errorf("message %d is not at the front: %v", number, err)
		}
	}
	mend()
	const askers = 8
	skipped := make(chan error, askers)
	for range askers {
		go func() { skipped <- l.Skip(t.Context(), a, v.Front.Number, "bob") }()
	}
	times := 0
	for range askers {
		if err := <-skipped; err == nil {
			times++
		} else if !errors.As(err, &objection) && !errors.Is(err, ErrNothing) {
			t.Errorf("a skip of what is gone: %v", err)
		}
	}
	l.until("the outputs of the others", func() bool { return l.got("a") == "1 2" })
	letters, err := store.DeadLetters(t.Context(), 0, 10)
	if err != nil || len(letters) != 1 || times != 1 {
		t.Fatalf("skipped %d times, %d dead letters, %v", times, len(letters), err)
	}
	if d := letters[0]; d.Reason != "skipped by an operator" || d.Address != a || d.Offset != 0 || d.Source != l.source || !strings.Contains(d.Detail, "bob") {
		t.Errorf("the dead letter is %+v", d)
	}
	for _, err := range []error{l.Retry(t.Context(), a, "bob"), l.Skip(t.Context(), a, v.Front.Number, "bob"), l.Retry(t.Context(), api.Address{Type: counter, ID: "none"}, "bob")} {
		if !errors.Is(err, ErrNothing) {
			t.Errorf("nothing waits: %v", err)
		}
	}
	if got := acts(t, store); !slices.Equal(got, []string{"bob retry address test/count/a", "bob skip address test/count/a"}) {
		t.Errorf("the store has the acts %q", got)
	}
}

// TestMendGoneAsker: whoever does not wait for the end is told that it is not known, and it takes place all the same.
func TestMendGoneAsker(t *testing.T) {
	store := memory.New(memory.Config{}).Open(memory.Faults{})
	claim, err := store.Acquire(t.Context(), statestore.Member{ID: "a"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	held := &heldStore{Store: store, held: make(chan struct{})}
	d := New(Config{Store: held, Claim: claim, Function: func(api.FunctionType) (Function, bool) { return Function{}, true }})
	run, stop := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- d.Run(run) }()
	soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := d.Pause(soon, ingressPause); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("paused with %v while the store is away", err)
	}
	close(held.held)
	if _, err := d.Pause(t.Context(), ingressPause); err != nil { // the same: it is durable then
		t.Error(err)
	}
	stop()
	if err := <-over; err != nil {
		t.Error(err)
	}
	if _, err := d.Pause(t.Context(), ended(ingressPause)); !errors.Is(err, errStopped) {
		t.Errorf("resumed by an incarnation that is over: %v", err)
	}
	next, err := store.Acquire(t.Context(), statestore.Member{ID: "b"}, nil)
	if err != nil || len(next.Pauses) != 1 {
		t.Errorf("the next owner is told of %+v, %v", next, err)
	}
}
