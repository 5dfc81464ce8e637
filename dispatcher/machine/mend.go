package machine

import (
	"container/heap"
	"fmt"
	"slices"

	"github.com/stategate/stategate/api"
)

// What an operator does for an address that does not come on: have it tried now, or have the message at its front set aside. Both look at
// the mailbox as it is when it is known: an address that is not in memory is loaded first, and spilled mail is read back.

// Denial says why what an operator has asked for is not done. Nothing has happened then.
type Denial struct {
	Nothing bool // there is nothing that it could be done to
	Detail  string
	Remedy  string
}

// order is what an operator has asked for, while the mailbox that it is for is not known yet.
type order func(c *cell)

// orders are those that wait, by the cell whose mailbox they wait for.
//
// Spilled mail is read back for one of them at a time, and while there is room: each window is as large as its first message, at least.
type orders struct {
	of      map[*cell][]order
	waiting int
	reading *cell
	unread  fifo[*cell] // that wait for their spilled mail to be read
}

// ordersMax bounds those that wait, each for the store.
const ordersMax = 1000

// mendsMax bounds what operators have asked for that no commit holds yet: pauses, what was tried or skipped, and what they did elsewhere. They
// may go on asking while the store is away.
const mendsMax = 10_000

// denyMend says why an operator is denied whatever it is.
func (m *Machine) denyMend() *Denial {
	if m.mends < mendsMax {
		return nil
	}
	return &Denial{Detail: fmt.Sprintf("%d acts of operators wait for the store already", mendsMax), Remedy: "wait until the store answers"}
}

// mended has the token told when what an operator has just done is durable.
func (m *Machine) mended(token uint64) {
	m.mends++
	m.waitFor(token)
}

// Retry has an address tried now that waits for its next attempt, or behind a breaker, whose next probe it is. said is called once: with
// nil when it is done, and then the token is Done when the commit that notes it is durable.
func (m *Machine) Retry(a api.Address, by string, token uint64, said func(*Denial)) {
	known := m.knows(a)
	m.order(a, said, func(c *cell) *Denial {
		if d := m.hurry(c, !known); d != nil {
			return d
		}
		m.act(by, "retry", "address "+a.String(), "")
		m.mended(token)
		return nil
	})
}

// Skip sets the message at the front of an address aside, if it has this number. It is finished by the commit that holds the dead
// letter, wherever it was kept. said and token are as with Retry.
func (m *Machine) Skip(a api.Address, number uint64, by string, token uint64, said func(*Denial)) {
	m.order(a, said, func(c *cell) *Denial {
		if d := m.denySkip(c, number); d != nil {
			return d
		}
		m.skip(c, by)
		m.act(by, "skip", "address "+a.String(), fmt.Sprintf("message %d", number))
		m.mended(token)
		return nil
	})
}

// order does something to an address's mailbox as soon as that is known, before its next call.
func (m *Machine) order(a api.Address, said func(*Denial), do func(c *cell) *Denial) {
	if err := api.CheckAddress(a); err != nil {
		said(&Denial{Detail: err.Error(), Remedy: "name an address"})
		return
	}
	if d := m.denyFunction(a.Type); d != nil {
		said(d)
		return
	}
	if d := m.denyMend(); d != nil {
		said(d)
		return
	}
	if m.orders.waiting >= ordersMax {
		said(&Denial{Detail: fmt.Sprintf("%d orders wait for the store already", ordersMax), Remedy: "wait until the store answers"})
		return
	}
	if m.functions[a.Type] == nil { // nobody has heard of it; names of requests do not gather
		said(&Denial{Nothing: true, Detail: fmt.Sprintf("nothing waits for %s", a)})
		return
	}
	c := m.cell(a)
	m.orders.of[c] = append(m.orders.of[c], func(c *cell) { said(do(c)) })
	m.orders.waiting++
	c.pins++ // until it is given
	m.obey(c)
}

// ordered reports whether orders wait for a cell's mailbox.
func (m *Machine) ordered(c *cell) bool { return m.orders.waiting > 0 && len(m.orders.of[c]) > 0 }

// obey gives the orders that wait for a cell's mailbox, as long as that is known; else it is read back.
func (m *Machine) obey(c *cell) {
	for m.ordered(c) && c.phase != loading && (c.phase != idle || c.mailLen() == 0) {
		o := m.orders.of[c][0]
		if m.orders.of[c] = m.orders.of[c][1:]; len(m.orders.of[c]) == 0 {
			delete(m.orders.of, c)
		}
		m.orders.waiting--
		o(c)
		c.pins--
	}
	m.settle(c)
}

// refillOrdered reads a mailbox back that an order waits for, when it is its turn.
func (m *Machine) refillOrdered(c *cell) {
	switch asked := len(m.mailLoads); {
	case c.spill.count == 0:
		m.refill(c)
	case m.orders.reading != nil || m.mailBytes+m.askedBytes > m.cfg.MailBytesMax:
		if !c.unread {
			c.unread = true
			m.orders.unread.push(c)
		}
	default:
		if m.refill(c); len(m.mailLoads) > asked {
			m.orders.reading = c
		}
	}
}

// readOrdered goes on with the next ones that wait for their mail.
func (m *Machine) readOrdered() {
	for m.orders.unread.len() > 0 {
		c := m.orders.unread.front()
		waits := m.ordered(c) // else its mail has come otherwise, and it may not be in memory any more
		if waits && (m.orders.reading != nil || m.mailBytes+m.askedBytes > m.cfg.MailBytesMax) {
			return
		}
		m.orders.unread.pop()
		c.unread = false
		if waits {
			m.settle(c)
		}
	}
}

