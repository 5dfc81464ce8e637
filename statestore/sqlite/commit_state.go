package sqlite

import (
	"slices"

	"github.com/stategate/stategate/statestore"
)

func (p *part) states(all []statestore.AddressState) {
	for _, k := range sorted(len(all), func(i int) []byte { return statestore.AddressKey(all[i].Address) }) {
		a := &all[k.at]
		if len(a.Values) == 0 {
			p.exec(`DELETE FROM state WHERE key = ?`, k.key)
		} else {
			p.buf = statestore.AppendStates(p.buf[:0], a.Address, a.Values)
			p.exec(`INSERT INTO state (key, expires, data) VALUES (?, ?, ?)
ON CONFLICT (key) DO UPDATE SET data = excluded.data, expires = excluded.expires`, k.key, a.Expires, p.buf)
		}
		p.large(k.key, a.Values)
	}
}

// large removes the large values that an address has no more and writes those that changed. Most applications have none: as long
// as none was written since a claim found none, there is nothing to look for.
func (p *part) large(key []byte, values []statestore.StateValue) {
	var names [][]byte
	for i := range values {
		v := &values[i]
		if !v.Apart() {
			continue
		}
		name := statestore.NameKey(v.Name)
		names = append(names, name)
		if !v.Changed {
			continue
		}
		p.store.noLarge.Store(false)
		p.exec(`INSERT INTO state_large (key, name, value) VALUES (?, ?, ?) ON CONFLICT (key, name) DO UPDATE SET value = excluded.value`, key, name, v.Value)
	}
	if p.err != nil || p.store.noLarge.Load() {
		return
	}
	var gone [][]byte
	p.err = p.conn.query(`SELECT name FROM state_large WHERE key = ?`, args(key), func(r row) (bool, error) {
		if name := r.blob(0); !slices.ContainsFunc(names, func(n []byte) bool { return string(n) == string(name) }) {
			gone = append(gone, name)
		}
		return true, nil
	})
	for _, name := range gone {
		p.exec(`DELETE FROM state_large WHERE key = ? AND name = ?`, key, name)
	}
}
