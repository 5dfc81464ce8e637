package dispatcher

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// Stuck is what waits longer than it should, the oldest first.
func (d *Dispatcher) Stuck(ctx context.Context) ([]machine.Stuck, error) {
	all, err := d.seen.stuck.get(ctx, d, func(ctx context.Context) ([]machine.Stuck, time.Duration, error) {
		return inParts(ctx, d, (*machine.Machine).LookForStuck, (*machine.Machine).GoOn, (*machine.Machine).Told)
	})
	return slices.Clone(all), err
}

// Overview is what waits and what for. Its maps and slices are everybody's: they are not written to.
func (d *Dispatcher) Overview(ctx context.Context) (machine.Overview, error) {
	return d.seen.overview.get(ctx, d, func(ctx context.Context) (machine.Overview, time.Duration, error) {
		o, cost, err := inParts(ctx, d, (*machine.Machine).LookOver, (*machine.Machine).GoOnOver, (*machine.Machine).Seen)
		if err == nil {
			d.overdue.Store(int64(o.Overdue))
		}
		return o, cost, err
	})
}

// fewParts is how many parts a look may have that costs next to nothing: whoever asks again sees what is so now.
const fewParts = 5

// restMost bounds how long a look rests between two parts. It rests for as long as the last part has taken, so that half of the loop's time
// is for what else there is.
const restMost = 2 * time.Millisecond

// rest waits for so long, or for less where nobody is asked any more.
func (d *Dispatcher) rest(ctx context.Context, long time.Duration) {
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-d.ctx.Done():
	}
}

// inParts looks at all that waits over many turns of the loop, which is not held for long by any of them, and answers what that has cost
// where it is worth to be kept. There is one such look at a time.
func inParts[L, T any](ctx context.Context, d *Dispatcher, begin func(*machine.Machine) L, goOn func(*machine.Machine, L) bool, end func(*machine.Machine, L) T) (T, time.Duration, error) {
	var none T
	select {
	case d.looks <- struct{}{}:
		defer func() { <-d.looks }()
	case <-ctx.Done():
		return none, 0, ctx.Err()
	case <-d.ctx.Done():
		return none, 0, context.Cause(d.ctx)
	}
	var cost time.Duration // the loop's until it has answered
	timed := func(f func()) {
		began := time.Now()
		f()
		cost += time.Since(began)
	}
	l, err := look(ctx, d, func(m *machine.Machine) (l L) { timed(func() { l = begin(m) }); return l })
	parts := 0
	for done := false; err == nil && !done; parts++ {
		before := cost
		done, err = look(ctx, d, func(m *machine.Machine) (done bool) { timed(func() { done = goOn(m, l) }); return done })
		if err == nil && !done {
			d.rest(ctx, min(cost-before, restMost))
		}
	}
	if err != nil {
		return none, 0, err
	}
	seen, err := look(ctx, d, func(m *machine.Machine) (seen T) { timed(func() { seen = end(m, l) }); return seen })
	if err != nil || parts <= fewParts {
		return seen, 0, err
	}
	return seen, cost, nil
}

// Lanes are the streams of outputs.
func (d *Dispatcher) Lanes(ctx context.Context) ([]machine.LaneState, error) {
	return look(ctx, d, (*machine.Machine).Lanes)
}

// Functions are all that the machine knows, sorted by name.
func (d *Dispatcher) Functions(ctx context.Context) ([]machine.FunctionState, error) {
	return look(ctx, d, (*machine.Machine).Functions)
}

// DeadTotals counts dead letters by origin.
func (d *Dispatcher) DeadTotals(ctx context.Context) ([]statestore.DeadTotal, error) {
	return look(ctx, d, (*machine.Machine).DeadTotals)
}

// Source is one partition, with what is committed of it.
type Source struct {
	machine.SourceState
	Progress statestore.Progress
}

// Sources are the partitions of an ingress.
func (d *Dispatcher) Sources(ctx context.Context, ingress string) ([]Source, error) {
	states, err := look(ctx, d, func(m *machine.Machine) []machine.SourceState { return m.Sources(ingress) })
	out := make([]Source, 0, len(states))
	for _, s := range states {
		progress, _ := d.Progress(s.ID)
		out = append(out, Source{s, progress})
	}
	return out, err
}

// Views is View of many addresses at one moment.
func (d *Dispatcher) Views(ctx context.Context, addresses []api.Address) ([]machine.View, error) {
	return look(ctx, d, func(m *machine.Machine) []machine.View {
		views := make([]machine.View, len(addresses))
		for i, a := range addresses {
			views[i] = m.View(a)
		}
		return views
	})
}

// pace is how long commits take. Only who commits writes it.
type pace struct {
	out    atomic.Int64 // since when one is out, Unix nanoseconds; 0: none is
	last   atomic.Int64 // how long the last one took, nanoseconds
	lastAt atomic.Int64 // when that ended, Unix nanoseconds
}

// paceFor is for how long the last commit tells how long commits take: where nothing happens, none follows it.
const paceFor = 15 * time.Second

func (p *pace) began(at time.Time) { p.out.CompareAndSwap(0, at.UnixNano()) }

func (p *pace) ended(at time.Time) {
	p.last.Store(at.UnixNano() - p.out.Load())
	p.lastAt.Store(at.UnixNano())
	p.out.Store(0)
}

func (p *pace) at(now time.Time) (out, last time.Duration) {
	if began := p.out.Load(); began != 0 {
		out = max(now.Sub(time.Unix(0, began)), 1)
	}
	if now.Sub(time.Unix(0, p.lastAt.Load())) <= paceFor {
		last = time.Duration(p.last.Load())
	}
	return out, last
}

// Pace is for how long the commit that is out has been, all its attempts together, and how long the last one took, if it has ended just now;
// zero: there is none.
func (d *Dispatcher) Pace() (out, last time.Duration) { return d.pace.at(time.Now()) }
