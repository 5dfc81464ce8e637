package machine

import "fmt"

// Invariants counts everything anew and compares it with what the machine has counted on its way. It is for the simulation, which plays the machine from
// outside; the program never calls it.
func (m *Machine) Invariants() error {
	count := map[*function]*function{}
	for _, f := range m.functionList {
		count[f] = &function{}
	}
	pending, pendingBytes := map[*source]int{}, map[*source]int{}
	bytes, rest, busy, forgotten := 0, 0, 0, map[*function]int64{}
	for a, c := range m.cells {
		if a != c.address {
			return fmt.Errorf("cell of %v stands under %v", c.address, a)
		}
		if !c.resting {
			busy += c.weight
			count[c.fn].busyBytes += c.weight
		}
		if c.resting {
			rest += c.restWeight()
			if c.mailLen() > 0 || c.dirty || c.pins > 0 {
				return fmt.Errorf("%v rests with %d messages, dirty %v, pins %d", a, c.mailLen(), c.dirty, c.pins)
			}
		}
		if err := m.invariantMail(c); err != nil {
			return fmt.Errorf("%v (%v): %w", a, c.phase, err)
		}
		if len(c.edits) > 0 && c.phase != loading && c.phase != calling && !m.saturated() {
			return fmt.Errorf("%v (%v): %d edits wait, and nothing is in their way", a, c.phase, len(c.edits))
		}
		all := append(append([]*message(nil), c.mail.all()...), c.tail...)
		for _, msg := range all {
			bytes += msg.size
			if msg.source != nil {
				pending[msg.source]++
				pendingBytes[msg.source] += msg.size
				continue
			}
			count[c.fn].kept++
			count[c.fn].keptBytes += int64(msg.size)
		}
		forgotten[c.fn] += c.spill.count
	}
	loads := 0
	for _, c := range m.cells {
		if c.phase == loading {
			for _, msg := range c.mail.all() {
				loads += msg.size
			}
		}
	}
	if loads != m.loadingBytes {
		return fmt.Errorf("mailboxes that are loading hold %d bytes, counted are %d", loads, m.loadingBytes)
	}
	if bytes != m.mailBytes || rest != m.restBytes {
		return fmt.Errorf("mailboxes hold %d bytes, counted are %d; resting %d, counted %d", bytes, m.mailBytes, rest, m.restBytes)
	}
	if busy != m.busyBytes {
		return fmt.Errorf("states of addresses in use hold %d bytes, counted are %d", busy, m.busyBytes)
	}
	for f, want := range count {
		if want.busyBytes != f.busyBytes {
			return fmt.Errorf("states of %v in use hold %d bytes, counted are %d", f.name, want.busyBytes, f.busyBytes)
		}
	}
	if err := m.invariantBytes(); err != nil {
		return err
	}
	for f, want := range count {
		if f.kept != want.kept || f.keptBytes != want.keptBytes {
			return fmt.Errorf("%v keeps %d messages, %d bytes; counted are %d and %d", f.name, want.kept, want.keptBytes, f.kept, f.keptBytes)
		}
		if f.stored < forgotten[f] {
			return fmt.Errorf("%v has %d messages stored, its cells know of %d", f.name, f.stored, forgotten[f])
		}
		if f.stored > forgotten[f] && !f.unwatched && f.declared && m.quietLoads() && !m.passedOver(f) {
			return fmt.Errorf("%v has %d messages stored, its cells know of %d, and no walk looks for the others", f.name, f.stored, forgotten[f])
		}
	}
	for k, t := range m.timers.tokens {
		if m.timers.known[t.Number] != t {
			return fmt.Errorf("token %q of id %q names timer %d, which is not there any more", k.token, k.senderID, t.Number)
		}
	}
	hopes := 0
	for _, s := range m.sourceList {
		if s.pending != pending[s] || s.pendingBytes != pendingBytes[s] {
			return fmt.Errorf("%v has %d messages pending, %d bytes; counted are %d and %d", s.id, pending[s], pendingBytes[s], s.pending, s.pendingBytes)
		}
		if (s.pending >= m.cfg.SourceMessagesMax || m.choke || m.deadFull(s.dead) || s.paused) && !s.told {
			return fmt.Errorf("%v has %d messages pending, and was not told that it is full", s.id, s.pending)
		}
		if s.full && !s.paused {
			hopes++
		}
	}
	if hopes != m.hopes {
		return fmt.Errorf("%d sources are full and not paused, counted are %d", hopes, m.hopes)
	}
	if err := m.invariantEvents(); err != nil {
		return err
	}
	if err := m.invariantPauses(); err != nil {
		return err
	}
	return m.invariantDead()
}

