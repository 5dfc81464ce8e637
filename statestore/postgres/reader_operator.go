package postgres

import (
	"context"
	"errors"
	"math"

	"github.com/jackc/pgx/v5"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// keysSQL answers the keys of states and those of mailboxes: each part comes from an index, beside nothing that is large.
const keysSQL = `
SELECT * FROM (SELECT 0, key FROM {s}.state WHERE key >= $1 AND key < $2 ORDER BY key LIMIT $3) s
UNION ALL SELECT * FROM (SELECT 1, key FROM {s}.mailbox WHERE key >= $1 AND key < $2 ORDER BY key LIMIT $3) m`

// Addresses pages through the keys of states and mailboxes.
func (s *Store) Addresses(ctx context.Context, function api.FunctionType, prefix string, cursor []byte, limit int) ([]api.Address, []byte, error) {
	if limit <= 0 {
		return nil, nil, nil
	}
	p := statestore.NewAddressPage(function, prefix, cursor, limit)
	var tables [2][][]byte
	var table int
	var key []byte
	err := s.list(ctx, "list addresses", keysSQL, []any{p.Span.Low, p.Span.High, p.Limit}, []any{&table, &key}, func() error {
		tables[table&1] = append(tables[table&1], key)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	return p.Answer(tables[:], func(key []byte) (api.Address, bool, error) { return s.rowAddress(ctx, key) })
}

// rowSQL answers an address, and the states of it where it has no mailbox that says so.
const rowSQL = `
SELECT (SELECT address FROM {s}.mailbox WHERE key = $1), CASE WHEN NOT EXISTS (SELECT 1 FROM {s}.mailbox WHERE key = $1) THEN (SELECT data FROM {s}.state WHERE key = $1) END`

// rowAddress is the address of a key, as its row has it.
func (s *Store) rowAddress(ctx context.Context, key []byte) (a api.Address, ok bool, err error) {
	var address, data []byte
	err = s.list(ctx, "list addresses", rowSQL, []any{key}, []any{&address, &data}, func() error {
		var err error
		switch {
		case address != nil:
			a, err = statestore.DecodeAddress(address)
		case data != nil:
			a, _, _, err = statestore.DecodeStates(data)
		}
		ok = address != nil || data != nil
		return wrap("address", err)
	})
	return a, ok, err
}

// noneSQL is the columns of a load, for parts of it to be put behind.
const noneSQL = `
SELECT 1::bigint, NULL::bytea, NULL::bytea, NULL::bytea, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint WHERE false`

// Mailboxes loads all but values.
func (s *Store) Mailboxes(ctx context.Context, addresses []api.Address) ([]statestore.Loaded, error) {
	out := make([]statestore.Loaded, len(addresses))
	if s.noMail.Load() {
		return out, nil
	}
	for from := 0; from < len(addresses); from += loadMax {
		to := min(from+loadMax, len(addresses))
		if err := s.lookUp(ctx, noneSQL+mailboxSQL, newLookup(addresses[from:to], out[from:to])); err != nil {
			return nil, refusal("look for mailboxes", err)
		}
	}
	return out, nil
}

// deadSQL answers a page of dead letters. The sum of their sizes decides in the server which are sent.
const deadSQL = `
SELECT data FROM (
  SELECT number, data, sum(bytes) OVER (ORDER BY number) AS upto, sum(bytes) OVER (ORDER BY number) - bytes AS before
  FROM (SELECT number, bytes, data FROM {s}.dead_letter WHERE number > $1 ORDER BY number LIMIT $2) page) q
WHERE upto <= $3 OR before = 0 ORDER BY number`

// DeadLetters reads in the order of numbers.
func (s *Store) DeadLetters(ctx context.Context, after uint64, limit int) ([]api.DeadLetter, error) {
	var out []api.DeadLetter
	var data []byte
	err := s.list(ctx, "list dead letters", deadSQL, []any{number(after), max(limit, 0), int64(statestore.DeadPageBytes)}, []any{&data}, func() error {
		d, err := statestore.DecodeDeadLetter(data)
		out = append(out, d)
		return wrap("dead letter", err)
	})
	return out, err
}

const actsSQL = `SELECT data FROM {s}.act WHERE number < $1 ORDER BY number DESC LIMIT $2`

// Acts reads the newest first.
func (s *Store) Acts(ctx context.Context, before uint64, limit int) ([]statestore.Act, error) {
	if before == 0 {
		before = math.MaxInt64
	}
	var out []statestore.Act
	var data []byte
	err := s.list(ctx, "list acts", actsSQL, []any{number(before), max(limit, 0)}, []any{&data}, func() error {
		a, err := statestore.DecodeAct(data)
		out = append(out, a)
		return wrap("act", err)
	})
	return out, err
}

const noteSQL = `SELECT data, (extract(epoch FROM at) * 1000)::bigint FROM {s}.note WHERE key = $1`

// Note reads one row.
func (s *Store) Note(ctx context.Context, name string) (data []byte, atMS int64, err error) {
	err = s.readers.QueryRow(ctx, s.sql(noteSQL), statestore.NoteKey(name)).Scan(&data, &atMS)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, refusal("read note", err)
	}
	return data, atMS, nil
}

// SetNote writes one row, or removes it. It takes a connection of those that read, so that ownership never waits for it.
func (s *Store) SetNote(ctx context.Context, name string, data []byte) error {
	if len(data) > statestore.NoteBytesMax {
		return statestore.ErrNoteTooLong
	}
	ask, values := `INSERT INTO {s}.note (key, at, data) VALUES ($1, clock_timestamp(), $2)
ON CONFLICT (key) DO UPDATE SET at = excluded.at, data = excluded.data`, []any{statestore.NoteKey(name), data}
	if len(data) == 0 {
		ask, values = `DELETE FROM {s}.note WHERE key = $1`, values[:1]
	}
	if _, err := s.readers.Exec(ctx, s.sql(ask), values...); err != nil {
		return refusal("write note", err)
	}
	return nil
}