// knows reports whether an address's mailbox is in memory, its front at least.
func (m *Machine) knows(a api.Address) bool {
	c := m.cells[a]
	return c != nil && c.phase != loading && (c.mail.len() > 0 || c.mailLen() == 0)
}

// hurry has a cell called next at its gate. anew: it was read from the store for that.
func (m *Machine) hurry(c *cell, anew bool) *Denial {
	g := c.fn.gate
	switch {
	case c.mailLen() == 0:
		return &Denial{Nothing: true, Detail: fmt.Sprintf("nothing waits for %s", c.address)}
	case c.phase == calling:
		return &Denial{Detail: fmt.Sprintf("a call of %s is out: it is tried right now", c.address), Remedy: "wait until the call has ended"}
	case m.paused(c):
		return &Denial{Detail: fmt.Sprintf("%s is paused", m.pauseText(c)), Remedy: "resume it"}
	case c.phase == ready && c.failedSince == 0 && !g.open && !anew:
		return &Denial{Nothing: true, Detail: fmt.Sprintf("%s waits for no attempt: its turn comes as soon as there is a slot", c.address)}
	}
	if c.timerIndex >= 0 {
		heap.Remove(&m.backoffs, c.timerIndex)
	}
	if c.queued {
		g.leave(c)
	}
	c.phase, c.queued, c.hurried = ready, true, true
	g.goFirst(c)
	if g.open {
		g.nextProbe = min(g.nextProbe, m.now)
	}
	m.pumpLater(g)
	return nil
}

// goFirst puts a cell before all others of the gate that an operator has not asked for.
func (g *gate) goFirst(c *cell) {
	at := 0
	for at < g.retry.len() && g.retry.at(at).hurried {
		at++
	}
	g.retry.set(slices.Insert(g.retry.all(), at, c))
}

// leave takes a cell out of the queue in which it stands.
func (g *gate) leave(c *cell) {
	for _, q := range []*fifo[*cell]{&g.fresh, &g.alone, &g.retry} {
		q.set(slices.DeleteFunc(q.all(), func(o *cell) bool { return o == c }))
	}
	c.queued = false
}

func (m *Machine) pauseText(c *cell) string {
	if m.pausedAddress(c.address) {
		return "address " + c.address.String()
	}
	return "function " + c.fn.name.String()
}

// denySkip says why the message of that number is not skipped.
func (m *Machine) denySkip(c *cell, number uint64) *Denial {
	switch {
	case c.mailLen() == 0:
		return &Denial{Nothing: true, Detail: fmt.Sprintf("nothing waits for %s", c.address)}
	case c.phase == calling:
		return &Denial{Detail: fmt.Sprintf("a call of %s is out, and may still succeed", c.address), Remedy: "pause the address, or wait until the call has failed"}
	case c.mail.front().number != number && number >= m.nextNumber: // a slip of the finger: it was never drawn
		return &Denial{Detail: fmt.Sprintf("no message has number %d: %s", number, m.frontText(c)), Remedy: "look at the address again: it tells the number of the message at its front"}
	case c.mail.front().number != number:
		return &Denial{Detail: fmt.Sprintf("%s, not %d", m.frontText(c), number), Remedy: "look at the address again: the message may have been called meanwhile"}
	case number >= m.numbersBelow:
		return &Denial{Detail: fmt.Sprintf("no message has number %d for good yet", number), Remedy: "look at the address again: its number is known within some seconds"}
	case m.deadFull(c.fn.dead):
		return &Denial{Detail: fmt.Sprintf("dead letters of %s have reached their bound", c.fn.name), Remedy: "replay or discard some"}
	}
	return nil
}

// frontText says which message is at the front, if it has its number for good.
func (m *Machine) frontText(c *cell) string {
	if number := m.lasting(c.mail.front().number); number != 0 {
		return fmt.Sprintf("message %d is at the front of %s now", number, c.address)
	}
	return fmt.Sprintf("one whose number is not for good yet is at the front of %s now", c.address)
}

// skip sets the message at the front aside. What is behind it begins anew, as behind one that the function has been found to fail on.
func (m *Machine) skip(c *cell, by string) {
	msg := c.mail.pop()
	m.mailBytes -= msg.size
	why := "no attempt has failed"
	if c.failedSince != 0 {
		why = fmt.Sprintf("%s failed, the last one with: %s", counted(int64(c.attempts), "attempt", "attempts"), c.lastError)
	}
	m.setAside(m.letterOf(c, msg, "skipped by an operator", fmt.Sprintf("%s; skipped by %s", why, by)), c.fn.dead)
	m.finish(msg)
	if c.timerIndex >= 0 {
		heap.Remove(&m.backoffs, c.timerIndex)
	}
	c.attempts, c.failedSince, c.lastError, c.crowded = 0, 0, "", false
	c.trial.alone, c.trial.faultTo, c.trial.wrongAt = 0, 0, 0
	c.batch = 0
	c.passTrial()
	m.proceed(c)
}

// letterOf is the dead letter of a message of the cell.
func (m *Machine) letterOf(c *cell, msg *message, reason, detail string) api.DeadLetter {
	d := api.DeadLetter{
		Kind: api.DeadMessage, From: cutText(c.fn.name.String()), Reason: reason, Detail: cutText(detail),
		Address: msg.Target, Caller: msg.Caller, TypeName: msg.Argument.TypeName, Value: msg.Argument.Value, NoValue: !msg.Argument.HasValue,
	}
	if msg.origin != nil {
		d.Source, d.Offset = msg.origin.id, msg.offset
	}
	return d
}
