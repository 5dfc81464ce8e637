package dispatcher

import (
	"context"
	"errors"
	"fmt"

	"github.com/stategate/stategate/dispatcher/machine"
)

// Drain starts no new call and waits until those under way have ended and all that has happened is durable. Sources must have
// been stopped. When ctx ends first it says what it waited for; the store brings that back.
func (d *Dispatcher) Drain(ctx context.Context) error {
	if d.drain.CompareAndSwap(false, true) {
		d.inbox.post(func(*machine.Machine) {})
	}
	if err := d.await(ctx, d.clean); err == nil || d.ctx.Err() != nil {
		return err
	}
	running := d.running.Load()
	d.endCalls()
	if away := d.StoreAway(); away != "" {
		return fmt.Errorf("waited for the store: %s", away)
	}
	switch {
	case running == 1:
		return errors.New("waited for a call that had not ended; its messages are called again after the next start")
	case running > 1:
		return fmt.Errorf("waited for %d calls that had not ended; their messages are called again after the next start", running)
	}
	return fmt.Errorf("waited for a commit")
}

// judgeDrain is the loop's.
func (d *Dispatcher) judgeDrain(m *machine.Machine) {
	select {
	case <-d.clean:
		return
	default:
	}
	if d.running.Load() == 0 && m.Clean() {
		close(d.clean)
	}
}

// Sync returns when everything up to now is durable, what is lazy by itself included.
func (d *Dispatcher) Sync(ctx context.Context) error {
	return d.durable(ctx, func(m *machine.Machine, token uint64) { m.Sync(token) })
}
