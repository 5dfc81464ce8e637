//go:build unix

package killtest

import (
	"testing"
	"time"
)

// pollEvery is how often another process is asked for what it tells nobody by itself.
const pollEvery = 10 * time.Millisecond

// poll asks until ok, and fails the test when that takes too long; seen says what there was instead.
func poll(t *testing.T, what string, ask func() (ok bool, seen string)) {
	t.Helper()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		ok, seen := ask()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s; got %s", patience, what, seen)
		}
	}
}
