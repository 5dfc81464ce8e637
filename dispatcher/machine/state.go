package machine

import (
	"fmt"
	"slices"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// expiresAt is when a value has expired, 0: never. Times near the end of an int64 never come.
func expiresAt(spec *statestore.StateSpec, v *statestore.StateValue) int64 {
	if spec == nil || spec.Expiration == statestore.ExpireNever || spec.TTL <= 0 {
		return 0
	}
	at := v.Touched + spec.TTL
	if at < v.Touched {
		return 0
	}
	return at
}

// expire removes a cell's values whose time is over.
func (m *Machine) expire(c *cell) {
	gone := func(v statestore.StateValue) bool {
		at := expiresAt(c.fn.spec(v.Name), &v)
		return at != 0 && at <= m.now
	}
	if !slices.ContainsFunc(c.values, gone) || c.fn.name == OnceType && !m.onceCounts() {
		return
	}
	before := c.weight
	m.setValues(c, slices.DeleteFunc(c.ownValues(), gone))
	if c.fn.name == OnceType {
		m.expiredOnce(c, before)
	}
}

// ownValues is what a change begins with. A commit may hold the slice, so the first change since the last cut makes a new one;
// what that cut wrote is not new any more.
func (c *cell) ownValues() []statestore.StateValue {
	if c.dirty {
		return c.values
	}
	values := slices.Clone(c.values)
	for i := range values {
		values[i].Changed = false
	}
	return values
}

// setValues replaces a cell's values and makes that an effect.
func (m *Machine) setValues(c *cell, values []statestore.StateValue) {
	m.wake(c)
	counted := 0 // what the next cut holds of it already
	if c.dirty {
		counted = c.weight
	}
	m.weigh(c, values)
	m.effect(false)
	if !c.dirty {
		c.dirty = true
		m.effects++
		m.dirtyCells = append(m.dirtyCells, c)
	}
	m.effectBytes += c.weight - counted
}

// weigh gives a cell, which is not at rest, its values.
func (m *Machine) weigh(c *cell, values []statestore.StateValue) {
	before := c.weight
	c.values, c.weight = values, 0
	for i := range values {
		c.weight += len(values[i].Value) + len(values[i].Name) + len(values[i].TypeName) + 64
	}
	m.use(c, c.weight-before)
}

// use counts states of an address that come into use, or go.
func (m *Machine) use(c *cell, bytes int) {
	m.busyBytes += bytes
	c.fn.busyBytes += bytes
}

// checkMutations finds what makes mutations unusable, before any of them is applied.
func checkMutations(c *cell, mutations []Mutation) error {
	weight := c.weight
	for i := range mutations {
		mut := &mutations[i]
		spec := c.fn.spec(mut.Name)
		if spec == nil {
			return fmt.Errorf("changes state %q, which the function has not declared", mut.Name)
		}
		if mut.Delete {
			continue
		}
		if spec.TypeName != "" && mut.Value.TypeName != spec.TypeName {
			return fmt.Errorf("sets state %q of type %q to a value of type %q", mut.Name, spec.TypeName, mut.Value.TypeName)
		}
		if err := api.CheckValue(mut.Value); err != nil {
			return fmt.Errorf("sets state %q: %w", mut.Name, err)
		}
		weight += len(mut.Value.Value)
	}
	if weight > api.StateBytesMax { // that counts what is replaced twice: count exactly, now that it may matter
		weight = weightAfter(c, mutations)
	}
	if weight > api.StateBytesMax {
		return fmt.Errorf("leaves states of one address that hold %d bytes: at most %d are allowed", weight, api.StateBytesMax)
	}
	return nil
}

// weightAfter is how many bytes the states of a cell would hold after the mutations.
func weightAfter(c *cell, mutations []Mutation) int {
	sizes := map[string]int{}
	for i := range c.values {
		sizes[c.values[i].Name] = len(c.values[i].Value)
	}
	for i := range mutations {
		delete(sizes, mutations[i].Name)
		if !mutations[i].Delete {
			sizes[mutations[i].Name] = len(mutations[i].Value.Value)
		}
	}
	sum := 0
	for _, n := range sizes {
		sum += n
	}
	return sum
}

// mutate applies state mutations in order, and the access time of states that expire after invocation, which counts from
// when the call was built.
func (m *Machine) mutate(c *cell, mutations []Mutation, built int64) {
	touch := slices.ContainsFunc(c.fn.specs, func(s statestore.StateSpec) bool { return s.Expiration == statestore.ExpireAfterInvoke })
	if len(mutations) == 0 && (!touch || len(c.values) == 0) {
		return
	}
	values := c.ownValues()
	for i := range mutations {
		mut := &mutations[i]
		at, found := findValue(values, mut.Name)
		switch {
		case mut.Delete && found:
			values = slices.Delete(values, at, at+1)
		case mut.Delete:
		default:
			v := statestore.StateValue{Name: mut.Name, TypeName: mut.Value.TypeName, Value: mut.Value.Value, Touched: m.now, Changed: true}
			if found {
				values[at] = v
			} else {
				values = slices.Insert(values, at, v)
			}
		}
	}
	if touch {
		for i := range values {
			spec := c.fn.spec(values[i].Name)
			if spec != nil && spec.Expiration == statestore.ExpireAfterInvoke {
				values[i].Touched = max(values[i].Touched, built)
			}
		}
	}
	m.setValues(c, values)
}

// coarse is the time that finds the row when its first value has expired: rounded up to about a tenth of the time to live, so
// that refreshing a state rarely changes it.
func coarse(f *function, values []statestore.StateValue) int64 {
	var first int64
	for i := range values {
		spec := f.spec(values[i].Name)
		at := expiresAt(spec, &values[i])
		if at == 0 {
			continue
		}
		grain := max(spec.TTL/10, 1)
		if up := (at + grain - 1) / grain * grain; up >= at {
			at = up
		}
		if first == 0 || at < first {
			first = at
		}
	}
	return first
}

func (m *Machine) noteExpiring(specs []statestore.StateSpec) {
	m.expiring = m.expiring || slices.ContainsFunc(specs, func(s statestore.StateSpec) bool { return s.Expiration != statestore.ExpireNever })
}

// sweep asks for addresses with expired states, now and then.
func (m *Machine) sweep() {
	if !m.expiring || m.sweeping || m.now < m.nextSweep {
		return
	}
	m.sweeping = true
	m.work.Expired = &ExpiredLoad{ID: m.id(), Before: m.now, Limit: 500}
}

// Expired answers an ExpiredLoad. Each address is judged with its state at hand; its row is written anew either way, so that
// it is not found again for the same reason.
func (m *Machine) Expired(id ID, found []api.Address) {
	if !m.mine(id) {
		return
	}
	m.sweeping = false
	m.nextSweep = m.now + m.cfg.SweepInterval
	if len(found) > 0 {
		m.nextSweep = m.now + m.cfg.LazyAgeMax
	}
	for _, a := range found {
		c := m.cell(a)
		c.inspected = true
		if c.phase != loading {
			m.inspectExpired(c)
		}
	}
}

func (m *Machine) inspectExpired(c *cell) {
	c.inspected = false
	if c.phase == calling { // its reply decides
		return
	}
	m.expire(c)
	if !c.dirty {
		m.setValues(c, c.ownValues())
	}
	m.rest(c)
}
