package machine

import (
	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// Loads of states. What an address has is known when the store has answered, so a load is as large as its function's addresses were
// before (function.stateMean), and a function's first loads are small (function.loadWindow), until they have told.

// stateLoad is a load of states that is out.
type stateLoad struct {
	cells []*cell
	parts []loadPart
}

// loadPart is the next cells of a load that are of one function.
type loadPart struct {
	fn    *function
	cells int
	bytes int // that they may bring, about
}

// loadFirst is how many addresses of a function are asked for before anything is known of their states; each answer that is no larger
// than expected allows loadGrowth times as many.
const (
	loadFirst  = 8
	loadGrowth = 4
)

// toLoad puts a cell behind those of its function whose states are to be asked for.
func (m *Machine) toLoad(c *cell) {
	if len(c.fn.toLoad) == 0 {
		m.loaders = append(m.loaders, c.fn)
	}
	c.fn.toLoad = append(c.fn.toLoad, c)
}

// askLoads asks for the states of addresses that messages wait for, many at a time: those of a function in their order, and functions in
// turn, so that one which finds no room keeps no other from its own.
func (m *Machine) askLoads() {
	if len(m.loaders) == 0 {
		return
	}
	for len(m.loads) < m.cfg.LoadsMax {
		load := m.nextLoad()
		if len(load.cells) == 0 {
			break
		}
		ask := Load{ID: m.id(), Addresses: make([]api.Address, len(load.cells))}
		for i, c := range load.cells {
			ask.Addresses[i] = c.address
		}
		m.loads[ask.ID.N] = load
		m.work.Loads = append(m.work.Loads, ask)
	}
	m.shortSince = 0
	for _, f := range m.loaders {
		if f.shortSince != 0 && (m.shortSince == 0 || f.shortSince < m.shortSince) {
			m.shortSince = f.shortSince
		}
	}
}

// nextLoad takes what may be asked for in one load from the functions, each in its turn.
func (m *Machine) nextLoad() (load stateLoad) {
	for range len(m.loaders) {
		f := m.loaders[0]
		m.loaders = m.loaders[1:]
		n, bytes := m.loadable(f, m.cfg.LoadBatch-len(load.cells))
		if n > 0 {
			load.cells = append(load.cells, f.toLoad[:n]...)
			load.parts = append(load.parts, loadPart{f, n, bytes})
		}
		f.toLoad, f.loadsOut = f.toLoad[n:], f.loadsOut+n
		f.loadBytes += bytes
		m.loadBytes += bytes
		if len(f.toLoad) > 0 {
			m.loaders = append(m.loaders, f)
		} else {
			f.toLoad, f.shortSince = nil, 0
		}
		if len(load.cells) == m.cfg.LoadBatch {
			break
		}
	}
	if len(m.loaders) == 0 {
		m.loaders = nil
	}
	return load
}

// loadable is how many of a function's addresses that wait to be loaded may be asked for now, and what they may bring. A function has as
// much as is left to all, at most: so one that hangs leaves half of the room to others, and two leave a quarter.
//
// Without room nothing is asked for, until calls have ended or what is stuck has left memory (starved); then one goes on, whatever it
// brings: where a few addresses in use hold all of the room the others would wait for ever.
func (m *Machine) loadable(f *function, most int) (n, bytes int) {
	inUse := m.busyBytes + m.loadBytes
	room, own := m.cfg.BusyBytesMax-inUse, f.busyBytes+f.loadBytes
	short := false
	for most = min(most, len(f.toLoad), max(f.loadWindow, loadFirst)-f.loadsOut); n < most; n++ {
		short = inUse+bytes > 0 && (own+bytes > 0 && own+bytes > room-bytes || f.stateMean > 0 && bytes+f.stateMean > room)
		if short {
			break
		}
		bytes += f.stateMean
	}
	switch {
	case n > 0 || !short:
		f.shortSince = 0
	case f.shortSince == 0:
		f.shortSince = max(m.now, 1)
	case m.now-f.shortSince >= 2*lagAfter && len(m.loads) == 0:
		f.shortSince = 0
		return 1, f.stateMean
	}
	return n, bytes
}

// starved reports whether cells have waited long for room for their states.
func (m *Machine) starved() bool { return m.shortSince != 0 && m.now-m.shortSince >= lagAfter }

// Loaded answers a Load: the states of its addresses, in order.
func (m *Machine) Loaded(id ID, found []statestore.Loaded) {
	load, ok := m.loads[id.N]
	if !m.mine(id) || !ok {
		return
	}
	delete(m.loads, id.N)
	at := 0
	for _, part := range load.parts {
		f, before := part.fn, m.busyBytes
		for i, c := range load.cells[at : at+part.cells] {
			weighed := m.busyBytes
			m.weigh(c, found[at+i].Values)
			f.learnWeight(m.busyBytes - weighed)
		}
		at += part.cells
		m.loadBytes -= part.bytes
		f.loadBytes -= part.bytes
		f.loadsOut -= part.cells
		if m.busyBytes-before > 2*part.bytes+m.cfg.BusyBytesMax/64 {
			f.loadWindow = loadFirst
		} else {
			f.loadWindow = min(loadGrowth*max(f.loadWindow, loadFirst), m.cfg.LoadBatch*m.cfg.LoadsMax)
		}
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
	c.phase, c.loadedAt = idle, m.now
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
	} else {
		m.settle(c)
	}
	if m.ordered(c) {
		m.obey(c)
	}
}
