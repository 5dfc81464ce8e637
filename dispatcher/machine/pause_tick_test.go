package machine

import (
	"testing"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// TestPausedIngressNeedsNoTick: a source whose ingress is paused waits for an operator, and not for the time; resumed while it is full for
// another reason, or when it becomes full, it waits for the time again.
func TestPausedIngressNeedsNoTick(t *testing.T) {
	m, _ := boundedMachine(t, Config{SourceMessagesMax: 1, HoldMax: 1 << 40, MailBytesMax: 1 << 30})
	src := api.Source{Ingress: "in", Topic: "t"}
	m.Started(statestore.Progress{Source: src}, 0)
	pause := func(ended bool) {
		t.Helper()
		if d := m.Pause(statestore.Pause{Kind: statestore.PauseIngress, Ingress: "in", Ended: ended}, 0); d != nil {
			t.Fatalf("denied: %+v", d)
		}
	}
	ticks := func(want bool) Work {
		t.Helper()
		w := m.Work()
		for w.Commit != nil {
			m.Committed(w.Commit.Number)
			next := m.Work()
			w.Loads, w.Commit, w.Tick = append(w.Loads, next.Loads...), next.Commit, next.Tick
		}
		if got := w.Tick <= m.nextHold; got != want {
			t.Errorf("at %d it wants to be told the time at %d, it is looked for room at %d: %v, want %v", m.now, w.Tick, m.nextHold, got, want)
		}
		if err := m.Invariants(); err != nil {
			t.Error(err)
		}
		return w
	}
	ticks(false)
	pause(false)
	ticks(false)
	pause(true)
	ticks(false)
	m.Arrive(src, []api.Record{{Offset: 0, ID: "a", Routes: []api.Route{{Key: "h", Target: busyHangs}}}})
	ticks(true) // it is full
	pause(false)
	ticks(true) // what it has brought in is to be kept in time
	pause(true)
	ticks(true)
}
