package machine

import (
	"slices"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// Loads of states. What an address has is known when the store has answered, so a load is as large as its function's addresses were
// before (function.stateMean), and a function's first loads are small (function.loadWindow), until they have told.

// stateLoad is a load of states that is out.
type stateLoad struct {
	cells []*cell
	bytes int // that it may bring, about
}

// loadFirst is how many addresses of a function are asked for before anything is known of their states; each answer that is no larger
// than expected allows loadGrowth times as many.
const (
	loadFirst  = 32
	loadGrowth = 4
)

// askLoads asks for the states of addresses that messages wait for, many at a time, in their order.
func (m *Machine) askLoads() {
	for len(m.toLoad) > 0 && len(m.loads) < m.cfg.LoadsMax {
		n, bytes := m.loadable()
		if n == 0 {
			return
		}
		m.shortSince = 0
		cells := slices.Clone(m.toLoad[:n])
		m.toLoad = m.toLoad[n:]
		if len(m.toLoad) == 0 {
			m.toLoad = nil
		}
		load := Load{ID: m.id(), Addresses: make([]api.Address, n)}
		for i, c := range cells {
			load.Addresses[i] = c.address
		}
		m.loads[load.ID.N] = stateLoad{cells, bytes}
		m.loadBytes += bytes
		m.work.Loads = append(m.work.Loads, load)
	}
}

// loadable is how many of those that wait to be loaded may be asked for in one load, and what it may bring.
//
// Without room nothing is asked for, until calls have ended or what is stuck has left memory (starved); then one goes on, whatever it
// brings: where a few addresses in use hold all of the room the others would wait for ever.
func (m *Machine) loadable() (n, bytes int) {
	room := m.cfg.BusyBytesMax - m.busyBytes - m.loadBytes
	for _, c := range m.toLoad[:min(len(m.toLoad), m.cfg.LoadBatch)] {
		f := c.fn
		if f.loadsOut >= max(f.loadWindow, loadFirst) {
			break // its answers come
		}
		if bytes+f.stateMean > room && m.busyBytes+m.loadBytes+bytes > 0 {
			break
		}
		f.loadsOut++
		bytes += f.stateMean
		n++
	}
	f := m.toLoad[0].fn
	switch {
	case n > 0 || f.stateMean <= room:
	case m.shortSince == 0:
		m.shortSince = max(m.now, 1)
	case m.now-m.shortSince >= 2*lagAfter && len(m.loads) == 0:
		f.loadsOut++
		return 1, f.stateMean
	}
	return n, bytes
}

// starved reports whether cells have waited long for room for their states.
func (m *Machine) starved() bool {
	return m.shortSince != 0 && len(m.toLoad) > 0 && m.now-m.shortSince >= lagAfter
}

// Loaded answers a Load: the states of its addresses, in order.
func (m *Machine) Loaded(id ID, found []statestore.Loaded) {
	load, ok := m.loads[id.N]
	if !m.mine(id) || !ok {
		return
	}
	delete(m.loads, id.N)
	m.loadBytes -= load.bytes
	brought := m.busyBytes
	for i, c := range load.cells {
		before := m.busyBytes
		m.weigh(c, found[i].Values)
		c.fn.loadsOut--
		c.fn.learnWeight(m.busyBytes - before)
	}
	brought = m.busyBytes - brought
	for _, c := range load.cells {
		f := c.fn
		switch {
		case f.loadTold == id.N:
		case brought > 2*load.bytes+m.cfg.BusyBytesMax/64:
			f.loadWindow = loadFirst
		default:
			f.loadWindow = min(loadGrowth*max(f.loadWindow, loadFirst), m.cfg.LoadBatch*m.cfg.LoadsMax)
		}
		f.loadTold = id.N
	}
	for i, c := range load.cells {
		m.loaded(c, &found[i])
	}
}

// learnWeight takes notice of what the states of one more address weigh: the mean follows at once what is larger, and slowly what is
// smaller.
func (f *function) learnWeight(weight int) {
	if weight > f.stateMean {
		f.stateMean += (weight - f.stateMean + 3) / 4
		return
	}
	f.stateMean -= (f.stateMean - weight) / 32
}

// loaded makes a cell whole. What arrived meanwhile goes behind what the store has of its mailbox.
func (m *Machine) loaded(c *cell, l *statestore.Loaded) {
	c.pins--
	m.arrived(c)
	c.phase = idle
	for _, msg := range c.mail.all() {
		m.loadingBytes -= msg.size
	}
	if l.Spilled > 0 {
		c.spill = spill{count: l.Spilled, bytes: l.SpilledBytes, first: l.First, last: l.Last, confirmed: l.Last}
		gathered := c.mail.all()
		c.mail = fifo[*message]{}
		for _, msg := range gathered {
			if msg.number < l.First {
				c.mail.push(msg)
			} else {
				m.pushTail(c, msg)
			}
		}
	}
	if c.inspected {
		m.inspectExpired(c)
	}
	if c.mail.len() > 0 {
		m.makeReady(c)
		return
	}
	m.settle(c)
}
