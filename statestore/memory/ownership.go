package memory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stategate/stategate/statestore"
)

// lookEvery is how often a waiting member looks at a clock that is not the real one.
const lookEvery = 5 * time.Millisecond

// Acquire waits until nobody owns the store, its lease has ended, or the member itself is the owner.
func (s *Store) Acquire(ctx context.Context, m statestore.Member, egresses []string) (*statestore.Claim, error) {
	s.shared.wait(m, 1)
	defer s.shared.wait(m, -1)
	for {
		if err := s.call(ctx, "acquire"); err != nil {
			if ctx.Err() != nil {
				return nil, fmt.Errorf("acquire: %w", ctx.Err())
			}
			return nil, err
		}
		claim, changed, wait := s.shared.take(m, egresses)
		if claim != nil {
			return claim, nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, fmt.Errorf("acquire: %w", ctx.Err())
		case <-changed:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// wait notes that a member waits, or no longer does.
func (sh *shared) wait(m statestore.Member, more int) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	w := sh.waiting[m.ID]
	if w == nil {
		w = &waiting{Member: m}
		sh.waiting[m.ID] = w
	}
	if w.times += more; w.times == 0 {
		delete(sh.waiting, m.ID)
	}
}

// TryAcquire is Acquire without waiting: ok is false when another member owns the store.
func (s *Store) TryAcquire(m statestore.Member, egresses []string) (claim *statestore.Claim, ok bool) {
	claim, _, _ = s.shared.take(m, egresses)
	return claim, claim != nil
}

// take gives the store to the member, or says what to wait for.
func (sh *shared) take(m statestore.Member, egresses []string) (claim *statestore.Claim, changed chan struct{}, wait time.Duration) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	now := sh.now()
	former := sh.members[sh.owner]
	if former != nil && former.ID != m.ID && now.Before(former.until) {
		wait = lookEvery
		if sh.ticks {
			wait = former.until.Sub(now)
		}
		return nil, sh.changed, wait
	}
	if former != nil {
		sh.epoch++
		former.epoch = sh.epoch // the row that fences the former owner: first of all
	}
	row := sh.members[m.ID]
	if row == nil {
		row = &member{}
		sh.members[m.ID] = row
	}
	sh.epoch++
	row.Member, row.epoch, row.until = m, sh.epoch, now.Add(sh.lease)
	sh.owner = m.ID
	for _, e := range egresses {
		sh.content.ensureLane(statestore.LaneID{Egress: e})
	}
	claim = sh.content.claim()
	claim.Fence = statestore.Fence{Member: m.ID, Epoch: row.epoch}
	claim.Commit = row.commit
	claim.Token = fmt.Sprintf("%s/%d", sh.identity, row.epoch) // not random, so that a life can be played again
	sh.content.claims[claim.Token] = true
	return claim, nil, 0
}

// fenced is the member's row, as long as it owns the store under this fence.
func (sh *shared) fenced(f statestore.Fence) (*member, error) {
	m := sh.members[f.Member]
	if m == nil || m.epoch != f.Epoch || sh.owner != f.Member {
		return nil, fmt.Errorf("member %s with epoch %d: %w", f.Member, f.Epoch, statestore.ErrFenced)
	}
	return m, nil
}

// Renew prolongs the lease.
func (s *Store) Renew(ctx context.Context, fence statestore.Fence) error {
	if err := s.call(ctx, "renew"); err != nil {
		return err
	}
	sh := s.shared
	sh.mu.Lock()
	defer sh.mu.Unlock()
	m, err := sh.fenced(fence)
	if err != nil {
		return fmt.Errorf("renew: %w", err)
	}
	m.until = sh.now().Add(sh.lease)
	return nil
}

// Release gives the store up. Under a fence that owns nothing it does nothing.
func (s *Store) Release(ctx context.Context, fence statestore.Fence) error {
	if err := s.call(ctx, "release"); err != nil {
		return err
	}
	sh := s.shared
	sh.mu.Lock()
	defer sh.mu.Unlock()
	m, err := sh.fenced(fence)
	if err != nil {
		return nil
	}
	sh.epoch++
	m.epoch = sh.epoch
	sh.owner = ""
	close(sh.changed)
	sh.changed = make(chan struct{})
	return nil
}

// Owner is the member whose lease runs.
func (s *Store) Owner(ctx context.Context) (statestore.Member, bool, error) {
	if err := s.call(ctx, "owner"); err != nil {
		return statestore.Member{}, false, err
	}
	sh := s.shared
	sh.mu.Lock()
	defer sh.mu.Unlock()
	m := sh.members[sh.owner]
	if m == nil || !sh.now().Before(m.until) {
		return statestore.Member{}, false, nil
	}
	return m.Member, true, nil
}

// Members is the owner, and those that wait.
func (s *Store) Members(ctx context.Context) (found []statestore.MemberState, err error) {
	if err := s.call(ctx, "members"); err != nil {
		return nil, err
	}
	sh := s.shared
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if m := sh.members[sh.owner]; m != nil {
		found = append(found, statestore.MemberState{Member: m.Member, Epoch: m.epoch, Active: sh.now().Before(m.until), Until: m.until})
	}
	for _, id := range slices.Sorted(maps.Keys(sh.waiting)) {
		if id != sh.owner {
			found = append(found, statestore.MemberState{Member: sh.waiting[id].Member})
		}
	}
	return found, nil
}
