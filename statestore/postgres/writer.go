package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/stategate/stategate/statestore"
)

const (
	pipelineBytesMax = 8 << 20          // of a commit's values in one round trip; a larger commit takes several
	patienceMax      = 10 * time.Minute // of one statement, after it has been cancelled for taking too long
)

// statement is one part of a commit.
type statement struct {
	sql   string
	args  []any
	bytes int // of the values in args, roughly
}

// writer makes the commits, one at a time, on a connection of its own that bears its member's name.
type writer struct {
	store *Store
	turn  chan struct{} // holds one token; who has it owns the fields below

	conn     *pgx.Conn
	member   string
	patience time.Duration // for one statement or message; grows when one took too long, so that no commit is too large for good
	closed   bool
}

func (w *writer) init(s *Store) {
	w.store, w.turn, w.patience = s, make(chan struct{}, 1), s.statementMax()
	w.turn <- struct{}{}
}

func (w *writer) close() {
	<-w.turn
	w.drop()
	w.closed = true
	w.turn <- struct{}{}
}

func (w *writer) drop() {
	if w.conn != nil {
		w.store.hangUp(w.conn)
		w.conn = nil
	}
}

// connect answers a connection that bears the member's name.
func (w *writer) connect(ctx context.Context, member string) (*pgx.Conn, error) {
	if w.closed {
		return nil, errClosed
	}
	if w.conn != nil && (w.member != member || w.conn.IsClosed()) {
		w.drop()
	}
	if w.conn == nil {
		set := boundSettings(w.store.cfg.Lease, w.store.statementMax()).and(planSettings()).and(w.store.durable())
		conn, err := w.store.dial(ctx, sessionName(member), set)
		if err != nil {
			return nil, err
		}
		teachByteas(conn.TypeMap())
		w.conn, w.member = conn, member
	}
	return w.conn, nil
}

// write makes one transaction of the statements; the first is the fence, which divides by zero when it misses. missed says
// that it did.
func (w *writer) write(ctx context.Context, member, action string, all []statement) (missed bool, err error) {
	select {
	case <-w.turn:
	case <-ctx.Done():
		return false, fmt.Errorf("%s: %w: %w", action, statestore.ErrUnavailable, ctx.Err())
	}
	defer func() { w.turn <- struct{}{} }()

	bytes := 0
	for i := range all {
		bytes += all[i].bytes
	}
	patience := w.patience + time.Duration(bytes/pipelineBytesMax)*time.Second // 8 MiB take a second on a slow disk
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second+2*patience+time.Duration(bytes>>20)*time.Second)
	defer cancel()
	conn, err := w.connect(ctx, member)
	if err != nil {
		return false, fmt.Errorf("%s: %w: %w", action, statestore.ErrUnavailable, err)
	}
	batches := w.pipelines(all, patience)
	for i, b := range batches {
		last := i == len(batches)-1
		if err = send(ctx, conn, b); err == nil {
			continue
		}
		w.drop() // also ends a transaction of several round trips
		var pe *pgconn.PgError
		answered := errors.As(err, &pe)
		if answered && pe.Code == "22012" {
			return true, nil
		}
		if answered && (pe.Code == "57014" || pe.Code == "25P03") || pgconn.Timeout(err) || !answered && len(batches) > 1 {
			w.patience = min(2*w.patience, patienceMax)
		}
		return false, verdict(action, err, i > 0, last)
	}
	w.patience = w.store.statementMax()
	return false, nil
}

// pipelines distributes the statements over round trips. One pipeline without BEGIN is one transaction: the server commits at
// its end, or rolls all of it back when a statement fails. Several need BEGIN and COMMIT; the last holds COMMIT, so until it
// is sent nothing can have been committed.
func (w *writer) pipelines(all []statement, patience time.Duration) []*pgx.Batch {
	b := &pgx.Batch{}
	out := []*pgx.Batch{b}
	bytes := 0
	for i := range all {
		if bytes += all[i].bytes; bytes > pipelineBytesMax && i > 0 {
			b = &pgx.Batch{}
			out, bytes = append(out, b), all[i].bytes
		}
		b.Queue(all[i].sql, all[i].args...)
		if i == 0 && w.store.async { // for poolers, where what a session sets is lost
			b.Queue(`SELECT set_config('synchronous_commit', 'on', true)`)
		}
		if i == 0 && patience != w.store.statementMax() {
			// The server counts a message that is still arriving as idleness.
			b.Queue(`SELECT set_config('statement_timeout', $1, true), set_config('idle_in_transaction_session_timeout', $1, true)`, milliseconds(patience))
		}
	}
	if len(out) > 1 {
		first := &pgx.Batch{}
		first.Queue(`BEGIN`)
		first.QueuedQueries = append(first.QueuedQueries, out[0].QueuedQueries...)
		out[0] = first
		out[len(out)-1].Queue(`COMMIT`)
	}
	return out
}

// send makes one round trip and answers the first error in it.
func send(ctx context.Context, conn *pgx.Conn, b *pgx.Batch) error {
	results := conn.SendBatch(ctx, b)
	for range b.QueuedQueries {
		if _, err := results.Exec(); err != nil {
			_ = results.Close() // says the same again
			return err
		}
	}
	return results.Close()
}
