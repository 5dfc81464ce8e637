//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// gapRate is the load under which the gap after a kill is measured, in records per second.
const gapRate = 1500

// lullMax is how long a subject works between two kills.
const lullMax = 2 * time.Second

// gap kills the subject in the middle of an open loop, starts it again at once, and answers the longest time without an output
// around each kill. What came out is judged as always.
func (w *world) gap(ctx context.Context, p programs, c cell, load workload, kills int, lull time.Duration) ([]float64, error) {
	r, err := w.newRun(ctx, p, c, load, partitionsOut)
	if err != nil {
		return nil, err
	}
	defer r.close(ctx)
	o, err := r.outputs()
	if err != nil {
		return nil, err
	}
	defer o.close()
	if err := r.start(ctx); err != nil {
		return nil, err
	}
	l := newLoop(r, gapRate, time.Duration(kills+1)*lull)
	if err := r.warm(ctx, o); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l.begin = time.Now()
	sent := l.start(ctx)
	var gaps []float64
	before, nextKill := time.Now(), time.Now().Add(lull)
	err = o.await(ctx, o.seen+l.n, nil, func() error {
		now := time.Now()
		if len(gaps) > 0 {
			gaps[len(gaps)-1] = max(gaps[len(gaps)-1], float64(now.Sub(before).Microseconds())/1000)
		}
		before = now
		if len(gaps) == kills || now.Before(nextKill) {
			return nil
		}
		nextKill = now.Add(lull)
		gaps = append(gaps, 0)
		return errors.Join(r.kill(), r.start(ctx))
	})
	if err != nil {
		cancel()
	}
	if err := errors.Join(err, sent()); err != nil {
		return nil, r.explain(err)
	}
	// The last outputs may be those from before a kill: what has just been started must have come to where it can be stopped in order.
	if c.Subject == gatewaySubject {
		if err := r.ready(ctx); err != nil {
			return nil, r.explain(err)
		}
	}
	if err := r.stop(); err != nil {
		return nil, err
	}
	return gaps, r.explain(o.verify(ctx, w.client, r.only(l.n)))
}

// killed is a drain through kills: it answers nothing but whether what came out is right.
func (w *world) killed(ctx context.Context, p programs, c cell, load workload, records, kills int) error {
	r, err := w.newRun(ctx, p, c, load, partitionsOut)
	if err != nil {
		return err
	}
	defer r.close(ctx)
	o, err := r.outputs()
	if err != nil {
		return err
	}
	defer o.close()
	if err := r.start(ctx); err != nil {
		return err
	}
	if err := errors.Join(r.warm(ctx, o), r.fill(ctx, 0, records), r.release(ctx)); err != nil {
		return r.explain(err)
	}
	done := 0
	err = o.await(ctx, o.seen+records, nil, func() error {
		if done == kills || o.seen < (done+1)*records/(kills+2) {
			return nil
		}
		done++
		return errors.Join(r.kill(), r.start(ctx))
	})
	if err != nil {
		return r.explain(err)
	}
	if done < kills {
		return fmt.Errorf("killed %d times, wanted %d: %d records are too few", done, kills, records)
	}
	if err := r.stop(); err != nil {
		return err
	}
	return r.explain(o.verify(ctx, w.client, r.only(records)))
}
