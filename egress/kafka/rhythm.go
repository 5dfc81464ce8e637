package kafka

import (
	"context"
	"time"
)

// beat is how long after the begin of a transaction the next one begins at the earliest, if outputs waited for it already when the
// first one ended. A transaction costs the same few requests whatever it carries, and those that follow at once find that Kafka still
// ends the one before: they wait anyway, asking again and again. An output that comes to an idle lane does not wait.
const beat = 20 * time.Millisecond

// gather lets outputs gather until the beat that follows a transaction begun then, or until there are enough for a whole transaction.
func (r *Relay) gather(ctx context.Context, begun time.Time) {
	if r.queue.waiting() == nothing {
		return
	}
	rest := time.NewTimer(beat - time.Since(begun))
	defer rest.Stop()
	for r.queue.waiting() != enough {
		select {
		case <-r.queue.wake:
		case <-rest.C:
			return
		case <-ctx.Done():
			return
		}
	}
}
