//go:build linux

package main

import (
	"context"
	"time"
)

// watchEvery is how often a watcher looks.
const watchEvery = 250 * time.Millisecond

// watcher looks at the gateway while something else goes on.
type watcher struct {
	cancel context.CancelFunc
	done   chan sighted
}

// sighted is the highest that it has seen.
type sighted struct {
	resident float64 // MiB
	oldest   float64 // milliseconds: the age of the oldest record that was read and not finished
}

func watch(ctx context.Context, r *run) *watcher {
	ctx, cancel := context.WithCancel(ctx)
	w := &watcher{cancel: cancel, done: make(chan sighted, 1)}
	pid := r.program.Process.Pid
	go func() {
		var s sighted
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		for {
			s.resident = max(s.resident, resident(pid))
			// A gateway that does not answer is judged by its outputs.
			if told, err := scrape(ctx, r.admin); err == nil {
				for series, v := range told {
					if len(series) > len(tellOldest) && series[:len(tellOldest)+1] == tellOldest+"{" {
						s.oldest = max(s.oldest, 1000*v)
					}
				}
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				w.done <- s
				return
			}
		}
	}()
	return w
}

// stop ends it and answers what it has seen.
func (w *watcher) stop() sighted {
	w.cancel()
	return <-w.done
}