// invariantBytes weighs what is out and what is due soon.
func (m *Machine) invariantBytes() error {
	calls, timers, out, asked := 0, 0, map[*function]int{}, map[*function]int{}
	for _, f := range m.flights {
		calls += f.bytes
	}
	for _, t := range m.timers.heap {
		timers += t.size()
	}
	for _, l := range m.loads {
		for _, c := range l.cells {
			out[c.fn]++
		}
		for _, p := range l.parts {
			asked[p.fn] += p.bytes
		}
	}
	if calls != m.calledBytes || timers != m.timers.bytes {
		return fmt.Errorf("calls hold %d bytes, counted are %d; timers %d, counted %d", calls, m.calledBytes, timers, m.timers.bytes)
	}
	for _, f := range m.functionList {
		if f.loadBytes != asked[f] {
			return fmt.Errorf("loads may bring %d bytes of %v, counted are %d", asked[f], f.name, f.loadBytes)
		}
		if f.loadsOut != out[f] {
			return fmt.Errorf("%v has %d addresses loading, counted are %d", f.name, out[f], f.loadsOut)
		}
	}
	for _, g := range m.gateList {
		if g.cramped && g.bytes == 0 {
			return fmt.Errorf("%s waits for room for its calls, and has none out", g.key)
		}
	}
	return nil
}

// invariantPauses finds cells that wait for a slot although they are paused, or for the end of a pause that is over.
func (m *Machine) invariantPauses() error {
	listed := map[*cell]bool{}
	for _, f := range m.functionList {
		for _, c := range f.held.all() {
			if listed[c] || !c.listed {
				return fmt.Errorf("%v stands among those that are held: twice %v, known %v", c.address, listed[c], c.listed)
			}
			listed[c] = true
		}
		if _, ok := m.pauses.functions[f.name]; ok != f.paused {
			return fmt.Errorf("%v is paused: %v, and its calls are held: %v", f.name, ok, f.paused)
		}
	}
	for a, c := range m.cells {
		switch {
		case (c.phase == ready || c.phase == backoff) && m.paused(c) && c.fn.name != OnceType:
			return fmt.Errorf("%v is paused and waits for its next call (%v)", a, c.phase)
		case c.phase == held && !m.paused(c):
			return fmt.Errorf("%v waits for the end of a pause that is over", a)
		case c.phase == held && !listed[c]:
			return fmt.Errorf("%v is held, and nobody will let it go on", a)
		case m.ordered(c) && c.phase != loading && (c.phase != idle || c.mailLen() == 0):
			return fmt.Errorf("%d orders wait for the mailbox of %v, which is known (%v)", len(m.orders.of[c]), a, c.phase)
		}
	}
	for _, s := range m.sourceList {
		if _, ok := m.pauses.ingresses[s.id.Ingress]; ok != s.paused {
			return fmt.Errorf("%v is paused: %v, and held: %v", s.id, ok, s.paused)
		}
	}
	return nil
}

// passedOver reports whether walks pass some address of the function over, since it is paused.
func (m *Machine) passedOver(f *function) bool {
	for a := range m.pauses.addresses {
		if a.Type == f.name {
			return true
		}
	}
	return false
}

