package machine

import (
	"container/heap"
	"slices"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// Spilling: mailboxes beyond their memory bound live only in the store, and are read back in order when there is room.
//
// When a mailbox is spilled everything of it is stored: what is in the call as well, of which memory holds a copy. So the
// stored part of a mailbox is always its front, whatever happens to the call, and a crash cannot turn two messages round.

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
// is farthest. It stops at a quarter of the bound, so that there is room for others to be read back; and earlier when that would make the
// commit large, for then the next cut goes on.
func (m *Machine) spillCells() {
	over, squeezing := m.mailBytes > m.cfg.MailBytesMax && m.mailBytes-m.loadingBytes > m.cfg.MailBytesMax/spillWorth, m.squeezing
	starved, more := m.starved(), m.spilling
	m.squeezing, m.spilling = false, false
	if !over && !squeezing && !starved && !more {
		return
	}
	m.spillLooks++
	var candidates []*cell
	for _, c := range m.cells {
		// What was read a moment ago has its turn first: else who waits for room would have it spilled before it is called, again and again.
		stays := !over && c.phase == ready && m.now-c.loadedAt < lagAfter
		if c.phase != loading && c.mail.len() > c.batchInCall() && !stays && (over || starved || more || m.lags(c)) {
			candidates = append(candidates, c)
		}
	}
	rank := func(c *cell) uint64 {
		switch {
		case c.hurried: // an operator wants it to be called
			return 2
		case m.lags(c):
			return 0
		}
		return 1
	}
	slices.SortFunc(candidates, func(a, b *cell) int {
		if ranks := compare(rank(a), rank(b)); ranks != 0 {
			return ranks
		}
		return compare(b.mail.at(b.batchInCall()).number, a.mail.at(a.batchInCall()).number)
	})
	if !over && !starved && !more && len(candidates) == 0 {
		m.nextSqueeze = m.now + m.cfg.SweepInterval // what fills memory is in calls: squeezing again would bring nothing for a while
	}
	began, states := m.mailBytes, m.busyBytes
	for _, c := range candidates {
		switch {
		case m.mailBytes <= m.cfg.MailBytesMax/4 && (!starved || states <= m.cfg.BusyBytesMax/2):
			return
		case m.mailBytes <= m.cfg.MailBytesMax && began-m.mailBytes >= m.cfg.EffectBytesMax/2:
			m.spilling = over || starved || more
			return
		}
		m.spillCell(c)
		if c.phase == idle {
			states -= c.weight // it leaves with the commit
		}
	}
}

// spillWorth is the part of the bound, one in so many, that must be there to be spilled: a cell that is loading cannot be, and to look through
// a million cells with each cut while they load would take most of the time until they have.
const spillWorth = 8

// lagAfter is how long a call may take before what waits behind it is thought to wait long, in milliseconds.
const lagAfter = 1000

// lags reports whether what waits in the cell's mailbox will wait for long.
func (m *Machine) lags(c *cell) bool {
	return c.phase == backoff || c.phase == held || c.fn.gate.open || c.phase == calling && m.now-c.callSince >= lagAfter
}

func (c *cell) batchInCall() int {
	if c.phase == calling {
		return c.batch
	}
	return 0
}

// spillCell turns a mailbox into stored mail. What is behind the call is dropped from memory at once: the store answers for it as
// soon as this cut is committed, and no load is asked before.
func (m *Machine) spillCell(c *cell) {
	keep := c.batchInCall()
	var fresh []*message
	for _, msg := range c.mail.all() {
		if !msg.spilled { // else it was read back, and is still there
			fresh = append(fresh, msg)
		}
	}
	m.storeMail(c, fresh)
	for _, msg := range c.mail.all()[keep:] {
		m.unload(c, msg)
	}
	c.mail.set(append([]*message(nil), c.mail.all()[:keep]...))
	m.storeTail(c)
	if c.phase == ready || c.phase == backoff || c.phase == held { // nothing to call with; it is read back in its turn
		if c.timerIndex >= 0 {
			heap.Remove(&m.backoffs, c.timerIndex)
		}
		c.phase = idle
	}
	m.pinCut(c) // also when nothing of it is new to the store: who waits for the cut decides when it is read back
	m.stats.Spilled++
}

// storeTail stores what has arrived behind spilled mail.
func (m *Machine) storeTail(c *cell) {
	m.storeMail(c, c.tail)
	for _, msg := range c.tail {
		m.unload(c, msg)
	}
	c.tail = nil
}

// unload counts a message that is in the store as not in memory.
func (m *Machine) unload(c *cell, msg *message) {
	if c.spill.count == 0 || msg.number < c.spill.first {
		c.spill.first = msg.number
	}
	c.spill.last = max(c.spill.last, msg.number)
	c.spill.count++
	c.spill.bytes += int64(msg.size)
	m.mailBytes -= msg.size
	msg.Argument = api.TypedValue{} // lists that are swept later still hold the message
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
		m.storeTail(c)
	}
	m.dirtyTails = m.dirtyTails[:0]
}

// mailLoad is a question for spilled mail that is out.
type mailLoad struct {
	cell  *cell
	bytes int // that its answer may bring, about
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
	bytes := int(min(s.bytes, int64(m.cfg.MailWindow)))
	m.askedBytes += bytes
	m.mailLoads[id.N] = mailLoad{c, bytes}
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
	load, ok := m.mailLoads[id.N]
	if !m.mine(id) || !ok {
		return
	}
	delete(m.mailLoads, id.N)
	m.askedBytes -= load.bytes
	c := load.cell
	if m.orders.reading == c {
		m.orders.reading = nil
	}
	c.pins--
	c.spill.loading, c.loadedAt = false, m.now
	for i := range found {
		f := &found[i]
		if f.Number < c.spill.first || c.spill.count == 0 {
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
	if c.phase == idle && c.crowded && !m.deadFull(c.fn.dead) { // while its mail was in the store alone there was room again
		c.crowded, c.due = false, m.now
	}
	switch {
	case c.phase != idle:
	case c.mail.len() == 0:
		m.rest(c)
	case c.failedSince != 0 && m.now < c.due && !c.hurried && !m.paused(c): // it was spilled in the middle of its back-off
		c.phase = backoff
		heap.Push(&m.backoffs, c)
	default:
		m.makeReady(c)
	}
	if m.ordered(c) {
		m.obey(c)
	}
}
