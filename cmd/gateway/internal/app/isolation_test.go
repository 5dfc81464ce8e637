package app

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/stategate/stategate/dispatcher/machine"
)

// isolation is how the healthy addresses of a function fare beside others of the same function that do not answer well.
const (
	healthyKeys    = 1000
	healthyRecords = 3000
	pace           = time.Millisecond      // between two records
	unjudged       = 50 * time.Millisecond // a p99 below is good whatever the ratio
)

// isolationBounds make slots scarce. Those that hang try again soon, so that they want all slots all the time; those that fail at
// once have the product's back-off, or their calls alone would keep this machine busy.
func isolationBounds(prefix string) machine.Config {
	if prefix == "hang" {
		return machine.Config{Slots: 256, BackoffMin: 20, BackoffMax: 200}
	}
	return machine.Config{Slots: 256}
}

// p99 plays records of healthy keys and answers the 99th percentile of the time from a record's production to the moment at
// which its output is visible at read_committed.
func (w *world) p99(prefix string) time.Duration {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.brokers...), kgo.ConsumeTopics("counts"), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()), kgo.FetchMaxWait(50*time.Millisecond))
	if err != nil {
		w.t.Fatal(err)
	}
	defer client.Close()
	sent := make([]time.Time, healthyRecords)
	produced := make(chan struct{})
	go func() {
		defer close(produced)
		tick := time.NewTicker(pace)
		defer tick.Stop()
		for i := range sent {
			<-tick.C
			sent[i] = time.Now()
			w.client.Produce(ctx, &kgo.Record{Topic: "events", Key: fmt.Appendf(nil, "%s-%d", prefix, i%healthyKeys), Value: []byte("x")}, nil)
		}
	}()
	seen := map[string]int{}
	var took []time.Duration
	index := func(key string, nth int) int { // of the record that caused the key's nth output
		var n int
		if _, err := fmt.Sscanf(strings.TrimPrefix(key, prefix+"-"), "%d", &n); err != nil {
			w.t.Errorf("output of an unknown key %q", key)
		}
		return n + nth*healthyKeys
	}
	type arrival struct {
		key string
		at  time.Time
	}
	var arrivals []arrival
	for len(arrivals) < healthyRecords {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			w.t.Fatalf("%d of %d outputs of healthy addresses came", len(arrivals), healthyRecords)
		}
		now := time.Now()
		fetches.EachRecord(func(r *kgo.Record) {
			if strings.HasPrefix(string(r.Key), prefix+"-") {
				arrivals = append(arrivals, arrival{string(r.Key), now})
			}
		})
	}
	<-produced
	for _, a := range arrivals {
		i := index(a.key, seen[a.key])
		seen[a.key]++
		if i < len(sent) {
			took = append(took, a.at.Sub(sent[i]))
		}
	}
	slices.Sort(took)
	return took[len(took)*99/100]
}

// TestFailingAddressesDelayNoOthers: the breaker belongs to the endpoint and not to one address's errors, and addresses whose
// last attempt failed hold at most a quarter of the slots. Without either of the two it fails.
func TestFailingAddressesDelayNoOthers(t *testing.T) {
	if raceDetector {
		t.Skip("it compares delays: scripts/test runs it alone, without the race detector")
	}
	for _, c := range []struct {
		prefix string
		n      int
	}{{"bad", 1}, {"bad", 1000}, {"hang", 10}, {"hang", 300}} {
		t.Run(fmt.Sprintf("%s %d", c.prefix, c.n), func(t *testing.T) {
			best := 0.0
			for range 3 {
				alone, beside := besideOthers(t, c.prefix, c.n)
				ratio := float64(beside) / float64(alone)
				t.Logf("p99 of healthy addresses: alone %v, beside %d that answer %s %v: ratio %.2f", alone, c.n, c.prefix, beside, ratio)
				if beside <= unjudged || ratio <= 2 {
					return
				}
				if best == 0 || ratio < best {
					best = ratio
				}
			}
			t.Errorf("healthy addresses are delayed: p99 is %.1f times that without the others, in the best of three tries", best)
		})
	}
}

// besideOthers measures healthy addresses alone, and then beside n others, in a world of its own.
func besideOthers(t *testing.T, prefix string, n int) (alone, beside time.Duration) {
	t.Helper()
	w := newWorld(t)
	w.text = strings.Replace(w.text, `urlPathTemplate: "${URL}/{function.name}"`,
		`urlPathTemplate: "${URL}/{function.name}", transport: {call: 1s}`, 1)
	w.bounds = isolationBounds(prefix)
	a, stop := w.gateway("exactly-once")
	w.p99("warm")
	alone = w.p99("alone")
	for i := range n {
		w.put("events", fmt.Sprintf("%s-%d", prefix, i), "x")
	}
	w.until("each of them has failed once", func() bool { return int(a.Gauges().CallsFailed) >= n })
	beside = w.p99("beside")
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	return alone, beside
}

// until waits for something that changes without an event.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(patience); !ok(); {
		select {
		case <-tick.C:
		case <-limit:
			w.t.Fatalf("waited %v: %s", patience, what)
		}
	}
}
