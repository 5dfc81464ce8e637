package kafka

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// silenceAfter is how long outputs may wait without an acknowledgement before operators hear of it. A broker that takes connections
// and does not answer (a frozen machine, a network that swallows packets) costs several time-outs, each of half a minute, before
// the client gives up.
const silenceAfter = 10 * time.Second

// silenceLooks is how often silence looks within that time.
const silenceLooks = 10

// silence states that nothing is acknowledged although outputs wait. It is over with the next acknowledgement, or when another
// condition says why.
type silence struct {
	after   time.Duration
	trouble *trouble
	queue   *queue
	acked   atomic.Uint64 // outputs that Kafka acknowledged, or that are settled otherwise
	asking  atomic.Int32  // above 0: the relay waits for the store, not for Kafka

	// Owned by the one that looks.
	looks int    // in a row that saw nothing acknowledged
	seen  uint64 // acked at the last look
}

// watch looks until it is told to stop.
func (s *silence) watch() (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(max(s.after/silenceLooks, time.Millisecond))
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				s.look()
			case <-quit:
				return
			}
		}
	}()
	return func() { close(quit); <-done }
}

// look counts looks, not time: a gateway that was itself stopped has heard nothing meanwhile.
func (s *silence) look() {
	outputs, _ := s.queue.pending(time.Now())
	acked := s.acked.Load()
	if outputs == 0 || acked != s.seen || s.asking.Load() > 0 || s.trouble.explains() {
		s.looks, s.seen = 0, acked
		s.trouble.end(troubleSilent, "Kafka is not silent any more")
		return
	}
	if s.looks++; s.looks > silenceLooks {
		s.trouble.begin(troubleSilent, fmt.Sprintf("outputs wait and Kafka has acknowledged nothing for %v; they are kept", s.after), slog.LevelWarn)
	}
}
