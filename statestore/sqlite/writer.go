package sqlite

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/stategate/stategate/statestore"
)

const (
	pageBytes      = 8192
	logBytesMax    = 64 << 20        // from which the log is emptied by force; SQLite itself tries from 1,000 pages on
	gateTimeMax    = 2 * time.Second // for readers to end before that
	writerCacheKiB = 32 << 10
	readerCacheKiB = 8 << 10
)

// writer is the one connection that writes. It makes one transaction at a time.
type writer struct {
	store *Store
	turn  chan struct{} // holds one token; who has it owns the fields below

	conn     *conn
	closed   bool
	logBound int64               // bytes of the log from which it is emptied by force
	logNext  int64               // the same, after tries that failed
	finish   func(c *conn) error // ends a transaction; tests make it fail
}

func (w *writer) init(s *Store) {
	w.store, w.turn, w.logBound = s, make(chan struct{}, 1), logBytesMax
	w.finish = func(c *conn) error { _, err := c.exec(`COMMIT`); return err }
	w.turn <- struct{}{}
}

func (w *writer) close() error {
	<-w.turn
	defer func() { w.turn <- struct{}{} }()
	w.closed = true
	if w.conn == nil {
		return nil
	}
	err := w.conn.close()
	w.conn = nil
	return err
}

func (w *writer) drop() {
	if w.conn != nil {
		_ = w.conn.close() // it has failed already
		w.conn = nil
	}
}

// transact makes one transaction of what f does. atCommit says that it was the last step that failed: see doubtful.
func (w *writer) transact(ctx context.Context, f func(c *conn) error) (atCommit bool, err error) {
	select {
	case <-w.turn:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	defer func() { w.turn <- struct{}{} }()
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if w.closed {
		return false, errClosed
	}
	if w.conn == nil {
		if w.conn, err = dial(w.store.writerDSN()); err != nil {
			return false, err
		}
	}
	if err := w.conn.begin(ctx); err != nil {
		w.drop()
		return false, err
	}
	if err := f(w.conn); err != nil {
		w.rollback(err)
		return false, err
	}
	if err := w.finish(w.conn); err != nil {
		w.rollback(err)
		return true, err
	}
	w.bound()
	return false, nil
}

// rollback ends a transaction that failed. A connection on which SQLite itself failed may have no transaction any more, or worse:
// it is not used again.
func (w *writer) rollback(cause error) {
	if _, err := w.conn.exec(`ROLLBACK`); err != nil || code(cause) != 0 {
		w.drop()
	}
}

// bound keeps the log from growing. SQLite copies it into the database every thousand pages and then writes it from its start
// again, unless somebody reads it at that moment; where somebody always does, it would grow for ever. So from a size on the
// readers are asked to pause.
func (w *writer) bound() {
	info, err := os.Stat(w.store.cfg.Path + "-wal")
	if err != nil || info.Size() < w.logBound {
		w.logNext = 0
		return
	}
	if info.Size() < w.logNext {
		return
	}
	start := time.Now()
	r := row(nil)
	if open := w.store.readers.gate(gateTimeMax); open != nil {
		r, err = w.conn.one(`PRAGMA wal_checkpoint(TRUNCATE)`)
		open()
	}
	if r != nil && r.int(0) == 0 {
		w.logNext = 0
		w.store.cfg.Log.Debug("log was emptied", "file", w.store.cfg.Path, "bytes", info.Size(), "took", time.Since(start))
		return
	}
	w.logNext = 2 * info.Size()
	w.store.cfg.Log.Warn("the log beside the store grows: another program reads the store, or the disk is full", "file", w.store.cfg.Path+"-wal", "bytes", info.Size(), "error", err)
}

// write is a transaction of ownership: one that may be made again, so that a doubt about it is no more than an outage.
func (s *Store) write(ctx context.Context, action string, f func(c *conn) error) error {
	atCommit, err := s.writer.transact(ctx, f)
	switch {
	case err == nil:
		return nil
	case atCommit:
		return fmt.Errorf("%s: %w: %w", action, statestore.ErrUnavailable, s.advice(err))
	}
	return s.refusal(action, err)
}

func (s *Store) writerDSN() string {
	return s.cfg.dsn("synchronous(FULL)", fmt.Sprintf("cache_size(-%d)", writerCacheKiB), fmt.Sprintf("journal_size_limit(%d)", logBytesMax))
}

func (s *Store) readerDSN() string {
	return s.cfg.dsn("query_only(1)", fmt.Sprintf("cache_size(-%d)", readerCacheKiB))
}
