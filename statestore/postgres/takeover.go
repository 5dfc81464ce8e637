package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/stategate/stategate/statestore"
)

const (
	lockPatience  = 500 * time.Millisecond // a claim waits so long for the dead owner's commit, then ends its sessions
	forgetMembers = time.Hour              // after the end of their lease
)

// take makes the member the owner, if nothing has moved since seen.
func (w *waiter) take(ctx context.Context, seen owner, egresses []string) (*statestore.Claim, error) {
	s := w.store
	var claim *statestore.Claim
	within, cancel := context.WithTimeout(ctx, 3*s.answerMax())
	defer cancel()
	err := pgx.BeginFunc(within, s.owners, func(tx pgx.Tx) error {
		var err error
		claim, err = w.takeIn(within, tx, seen, egresses)
		return err
	})
	var pe *pgconn.PgError
	switch {
	case err == nil:
		s.forget(ctx, w.member.ID)
		return claim, nil
	case errors.Is(err, errMoved), errors.Is(err, statestore.ErrNewer):
		return nil, err
	case errors.As(err, &pe) && (pe.Code == "55P03" || pe.Code == "57014") && seen.member != "":
		s.endSessions(ctx, seen.member)
		return nil, errMoved // look again
	}
	return nil, refusal("take over", err) // if it did commit after all, the next look shows this member as the owner
}

// takeIn is the transaction of a claim. Rows are locked in the order ownership, old member, new member by everybody, and a
// commit locks its member's row only: nobody waits in a circle. The old member's row is raised first of all that is written:
// from then on its commits miss, and one that is on its way is waited for.
func (w *waiter) takeIn(ctx context.Context, tx pgx.Tx, seen owner, egresses []string) (*statestore.Claim, error) {
	s, m := w.store, w.member
	if _, err := tx.Exec(ctx, `SELECT set_config('lock_timeout', $1, true)`, milliseconds(lockPatience)); err != nil {
		return nil, err
	}
	var epoch, next, commit, doubts int64
	if err := tx.QueryRow(ctx, s.sql(`SELECT epoch + 1, next_number FROM {s}.ownership WHERE lo = 0 FOR UPDATE`)).Scan(&epoch, &next); err != nil {
		return nil, err
	}
	stored, err := s.storedVersion(ctx, tx)
	if err == nil {
		err = s.refuseNewer(stored)
	}
	if err != nil {
		return nil, err
	}
	now, err := scanOwner(tx.QueryRow(ctx, s.sql(lookSQL)))
	if err != nil {
		return nil, err
	}
	if now.member != seen.member || now.epoch != seen.epoch || now.member != m.ID && now.member != "" && now.left > 0 && now.beat != seen.beat {
		return nil, errMoved
	}
	if now.member != "" && now.member != m.ID {
		const fence = `UPDATE {s}.member SET epoch = $2, lease_until = least(lease_until, clock_timestamp()) WHERE id = $1 RETURNING next_number`
		var old int64
		if err := tx.QueryRow(ctx, s.sql(fence), now.member, epoch).Scan(&old); err != nil {
			return nil, fmt.Errorf("fence member %s: %w", now.member, err)
		}
		next = max(next, old)
		if _, err := tx.Exec(ctx, s.sql(`DELETE FROM {s}.lease WHERE member = $1`), now.member); err != nil {
			return nil, err
		}
	}
	const enter = `
INSERT INTO {s}.member (id, epoch, commit_number, next_number, lease_until, host, pid, address, events, started)
VALUES ($1, $2, 0, $3, clock_timestamp() + $4 * interval '1 millisecond', $5, $6, $7, $8, $9)
ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, next_number = greatest(member.next_number, excluded.next_number),
  lease_until = excluded.lease_until, host = excluded.host, pid = excluded.pid, address = excluded.address, events = excluded.events, started = excluded.started
RETURNING commit_number, next_number, doubts`
	err = tx.QueryRow(ctx, s.sql(enter), m.ID, epoch, next, s.cfg.Lease.Milliseconds(), m.Host, m.PID, m.Address, m.Events, m.Started).Scan(&commit, &next, &doubts)
	if err != nil {
		return nil, fmt.Errorf("enter member: %w", err)
	}
	b := &pgx.Batch{}
	b.Queue(s.sql(`INSERT INTO {s}.lease (member, until) VALUES ($1, clock_timestamp() + $2 * interval '1 millisecond')
ON CONFLICT (member) DO UPDATE SET until = excluded.until`), m.ID, s.cfg.Lease.Milliseconds())
	b.Queue(s.sql(`UPDATE {s}.ownership SET member = $1, epoch = $2, next_number = $3 WHERE lo = 0`), m.ID, epoch, next)
	b.Queue(s.sql(`INSERT INTO {s}.lane (egress, slot, next, started) SELECT DISTINCT egress, 0, 1, false FROM unnest($1::bytea[]) AS e(egress)
ON CONFLICT (egress, slot) DO NOTHING`), lanes(egresses))
	token := uuid.NewString()
	b.Queue(s.sql(`INSERT INTO {s}.claim (token) VALUES ($1)`), token)
	b.Queue(s.sql(`DELETE FROM {s}.claim WHERE number <= (SELECT max(number) FROM {s}.claim) - $1`), int64(statestore.ClaimsKept))
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return nil, err
	}
	s.doubts.Store(doubts)
	return &statestore.Claim{
		Fence:      statestore.Fence{Member: m.ID, Epoch: uint64(epoch)},
		Token:      token,
		Commit:     uint64(commit),
		NextNumber: uint64(next),
	}, nil
}

// endSessions ends what a dead owner has left in the server. Where that is not allowed, the server's own time-outs do it.
func (s *Store) endSessions(ctx context.Context, member string) {
	const end = `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE application_name = $1 AND datname = current_database() AND pid <> pg_backend_pid()`
	var n int
	err := s.owners.QueryRow(ctx, end, sessionName(member)).Scan(&n)
	s.cfg.Log.Warn("a commit of the former owner holds its row; ending its sessions", "member", member, "sessions", n, "error", err)
}

// forget removes members that own nothing and are long gone. Their epochs are never drawn again, so a fence that one of them
// still holds misses for ever.
func (s *Store) forget(ctx context.Context, self string) {
	const gone = `
WITH dead AS (
  SELECT id FROM {s}.member m LEFT JOIN {s}.lease l ON l.member = m.id
  WHERE id <> $1 AND greatest(m.lease_until, l.until) < clock_timestamp() - $2 * interval '1 millisecond'
    AND NOT EXISTS (SELECT 1 FROM {s}.ownership o WHERE o.member = m.id)
  FOR UPDATE OF m SKIP LOCKED),
leases AS (DELETE FROM {s}.lease WHERE member IN (SELECT id FROM dead))
DELETE FROM {s}.member WHERE id IN (SELECT id FROM dead)`
	if _, err := s.owners.Exec(ctx, s.sql(gone), self, forgetMembers.Milliseconds()); err != nil {
		s.cfg.Log.Debug("members that are gone could not be forgotten; the next claim tries again", "error", err)
	}
}
