package machine

import (
	"slices"

	"github.com/stategate/stategate/statestore"
)

// cut is a commit that is out, with what is released when it is durable.
type cut struct {
	id      uint64
	gen     uint64
	cells   []*cell
	timers  []*timer
	outputs []statestore.OutputPack
	tokens  []uint64
	sources []statestore.Progress
	spilled []spilledRun

	answers []Answer
	edited  []Edited
	next    uint64 // number

	sealed      []uint64 // tokens of events
	sealedBytes int
}

// effect notes that something is uncommitted. With waits somebody waits for the commit.
func (m *Machine) effect(waits bool) {
	if m.dirtySince == 0 {
		m.dirtySince = max(m.now, 1)
	}
	if waits {
		m.awaited = true
	}
}

// lazy notes something that may wait for another commit.
func (m *Machine) lazy() {
	if m.lazySince == 0 {
		m.lazySince = max(m.now, 1)
	}
}

// waitFor answers a token when everything up to now is durable.
func (m *Machine) waitFor(token uint64) {
	m.effect(true)
	if token != 0 {
		m.tokens = append(m.tokens, token)
	}
}

// saturated reports whether too much is uncommitted for new calls to start.
func (m *Machine) saturated() bool {
	return m.effects >= m.cfg.EffectsMax || m.effectBytes >= m.cfg.EffectBytesMax
}

// commitDue decides whether a commit starts now: somebody waits for it, or nothing that descends from uncommitted effects
// is still running, or the oldest effect is old enough.
func (m *Machine) commitDue() bool {
	if m.inflight != nil {
		return false
	}
	if m.dirtySince == 0 {
		return m.lazySince != 0 && m.now-m.lazySince >= m.cfg.LazyAgeMax
	}
	return m.awaited || m.young <= 0 || m.now-m.dirtySince >= m.cfg.CommitAgeMax || m.saturated()
}

// cutNow builds the commit of everything that has changed since the last one: a consistent cut, since nothing in it was half
// applied when the loop came here.
func (m *Machine) cutNow() {
	m.commitNumber++
	out := &cut{id: m.nextID(), gen: m.gen}
	m.inflight = out
	c := &statestore.Commit{Fence: m.fence, Number: m.commitNumber}

	m.spillCells() // first: it finishes records and pack entries, which the parts below write
	m.cutTails()
	c.Mail, m.cutMail = m.cutMail, nil
	out.spilled, m.spilledNow = m.spilledNow, nil
	m.cutPacks(c)
	m.cutCells(c, out)
	m.cutTimers(c, out)
	m.cutLanes(c, out)
	m.cutPauses(c)
	c.LaneStarts, m.laneStarts = m.laneStarts, nil
	c.Refusals, m.refusals = m.refusals, nil
	c.DeadLetters, m.deadLetters = m.deadLetters, nil
	c.DeadEnds, m.deadEnds = m.deadEnds, nil
	c.Acts, m.acts = m.acts, nil
	m.cutForgotten(c)
	out.edited, m.edited = m.edited, nil
	for _, f := range m.dirtyFunctions {
		f.dirty = false
		c.Functions = append(c.Functions, statestore.FunctionSpec{Function: f.name, States: slices.Clone(f.specs)})
	}
	m.dirtyFunctions = m.dirtyFunctions[:0]
	for _, s := range m.dirtySources {
		s.dirty = false
		p := s.progress.Clone()
		c.Progress = append(c.Progress, p)
		out.sources = append(out.sources, p)
	}
	m.dirtySources = m.dirtySources[:0]
	out.tokens, m.tokens = m.tokens, nil
	out.answers, m.replies.answers = m.replies.answers, nil
	out.sealed, out.sealedBytes = m.events.sealed, m.events.bytes
	m.work.Sealed = m.events.sealed
	for i := range out.edited {
		m.work.Sealed = append(m.work.Sealed, out.edited[i].Token)
	}
	m.events.sealed, m.events.bytes = nil, 0
	m.work.Traced, m.traced = m.traced, nil
	c.NextNumber, out.next = m.nextNumber, m.nextNumber

	m.gen++
	m.young, m.effects, m.effectBytes, m.mends = 0, 0, 0, 0
	m.dirtySince, m.lazySince, m.awaited = 0, 0, false
	m.stats.Commits++
	m.work.Commit = c
}

