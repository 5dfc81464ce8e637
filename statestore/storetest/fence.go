package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// takeover lets a second member own the store while the first one's handle is still open.
func takeover(t *testing.T, f *Fixture, a *owner) *owner {
	t.Helper()
	if f.Sleep != nil {
		f.Sleep(t, a.store)
	}
	return f.own(t)
}

func testOlderFenced(t *testing.T, f *Fixture) {
	a := f.own(t, "ns/egress")
	x := at(counter, "x")
	a.commit(statestore.Commit{NextNumber: 9, States: []statestore.AddressState{{Address: x, Values: []statestore.StateValue{state("n", "1")}}}})
	b := takeover(t, f, a)
	same(t, "what the newer finds", stored(state("n", "1")), b.states(x)[0].Values)
	ctx := t.Context()
	full := a.fill(everything(a.number + 1))
	if err := a.store.Commit(ctx, full); !errors.Is(err, statestore.ErrFenced) {
		t.Errorf("commit of the older: %v, want ErrFenced", err)
	}
	if _, err := a.store.LastCommit(ctx, a.claim.Fence); !errors.Is(err, statestore.ErrFenced) {
		t.Errorf("last commit of the older: %v, want ErrFenced", err)
	}
	if err := a.store.Renew(ctx, a.claim.Fence); !errors.Is(err, statestore.ErrFenced) {
		t.Errorf("renew of the older: %v, want ErrFenced", err)
	}
	if err := a.store.Release(ctx, a.claim.Fence); err != nil && !errors.Is(err, statestore.ErrFenced) {
		t.Errorf("release of the older: %v", err)
	}
	if m, ok, err := b.store.Owner(ctx); !ok || m.ID != b.member.ID || err != nil {
		t.Errorf("owner %v, %v, %v; want the newer", m.ID, ok, err)
	}
	b.commit(statestore.Commit{States: []statestore.AddressState{{Address: x, Values: []statestore.StateValue{state("n", "2")}}}})
	same(t, "states", stored(state("n", "2")), b.states(x)[0].Values)
	c := b.restart()
	if len(c.claim.Dead) != 0 || len(c.claim.Packs) != 0 || len(c.claim.Progress) != 0 || c.claim.NextNumber != 9 {
		t.Errorf("the older's commit left something: %+v", c.claim)
	}
}

