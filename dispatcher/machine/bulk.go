package machine

// bulk is what a gate knows of requests that carry many calls, where its endpoint takes them.
//
// While few requests are young (Config.YoungRequests, Config.YoungAge) a call goes out at once. Else calls wait, and leave together as
// soon as a young one is answered or grows old, or they fill a bulk. So an idle endpoint is called without delay, a busy one gets few
// requests with many calls, and one that hangs holds nobody up for longer than it is young.
type bulk struct {
	calls   int            // of a bulk that the endpoint runs at once; below 2: it takes none
	shunned int64          // none before this time: it has refused one, or broken some
	broken  int            // bulks in a row that have ended without any answer
	breakAt int64          // when the last of them did
	born    fifo[*request] // those that may be young, the eldest first
	young   int            // how many of them are
	late    bool           // calls wait for the eldest to grow old: the gate stands in Machine.lates
}

// request carries calls of one endpoint.
type request struct {
	number uint64 // of the bulk; 0: it carries one call
	open   int    // calls without an answer
	born   int64
	young  bool
	heard  bool // one of its calls had an answer of its own
}

// answer notes that one of the request's calls had an answer of its own.
func (r *request) answer() {
	if r != nil {
		r.heard = true
	}
}

// shunTime is how long no bulk is sent after one was refused, and shunMax how long it is in the end: where some instances of a function
// take them and others do not, or something in front of it takes none, each costs a request for nothing, and calls that are made twice.
const (
	shunTime = 5000
	shunMax  = 300_000
)

// takesBulk reports whether calls of the gate travel together. The calls of an endpoint that fails go one by one: they find out whether
// it works again.
func (m *Machine) takesBulk(g *gate) bool { return g.bulk.calls > 1 && !g.open }

// crowded reports whether calls of the gate must gather now.
func (m *Machine) crowded(g *gate) bool {
	b := &g.bulk
	for b.born.len() > 0 {
		eldest := b.born.at(0)
		if eldest.young && m.now-eldest.born < m.cfg.YoungAge {
			break
		}
		b.born.pop()
		m.age(g, eldest)
	}
	return b.young >= m.cfg.YoungRequests && !g.fills()
}

// fills reports whether the calls that wait fill a bulk: waiting longer would bring nothing.
func (g *gate) fills() bool {
	n := 0
	for i := 0; g.fresh.len()-i >= g.bulk.calls-n; i++ {
		if c := g.fresh.at(i); c.phase == ready && c.mail.len() > 0 {
			if n++; n == g.bulk.calls {
				return true
			}
		}
	}
	return false
}

// age makes a request one that nobody waits for.
func (m *Machine) age(g *gate, r *request) {
	if r.young {
		r.young = false
		g.bulk.young--
	}
}

// dispatch starts a call that goes at once, and with it those that wait.
func (m *Machine) dispatch(c *cell, g *gate) {
	r := &request{born: m.now, young: true}
	g.bulk.born.push(r)
	g.bulk.young++
	first := len(m.work.Calls)
	m.startCall(c, g, false, r)
	messages, bytes := c.batch, m.callBytes(c)
	for n := 1; n < g.bulk.calls && g.inUse < m.cfg.Slots && !m.cramps(g); n++ {
		if c = g.peekFresh(); c == nil {
			break
		}
		size := m.callBytes(c)
		if messages >= m.cfg.BulkMessages || bytes+size > m.cfg.BulkBytes {
			break
		}
		g.fresh.pop()
		c.queued = false
		m.startCall(c, g, false, r)
		messages, bytes = messages+c.batch, bytes+size
	}
	if calls := m.work.Calls[first:]; len(calls) > 1 {
		r.number = m.nextID()
		for i := range calls {
			calls[i].Bulk = r.number
		}
	}
}

// callBytes is about how large the next call of a cell is: no larger than what waits, nor than a batch may be.
func (m *Machine) callBytes(c *cell) int {
	n := c.weight
	for i := range min(c.mail.len(), c.fn.cfg.BatchMessages) {
		if n += c.mail.at(i).size; n > m.cfg.BulkBytes {
			break
		}
	}
	return n
}

// peekFresh is the cell whose turn is next among the untried, without those that need no call any more.
func (g *gate) peekFresh() *cell {
	for g.fresh.len() > 0 {
		c := g.fresh.at(0)
		if c.phase == ready && c.mail.len() > 0 {
			return c
		}
		g.fresh.pop()
		c.queued = false
	}
	return nil
}

// waitToAge has the gate looked at again when its eldest young request has grown old.
func (m *Machine) waitToAge(g *gate) {
	if !g.bulk.late && g.fresh.len() > 0 {
		g.bulk.late = true
		m.lates = append(m.lates, g)
	}
}

// growOld lets the calls go that have gathered long enough.
func (m *Machine) growOld() {
	kept := m.lates[:0]
	for _, g := range m.lates {
		if at, ok := g.agesAt(m.cfg.YoungAge); ok && at > m.now && g.fresh.len() > 0 {
			kept = append(kept, g)
			continue
		}
		g.bulk.late = false
		m.pumpLater(g)
	}
	clear(m.lates[len(kept):])
	m.lates = kept
}

// agesAt is when the eldest young request stops being one.
func (g *gate) agesAt(age int64) (at int64, ok bool) {
	for i := range g.bulk.born.len() {
		if r := g.bulk.born.at(i); r.young {
			return r.born + age, true
		}
	}
	return 0, false
}

// landed takes a call off its request.
func (m *Machine) landed(g *gate, r *request) {
	if r == nil {
		return
	}
	if r.open--; r.open == 0 {
		m.age(g, r)
	}
}

// announced takes what a reply says about bulk calls, and what it shows: one that came with a bulk shows that bulks are answered.
func (m *Machine) announced(f flight, calls int) {
	g := f.gate
	if f.request != nil && f.request.number != 0 {
		f.request.answer()
		g.bulk.broken = 0
	}
	if m.now < g.bulk.shunned {
		calls = 0
	}
	g.bulk.calls = calls
}

// broke takes notice of a bulk that ended without any answer. One that was not refused may have met a call that brings its function
// down; those that were out at the same time have met the same. The second in a row has not.
func (m *Machine) broke(g *gate, r *request, refused bool) {
	b := &g.bulk
	if r.born <= b.breakAt {
		return
	}
	b.breakAt = m.now
	b.broken++
	times := b.broken
	if !refused {
		times--
	}
	if times > 0 {
		b.shunned = m.now + int64(min(shunTime<<min(times-1, 10), shunMax))
	}
}

// Unanswered tells that a bulk has ended without an answer to this call of it. That may be the fault of any of its calls, so nothing is held
// against this one: it is called again at once, alone, and then whatever happens is its own. refused: the endpoint takes no bulk calls.
func (m *Machine) Unanswered(id ID, refused bool) {
	f, ok := m.land(id)
	if !ok {
		return
	}
	if f.request == nil || f.request.number == 0 {
		m.failed(f, Failure{Kind: FailEndpoint, Text: "no answer"})
		return
	}
	c, g := f.cell, f.gate
	g.bulk.calls = 0 // the replies to come say whether it takes them still
	if f.request.open == 0 && !f.request.heard {
		m.broke(g, f.request, refused)
	}
	m.stats.Unanswered++
	c.attempts--
	c.alone = true
	m.makeReady(c)
}
