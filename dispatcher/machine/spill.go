package machine

import (
	"container/heap"
	"slices"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// Spilling: mailboxes beyond their memory bound live only in the store, and are read back in order when there is room.
//
// A spilled run is everything of a mailbox behind the batch that is in a call; what is in the call is kept in the same
// commit, so that a crash cannot turn the two round.

func (m *Machine) pushTail(c *cell, msg *message) {
	m.effect(false)
	if len(c.tail) == 0 {
		m.dirtyTails = append(m.dirtyTails, c)
	}
	c.tail = append(c.tail, msg)
}

func (m *Machine) trimMail(c *cell, below uint64) {
	m.effect(false)
	if c.trim == 0 {
		m.dirtyTrims = append(m.dirtyTrims, c)
	}
	c.trim = below
}

// spillCells chooses what leaves memory with this cut: first the mailboxes of cells that are stuck, then of those whose turn
// is farthest. It stops at a quarter of the bound, so that there is room for others to be read back.
func (m *Machine) spillCells() {
	if m.mailBytes <= m.cfg.MailBytesMax {
		return
	}
	var candidates []*cell
	for _, c := range m.cells {
		if c.phase != loading && c.mail.len() > c.batchInCall() {
			candidates = append(candidates, c)
		}
	}
	stuck := func(c *cell) bool { return c.phase == backoff || c.fn.gate.open }
	slices.SortFunc(candidates, func(a, b *cell) int {
		if stuck(a) != stuck(b) {
			if stuck(a) {
				return -1
			}
			return 1
		}
		return compare(b.mail.at(b.batchInCall()).number, a.mail.at(a.batchInCall()).number)
	})
	for _, c := range candidates {
		if m.mailBytes <= m.cfg.MailBytesMax/4 {
			return
		}
		m.spillCell(c)
	}
}

func (c *cell) batchInCall() int {
	if c.phase == calling {
		return c.batch
	}
	return 0
}

// spillCell turns a mailbox's messages behind the call into stored mail. They are dropped from memory at once: the store
// answers for them as soon as this cut is committed, and no load is asked before.
func (m *Machine) spillCell(c *cell) {
	keep := c.batchInCall()
	for i := range keep {
		m.keep(c.mail.at(i))
	}
	rest := c.mail.all()[keep:]
	if len(rest) == 0 {
		return
	}
	head := append([]*message(nil), c.mail.all()[:keep]...)
	var fresh []*message
	for _, msg := range rest {
		m.mailBytes -= msg.size
		if msg.spilled { // read back, but not called: it is still there
			m.unload(c, msg)
			continue
		}
		fresh = append(fresh, msg)
	}
	c.mail.set(head)
	m.storeMail(c, fresh)
	m.storeMail(c, c.tail)
	for _, msg := range c.tail {
		m.mailBytes -= msg.size
	}
	c.tail = nil
	if c.phase == ready || c.phase == backoff { // nothing to call with; it is read back in its turn
		if c.timerIndex >= 0 {
			heap.Remove(&m.backoffs, c.timerIndex)
		}
		c.phase = idle
	}
	m.stats.Spilled++
}

// unload counts a message that is in the store as not in memory.
func (m *Machine) unload(c *cell, msg *message) {
	if c.spill.count == 0 || msg.number < c.spill.first {
		c.spill.first = msg.number
	}
	c.spill.last = max(c.spill.last, msg.number)
	c.spill.count++
	c.spill.bytes += int64(msg.size)
	c.fn.keptCount(msg, -1)
	c.fn.stored++
	c.fn.storedBy += int64(msg.size)
}

// storeMail makes messages stored mail with the cut that is being built.
func (m *Machine) storeMail(c *cell, messages []*message) {
	if len(messages) == 0 {
		return
	}
	chunk := statestore.MailChunk{Address: c.address, Messages: make([]statestore.Mail, 0, len(messages))}
	for _, msg := range messages {
		if msg.source != nil {
			m.leaveSource(msg)
			c.fn.keptCount(msg, 1)
		}
		if msg.pack != nil {
			m.finishInPack(msg)
			msg.pack = nil
		}
		msg.spilled = true
		m.unload(c, msg)
		chunk.Messages = append(chunk.Messages, statestore.Mail{Number: msg.number, Message: msg.Message})
	}
	m.cutMail = append(m.cutMail, chunk)
	m.pinCut(c)
	m.spilledNow = append(m.spilledNow, spilledRun{c, messages[len(messages)-1].number})
}

// spilledRun is confirmed with the cut that stores it.
type spilledRun struct {
	cell *cell
	last uint64
}

// cutTails stores what has arrived behind spilled mail.
func (m *Machine) cutTails() {
	for _, c := range m.dirtyTails {
		if len(c.tail) == 0 || c.spill.count == 0 {
			continue
		}
		for _, msg := range c.mail.all() {
			m.keep(msg)
		}
		for _, msg := range c.tail {
			m.mailBytes -= msg.size
		}
		m.storeMail(c, c.tail)
		c.tail = nil
	}
	m.dirtyTails = m.dirtyTails[:0]
}

// refill reads a mailbox's next window when what is in memory is used up.
func (m *Machine) refill(c *cell) {
	s := &c.spill
	if s.count == 0 {
		m.closeGap(c)
		return
	}
	if s.loading || c.mail.len() > 0 || s.first > s.confirmed || c.phase == loading {
		return
	}
	s.loading = true
	c.pins++
	id := m.id()
	m.mailLoads[id.N] = c
	m.work.MailLoads = append(m.work.MailLoads, MailLoad{ID: id, Address: c.address, From: s.first, BytesMax: m.cfg.MailWindow})
}

// closeGap: nothing is only in the store any more, so what came behind it is the mailbox.
func (m *Machine) closeGap(c *cell) {
	for _, msg := range c.tail {
		c.mail.push(msg)
	}
	c.tail = nil
}

// MailLoaded answers a MailLoad.
func (m *Machine) MailLoaded(id ID, found []statestore.Mail) {
	c := m.mailLoads[id.N]
	if !m.mine(id) || c == nil {
		return
	}
	delete(m.mailLoads, id.N)
	c.pins--
	c.spill.loading = false
	for i := range found {
		f := &found[i]
		if f.Number < c.spill.first || f.Number > c.spill.confirmed || c.spill.count == 0 {
			continue
		}
		msg := &message{Message: f.Message, number: f.Number, spilled: true, arrived: m.now}
		msg.size = msg.Size()
		c.mail.push(msg)
		m.mailBytes += msg.size
		c.fn.keptCount(msg, 1)
		c.fn.stored--
		c.fn.storedBy -= int64(msg.size)
		c.spill.count--
		c.spill.bytes -= int64(msg.size)
		c.spill.first = f.Number + 1
	}
	if c.spill.count == 0 {
		m.closeGap(c)
	}
	switch {
	case c.phase != idle:
	case c.mail.len() > 0:
		m.makeReady(c)
	default:
		m.rest(c)
	}
}

// walkLimit is how many addresses a walk brings back at a time: with a window each they stay far below the memory bound.
const walkLimit = 100

// roomy reports whether spilled mail may be read back for addresses whose turn it is not yet.
func (m *Machine) roomy() bool { return m.mailBytes <= m.cfg.MailBytesMax/2 }

// walkSpills brings back addresses whose mail is only in the store and of which memory knows nothing, function by function,
// so that one whose endpoint is down does not hide the others.
func (m *Machine) walkSpills() {
	if !m.roomy() {
		return
	}
	for _, f := range m.functionList {
		if !f.unwatched || f.walking || f.stored <= 0 || !f.declared || f.gate.open && f.gate.fresh.len()+f.gate.retry.len() > 0 {
			continue
		}
		f.walking = true
		id := m.id()
		m.walks[id.N] = f
		m.work.Spills = append(m.work.Spills, SpillLoad{ID: id, Function: f.name, Cursor: f.cursor, Limit: walkLimit})
	}
}

// forgetSpilled drops a cell whose mail is only in the store; a walk will find it.
func (m *Machine) forgetSpilled(c *cell) {
	delete(m.cells, c.address)
	c.fn.unwatched = true
	c.fn.forgot = c.fn.forgot || c.fn.walking || c.fn.cursor != nil
}

// SpillsLoaded answers a SpillLoad.
func (m *Machine) SpillsLoaded(id ID, found []api.Address, next []byte) {
	f := m.walks[id.N]
	if !m.mine(id) || f == nil {
		return
	}
	delete(m.walks, id.N)
	f.walking = false
	f.cursor = next
	if next == nil { // the walk is over; what was forgotten behind its back asks for another one
		f.unwatched, f.forgot = f.forgot, false
	}
	for _, a := range found {
		c := m.cell(a)
		if c.phase == idle {
			m.refill(c)
		}
		m.rest(c)
	}
}
