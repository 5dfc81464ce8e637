package machine_test

import (
	"context"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/memory"
)

// tracing is one machine on one memory store, whose questions and commits are answered at once; calls wait.
type tracing struct {
	t      *testing.T
	store  *memory.Store
	m      *machine.Machine
	now    int64
	inc    uint64
	mail   int // Config.MailBytesMax
	calls  []machine.Call
	traced []*api.Trace // of all commits
	out    []api.Output // delivered
}

func newTracing(t *testing.T) *tracing {
	w := &tracing{t: t, now: 1000}
	w.store = memory.New(memory.Config{Identity: "traces", Lease: time.Nanosecond, Now: func() time.Time { return time.UnixMilli(w.now) }})
	w.begin()
	return w
}

// begin is the start of an incarnation with what the store keeps.
func (w *tracing) begin() *statestore.Claim {
	claim, ok := w.store.TryAcquire(statestore.Member{ID: "m"}, []string{"e"})
	if !ok {
		w.t.Fatal("the store is not given")
	}
	w.inc++
	w.calls = nil
	w.m = machine.New(machine.Config{
		Incarnation: w.inc, Egresses: map[string]machine.Egress{"e": {Outbox: true}}, TimerAhead: 1 << 40, MailBytesMax: w.mail,
		Function: func(t api.FunctionType) (machine.Function, bool) {
			return machine.Function{Endpoint: "http://" + t.Name}, true
		},
	}, claim, w.now)
	return claim
}

// turn goes on until there is nothing to do but calls.
func (w *tracing) turn() {
	ctx := context.Background()
	for again := true; again; {
		w.m.Tick(w.now)
		work := w.m.Work()
		again = false
		for _, l := range work.Loads {
			found, _ := w.store.States(ctx, l.Addresses)
			w.m.Loaded(l.ID, found)
			again = true
		}
		for _, l := range work.MailLoads {
			found, _ := w.store.Mail(ctx, l.Address, l.From, l.BytesMax)
			w.m.MailLoaded(l.ID, found)
			again = true
		}
		if l := work.TimerLoad; l != nil {
			found, _ := w.store.Timers(ctx, l.After, l.Due, l.Limit)
			w.m.TimersLoaded(l.ID, found)
			again = true
		}
		w.calls = append(w.calls, work.Calls...)
		if c := work.Commit; c != nil {
			w.traced = append(w.traced, work.Traced...)
			if err := w.store.Commit(ctx, c); err != nil {
				w.t.Fatal(err)
			}
			w.m.Committed(c.Number)
			again = true
		}
		for _, p := range work.Outputs {
			w.out = append(w.out, p.Outputs...)
		}
	}
}

// take is the call to a function that waits.
func (w *tracing) take(function string) machine.Call {
	w.t.Helper()
	w.turn()
	i := slices.IndexFunc(w.calls, func(c machine.Call) bool { return c.Function.Name == function })
	if i < 0 {
		w.t.Fatalf("no call to %s", function)
	}
	c := w.calls[i]
	w.calls = slices.Delete(w.calls, i, i+1)
	return c
}

func trace(n byte) *api.Trace {
	return &api.Trace{ID: [16]byte{n}, Span: [8]byte{n}, Flags: api.TraceSampled}
}

// carries is one message in a trace, which came at a time.
func (w *tracing) carries(c machine.Call, want *api.Trace, arrived machine.Arrivals) {
	w.t.Helper()
	if diff := cmp.Diff(want, c.Messages[0].Trace); diff != "" {
		w.t.Errorf("the call to %v carries another trace (-want +got):\n%s", c.Target, diff)
	}
	if c.Arrived == nil && arrived != nil || c.Arrived != nil && !slices.Equal(*c.Arrived, arrived) {
		w.t.Errorf("the call to %v says that its messages came at %v, want %v", c.Target, c.Arrived, arrived)
	}
}

// TestTraces: a call's messages, delayed messages, outputs, replies and what comes of an event under a key go on in its trace, through
// packs, timers and the outbox, and a restart.
func TestTraces(t *testing.T) {
	w := newTracing(t)
	source := api.Source{Ingress: "in", Topic: "t"}
	w.m.Started(statestore.Progress{Source: source}, 0)
	w.m.Arrive(source, []api.Record{{Offset: 0, ID: "a", Value: typed("v", "1"), Routes: []api.Route{{Key: "f", Target: functionType("f")}}, Trace: trace(1)}})
	c := w.take("f")
	w.carries(c, trace(1), machine.Arrivals{1000})

	w.now = 2000
	send := func(f string) machine.Send {
		return machine.Send{Target: api.Address{Type: functionType(f), ID: "a"}, Argument: typed("v", "2")}
	}
	w.m.Tick(w.now)
	if f := w.m.Replied(c.ID, &machine.Reply{Trace: trace(2), Sends: []machine.Send{send("g")},
		Delayed: []machine.Delayed{{Send: send("h"), Delay: 5000}}, Outputs: []machine.Output{{Egress: "e", Value: typed("v", "3")}}}); f != nil {
		t.Fatal(f)
	}
	w.carries(w.take("g"), trace(2), machine.Arrivals{2000})
	if diff := cmp.Diff([]*api.Trace{trace(2)}, w.traced); diff != "" {
		t.Errorf("traces of the commit (-want +got):\n%s", diff)
	}
	if len(w.out) != 1 || w.out[0].Trace == nil || *w.out[0].Trace != *trace(2) {
		t.Errorf("outputs %+v, want one in the trace of the call", w.out)
	}

	w.now = 3000
	claim := w.begin()
	if len(claim.Packs) != 1 {
		t.Fatalf("packs %+v, want one", claim.Packs)
	}
	w.carries(w.take("g"), trace(2), machine.Arrivals{3000})
	packs, err := w.store.Outputs(context.Background(), statestore.LaneID{Egress: "e"}, 0, math.MaxInt32)
	if err != nil || len(packs) != 1 || *packs[0].Outputs[0].Trace != *trace(2) {
		t.Errorf("outbox %+v, %v: want one output in the trace", packs, err)
	}
	w.now = 8000
	w.carries(w.take("h"), trace(2), machine.Arrivals{8000})
}

