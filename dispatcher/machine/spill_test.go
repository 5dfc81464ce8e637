package machine

import (
	"strconv"
	"testing"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// TestSpillingWaitsForLoads: what one reply sends to very many addresses is over the bound of mailboxes, and cannot be spilled before their
// states are there. Cuts do not look through all of them again and again meanwhile; when they are there, what is over the bound is spilled.
func TestSpillingWaitsForLoads(t *testing.T) {
	const addresses, mailMax = 4000, 64 << 10
	m := New(Config{
		Function: func(t api.FunctionType) (Function, bool) { return Function{Endpoint: "http://" + t.Name}, true },
		Slots:    1, MailBytesMax: mailMax, TimerAhead: 1 << 40,
	}, &statestore.Claim{}, 1)
	source := api.Source{Ingress: "in", Topic: "t"}
	m.Started(statestore.Progress{Source: source}, 0)
	m.Arrive(source, []api.Record{{Offset: 0, ID: "s", Routes: []api.Route{{Key: "sender", Target: floodSender}}}})
	sends := make([]Send, addresses)
	for i := range sends {
		sends[i] = Send{Target: api.Address{Type: floodTarget, ID: strconv.Itoa(i)}, Argument: api.TypedValue{TypeName: "a/b", HasValue: true, Value: make([]byte, 100)}}
	}
	var loads []Load
	now, cuts := int64(1), 0
	play := func(answer bool) {
		now += 20
		m.Tick(now)
		w := m.Work()
		loads = append(loads, w.Loads...)
		for _, c := range w.Calls {
			if c.Function == floodSender { // the other one never answers
				m.Replied(c.ID, &Reply{Sends: sends})
				sends = nil
			}
		}
		if w.Commit != nil {
			cuts++
			m.Committed(w.Commit.Number)
		}
		for answer && len(loads) > 0 || sends != nil && len(loads) > 0 {
			m.Loaded(loads[0].ID, make([]statestore.Loaded, len(loads[0].Addresses)))
			loads = loads[1:]
		}
		if err := m.Invariants(); err != nil {
			t.Fatal(err)
		}
	}
	for sends != nil {
		play(false)
	}
	cuts = 0
	offset := int64(0)
	next := func(answer bool) { // something to commit
		offset++
		m.Arrive(source, []api.Record{{Offset: offset, ID: "s", Routes: []api.Route{{Key: "sender", Target: floodSender}}}})
		play(answer)
	}
	for range 100 {
		next(false)
	}
	if m.spillLooks > 1 {
		t.Errorf("%d cuts looked %d times through all addresses", cuts, m.spillLooks)
	}
	if m.mailBytes <= mailMax || cuts < 10 {
		t.Fatalf("%d bytes wait, %d cuts: the test has lost its meaning", m.mailBytes, cuts)
	}
	for i := 0; i < 200 && m.mailBytes > mailMax; i++ {
		next(true)
	}
	if m.mailBytes > mailMax {
		t.Errorf("%d bytes are in memory when all is loaded, the bound is %d", m.mailBytes, mailMax)
	}
}

// TestVainSqueezes: what fills memory is in calls that hang, and mail waits in the store for the room. To look for room again each second
// would be a commit and a walk over all addresses each time, for nothing.
func TestVainSqueezes(t *testing.T) {
	b := &busy{t: t, now: 1, hangs: true, done: map[string]int{}}
	b.m, b.store = boundedMachine(t, Config{MailBytesMax: 1 << 20, MailWindow: 64 << 10})
	for _, topic := range []string{"w", "h"} {
		b.m.Started(statestore.Progress{Source: api.Source{Ingress: "in", Topic: topic}}, 0)
	}
	arrive := func(n int64, id string, bytes int, target api.FunctionType) {
		b.m.Arrive(api.Source{Ingress: "in", Topic: id}, []api.Record{{Offset: n, ID: id, Value: api.TypedValue{Value: make([]byte, bytes)}, Routes: []api.Route{{Key: id, Target: target}}}})
		b.m.Tick(b.now)
		b.play()
		b.now += 50
	}
	paused := statestore.Pause{Kind: statestore.PauseFunction, Address: api.Address{Type: busyWell}}
	b.m.Pause(paused, 0)
	for i := range int64(8) {
		arrive(i, "w", 60<<10, busyWell)
	}
	arrive(0, "h", 700<<10, busyHangs)
	b.out = nil // it hangs for good
	b.until("what is paused leaves memory", func() bool { return b.m.functions[busyWell].stored > 0 })
	paused.Ended = true
	b.m.Pause(paused, 0)
	b.m.Tick(b.now)
	b.play()
	if b.m.unwatched.len() == 0 || b.m.roomy() {
		t.Fatalf("%d addresses wait in the store, %d bytes are in memory", b.m.unwatched.len(), b.m.mailBytes)
	}
	before := b.m.stats.Commits
	for end := b.now + 100_000; b.now < end; b.now += 50 {
		b.m.Tick(b.now)
		b.play()
	}
	if made := b.m.stats.Commits - before; made > 30 {
		t.Errorf("%d commits in 100 s in which nothing happens", made)
	}
}
