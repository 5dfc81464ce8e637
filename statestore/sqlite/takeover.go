package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/stategate/stategate/statestore"
)

// forgetMembers is how long after the end of their lease members are forgotten that own nothing.
const forgetMembers = time.Hour

// errLives: the owner has said something since its lease was looked at.
var errLives = errors.New("the owner lives")

// take makes the member the owner. byLease says that nothing but the former owner's lease tells that it is dead.
func (w *waiter) take(ctx context.Context, egresses []string, byLease bool) (claim *statestore.Claim, err error) {
	err = w.store.write(ctx, "take over", func(c *conn) error {
		if byLease {
			lives, err := c.one(`SELECT 1 FROM ownership o JOIN member m ON m.id = o.member WHERE o.lo = 0 AND m.id <> ? AND m.lease_until > ?`, w.member.ID, time.Now().UnixMilli())
			if err != nil {
				return err
			}
			if lives != nil { // a commit that took long has ended while this transaction waited for it
				return errLives
			}
		}
		claim, err = w.takeIn(c, egresses)
		return err
	})
	if err != nil {
		return nil, err // if it was committed after all, the next attempt finds this member as the owner
	}
	return claim, nil
}

// takeIn is the transaction of a claim. The old member's row is raised first of all that is written: from then on its commits
// miss. None is on its way: the file has one writer at a time.
func (w *waiter) takeIn(c *conn, egresses []string) (*statestore.Claim, error) {
	s, m, now := w.store, w.member, time.Now()
	r, err := c.one(versionSQL)
	if err != nil {
		return nil, err
	}
	if err := refuseNewer(r.int(0)); err != nil { // migrated since this process opened it
		return nil, err
	}
	if r, err = c.one(`SELECT coalesce(member, ''), epoch + 1, next_number FROM ownership WHERE lo = 0`); err != nil {
		return nil, err
	}
	if r == nil {
		return nil, fmt.Errorf("%s: the row of ownership is missing", s.cfg.Path)
	}
	former, epoch, next := r.text(0), r.int(1), r.int(2)
	if former != "" && former != m.ID {
		r, err := c.one(`UPDATE member SET epoch = ?2, lease_until = min(lease_until, ?3) WHERE id = ?1 RETURNING next_number`, former, epoch, now.UnixMilli())
		if err != nil {
			return nil, fmt.Errorf("fence member %s: %w", former, err)
		}
		if r != nil {
			next = max(next, r.int(0))
		}
	}
	const enter = `
INSERT INTO member (id, epoch, commit_number, next_number, lease_until, host, pid, address, events, started) VALUES (?, ?, 0, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, next_number = max(member.next_number, excluded.next_number),
  lease_until = excluded.lease_until, host = excluded.host, pid = excluded.pid, address = excluded.address, events = excluded.events, started = excluded.started
RETURNING commit_number, next_number`
	r, err = c.one(enter, m.ID, epoch, next, s.leaseEnd(now), m.Host, int64(m.PID), m.Address, m.Events, m.Started.UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("enter member: %w", err)
	}
	commit, next := r.num(0), r.int(1)
	if _, err := c.exec(`UPDATE ownership SET member = ?, epoch = ?, next_number = ? WHERE lo = 0`, m.ID, epoch, next); err != nil {
		return nil, err
	}
	for _, e := range egresses {
		if _, err := c.exec(`INSERT INTO lane (egress, slot, next, started) VALUES (?, 0, 1, 0) ON CONFLICT DO NOTHING`, []byte(e)); err != nil {
			return nil, fmt.Errorf("make lane of %q: %w", e, err)
		}
	}
	// Their epochs are never drawn again, so a fence that one of them still holds misses for ever.
	if _, err := c.exec(`DELETE FROM member WHERE id <> ? AND lease_until < ?`, m.ID, now.Add(-forgetMembers).UnixMilli()); err != nil {
		return nil, err
	}
	token := uuid.NewString()
	if _, err := c.exec(`INSERT INTO claim (token) VALUES (?)`, token); err != nil {
		return nil, err
	}
	if _, err := c.exec(`DELETE FROM claim WHERE number <= (SELECT max(number) FROM claim) - ?`, int64(statestore.ClaimsKept)); err != nil {
		return nil, err
	}
	return &statestore.Claim{Fence: statestore.Fence{Member: m.ID, Epoch: uint64(epoch)}, Token: token, Commit: commit, NextNumber: uint64(next)}, nil
}
