//go:build unix

package testgateway

import (
	"testing"
	"time"
)

// Patience is for what takes milliseconds on a quiet machine: it only decides when a test gives up.
const Patience = 90 * time.Second

// pollsMost is for how many times its patience Poll waits for what goes on.
const pollsMost = 4

// pollEvery is how often another process is asked for what it tells nobody by itself.
const pollEvery = 10 * time.Millisecond

// wait is how long something has been waited for.
type wait struct {
	start time.Time
	since time.Time // when what was seen changed
	last  string
}

func newWait(now time.Time) wait { return wait{start: now, since: now} }

// over reports whether it has been too long. As long as what is seen changes something goes on, and a busy machine is given more time.
func (w *wait) over(now time.Time, seen string) bool {
	if seen != w.last {
		w.since, w.last = now, seen
	}
	return now.Sub(w.since) > Patience || now.Sub(w.start) > pollsMost*Patience
}

// Poll asks until ok, and fails the test when that takes too long; seen says what there was instead.
func Poll(t *testing.T, what string, ask func() (ok bool, seen string)) {
	t.Helper()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for w := newWait(time.Now()); ; <-tick.C {
		ok, seen := ask()
		if ok {
			return
		}
		if now := time.Now(); w.over(now, seen) {
			t.Fatalf("waited %v for %s; got %s", now.Sub(w.start).Round(time.Second), what, seen)
		}
	}
}
