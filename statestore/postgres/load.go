package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/stategate/stategate/statestore"
)

// loadClaim reads what the store keeps, after the claim is committed: a commit that the former owner had on its way is in what
// is read, or never will be. The lease is kept meanwhile, for nobody else can yet.
func (s *Store) loadClaim(ctx context.Context, c *statestore.Claim) error {
	ctx, cancel := context.WithCancelCause(ctx)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		for rest(ctx, s.cfg.Lease/3) {
			if err := s.renew(ctx, c.Fence); errors.Is(err, statestore.ErrFenced) {
				cancel(err)
			}
		}
	}()
	err := pgx.BeginTxFunc(ctx, s.readers, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error { return s.loadIn(ctx, tx, c) })
	if cause := context.Cause(ctx); errors.Is(cause, statestore.ErrFenced) {
		err = cause
	}
	cancel(nil)
	<-renewed
	if err != nil && !errors.Is(err, statestore.ErrFenced) {
		return refusal("read what the store keeps", err)
	}
	return err
}

// loadIn reads whole tables and may take its time. It keeps the readers' plans, and no query leaves the planner a join of two
// large tables: where the statistics say "empty", it compared each row with each.
func (s *Store) loadIn(ctx context.Context, tx pgx.Tx, c *statestore.Claim) error {
	if _, err := tx.Exec(ctx, `SELECT set_config('statement_timeout', '0', true)`); err != nil {
		return err
	}
	for _, load := range []func(context.Context, pgx.Tx, *statestore.Claim) error{
		s.loadProgress, s.loadFunctions, s.loadPacks, s.loadLanes, s.loadSpilled, s.loadDead, s.loadPauses, s.loadActs,
	} {
		if err := load(ctx, tx, c); err != nil {
			return err
		}
	}
	var noLarge, noMail, noRefusal bool
	const ask = `SELECT NOT EXISTS (SELECT 1 FROM {s}.state_large), NOT EXISTS (SELECT 1 FROM {s}.mailbox), NOT EXISTS (SELECT 1 FROM {s}.refusal)`
	if err := tx.QueryRow(ctx, s.sql(ask)).Scan(&noLarge, &noMail, &noRefusal); err != nil {
		return err
	}
	s.noLarge.Store(noLarge)
	s.noMail.Store(noMail)
	s.noRefusal.Store(noRefusal)
	return nil
}

func (s *Store) loadDead(ctx context.Context, tx pgx.Tx, c *statestore.Claim) error {
	var origin []byte
	var letters, bytes int64
	const ask = `SELECT origin, count(*), sum(bytes)::bigint FROM {s}.dead_letter GROUP BY origin ORDER BY origin`
	return rows(ctx, tx, s.sql(ask), []any{&origin, &letters, &bytes}, func() error {
		c.Dead = append(c.Dead, statestore.DeadTotal{Origin: string(origin), Letters: letters, Bytes: bytes})
		return nil
	})
}

func (s *Store) loadPauses(ctx context.Context, tx pgx.Tx, c *statestore.Claim) error {
	var data []byte
	return rows(ctx, tx, s.sql(`SELECT data FROM {s}.pause ORDER BY key`), []any{&data}, func() error {
		p, err := statestore.DecodePause(data)
		c.Pauses = append(c.Pauses, p)
		return wrap("pause", err)
	})
}

func (s *Store) loadActs(ctx context.Context, tx pgx.Tx, c *statestore.Claim) error {
	var next int64
	err := tx.QueryRow(ctx, s.sql(`SELECT coalesce(max(number), 0) + 1 FROM {s}.act`)).Scan(&next)
	c.NextAct = uint64(next)
	return err
}

// rows calls each for the rows of a query; dest is scanned into before.
func rows(ctx context.Context, tx pgx.Tx, sql string, dest []any, each func() error) error {
	r, err := tx.Query(ctx, sql)
	if err != nil {
		return err
	}
	_, err = pgx.ForEachRow(r, dest, each)
	return err
}

func (s *Store) loadProgress(ctx context.Context, tx pgx.Tx, c *statestore.Claim) error {
	var data []byte
	return rows(ctx, tx, s.sql(`SELECT data FROM {s}.progress ORDER BY key`), []any{&data}, func() error {
		p, err := statestore.DecodeProgress(data)
		c.Progress = append(c.Progress, p)
		return wrap("progress", err)
	})
}

func (s *Store) loadFunctions(ctx context.Context, tx pgx.Tx, c *statestore.Claim) error {
	var data []byte
	return rows(ctx, tx, s.sql(`SELECT data FROM {s}.function_spec ORDER BY key`), []any{&data}, func() error {
		f, err := statestore.DecodeSpec(data)
		c.Functions = append(c.Functions, f)
		return wrap("function spec", err)
	})
}