// A sleeper's commit is refused whatever it holds, also when it holds nothing that anybody has changed meanwhile: lanes are
// compared and set too, so that outputs alone would be refused without the member's fence.
func testOlderFencedInParts(t *testing.T, f *Fixture) {
	a := f.own(t, "ns/egress")
	kept := everything(0)
	kept.Progress[0].Source.Ingress = "ns/kept"
	kept = statestore.Commit{NextNumber: 100, Progress: kept.Progress, Pauses: []statestore.Pause{pauseOf(statestore.PauseFunction, counter, "", "")}}
	a.commit(kept)
	over := kept.Pauses[0]
	over.Ended = true
	b := takeover(t, f, a)
	all := everything(a.number + 1)
	for _, part := range []struct {
		name   string
		commit statestore.Commit
	}{
		{"nothing", statestore.Commit{}},
		{"numbers", statestore.Commit{NextNumber: 200}},
		{"progress", statestore.Commit{Progress: all.Progress}},
		{"functions", statestore.Commit{Functions: all.Functions}},
		{"states", statestore.Commit{States: all.States}},
		{"packs", statestore.Commit{Packs: all.Packs}},
		{"mail", statestore.Commit{Mail: all.Mail}},
		{"timers", statestore.Commit{Timers: all.Timers}},
		{"outputs", statestore.Commit{Outputs: all.Outputs}},
		{"the start of a lane", statestore.Commit{LaneStarts: all.LaneStarts}},
		{"dead letters", statestore.Commit{DeadLetters: all.DeadLetters}},
		{"a pause", statestore.Commit{Pauses: all.Pauses}},
		{"the end of a pause", statestore.Commit{Pauses: []statestore.Pause{over}}},
		{"the end of progress", statestore.Commit{ProgressEnds: []api.Source{kept.Progress[0].Source}}},
		{"acts", statestore.Commit{Acts: all.Acts}},
	} {
		c := part.commit
		c.Fence, c.Number, c.NextNumber = a.claim.Fence, a.number+1, max(c.NextNumber, 100)
		err := a.store.Commit(t.Context(), &c)
		if !errors.Is(err, statestore.ErrFenced) {
			t.Errorf("commit of the older with %s: %v, want ErrFenced", part.name, err)
		}
		if err == nil {
			a.number++ // so that the next one is not refused for its number
		}
	}
	b.commit(statestore.Commit{})
	same(t, "states", []statestore.Loaded{{}, {}}, b.states(all.States[0].Address, all.Mail[0].Address))
	timers, err := b.store.Timers(t.Context(), statestore.TimerKey{}, 1<<40, 10)
	if err != nil || len(timers) != 0 {
		t.Errorf("timers %v, %v; want none", timers, err)
	}
	got := *b.restart().claim
	got.Fence, got.Token, got.Commit = statestore.Fence{}, "", 0 // of the new claim
	same(t, "what is kept", statestore.Claim{NextNumber: 100, NextAct: 1, Progress: kept.Progress, Pauses: kept.Pauses, Lanes: []statestore.Lane{{LaneID: statestore.LaneID{Egress: "ns/egress"}, Next: 1, Low: 1}}}, got)
}

func testNumber(t *testing.T, f *Fixture) {
	o := f.own(t)
	o.commit(statestore.Commit{})
	x := at(counter, "x")
	for _, n := range []uint64{o.number, o.number + 2, o.number + 1000} {
		c := statestore.Commit{Number: n, States: []statestore.AddressState{{Address: x, Values: []statestore.StateValue{state("n", "1")}}}}
		if err := o.store.Commit(t.Context(), o.fill(c)); !final(err) {
			t.Errorf("commit %d after %d: %v, want a final error", n, o.number, err)
		}
	}
	same(t, "states", []statestore.Loaded{{}}, o.states(x))
	o.commit(statestore.Commit{})
}

// Two members commit as fast as they can while the store goes from one to the other: each commit counts once, or not at all.
func testFenceRace(t *testing.T, f *Fixture) {
	x := at(counter, "x")
	a := f.own(t)
	var confirmed int
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 1; ; n++ {
			c := a.fill(statestore.Commit{States: []statestore.AddressState{{Address: x, Values: []statestore.StateValue{state("n", string(rune('0'+n%1000)))}}}})
			if err := a.store.Commit(t.Context(), c); err != nil {
				if !errors.Is(err, statestore.ErrFenced) {
					t.Errorf("commit: %v, want ErrFenced", err)
				}
				return
			}
			a.number++
			confirmed = n
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	for deadline := time.Now().Add(patience); len(a.peek(x).Values) == 0; pause(t, time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing was committed")
		}
	}
	b := f.ownWith(t, a.store, a.member) // the same member's next incarnation fences it
	found := b.states(x)[0]
	<-done
	close(stop)
	same(t, "state after the race", found, b.states(x)[0])
	if got, want := string(found.Values[0].Value), string(rune('0'+confirmed%1000)); got != want {
		t.Errorf("state %q, want that of the last confirmed commit %q", got, want)
	}
	if got := b.claim.Commit; got != a.number {
		t.Errorf("claim says commit %d, confirmed %d", got, a.number)
	}
}

// peek reads one address while commits go on.
func (o *owner) peek(a api.Address) statestore.Loaded {
	found, err := o.store.States(o.t.Context(), []api.Address{a})
	if err != nil || len(found) != 1 {
		return statestore.Loaded{}
	}
	return found[0]
}
