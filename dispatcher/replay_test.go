package dispatcher

import (
	"context"
	"errors"
	"slices"
	"strings"
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
				err := l.DiscardOne(t.Context(), d.Number, "ada")
				if err != nil && !errors.Is(err, ErrNothing) {
					t.Error(err)
				}
				found <- err == nil
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
		if err := l.DiscardOne(t.Context(), number, "ada"); !errors.Is(err, ErrNothing) {
			t.Errorf("letter %d, which is not there: %v", number, err)
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
	if err := l.DiscardOne(t.Context(), letters[0].Number, "ada"); err != nil {
		t.Fatal(err)
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
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { first <- l.DiscardOne(ctx, letters[0].Number, "ada") }()
	<-tried
	cancel()
	if err := <-first; !errors.Is(err, ErrSentMaybe) || !errors.Is(err, context.Canceled) {
		t.Errorf("the first one: %v", err)
	}
	go func() { second <- l.DiscardOne(t.Context(), letters[0].Number, "bob") }()
	<-tried // once more, so the second one has had its time
	<-tried
	away.Store(false)
	if err := <-second; !errors.Is(err, ErrNothing) {
		t.Errorf("the second one: %v", err)
	}
	want := statestore.DeadTotal{Origin: "ingress test/in", Letters: 1, Bytes: int64(letters[1].Size())}
	if got := l.totals(); !slices.Equal(got, []statestore.DeadTotal{want}) {
		t.Errorf("counted are %+v, want %+v", got, want)
	}
}

// strays makes the function type unknown to the module as long as it is told to.
func strays(unknown *atomic.Bool) func(*Config) {
	return func(c *Config) {
		declared := c.Function
		c.Function = func(t api.FunctionType) (Function, bool) {
			f, ok := declared(t)
			return f, ok && !unknown.Load()
		}
	}
}

// TestReplayOne: however many ask for a letter at once, also while the outcome of the commit is unknown, its message is called once.
func TestReplayOne(t *testing.T) {
	var n atomic.Int64
	store := newStore(func(c *statestore.Commit) memory.Fault {
		if len(c.DeadEnds) > 0 && n.Add(1)%2 == 1 {
			return memory.FaultLate
		}
		return memory.FaultNone
	})
	l := begin(t, store, serveFunction(t))
	l.aside(0, 3)
	letters, err := store.DeadLetters(t.Context(), 0, 10)
	if err != nil || len(letters) != 3 {
		t.Fatalf("%d letters, %v", len(letters), err)
	}
	number := letters[1].Number
	var objection *Objection
	for what, to := range map[string]*api.Address{
		"without an address": nil, "to a reserved type": {Type: ReplyType, ID: "a"}, "to nobody": {}, "to a bad id": {Type: counter, ID: "\xff"},
	} {
		if err := l.ReplayOne(t.Context(), number, to, "ada"); !errors.As(err, &objection) || objection.Remedy == "" {
			t.Errorf("%s: %v", what, err)
		}
	}
	const askers = 8
	answers := make(chan error, askers)
	for range askers {
		go func() { answers <- l.ReplayOne(t.Context(), number, &api.Address{Type: counter, ID: "a"}, "ada") }()
	}
	times := 0
	for range askers {
		switch err := <-answers; {
		case err == nil:
			times++
		case !errors.Is(err, ErrNothing):
			t.Error(err)
		}
	}
	if times != 1 {
		t.Errorf("the letter was replayed %d times", times)
	}
	l.until("the output", func() bool { return l.got("a") != "" })
	l.arrive(3, "a")
	l.until("the next output", func() bool { return l.got("a") == "1 2" })
	rest, err := store.DeadLetters(t.Context(), 0, 10)
	if err != nil || len(rest) != 2 || rest[0].Number != letters[0].Number || rest[1].Number != letters[2].Number {
		t.Errorf("left is %v, %v", rest, err)
	}
	for _, number := range []uint64{0, number, letters[2].Number + 100, 1 << 63} {
		if err := l.ReplayOne(t.Context(), number, nil, "ada"); !errors.Is(err, ErrNothing) {
			t.Errorf("letter %d, which is not there: %v", number, err)
		}
	}
}

// TestReplayBatches: a selection is replayed batch by batch, in order, each of its letters once and no other; what fails again has a
// number above, and a batch is one act.
func TestReplayBatches(t *testing.T) {
	store, unknown := newStore(nil), &atomic.Bool{}
	f := serveFunction(t)
	unknown.Store(true)
	first := begin(t, store, f, strays(unknown))
	ids := make([]string, 40)
	for i := range ids {
		ids[i] = "a"
	}
	first.arrive(0, ids...)
	if err := first.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	letters, err := store.DeadLetters(t.Context(), 0, 100)
	if err != nil || len(letters) != 40 {
		t.Fatalf("%d letters, %v", len(letters), err)
	}
	all := Selection{Origin: "ingress test/in", Reason: "unknown function", Through: letters[34].Number, Limit: 10}
	b, err := first.Replay(t.Context(), all, "ada")
	if err != nil || b.Done != 0 || len(b.Refused) != 10 || b.End || b.Last != letters[9].Number || b.Refused[3].Number != letters[3].Number || b.Refused[3].Why == "" {
		t.Errorf("replayed where nobody declares the function: %+v, %v", b, err)
	}
	first.stop()
	<-first.ended
	unknown.Store(false)

	l := begin(t, store, f, strays(unknown), func(c *Config) { c.Machine.Incarnation = 2 })
	l.aside(100, 2)
	done := 0
	for again := true; again; again = !b.End {
		if b, err = l.Replay(t.Context(), all, "ada"); err != nil || len(b.Refused) > 0 {
			t.Fatalf("batch %+v, %v", b, err)
		}
		done, all.After = done+b.Done, b.Last
	}
	if done != 35 {
		t.Errorf("%d letters were replayed, want 35", done)
	}
	l.until("the outputs", func() bool { return len(l.outputs["a"]) == 35 })
	rest, err := store.DeadLetters(t.Context(), 0, 100)
	if err != nil || len(rest) != 7 || rest[0].Number != letters[35].Number {
		t.Errorf("left are %d letters, %v", len(rest), err)
	}
	b, err = l.Discard(t.Context(), Selection{Origin: "ingress test/in"}, "bob")
	if err != nil || b.Done != 7 || !b.End {
		t.Errorf("discarded %+v, %v", b, err)
	}
	for _, s := range []Selection{{}, {Origin: "ingress test/other"}, {Reason: "no such"}, {After: 1 << 63}, {Limit: -1}, {Limit: 1 << 40}} {
		if b, err = l.Replay(t.Context(), s, "bob"); err != nil || b.Done != 0 || !b.End {
			t.Errorf("replayed of %+v: %+v, %v", s, b, err)
		}
	}
}

// TestReplayWithoutRoom: a replay is admitted as events are. Where there is no room a batch ends early, which is no error, and a single
// letter says why; the letters stay.
func TestReplayWithoutRoom(t *testing.T) {
	store, unknown := newStore(nil), &atomic.Bool{}
	unknown.Store(true)
	f := serveFunction(t)
	first := begin(t, store, f, strays(unknown))
	first.arrive(0, "a", "b", "c", "d", "e")
	if err := first.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	first.stop()
	<-first.ended
	unknown.Store(false)

	l := begin(t, store, &function{url: "http://127.0.0.1:1/nobody"}, func(c *Config) { c.Machine.Incarnation, c.Machine.KeptBytesMax = 2, 500 })
	b, err := l.Replay(t.Context(), Selection{}, "ada")
	if err != nil || b.Done == 0 || b.Done == 5 || b.End {
		t.Fatalf("the first batch: %+v, %v", b, err)
	}
	letters, err := store.DeadLetters(t.Context(), 0, 10)
	if err != nil || len(letters) != 5-b.Done || b.Last >= letters[0].Number {
		t.Fatalf("left are %+v, %v; the batch ends at %d", letters, err, b.Last)
	}
	again, err := l.Replay(t.Context(), Selection{After: b.Last}, "ada")
	if err != nil || again.Done != 0 || again.End || len(again.Refused) > 0 || again.Last >= letters[0].Number {
		t.Errorf("a batch without room: %+v, %v", again, err)
	}
	var objection *Objection
	if err := l.ReplayOne(t.Context(), letters[0].Number, nil, "ada"); !errors.As(err, &objection) || !strings.Contains(objection.Detail, "bound") {
		t.Errorf("one without room: %v", err)
	}
	if b, err := l.Discard(t.Context(), Selection{}, "ada"); err != nil || b.Done != len(letters) {
		t.Errorf("discarded %+v, %v", b, err)
	}
}

// TestBatchesOfLargeLetters: a batch holds about a mebibyte, and a letter that is larger goes alone; what is not chosen is not held.
func TestBatchesOfLargeLetters(t *testing.T) {
	store := newStore(nil)
	l := begin(t, store, serveFunction(t))
	records := make([]api.Record, 12)
	for i := range records {
		size := 400 << 10
		if i < 3 {
			size = 3 << 20
		}
		records[i] = api.Record{Offset: int64(i), Dead: &api.DeadLetter{Kind: api.DeadRecord, From: "test/in", Reason: "null key", Source: l.source, Offset: int64(i), Value: make([]byte, size)}}
	}
	if err := l.Arrive(t.Context(), l.source, records); err != nil {
		t.Fatal(err)
	}
	var done []int
	for s := (Selection{}); ; {
		b, err := l.Discard(t.Context(), s, "ada")
		if err != nil {
			t.Fatal(err)
		}
		if b.Done > 0 {
			done = append(done, b.Done)
		}
		if s.After = b.Last; b.End {
			break
		}
	}
	if want := []int{1, 1, 1, 2, 2, 2, 2, 1}; !slices.Equal(done, want) {
		t.Errorf("batches of %v letters, want %v", done, want)
	}
	acts, err := store.Acts(t.Context(), 0, 100)
	if err != nil || len(acts) != len(done) {
		t.Errorf("%d acts, %v", len(acts), err)
	}
}
