// Package postgres keeps an application in one schema of a PostgreSQL database. Its one duty is to do what statestore says,
// with one round trip per commit, and to tell the death of an owner quickly. It decides nothing about messages or calls, keeps
// nothing of the application in memory, and trusts neither clocks nor locks for safety: the fence is one row.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/stategate/stategate/statestore"
)

var _ statestore.Store = (*Store)(nil)

const (
	ownersConns      = 2 // Acquire, Renew, Release, Owner, LastCommit: never behind a load
	loadStatementMax = time.Minute
)

// Store is one schema. Its methods may be called from several goroutines; commits are made one at a time.
type Store struct {
	cfg        Config
	connConfig *pgx.ConnConfig
	identity   string
	async      bool // the server's sessions commit asynchronously unless told otherwise

	owners  *pgxpool.Pool
	readers *pgxpool.Pool
	writer  writer

	// What an owner knows since its claim, which saves looking for it; false where it is not known.
	noLarge   atomic.Bool  // no value of this store has a row of its own
	noMail    atomic.Bool  // no address of this store has spilled messages
	noRefusal atomic.Bool  // no output of this store was set aside
	doubts    atomic.Int64 // how often the member that owns has asked for its last commit

	hintOff string // why the advisory lock is not used; "" when it is

	mu     sync.Mutex
	keeper *keeper // holds the hint of the member that owns; nil: none. Guarded by mu.
	closed bool    // guarded by mu
}

// Open connects, creates or migrates the schema, and fails within ten seconds when the server cannot be reached.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	base, err := cfg.validate()
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	tune(base, cfg.Lease, cfg.ConnectTimeMax)
	s := &Store{cfg: cfg, connConfig: base.ConnConfig}
	s.writer.init(s)
	if err := s.greet(ctx); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if s.owners, err = s.pool(ctx, base, ownersConns, boundSettings(cfg.Lease, s.statementMax()).and(s.durable())); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if s.readers, err = s.pool(ctx, base, cfg.Readers, boundSettings(cfg.Lease, loadStatementMax).and(planSettings())); err != nil {
		s.owners.Close()
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := s.start(ctx); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("open store: %w", err)
	}
	return s, nil
}

// greet finds out whether the server is there, and whether its commits wait for the disk.
func (s *Store) greet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.ConnectTimeMax)
	defer cancel()
	conn, err := s.dial(ctx, "stategate", nil)
	if err != nil {
		return err
	}
	defer s.hangUp(conn)
	var mode string
	if err = conn.QueryRow(ctx, `SHOW synchronous_commit`).Scan(&mode); err != nil {
		return fmt.Errorf("ask for synchronous_commit: %w", err)
	}
	if s.async = mode == "off"; s.async {
		s.cfg.Log.Warn("the server's synchronous_commit is off; commits are made with it on, else what was delivered could be forgotten")
	}
	return nil
}

// start brings the schema up to date.
func (s *Store) start(ctx context.Context) error {
	if err := s.migrate(ctx); err != nil {
		return err
	}
	if err := s.owners.QueryRow(ctx, s.sql(`SELECT identity::text FROM {s}.meta`)).Scan(&s.identity); err != nil {
		return fmt.Errorf("read identity: %w", err)
	}
	why, err := s.checkHint(ctx)
	if err != nil {
		return fmt.Errorf("try advisory lock: %w", err)
	}
	if s.hintOff = why; why != "" {
		s.cfg.Log.Info("advisory lock is not used; an owner's death is noticed when its lease ends", "why", why, "lease", s.cfg.Lease)
	}
	return nil
}

// statementMax bounds one statement of a commit, a claim or a renewal.
func (s *Store) statementMax() time.Duration { return max(s.cfg.Lease*2/3, time.Second) }

// durable is the setting that makes sessions wait for the disk where the server's default does not.
func (s *Store) durable() settings {
	if s.async {
		return settings{"synchronous_commit": "on"}
	}
	return nil
}

// Identity is the store's UUID.
func (s *Store) Identity() string { return s.identity }

// closeMax bounds Close. The pools would wait 15 s for each connection whose last query was given up, and without a bound for
// those in use.
const closeMax = time.Second

// Close ends all connections, also the one with the hint; a waiting member sees that at once and waits out its grace. When
// the server hangs, what does not end in time is left behind: a stop must not wait for a server that does not answer.
func (s *Store) Close() error {
	s.mu.Lock()
	k := s.keeper
	s.keeper, s.closed = nil, true
	s.mu.Unlock()
	parts := []func(){s.writer.close, s.readers.Close, s.owners.Close}
	if k != nil {
		parts = append(parts, k.end)
	}
	var ending sync.WaitGroup
	for _, end := range parts {
		ending.Go(end)
	}
	done := make(chan struct{})
	go func() { ending.Wait(); close(done) }()
	late := time.NewTimer(closeMax)
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
		s.cfg.Log.Warn("connections to the store did not end in time; they are left behind", "waited", closeMax)
	}
	return nil
}

var errClosed = errors.New("store is closed")

// lockKey is the number of an advisory lock of this schema. Locks belong to a database, so no more than the schema is in it.
func (s *Store) lockKey(what string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte("stategate " + what + " " + s.cfg.Schema)) // never fails
	return int64(h.Sum64())
}
