package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"
	"strings"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// States loads many addresses from one view of the store, so that an address's row and its large values belong together.
func (s *Store) States(ctx context.Context, addresses []api.Address) ([]statestore.Loaded, error) {
	out := make([]statestore.Loaded, len(addresses))
	room := make([]byte, 0, 32*len(addresses)) // where it grows, the keys stay where they are
	keys := sorted(len(addresses), func(i int) []byte {
		from := len(room)
		room = statestore.AppendAddressKey(room, addresses[i])
		return room[from:len(room):len(room)]
	})
	l := loader{args: make([]driver.Value, 0, loadGroup)}
	err := s.readers.read(ctx, func(c *conn) error {
		for group := range slices.Chunk(keys, loadGroup) {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := l.find(c, group); err != nil {
				return err
			}
			for i, k := range group {
				var err error
				if out[k.at], err = l.load(c, k.key, &l.found[i]); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, s.refusal(fmt.Sprintf("load %d addresses", len(addresses)), err)
	}
	return out, nil
}

// loadGroup is how many addresses one question is about: to ask costs as much as to find.
const loadGroup = 32

// loadSQL answers the row of states and the mailbox's low, of an address; each is NULL where there is none. groupSQL does so for many.
const loadSQL = `SELECT 0, (SELECT data FROM state WHERE key = ?1), (SELECT low FROM mailbox WHERE key = ?1)`

var groupSQL = `WITH wanted(at, key) AS (VALUES ` + places(loadGroup) + `)
SELECT at, (SELECT data FROM state WHERE key = wanted.key), (SELECT low FROM mailbox WHERE key = wanted.key) FROM wanted`

// places are n arguments behind their numbers.
func places(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("(%d, ?)", i)
	}
	return strings.Join(all, ", ")
}

// loader is what a load uses for one group after the other.
type loader struct {
	args  []driver.Value
	found [loadGroup]found
	rows  statestore.StateRows
}

// found is what loadSQL answers.
type found struct {
	data    []byte
	low     int64
	spilled bool
}

// find asks for a group: at once when it is whole.
func (l *loader) find(c *conn, group []keyed) error {
	sql, step := groupSQL, loadGroup
	if len(group) < loadGroup {
		sql, step = loadSQL, 1
	}
	for from := 0; from < len(group); from += step {
		l.args = l.args[:0]
		for _, k := range group[from : from+step] {
			l.args = append(l.args, k.key)
		}
		err := c.query(sql, l.args, func(r row) (bool, error) {
			l.found[from+int(r.int(0))] = found{r.blob(1), r.int(2), !r.isNull(2)}
			return true, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

const boundsSQL = `
SELECT ?2, sum(messages), sum(bytes), CASE WHEN min(first) < ?2 THEN (SELECT sizes FROM mail WHERE key = ?1 ORDER BY first LIMIT 1) END, min(first), max(last)
FROM mail WHERE key = ?1`

func (l *loader) load(c *conn, key []byte, f *found) (out statestore.Loaded, err error) {
	if f.spilled {
		r, err := c.one(boundsSQL, key, f.low)
		if err != nil {
			return out, err
		}
		if out, err = bounds(r); err != nil {
			return out, err
		}
		if out.First == 0 {
			out.First = r.num(4)
		}
		out.Last = r.num(5)
	}
	if f.data == nil {
		return out, nil
	}
	values, apart, err := l.rows.Decode(f.data)
	if err != nil {
		return out, wrap("state", err)
	}
	if err := loadLarge(c, key, values, apart); err != nil {
		return out, err
	}
	out.Values = values
	return out, nil
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
