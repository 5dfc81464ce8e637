package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/stategate/stategate/statestore"
)

// answerMax bounds how long a short statement about ownership waits for the server before it counts as away.
func (s *Store) answerMax() time.Duration { return s.statementMax() + time.Second }

// Renew prolongs the lease. It does not touch the member's row, so a commit that takes long does not hold it up.
func (s *Store) Renew(ctx context.Context, fence statestore.Fence) error {
	err := s.renew(ctx, fence)
	if errors.Is(err, statestore.ErrFenced) {
		s.unkeep(fence)
	}
	return err
}

func (s *Store) renew(ctx context.Context, fence statestore.Fence) error {
	ctx, cancel := context.WithTimeout(ctx, s.answerMax())
	defer cancel()
	const prolong = `UPDATE {s}.lease SET until = clock_timestamp() + $3 * interval '1 millisecond'
WHERE member = $1 AND EXISTS (SELECT 1 FROM {s}.member WHERE id = $1 AND epoch = $2)`
	tag, err := s.owners.Exec(ctx, s.sql(prolong), fence.Member, number(fence.Epoch), s.cfg.Lease.Milliseconds())
	if err != nil {
		return refusal("renew lease", err)
	}
	if tag.RowsAffected() == 0 {
		return fmt.Errorf("renew lease: %w", statestore.ErrFenced)
	}
	return nil
}

// Release gives everything up and fences the member itself: a commit of its own that comes later misses.
func (s *Store) Release(ctx context.Context, fence statestore.Fence) error {
	err := pgx.BeginFunc(ctx, s.owners, func(tx pgx.Tx) error {
		var owner string
		var epoch, next int64
		err := tx.QueryRow(ctx, s.sql(`SELECT coalesce(member, ''), epoch, next_number FROM {s}.ownership WHERE lo = 0 FOR UPDATE`)).Scan(&owner, &epoch, &next)
		if err != nil || owner != fence.Member || epoch != number(fence.Epoch) {
			return err
		}
		const fenceOff = `UPDATE {s}.member SET epoch = $2, lease_until = least(lease_until, clock_timestamp()) WHERE id = $1 RETURNING next_number`
		var last int64
		if err := tx.QueryRow(ctx, s.sql(fenceOff), fence.Member, epoch+1).Scan(&last); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, s.sql(`DELETE FROM {s}.lease WHERE member = $1`), fence.Member); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, s.sql(`UPDATE {s}.ownership SET member = NULL, epoch = $1, next_number = $2 WHERE lo = 0`), epoch+1, max(next, last))
		return err
	})
	if err != nil {
		return refusal("release", err)
	}
	s.unkeep(fence)
	return nil
}

// Owner is who owns now.
func (s *Store) Owner(ctx context.Context) (statestore.Member, bool, error) {
	const ask = `
SELECT m.id, m.host, m.pid, m.address, m.events, m.started
FROM {s}.ownership o JOIN {s}.member m ON m.id = o.member LEFT JOIN {s}.lease l ON l.member = o.member
WHERE o.lo = 0 AND greatest(m.lease_until, l.until) > clock_timestamp()`
	var m statestore.Member
	err := s.owners.QueryRow(ctx, s.sql(ask)).Scan(&m.ID, &m.Host, &m.PID, &m.Address, &m.Events, &m.Started)
	if errors.Is(err, pgx.ErrNoRows) {
		return statestore.Member{}, false, nil
	}
	if err != nil {
		return statestore.Member{}, false, refusal("ask for the owner", err)
	}
	return m, true, nil
}

// Members is the owner, and those that wait.
func (s *Store) Members(ctx context.Context) ([]statestore.MemberState, error) {
	const ask = `
SELECT true, m.id, m.host, m.pid, m.address, m.events, m.started, m.epoch, greatest(m.lease_until, l.until), greatest(m.lease_until, l.until) > clock_timestamp()
FROM {s}.ownership o JOIN {s}.member m ON m.id = o.member LEFT JOIN {s}.lease l ON l.member = o.member WHERE o.lo = 0
UNION ALL SELECT false, w.id, w.host, w.pid, w.address, w.events, w.started, 0, w.until, false FROM {s}.waiting w
WHERE w.until > clock_timestamp() AND NOT EXISTS (SELECT 1 FROM {s}.ownership WHERE member = w.id) ORDER BY 1 DESC, 2`
	var found []statestore.MemberState
	var m statestore.MemberState
	var owns bool
	err := s.list(ctx, "ask for the members", ask, nil, []any{&owns, &m.ID, &m.Host, &m.PID, &m.Address, &m.Events, &m.Started, &m.Epoch, &m.Until, &m.Active}, func() error {
		if !owns {
			m.Until = time.Time{}
		}
		found = append(found, m)
		return nil
	})
	return found, err
}

// LastCommit changes the member's row, so it waits for a commit that is at work in the server; and one that has not even arrived
// there (a lost connection may still hand it over) misses from then on, for it names another number of doubts. So the answer
// stays true. Its own commit waits for replicas, too: what it answers is as safe as a commit that was confirmed.
func (s *Store) LastCommit(ctx context.Context, fence statestore.Fence) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.answerMax())
	defer cancel()
	const ask = `UPDATE {s}.member SET doubts = doubts + 1 WHERE id = $1 AND epoch = $2 RETURNING commit_number, doubts`
	var last, doubts int64
	err := s.owners.QueryRow(ctx, s.sql(ask), fence.Member, number(fence.Epoch)).Scan(&last, &doubts)
	if errors.Is(err, pgx.ErrNoRows) {
		s.unkeep(fence)
		return 0, fmt.Errorf("read last commit: %w", statestore.ErrFenced)
	}
	if err != nil {
		return 0, refusal("read last commit", err)
	}
	s.doubts.Store(doubts)
	return uint64(last), nil
}

// memberRow is the part of a member's row that fences it.
type memberRow struct{ epoch, commit, doubts int64 }

// memberRow reads the row without waiting for anybody.
func (s *Store) memberRow(ctx context.Context, fence statestore.Fence) (r memberRow, err error) {
	err = s.owners.QueryRow(ctx, s.sql(`SELECT epoch, commit_number, doubts FROM {s}.member WHERE id = $1`), fence.Member).Scan(&r.epoch, &r.commit, &r.doubts)
	switch {
	case errors.Is(err, pgx.ErrNoRows), err == nil && r.epoch != number(fence.Epoch):
		return r, statestore.ErrFenced
	case err != nil:
		return r, refusal("read the member's row", err)
	}
	return r, nil
}
