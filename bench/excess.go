//go:build linux

package main

import (
	"context"
	"fmt"
	"maps"
	"time"
)

// excess is how many times the capacity comes in.
const excess = 3

// capacityFor bounds how long requests by HTTP are counted to find the capacity.
const capacityFor = 5 * time.Second

// keptUp is the part of the input that, worked off while it came in, was not too much.
const keptUp = 0.9

// overloaded says in the report when what was meant to be too much was not.
func (v *overloader) overloaded(values map[string]float64) {
	asked, done := values["asked_per_second"], values["records_per_second"]
	if done >= keptUp*asked {
		v.report.note("NO OVERLOAD: it kept up: %.0f/s of %.0f/s asked were done, so the capacity was found too low (more -records find it better, as does a quiet machine)", done, asked)
	}
}

// input sends three times as much as was worked off of a backlog, while the loop's own costs are borne by the same machine. What is
// let in is what the gateway has read: the age of the oldest record that it has read and not finished is asked of it all the time.
func (v *overloader) input(ctx context.Context, r *run, o *outputs) (expected, error) {
	if err := r.warm(ctx, o); err != nil {
		return expected{}, err
	}
	values, err := r.burst(ctx, o, 0, v.records)
	if err != nil {
		return expected{}, err
	}
	values["resident_mib"] = resident(r.program.Process.Pid)
	v.add("none: the capacity", values)
	l := newLoop(r, excess*values["records_per_second"], v.length)
	l.first = v.records
	done := make([]int, thirds) // outputs, by the third in which they could be seen
	l.arrived = func(at time.Time) {
		if third := int(at.Sub(l.begin) * thirds / v.length); third < thirds {
			done[third]++
		}
	}
	w := watch(ctx, r)
	values, err = l.measure(ctx, o, 0)
	seen := w.stop()
	if err != nil {
		return expected{}, err
	}
	// Of a queue that grows for as long as it likes, how long one stands in it says nothing.
	for _, name := range []string{"p50_ms", "p99_ms", "max_ms"} {
		delete(values, name)
	}
	what := fmt.Sprintf("input at %d times the capacity", excess)
	v.add(what, seen.highest().with(values))
	v.overloaded(values)
	v.course(what, l.begin, seen, func(third int) map[string]float64 {
		return map[string]float64{"asked_per_second": values["asked_per_second"], "records_per_second": float64(done[third]*thirds) / v.length.Seconds()}
	})
	after := newLoop(r, gapRate, lullMax)
	after.first = l.first + l.n
	if values, err = after.measure(ctx, o, 0); err != nil {
		return expected{}, err
	}
	values["resident_mib"] = resident(r.program.Process.Pid)
	v.add("input: at once behind it", values)
	return r.only(after.first + after.n), nil
}

// course adds what was seen in each third of the time: what grows for as long as there is too much shows there.
func (v *overloader) course(what string, begin time.Time, seen sightings, of func(third int) map[string]float64) {
	for third := range thirds {
		from := begin.Add(v.length * time.Duration(third) / thirds)
		s := seen.between(from, from.Add(v.length/thirds))
		v.add(fmt.Sprintf("%s, %s%v", what, thirdOf(third+1), v.length), s.with(of(third)))
	}
}

func (v *overloader) calls(ctx context.Context, r *run, _ *outputs) (expected, error) {
	c := newCrowd(r, true)
	defer c.close()
	if err := v.crowd(ctx, c, "calls by HTTP"); err != nil {
		return expected{}, err
	}
	return expected{}, c.settle(ctx) // they write nothing to Kafka
}

func (v *overloader) events(ctx context.Context, r *run, _ *outputs) (expected, error) {
	c := newCrowd(r, false)
	defer c.close()
	if err := v.crowd(ctx, c, "events by HTTP"); err != nil {
		return expected{}, err
	}
	return expected{counts: c.taken, doubt: c.doubt}, nil
}

// crowd sends three times as many requests as were answered when each client waited for its answer.
func (v *overloader) crowd(ctx context.Context, c *crowd, name string) error {
	if err := c.r.ready(ctx); err != nil {
		return err
	}
	values, err := c.capacity(ctx, min(v.length, capacityFor))
	if err != nil {
		return err
	}
	capacity := values["records_per_second"]
	values["resident_mib"] = resident(c.r.program.Process.Pid)
	v.add(name+": the capacity", values)
	from, err := c.r.read(ctx)
	if err != nil {
		return err
	}
	w, begin := watch(ctx, c.r), time.Now()
	a, err := c.press(ctx, excess*capacity, v.length, thirds)
	took, seen := time.Since(begin), w.stop().unread()
	if err != nil {
		return err
	}
	to, err := c.r.read(ctx)
	if err != nil {
		return err
	}
	values = to.since(from, a.durable())
	maps.Copy(values, a.values(0, thirds, v.length))
	values["recovery_ms"] = float64(max(0, took-v.length).Microseconds()) / 1000
	what := fmt.Sprintf("%s at %d times the capacity", name, excess)
	v.add(what, seen.highest().with(values))
	v.overloaded(values)
	v.course(what, begin, seen, func(third int) map[string]float64 { return a.values(third, third+1, v.length/thirds) })
	if a, err = c.press(ctx, capacity/4, lullMax, 1); err != nil {
		return err
	}
	values = a.values(0, 1, lullMax)
	values["resident_mib"] = resident(c.r.program.Process.Pid)
	v.add(name+": at once behind it, a quarter of the capacity", values)
	if why := c.reasons(); why != "" {
		v.report.note("UNKNOWN OUTCOMES of %s: %s", name, why)
	}
	return nil
}
