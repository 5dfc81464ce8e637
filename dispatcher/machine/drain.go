package machine

import (
	"slices"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// Clean reports whether everything that has happened is durable, but for what may wait for any later commit.
func (m *Machine) Clean() bool { return m.inflight == nil && m.dirtySince == 0 }

// Saturated reports whether too much is uncommitted for more to be told that takes much memory: it may wait for the next commit.
func (m *Machine) Saturated() bool { return m.saturated() }

// Sync answers a token when everything up to now is durable, what may wait for another commit included.
func (m *Machine) Sync(token uint64) { m.waitFor(token) }

// Specs are the states that a function type has declared so far.
func (m *Machine) Specs(t api.FunctionType) []statestore.StateSpec {
	if f := m.functions[t]; f != nil {
		return slices.Clone(f.specs)
	}
	return nil
}
