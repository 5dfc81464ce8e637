package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// loadMax is how many addresses one round trip loads.
const loadMax = 1000

// States loads many addresses in one round trip.
func (s *Store) States(ctx context.Context, addresses []api.Address) ([]statestore.Loaded, error) {
	out := make([]statestore.Loaded, len(addresses))
	for from := 0; from < len(addresses); from += loadMax {
		to := min(from+loadMax, len(addresses))
		if err := s.loadStates(ctx, addresses[from:to], out[from:to]); err != nil {
			return nil, refusal(fmt.Sprintf("load %d addresses", len(addresses)), err)
		}
	}
	return out, nil
}

// A load is one statement, and so of one snapshot: an address's row and its large values belong together. Its rows are of four parts:
// the states of an address; a large value; the totals of a mailbox; the chunk of a mailbox that is finished up to low, where there is one.
const (
	stateSQL = `
SELECT 1::bigint, key, data, NULL::bytea, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint FROM {s}.state WHERE key = ANY($1::bytea[])`
	largeSQL = `
UNION ALL SELECT 2, key, value, name, NULL, NULL, NULL, NULL FROM {s}.state_large WHERE key = ANY($1::bytea[])`
	mailboxSQL = `
UNION ALL SELECT 3, b.key, NULL, NULL, m.messages, m.bytes, m.first, m.last FROM {s}.mailbox b
CROSS JOIN LATERAL (SELECT sum(messages)::bigint AS messages, sum(bytes)::bigint AS bytes, min(first) AS first, max(last) AS last FROM {s}.mail WHERE key = b.key) m
WHERE b.key = ANY($1::bytea[]) AND m.messages > 0
UNION ALL SELECT 4, b.key, m.sizes, NULL, b.low, NULL, NULL, NULL FROM {s}.mailbox b
CROSS JOIN LATERAL (SELECT sizes FROM {s}.mail WHERE key = b.key AND first < b.low ORDER BY first LIMIT 1) m WHERE b.key = ANY($1::bytea[])`
)

// Parts of a load, and the columns of their rows behind key.
const (
	statesPart  = iota + 1 // data
	largePart              // value, name
	mailboxPart            // -, -, messages, bytes, first, last
	begunPart              // sizes, -, low
)

// loadStates leaves out what most applications have none of, as far as the owner knows: nobody else writes.
func (s *Store) loadStates(ctx context.Context, addresses []api.Address, out []statestore.Loaded) error {
	sql, noLarge := stateSQL, s.noLarge.Load()
	if !noLarge {
		sql += largeSQL
	}
	if !s.noMail.Load() {
		sql += mailboxSQL
	}
	l := newLookup(addresses, out)
	err := s.lookUp(ctx, sql, l)
	if errors.Is(err, errApart) && noLarge { // of a commit that was on its way
		l = newLookup(addresses, out)
		err = s.lookUp(ctx, stateSQL+largeSQL+mailboxSQL, l)
	}
	return err
}

func (s *Store) lookUp(ctx context.Context, sql string, l *lookup) error {
	r, err := s.readers.Query(ctx, s.sql(sql), l.wire)
	if err != nil {
		return err
	}
	defer r.Close()
	answer := rawRows{fields: r.FieldDescriptions(), types: r.Conn().TypeMap()}
	for r.Next() {
		answer.row, answer.err = r.RawValues(), nil
		if err := l.take(&answer); err != nil {
			return err
		}
	}
	if err := r.Err(); err != nil {
		return err
	}
	return l.finish()
}
