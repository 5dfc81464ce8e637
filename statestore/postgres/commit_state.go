package postgres

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/stategate/stategate/statestore"
)

// stateRow is the states of an address on their way.
type stateRow struct {
	key   []byte
	state *statestore.AddressState
	at    int // in the commit
	size  int // of what is written, at least
}

// states writes those of each address in one row. Of an address that stands there twice the last counts: a statement must not touch a
// row twice.
func (p *part) states(all []statestore.AddressState) {
	if len(all) == 0 {
		return
	}
	rows := make([]stateRow, len(all))
	for i := range all {
		a := &all[i]
		key := p.row(func(b []byte) []byte { return statestore.AppendAddressKey(b, a.Address) })
		rows[i] = stateRow{key, a, i, 2*len(key) + valuesSize(a.Values)}
	}
	slices.SortFunc(rows, func(a, b stateRow) int { // the order in the commit decides here: a stable sort takes several times as long
		if c := bytes.Compare(a.key, b.key); c != 0 {
			return c
		}
		return cmp.Compare(a.at, b.at)
	})
	last := rows[:0]
	for i, r := range rows {
		if i+1 == len(rows) || !bytes.Equal(r.key, rows[i+1].key) {
			last = append(last, r)
		}
	}
	p.stateEnds(last)
	p.stateRows(last)
	p.large(last)
}

// valuesSize is about what the row of an address takes for them.
func valuesSize(values []statestore.StateValue) int {
	n := 32
	for i := range values {
		v := &values[i]
		n += 24 + len(v.Name) + len(v.TypeName)
		if !v.Apart() {
			n += len(v.Value)
		}
	}
	return n
}

// stateEnds removes the rows of addresses that have no state any more.
func (p *part) stateEnds(rows []stateRow) {
	var gone [][]byte
	for i := range rows {
		if len(rows[i].state.Values) == 0 {
			gone = append(gone, rows[i].key)
		}
	}
	if len(gone) > 0 {
		p.add(`DELETE FROM {s}.state WHERE key = ANY($1::bytea[])`, 0, gone)
	}
}

// stateRows writes the rows of all others, in statements of bounded size.
func (p *part) stateRows(rows []stateRow) {
	rows = slices.DeleteFunc(slices.Clone(rows), func(r stateRow) bool { return len(r.state.Values) == 0 })
	chunks(len(rows), func(i int) int { return rows[i].size }, func(from, to, size int) {
		n := to - from
		keys, data, expires := newByteas(n*(4+len(rows[from].key))), newByteas(size), make([]int64, n)
		for i, r := range rows[from:to] {
			keys.add(func(b []byte) []byte { return append(b, r.key...) })
			data.add(func(b []byte) []byte { return statestore.AppendStates(b, r.state.Address, r.state.Values) })
			expires[i] = r.state.Expires
		}
		p.add(`INSERT INTO {s}.state (key, data, expires) SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bigint[])
ON CONFLICT (key) DO UPDATE SET data = excluded.data, expires = excluded.expires`, size, keys.done(), data.done(), expires)
	})
}

// largeRow is a large value that changed.
type largeRow struct{ key, name, value []byte }

// largeRows are the large values that have changed.
func largeRows(rows []stateRow) []largeRow {
	var changed []largeRow
	for i := range rows {
		for j := range rows[i].state.Values {
			if v := &rows[i].state.Values[j]; v.Apart() && v.Changed {
				changed = append(changed, largeRow{rows[i].key, statestore.NameKey(v.Name), v.Value})
			}
		}
	}
	slices.SortFunc(changed, func(a, b largeRow) int {
		if c := bytes.Compare(a.key, b.key); c != 0 {
			return c
		}
		return bytes.Compare(a.name, b.name)
	})
	return changed
}

// largeGroup is how many addresses one statement looks through: the server compares each value that it finds with each that
// is kept.
const largeGroup = 200

// large removes the large values that an address has no more and writes those that changed. Most applications have none: as
// long as none was written since a claim found none, there is nothing to look for.
func (p *part) large(rows []stateRow) {
	changed := largeRows(rows)
	if len(changed) > 0 {
		p.store.noLarge.Store(false)
	}
	if p.store.noLarge.Load() {
		return
	}
	for some := range slices.Chunk(rows, largeGroup) {
		keys, pairs, size := make([][]byte, len(some)), [][]byte{}, 0
		for i, r := range some {
			keys[i] = r.key
			size += len(r.key)
			for j := range r.state.Values {
				if v := &r.state.Values[j]; v.Apart() {
					pairs = append(pairs, slices.Concat(r.key, statestore.NameKey(v.Name)))
					size += len(r.key)
				}
			}
		}
		p.add(`DELETE FROM {s}.state_large WHERE key = ANY($1::bytea[]) AND NOT (key || name = ANY($2::bytea[]))`, size, keys, pairs)
	}
	chunks(len(changed), func(i int) int { return len(changed[i].value) + 64 }, func(from, to, size int) {
		var keys, names, values [][]byte
		for _, r := range changed[from:to] {
			keys, names, values = append(keys, r.key), append(names, r.name), append(values, r.value)
		}
		p.add(`INSERT INTO {s}.state_large (key, name, value) SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[])
ON CONFLICT (key, name) DO UPDATE SET value = excluded.value`, size, keys, names, values)
	})
}
