//go:build linux

package main

import (
	"context"
	"fmt"
	"time"
)

// drain measures how fast what has gathered in a topic is worked off, and what a record costs.
func (r *run) drain(ctx context.Context, records int) (map[string]float64, error) {
	o, err := r.outputs()
	if err != nil {
		return nil, err
	}
	defer o.close()
	if err := r.start(ctx); err != nil {
		return nil, err
	}
	if err := r.warm(ctx, o); err != nil {
		return nil, r.explain(err)
	}
	values, err := r.burst(ctx, o, 0, records)
	if err != nil {
		return nil, r.explain(err)
	}
	values["resident_mib"] = residentMax(r.program.Process.Pid)
	if err := r.stop(); err != nil {
		return nil, fmt.Errorf("stop the %s: %w", r.cell.Subject, err)
	}
	if r.w.postgres != nil {
		rows, err := r.rows(ctx)
		if err != nil {
			return nil, err
		}
		values["store_rows"] = rows / float64(records+warmRecords)
	}
	return values, r.explain(o.verify(ctx, r.w.client, r.only(records)))
}

// quiet is how long the subject rests before its backlog appears.
const quiet = 300 * time.Millisecond

// burst measures what the records from begin to end cost, which are all there at once: from the moment when they can be read until
// the last output is visible. The subject has nothing to do before and behind that, so nothing is counted that belongs elsewhere.
func (r *run) burst(ctx context.Context, o *outputs, begin, end int) (map[string]float64, error) {
	if err := r.fill(ctx, begin, end); err != nil {
		return nil, fmt.Errorf("fill the topic: %w", err)
	}
	if err := pause(ctx, quiet); err != nil {
		return nil, err
	}
	from, err := r.read(ctx)
	if err != nil {
		return nil, err
	}
	if r.profiler != nil {
		r.profiler.begin(ctx, r.admin, r.cell)
	}
	if err := r.release(ctx); err != nil {
		return nil, err
	}
	if err := o.await(ctx, o.seen+(end-begin)*r.load.fan, nil, nil); err != nil {
		return nil, err
	}
	to, err := r.read(ctx)
	if err != nil {
		return nil, err
	}
	if r.profiler != nil {
		if err := <-r.profiler.done; err != nil {
			return nil, err
		}
	}
	return to.since(from, end-begin), nil
}
