package sqlite

import (
	"context"
	"database/sql/driver"
	"math"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// Of an address, its keys: they stand in an index, beside nothing that is large.
const (
	stateKeysSQL = `SELECT key FROM state WHERE key >= ? AND key < ? ORDER BY key LIMIT ?`
	mailKeysSQL  = `SELECT key FROM mailbox WHERE key >= ? AND key < ? ORDER BY key LIMIT ?`
)

// Addresses pages through the keys of states and mailboxes.
func (s *Store) Addresses(ctx context.Context, function api.FunctionType, prefix string, cursor []byte, limit int) (out []api.Address, next []byte, err error) {
	if limit <= 0 {
		return nil, nil, nil
	}
	p := statestore.NewAddressPage(function, prefix, cursor, limit)
	err = s.readers.read(ctx, func(c *conn) error {
		var tables [2][][]byte
		for i, ask := range []string{stateKeysSQL, mailKeysSQL} {
			err := c.query(ask, args(p.Span.Low, p.Span.High, int64(p.Limit)), func(r row) (bool, error) {
				tables[i] = append(tables[i], r.blob(0))
				return true, ctx.Err()
			})
			if err != nil {
				return err
			}
		}
		out, next, err = p.Answer(tables[:], func(key []byte) (api.Address, bool, error) { return rowAddress(c, key) })
		return err
	})
	if err != nil {
		return nil, nil, s.refusal("list addresses", err)
	}
	return out, next, nil
}

// rowAddress is the address of a key, as its row has it.
func rowAddress(c *conn, key []byte) (a api.Address, ok bool, err error) {
	r, err := c.one(`SELECT address FROM mailbox WHERE key = ?`, key)
	if err != nil {
		return a, false, err
	}
	if r != nil {
		a, err = statestore.DecodeAddress(r.blob(0))
		return a, true, wrap("mailbox", err)
	}
	if r, err = c.one(`SELECT data FROM state WHERE key = ?`, key); err != nil || r == nil {
		return a, false, err
	}
	a, _, _, err = statestore.DecodeStates(r.blob(0))
	return a, true, wrap("state", err)
}

// Mailboxes finds out what waits for addresses.
func (s *Store) Mailboxes(ctx context.Context, addresses []api.Address) ([]statestore.Loaded, error) {
	out := make([]statestore.Loaded, len(addresses))
	err := s.readers.read(ctx, func(c *conn) error {
		var l loader
		for i := range addresses {
			if err := ctx.Err(); err != nil {
				return err
			}
			key := statestore.AddressKey(addresses[i])
			r, err := c.one(`SELECT low FROM mailbox WHERE key = ?`, key)
			if err != nil {
				return err
			}
			if r == nil {
				continue
			}
			if out[i], err = l.load(c, key, &found{low: r.int(0), spilled: true}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, s.refusal("look for mailboxes", err)
	}
	return out, nil
}

// DeadLetters reads in the order of numbers. How far the page goes is found out first: sizes stand before what is large.
func (s *Store) DeadLetters(ctx context.Context, after uint64, limit int) (out []api.DeadLetter, err error) {
	const sizes = `SELECT number, bytes FROM dead_letter WHERE number > ? ORDER BY number LIMIT ?`
	const letters = `SELECT data FROM dead_letter WHERE number > ? AND number <= ? ORDER BY number`
	err = s.readers.read(ctx, func(c *conn) error {
		last, sum := int64(0), int64(0)
		err := c.query(sizes, args(number(after), int64(max(limit, 0))), func(r row) (bool, error) {
			if sum += r.int(1); last > 0 && sum > statestore.DeadPageBytes {
				return false, nil
			}
			last = r.int(0)
			return true, ctx.Err()
		})
		if err != nil || last == 0 {
			return err
		}
		return c.query(letters, args(number(after), last), func(r row) (bool, error) {
			d, err := statestore.DecodeDeadLetter(r.blob(0))
			if out = append(out, d); err == nil {
				err = ctx.Err()
			}
			return true, wrap("dead letter", err)
		})
	})
	if err != nil {
		return nil, s.refusal("list dead letters", err)
	}
	return out, nil
}

// Acts reads the newest first.
func (s *Store) Acts(ctx context.Context, before uint64, limit int) (out []statestore.Act, err error) {
	if before == 0 {
		before = math.MaxInt64
	}
	err = s.list(ctx, "list acts", `SELECT data FROM act WHERE number < ? ORDER BY number DESC LIMIT ?`,
		args(number(before), int64(max(limit, 0))), func(r row) (bool, error) {
			a, err := statestore.DecodeAct(r.blob(0))
			out = append(out, a)
			return true, wrap("act", err)
		})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Note reads one row.
func (s *Store) Note(ctx context.Context, name string) (data []byte, atMS int64, err error) {
	err = s.list(ctx, "read note", `SELECT at, data FROM note WHERE key = ?`, args(statestore.NoteKey(name)), func(r row) (bool, error) {
		atMS, data = r.int(0), r.blob(1)
		return false, nil
	})
	if err != nil {
		return nil, 0, err
	}
	return data, atMS, nil
}

// SetNote writes one row, or removes it.
func (s *Store) SetNote(ctx context.Context, name string, data []byte) error {
	if len(data) > statestore.NoteBytesMax {
		return statestore.ErrNoteTooLong
	}
	ask, values := `INSERT INTO note (key, at, data) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET at = excluded.at, data = excluded.data`,
		args(statestore.NoteKey(name), time.Now().UnixMilli(), data)
	if len(data) == 0 {
		ask, values = `DELETE FROM note WHERE key = ?`, []driver.Value{statestore.NoteKey(name)}
	}
	return s.write(ctx, "write note", func(c *conn) error {
		_, err := c.exec(ask, values...)
		return err
	})
}
