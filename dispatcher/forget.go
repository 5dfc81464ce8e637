package dispatcher

import (
	"context"
	"fmt"

	"github.com/stategate/stategate/dispatcher/machine"
)

// ForgetIngress forgets where the sources of an ingress stand that the module does not declare any more: should it come back, they begin
// anew. It returns when that is durable. The error is ErrNothing when nothing is known of it, an *Objection while the module declares it, or
// ErrSentMaybe.
func (d *Dispatcher) ForgetIngress(ctx context.Context, id, by string) error {
	err := d.forgets(ctx, func(m *machine.Machine, token uint64) (bool, string) { return m.ForgetIngress(id, by, token) })
	if err == nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		for s := range d.progress {
			if s.Ingress == id {
				delete(d.progress, s)
			}
		}
	}
	return err
}

// ForgetEgress is ForgetIngress for the outputs that wait for an egress: nobody will deliver them. Its lanes go on numbering where they
// are.
func (d *Dispatcher) ForgetEgress(ctx context.Context, id, by string) error {
	return d.forgets(ctx, func(m *machine.Machine, token uint64) (bool, string) { return m.ForgetEgress(id, by, token) })
}

func (d *Dispatcher) forgets(ctx context.Context, tell func(*machine.Machine, uint64) (found bool, why string)) error {
	refused := make(chan error, 1)
	err := d.durable(ctx, func(m *machine.Machine, token uint64) {
		found, why := tell(m, token)
		switch {
		case !found:
			refused <- ErrNothing
		case why != "":
			refused <- &Objection{Detail: why, Remedy: "take it out of the module and start the gateway with that first"}
		default:
			return
		}
		d.done(token)
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSentMaybe, err)
	}
	select {
	case err := <-refused:
		return err
	default:
		return nil
	}
}
