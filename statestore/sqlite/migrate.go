package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver that goose is given
	lib "modernc.org/sqlite/lib"

	"github.com/stategate/stategate/statestore"
)

// version is the newest layout that this program knows: the number of the last migration.
const version = 1

// applicationID marks a file as ours ("StGa"). It stands in the first migration, too.
const applicationID = 0x53744761

const (
	migrateTimeMax = 10 * time.Second // for another process that migrates at the same time
	migratePause   = 50 * time.Millisecond
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the file to this program's version. Processes that start at the same time may all try: each migration is one
// transaction together with its number, so one of them makes it and the others fail, look again and find it made.
func (s *Store) migrate(ctx context.Context) error {
	for limit := time.Now().Add(migrateTimeMax); ; {
		stored, err := s.look(ctx)
		if err == nil {
			err = refuseNewer(stored)
		}
		switch {
		case errors.Is(err, statestore.ErrNewer), errors.Is(err, errForeign):
			return err
		case err == nil && stored == version:
			return nil
		case err == nil && stored == 0 && s.cfg.Existing:
			return errAbsent
		case err == nil:
			if err = s.up(ctx); err == nil {
				return nil
			}
			err = fmt.Errorf("migrate from version %d to %d: %w", stored, version, err)
		}
		if !raced(err) || ctx.Err() != nil || time.Now().After(limit) {
			return s.advice(err)
		}
		if !rest(ctx, migratePause) {
			return ctx.Err()
		}
	}
}

// raced reports whether the error may come from another process that migrates: it holds the lock, or has made a table meanwhile.
func raced(err error) bool {
	switch code(err) {
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED, lib.SQLITE_ERROR, 0: // 0: goose's own
		return true
	}
	return false
}

// look asks for the version on a connection that changes nothing. All others make the file's journal a WAL, for good, and another
// program's file must stay as it is.
func (s *Store) look(ctx context.Context) (int64, error) {
	db, err := sql.Open("sqlite", s.cfg.lookDSN())
	if err != nil {
		return 0, err
	}
	defer db.Close()
	return storedVersion(ctx, db)
}

func (s *Store) up(ctx context.Context) error {
	db, err := sql.Open("sqlite", s.cfg.dsn(fmt.Sprintf("page_size(%d)", pageBytes), "synchronous(FULL)"))
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, dir, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

// errForeign: a SQLite database, but not a gateway's.
var errForeign = errors.New("it is the database of another program, name another file")

// querier is a database or a transaction.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// storedVersion is the layout that the file has; 0: none yet.
func storedVersion(ctx context.Context, q querier) (v int64, err error) {
	var others, versions, id int64
	const look = `SELECT coalesce(sum(name <> 'goose_db_version' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'), 0), coalesce(sum(name = 'goose_db_version'), 0),
(SELECT application_id FROM pragma_application_id) FROM sqlite_schema WHERE type = 'table'`
	if err := q.QueryRowContext(ctx, look).Scan(&others, &versions, &id); err != nil {
		return 0, err
	}
	if id != applicationID && (id != 0 || others > 0) {
		return 0, errForeign
	}
	if versions == 0 {
		return 0, nil
	}
	err = q.QueryRowContext(ctx, versionSQL).Scan(&v)
	return v, err
}

const versionSQL = `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`

// refuseNewer answers ErrNewer for a layout that this program does not know.
func refuseNewer(stored int64) error {
	if stored <= version {
		return nil
	}
	return fmt.Errorf("the file has version %d, this program knows up to %d; run a newer gateway: %w", stored, version, statestore.ErrNewer)
}
