package dispatcher

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore/memory"
)

// TestReasonsWaitForNoOverview: while a look takes long, what is not as it should be is told with the number of the look before.
func TestReasonsWaitForNoOverview(t *testing.T) {
	l := begin(t, memory.New(memory.Config{}), serveFunction(t))
	stuck := func() (texts []string) {
		t.Helper()
		all, err := l.Reasons(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range all {
			texts = append(texts, r.Text)
		}
		return texts
	}
	l.overdue.Store(7)
	l.looks <- struct{}{} // another one looks
	if got := stuck(); len(got) != 1 || !strings.HasPrefix(got[0], "7 addresses") {
		t.Errorf("meanwhile: %q", got)
	}
	<-l.looks
	if got := stuck(); len(got) != 0 {
		t.Errorf("afterwards: %q", got)
	}
}

// TestLooksOfThoseWhoHaveGone: however many ask and go before their turn comes, the loop does nothing for them.
func TestLooksOfThoseWhoHaveGone(t *testing.T) {
	l := begin(t, memory.New(memory.Config{}), serveFunction(t))
	holds, release := make(chan struct{}), make(chan struct{})
	l.inbox.post(func(*machine.Machine) { close(holds); <-release })
	<-holds
	looked := 0 // the loop's, until it is released
	gone, leave := context.WithCancel(t.Context())
	leave()
	for range 1000 {
		_, err := look(gone, l.Dispatcher, func(*machine.Machine) struct{} { looked++; return struct{}{} })
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("who has gone is answered %v", err)
		}
	}
	close(release)
	if err := l.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if looked != 0 {
		t.Errorf("%d looks of 1000 were taken for nobody", looked)
	}
}

// TestReasonsTellTheLookBefore: where a look through all that waits takes longer than the reasons wait, they tell what the one before has seen,
// and it is told when it has ended.
func TestReasonsTellTheLookBefore(t *testing.T) {
	l := begin(t, memory.New(memory.Config{}), serveFunction(t))
	l.overdue.Store(7) // of the one before
	l.looks <- struct{}{}
	if all, err := l.Reasons(t.Context()); err != nil || len(all) != 1 {
		t.Fatalf("while a look takes long: %v, %v", all, err)
	}
	<-l.looks
	l.seen.overview.turn <- struct{}{} // it has ended
	<-l.seen.overview.turn
	l.looks <- struct{}{} // and the next one takes long, too
	if all, err := l.Reasons(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("that look has seen nobody, and still %v, %v", all, err)
	}
	<-l.looks
}
