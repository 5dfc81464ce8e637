package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/stategate/stategate/statestore"
)

const (
	pollEvery  = 100 * time.Millisecond // how often a waiting member looks; a blocking lock would hold back the server's vacuum
	graceTime  = 300 * time.Millisecond // for a living owner that has only lost its lock connection, to say so
	retryPause = 100 * time.Millisecond // while the server is away, doubling
	retryMax   = 2 * time.Second
)

var errMoved = errors.New("ownership has moved meanwhile")

// owner is what ownership looked like at one moment.
type owner struct {
	member string // "" nobody
	epoch  int64
	beat   [2]int64      // last commit and end of the lease: a living owner moves one of them
	left   time.Duration // of the lease, by the server's clock
}

func (o owner) same(p owner) bool {
	return o.member == p.member && o.epoch == p.epoch && o.beat == p.beat
}

// Acquire waits, takes over, and reads what the store keeps.
func (s *Store) Acquire(ctx context.Context, member statestore.Member, egresses []string) (*statestore.Claim, error) {
	if member.ID == "" {
		return nil, errors.New("acquire: member without an id")
	}
	w := waiter{store: s, member: member}
	defer w.leave()
	row := s.appear(ctx, member)
	defer func() { row.end(ctx.Err() != nil) }()
	pause, told := retryPause, false
	for {
		claim, err := w.attempt(ctx, egresses)
		switch {
		case err == nil:
			return claim, nil
		case ctx.Err() != nil:
			return nil, fmt.Errorf("acquire: %w", ctx.Err())
		case s.isClosed():
			return nil, fmt.Errorf("acquire: %w", errClosed)
		case errors.Is(err, errMoved), errors.Is(err, statestore.ErrFenced):
			pause = retryPause
		case !errors.Is(err, statestore.ErrUnavailable):
			return nil, fmt.Errorf("acquire: %w", err)
		case !told:
			told = true
			s.cfg.Log.Warn("store is not available; waiting for it", "error", err)
		}
		if !rest(ctx, pause) {
			return nil, fmt.Errorf("acquire: %w", ctx.Err())
		}
		pause = min(2*pause, retryMax)
	}
}

func (s *Store) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// waiter is a member on its way to ownership.
type waiter struct {
	store  *Store
	member statestore.Member
	told   owner // the owner that the log has named

	conn      *pgx.Conn // that the lock is asked for on
	held      bool      // conn has the lock
	lost      time.Time // when a connection was lost: perhaps the server's restart, which takes the owner's lock too
	seen      owner     // as the last look found it
	still     time.Time // since when nothing has moved
	noLock    time.Time // until then the lock is left to an owner that does not keep still
	yielded   bool      // the lock was given back, and its owner has not been seen to take it
	suspected owner     // whose lock came free
	until     time.Time // when its grace is over
}

func (w *waiter) leave() {
	if w.conn != nil {
		w.store.hangUp(w.conn)
		w.conn, w.held, w.yielded = nil, false, false
	}
}

// attempt waits for the owner's end, takes over and loads.
func (w *waiter) attempt(ctx context.Context, egresses []string) (*statestore.Claim, error) {
	seen, err := w.wait(ctx)
	if err != nil {
		return nil, err
	}
	claim, err := w.take(ctx, seen, egresses)
	if err != nil {
		return nil, err
	}
	conn := w.conn
	if !w.held {
		w.leave()
		conn = nil
	}
	w.conn, w.held = nil, false
	if err := w.store.keep(claim.Fence, conn); err != nil {
		return nil, err
	}
	if err := w.store.loadClaim(ctx, claim); err != nil {
		return nil, err
	}
	w.store.cfg.Log.Info("owner of the store", "member", w.member.ID, "epoch", claim.Fence.Epoch, "before", seen.member)
	return claim, nil
}

