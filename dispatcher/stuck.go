package dispatcher

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// Stuck is what waits longer than it should, the oldest first. It goes on over many turns of the loop, and there is one look at a time:
// whoever comes meanwhile waits for it.
func (d *Dispatcher) Stuck(ctx context.Context) ([]machine.Stuck, error) {
	select {
	case d.looks <- struct{}{}:
		defer func() { <-d.looks }()
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-d.ctx.Done():
		return nil, context.Cause(d.ctx)
	}
	l, err := look(ctx, d, (*machine.Machine).LookForStuck)
	for done := false; err == nil && !done; {
		done, err = look(ctx, d, func(m *machine.Machine) bool { return m.GoOn(l) })
	}
	if err != nil {
		return nil, err
	}
	return look(ctx, d, func(m *machine.Machine) []machine.Stuck { return m.Told(l) })
}

// Standing is what the machine knows of what the module names, at one moment.
type Standing struct {
	Overview  machine.Overview
	Functions []machine.FunctionState
	Lanes     []machine.LaneState
	Paused    []statestore.Pause // sorted by kind
}

// Standing looks at everything, in time in proportion to what waits: ask seldom.
func (d *Dispatcher) Standing(ctx context.Context) (Standing, error) {
	return look(ctx, d, func(m *machine.Machine) Standing {
		return Standing{m.Overview(), m.Functions(), m.Lanes(), m.Paused()}
	})
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
