package dispatcher

import (
	"context"
	"slices"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// look lets f look at the machine, on the loop, and answers what it saw. The answer goes through a channel with room for it: whoever
// asked may go while f runs. For one who has gone before, f does not run: those who ask again and again and do not wait cost nothing.
func look[T any](ctx context.Context, d *Dispatcher, f func(m *machine.Machine) T) (T, error) {
	seen := make(chan T, 1)
	d.inbox.post(func(m *machine.Machine) {
		if ctx.Err() == nil {
			seen <- f(m)
		}
	})
	var none T
	select {
	case v := <-seen:
		return v, nil
	case <-ctx.Done():
		return none, ctx.Err()
	case <-d.ctx.Done():
		return none, context.Cause(d.ctx)
	}
}

// Ping returns when the loop has turned.
func (d *Dispatcher) Ping(ctx context.Context) error {
	_, err := look(ctx, d, func(*machine.Machine) struct{} { return struct{}{} })
	return err
}

// numberWait is how long a view waits for the number of the message at the front.
const numberWait = time.Second

// View is what memory knows of one address, and the states that its function has declared. Of a mailbox whose front is in the store alone
// the front is read there, if the store answers.
func (d *Dispatcher) View(ctx context.Context, a api.Address) (machine.View, []statestore.StateSpec, error) {
	type view struct {
		machine.View
		specs []statestore.StateSpec
	}
	seen := func(m *machine.Machine) view { return view{m.View(a), m.Specs(a.Type)} }
	v, err := look(ctx, d, seen)
	if err == nil && v.Front.Number == 0 && v.Front.ArrivedMS != 0 { // a commit makes its number known
		soon, cancel := context.WithTimeout(ctx, numberWait)
		_ = d.Sync(soon) // while the store is away it is shown without
		cancel()
		v, err = look(ctx, d, seen)
	}
	if err == nil && (!v.InMemory && v.Front.Number == 0 || v.Front.Stored) {
		d.readFront(ctx, a, &v.Front)
	}
	return v.View, v.specs, err
}

// readFront finds the message at the front of a mailbox of which memory knows no more than the number, or nothing.
func (d *Dispatcher) readFront(ctx context.Context, a api.Address, front *machine.Front) {
	found, err := d.cfg.Store.Mail(ctx, a, front.Number, 1)
	if err != nil || len(found) == 0 {
		return
	}
	m := &found[0]
	*front = machine.Front{
		Number: m.Number, Caller: m.Message.Caller, TypeName: m.Message.Argument.TypeName, Bytes: len(m.Message.Argument.Value), Stored: true,
	}
}

// Gauges is what is at hand right now. Its maps are everybody's: they are not written to.
func (d *Dispatcher) Gauges(ctx context.Context) (machine.Gauges, error) {
	return d.seen.gauges.get(ctx, d, func(ctx context.Context) (machine.Gauges, time.Duration, error) {
		g, err := look(ctx, d, (*machine.Machine).Gauges)
		return g, 0, err
	})
}

// overdueWait is how long the reasons wait for the number of addresses that are overdue: they are told to those who do not wait for long.
const overdueWait = time.Second

// Reasons lists what is not as it should be. How many addresses are overdue it takes from an overview, which is taken in parts: where it
// is not there in time, it is the number of the one before.
func (d *Dispatcher) Reasons(ctx context.Context) ([]machine.Reason, error) {
	soon, cancel := context.WithTimeout(ctx, overdueWait)
	defer cancel()
	_, _ = d.Overview(soon) // it goes on when nobody waits for it any more, and the next who asks is told what it has seen
	all, err := d.seen.reasons.get(ctx, d, func(ctx context.Context) ([]machine.Reason, time.Duration, error) {
		r, err := look(ctx, d, func(m *machine.Machine) []machine.Reason { return m.ReasonsBeside(int(d.overdue.Load())) })
		return r, 0, err
	})
	return slices.Clone(all), err
}

// StoreAway says why the store cannot be reached, "" when it can.
func (d *Dispatcher) StoreAway() string { return d.away.any() }
