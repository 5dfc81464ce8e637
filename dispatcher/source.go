package dispatcher

import (
	"context"
	"sync"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// gate lets a source bring records while there is room.
type gate struct {
	mu     sync.Mutex
	closed chan struct{} // nil while open; closed when it opens again. Guarded by mu.
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed == nil {
		g.closed = make(chan struct{})
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed != nil {
		close(g.closed)
		g.closed = nil
	}
}

// room is nil when records may come now, else a channel that closes when they may.
func (g *gate) room() chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed
}

// roomOf is nil when a source may bring records now, else a channel that closes when it is worth to look again.
func (d *Dispatcher) roomOf(s api.Source, g *gate) chan struct{} {
	if on := d.stops.of(s.Ingress); on != nil {
		return on
	}
	return g.room()
}

func (d *Dispatcher) gate(s api.Source) *gate {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := d.gates[s]
	if g == nil {
		g = &gate{}
		d.gates[s] = g
	}
	return g
}

// Progress is what is committed for a source (ingress.Engine).
func (d *Dispatcher) Progress(source api.Source) (statestore.Progress, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, ok := d.progress[source]
	return p.Clone(), ok
}

func (d *Dispatcher) setProgress(p statestore.Progress) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.progress[p.Source] = p
}

// Start makes start positions durable (ingress.Engine). They are one fact, so that no commit comes between them.
func (d *Dispatcher) Start(ctx context.Context, starts []statestore.Progress) error {
	return d.durable(ctx, func(m *machine.Machine, token uint64) {
		for _, p := range starts {
			m.Started(p, 0)
		}
		m.Sync(token)
	})
}

// Arrive hands over records (ingress.Engine). It returns when the machine has them, so that one source has one batch on its way.
// A batch of which some was set aside waits for its commit: what is finished on arrival counts in no bound of its source, and a
// topic full of it would fill the memory while the store is slow or away.
func (d *Dispatcher) Arrive(ctx context.Context, source api.Source, records []api.Record) error {
	g := d.gate(source)
	for room := d.roomOf(source, g); room != nil; room = d.roomOf(source, g) {
		if err := d.await(ctx, room); err != nil {
			return err
		}
	}
	taken, setAside := make(chan struct{}), false
	d.inbox.post(func(m *machine.Machine) {
		before := d.setAside
		m.Arrive(source, records)
		setAside = d.setAside > before
		close(taken)
	})
	if err := d.await(ctx, taken); err != nil || !setAside {
		return err
	}
	return d.durable(ctx, func(m *machine.Machine, token uint64) { m.Sync(token) })
}

// durable tells the machine something and returns when that is committed.
func (d *Dispatcher) durable(ctx context.Context, tell func(m *machine.Machine, token uint64)) error {
	token, w := d.newWaiter()
	d.inbox.post(func(m *machine.Machine) { tell(m, token) })
	return d.await(ctx, w.done)
}

// done wakes whoever waits for a token.
func (d *Dispatcher) done(token uint64) {
	d.mu.Lock()
	w := d.waiters[token]
	delete(d.waiters, token)
	d.mu.Unlock()
	if w != nil {
		close(w.done)
		if w.then != nil {
			w.then()
		}
	}
}

// await waits for a channel to close; it fails when the caller or the incarnation ends first.
func (d *Dispatcher) await(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-d.ctx.Done():
		return context.Cause(d.ctx)
	}
}
