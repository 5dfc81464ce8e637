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
