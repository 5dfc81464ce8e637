package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// page is an answer that lists addresses.
type page struct {
	addresses []api.Address
	next      []byte
}

// Waits between two questions to a store that is away double from askFirst to askMax.
const (
	askFirst = 5 * time.Millisecond
	askMax   = time.Second
)

// load asks the store until it answers, and tells the machine. An error that asking again cannot mend ends the incarnation.
func load[T any](d *Dispatcher, action string, ask func() (T, error), tell func(*machine.Machine, T)) {
	d.wait.Add(1)
	go func() {
		defer d.wait.Done()
		var found T
		err := d.insist("load", action, func() (err error) { found, err = ask(); return err })
		if err != nil {
			d.fail(err)
			return
		}
		d.inbox.post(func(m *machine.Machine) { tell(m, found) })
	}()
}

// insist calls f until it succeeds, the incarnation ends, or f fails for good. key names the condition that the store is away.
func (d *Dispatcher) insist(key, action string, f func() error) error {
	for wait := askFirst; ; wait = min(2*wait, askMax) {
		err := f()
		switch {
		case err == nil:
			d.away.end(key)
			return nil
		case d.ctx.Err() != nil:
			return context.Cause(d.ctx)
		case !errors.Is(err, statestore.ErrUnavailable):
			return fmt.Errorf("%s: %w", action, err)
		}
		d.away.begin(key, fmt.Sprintf("%s: %v", action, err))
		if !d.pause(wait) {
			return context.Cause(d.ctx)
		}
	}
}

// pauseFor waits, as long as somebody waits for it.
func (d *Dispatcher) pauseFor(ctx context.Context, wait time.Duration) error {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-d.ctx.Done():
		return context.Cause(d.ctx)
	}
}

// pause waits and reports whether the incarnation goes on.
func (d *Dispatcher) pause(wait time.Duration) bool {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-d.ctx.Done():
		return false
	}
}
