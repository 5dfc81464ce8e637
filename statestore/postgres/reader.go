package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

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

// stateSQL are the parts of a load; they stand between BEGIN and COMMIT of one snapshot, so that an address's row and its
// large values belong together.
var stateSQL = []string{
	`SELECT key, data FROM {s}.state WHERE key = ANY($1::bytea[])`,
	`SELECT key, name, value FROM {s}.state_large WHERE key = ANY($1::bytea[])`,
	`SELECT key, sum(messages)::bigint, sum(bytes)::bigint, min(first), max(last) FROM {s}.mail WHERE key = ANY($1::bytea[]) GROUP BY key`,
	`SELECT b.key, b.low, m.sizes FROM {s}.mailbox b
CROSS JOIN LATERAL (SELECT sizes FROM {s}.mail WHERE key = b.key AND first < b.low ORDER BY first LIMIT 1) m WHERE b.key = ANY($1::bytea[])`,
}

// found is what the queries of a load answered, by key.
type found struct {
	data  map[string][]byte
	large map[string]map[string][]byte
	mail  map[string]statestore.Loaded
}

func (s *Store) loadStates(ctx context.Context, addresses []api.Address, out []statestore.Loaded) error {
	keys := make([][]byte, len(addresses))
	for i := range addresses {
		keys[i] = statestore.AddressKey(addresses[i])
	}
	f := found{data: map[string][]byte{}, large: map[string]map[string][]byte{}, mail: map[string]statestore.Loaded{}}
	if err := s.query(ctx, keys, &f); err != nil {
		return err
	}
	for i, k := range keys {
		out[i] = f.mail[string(k)]
		data, ok := f.data[string(k)]
		if !ok {
			continue
		}
		_, values, apart, err := statestore.DecodeStates(data)
		if err != nil {
			return wrap("state", err)
		}
		for _, j := range apart {
			v, ok := f.large[string(k)][string(statestore.NameKey(values[j].Name))]
			if !ok {
				return fmt.Errorf("state %q of an address: its large value is missing", values[j].Name)
			}
			values[j].Value = v
		}
		out[i].Values = values
	}
	return nil
}

func (s *Store) query(ctx context.Context, keys [][]byte, f *found) error {
	b := &pgx.Batch{}
	b.Queue(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`)
	var key, data, name, value, sizes []byte
	var messages, bytes, first, last, low int64
	b.Queue(s.sql(stateSQL[0]), keys).Query(scan([]any{&key, &data}, func() error {
		f.data[string(key)] = data
		return nil
	}))
	b.Queue(s.sql(stateSQL[1]), keys).Query(scan([]any{&key, &name, &value}, func() error {
		if f.large[string(key)] == nil {
			f.large[string(key)] = map[string][]byte{}
		}
		f.large[string(key)][string(name)] = value
		return nil
	}))
	b.Queue(s.sql(stateSQL[2]), keys).Query(scan([]any{&key, &messages, &bytes, &first, &last}, func() error {
		f.mail[string(key)] = statestore.Loaded{Spilled: messages, SpilledBytes: bytes, First: uint64(first), Last: uint64(last)}
		return nil
	}))
	b.Queue(s.sql(stateSQL[3]), keys).Query(scan([]any{&key, &low, &sizes}, func() error {
		entries, err := statestore.DecodeSizes(sizes)
		l := f.mail[string(key)]
		for i, e := range entries {
			if e.Number >= uint64(low) {
				l.First = entries[i].Number
				break
			}
			l.Spilled--
			l.SpilledBytes -= e.Bytes
		}
		f.mail[string(key)] = l
		return wrap("chunk", err)
	}))
	b.Queue(`COMMIT`)
	return s.batch(ctx, b)
}

// scan calls each for every row. A byte slice is new for each row.
func scan(dest []any, each func() error) func(pgx.Rows) error {
	return func(r pgx.Rows) error {
		_, err := pgx.ForEachRow(r, dest, each)
		return err
	}
}

// batch makes one round trip on a reader. A connection on which it failed is not used again: its transaction may be open.
func (s *Store) batch(ctx context.Context, b *pgx.Batch) error {
	conn, err := s.readers.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	if err := conn.SendBatch(ctx, b).Close(); err != nil {
		s.hangUp(conn.Conn())
		return err
	}
	return nil
}
