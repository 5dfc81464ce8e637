package dispatcher

import (
	"sync"
	"time"

	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// fact is something that the machine is told. It runs on the loop's goroutine, which alone touches the machine.
type fact func(m *machine.Machine)

// inbox gathers facts for the loop. It needs no bound of its own: whoever posts has one (calls by slots, their large replies by
// the pool's budget, loads and commits by the machine, records by waiting until they are taken).
type inbox struct {
	mu    sync.Mutex
	facts []fact        // guarded by mu
	spare []fact        // the loop's own: room for the next ones
	wake  chan struct{} // has a token when there is something to take
}

func newInbox() inbox { return inbox{wake: make(chan struct{}, 1)} }

func (in *inbox) post(f fact) {
	in.mu.Lock()
	in.facts = append(in.facts, f)
	in.mu.Unlock()
	in.knock()
}

// knock wakes the loop.
func (in *inbox) knock() {
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

// take is the loop's. What it answered before is over when it is called again.
func (in *inbox) take() []fact {
	clear(in.spare)
	in.mu.Lock()
	defer in.mu.Unlock()
	facts := in.facts
	in.facts, in.spare = in.spare[:0], facts
	return facts
}

// loop is the one goroutine that owns the machine: facts in, work out. It does no I/O.
func (d *Dispatcher) loop(m *machine.Machine, clock *clock) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-d.ctx.Done():
			return
		case <-d.inbox.wake:
		case <-timer.C:
		}
		facts := d.inbox.take() // before the clock is read: no fact is told at a time before it happened
		m.Tick(clock.now().UnixMilli())
		d.tellLarge(m)
		for _, f := range facts {
			f(m)
		}
		work := m.Work()
		d.carry(&work)
		if len(d.large) > 0 && !m.Saturated() {
			d.inbox.knock() // what was in their way is in a commit now: they need not wait for the next fact
		}
		m.Carried(work.Calls)
		if d.drain.Load() {
			d.judgeDrain(m)
		}
		timer.Reset(time.UnixMilli(work.Tick).Sub(clock.now()))
	}
}

// carry starts the work and returns.
func (d *Dispatcher) carry(w *machine.Work) {
	if w.Commit != nil {
		d.seal(w.Sealed)
		d.traced = w.Traced
		d.commits <- w.Commit // never waits: there is one at a time
	}
	for i := range w.Finished { // before replies and deliveries: whoever sees those may ask for positions
		d.setProgress(w.Finished[i])
	}
	for _, p := range w.Outputs {
		d.cfg.Deliver(p)
	}
	for _, token := range w.Done {
		d.done(token)
	}
	for i := range w.Answers {
		d.answer(&w.Answers[i])
	}
	for i := range w.Edited {
		d.edited(&w.Edited[i])
	}
	for _, s := range w.Full {
		d.gate(s).shut()
	}
	for _, s := range w.Room {
		d.gate(s).open()
	}
	d.carryLoads(w)
	if d.drain.Load() {
		return // calls that have not started stay where they are: sources and store bring them back
	}
	d.startCalls(w.Calls)
}

// carryLoads asks the store.
func (d *Dispatcher) carryLoads(w *machine.Work) {
	for i := range w.Loads {
		l := w.Loads[i]
		load(d, "load states", func() ([]statestore.Loaded, error) { return d.cfg.Store.States(d.ctx, l.Addresses) },
			func(m *machine.Machine, found []statestore.Loaded) { m.Loaded(l.ID, found) })
	}
	for i := range w.MailLoads {
		l := w.MailLoads[i]
		load(d, "load mail", func() ([]statestore.Mail, error) { return d.cfg.Store.Mail(d.ctx, l.Address, l.From, l.BytesMax) },
			func(m *machine.Machine, found []statestore.Mail) { m.MailLoaded(l.ID, found) })
	}
	if l := w.TimerLoad; l != nil {
		load(d, "load timers", func() ([]statestore.Timer, error) { return d.cfg.Store.Timers(d.ctx, l.After, l.Due, l.Limit) },
			func(m *machine.Machine, found []statestore.Timer) { m.TimersLoaded(l.ID, found) })
	}
	for i := range w.Spills {
		l := w.Spills[i]
		load(d, "look for spilled mail", func() (p page, err error) {
			p.addresses, p.next, err = d.cfg.Store.SpilledAddresses(d.ctx, l.Function, l.Cursor, l.Limit)
			return p, err
		}, func(m *machine.Machine, p page) { m.SpillsLoaded(l.ID, p.addresses, p.next) })
	}
	if l := w.Expired; l != nil {
		load(d, "look for expired states", func() (p page, err error) {
			p.addresses, err = d.cfg.Store.ExpiredAddresses(d.ctx, l.Before, l.Limit)
			return p, err
		}, func(m *machine.Machine, p page) { m.Expired(l.ID, p.addresses) })
	}
}
