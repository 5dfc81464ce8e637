package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
)

// Refusal says why a message can never be a call: sent again it is refused again.
type Refusal = machine.Refusal

var (
	// ErrNotSent says that nothing has happened and nothing will: the message may be sent again.
	ErrNotSent = errors.New("the message was not taken")
	// ErrSentMaybe says that the message may have taken effect, or may yet: sent again it may do so twice.
	ErrSentMaybe = errors.New("it is not known whether the message was taken")
)

// waiter waits for a token.
type waiter struct {
	done    chan struct{}
	refused chan *Refusal       // has room for the one that there may be; nil for what cannot be refused
	answer  chan machine.Answer // has room for the one that there may be; nil for what has no reply
	edited  chan machine.Edited // the same of an edit
	sealed  bool                // the store was asked to make it durable; guarded by the dispatcher's mu
	then    func()              // the loop's, when it is done; nil: nothing
}

// Send takes a message from outside and returns when it is durable, or what came of it: nil is a promise that it takes effect, once.
// It waits while there is no room, and messages to one function are taken in the order in which they came. The message's value must
// not change any more.
//
// The error is a *Refusal, ErrNotSent or ErrSentMaybe. Whoever calls it bounds how often it does so at once: a message that waits is in
// no other bound.
func (d *Dispatcher) Send(ctx context.Context, msg api.Message) error {
	return d.send(ctx, msg.Target.Type, func(m *machine.Machine, token uint64) *Refusal { return m.Event(msg, token) })
}

// Later is Send for a message that is delivered after a delay. With a name it replaces one of this name that waits; CancelLater removes it.
func (d *Dispatcher) Later(ctx context.Context, msg api.Message, delay time.Duration, name string) error {
	return d.send(ctx, msg.Target.Type, func(m *machine.Machine, token uint64) *Refusal {
		return m.Later(msg, delay.Milliseconds(), name, token)
	})
}

// CancelLater removes the delayed message from outside that has this name, if it waits still, and returns when that is durable. Asked
// again it does no harm.
func (d *Dispatcher) CancelLater(ctx context.Context, name string) error {
	return d.durable(ctx, func(m *machine.Machine, token uint64) { m.CancelLater(name, token) })
}

// send tells the machine of a message and returns what came of it.
func (d *Dispatcher) send(ctx context.Context, to api.FunctionType, tell func(m *machine.Machine, token uint64) *Refusal) error {
	token, w := d.newWaiter()
	w.refused = make(chan *Refusal, 1)
	d.inbox.post(func(m *machine.Machine) {
		if r := tell(m, token); r != nil {
			w.refused <- r
		}
	})
	return d.taken(ctx, to, token, w)
}

// taken waits until a message is durable, or answers what came of it.
func (d *Dispatcher) taken(ctx context.Context, to api.FunctionType, token uint64, w *waiter) error {
	select {
	case <-w.done:
		return nil
	case r := <-w.refused:
		d.forget(token)
		return r
	case <-ctx.Done():
		return d.withdraw(ctx, to, token, w)
	case <-d.ctx.Done():
		return d.lost(token, w)
	}
}

// withdraw takes back a message for which nobody waits any more, if that is still possible.
func (d *Dispatcher) withdraw(ctx context.Context, t api.FunctionType, token uint64, w *waiter) error {
	taken := make(chan bool, 1)
	d.inbox.post(func(m *machine.Machine) { taken <- m.Withdraw(t, token) })
	select {
	case <-w.done:
		return nil
	case <-d.ctx.Done():
		return d.lost(token, w)
	case back := <-taken:
		d.forget(token)
		if back {
			return fmt.Errorf("%w: there was no room: %w", ErrNotSent, context.Cause(ctx))
		}
	}
	select {
	case <-w.done: // meanwhile
		return nil
	case r := <-w.refused:
		return r
	default:
		return fmt.Errorf("%w: its commit has not ended: %w", ErrSentMaybe, context.Cause(ctx))
	}
}

// lost tells what is known of a message when the incarnation has ended, once the loop cannot change that any more.
func (d *Dispatcher) lost(token uint64, w *waiter) error {
	<-d.looped
	d.forget(token)
	d.mu.Lock()
	sealed := w.sealed
	d.mu.Unlock()
	select {
	case <-w.done:
		return nil
	default:
	}
	if sealed {
		return fmt.Errorf("%w: %w", ErrSentMaybe, context.Cause(d.ctx))
	}
	return fmt.Errorf("%w: %w", ErrNotSent, context.Cause(d.ctx))
}

func (d *Dispatcher) newWaiter() (token uint64, w *waiter) {
	w = &waiter{done: make(chan struct{})}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tokens++
	d.waiters[d.tokens] = w
	return d.tokens, w
}

func (d *Dispatcher) forget(token uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.waiters, token)
}

// seal notes what the next commit holds.
func (d *Dispatcher) seal(tokens []uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, token := range tokens {
		if w := d.waiters[token]; w != nil {
			w.sealed = true
		}
	}
}