func (s *Store) loadPacks(ctx context.Context, tx pgx.Tx, c *statestore.Claim) error {
	c.Finished = make(map[uint64][]uint64)
	var number int64
	var data []byte
	err := rows(ctx, tx, s.sql(`SELECT number, finished FROM {s}.pack_mark ORDER BY number`), []any{&number, &data}, func() error {
		finished, err := statestore.DecodeNumbers(data)
		c.Finished[uint64(number)] = finished
		return wrap("pack mark", err)
	})
	if err != nil {
		return err
	}
	err = rows(ctx, tx, s.sql(`SELECT number, data FROM {s}.pack ORDER BY number, part`), []any{&number, &data}, func() error {
		messages, err := statestore.DecodeMails(data)
		if n := len(c.Packs); n == 0 || c.Packs[n-1].Number != uint64(number) {
			c.Packs = append(c.Packs, statestore.Pack{Number: uint64(number)})
		}
		last := &c.Packs[len(c.Packs)-1]
		last.Messages = append(last.Messages, without(messages, c.Finished[uint64(number)])...)
		return wrap("pack", err)
	})
	return err
}

// without takes the finished numbers out of messages; both are sorted.
func without(messages []statestore.Mail, finished []uint64) []statestore.Mail {
	return slices.DeleteFunc(messages, func(m statestore.Mail) bool {
		_, found := slices.BinarySearch(finished, m.Number)
		return found
	})
}

func (s *Store) loadLanes(ctx context.Context, tx pgx.Tx, c *statestore.Claim) error {
	const ask = `
SELECT l.egress, l.slot, l.next, l.started, coalesce(o.low, l.next), coalesce(o.bytes, 0)
FROM {s}.lane l LEFT JOIN (SELECT egress, slot, min(first) AS low, sum(bytes)::bigint AS bytes FROM {s}.outbox GROUP BY egress, slot) o
ON o.egress = l.egress AND o.slot = l.slot ORDER BY l.egress, l.slot`
	var egress []byte
	var slot int32
	var next, low, bytes int64
	var started bool
	return rows(ctx, tx, s.sql(ask), []any{&egress, &slot, &next, &started, &low, &bytes}, func() error {
		c.Lanes = append(c.Lanes, statestore.Lane{
			LaneID: statestore.LaneID{Egress: string(egress), Slot: int(slot)},
			Next:   uint64(next), Started: started, Low: uint64(low), Bytes: bytes,
		})
		return nil
	})
}

// loadSpilled adds the chunks up for each function and takes out what is finished of the first chunk of a mailbox.
func (s *Store) loadSpilled(ctx context.Context, tx pgx.Tx, c *statestore.Claim) error {
	totals := make(map[string]*statestore.SpillTotal)
	var function, address, sizes []byte
	var messages, bytes, low int64
	const sums = `
SELECT q.function, (SELECT a.address FROM {s}.mailbox a WHERE a.key >= q.function ORDER BY a.key LIMIT 1), q.messages, q.bytes
FROM (SELECT b.function, sum(m.messages)::bigint AS messages, sum(m.bytes)::bigint AS bytes FROM {s}.mailbox b
      CROSS JOIN LATERAL (SELECT sum(messages) AS messages, sum(bytes) AS bytes FROM {s}.mail WHERE key = b.key) m GROUP BY b.function) q`
	err := rows(ctx, tx, s.sql(sums), []any{&function, &address, &messages, &bytes}, func() error {
		a, err := statestore.DecodeAddress(address)
		totals[string(function)] = &statestore.SpillTotal{Function: a.Type, Messages: messages, Bytes: bytes}
		return wrap("mailbox", err)
	})
	if err != nil {
		return err
	}
	const begun = `
SELECT b.function, b.low, m.sizes FROM {s}.mailbox b
CROSS JOIN LATERAL (SELECT sizes FROM {s}.mail WHERE key = b.key AND first < b.low ORDER BY first LIMIT 1) m WHERE b.low > 0`
	err = rows(ctx, tx, s.sql(begun), []any{&function, &low, &sizes}, func() error {
		entries, err := statestore.DecodeSizes(sizes)
		for _, e := range entries {
			if t := totals[string(function)]; t != nil && e.Number < uint64(low) {
				t.Messages--
				t.Bytes -= e.Bytes
			}
		}
		return wrap("chunk", err)
	})
	for _, t := range totals {
		c.Spilled = append(c.Spilled, *t)
	}
	slices.SortFunc(c.Spilled, func(a, b statestore.SpillTotal) int { return cmp.Compare(a.Function.String(), b.Function.String()) })
	return err
}

// wrap says what could not be decoded.
func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("decode stored %s: %w", what, err)
}
