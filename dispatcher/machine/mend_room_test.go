package machine

import (
	"fmt"
	"testing"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// TestEditOfWhatHasExpired: a state that has expired is not set any more for an edit: it is compared with nothing, and nothing is deleted.
func TestEditOfWhatHasExpired(t *testing.T) {
	m, _ := boundedMachine(t, Config{}, statestore.StateSpec{Name: "s", Expiration: statestore.ExpireAfterWrite, TTL: 1000})
	a, unset := api.Address{Type: busyWell, ID: "a"}, ""
	token := uint64(0)
	edit := func(e Edit) EditOutcome {
		t.Helper()
		token++
		e.State, e.Value = "s", api.TypedValue{TypeName: "t", HasValue: true, Value: []byte("1")}
		m.EditState(a, e, "op", token)
		for range 10 {
			w := m.Work()
			for _, l := range w.Loads {
				m.Loaded(l.ID, make([]statestore.Loaded, len(l.Addresses)))
			}
			if w.Commit != nil {
				m.Committed(w.Commit.Number)
			}
			for _, done := range w.Edited {
				if done.Token == token {
					return done.Outcome
				}
			}
		}
		t.Fatalf("edit %d is not answered", token)
		return 0
	}
	if got := edit(Edit{If: &unset}); got != EditDone {
		t.Fatalf("the first edit: %d", got)
	}
	m.Tick(500)
	if got := edit(Edit{If: &unset}); got != EditChanged {
		t.Errorf("it is set: %d", got)
	}
	m.Tick(1500)
	if got := edit(Edit{If: &unset}); got != EditDone {
		t.Errorf("it has expired, and is to be set if it is not: %d", got)
	}
	m.Tick(3000)
	if got := edit(Edit{Delete: true}); got != EditNothing {
		t.Errorf("it has expired, and is to be deleted: %d", got)
	}
}

// TestReplaysRespectTheOutbox: outputs are replayed as far as the outbox of their egress has room, and the other letters stay.
func TestReplaysRespectTheOutbox(t *testing.T) {
	const most = 10_000
	m, _ := boundedMachine(t, Config{OutboxBytesMax: most, Egresses: map[string]Egress{"x/out": {Outbox: true}}})
	var letters []api.DeadLetter
	for i := range 100 {
		letters = append(letters, api.DeadLetter{
			Kind: api.DeadOutput, Number: uint64(i + 1), Origin: api.OriginEgress("x/out"), From: "x/out",
			Address: api.Address{Type: busyWell, ID: fmt.Sprint(i)}, TypeName: "t", Value: make([]byte, 1000),
		})
	}
	e := m.Replay(letters, nil, "op", "x/out", 1)
	if e.Full == "" || e.Done == 0 || e.Done > 11 || e.Taken != e.Done {
		t.Errorf("%d of %d are done, %d looked at; no room: %q", e.Done, len(letters), e.Taken, e.Full)
	}
	if c := m.Work().Commit; c == nil || len(c.DeadEnds) != e.Done {
		t.Errorf("the commit ends other letters: %+v", c)
	}
}

// TestReplaysRespectEvents: messages are replayed as far as events have room that no commit holds yet, and behind those that wait for it.
func TestReplaysRespectEvents(t *testing.T) {
	m, _ := boundedMachine(t, Config{EventBytesMax: 10_000, KeptBytesMax: 30_000})
	a := api.Address{Type: busyWell, ID: "a"}
	number := uint64(0)
	letters := func() (all []api.DeadLetter) {
		for range 100 {
			number++
			all = append(all, api.DeadLetter{
				Kind: api.DeadMessage, Number: number, Origin: api.OriginFunction(busyWell), From: busyWell.String(), Address: a, TypeName: "t", Value: make([]byte, 1000),
			})
		}
		return all
	}
	work := func() *statestore.Commit {
		w := m.Work()
		for _, l := range w.Loads {
			m.Loaded(l.ID, make([]statestore.Loaded, len(l.Addresses)))
		}
		return w.Commit
	}
	e := m.Replay(letters(), nil, "op", "x/well", 1)
	if e.Full != fullText || e.Done == 0 || e.Done > 11 || e.Taken != e.Done {
		t.Errorf("%d of 100 are done, %d looked at; no room: %q", e.Done, e.Taken, e.Full)
	}
	c := work()
	if c == nil || len(c.DeadEnds) != e.Done {
		t.Fatalf("the commit ends other letters: %+v", c)
	}
	if e = m.Replay(letters(), nil, "op", "x/well", 2); e.Done != 0 || e.Full != fullText {
		t.Errorf("%d are done while no commit holds those before: %q", e.Done, e.Full)
	}
	m.Committed(c.Number)
	work()
	if e = m.Replay(letters(), nil, "op", "x/well", 3); e.Done == 0 {
		t.Errorf("none is done behind the commit: %q", e.Full)
	}

	// The function has as much kept as it may, so an event waits for it; when there is room it comes before what is replayed.
	for m.functions[busyWell].keptBytes < 30_000 {
		if c = work(); c != nil {
			m.Committed(c.Number)
		}
		m.Replay(letters(), nil, "op", "x/well", 0)
	}
	m.Event(api.Message{Target: a, Argument: api.TypedValue{TypeName: "t", HasValue: true, Value: []byte("waits")}}, 9)
	if m.functions[busyWell].events.len() != 1 {
		t.Fatal("the event does not wait")
	}
	m.cfg.KeptBytesMax *= 2
	if e = m.Replay(letters(), nil, "op", "x/well", 4); e.Done != 0 || e.Full != fullText {
		t.Errorf("%d overtake an event that waits: %q", e.Done, e.Full)
	}
}