// TestTracesOfEvents: an event is in its trace; so is what it stands for under a key, and what is called through the reply's record.
func TestTracesOfEvents(t *testing.T) {
	w := newTracing(t)
	msg := func(f string, n byte) api.Message {
		return api.Message{Target: api.Address{Type: functionType(f), ID: "a"}, Argument: typed("v", "1"), Trace: trace(n)}
	}
	for i, tell := range []func() *machine.Refusal{
		func() *machine.Refusal { return w.m.Event(msg("f", 1), 1) },
		func() *machine.Refusal { return w.m.Ask(msg("g", 2), "id", 2) },
		func() *machine.Refusal { return w.m.Later(msg("h", 3), 10, "name", 3) },
		func() *machine.Refusal { return w.m.SendOnce(msg("k", 4), onceOf("key", "digest", "nonce"), 4) },
	} {
		if r := tell(); r != nil {
			t.Fatalf("%d: %v", i, r)
		}
	}
	w.carries(w.take("f"), trace(1), machine.Arrivals{1000})
	w.carries(w.take("g"), trace(2), machine.Arrivals{1000})
	w.now += 10
	w.carries(w.take("h"), trace(3), machine.Arrivals{1010})
	w.carries(w.take("k"), trace(4), machine.Arrivals{1000})
}

// TestTracesOfSpilledMail: what has only been in the store is in its trace still.
func TestTracesOfSpilledMail(t *testing.T) {
	w := newTracing(t)
	w.mail = 1 << 10
	w.begin()
	to := api.Address{Type: functionType("f"), ID: "a"}
	for i := range 30 {
		if r := w.m.Event(api.Message{Target: to, Argument: typed("v", string(make([]byte, 200))), Trace: trace(byte(i + 1))}, uint64(i+1)); r != nil {
			t.Fatal(r)
		}
		w.turn()
	}
	stored, err := w.store.Mail(context.Background(), to, 0, math.MaxInt32)
	if err != nil || len(stored) == 0 {
		t.Fatalf("%d messages are spilled, %v: want some", len(stored), err)
	}
	seen := 0
	for seen < 30 {
		c := w.take("f")
		for i := range c.Messages {
			seen++
			if got := c.Messages[i].Trace; got == nil || *got != *trace(byte(seen)) || (*c.Arrived)[i] != 1000 {
				t.Fatalf("message %d is in trace %v, came at %v", seen, got, (*c.Arrived)[i])
			}
		}
		w.m.Replied(c.ID, &machine.Reply{})
	}
}

// TestArrivalIsToldOnce: the same messages are called again and say no second time how long they waited; what is in no sampled trace
// says nothing.
func TestArrivalIsToldOnce(t *testing.T) {
	w := newTracing(t)
	to := api.Address{Type: functionType("f"), ID: "a"}
	out := trace(2)
	out.Flags = 0
	for i, tr := range []*api.Trace{nil, out, trace(1)} {
		if r := w.m.Event(api.Message{Target: to, Trace: tr}, uint64(i+1)); r != nil {
			t.Fatal(r)
		}
	}
	c := w.take("f")
	if c.Arrived == nil || !slices.Equal(*c.Arrived, machine.Arrivals{0, 0, 1000}) {
		t.Errorf("messages came at %v, want the sampled one's time alone", c.Arrived)
	}
	w.m.Failed(c.ID, machine.Failure{Kind: machine.FailAnswer, Text: "no"})
	w.now += 60_000
	if c = w.take("f"); len(c.Messages) != 3 || c.Arrived != nil {
		t.Errorf("a second attempt with %d messages says that they came at %v", len(c.Messages), c.Arrived)
	}
	w.m.Replied(c.ID, &machine.Reply{Trace: out, Sends: []machine.Send{{Target: api.Address{Type: functionType("g"), ID: "a"}}}})
	if c = w.take("g"); c.Arrived != nil || c.Messages[0].Trace == nil || c.Messages[0].Trace.Sampled() {
		t.Errorf("what is sampled out says when it came: %v, in %v", c.Arrived, c.Messages[0].Trace)
	}
	if len(w.traced) > 0 {
		t.Errorf("commits tell of %v, which is sampled out", w.traced)
	}
}
