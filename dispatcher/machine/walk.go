package machine

import "github.com/stategate/stategate/api"

// Walks bring back addresses whose mail is only in the store and of which memory knows nothing. One page is out at a time, and
// the functions take turns, so that one whose endpoint is down does not hide the others.

// walkLimit is how many addresses a page has at most.
const walkLimit = 100

// pageLimit is such that the pages's first windows stay far below the memory bound.
func (m *Machine) pageLimit() int {
	return max(1, min(walkLimit, m.cfg.MailBytesMax/8/max(m.cfg.MailWindow, 1)))
}

// roomy reports whether spilled mail may be read back for addresses whose turn it is not yet.
func (m *Machine) roomy() bool { return m.mailBytes+m.askedBytes <= m.cfg.MailBytesMax/2 }

// unwatch notes that the function may have addresses with spilled mail that no cell knows of.
func (m *Machine) unwatch(f *function) {
	f.unwatched = true
	if !f.queued && f.declared && !f.paused {
		f.queued = true
		m.unwatched.push(f)
	}
}

// walkSpills asks for the next page of the function whose turn it is.
func (m *Machine) walkSpills() {
	if m.walkers > 0 || !m.roomy() {
		return
	}
	for range m.unwatched.len() {
		f := m.unwatched.pop()
		if !f.unwatched || f.stored <= 0 {
			f.queued, f.unwatched, f.forgot, f.cursor = false, false, false, nil
			continue
		}
		if f.paused { // whoever resumes it has it looked through
			f.queued = false
			continue
		}
		m.unwatched.push(f)
		if f.gate.open && f.gate.fresh.len()+f.gate.alone.len()+f.gate.retry.len() > 0 {
			continue
		}
		m.walkers++
		f.walking = true
		id := m.id()
		m.walks[id.N] = f
		m.work.Spills = append(m.work.Spills, SpillLoad{ID: id, Function: f.name, Cursor: f.cursor, Limit: m.pageLimit()})
		return
	}
}

// forgetSpilled drops a cell whose mail is only in the store; a walk will find it.
func (m *Machine) forgetSpilled(c *cell) {
	m.forget(c)
	m.keepTrial(c)
	m.unwatch(c.fn)
	c.fn.forgot = c.fn.forgot || c.fn.walking || c.fn.cursor != nil
}

// SpillsLoaded answers a SpillLoad.
func (m *Machine) SpillsLoaded(id ID, found []api.Address, next []byte) {
	f := m.walks[id.N]
	if !m.mine(id) || f == nil {
		return
	}
	delete(m.walks, id.N)
	m.walkers--
	f.walking = false
	f.cursor = next
	f.forgot = f.forgot || f.paused // whom this page is about is looked for again

	if next == nil { // the walk is over; what was forgotten behind its back asks for another one
		f.unwatched, f.forgot = f.forgot, false
	}
	for _, a := range found {
		if m.cells[a] == nil && (f.paused || m.pausedAddress(a)) {
			continue
		}
		c := m.cell(a)
		switch c.phase {
		case loading:
			if !c.walked {
				c.walked = true
				m.walkers++
			}
		case idle:
			m.refill(c)
		}
		m.rest(c)
	}
}

// arrived notes that a cell that a walk has found knows its mailbox.
func (m *Machine) arrived(c *cell) {
	if c.walked {
		c.walked = false
		m.walkers--
	}
}

// squeeze makes room when spilled mail or states wait for it and what fills memory lags: without it, one endpoint that is down or slow
// could keep the mail of all others in the store, and their states.
func (m *Machine) squeeze() {
	if m.now < m.nextSqueeze || !m.starved() && (m.roomy() || m.unwatched.len() == 0 && m.orders.unread.len() == 0) {
		return
	}
	m.nextSqueeze = m.now + min(1000, m.cfg.HoldMax)
	m.squeezing = true
	m.effect(false)
}
