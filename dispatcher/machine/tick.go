package machine

// Tick tells the time. It never runs back; what is due happens now.
func (m *Machine) Tick(now int64) {
	if now > m.now {
		m.now = now
	}
	m.fire()
	for len(m.backoffs) > 0 && m.backoffs[0].due <= m.now {
		m.endBackoff(m.backoffs[0])
	}
	for _, g := range m.openGates {
		if m.now >= g.nextProbe {
			m.pumpLater(g)
		}
	}
	m.growOld()
	if m.now >= m.nextHold {
		m.nextHold = m.now + min(100, m.cfg.HoldMax)
		m.holdBack()
		m.squeeze()
	}
}

// Work answers what is to be done since it was last asked.
func (m *Machine) Work() Work {
	m.takeEdits()
	m.admitEvents()
	m.runOnces()
	m.askLoads()
	m.walkSpills()
	m.windowTimers()
	m.sweep()
	m.readOrdered()
	if m.commitDue() {
		m.cutNow()
	}
	m.pumpGates()
	m.tellSources()
	m.work.Tick = m.nextTick()
	w := m.work
	m.work = Work{}
	return w
}

// callsRoomMax bounds the room that stays for the calls of the next Work.
const callsRoomMax = 2048

// Carried takes back the calls of a Work, which nobody reads any more: where they lay is room for those of the next.
func (m *Machine) Carried(calls []Call) {
	if cap(calls) <= callsRoomMax && cap(calls) > cap(m.calls) { // one without calls has no room for others
		clear(calls)
		m.calls = calls[:0]
	}
}

// nextTick is when something is due without any fact.
func (m *Machine) nextTick() int64 {
	at := m.now + m.cfg.SweepInterval
	if m.expiring && !m.sweeping {
		at = m.nextSweep
	}
	soon := func(t int64) { at = min(at, t) }
	if len(m.backoffs) > 0 {
		soon(m.backoffs[0].due)
	}
	if t, ok := m.ripe(); ok {
		soon(t.Due)
	}
	if !m.timers.loading && !m.timers.enough(m) {
		soon(m.timers.horizon() - m.cfg.TimerAhead/2)
	}
	if m.inflight == nil && m.dirtySince != 0 {
		soon(m.dirtySince + m.cfg.CommitAgeMax)
	}
	if m.inflight == nil && m.lazySince != 0 {
		soon(m.lazySince + m.cfg.LazyAgeMax)
	}
	for _, g := range m.openGates {
		if len(g.parked) > 0 || g.fresh.len() > 0 || g.alone.len() > 0 || g.retry.len() > 0 {
			soon(g.nextProbe)
		}
	}
	for _, g := range m.lates {
		if t, ok := g.agesAt(m.cfg.YoungAge); ok {
			soon(t)
		}
	}
	if m.pending > 0 || m.hopes > 0 || m.shortSince != 0 || m.events.waiting.len() > 0 || m.orders.unread.len() > 0 {
		soon(m.nextHold)
	}
	if m.unwatched.len() > 0 && !m.roomy() { // mail waits in the store for the room of others
		soon(max(m.nextHold, m.nextSqueeze))
	}
	return max(at, m.now+1)
}
