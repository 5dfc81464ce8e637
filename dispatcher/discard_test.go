package dispatcher

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/memory"
)

// aside brings records that become dead letters.
func (l *life) aside(offset int64, n int) {
	l.t.Helper()
	records := make([]api.Record, n)
	for i := range records {
		records[i] = api.Record{Offset: offset + int64(i), Dead: &api.DeadLetter{Kind: api.DeadRecord, From: "test/in", Reason: "null key", Source: l.source, Offset: offset + int64(i)}}
	}
	if err := l.Arrive(l.t.Context(), l.source, records); err != nil {
		l.t.Fatal(err)
	}
}

func (l *life) totals() (totals []statestore.DeadTotal) {
	l.t.Helper()
	totals, err := look(l.t.Context(), l.Dispatcher, (*machine.Machine).DeadTotals)
	if err != nil {
		l.t.Fatal(err)
	}
	return totals
}

// TestDiscard: however many ask for a letter at once, also while the outcome of the commit is unknown, one of them discards it, and what
// is counted is what the store keeps.
func TestDiscard(t *testing.T) {
	var n atomic.Int64
	store := newStore(func(c *statestore.Commit) memory.Fault {
		if len(c.DeadEnds) > 0 && n.Add(1)%2 == 1 {
			return memory.FaultLate
		}
		return memory.FaultNone
	})
	l := begin(t, store, serveFunction(t))
	l.aside(0, 6)
	letters, err := store.DeadLetters(t.Context(), 0, 10)
	if err != nil || len(letters) != 6 {
		t.Fatalf("%d letters, %v", len(letters), err)
	}
	for _, d := range letters[1:4] {
		const askers = 8
		found := make(chan bool, askers)
		for range askers {
			go func() {
				ok, err := l.Discard(t.Context(), d.Number)
				if err != nil {
					t.Error(err)
				}
				found <- ok
			}()
		}
		times := 0
		for range askers {
			if <-found {
				times++
			}
		}
		if times != 1 {
			t.Errorf("letter %d was discarded %d times", d.Number, times)
		}
	}
	for _, number := range []uint64{0, letters[1].Number, letters[5].Number + 1, 1 << 62} {
		if ok, err := l.Discard(t.Context(), number); ok || err != nil {
			t.Errorf("letter %d, which is not there: %v, %v", number, ok, err)
		}
	}
	rest, err := store.DeadLetters(t.Context(), 0, 10)
	if err != nil || len(rest) != 3 || rest[0].Number != letters[0].Number || rest[1].Number != letters[4].Number || rest[2].Number != letters[5].Number {
		t.Errorf("left is %v, %v", rest, err)
	}
	want := statestore.DeadTotal{Origin: "ingress test/in", Letters: 3, Bytes: int64(rest[0].Size() + rest[1].Size() + rest[2].Size())}
	if got := l.totals(); !slices.Equal(got, []statestore.DeadTotal{want}) {
		t.Errorf("counted are %+v, want %+v", got, want)
	}
}

// TestSourceWaitsAtTheBound: at the bound of its ingress a source brings nothing more, and goes on when a letter is discarded.
func TestSourceWaitsAtTheBound(t *testing.T) {
	store := newStore(nil)
	l := begin(t, store, serveFunction(t), func(c *Config) { c.Machine.DeadLettersMax = 2 })
	l.aside(0, 2)
	reasons, err := l.Reasons(t.Context())
	if err != nil || len(reasons) != 1 || reasons[0].Kind != "deadletters" {
		t.Fatalf("reasons %+v, %v", reasons, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	arrived := make(chan error, 1)
	go func() { arrived <- l.Arrive(ctx, l.source, []api.Record{{Offset: 2}}) }()
	if room := l.gate(l.source).room(); room == nil {
		t.Error("the source may bring more")
	}
	cancel()
	if err := <-arrived; !errors.Is(err, context.Canceled) {
		t.Errorf("arrived with %v", err)
	}
	letters, err := store.DeadLetters(t.Context(), 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := l.Discard(t.Context(), letters[0].Number); !ok || err != nil {
		t.Fatalf("discarded %v, %v", ok, err)
	}
	l.arrive(2, "a")
	l.until("the output", func() bool { return l.got("a") == "1" })
}

// TestDiscardWhoseAskerIsGone: the next one waits until it is known what became of the letter, and finds it gone.
func TestDiscardWhoseAskerIsGone(t *testing.T) {
	var away atomic.Bool
	tried := make(chan struct{}, 1)
	store := newStore(func(c *statestore.Commit) memory.Fault {
		if len(c.DeadEnds) == 0 || !away.Load() {
			return memory.FaultNone
		}
		select {
		case tried <- struct{}{}:
		default:
		}
		return memory.FaultUnavailable
	})
	l := begin(t, store, serveFunction(t))
	l.aside(0, 2)
	letters, err := store.DeadLetters(t.Context(), 0, 10)
	if err != nil || len(letters) != 2 {
		t.Fatalf("%d letters, %v", len(letters), err)
	}
	away.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	type answer struct {
		found bool
		err   error
	}
	first, second := make(chan answer, 1), make(chan answer, 1)
	go func() { ok, err := l.Discard(ctx, letters[0].Number); first <- answer{ok, err} }()
	<-tried
	cancel()
	go func() { ok, err := l.Discard(t.Context(), letters[0].Number); second <- answer{ok, err} }()
	<-tried // once more, so the second one has had its time
	<-tried
	away.Store(false)
	if a := <-first; !a.found || a.err != nil {
		t.Errorf("the first one: %+v", a)
	}
	if a := <-second; a.found || a.err != nil {
		t.Errorf("the second one: %+v", a)
	}
	want := statestore.DeadTotal{Origin: "ingress test/in", Letters: 1, Bytes: int64(letters[1].Size())}
	if got := l.totals(); !slices.Equal(got, []statestore.DeadTotal{want}) {
		t.Errorf("counted are %+v, want %+v", got, want)
	}
}
