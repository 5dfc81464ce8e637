//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// warmFor is how long an open loop runs before it is judged; one that is shorter, as long again as it.
const warmFor = 2 * time.Second

// latency measures the time from a record's due moment to the visibility of its output. The loop is open: a slow gateway does not
// slow the records down, and waits count from when a record was due.
func (w *world) latency(ctx context.Context, p programs, c cell, load workload, rate float64, length time.Duration) (map[string]float64, error) {
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
	before := min(warmFor, length)
	l := newLoop(r, rate, before+length)
	if err := r.warm(ctx, o); err != nil {
		return nil, r.explain(err)
	}
	values, err := l.measure(ctx, o, int(before.Seconds()*rate))
	if err != nil {
		return nil, r.explain(err)
	}
	values["resident_mib"] = residentMax(r.program.Process.Pid)
	if err := r.stop(); err != nil {
		return nil, fmt.Errorf("stop the %s: %w", c.Subject, err)
	}
	return values, r.explain(o.verify(ctx, w.client, r.only(l.n)))
}

// loop produces records at a rate, each at its moment.
type loop struct {
	r     *run
	first int // the number of its first record: a run may have had others
	every time.Duration
	nap   time.Duration // the shortest sleep: at high rates waking for each record would cost more than the record
	n     int           // records
	begin time.Time
	// arrived, when it is not nil, is told when each output could be seen.
	arrived func(at time.Time)
}

func newLoop(r *run, rate float64, length time.Duration) *loop {
	l := &loop{r: r, every: time.Duration(float64(time.Second) / rate), n: max(2, int(length.Seconds()*rate)), begin: time.Now()}
	if rate > 5000 {
		l.nap = time.Millisecond
	}
	return l
}

// due is when a record must be sent.
func (l *loop) due(i int) time.Time { return l.begin.Add(time.Duration(i) * l.every) }

// await waits until a record is due.
func (l *loop) await(ctx context.Context, i int) error {
	wait := time.Until(l.due(i))
	if wait <= 0 {
		return nil
	}
	return pause(ctx, max(wait, l.nap))
}

// run sends them all, or those until ctx ends, and answers when each is acknowledged.
func (l *loop) run(ctx context.Context) error {
	var failed atomic.Pointer[error]
	value := l.r.load.payload()
	for i := range l.n {
		if err := l.await(ctx, i); err != nil {
			return err
		}
		l.r.w.client.Produce(ctx, &kgo.Record{Topic: l.r.in, Key: l.r.load.key(l.r.prefix(), l.first+i), Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				failed.CompareAndSwap(nil, &err)
			}
		})
	}
	if err := l.r.w.client.Flush(ctx); err != nil {
		return err
	}
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// record answers which record of the loop an output is of, below 0: none.
func (l *loop) record(key string, nth int) int {
	n := 0
	for _, digit := range key[len(l.r.prefix()):] {
		if digit < '0' || digit > '9' {
			return -1
		}
		n = n*10 + int(digit-'0')
	}
	return n + nth*l.r.load.keys - l.first
}

// start runs the loop in the background. What it answers must be called: it waits for the end, and says what went wrong.
func (l *loop) start(ctx context.Context) (sent func() error) {
	failed := make(chan error, 1)
	go func() { failed <- l.run(ctx) }()
	return func() error {
		if err := <-failed; err != nil {
			return fmt.Errorf("produce: %w", err)
		}
		return nil
	}
}

// measure runs the loop and waits for all outputs; records before the one numbered warm are not judged.
func (l *loop) measure(ctx context.Context, o *outputs, warm int) (map[string]float64, error) {
	from, err := l.r.read(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l.begin = time.Now()
	sent := l.start(ctx)
	took := make([]time.Duration, 0, l.n)
	err = o.await(ctx, o.seen+l.n*l.r.load.fan, func(key string, nth int, at time.Time) {
		if i := l.record(key, nth); i >= warm {
			took = append(took, at.Sub(l.due(i)))
		}
		if l.arrived != nil {
			l.arrived(at)
		}
	}, nil)
	if err != nil {
		cancel()
	}
	if err := errors.Join(err, sent()); err != nil {
		return nil, err
	}
	to, err := l.r.read(ctx)
	if err != nil {
		return nil, err
	}
	values := to.since(from, l.n)
	values["asked_per_second"] = float64(time.Second) / float64(l.every)
	slices.Sort(took)
	values["p50_ms"], values["p99_ms"], values["max_ms"] = quantile(took, 0.5), quantile(took, 0.99), quantile(took, 1)
	return values, nil
}

// quantile of sorted times, in milliseconds.
func quantile(sorted []time.Duration, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[min(len(sorted)-1, int(q*float64(len(sorted))))].Microseconds()) / 1000
}
