package postgres

import (
	"bytes"
	"slices"

	"github.com/stategate/stategate/statestore"
)

// largeRow is a large value that changed.
type largeRow struct{ key, name, value []byte }

// largeKept are the large values that an address has at a commit.
type largeKept struct {
	key   []byte
	names [][]byte
}

func (p *part) states(all []statestore.AddressState) {
	if len(all) == 0 {
		return
	}
	var rows []keyed
	var gone [][]byte
	var kept []largeKept
	var changed []largeRow
	for i := range all {
		a := &all[i]
		key := statestore.AddressKey(a.Address)
		has := largeKept{key: key}
		for j := range a.Values {
			v := &a.Values[j]
			if !v.Apart() {
				continue
			}
			name := statestore.NameKey(v.Name)
			has.names = append(has.names, name)
			if v.Changed {
				changed = append(changed, largeRow{key, name, v.Value})
			}
		}
		kept = append(kept, has)
		if len(a.Values) == 0 {
			gone = append(gone, key)
			continue
		}
		data := p.row(func(b []byte) []byte { return statestore.AppendStates(b, a.Address, a.Values) })
		rows = append(rows, keyed{key: key, data: data, number: a.Expires})
	}
	if len(gone) > 0 {
		slices.SortFunc(gone, bytes.Compare)
		p.add(`DELETE FROM {s}.state WHERE key = ANY($1::bytea[])`, 0, gone)
	}
	each(settle(rows), func(keys, data [][]byte, expires []int64, size int) {
		p.add(`INSERT INTO {s}.state (key, data, expires) SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bigint[])
ON CONFLICT (key) DO UPDATE SET data = excluded.data, expires = excluded.expires`, size, keys, data, expires)
	})
	p.large(kept, changed)
}

// largeGroup is how many addresses one statement looks through: the server compares each value that it finds with each that
// is kept.
const largeGroup = 200

// large removes the large values that an address has no more and writes those that changed. Most applications have none: as
// long as none was written since a claim found none, there is nothing to look for.
func (p *part) large(kept []largeKept, changed []largeRow) {
	if len(changed) > 0 {
		p.store.noLarge.Store(false)
	}
	if p.store.noLarge.Load() {
		return
	}
	slices.SortFunc(kept, func(a, b largeKept) int { return bytes.Compare(a.key, b.key) })
	for some := range slices.Chunk(kept, largeGroup) {
		keys, pairs, size := make([][]byte, len(some)), [][]byte{}, 0
		for i, k := range some {
			keys[i] = k.key
			for _, name := range k.names {
				pairs = append(pairs, slices.Concat(k.key, name))
			}
			size += (len(k.names) + 1) * len(k.key)
		}
		p.add(`DELETE FROM {s}.state_large WHERE key = ANY($1::bytea[]) AND NOT (key || name = ANY($2::bytea[]))`, size, keys, pairs)
	}
	slices.SortFunc(changed, func(a, b largeRow) int {
		if c := bytes.Compare(a.key, b.key); c != 0 {
			return c
		}
		return bytes.Compare(a.name, b.name)
	})
	chunks(len(changed), func(i int) int { return len(changed[i].value) + 64 }, func(from, to, size int) {
		var keys, names, values [][]byte
		for _, r := range changed[from:to] {
			keys, names, values = append(keys, r.key), append(names, r.name), append(values, r.value)
		}
		p.add(`INSERT INTO {s}.state_large (key, name, value) SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[])
ON CONFLICT (key, name) DO UPDATE SET value = excluded.value`, size, keys, names, values)
	})
}
