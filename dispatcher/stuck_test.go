package dispatcher

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/memory"
)

// TestStuck: however many ask what is stuck at once, each is told all of it; whoever has left is not waited for.
func TestStuck(t *testing.T) {
	l := begin(t, memory.New(memory.Config{}), serveFunction(t))
	bob := api.Address{Type: counter, ID: "bob"}
	if _, err := l.Pause(t.Context(), statestore.Pause{Kind: statestore.PauseAddress, Address: bob, By: "ada"}); err != nil {
		t.Fatal(err)
	}
	type told struct {
		found []machine.Stuck
		err   error
	}
	const askers = 8
	answers := make(chan told, askers)
	for range askers {
		go func() {
			found, err := l.Stuck(t.Context())
			answers <- told{found, err}
		}()
	}
	for range askers {
		if a := <-answers; a.err != nil || len(a.found) != 1 || a.found[0].Cause != machine.StuckPaused || a.found[0].Address != bob {
			t.Errorf("got %+v, %v", a.found, a.err)
		}
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	l.looks <- struct{}{} // another one looks
	if _, err := l.Stuck(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("who has left is answered %v", err)
	}
	<-l.looks
}

// TestPace: a commit that is out is told with its age, and the last one with what it took.
func TestPace(t *testing.T) {
	store := &slowStore{Store: memory.New(memory.Config{}), began: make(chan struct{}), release: make(chan struct{})}
	l := begin(t, store, serveFunction(t))
	done := make(chan error, 1)
	go func() {
		_, err := l.Pause(t.Context(), statestore.Pause{Kind: statestore.PauseIngress, Ingress: "test/in", By: "ada"})
		done <- err
	}()
	<-store.began
	if out, _ := l.Pace(); out <= 0 {
		t.Errorf("a commit is out for %v", out)
	}
	close(store.release)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if out, last := l.Pace(); last <= 0 {
		t.Errorf("out %v, last %v", out, last)
	}
}

// TestPaceIsForgotten: a slow commit is no word on the store long after it, where none has followed it.
func TestPaceIsForgotten(t *testing.T) {
	var p pace
	start := time.Now()
	p.began(start)
	end := start.Add(3 * time.Second)
	p.ended(end)
	if out, last := p.at(end.Add(paceFor)); out != 0 || last != 3*time.Second {
		t.Errorf("a moment ago: out %v, last %v", out, last)
	}
	if out, last := p.at(end.Add(paceFor + time.Second)); out != 0 || last != 0 {
		t.Errorf("long ago: out %v, last %v", out, last)
	}
}

// slowStore holds commits back.
type slowStore struct {
	statestore.Store
	began   chan struct{} // closed by the first commit
	release chan struct{} // closed: commits go on
}

func (s *slowStore) Commit(ctx context.Context, c *statestore.Commit) error {
	select {
	case <-s.began:
	default:
		close(s.began)
	}
	<-s.release
	return s.Store.Commit(ctx, c)
}

// TestLooksInParts: what a look has cost is told, for it to be kept, where it took many turns of the loop, and not for a small gateway.
func TestLooksInParts(t *testing.T) {
	l := begin(t, memory.New(memory.Config{}), serveFunction(t))
	for _, parts := range []int{1, fewParts, fewParts + 1, 100} {
		seen, cost, err := inParts(t.Context(), l.Dispatcher, func(*machine.Machine) *int { return new(int) },
			func(_ *machine.Machine, n *int) bool { *n++; return *n == parts }, func(_ *machine.Machine, n *int) int { return *n })
		if err != nil || seen != parts || cost > 0 != (parts > fewParts) {
			t.Errorf("%d parts: saw %d, cost %v, %v", parts, seen, cost, err)
		}
	}
}

// TestLooksRest: between two parts of a look the loop has as much time as the last one has taken.
func TestLooksRest(t *testing.T) {
	l := begin(t, memory.New(memory.Config{}), serveFunction(t))
	const parts, each = 20, time.Millisecond
	began := time.Now()
	_, cost, err := inParts(t.Context(), l.Dispatcher, func(*machine.Machine) *int { return new(int) }, func(_ *machine.Machine, n *int) bool {
		for at := time.Now(); time.Since(at) < each; { // it is busy
		}
		*n++
		return *n == parts
	}, func(*machine.Machine, *int) bool { return true })
	if took := time.Since(began); err != nil || cost < parts*each || took < cost+(parts-1)*each {
		t.Errorf("it took %v, %v of them of the loop, %v", took, cost, err)
	}
}
