package dispatcher

import (
	"context"
	"fmt"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
)

// Replay tries dead letters again that a selection names, in order, and returns when those are durable that are on their way: all of a
// batch in one commit, with one act. A batch ends when it has looked at as many as it may, when it holds batchBytes, or early, when there
// is no room for more; the next one goes on behind its Last. Whoever goes through all of them names the highest number that there is at
// the start in Through, or what fails again is replayed again.
//
// When it is not known what came of it, the error is ErrSentMaybe; asked again it replays what is still there.
func (d *Dispatcher) Replay(ctx context.Context, s Selection, by string) (Batch, error) {
	return d.batch(ctx, s, func(m *machine.Machine, letters []api.DeadLetter, token uint64) machine.Ended {
		return m.Replay(letters, nil, by, s.String(), token)
	})
}

// Discard is Replay for letters that are to be gone for good.
func (d *Dispatcher) Discard(ctx context.Context, s Selection, by string) (Batch, error) {
	return d.batch(ctx, s, func(m *machine.Machine, letters []api.DeadLetter, token uint64) machine.Ended {
		return m.Discard(letters, by, s.String(), token)
	})
}

// ReplayOne tries one dead letter again. to is where a record goes that has no address. The error is ErrNothing, an *Objection, or
// ErrSentMaybe.
func (d *Dispatcher) ReplayOne(ctx context.Context, number uint64, to *api.Address, by string) error {
	b, full, err := d.one(ctx, number, func(m *machine.Machine, letters []api.DeadLetter, token uint64) machine.Ended {
		return m.Replay(letters, to, by, fmt.Sprintf("dead letter %d", number), token)
	})
	switch {
	case err != nil:
		return err
	case full != "":
		return &Objection{Detail: fmt.Sprintf("dead letter %d cannot be replayed now: %s", number, full), Remedy: "try again when that is less"}
	case len(b.Refused) > 0:
		return &Objection{Detail: fmt.Sprintf("dead letter %d cannot be replayed: %s", number, b.Refused[0].Why), Remedy: "mend that, or discard the letter"}
	}
	return nil
}

// DiscardOne removes one dead letter for good. The error is ErrNothing or ErrSentMaybe.
func (d *Dispatcher) DiscardOne(ctx context.Context, number uint64, by string) error {
	_, _, err := d.one(ctx, number, func(m *machine.Machine, letters []api.DeadLetter, token uint64) machine.Ended {
		return m.Discard(letters, by, fmt.Sprintf("dead letter %d", number), token)
	})
	return err
}

// Bounds of batches, and how long one that finds no room waits for some: whoever asks again and again does no harm.
const (
	batchBytes = 1 << 20
	firstPage  = 16
	roomTries  = 10
	roomWait   = 100 * time.Millisecond
)

// end is what the machine does with letters, as they stand in the store.
type end func(m *machine.Machine, letters []api.DeadLetter, token uint64) machine.Ended

func (d *Dispatcher) batch(ctx context.Context, s Selection, tell end) (Batch, error) {
	for try := 1; ; try++ {
		b, full, err := d.exclusively(ctx, func() ([]api.DeadLetter, Batch, error) { return d.choose(ctx, s) }, tell)
		if err != nil || full == "" || b.Done > 0 || len(b.Refused) > 0 || try == roomTries {
			return b, err
		}
		if err := d.pauseFor(ctx, roomWait); err != nil {
			return Batch{Last: s.After}, err
		}
	}
}

func (d *Dispatcher) one(ctx context.Context, number uint64, tell end) (Batch, string, error) {
	if number == 0 {
		return Batch{}, "", ErrNothing
	}
	return d.exclusively(ctx, func() ([]api.DeadLetter, Batch, error) {
		letters, err := d.cfg.Store.DeadLetters(ctx, number-1, 1)
		if err == nil && (len(letters) == 0 || letters[0].Number != number) {
			err = ErrNothing
		}
		return letters, Batch{Last: number}, err
	}, tell)
}

// exclusively reads letters and has the machine end them. One does it after the other, each until that is durable: what the store answers
// is there then, and is ended once, however many ask for it. Whoever asks may be gone earlier; the next one waits all the same. full is
// why there was no room for some.
func (d *Dispatcher) exclusively(ctx context.Context, read func() ([]api.DeadLetter, Batch, error), tell end) (b Batch, full string, err error) {
	select {
	case d.mending <- struct{}{}:
	case <-ctx.Done():
		return b, "", ctx.Err()
	case <-d.ctx.Done():
		return b, "", context.Cause(d.ctx)
	}
	letters, b, err := read()
	if err != nil || len(letters) == 0 {
		<-d.mending
		return b, "", err
	}
	token, w := d.newWaiter()
	w.then = func() { <-d.mending }
	told := make(chan machine.Ended, 1)
	d.inbox.post(func(m *machine.Machine) {
		e := tell(m, letters, token)
		told <- e
		if e.Done == 0 {
			d.done(token)
		}
	})
	if err := d.await(ctx, w.done); err != nil {
		if d.ctx.Err() != nil {
			<-d.looped // from here on it tells and ends nothing
		}
		select {
		case <-w.done: // meanwhile
		default:
			if d.ctx.Err() == nil || len(told) > 0 {
				err = fmt.Errorf("%w: %w", ErrSentMaybe, err)
			}
			return b, "", err
		}
	}
	e := <-told
	b.Done, b.Refused = e.Done, e.Refused
	if e.Taken < len(letters) {
		b.Last, b.End = letters[e.Taken].Number-1, false
	}
	return b, e.Full, nil
}

// choose reads the letters of a selection, as many as a batch may hold, in pages: a small one, and then about as many as there is room for.
func (d *Dispatcher) choose(ctx context.Context, s Selection) (chosen []api.DeadLetter, b Batch, err error) {
	limit := min(s.Limit, LettersMax)
	if limit <= 0 {
		limit = LettersDefault
	}
	b.Last = s.After
	for bytes, ask := 0, firstPage; limit > 0; {
		page, err := d.cfg.Store.DeadLetters(ctx, b.Last, min(ask, limit))
		if err != nil {
			return nil, Batch{Last: s.After}, err
		}
		if len(page) == 0 {
			b.End = true
			break
		}
		size := 0
		for i := range page {
			l := &page[i]
			size += l.Size()
			switch {
			case s.Through != 0 && l.Number > s.Through:
				b.End = true
				return chosen, b, nil
			case !s.names(l):
			case len(chosen) > 0 && bytes+l.Size() > batchBytes:
				return chosen, b, nil
			default:
				chosen, bytes = append(chosen, *l), bytes+l.Size()
			}
			b.Last = l.Number
			limit--
		}
		ask = max(1, (batchBytes-bytes)*len(page)/size)
	}
	return chosen, b, nil
}
