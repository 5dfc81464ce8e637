package dispatcher

import (
	"context"
	"fmt"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
)

// EditState changes one state of an address, and answers its version when that is durable ("" when it is deleted). It takes its turn among
// the calls of the address: while one is out it waits, and no other starts before it. The value must not change any more.
//
// The error is ErrChanged when the state is not as the edit wants it to be, ErrNothing when what is to be deleted is not set, an
// *Objection, ErrNotSent when ctx or the incarnation has ended before its turn came, or ErrSentMaybe.
func (d *Dispatcher) EditState(ctx context.Context, a api.Address, e Edit, by string) (version string, err error) {
	token, w := d.newWaiter()
	w.edited = make(chan machine.Edited, 1)
	d.inbox.post(func(m *machine.Machine) { m.EditState(a, e, by, token) })
	select {
	case done := <-w.edited:
		return judged(&done)
	case <-ctx.Done():
		return d.withdrawEdit(ctx, a, token, w)
	case <-d.ctx.Done():
		return d.lostEdit(token, w, context.Cause(d.ctx))
	}
}

// withdrawEdit takes back an edit that nobody waits for any more, if that is still possible.
func (d *Dispatcher) withdrawEdit(ctx context.Context, a api.Address, token uint64, w *waiter) (string, error) {
	back, err := look(context.Background(), d, func(m *machine.Machine) bool { return m.WithdrawEdit(a, token) })
	if err != nil { // the incarnation has ended
		return d.lostEdit(token, w, context.Cause(ctx))
	}
	d.forget(token)
	if back {
		return "", fmt.Errorf("%w: its turn has not come: %w", ErrNotSent, context.Cause(ctx))
	}
	select {
	case done := <-w.edited: // meanwhile
		return judged(&done)
	default:
		return "", fmt.Errorf("%w: its commit has not ended: %w", ErrSentMaybe, context.Cause(ctx))
	}
}

// lostEdit tells what is known of an edit when the incarnation has ended, once the loop cannot change that any more.
func (d *Dispatcher) lostEdit(token uint64, w *waiter, cause error) (string, error) {
	<-d.looped
	d.forget(token)
	d.mu.Lock()
	sealed := w.sealed
	d.mu.Unlock()
	select {
	case done := <-w.edited: // meanwhile
		return judged(&done)
	default:
	}
	if sealed {
		return "", fmt.Errorf("%w: %w", ErrSentMaybe, cause)
	}
	return "", fmt.Errorf("%w: no commit holds it: %w", ErrNotSent, cause)
}

func judged(done *machine.Edited) (version string, err error) {
	switch done.Outcome {
	case machine.EditChanged:
		return done.Version, ErrChanged
	case machine.EditNothing:
		return "", ErrNothing
	case machine.EditCrowded:
		return "", &Objection{Detail: "too many edits wait for calls to end, or for states to be loaded; nothing has happened", Remedy: "try again when some of them have had their turn"}
	case machine.EditRefused:
		return "", &Objection{Detail: done.Detail + "; nothing has happened", Remedy: "look at the states that the function has declared, and at their types"}
	}
	return done.Version, nil
}

// edited tells whoever waits for it what came of an edit; the loop's.
func (d *Dispatcher) edited(e *machine.Edited) {
	d.mu.Lock()
	w := d.waiters[e.Token]
	delete(d.waiters, e.Token)
	d.mu.Unlock()
	if w != nil {
		w.edited <- *e
	}
}
