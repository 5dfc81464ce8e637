package machine

import (
	"container/heap"
	"slices"
)

// gate is the way to one endpoint (one resolved URL): its slots, its breaker, and the cells that wait for them.
type gate struct {
	key      string
	inUse    int
	bytes    int  // of the calls that are out
	cramped  bool // it stands in Machine.cramped
	inRetry  int  // slots held by cells whose last attempt failed
	fresh    fifo[*cell]
	alone    fifo[*cell] // a bulk left them without an answer: they go by themselves
	retry    fifo[*cell]
	sweepAt  int // how many must stand in these before they are looked through
	bulk     bulk
	listed   bool // it stands in the machine's list of gates to pump
	failures int  // endpoint failures since the last success

	open        bool
	failedSince int64 // when the first of those failures came; 0: there is none
	outages     int   // how often it has opened
	nextProbe   int64
	probeGap    int64
	lastSuccess int64
	lastKind    FailureKind // of the failure that was last blamed on it
	parked      []*cell     // in back-off because of the endpoint: they are released when it answers again
}

func (m *Machine) gate(key string) *gate {
	g := m.gates[key]
	if g == nil {
		g = &gate{key: key, lastSuccess: m.now}
		m.gates[key] = g
		m.gateList = append(m.gateList, g)
	}
	return g
}

// makeReady puts a cell with mail into its gate's queue.
func (m *Machine) makeReady(c *cell) {
	c.phase = ready
	if c.fn.name == OnceType {
		m.readyOnce(c)
		return
	}
	if m.paused(c) {
		m.hold(c)
		return
	}
	g := c.fn.gate
	if c.queued {
		return
	}
	c.queued = true
	g.sweep()
	switch {
	case c.hurried: // its mail had to leave memory before its turn came
		g.goFirst(c)
	case c.failedSince != 0 || c.trial.spentTo != 0:
		g.retry.push(c)
	case c.alone:
		g.alone.push(c)
	default:
		g.fresh.push(c)
	}
	m.pumpLater(g)
}

// sweepFrom is how many cells a gate's queues may hold before they are looked through.
const sweepFrom = 1024

// sweep drops cells that wait no longer, for they have been spilled, when the queues have doubled since it was last done. Behind calls
// that hang nobody else takes them out, and each time that its mailbox is read back an address comes as a new cell.
func (g *gate) sweep() {
	if g.queued() < max(g.sweepAt, sweepFrom) {
		return
	}
	for _, q := range []*fifo[*cell]{&g.fresh, &g.alone, &g.retry} {
		q.set(slices.DeleteFunc(q.all(), func(c *cell) bool {
			c.queued = c.phase == ready
			return !c.queued
		}))
	}
	g.sweepAt = 2 * g.queued()
}

func (g *gate) queued() int { return g.fresh.len() + g.alone.len() + g.retry.len() }

func (m *Machine) pumpLater(g *gate) {
	if !g.listed {
		g.listed = true
		m.pump = append(m.pump, g)
	}
}

// pumpGates starts what may start. New calls wait while too much is uncommitted.
func (m *Machine) pumpGates() {
	if m.saturated() {
		return
	}
	gates := m.pump
	m.pump = m.pumped[:0]
	for _, g := range gates {
		g.listed = false
		m.pumpGate(g)
	}
	clear(gates)
	m.pumped = gates
}

func (m *Machine) pumpGate(g *gate) {
	for !m.saturated() {
		if g.open && m.now < g.nextProbe || m.cramps(g) {
			return
		}
		c, failed := m.next(g)
		if c == nil {
			if c = m.probe(g); c == nil {
				if g.open { // nobody may be tried now: who comes next is tried when the next probe is due
					g.nextProbe = m.now + g.probeGap
				}
				return
			}
			failed = true
		}
		if g.open {
			g.probeGap = min(2*g.probeGap, m.cfg.ProbeInterval)
			g.nextProbe = m.now + g.probeGap
		}
		if !failed && !c.alone && m.takesBulk(g) {
			m.dispatch(c, g)
			continue
		}
		m.startCall(c, g, failed, nil)
	}
	m.pumpLater(g)
}

// cramps reports whether the endpoint must wait for room before its next call, and notes it then. It has as much as is left to all, at
// most: so one that hangs leaves half of the room to others, and two leave a quarter. One call it may always have.
func (m *Machine) cramps(g *gate) bool {
	if g.bytes == 0 || g.bytes < m.cfg.CallBytesMax-m.calledBytes {
		return false
	}
	if !g.cramped {
		g.cramped = true
		m.cramped = append(m.cramped, g)
	}
	return true
}

// uncramp has those looked at that wait for room, when a call has ended.
func (m *Machine) uncramp() {
	for _, g := range m.cramped {
		g.cramped = false
		m.pumpLater(g)
	}
	clear(m.cramped)
	m.cramped = m.cramped[:0]
}

// next picks the cell whose turn it is. Cells whose last attempt failed hold at most a quarter of the slots, so that however
// many they are, the others find one.
func (m *Machine) next(g *gate) (c *cell, failed bool) {
	if g.inUse >= m.cfg.Slots {
		return nil, false
	}
	for g.retry.len() > 0 && (g.inRetry < max(1, m.cfg.Slots/4)) {
		if g.open && !g.retry.front().hurried && g.fresh.len()+g.alone.len() > 0 && m.rng.IntN(2) == 0 {
			break // a probe tries the untried as often as those that failed
		}
		c := g.retry.pop()
		c.queued = false
		if c.phase == ready && c.mail.len() > 0 {
			return c, true
		}
	}
	for g.alone.len() > 0 {
		c := g.alone.pop()
		c.queued = false
		if c.phase == ready && c.mail.len() > 0 {
			return c, false
		}
	}
	if m.takesBulk(g) && m.crowded(g) {
		m.waitToAge(g)
		return nil, false
	}
	if c := g.peekFresh(); c != nil {
		g.fresh.pop()
		c.queued = false
		return c, false
	}
	return nil, false
}

