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
