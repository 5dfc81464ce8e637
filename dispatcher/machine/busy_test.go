package machine

import (
	"fmt"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/memory"
)

// busy is addresses with large states, of two functions: one hangs.
type busy struct {
	t     *testing.T
	m     *Machine
	store *memory.Store
	now   int64
	large []byte // the state of each address: all share its memory

	hangs                        bool
	out                          []*Call // those that hang
	done                         map[string]int
	statesMax, callsMax, loadMax int
	loads                        int // addresses whose states were asked for
}

var (
	busyWell  = api.FunctionType{Namespace: "x", Name: "well"}
	busyHangs = api.FunctionType{Namespace: "x", Name: "hangs"}
	busySmall = api.FunctionType{Namespace: "x", Name: "small"} // without states
)

// TestStatesInUseAreBounded: thousands of addresses of large states that all have something to do are loaded as far as there is room, and
// called as far as there is; an endpoint that hangs, and with it all that waits for it, leaves room to the others; and in the end each is
// called once.
func TestStatesInUseAreBounded(t *testing.T) {
	const state, each, busyMax, callMax = 1 << 20, 1000, 64 << 20, 32 << 20
	b := &busy{t: t, now: 1, large: make([]byte, state), hangs: true, done: map[string]int{}}
	b.store = memory.New(memory.Config{Identity: "busy", Lease: time.Nanosecond, Now: func() time.Time { return time.UnixMilli(b.now) }})
	claim, _ := b.store.TryAcquire(statestore.Member{ID: "m"}, nil)
	for _, f := range []api.FunctionType{busyWell, busyHangs} {
		claim.Functions = append(claim.Functions, statestore.FunctionSpec{Function: f, States: []statestore.StateSpec{{Name: "s"}}})
	}
	b.m = New(Config{
		Function: func(t api.FunctionType) (Function, bool) {
			return Function{Endpoint: "http://" + t.Name, Timeout: 5000, Budget: 20_000}, true
		},
		SourceMessagesMax: 2 * each, BusyBytesMax: busyMax, CallBytesMax: callMax, CacheBytesMax: 1 << 20, TimerAhead: 1 << 40,
	}, claim, b.now)
	stuck, free := api.Source{Ingress: "in", Topic: "hangs"}, api.Source{Ingress: "in", Topic: "well"}
	b.m.Started(statestore.Progress{Source: stuck}, 0)
	b.m.Started(statestore.Progress{Source: free}, 0)
	well, hangs := []api.Route{{Key: "well", Target: busyWell}}, []api.Route{{Key: "hangs", Target: busyHangs}}
	for i := range int64(each) { // those that hang come first
		b.m.Arrive(stuck, []api.Record{{Offset: i, ID: fmt.Sprint("h", i), Routes: hangs}})
	}
	for i := range int64(each) {
		b.m.Arrive(free, []api.Record{{Offset: i, ID: fmt.Sprint("w", i), Routes: well}})
	}
	for range 10 { // until those that hang have what they can get
		b.m.Tick(b.now)
		b.play()
		b.now += 50
	}
	small := api.Source{Ingress: "in", Topic: "small"}
	b.m.Started(statestore.Progress{Source: small}, 0)
	for i := range int64(each) {
		b.m.Arrive(small, []api.Record{{Offset: i, ID: fmt.Sprint("s", i), Routes: []api.Route{{Key: "small", Target: busySmall}}}})
	}
	b.play()
	if n := b.count("s"); n != each {
		t.Errorf("%d of %d addresses without states were called at once: the others wait behind those that hang", n, each)
	}
	b.until("those of the endpoint that works", func() bool { return b.count("w") == each })
	if b.now > 2000 {
		t.Errorf("those of the endpoint that works took %d ms: they wait for the room of those that hang", b.now)
	}
	if n := b.count("h"); n != 0 {
		t.Errorf("%d calls of the endpoint that hangs have been answered", n)
	}
	b.hangs = false
	b.until("all others", func() bool { return b.count("h") == each && b.m.mailBytes == 0 })
	for id, n := range b.done {
		if n != 1 {
			t.Errorf("%s was called %d times with its message", id, n)
		}
	}
	if limit := busyMax + loadFirst*(state+100); b.statesMax > limit {
		t.Errorf("states in use took %d bytes, want at most %d", b.statesMax, limit)
	}
	if limit := callMax + state + 1000; b.callsMax > limit {
		t.Errorf("calls took %d bytes, want at most %d", b.callsMax, limit)
	}
	if b.loadMax > busyMax+loadFirst*(state+100) {
		t.Errorf("one load brought %d bytes", b.loadMax)
	}
	t.Logf("after %d s; at most %d MiB of states in use, %d MiB in calls, %d MiB in a load", b.now/1000, b.statesMax>>20, b.callsMax>>20, b.loadMax>>20)
}

