//go:build linux

package main

import (
	"context"
	"math"
	"strings"
	"time"
)

// watchEvery is how often a watcher looks.
const watchEvery = 250 * time.Millisecond

// watcher looks at the gateway while something else goes on.
type watcher struct {
	cancel context.CancelFunc
	done   chan sightings
}

// sighted is what it has seen at one moment, or the highest of several.
type sighted struct {
	at       time.Time
	resident float64 // MiB
	oldest   float64 // milliseconds: the age of the oldest record that was read and not finished; NaN: nobody knows
}

// sightings are in the order of time.
type sightings []sighted

func watch(ctx context.Context, r *run) *watcher {
	ctx, cancel := context.WithCancel(ctx)
	w := &watcher{cancel: cancel, done: make(chan sightings, 1)}
	pid := r.program.Process.Pid
	go func() {
		var all sightings
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		for {
			s := sighted{at: time.Now(), resident: resident(pid), oldest: math.NaN()}
			// A gateway that does not answer is judged by its outputs.
			if told, err := scrape(ctx, r.admin); err == nil {
				for series, v := range told {
					if strings.HasPrefix(series, tellOldest+"{") && !(s.oldest >= 1000*v) {
						s.oldest = 1000 * v
					}
				}
			}
			all = append(all, s)
			select {
			case <-tick.C:
			case <-ctx.Done():
				w.done <- all
				return
			}
		}
	}()
	return w
}

// stop ends it and answers what it has seen.
func (w *watcher) stop() sightings {
	w.cancel()
	return <-w.done
}

// highest is the highest of each.
func (all sightings) highest() sighted {
	most := sighted{oldest: math.NaN()}
	for _, s := range all {
		most.at, most.resident = s.at, max(most.resident, s.resident)
		if !(most.oldest >= s.oldest) && !math.IsNaN(s.oldest) {
			most.oldest = s.oldest
		}
	}
	return most
}

// between is the highest of those from one moment to another.
func (all sightings) between(from, to time.Time) sighted {
	var some sightings
	for _, s := range all {
		if !s.at.Before(from) && s.at.Before(to) {
			some = append(some, s)
		}
	}
	return some.highest()
}

// unread is without the age of records, where none are read.
func (all sightings) unread() sightings {
	for i := range all {
		all[i].oldest = math.NaN()
	}
	return all
}

// with adds what was seen to measures.
func (s sighted) with(values map[string]float64) map[string]float64 {
	values["resident_mib"] = s.resident
	if !math.IsNaN(s.oldest) {
		values["oldest_ms"] = s.oldest
	}
	return values
}
