package postgres

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/google/uuid"
	"github.com/stategate/stategate/statestore"
)

// version is the newest layout that this program knows: the number of the last migration.
const version = 1

//go:embed migrations/00001_create.sql
var create string

// versionTable is not goose's default: another program in the same schema may use goose, too.
const versionTable = "stategate_version"

// undefined are the SQLSTATEs of a schema or table that does not exist yet.
func undefined(err error) bool {
	var pe *pgconn.PgError
	return errors.As(err, &pe) && (pe.Code == "42P01" || pe.Code == "3F000")
}

// querier is a connection, a pool or a transaction.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// storedVersion is the layout that the store has; 0: none yet. Other programs have a table of this name, too: see refuseForeign.
func (s *Store) storedVersion(ctx context.Context, q querier) (int64, error) {
	var v int64
	err := q.QueryRow(ctx, s.sql(`SELECT coalesce(max(version_id), 0) FROM {s}.`+versionTable+` WHERE is_applied`)).Scan(&v)
	if undefined(err) {
		return 0, nil
	}
	return v, err
}

// refuseNewer answers ErrNewer for a layout that this program does not know.
func (s *Store) refuseNewer(stored int64) error {
	if stored <= version {
		return nil
	}
	return fmt.Errorf("schema %q has version %d, this program knows up to %d; run a newer gateway: %w", s.cfg.Schema, stored, version, statestore.ErrNewer)
}

// migrate brings the schema to this program's version. Members that start at the same time do it one after the other: the
// lock belongs to a transaction, so it holds behind a pooler too.
func (s *Store) migrate(ctx context.Context) error {
	stored, err := s.storedVersion(ctx, s.owners)
	if foreign := s.refuseForeign(ctx, stored, err); foreign != nil {
		return foreign
	}
	if err != nil {
		return fmt.Errorf("read store version: %w", err)
	}
	if err := s.refuseNewer(stored); err != nil || stored == version {
		return err
	}
	if stored == 0 && s.cfg.Existing {
		return fmt.Errorf("there is no store in schema %q; name the schema of one by ?schema=NAME", s.cfg.Schema)
	}
	conn, err := s.dial(ctx, "stategate migration", nil)
	if err != nil {
		return err
	}
	defer s.hangUp(conn)
	tx, err := conn.Begin(ctx)
	if err != nil {
		return fmt.Errorf("lock store for migration: %w", err)
	}
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, s.lockKey("migration")); err != nil {
		return fmt.Errorf("lock store for migration: %w", err)
	}
	if stored, err = s.storedVersion(ctx, s.owners); err != nil { // somebody else may have been here first, also a newer one
		return fmt.Errorf("read store version: %w", err)
	}
	if err := s.refuseNewer(stored); err != nil || stored == version {
		return err
	}
	if err := s.up(ctx); err != nil {
		return fmt.Errorf("migrate schema %q from version %d to %d: %w", s.cfg.Schema, stored, version, err)
	}
	return nil // the lock goes with the connection
}

// up runs the missing migrations. goose speaks database/sql; the simple protocol takes several statements at once.
func (s *Store) up(ctx context.Context) error {
	cc := s.connConfig.Copy()
	cc.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	db := stdlib.OpenDB(*cc)
	defer db.Close()

	var there bool
	if err := db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1)`, s.cfg.Schema).Scan(&there); err != nil {
		return err
	}
	if !there { // asked first: IF NOT EXISTS wants the right to create even when there is nothing to create
		if _, err := db.ExecContext(ctx, s.sql(`CREATE SCHEMA IF NOT EXISTS {s}`)); err != nil {
			return err
		}
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, nil,
		goose.WithTableName(s.cfg.Schema+"."+versionTable),
		goose.WithDisableGlobalRegistry(true),
		goose.WithGoMigrations(goose.NewGoMigration(1, &goose.GoFunc{RunTx: s.create}, nil)))
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

// create is migration 1. The identity is drawn here: not every server can.
func (s *Store) create(ctx context.Context, tx *sql.Tx) error {
	if _, err := tx.ExecContext(ctx, s.sql(create)); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, s.sql(`INSERT INTO {s}.meta (identity) VALUES ($1)`), uuid.NewString()); err != nil {
		return err
	}
	return s.compress(ctx, tx)
}

// compress asks for lz4 where the server has it: it costs a fraction of the default's time. Nothing depends on it.
func (s *Store) compress(ctx context.Context, tx *sql.Tx) error {
	var there bool
	err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY(enumvals))`).Scan(&there)
	if err != nil || !there {
		return err
	}
	for _, column := range []string{"state ALTER data", "state_large ALTER value", "pack ALTER data", "mail ALTER data", "timer ALTER data", "outbox ALTER data", "dead_letter ALTER data"} {
		if _, err := tx.ExecContext(ctx, s.sql(`ALTER TABLE {s}.`+column+` SET COMPRESSION lz4`)); err != nil {
			return err
		}
	}
	return nil
}

// sql puts the schema's name into a statement.
func (s *Store) sql(text string) string { return strings.ReplaceAll(text, "{s}", `"`+s.cfg.Schema+`"`) }
