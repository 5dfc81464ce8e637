//go:build linux

package main

import (
	"context"
	"fmt"
	"time"
)

const (
	starts   = 5               // of the gateway, to see how long one takes
	idleRest = 2 * time.Second // until what a start has to do is done
)

// idle measures how long the gateway takes from its start until it is ready, and what it costs when nothing happens.
func (w *world) idle(ctx context.Context, p programs, c cell, load workload, length time.Duration) (map[string]float64, error) {
	r, err := w.newRun(ctx, p, c, load, partitionsOut)
	if err != nil {
		return nil, err
	}
	defer r.close(ctx)
	var ready []float64
	for i := range starts {
		began := time.Now()
		if err := r.start(ctx); err != nil {
			return nil, err
		}
		if err := r.ready(ctx); err != nil {
			return nil, err
		}
		if i > 0 { // the first one makes the tables
			ready = append(ready, float64(time.Since(began).Microseconds())/1000)
		}
		if i == starts-1 {
			break
		}
		if err := r.stop(); err != nil {
			return nil, err
		}
	}
	if err := pause(ctx, idleRest); err != nil {
		return nil, err
	}
	pid := r.program.Process.Pid
	began, before := time.Now(), cpuExact(pid)
	if err := pause(ctx, length); err != nil {
		return nil, err
	}
	used := cpuExact(pid) - before
	values := map[string]float64{
		"ready_ms":     median(ready),
		"idle_cpu_ms":  float64(used.Microseconds()) / 1000 / time.Since(began).Seconds(),
		"resident_mib": resident(pid),
	}
	if err := r.stop(); err != nil {
		return nil, fmt.Errorf("stop the gateway: %w", err)
	}
	return values, nil
}

// pause lets time pass: what is measured is what happens meanwhile.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