// wait answers when the owner that it saw last may be taken over from: nobody, this member itself, one whose lease is over, or
// one whose lock has come free and who said nothing during the grace.
func (w *waiter) wait(ctx context.Context) (owner, error) {
	for {
		o, err := w.look(ctx)
		if err != nil {
			return o, err
		}
		if o.member == "" || o.member == w.member.ID || o.left <= 0 {
			return o, nil
		}
		if !o.same(w.seen) {
			w.seen, w.still = o, time.Now()
		}
		if w.told.member != o.member {
			w.told = o
			w.store.cfg.Log.Info("waiting: another member owns the store", "owner", o.member, "lease_left", o.left)
		}
		pause := min(pollEvery, o.left+time.Millisecond)
		switch {
		case !w.held:
		case w.until.IsZero():
			from := time.Now()
			if w.yielded { // free ever since the owner moved: that was its grace
				from = w.still
			}
			w.suspected, w.until = o, from.Add(w.grace())
		case !o.same(w.suspected):
			if err := w.yield(ctx); err != nil {
				return o, err
			}
		case !time.Now().Before(w.until):
			return o, nil
		default:
			pause = min(pause, time.Until(w.until)+time.Millisecond)
		}
		if !rest(ctx, pause) {
			return o, ctx.Err()
		}
	}
}

// grace is longer after a lost connection: the server may have restarted for the owner too.
func (w *waiter) grace() time.Duration {
	if !w.lost.IsZero() && time.Since(w.lost) < w.store.cfg.Lease {
		return max(graceTime, min(w.store.cfg.Lease/2, 5*graceTime))
	}
	return graceTime
}

// yield gives the lock back to an owner that seems to live, and time to take it. What moved may have been the last word of one
// that is dead: a renewal or a commit that was in the server already outlives its process, and the lock does not. So the time is
// over as soon as nothing moves for a whole grace: an owner that lives and lacks its lock moves several times in each.
func (w *waiter) yield(ctx context.Context) error {
	w.held, w.until, w.yielded = false, time.Time{}, true
	w.noLock = time.Now().Add(max(w.store.cfg.Lease/2, 10*keeperPause))
	return w.broken(w.store.unlock(ctx, w.store.lockKey("owner"), w.conn))
}

// mayAsk reports whether the lock is wanted: always, but for the time that a yield has given its owner.
func (w *waiter) mayAsk() bool {
	return !time.Now().Before(w.noLock) || time.Since(w.still) >= w.grace()
}

// look asks who owns, and for the lock where it is wanted, in one round trip.
func (w *waiter) look(ctx context.Context) (owner, error) {
	s := w.store
	if w.conn == nil {
		conn, err := s.dial(ctx, sessionName(w.member.ID), lockSettings(s.cfg.Lease))
		if err != nil {
			return owner{}, refusal("connect", err)
		}
		w.conn, w.held, w.until = conn, false, time.Time{}
	}
	ctx, cancel := context.WithTimeout(ctx, s.answerMax())
	defer cancel()
	b := &pgx.Batch{}
	ask := s.hintOff == "" && !w.held && w.mayAsk()
	if ask {
		b.Queue(`SELECT pg_try_advisory_lock($1)`, s.lockKey("owner"))
	}
	b.Queue(s.sql(lookSQL))
	results := w.conn.SendBatch(ctx, b)
	var got bool
	var err error
	if ask {
		err = results.QueryRow().Scan(&got)
	}
	var o owner
	if err == nil {
		o, err = scanOwner(results.QueryRow())
	}
	if e := results.Close(); err == nil {
		err = e
	}
	if err == nil && ask {
		w.held, w.yielded = got, w.yielded && got
	}
	return o, w.broken(err)
}

// broken forgets a connection that answered an error.
func (w *waiter) broken(err error) error {
	if err == nil {
		return nil
	}
	w.leave()
	w.lost = time.Now()
	return refusal("look for the owner", err)
}

const lookSQL = `
SELECT coalesce(o.member, ''), o.epoch, coalesce(m.commit_number, 0),
       coalesce((extract(epoch FROM greatest(m.lease_until, l.until)) * 1000000)::bigint, 0),
       coalesce((extract(epoch FROM greatest(m.lease_until, l.until) - clock_timestamp()) * 1000000)::bigint, 0)
FROM {s}.ownership o LEFT JOIN {s}.member m ON m.id = o.member LEFT JOIN {s}.lease l ON l.member = o.member
WHERE o.lo = 0`

func scanOwner(row pgx.Row) (o owner, err error) {
	var left int64
	err = row.Scan(&o.member, &o.epoch, &o.beat[0], &o.beat[1], &left)
	o.left = time.Duration(left) * time.Microsecond
	return o, err
}

// lanes are those that must exist.
func lanes(egresses []string) [][]byte {
	out := make([][]byte, len(egresses))
	for i, e := range egresses {
		out[i] = []byte(e)
	}
	return out
}
