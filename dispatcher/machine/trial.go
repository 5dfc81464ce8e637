package machine

import (
	"fmt"
	"sort"

	"github.com/stategate/stategate/api"
)

// Policy says what becomes of messages that a function keeps failing on.
type Policy uint8

const (
	Retry    Policy = iota // they are tried for ever, and their address waits
	SetAside               // the message at fault becomes a dead letter when the budget is spent
)

// trial finds out which message of a batch a function keeps failing on, for functions whose policy is SetAside.
//
// Only answers of the function itself count against the budget (FailAnswer): the time that such calls took, and the back-off between
// two of them. One call counts for half of it at most, however long it seems to have taken: the clock may be set forward meanwhile, or
// the machine sleep. A success begins the count anew, and so does a failure of the endpoint, also when others have seen it (its
// breaker opened): after a redeploy the function has its whole budget again. A time-out, or no room for a reply, counts nothing.
//
// When the budget is spent the batch is halved at each failure, at once, until one message fails alone; that one has some more
// attempts and is set aside. What fails alone later of the same batch has had its share of the budget and goes the same way. The batch
// always begins at the front of the mailbox, so what is left goes on in order.
//
// The count is not stored: a restart of the gateway begins it anew.
type trial struct {
	spent   int64  // of the budget, in milliseconds
	pause   int64  // back-off after the last wrong answer
	wrongAt int64  // when it came; 0: the last attempt did not end in one
	outages int    // of the endpoint, when it came
	triedTo uint64 // messages up to this number were in every batch that it was spent on; 0: none of it is
	spentTo uint64 // messages up to this number have had the budget; 0: it is not spent
	faultTo uint64 // one of the messages up to this number is at fault; 0: nothing is known
	alone   int    // wrong answers to the message at the front alone, since the budget is spent
}

// aloneMax is how many wrong answers a message has alone, after the budget, before it is set aside. One could be chance.
const aloneMax = 3

// judge takes a failed attempt into account. It reports whether the cell is on its way again; else it is to be tried later.
func (m *Machine) judge(c *cell, f Failure) bool {
	t, gate, last := &c.trial, c.fn.gate, c.mail.at(c.batch-1).number
	c.callSince = max(c.callSince, m.now-max(c.fn.cfg.Budget/2, 1))
	switch f.Kind {
	case FailAnswer:
	case FailEndpoint:
		*t = trial{}
		return false
	default:
		t.wrongAt = 0
		return false
	}
	if t.outages != gate.outages {
		*t = trial{outages: gate.outages}
	}
	if t.spentTo == 0 {
		t.spent += m.now - c.callSince
		if t.wrongAt != 0 {
			t.spent += min(t.pause, c.callSince-t.wrongAt)
		}
		if t.triedTo == 0 || t.triedTo > last {
			t.triedTo = last
		}
	}
	t.wrongAt = max(m.now, 1)
	if t.spent < c.fn.cfg.Budget {
		return false
	}
	if t.spentTo == 0 {
		t.spentTo = last
		c.failedSince, c.attempts = max(m.now, 1), 1 // short pauses again
	}
	t.faultTo = last
	if c.batch > 1 {
		c.attempts = 0
		m.makeReady(c)
		return true
	}
	t.alone++
	switch {
	case t.alone < aloneMax:
		return false
	case m.deadFull(c.fn.dead):
		c.crowded = true
		return false
	}
	m.convict(c, f)
	return true
}

// convict sets the message at the front aside. Its try has changed nothing, and nothing but the message goes.
func (m *Machine) convict(c *cell, f Failure) {
	msg := c.mail.pop()
	m.mailBytes -= msg.size
	d := api.DeadLetter{
		Kind: api.DeadMessage, From: cutText(c.fn.name.String()), Reason: "function keeps failing",
		Detail:  fmt.Sprintf("%s; wrong answers for %d ms, and %d to this message alone", cutText(f.Text), c.trial.spent, c.trial.alone),
		Address: msg.Target, Caller: msg.Caller, TypeName: msg.Argument.TypeName, Value: msg.Argument.Value, NoValue: !msg.Argument.HasValue,
	}
	if msg.origin != nil {
		d.Source, d.Offset = msg.origin.id, msg.offset
	}
	m.setAside(d, c.fn.dead)
	m.finish(msg)
	c.attempts, c.failedSince, c.lastError = 0, 0, ""
	c.trial.alone, c.trial.faultTo = 0, 0
	c.batch = 0
	c.passTrial()
	m.proceed(c)
}

// succeeded takes a success into account.
func (c *cell) succeeded() {
	if c.trial.spentTo == 0 {
		c.trial = trial{}
		return
	}
	c.trial.alone, c.trial.wrongAt = 0, 0
	c.passTrial()
}

// passTrial ends the trial when nothing is left of the batch that it is about.
func (c *cell) passTrial() {
	if t := &c.trial; c.mailLen() == 0 || c.mail.len() > 0 && c.mail.front().number > max(t.triedTo, t.spentTo) {
		*t = trial{}
	}
}

// trialLimit bounds the next batch: half of the messages among which one is at fault, or those that have had the budget, or those that
// it is being spent on, also when their cell was forgotten meanwhile; what is behind them has one of its own. 0: no bound.
func (c *cell) trialLimit() int {
	if c.trial.triedTo == 0 {
		return 0
	}
	c.passTrial() // what comes next may have been in the store alone when the last of its batch passed
	upTo := func(number uint64) int {
		all := c.mail.all()
		return sort.Search(len(all), func(i int) bool { return all[i].number > number })
	}
	if c.trial.spentTo == 0 {
		return upTo(c.trial.triedTo)
	}
	if c.trial.faultTo != 0 {
		if suspects := upTo(c.trial.faultTo); suspects > 0 {
			return max(1, suspects/2)
		}
		c.trial.faultTo = 0 // all of them have passed: it was the batch as a whole
	}
	return upTo(c.trial.spentTo)
}

// trialBytesMax bounds what is remembered of trials whose cells are forgotten because their mail is only in the store. Beyond it the
// count of a cell begins anew when it comes back.
const trialBytesMax = 4 << 20

// keepTrial remembers the trial of a cell that is forgotten.
func (m *Machine) keepTrial(c *cell) {
	if size := trialWeight(c); c.trial != (trial{}) && m.trialBytes+size <= trialBytesMax {
		m.trials[c.address] = c.trial
		m.trialBytes += size
	}
}

// takeTrial gives a new cell what is remembered of it.
func (m *Machine) takeTrial(c *cell) {
	if t, ok := m.trials[c.address]; ok {
		c.trial = t
		delete(m.trials, c.address)
		m.trialBytes -= trialWeight(c)
	}
}

func trialWeight(c *cell) int { return cellOverhead + len(c.address.ID) }
