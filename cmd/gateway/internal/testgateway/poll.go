//go:build unix

package testgateway

import (
	"testing"
	"time"
)

// Patience is for what takes milliseconds on a quiet machine: it only decides when a test gives up.
const Patience = 90 * time.Second

// pollEvery is how often another process is asked for what it tells nobody by itself.
const pollEvery = 10 * time.Millisecond

// Poll asks until ok, and fails the test when that takes too long; seen says what there was instead.
func Poll(t *testing.T, what string, ask func() (ok bool, seen string)) {
	t.Helper()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for deadline := time.Now().Add(Patience); ; <-tick.C {
		ok, seen := ask()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s; got %s", Patience, what, seen)
		}
	}
}
