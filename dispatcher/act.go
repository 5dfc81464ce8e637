package dispatcher

import (
	"context"

	"github.com/stategate/stategate/dispatcher/machine"
)

// Act notes what an operator does outside of this engine, and returns when that is durable: before it is done, or what was done could be
// without its note.
func (d *Dispatcher) Act(ctx context.Context, by, what, on, detail string) error {
	return d.mend(ctx, func(m *machine.Machine, token uint64, said func(*machine.Denial)) {
		said(m.Act(by, what, on, detail, token))
	})
}
