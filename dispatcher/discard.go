package dispatcher

import (
	"context"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
)

// Discard removes a dead letter for good; found is false when there is none of this number. One is discarded after the other, each
// until that is durable: what the store answers is there then, and is counted once, however many ask for it.
func (d *Dispatcher) Discard(ctx context.Context, number uint64) (found bool, err error) {
	select {
	case d.discards <- struct{}{}:
		defer func() { <-d.discards }()
	case <-ctx.Done():
		return false, ctx.Err()
	case <-d.ctx.Done():
		return false, context.Cause(d.ctx)
	}
	if number == 0 {
		return false, nil
	}
	letters, err := d.cfg.Store.DeadLetters(ctx, number-1, 1)
	if err != nil || len(letters) == 0 || letters[0].Number != number {
		return false, err
	}
	// Whoever asked may be gone before the commit: it is waited for all the same, or the next one would find the letter still there.
	err = d.durable(d.ctx, func(m *machine.Machine, token uint64) { m.Discard([]api.DeadLetter{letters[0]}, token) })
	return err == nil, err
}