// invariantEvents finds events that wait although there is room, or that nobody will come back to.
func (m *Machine) invariantEvents() error {
	listed := map[*function]bool{}
	for _, f := range m.events.waiting.all() {
		if listed[f] {
			return fmt.Errorf("%v stands twice among those that have events without room", f.name)
		}
		listed[f] = true
	}
	for _, f := range m.functionList {
		if f.events.len() == 0 {
			continue
		}
		if !listed[f] {
			return fmt.Errorf("%d events of %v wait, and nobody looks for them", f.events.len(), f.name)
		}
		if !m.eventsFull() && !m.overKept(f) {
			return fmt.Errorf("%d events of %v wait, and there is room", f.events.len(), f.name)
		}
	}
	return nil
}

// invariantDead looks at trials, and at who waits for room among dead letters.
func (m *Machine) invariantDead() error {
	weight := 0
	for a, t := range m.trials {
		if m.cells[a] != nil {
			return fmt.Errorf("%v is there, and its trial is remembered apart from it: %+v", a, t)
		}
		weight += trialWeight(&cell{address: a})
	}
	if weight != m.trialBytes {
		return fmt.Errorf("trials weigh %d, counted are %d", weight, m.trialBytes)
	}
	for a, c := range m.cells {
		t := &c.trial
		switch {
		case *t != (trial{}) && (c.fn.cfg.OnFailure != SetAside || c.resting):
			return fmt.Errorf("%v is on trial: %+v", a, t)
		case (t.spentTo != 0) != (t.spent >= c.fn.cfg.Budget), t.faultTo > t.spentTo:
			return fmt.Errorf("%v has spent %d of %d: %+v", a, t.spent, c.fn.cfg.Budget, t)
		case c.crowded && c.phase == backoff && !m.deadFull(c.fn.dead):
			return fmt.Errorf("%v waits for room among dead letters, and there is some", a)
		}
	}
	for _, l := range m.laneList {
		if len(l.refusedTokens) > 0 && !m.deadFull(l.dead) {
			return fmt.Errorf("lane %s waits for room among dead letters, and there is some", l.id.Egress)
		}
	}
	for origin, d := range m.dead {
		if d.letters < 0 || d.bytes < 0 {
			return fmt.Errorf("%d dead letters of %s, %d bytes", d.letters, origin, d.bytes)
		}
	}
	return nil
}

// quietLoads reports whether no cell waits for its first load: such a cell does not know yet what is stored for it.
func (m *Machine) quietLoads() bool { return len(m.loads) == 0 && len(m.loaders) == 0 }

func (m *Machine) invariantMail(c *cell) error {
	last, loose := uint64(0), false
	for i, msg := range append(append([]*message(nil), c.mail.all()...), c.tail...) {
		if msg.number <= last && i > 0 {
			return fmt.Errorf("message %d stands behind %d", msg.number, last)
		}
		if msg.spilled && loose {
			return fmt.Errorf("message %d is stored, one before it is not", msg.number)
		}
		if c.spill.count > 0 && i < c.mail.len() && (!msg.spilled || msg.number >= c.spill.first) {
			return fmt.Errorf("message %d stands in memory before the stored ones from %d on; it is stored: %v", msg.number, c.spill.first, msg.spilled)
		}
		last, loose = msg.number, loose || !msg.spilled
		if msg.finished {
			return fmt.Errorf("message %d is finished and still there", msg.number)
		}
	}
	if c.phase == idle && c.mail.len() > 0 {
		return fmt.Errorf("%d messages, and nobody calls it", c.mail.len())
	}
	if c.phase == idle && c.spill.count > 0 && !c.spill.loading && c.pins == 0 && !c.dirty && c.trim == 0 && len(c.tail) == 0 {
		return fmt.Errorf("%d messages are stored from %d on (confirmed %d), and nobody reads them", c.spill.count, c.spill.first, c.spill.confirmed)
	}
	return nil
}
