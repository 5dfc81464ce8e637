//go:build linux

package main

import (
	"context"
	"fmt"
)

// The part of a drain that is measured. Before it connections are opened and buffers filled; behind it they run empty. In between
// as much is on its way at the end as at the beginning.
const (
	warmUntil    = 0.2
	measureUntil = 0.9
)

// drain measures how fast what has gathered in a topic is worked off, and what a record costs.
func (r *run) drain(ctx context.Context, records int) (map[string]float64, error) {
	if err := r.fill(ctx, records); err != nil {
		return nil, fmt.Errorf("fill the topic: %w", err)
	}
	o, err := r.outputs()
	if err != nil {
		return nil, err
	}
	defer o.close()
	if err := r.start(ctx); err != nil {
		return nil, err
	}
	values, err := r.window(ctx, o, records)
	if err != nil {
		return nil, r.explain(err)
	}
	values["resident_mib"] = residentMax(r.program.Process.Pid)
	if err := r.stop(); err != nil {
		return nil, fmt.Errorf("stop the %s: %w", r.cell.Subject, err)
	}
	if r.w.postgres != nil && r.cell.Subject == gatewaySubject {
		rows, err := r.rows(ctx)
		if err != nil {
			return nil, err
		}
		values["store_rows"] = rows / float64(records)
	}
	return values, r.explain(o.verify(ctx, r.w.client, r.load.wants(r.prefix(), records)))
}

// window waits for all outputs and measures the middle.
func (r *run) window(ctx context.Context, o *outputs, records int) (map[string]float64, error) {
	total := records * r.load.fan
	first, last := int(warmUntil*float64(total)), int(measureUntil*float64(total))
	var from, to reading
	var fromSeen, toSeen int
	err := o.await(ctx, total, nil, func() (err error) {
		switch {
		case fromSeen == 0 && o.seen >= first:
			fromSeen = o.seen
			from, err = r.read(ctx)
			if r.profiler != nil {
				r.profiler.begin(ctx, r.profiles, r.cell)
			}
		case toSeen == 0 && o.seen >= last:
			toSeen = o.seen
			to, err = r.read(ctx)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if r.profiler != nil {
		if err := <-r.profiler.done; err != nil {
			return nil, err
		}
	}
	if toSeen <= fromSeen {
		return nil, fmt.Errorf("%d records came in too few pieces to be measured", records)
	}
	return to.since(from, max(1, (toSeen-fromSeen)/r.load.fan)), nil
}
