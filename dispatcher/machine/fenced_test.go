package machine

import (
	"testing"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// TestHoldBackEnds: an owner that does not know yet that it was fenced off may have read what its successor has put into a mailbox, whose
// numbers are among its own. It goes on until it is told, and does not look for one of its messages for ever.
func TestHoldBackEnds(t *testing.T) {
	b := &busy{t: t, now: 1, hangs: true, done: map[string]int{}}
	b.m, b.store = boundedMachine(t, Config{HoldMax: 100})
	src := api.Source{Ingress: "in", Topic: "t"}
	b.m.Started(statestore.Progress{Source: src}, 0)
	for i := range int64(3) {
		b.m.Arrive(src, []api.Record{{Offset: i, ID: "h", Routes: []api.Route{{Key: "h", Target: busyHangs}}}})
	}
	b.m.Tick(b.now)
	b.play()
	c := b.m.cells[api.Address{Type: busyHangs, ID: "h"}]
	last := c.mail.at(c.mail.len() - 1)
	if last.source == nil {
		t.Fatal("its source does not wait for the last message")
	}
	c.keptTo = last.number // as if those of the successor stood among them
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.m.Tick(b.now + 200)
	}()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatal("it looks for a message for ever")
	}
	if last.source != nil {
		t.Error("the message is not kept")
	}
}
