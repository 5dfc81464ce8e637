package dispatcher

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// Stuck is what waits longer than it should, the oldest first.
func (d *Dispatcher) Stuck(ctx context.Context) ([]machine.Stuck, error) {
	return inParts(ctx, d, (*machine.Machine).LookForStuck, (*machine.Machine).GoOn, (*machine.Machine).Told)
}

// Overview is what waits and what for.
func (d *Dispatcher) Overview(ctx context.Context) (machine.Overview, error) {
	return inParts(ctx, d, (*machine.Machine).LookOver, (*machine.Machine).GoOnOver, (*machine.Machine).Seen)
}

// inParts looks at all that waits over many turns of the loop, which is not held for long by any of them. There is one such look at a time:
// whoever comes meanwhile waits for it.
func inParts[L, T any](ctx context.Context, d *Dispatcher, begin func(*machine.Machine) L, goOn func(*machine.Machine, L) bool, end func(*machine.Machine, L) T) (T, error) {
	var none T
	select {
	case d.looks <- struct{}{}:
		defer func() { <-d.looks }()
	case <-ctx.Done():
		return none, ctx.Err()
	case <-d.ctx.Done():
		return none, context.Cause(d.ctx)
	}
	l, err := look(ctx, d, begin)
	for done := false; err == nil && !done; {
		done, err = look(ctx, d, func(m *machine.Machine) bool { return goOn(m, l) })
	}
	if err != nil {
		return none, err
	}
	return look(ctx, d, func(m *machine.Machine) T { return end(m, l) })
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
	out  atomic.Int64 // since when one is out, Unix nanoseconds; 0: none is
	last atomic.Int64 // how long the last one took, nanoseconds
}

func (p *pace) began(at time.Time) { p.out.CompareAndSwap(0, at.UnixNano()) }

func (p *pace) ended(at time.Time) {
	p.last.Store(at.UnixNano() - p.out.Load())
	p.out.Store(0)
}

// Pace is for how long the commit that is out has been, all its attempts together, and how long the last one took; zero: there is none.
func (d *Dispatcher) Pace() (out, last time.Duration) {
	if began := d.pace.out.Load(); began != 0 {
		out = max(time.Since(time.Unix(0, began)), 1)
	}
	return out, time.Duration(d.pace.last.Load())
}
