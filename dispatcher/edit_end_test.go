package dispatcher

import (
	"errors"
	"testing"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/memory"
)

// TestEditIntoTheEnd: with the store away, whoever has asked for an edit is told whether the store was asked to make it durable. One that waits
// for a call which was to start in a drain, and has not, has surely not happened.
func TestEditIntoTheEnd(t *testing.T) {
	tried := make(chan struct{}, 1)
	store := newStore(func(c *statestore.Commit) memory.Fault {
		if len(c.Acts) == 0 {
			return memory.FaultNone
		}
		select {
		case tried <- struct{}{}:
		default:
		}
		return memory.FaultUnavailable
	})
	l := begin(t, store, serveFunction(t))
	l.arrive(0, "a")
	l.until("the output", func() bool { return l.got("a") == "1" })
	state := l.stateName()
	if err := l.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.arrive(1, "a")
	waits, done := api.Address{Type: counter, ID: "a"}, api.Address{Type: counter, ID: "b"}
	if v, _, err := l.View(t.Context(), waits); err != nil || v.Phase != "calling" {
		t.Fatalf("view %+v, %v", v, err)
	}
	first, second := make(chan error, 1), make(chan error, 1)
	edit := func(a api.Address, told chan<- error) {
		_, err := l.EditState(t.Context(), a, Edit{State: state, Value: counted(7)}, "ada")
		told <- err
	}
	go edit(waits, first)
	go edit(done, second)
	<-tried
	l.stop()
	if err := <-first; !errors.Is(err, ErrNotSent) {
		t.Errorf("who waits for a call that has not started is told %v", err)
	}
	if err := <-second; !errors.Is(err, ErrSentMaybe) {
		t.Errorf("whose edit the store was asked to make durable is told %v", err)
	}
}
