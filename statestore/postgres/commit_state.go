package postgres

import (
	"bytes"
	"slices"

	"github.com/stategate/stategate/statestore"
)

// largeMin is the length from which a value has a row of its own, so that it is not written again with each change of its
// neighbours. It is part of the layout: what an older program left in the address's row would be lost with another value.
const largeMin = 1024

func large(v *statestore.StateValue) bool { return len(v.Value) >= largeMin }

// largeRow is a large value that changed.
type largeRow struct{ key, name, value []byte }

func (p *part) states(all []statestore.AddressState) {
	if len(all) == 0 {
		return
	}
	var rows []keyed
	var gone, keys, kept [][]byte
	var changed []largeRow
	for i := range all {
		a := &all[i]
		key := addressKey(a.Address)
		keys = append(keys, key)
		if len(a.Values) == 0 {
			gone = append(gone, key)
			continue
		}
		rows = append(rows, keyed{key: key, data: encodeState(a), number: a.Expires})
		for j := range a.Values {
			v := &a.Values[j]
			if !large(v) {
				continue
			}
			kept = append(kept, slices.Concat(key, []byte(v.Name)))
			if v.Changed {
				changed = append(changed, largeRow{key, []byte(v.Name), v.Value})
			}
		}
	}
	if len(gone) > 0 {
		slices.SortFunc(gone, bytes.Compare)
		p.add(`DELETE FROM {s}.state WHERE key = ANY($1::bytea[])`, 0, gone)
	}
	each(settle(rows), func(keys, data [][]byte, expires []int64, size int) {
		p.add(`INSERT INTO {s}.state (key, data, expires) SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bigint[])
ON CONFLICT (key) DO UPDATE SET data = excluded.data, expires = excluded.expires`, size, keys, data, expires)
	})
	p.large(keys, kept, changed)
}

// large removes the large values that an address has no more and writes those that changed. Most applications have none: as
// long as none was written since a claim found none, there is nothing to look for.
func (p *part) large(keys, kept [][]byte, changed []largeRow) {
	if len(changed) > 0 {
		p.store.noLarge.Store(false)
	}
	if p.store.noLarge.Load() {
		return
	}
	slices.SortFunc(keys, bytes.Compare)
	if kept == nil {
		kept = [][]byte{}
	}
	p.add(`DELETE FROM {s}.state_large WHERE key = ANY($1::bytea[]) AND NOT (key || name = ANY($2::bytea[]))`, 0, keys, kept)
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
