package sqlite

import (
	"context"
	"fmt"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// States loads many addresses from one view of the store, so that an address's row and its large values belong together.
func (s *Store) States(ctx context.Context, addresses []api.Address) ([]statestore.Loaded, error) {
	out := make([]statestore.Loaded, len(addresses))
	err := s.readers.read(ctx, func(c *conn) error {
		for _, k := range sorted(len(addresses), func(i int) []byte { return statestore.AddressKey(addresses[i]) }) {
			if err := ctx.Err(); err != nil {
				return err
			}
			var err error
			if out[k.at], err = load(c, k.key); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, s.refusal(fmt.Sprintf("load %d addresses", len(addresses)), err)
	}
	return out, nil
}

// loadSQL answers the row of states and the mailbox's low; each is NULL where there is none.
const loadSQL = `SELECT (SELECT data FROM state WHERE key = ?1), (SELECT low FROM mailbox WHERE key = ?1)`

const boundsSQL = `
SELECT ?2, sum(messages), sum(bytes), CASE WHEN min(first) < ?2 THEN (SELECT sizes FROM mail WHERE key = ?1 ORDER BY first LIMIT 1) END, min(first), max(last)
FROM mail WHERE key = ?1`

func load(c *conn, key []byte) (l statestore.Loaded, err error) {
	r, err := c.one(loadSQL, key)
	if err != nil {
		return l, err
	}
	data, low, spilled := r.blob(0), r.int(1), !r.isNull(1)
	if spilled {
		if r, err = c.one(boundsSQL, key, low); err != nil {
			return l, err
		}
		if l, err = bounds(r); err != nil {
			return l, err
		}
		if l.First == 0 {
			l.First = r.num(4)
		}
		l.Last = r.num(5)
	}
	if data == nil {
		return l, nil
	}
	_, values, apart, err := statestore.DecodeStates(data)
	if err != nil {
		return l, wrap("state", err)
	}
	if err := loadLarge(c, key, values, apart); err != nil {
		return l, err
	}
	l.Values = values
	return l, nil
}

// loadLarge fills in the values that have rows of their own.
func loadLarge(c *conn, key []byte, values []statestore.StateValue, apart []int) error {
	for _, i := range apart {
		r, err := c.one(`SELECT value FROM state_large WHERE key = ? AND name = ?`, key, statestore.NameKey(values[i].Name))
		if err != nil {
			return err
		}
		if r == nil {
			return fmt.Errorf("state %q of an address: its large value is missing", values[i].Name)
		}
		values[i].Value = r.blob(0)
	}
	return nil
}
