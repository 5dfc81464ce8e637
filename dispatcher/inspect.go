package dispatcher

import (
	"context"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// ask lets f look at the machine and returns when it has.
func (d *Dispatcher) ask(ctx context.Context, f func(m *machine.Machine)) error {
	done := make(chan struct{})
	d.inbox.post(func(m *machine.Machine) {
		f(m)
		close(done)
	})
	return d.await(ctx, done)
}

// Ping returns when the loop has turned.
func (d *Dispatcher) Ping(ctx context.Context) error { return d.ask(ctx, func(*machine.Machine) {}) }

// View is what memory knows of one address, and the states that its function has declared.
func (d *Dispatcher) View(ctx context.Context, a api.Address) (v machine.View, specs []statestore.StateSpec, err error) {
	err = d.ask(ctx, func(m *machine.Machine) { v, specs = m.View(a), m.Specs(a.Type) })
	return v, specs, err
}

// Gauges is what is at hand right now.
func (d *Dispatcher) Gauges(ctx context.Context) (g machine.Gauges, err error) {
	err = d.ask(ctx, func(m *machine.Machine) { g = m.Gauges() })
	return g, err
}

// Reasons lists what is not as it should be.
func (d *Dispatcher) Reasons(ctx context.Context) (r []machine.Reason, err error) {
	err = d.ask(ctx, func(m *machine.Machine) { r = m.Reasons() })
	return r, err
}

// StoreAway says why the store cannot be reached, "" when it can.
func (d *Dispatcher) StoreAway() string { return d.away.any() }
