// Package sqlite keeps an application in one file, without a server. Its one duty is to do what statestore says, with one fsync
// per commit, and to tell the death of the process that owns the file at once. It decides nothing about messages or calls, keeps
// nothing of the application in memory, and trusts neither clocks nor locks for safety: the fence is one row.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"

	"github.com/stategate/stategate/statestore"
)

var _ statestore.Store = (*Store)(nil)

// Store is one file. Its methods may be called from several goroutines; commits are made one at a time.
type Store struct {
	cfg      Config
	identity string
	lock     fileLock
	writer   writer
	readers  pool

	noLarge atomic.Bool // no value of this store has a row of its own
	closed  atomic.Bool
}

// Open makes or migrates the file.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s := &Store{cfg: cfg, lock: fileLock{path: cfg.Path + ".lock", lock: lockFile}}
	s.writer.init(s)
	s.readers.init(s)
	if err := s.start(ctx); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("open store %s: %w", cfg.Path, err)
	}
	return s, nil
}

// errAbsent: what Config.Existing is for.
var errAbsent = errors.New("there is no store in it; name the file of one")

// start brings the file up to date.
func (s *Store) start(ctx context.Context) error {
	if _, err := os.Stat(s.cfg.Path); s.cfg.Existing && errors.Is(err, fs.ErrNotExist) {
		return errAbsent
	}
	if _, err := s.look(ctx); errors.Is(err, errForeign) { // what else is wrong is told below, with advice
		return err
	}
	if err := s.lock.check(); err != nil {
		return err
	}
	if err := s.migrate(ctx); err != nil {
		return err
	}
	err := s.readers.read(ctx, func(c *conn) error {
		r, err := c.one(`SELECT identity FROM meta`)
		if err == nil && r == nil {
			err = errors.New("the file has no identity: it is damaged, restore a copy")
		}
		if err == nil {
			s.identity = r.text(0)
		}
		return err
	})
	if err != nil {
		return s.refusal("read identity", err)
	}
	return nil
}

// Identity is the store's UUID.
func (s *Store) Identity() string { return s.identity }

// Close waits for what is under way, ends all connections and gives the file's lock back: a waiting member takes over at once.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	err := errors.Join(s.writer.close(), s.readers.close())
	s.lock.close()
	if err != nil {
		return fmt.Errorf("close store %s: %w", s.cfg.Path, err)
	}
	return nil
}

func (s *Store) isClosed() bool { return s.closed.Load() }
