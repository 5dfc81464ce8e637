package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/stategate/stategate/statestore"
)

// keeperPause is between tries to get the lock back, and between renewals of the lease meanwhile, several within a waiting member's
// grace: whenever that member gets the lock first, it sees that the owner lives.
const keeperPause = graceTime / 3

// checkHint finds out whether a session-level advisory lock excludes, and answers why not. It does not behind a pooler that
// gives each transaction another session, nor in a database that only pretends to have such locks.
func (s *Store) checkHint(ctx context.Context) (why string, err error) {
	if s.cfg.NoHint {
		return "switched off", nil
	}
	conn, err := s.dial(ctx, "stategate", nil)
	if err != nil {
		return "", err
	}
	defer s.hangUp(conn)
	other, err := s.dial(ctx, "stategate", nil)
	if err != nil {
		return "", err
	}
	defer s.hangUp(other)
	key := s.lockKey("check " + s.identity + fmt.Sprint(conn.PgConn().PID())) // nobody else's: several members check at once
	var pid uint32
	var first, second bool
	if err = conn.QueryRow(ctx, `SELECT pg_backend_pid(), pg_try_advisory_lock($1)`, pgx.QueryExecModeExec, key).Scan(&pid, &first); err == nil {
		err = other.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, pgx.QueryExecModeExec, key).Scan(&second)
	}
	switch {
	case err != nil:
		if r := refusal("try", err); errors.Is(r, statestore.ErrUnavailable) {
			return "", err
		}
		return "the server has none: " + err.Error(), nil
	case pid != conn.PgConn().PID():
		return "a pooler is between here and the server", s.unlock(ctx, key, conn, other)
	case !first || second:
		return "it does not exclude a second session", s.unlock(ctx, key, conn, other)
	}
	return "", nil
}

// unlock gives the lock back: behind a pooler the server's session lives on when its client hangs up.
func (s *Store) unlock(ctx context.Context, key int64, conns ...*pgx.Conn) error {
	for _, c := range conns {
		if _, err := c.Exec(ctx, `SELECT pg_advisory_unlock($1)`, pgx.QueryExecModeExec, key); err != nil {
			return err
		}
	}
	return nil
}

// keeper holds the advisory lock for the owner. When the connection is lost it first renews the lease, by which a waiting
// member sees that the owner lives, and then takes the lock again.
type keeper struct {
	store  *Store
	fence  statestore.Fence
	cancel context.CancelFunc
	done   chan struct{}
}

// keep starts the keeper of a claim; conn has the lock already, or is nil.
func (s *Store) keep(fence statestore.Fence, conn *pgx.Conn) error {
	s.mu.Lock()
	old, closed := s.keeper, s.closed
	if s.keeper = nil; !closed && s.hintOff == "" {
		ctx, cancel := context.WithCancel(context.Background())
		k := &keeper{store: s, fence: fence, cancel: cancel, done: make(chan struct{})}
		s.keeper = k
		go k.run(ctx, conn)
		conn = nil
	}
	s.mu.Unlock()
	if conn != nil {
		s.hangUp(conn)
	}
	if old != nil {
		old.end()
	}
	if closed {
		return errClosed
	}
	return nil
}

// unkeep ends the keeper of a claim that is over, and forgets what only an owner knows: others write from now on.
func (s *Store) unkeep(fence statestore.Fence) {
	s.noLarge.Store(false)
	s.noMail.Store(false)
	s.mu.Lock()
	k := s.keeper
	if k == nil || k.fence != fence {
		s.mu.Unlock()
		return
	}
	s.keeper = nil
	s.mu.Unlock()
	k.end()
}

// end returns when the lock is given up.
func (k *keeper) end() {
	k.cancel()
	<-k.done
}

func (k *keeper) run(ctx context.Context, conn *pgx.Conn) {
	defer close(k.done)
	for ctx.Err() == nil {
		if conn != nil {
			_, err := conn.WaitForNotification(ctx) // there are none: it ends when the connection does
			k.store.hangUp(conn)
			if ctx.Err() != nil {
				return
			}
			k.store.cfg.Log.Warn("connection with the advisory lock was lost; taking it again", "member", k.fence.Member, "error", err)
		}
		var over bool
		if conn, over = k.retake(ctx); over {
			return
		}
	}
}

// retake renews the lease and gets the lock on a new connection. over says that there is nothing to keep any more.
func (k *keeper) retake(ctx context.Context) (conn *pgx.Conn, over bool) {
	s := k.store
	for {
		err := s.renew(ctx, k.fence)
		if errors.Is(err, statestore.ErrFenced) {
			break
		}
		if err == nil && conn == nil {
			if conn, err = k.dial(ctx); errors.Is(err, statestore.ErrFenced) {
				break
			}
		}
		if err == nil {
			var got bool
			if err = conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, s.lockKey("owner")).Scan(&got); err == nil && got {
				return conn, false
			}
		}
		if err != nil && conn != nil {
			s.hangUp(conn)
			conn = nil
		}
		if !rest(ctx, keeperPause) {
			break
		}
	}
	if conn != nil {
		s.hangUp(conn)
	}
	return nil, true
}

// dial connects, and renews the lease meanwhile: on a busy server connecting takes longer than a waiting member's grace.
func (k *keeper) dial(ctx context.Context) (conn *pgx.Conn, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dialed := make(chan struct{})
	go func() {
		defer close(dialed)
		conn, err = k.store.dial(ctx, sessionName(k.fence.Member), lockSettings(k.store.cfg.Lease))
	}()
	tick := time.NewTicker(keeperPause)
	defer tick.Stop()
	for {
		select {
		case <-dialed:
			return conn, err
		case <-tick.C:
		}
		if e := k.store.renew(ctx, k.fence); errors.Is(e, statestore.ErrFenced) {
			cancel()
			<-dialed
			if conn != nil {
				k.store.hangUp(conn)
			}
			return nil, e
		} // of any other error the connection tells, or the next try
	}
}

// lockSettings are those of the connection that holds the lock: it is idle for days, and its end must be noticed.
func lockSettings(lease time.Duration) settings {
	return boundSettings(lease, max(lease*2/3, time.Second))
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
