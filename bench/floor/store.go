package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// store is one life's hold on the database. Two connections: one commits while the other loads for the next batch.
type store struct {
	writer, reader *pgx.Conn
	epoch          int64
	last           int64   // number of the last output that is committed, or being so
	trimmed        int64   // outputs up to this number have no row any more
	positions      []int64 // of the source, by partition, when this life began
}

// One row says who may write, and up to where everything is. Half-full pages keep updates on them, without new entries in the index. What
// is packed is kept outside of its row, and not packed again.
const tables = `
CREATE TABLE IF NOT EXISTS owner (one bool PRIMARY KEY DEFAULT true CHECK (one), epoch bigint NOT NULL, last bigint NOT NULL, positions bigint[] NOT NULL) WITH (fillfactor = 20);
CREATE TABLE IF NOT EXISTS state (id bytea PRIMARY KEY, value bytea NOT NULL) WITH (fillfactor = 50);
CREATE TABLE IF NOT EXISTS outbox (last bigint PRIMARY KEY, count int NOT NULL, outputs bytea NOT NULL);
ALTER TABLE outbox ALTER COLUMN outputs SET STORAGE EXTERNAL;
INSERT INTO owner VALUES (true, 0, 0, '{}') ON CONFLICT DO NOTHING`

// openStore takes over, from the epoch before or, where that is 0, from anybody: whoever wrote under an older one is refused from here on,
// and what is read from here on stays true.
func openStore(ctx context.Context, cfg config, before int64) (_ *store, err error) {
	s := &store{}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	c, err := pgx.ParseConfig(cfg.postgres)
	if err != nil {
		return nil, err
	}
	schema := pgx.Identifier{cfg.name}.Sanitize()
	c.RuntimeParams["search_path"] = schema
	// Arrays of any length take the same way through the index, and nobody plans it again.
	c.RuntimeParams["plan_cache_mode"] = "force_generic_plan"
	if s.writer, err = pgx.ConnectConfig(ctx, c); err != nil {
		return nil, err
	}
	if s.reader, err = pgx.ConnectConfig(ctx, c); err != nil {
		return nil, err
	}
	var made bool // else whoever is at work would be in the way of this
	if err = s.writer.QueryRow(ctx, "SELECT to_regclass('owner') IS NOT NULL").Scan(&made); err != nil {
		return nil, err
	}
	if !made {
		if _, err = s.writer.PgConn().Exec(ctx, "CREATE SCHEMA IF NOT EXISTS "+schema+";"+tables).ReadAll(); err != nil {
			return nil, fmt.Errorf("make tables: %w", err)
		}
	}
	err = s.writer.QueryRow(ctx, "UPDATE owner SET epoch = epoch + 1 WHERE $1::bigint IN (0, epoch) RETURNING epoch, last, positions", before).
		Scan(&s.epoch, &s.last, &s.positions)
	if errors.Is(err, pgx.ErrNoRows) {
		err = errFenced
	}
	return s, err
}

func (s *store) close() {
	for _, c := range []*pgx.Conn{s.writer, s.reader} {
		if c != nil {
			_ = c.Close(context.Background())
		}
	}
}

// resume drops what the cursor says is delivered, and answers the rest. A cursor of 0 is one that was never written.
func (s *store) resume(ctx context.Context, cursor int64) ([]row, error) {
	rows, err := s.writer.Query(ctx, "SELECT last, count, outputs FROM outbox ORDER BY last")
	if err != nil {
		return nil, err
	}
	outbox, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (o row, err error) {
		return o, r.Scan(&o.last, &o.count, &o.outputs)
	})
	if err != nil {
		return nil, fmt.Errorf("read the outbox: %w", err)
	}
	first := s.last // the outputs that are kept begin behind it
	if len(outbox) > 0 {
		first = outbox[0].last - int64(outbox[0].count)
	}
	if cursor < first || cursor > s.last {
		return nil, fmt.Errorf("%w: it says %d, the store keeps outputs behind %d up to %d", errCursor, cursor, first, s.last)
	}
	s.trimmed = first
	for len(outbox) > 0 && outbox[0].last <= cursor { // a transaction of Kafka's holds whole rows
		outbox = outbox[1:]
	}
	// Whoever opens the producer last delivers. It must be who owns the store.
	var epoch int64
	if err := s.writer.QueryRow(ctx, "SELECT epoch FROM owner FOR UPDATE").Scan(&epoch); err != nil {
		return nil, err
	}
	if epoch != s.epoch {
		return nil, errFenced
	}
	return outbox, nil
}

// load fills in what the store has of addresses.
func (s *store) load(ctx context.Context, missing []*address) error {
	ids := make([][]byte, len(missing))
	byID := make(map[string]*address, len(missing))
	for i, a := range missing {
		ids[i] = a.id
		byID[string(a.id)] = a
	}
	rows, err := s.reader.Query(ctx, "SELECT id, value FROM state WHERE id = ANY($1)", ids)
	if err != nil {
		return err
	}
	var id, value []byte
	_, err = pgx.ForEachRow(rows, []any{&id, &value}, func() error {
		a := byID[string(id)]
		a.value, a.stored = append([]byte{}, value...), true
		return nil
	})
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	return nil
}

const (
	// The fence: no row, no commit. A division by zero ends the transaction with all that is behind it.
	fence = `WITH owned AS (UPDATE owner SET last = $3, positions = $4 WHERE epoch = $1 AND last = $2 RETURNING 1) SELECT 1 / count(*) FROM owned`
	// Rows that are known to be there are updated: an INSERT that finds them locks each one first.
	update = `UPDATE state SET value = u.value FROM unnest($1::bytea[], $2::bytea[]) AS u (id, value) WHERE state.id = u.id`
	insert = `INSERT INTO state SELECT * FROM unnest($1::bytea[], $2::bytea[])`
	keep   = `INSERT INTO outbox VALUES ($1, $2, $3)`
	trim   = `DELETE FROM outbox WHERE last > $1 AND last <= $2`

	divisionByZero = "22012"
)

// commit writes a batch, in one round trip and one transaction: a pipeline is one, as it has no BEGIN. Its outputs get their numbers here.
func (s *store) commit(ctx context.Context, b *batch, delivered int64) (row, error) {
	r := row{last: s.last + int64(b.count), count: b.count, outputs: b.outputs}
	var p pgx.Batch
	p.Queue(fence, s.epoch, s.last, r.last, b.positions)
	ids, values := make([][]byte, 0, len(b.calls)), make([][]byte, 0, len(b.calls))
	for _, inserted := range []bool{false, true} {
		from := len(ids)
		for i := range b.calls {
			if c := &b.calls[i]; c.value != nil && c.insert == inserted {
				ids, values = append(ids, c.id), append(values, c.value)
			}
		}
		statement := update
		if inserted {
			statement = insert
		}
		if len(ids) > from {
			p.Queue(statement, ids[from:], values[from:])
		}
	}
	if r.count > 0 {
		p.Queue(keep, r.last, r.count, r.outputs)
	}
	if delivered > s.trimmed {
		p.Queue(trim, s.trimmed, delivered)
	}
	if err := s.writer.SendBatch(ctx, &p).Close(); err != nil {
		var refused *pgconn.PgError
		if errors.As(err, &refused) && refused.Code == divisionByZero {
			return row{}, errFenced
		}
		return row{}, fmt.Errorf("commit: %w", err)
	}
	s.last, s.trimmed = r.last, max(s.trimmed, delivered)
	return r, nil
}
