//go:build unix

package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// takeovers are the times from a blow to the first output of the successor, by kind of blow.
type takeovers map[string][]time.Duration

func (t takeovers) add(kind string, took time.Duration) { t[kind] = append(t[kind], took) }

// quantile is the smallest time that at least a share q of the times do not exceed.
func quantile(times []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[min(int(float64(len(sorted))*q), len(sorted)-1)]
}

func (t takeovers) String() string {
	var b strings.Builder
	for _, kind := range slices.Sorted(maps.Keys(t)) {
		times := t[kind]
		fmt.Fprintf(&b, "\n  %-34s %4d times  p50 %6d ms  p99 %6d ms  max %6d ms", kind, len(times),
			quantile(times, 0.5).Milliseconds(), quantile(times, 0.99).Milliseconds(), slices.Max(times).Milliseconds())
	}
	return b.String()
}

func TestQuantile(t *testing.T) {
	var times []time.Duration
	for i := range 100 {
		times = append(times, time.Duration(100-i))
	}
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 51, 0.99: 100, 1: 100} {
		if got := quantile(times, q); got != want {
			t.Errorf("%v: got %d, want %d", q, got, want)
		}
	}
}