func (b *busy) count(kind string) (n int) {
	for id := range b.done {
		if id[:1] == kind {
			n++
		}
	}
	return n
}

// until lets time pass until something is so.
func (b *busy) until(what string, so func() bool) {
	b.t.Helper()
	for end := b.now + 600_000; !so(); b.now += 50 {
		if b.now > end {
			b.t.Fatalf("%s are not done after %d s: %d and %d; %d bytes of states in use, %d in calls", what, b.now/1000, b.count("w"), b.count("h"), b.m.busyBytes, b.m.calledBytes)
		}
		b.m.Tick(b.now)
		b.play()
	}
}

// play answers everything until nothing is to be done.
func (b *busy) play() {
	ctx := b.t.Context()
	for again := true; again; {
		out := b.out[:0]
		for _, c := range b.out {
			switch f, ok := b.m.flights[c.ID.N]; {
			case !ok:
			case !b.hangs:
				b.answer(c)
			case b.now-f.built >= c.Timeout:
				b.m.Failed(c.ID, Failure{Kind: FailTimeout, Text: "no answer"})
			default:
				out = append(out, c)
			}
		}
		b.out = out
		w := b.m.Work()
		b.statesMax, b.callsMax = max(b.statesMax, b.m.busyBytes), max(b.callsMax, b.m.calledBytes)
		again = len(w.Calls)+len(w.Loads)+len(w.MailLoads)+len(w.Spills) > 0 || w.Commit != nil
		for i := range w.Calls {
			if c := &w.Calls[i]; c.Function == busyHangs && b.hangs {
				b.out = append(b.out, c)
			} else {
				b.answer(c)
			}
		}
		for _, l := range w.Loads {
			found, _ := b.store.States(ctx, l.Addresses)
			b.loads += len(found)
			for i := range found {
				if l.Addresses[i].Type != busySmall {
					found[i].Values = []statestore.StateValue{{Name: "s", Value: b.large}}
				}
			}
			before := b.m.busyBytes
			b.m.Loaded(l.ID, found)
			b.loadMax = max(b.loadMax, b.m.busyBytes-before)
			b.statesMax = max(b.statesMax, b.m.busyBytes)
		}
		for _, l := range w.MailLoads {
			found, _ := b.store.Mail(ctx, l.Address, l.From, l.BytesMax)
			b.m.MailLoaded(l.ID, found)
		}
		for _, l := range w.Spills {
			found, next, _ := b.store.SpilledAddresses(ctx, l.Function, l.Cursor, l.Limit)
			b.m.SpillsLoaded(l.ID, found, next)
		}
		if w.TimerLoad != nil {
			b.m.TimersLoaded(w.TimerLoad.ID, nil)
		}
		if w.Commit != nil {
			if err := b.store.Commit(ctx, w.Commit); err != nil {
				b.t.Fatal(err)
			}
			b.m.Committed(w.Commit.Number)
		}
		if err := b.m.Invariants(); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *busy) answer(c *Call) {
	b.done[c.Target.ID]++
	b.m.Replied(c.ID, &Reply{})
}
