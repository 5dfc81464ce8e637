package simulation_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/sqlite"
)

// onSQLite plays on the embedded store: one file for each life, and a handle for each process.
type onSQLite struct {
	folder string
	lives  *atomic.Int64
}

func newOnSQLite(t testing.TB) backend {
	t.Helper()
	folder := t.TempDir()
	if shm, err := os.MkdirTemp("/dev/shm", "lives"); err == nil {
		t.Cleanup(func() { _ = os.RemoveAll(shm) })
		if roomy(shm) {
			folder = shm
		}
	}
	return &onSQLite{folder: folder, lives: &atomic.Int64{}}
}

// roomy reports whether a folder takes what the lives of all cores write at once. In memory there is no disk to wait for, which is not
// what is tried here; but containers often have little of it.
func roomy(folder string) bool {
	const lifeBytes = 16 << 20 // mostly the log, which SQLite empties from 8 MiB on
	path := filepath.Join(folder, "room")
	err := os.WriteFile(path, make([]byte, runtime.GOMAXPROCS(0)*lifeBytes), 0o600)
	return errors.Join(err, os.Remove(path)) == nil
}

func (b *onSQLite) name() string { return "sqlite" }

func (b *onSQLite) open() (deposit, error) {
	folder := filepath.Join(b.folder, fmt.Sprint("life", b.lives.Add(1)))
	if err := os.Mkdir(folder, 0o700); err != nil {
		return nil, err
	}
	return &sqliteDeposit{folder}, nil
}

type sqliteDeposit struct{ folder string }

func (d *sqliteDeposit) path() string { return filepath.Join(d.folder, "store.db") }

func (d *sqliteDeposit) handle() (handle, error) {
	s, err := sqlite.Open(context.Background(), sqlite.Config{Path: d.path(), Readers: 1, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	return &sqliteHandle{s, d}, nil
}

func (d *sqliteDeposit) ask(query string) (answer string, ok bool, err error) {
	db, err := sql.Open("sqlite", d.path())
	if err != nil {
		return "", false, err
	}
	err = db.QueryRow(strings.ReplaceAll(query, "{s}.", "")).Scan(&answer)
	return answer, true, errors.Join(err, db.Close())
}

func (d *sqliteDeposit) close() { _ = os.RemoveAll(d.folder) }

type sqliteHandle struct {
	*sqlite.Store
	deposit *sqliteDeposit
}

// takeMax is how long a takeover may take that nothing holds up.
const takeMax = 20 * time.Second

// take takes the store from whoever has it. A process that sleeps keeps the file's lock, which is a hint and no authority: somebody
// removes it here, and the fence alone must do.
func (h *sqliteHandle) take(m statestore.Member, egresses []string) (*statestore.Claim, error) {
	if err := os.Remove(h.deposit.path() + ".lock"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), takeMax)
	defer cancel()
	return h.Acquire(ctx, m, egresses)
}

func (h *sqliteHandle) close() { _ = h.Close() }
