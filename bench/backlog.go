//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/stategate/stategate/internal/testserver"
)

// Series of the gateway's /metrics that say how far a backlog has grown.
const (
	tellOutbox      = "stategate_outbox_records"
	tellMailbox     = "stategate_mailbox_messages"
	tellInvocations = "stategate_invocations_total"
)

// backlogRecords is how large backlogs grow, at full scale.
const backlogRecords = 1_000_000

// until waits until the gateway tells at least so much of a series.
func (r *run) until(ctx context.Context, series string, least float64) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for last, moved := -1.0, time.Now(); ; {
		told, err := scrape(ctx, r.admin)
		if err != nil {
			return err
		}
		now := told[series]
		switch {
		case now >= least:
			return nil
		case now != last:
			last, moved = now, time.Now()
		case time.Since(moved) > patience:
			return fmt.Errorf("%s stays at %.0f, want %.0f", series, now, least)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// between measures what happens while something is awaited.
func (r *run) between(ctx context.Context, records int, begin, await func() error) (map[string]float64, error) {
	from, err := r.read(ctx)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(begin(), await()); err != nil {
		return nil, err
	}
	to, err := r.read(ctx)
	if err != nil {
		return nil, err
	}
	return to.since(from, records), nil
}

// grown measures how a backlog grows, and keeps that as a cell of its own; then, behind a rest, how it is worked off.
func (g *grower) grown(ctx context.Context, r *run, o *outputs, n int, kind, series string, least float64, rest, heal func() error) (map[string]float64, int, error) {
	if err := r.fill(ctx, 0, n); err != nil {
		return nil, 0, err
	}
	values, err := r.between(ctx, n, func() error { return r.release(ctx) }, func() error { return r.until(ctx, series, least) })
	if err != nil {
		return nil, 0, err
	}
	values["resident_mib"] = residentMax(r.program.Process.Pid)
	g.report.add(g.cell(fmt.Sprintf("%s of %d, growing", kind, n)), values)
	total := o.seen + n
	if err := rest(); err != nil {
		return nil, 0, err
	}
	values, err = r.between(ctx, n, heal, func() error { return o.await(ctx, total, nil, nil) })
	return values, n, err
}

func none() error { return nil }

// outbox: Kafka does not take outputs until there are a million.
func (g *grower) outbox(ctx context.Context) error {
	n := g.scaled(backlogRecords)
	proxy := g.world.kafka.Proxy(0)
	prepare := func(r *run) { r.kafkaOut = proxy.Addr() }
	return g.with(ctx, g.cell(fmt.Sprintf("outbox of %d, worked off", n)), workloads[0], partitionsOut, prepare, func(r *run, o *outputs) (map[string]float64, int, error) {
		if err := r.warm(ctx, o); err != nil {
			return nil, 0, err
		}
		stalled := testserver.Road{Stalled: true}
		proxy.Set(stalled, stalled)
		heal := func() error {
			proxy.Set(testserver.Road{}, testserver.Road{})
			return nil
		}
		defer func() { _ = heal() }()
		return g.grown(ctx, r, o, n, growOutbox, tellOutbox, float64(n), none, heal)
	})
}

// mailbox: a function is down until a million messages wait for it.
func (g *grower) mailbox(ctx context.Context) error {
	n := g.scaled(backlogRecords)
	load := workload{target: "hop9", keys: keysUniform, apart: true}
	return g.with(ctx, g.cell(fmt.Sprintf("mailbox of %d, worked off", n)), load, partitionsOut, nil, func(r *run, o *outputs) (map[string]float64, int, error) {
		if err := errors.Join(r.warm(ctx, o), r.setDown(ctx, "count", true)); err != nil {
			return nil, 0, err
		}
		return g.grown(ctx, r, o, n, growMailbox, tellMailbox, float64(n), none, func() error { return r.setDown(ctx, "count", false) })
	})
}

// setDown lets one of the run's functions answer 503, where each has a path of its own.
func (r *run) setDown(ctx context.Context, function string, down bool) error {
	url := fmt.Sprintf("%s/%s?down=%v", r.functionsURL(), function, down)
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, url, bytes.NewReader(nil))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer drop(response.Body)
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	return nil
}

// timersLead is the time that setting them has beside that, at full scale, and timersLeadMin at any.
const (
	timersLead    = 10 * time.Second
	timersLeadMin = 3 * time.Second
)

// timersRate is how many records per second a slow machine sets timers for: a million are pending before the first is due.
const timersRate = 5000

// timers: a million of them become due at the same moment.
func (g *grower) timers(ctx context.Context) error {
	n := g.scaled(backlogRecords)
	load := workload{target: "later", keys: keysUniform, text: "after 1 "}
	return g.with(ctx, g.cell(fmt.Sprintf("timers of %d, fired", n)), load, partitionsOut, nil, func(r *run, o *outputs) (map[string]float64, int, error) {
		if err := r.warm(ctx, o); err != nil {
			return nil, 0, err
		}
		due := time.Now().Add(max(timersLeadMin, time.Duration(g.scale*float64(timersLead))) + time.Duration(float64(n)/timersRate*float64(time.Second)))
		r.load.text = fmt.Sprintf("at %d ", due.UnixMilli())
		before, err := scrape(ctx, r.admin)
		if err != nil {
			return nil, 0, err
		}
		wait := func() error { return pause(ctx, time.Until(due)) }
		return g.grown(ctx, r, o, n, growTimers, tellInvocations, before[tellInvocations]+float64(n), wait, none)
	})
}
