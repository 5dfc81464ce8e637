package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stategate/stategate/statestore"
)

// lookEvery is how often a waiting member asks for the file's lock. A lock that blocks could not be given up with a context.
const lookEvery = 50 * time.Millisecond

// Acquire waits for the file's lock, takes over, and reads what the store keeps.
func (s *Store) Acquire(ctx context.Context, member statestore.Member, egresses []string) (*statestore.Claim, error) {
	if member.ID == "" {
		return nil, errors.New("acquire: member without an id")
	}
	w := waiter{store: s, member: member}
	for {
		claim, err := w.attempt(ctx, egresses)
		switch {
		case claim != nil && err == nil:
			return claim, nil
		case ctx.Err() != nil:
			return nil, fmt.Errorf("acquire: %w", ctx.Err())
		case s.isClosed():
			return nil, fmt.Errorf("acquire: %w", errClosed)
		case err != nil && !errors.Is(err, statestore.ErrUnavailable) && !errors.Is(err, statestore.ErrFenced):
			return nil, fmt.Errorf("acquire: %w", err)
		case err != nil && !w.troubled:
			w.troubled = true
			s.cfg.Log.Warn("store is not available; waiting for it", "error", err)
		}
		if !rest(ctx, lookEvery) {
			return nil, fmt.Errorf("acquire: %w", ctx.Err())
		}
	}
}

// waiter is a member on its way to ownership.
type waiter struct {
	store    *Store
	member   statestore.Member
	told     string // the owner that the log has named
	troubled bool   // the log has said that the store is not available
	unlocked bool   // the log has said that there is no lock
}

// attempt takes over and loads, if the store is free; no claim and no error: it is not.
func (w *waiter) attempt(ctx context.Context, egresses []string) (claim *statestore.Claim, err error) {
	s := w.store
	h, before, err := s.lock.try(w.member.ID)
	switch {
	case err != nil: // it worked when the store was opened: out of descriptors, a folder that has gone
		return nil, fmt.Errorf("%w: %w", statestore.ErrUnavailable, err)
	case h == heldElsewhere:
		pid := s.lock.pid()
		w.tell(fmt.Sprint("process ", pid), "pid", pid)
		return nil, nil
	case h == heldHere, h == holdNone: // the lock tells nothing here: the lease must
		if h == holdNone && !w.unlocked {
			w.unlocked = true
			s.cfg.Log.Warn("files cannot be locked here; an owner's death is noticed when its lease ends", "file", s.lock.path, "lease", s.cfg.Lease)
		}
		if free, err := w.leaseOver(ctx); err != nil || !free {
			return nil, err
		}
	}
	defer func() {
		switch {
		case err == nil:
		case h == heldNew:
			s.lock.drop()
		case h == heldAgain:
			s.lock.keep(before)
		}
	}()
	claim, err = w.take(ctx, egresses, h == heldHere || h == holdNone)
	if errors.Is(err, errLives) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s.lock.keep(claim.Fence)
	if err = s.loadClaim(ctx, claim); err != nil {
		return nil, err
	}
	s.cfg.Log.Info("owner of the store", "file", s.cfg.Path, "member", w.member.ID, "epoch", claim.Fence.Epoch)
	return claim, nil
}

// tell names the owner in the log, each one once.
func (w *waiter) tell(owner string, args ...any) {
	if w.told == owner {
		return
	}
	w.told = owner
	w.store.cfg.Log.Info("waiting: another gateway owns the store", append([]any{"file", w.store.cfg.Path}, args...)...)
}

// leaseOver reports whether nobody else owns the store by its rows.
func (w *waiter) leaseOver(ctx context.Context) (bool, error) {
	m, ok, err := w.store.Owner(ctx)
	if err != nil || !ok || m.ID == w.member.ID {
		return err == nil, err
	}
	w.tell(m.ID, "member", m.ID, "host", m.Host, "pid", m.PID)
	return false, nil
}

// rest waits, and reports whether it was for the whole time.
func rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
