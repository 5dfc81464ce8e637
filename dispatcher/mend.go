package dispatcher

import (
	"context"
	"fmt"
	"sync"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// Retry has an address tried now that waits for its next attempt, or behind an endpoint's breaker: it is the next probe then. It returns
// when that is noted for good: ErrNothing when nothing of the address waits, an *Objection when it cannot be tried now.
func (d *Dispatcher) Retry(ctx context.Context, a api.Address, by string) error {
	return d.mend(ctx, func(m *machine.Machine, token uint64, said func(*machine.Denial)) { m.Retry(a, by, token, said) })
}

// Skip sets the message at the front of an address aside, by its number (machine.View.Front): from then on it is a dead letter, and what
// waits behind it goes on. It returns when that is durable: ErrNothing when nothing of the address waits, an *Objection when another
// message is at the front, or a call is out that may still succeed.
func (d *Dispatcher) Skip(ctx context.Context, a api.Address, message uint64, by string) error {
	return d.mend(ctx, func(m *machine.Machine, token uint64, said func(*machine.Denial)) {
		m.Skip(a, message, by, token, said)
	})
}

// Pause begins a pause of an address, a function or an ingress, or ends it (Ended). It returns when that is durable, and counts from
// the moment that it is asked for. It reports whether anything has changed: what is paused already is not paused again, and what is not
// cannot be resumed.
func (d *Dispatcher) Pause(ctx context.Context, p statestore.Pause) (changed bool, err error) {
	var was bool // of the loop until the answer
	err = d.mend(ctx, func(m *machine.Machine, token uint64, said func(*machine.Denial)) {
		was = m.InForce(p)
		denial := m.Pause(p, token)
		if denial == nil && p.Kind == statestore.PauseIngress {
			d.stops.pauseIngress(p.Ingress, p.Ended)
		}
		said(denial)
	})
	if err != nil {
		return false, err
	}
	return was == p.Ended, nil
}

// Paused lists what is paused, sorted by kind and by what it is of.
func (d *Dispatcher) Paused(ctx context.Context) ([]statestore.Pause, error) {
	return look(ctx, d, (*machine.Machine).Paused)
}

// PausedIngress reports whether an operator has paused an ingress: then whoever serves it takes nothing in. It is for each event to ask.
func (d *Dispatcher) PausedIngress(id string) bool {
	return d.stops.of(id) != nil
}

// mend tells the machine what an operator wants, and returns when it is durable or denied. When ctx ends first it is not known
// whether it will be done.
func (d *Dispatcher) mend(ctx context.Context, tell func(m *machine.Machine, token uint64, said func(*machine.Denial))) error {
	token, w := d.newWaiter()
	denied := make(chan *machine.Denial, 1)
	d.inbox.post(func(m *machine.Machine) {
		tell(m, token, func(denial *machine.Denial) {
			if denial != nil {
				denied <- denial
			}
		})
	})
	select {
	case <-w.done:
		return nil
	case denial := <-denied:
		d.forget(token)
		if denial.Nothing {
			return fmt.Errorf("%w: %s", ErrNothing, denial.Detail)
		}
		return &Objection{Detail: denial.Detail, Remedy: denial.Remedy}
	case <-ctx.Done():
		d.forget(token)
		return fmt.Errorf("it is not known whether it was done: %w", context.Cause(ctx))
	case <-d.ctx.Done():
		d.forget(token)
		return fmt.Errorf("it is not known whether it was done: %w", context.Cause(d.ctx))
	}
}

// stops are ingresses that an operator has paused, each with what is closed when it goes on. They are kept beside the machine, whose
// answer would come too late for the first records after a start, and for events that have no source.
type stops struct {
	mu        sync.RWMutex
	ingresses map[string]chan struct{} // guarded by mu
}

// pauseIngress begins or ends a pause.
func (s *stops) pauseIngress(id string, ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	on := s.ingresses[id]
	switch {
	case ended && on != nil:
		close(on)
		delete(s.ingresses, id)
	case !ended && on == nil:
		if s.ingresses == nil {
			s.ingresses = map[string]chan struct{}{}
		}
		s.ingresses[id] = make(chan struct{})
	}
}

// of is nil when the ingress is not paused, else a channel that closes when it goes on.
func (s *stops) of(id string) chan struct{} {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.ingresses[id]
}
