//go:build unix

package testgateway

import (
	"fmt"
	"testing"
	"time"
)

// TestWaitForWhatGoesOn: it is longer than for what stands still, and not for ever.
func TestWaitForWhatGoesOn(t *testing.T) {
	start := time.Now()
	for name, c := range map[string]struct {
		changes time.Duration // how often what is seen does
		want    time.Duration
	}{
		"nothing is seen": {0, Patience}, "stands still": {time.Hour, Patience}, "goes on": {Patience / 2, pollsMost * Patience}, "is too slow": {2 * Patience, Patience},
	} {
		w, took := newWait(start), time.Duration(0)
		for ; ; took += time.Second {
			seen := ""
			if c.changes > 0 {
				seen = fmt.Sprint(took / c.changes)
			}
			if w.over(start.Add(took), seen) {
				break
			}
		}
		if took != c.want+time.Second {
			t.Errorf("%s: given up after %v, want %v", name, took, c.want)
		}
	}
}