func (m *Machine) cutCells(c *statestore.Commit, out *cut) {
	if n := len(m.dirtyCells); n > 0 {
		c.States, m.pinned = make([]statestore.AddressState, 0, n), slices.Grow(m.pinned, n)
	}
	for _, cl := range m.dirtyCells {
		cl.dirty, cl.cutAs = false, out.gen
		m.pinCut(cl)
		c.States = append(c.States, statestore.AddressState{Address: cl.address, Values: cl.values, Expires: coarse(cl.fn, cl.values)})
	}
	clear(m.dirtyCells)
	m.dirtyCells = m.dirtyCells[:0]
	for _, cl := range m.dirtyTrims {
		if cl.trim == 0 {
			continue
		}
		c.MailTrims = append(c.MailTrims, statestore.MailTrim{Address: cl.address, Below: cl.trim})
		cl.trim = 0
		m.pinCut(cl)
	}
	clear(m.dirtyTrims)
	m.dirtyTrims = m.dirtyTrims[:0]
	out.cells, m.pinned = m.pinned, nil
}

// pinCut keeps a cell in memory until the cut that is being built is confirmed.
func (m *Machine) pinCut(c *cell) {
	c.pins++
	m.pinned = append(m.pinned, c)
}

func (m *Machine) cutTimers(c *statestore.Commit, out *cut) {
	w := &m.timers
	for _, t := range w.created {
		if !t.ended {
			c.Timers = append(c.Timers, t.Timer)
			out.timers = append(out.timers, t)
		}
	}
	w.created = nil
	c.TimerEnds, w.ends = w.ends, nil
	c.Cancels, w.cancels = w.cancels, nil
}

func (m *Machine) cutLanes(c *statestore.Commit, out *cut) {
	for _, l := range m.laneList {
		packs := m.cutLane(l)
		out.outputs = append(out.outputs, packs...)
		if !l.outbox {
			continue
		}
		c.Outputs = append(c.Outputs, packs...)
		if l.delivered > l.trimmed {
			l.trimmed = l.delivered
			c.Trims = append(c.Trims, statestore.Trim{Lane: l.id, Below: l.delivered})
		}
	}
}

// Committed tells that the commit is durable.
func (m *Machine) Committed(number uint64) {
	out := m.inflight
	if out == nil || number != m.commitNumber {
		m.stats.StaleAnswers++
		return
	}
	m.inflight = nil
	m.confirmedGen, m.numbersBelow = out.gen, out.next
	m.work.Outputs = append(m.work.Outputs, out.outputs...)
	m.work.Done = append(m.work.Done, out.tokens...)
	m.work.Answers = append(m.work.Answers, out.answers...)
	m.work.Finished = append(m.work.Finished, out.sources...)
	m.work.Edited = append(m.work.Edited, out.edited...)
	for _, r := range out.spilled {
		r.cell.spill.confirmed = max(r.cell.spill.confirmed, r.last)
	}
	for _, t := range out.timers {
		if !t.ended && t.index < 0 { // not due soon: the store has it now
			m.dropTimer(t)
		}
	}
	if !m.timers.loading {
		m.forgetCancelled()
	}
	m.pruneTimers()
	for _, c := range out.cells {
		c.pins--
		m.settle(c)
	}
	m.judgeStore()
	m.admitEvents() // before those that come now
}

// settle finds out what a cell waits for now: its spilled mail, when there is room for it, or nothing.
func (m *Machine) settle(c *cell) {
	if c.phase != idle {
		return
	}
	// It is stuck or paused, and others wait for the room; or nobody can be called with it, and a look for expired states has loaded it. While
	// there is room its mail is read back all the same: an address that is forgotten is loaded anew with all its states by its next message.
	stuck := c.failedSince != 0 && !c.hurried || m.paused(c)
	waits := stuck && (m.unwatched.len() > 0 || m.orders.unread.len() > 0) || !c.fn.declared || m.starved() && c.spill.count > 0
	if ordered := m.ordered(c); c.mailLen() > 0 && (m.roomy() && !waits || ordered) {
		if ordered {
			m.refillOrdered(c)
		} else {
			m.refill(c)
		}
		if c.mail.len() > 0 {
			m.makeReady(c)
		}
		return
	}
	if c.spill.count > 0 && c.mail.len() == 0 && len(c.tail) == 0 && c.pins == 0 && !c.spill.loading && !c.dirty && c.trim == 0 {
		m.forgetSpilled(c)
		return
	}
	m.rest(c)
}
