package dispatcher

import (
	"context"
	"errors"
	"testing"

	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore/memory"
)

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
