package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stategate/stategate/statestore"
)

// leaseEnd is the end of a lease that begins now, as rows hold it.
func (s *Store) leaseEnd(now time.Time) int64 { return now.Add(s.cfg.Lease).UnixMilli() }

// Renew prolongs the lease. It waits for a commit that is under way.
func (s *Store) Renew(ctx context.Context, fence statestore.Fence) error {
	err := s.write(ctx, "renew lease", func(c *conn) error {
		changed, err := c.exec(`UPDATE member SET lease_until = ? WHERE id = ? AND epoch = ?`, s.leaseEnd(time.Now()), fence.Member, int64(fence.Epoch))
		if err == nil && changed == 0 {
			err = statestore.ErrFenced
		}
		return err
	})
	return s.fenced(fence, err)
}

// fenced gives the file's lock back when the error says that what it was held for is over.
func (s *Store) fenced(fence statestore.Fence, err error) error {
	if errors.Is(err, statestore.ErrFenced) {
		s.lock.unkeep(fence)
	}
	return err
}

// Release gives everything up and fences the member itself: a commit of its own that comes later misses.
func (s *Store) Release(ctx context.Context, fence statestore.Fence) error {
	err := s.write(ctx, "release", func(c *conn) error {
		r, err := c.one(`SELECT coalesce(member, ''), epoch, next_number FROM ownership WHERE lo = 0`)
		if err != nil || r == nil || r.text(0) != fence.Member || r.num(1) != fence.Epoch {
			return err
		}
		epoch, next := r.int(1)+1, r.int(2)
		r, err = c.one(`UPDATE member SET epoch = ?2, lease_until = min(lease_until, ?3) WHERE id = ?1 RETURNING next_number`, fence.Member, epoch, time.Now().UnixMilli())
		if err != nil {
			return err
		}
		if r != nil {
			next = max(next, r.int(0))
		}
		_, err = c.exec(`UPDATE ownership SET member = NULL, epoch = ?, next_number = ? WHERE lo = 0`, epoch, next)
		return err
	})
	if err != nil {
		return err
	}
	s.lock.unkeep(fence)
	return nil
}

// Owner is who owns now.
func (s *Store) Owner(ctx context.Context) (m statestore.Member, ok bool, err error) {
	const ask = `SELECT m.id, m.host, m.pid, m.address, m.events, m.started FROM ownership o JOIN member m ON m.id = o.member WHERE o.lo = 0 AND m.lease_until > ?`
	err = s.readers.read(ctx, func(c *conn) error {
		r, err := c.one(ask, time.Now().UnixMilli())
		if ok = r != nil && err == nil; ok {
			m = memberOf(r)
		}
		return err
	})
	if err != nil {
		return statestore.Member{}, false, s.refusal("ask for the owner", err)
	}
	return m, ok, nil
}

// Members is the owner alone. A member that waits writes nothing: the file has one lock for all that write, and a process that is
// stopped while it holds it would stop the owner.
func (s *Store) Members(ctx context.Context) (found []statestore.MemberState, err error) {
	const ask = `SELECT m.id, m.host, m.pid, m.address, m.events, m.started, m.lease_until, m.epoch FROM ownership o JOIN member m ON m.id = o.member WHERE o.lo = 0`
	err = s.list(ctx, "ask for the members", ask, nil, func(r row) (bool, error) {
		until := time.UnixMilli(r.int(6))
		found = append(found, statestore.MemberState{Member: memberOf(r), Epoch: r.num(7), Active: time.Now().Before(until), Until: until})
		return false, nil
	})
	return found, err
}

func memberOf(r row) statestore.Member {
	return statestore.Member{ID: r.text(0), Host: r.text(1), PID: int(r.int(2)), Address: r.text(3), Events: r.text(4), Started: time.UnixMilli(r.int(5))}
}

// LastCommit writes what it reads. A commit whose fsync failed may stand in the log, unseen: a crash would bring it to light after
// this answer said that there was none. What is written now takes its place, and the answer counts when that is on the disk.
func (s *Store) LastCommit(ctx context.Context, fence statestore.Fence) (number uint64, err error) {
	err = s.write(ctx, "read last commit", func(c *conn) error {
		r, err := c.one(`UPDATE member SET lease_until = ? WHERE id = ? AND epoch = ? RETURNING commit_number`, s.leaseEnd(time.Now()), fence.Member, int64(fence.Epoch))
		switch {
		case err != nil:
			return err
		case r == nil:
			return fmt.Errorf("member %s with epoch %d: %w", fence.Member, fence.Epoch, statestore.ErrFenced)
		}
		number = r.num(0)
		return nil
	})
	if err != nil {
		return 0, s.fenced(fence, err)
	}
	return number, nil
}