// probe picks a cell in back-off, each time another one, when an open breaker is due to be tried and nobody else waits.
func (m *Machine) probe(g *gate) *cell {
	if !g.open || g.inUse >= m.cfg.Slots {
		return nil
	}
	for len(g.parked) > 0 {
		c := g.parked[0]
		g.parked[0] = nil
		g.parked = g.parked[1:]
		if c.phase == backoff && c.mail.len() > 0 {
			heap.Remove(&m.backoffs, c.timerIndex)
			return c
		}
	}
	return nil
}

// succeeded closes the breaker and lets go who waited for the endpoint, and remembers when.
func (m *Machine) succeeded(g *gate) {
	g.lastSuccess = m.now
	m.answered(g)
}

// answered notes that there is somebody at the endpoint.
func (m *Machine) answered(g *gate) {
	g.failures, g.failedSince = 0, 0
	if !g.open { // a success of others is no reason to try again at once what crashes the function
		return
	}
	g.open = false
	m.openGates = slices.DeleteFunc(m.openGates, func(o *gate) bool { return o == g })
	parked := g.parked
	g.parked = nil
	for _, c := range parked {
		if c.phase == backoff && c.fn.gate == g {
			m.endBackoff(c)
		}
	}
	m.pumpLater(g)
}

// blame counts a failure against the endpoint if it is the endpoint's. The time-out of one address while others are answered
// never opens the breaker, and a status or a bad reply closes it: that is an answer, and concerns its own address alone.
func (m *Machine) blame(g *gate, f Failure) {
	switch f.Kind {
	case FailEndpoint:
	case FailTimeout:
		if m.now-g.lastSuccess < m.cfg.BreakerWindow {
			return
		}
	default:
		m.answered(g)
		return
	}
	if g.failures++; g.failedSince == 0 {
		g.failedSince = max(m.now, 1)
	}
	g.lastKind = f.Kind
	if g.open || g.failures < m.cfg.BreakerFailures {
		return
	}
	g.open = true
	g.outages++
	m.openGates = append(m.openGates, g)
	g.probeGap = min(m.cfg.ProbeInterval, 50)
	g.nextProbe = m.now + g.probeGap
}

// retryLater sends a cell into back-off.
func (m *Machine) retryLater(c *cell, f Failure) {
	if c.failedSince == 0 {
		c.failedSince = max(m.now, 1)
	}
	c.failKind, c.lastError = f.Kind, cutText(f.Text)
	delay := m.cfg.BackoffMax
	if n := c.attempts - 1; n < 24 && (c.trial.spentTo != 0 || m.now-c.failedSince <= c.fn.cfg.Budget) {
		delay = min(m.cfg.BackoffMin<<n, m.cfg.BackoffMax)
	}
	delay -= int64(m.rng.Float64() * 0.5 * float64(delay)) // half of it is jitter
	if left := c.fn.cfg.Budget - c.trial.spent; c.trial.wrongAt != 0 && left > 0 {
		delay = min(delay, left) // the attempt that spends the budget is due when the budget ends
	}
	delay = max(delay, min(f.RetryAfter, m.cfg.BackoffMax), 1)
	if c.trial.wrongAt != 0 {
		c.trial.pause = delay
	}
	c.due = m.now + delay
	if m.paused(c) {
		m.hold(c)
		return
	}
	c.phase = backoff
	heap.Push(&m.backoffs, c)
	if (f.Kind == FailEndpoint || f.Kind == FailTimeout) && f.RetryAfter == 0 {
		g := c.fn.gate
		g.parked = append(g.parked, c)
		if len(g.parked) > 2*len(m.backoffs)+64 { // some have been woken by their own time
			g.parked = still(g.parked)
		}
	}
}

func still(parked []*cell) []*cell {
	kept := parked[:0]
	seen := map[*cell]bool{}
	for _, c := range parked {
		if c.phase == backoff && !seen[c] {
			seen[c] = true
			kept = append(kept, c)
		}
	}
	clear(parked[len(kept):])
	return kept
}

// endBackoff makes a cell ready again.
func (m *Machine) endBackoff(c *cell) {
	if c.timerIndex >= 0 {
		heap.Remove(&m.backoffs, c.timerIndex)
	}
	if c.mail.len() > 0 {
		m.makeReady(c)
		return
	}
	c.phase = idle
	m.refill(c)
}

// backoffHeap is cells in back-off by the time of their next attempt.
type backoffHeap []*cell

func (h backoffHeap) Len() int           { return len(h) }
func (h backoffHeap) Less(i, j int) bool { return h[i].due < h[j].due }
func (h backoffHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].timerIndex, h[j].timerIndex = i, j
}
func (h *backoffHeap) Push(x any) {
	c := x.(*cell)
	c.timerIndex = len(*h)
	*h = append(*h, c)
}
func (h *backoffHeap) Pop() any {
	old := *h
	c := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	c.timerIndex = -1
	return c
}
