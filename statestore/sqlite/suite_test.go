package sqlite

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) *storetest.Fixture {
		const lease = 2 * time.Second // a busy machine must be able to renew it in time
		cfg := Config{Path: filepath.Join(t.TempDir(), "store.db"), Lease: lease, Log: quiet()}
		return &storetest.Fixture{
			Lease: lease, OwnerAlone: true,
			Open: func(t *testing.T) statestore.Store {
				s, err := Open(t.Context(), cfg)
				if err != nil {
					t.Fatal(err)
				}
				return s
			},
			// A process that sleeps keeps the file's lock. It would lose it only to somebody who removes the lock file.
			Sleep: func(_ *testing.T, s statestore.Store) { s.(*Store).lock.drop() },
			Doubt: func(_ *testing.T, s statestore.Store, done bool) {
				failNextCommit(s.(*Store), done, errors.New("fsync failed on purpose"))
			},
			Newer: func(t *testing.T) { makeNewer(t, cfg) },
			Reopen: func(t *testing.T) (statestore.Store, error) {
				s, err := Open(t.Context(), cfg)
				if err != nil {
					return nil, err
				}
				return s, nil
			},
		}
	})
}

// failNextCommit makes the end of the next transaction fail; done says whether it is written.
func failNextCommit(s *Store, done bool, cause error) {
	<-s.writer.turn
	defer func() { s.writer.turn <- struct{}{} }()
	commit := s.writer.finish
	s.writer.finish = func(c *conn) error {
		s.writer.finish = commit
		if done {
			if err := commit(c); err != nil {
				return err
			}
		}
		return cause
	}
}

// makeNewer lets the file look as though a later version had migrated it.
func makeNewer(t *testing.T, cfg Config) {
	t.Helper()
	sqlDo(t, cfg.Path, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (2, 1)`)
}
