//go:build unix

package chaos

import (
	"sync"
	"time"
)

// ledger is what the clients have sent, by op, and when. Times are since it was opened, by the monotonic clock.
type ledger struct {
	opened time.Time

	mu    sync.Mutex
	calls map[string]time.Duration // when each event was handed to the Kafka client; guarded by mu
	acked int                      // guarded by mu
	err   error                    // the first that a record ended with; guarded by mu
}

func newLedger() *ledger { return &ledger{opened: time.Now(), calls: map[string]time.Duration{}} }

func (l *ledger) now() time.Duration { return time.Since(l.opened) }

func (l *ledger) call(op string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls[op] = l.now()
}

func (l *ledger) ack(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.acked++
	} else if l.err == nil {
		l.err = err
	}
}

// counts are the events that were called and those that the broker has taken.
func (l *ledger) counts() (called, acked int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.calls), l.acked, l.err
}

// called is when an event was; false: never.
func (l *ledger) called(op string) (time.Duration, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.calls[op]
	return at, ok
}
