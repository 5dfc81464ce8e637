package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// ErrWentBack says that the store remembers less than it has confirmed: it was restored from an older copy, or a replica that
// lagged behind has taken over. The program stops with it.
var ErrWentBack = errors.New("the store has gone back to an older state")

// keepCommitting makes the commits, one after the other.
func (d *Dispatcher) keepCommitting() {
	for {
		select {
		case <-d.ctx.Done():
			return
		case c := <-d.commits:
			began := time.Now()
			err := d.commit(c)
			d.committed(c, began, err)
			if err != nil {
				d.fail(err)
				return
			}
			d.inbox.post(func(m *machine.Machine) { m.Committed(c.Number) })
		}
	}
}

// commit returns nil when c is durable. A store that is away is waited for; after doubt it is asked, never hoped.
//
// It is not cancelled when the gateway stops in order: who drains waits for it. When the incarnation ends the outcome does
// not matter to anybody any more: the store is read again by whoever comes next.
func (d *Dispatcher) commit(c *statestore.Commit) error {
	d.pace.began(time.Now())
	for wait := askFirst; ; wait = min(2*wait, askMax) {
		err := d.tryCommit(c)
		if errors.Is(err, statestore.ErrDoubt) && d.ctx.Err() == nil {
			d.log.Warn("outcome of a commit is unknown; the store is asked", "commit", c.Number, "error", err)
			var done bool
			if done, err = d.askCommit(c); err == nil && !done {
				continue // it never took place
			}
		}
		switch {
		case err == nil:
			d.pace.ended(time.Now())
			d.away.end("commit")
			return nil
		case d.ctx.Err() != nil:
			return context.Cause(d.ctx)
		case !errors.Is(err, statestore.ErrUnavailable):
			return fmt.Errorf("commit %d: %w", c.Number, err)
		}
		d.away.begin("commit", err.Error())
		if !d.pause(wait) {
			return context.Cause(d.ctx)
		}
	}
}

func (d *Dispatcher) tryCommit(c *statestore.Commit) error {
	began := time.Now()
	err := d.cfg.Store.Commit(d.ctx, c)
	if d.cfg.Hooks.Commit != nil {
		d.cfg.Hooks.Commit(commitResult(err), time.Since(began), effectsOf(c))
	}
	return err
}

// askCommit asks whether c took place.
func (d *Dispatcher) askCommit(c *statestore.Commit) (done bool, err error) {
	var last uint64
	err = d.insist("commit", "ask for the last commit", func() (err error) {
		last, err = d.cfg.Store.LastCommit(d.ctx, c.Fence)
		return err
	})
	if err != nil {
		return false, err
	}
	switch machine.AfterDoubt(c.Number, last) {
	case machine.CommitDone:
		return true, nil
	case machine.CommitMissed:
		return false, nil
	case machine.CommitLost:
		return false, fmt.Errorf("%w: commit %d was confirmed, and now its last one is %d", ErrWentBack, c.Number-1, last)
	}
	return false, fmt.Errorf("the store has commit %d, and %d was never made", last, c.Number+1)
}

func commitResult(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, statestore.ErrFenced):
		return "fenced"
	case errors.Is(err, statestore.ErrDoubt):
		return "doubt"
	case errors.Is(err, statestore.ErrUnavailable):
		return "unavailable"
	}
	return "refused"
}

// effectsOf counts the changes that a commit holds.
func effectsOf(c *statestore.Commit) int {
	n := len(c.Progress) + len(c.Functions) + len(c.States) + len(c.PackMarks) + len(c.MailTrims) + len(c.TimerEnds) +
		len(c.Cancels) + len(c.Timers) + len(c.LaneStarts) + len(c.Trims) + len(c.DeadLetters) + len(c.DeadEnds) +
		len(c.Pauses) + len(c.ProgressEnds) + len(c.Acts)
	for i := range c.Packs {
		n += len(c.Packs[i].Messages)
	}
	for i := range c.Mail {
		n += len(c.Mail[i].Messages)
	}
	for i := range c.Outputs {
		n += len(c.Outputs[i].Outputs)
	}
	return n
}
