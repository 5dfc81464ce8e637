package simulation_test

import (
	"context"
	"errors"
	"math"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/memory"
)

// step is one to three facts and the work that follows.
func (l *life) step() {
	for range 1 + l.rng.IntN(3) {
		l.fact()
	}
	l.steps++
	if !l.calm && l.rng.IntN(1000) < l.faults.crash {
		l.crash()
		return
	}
	if l.rng.IntN(4) > 0 {
		l.m.Tick(l.now)
		l.told = l.now
	}
	l.work()
}

// fact lets one thing happen; what cannot happen now is drawn again.
func (l *life) fact() {
	for range 20 {
		happened := false
		switch k := l.rng.IntN(100); {
		case k < 20:
			happened = l.arrive()
		case k < 45:
			happened = l.answerAsk()
		case k < 70:
			happened = l.answerCall()
		case k < 85:
			happened = l.commitStep()
		case k < 93:
			happened = l.relayStep()
		default:
			l.pass()
			happened = true
		}
		if happened {
			return
		}
	}
	l.pass()
}

// pass lets time pass: a little, or up to when the machine wants to be told.
func (l *life) pass() {
	switch l.rng.IntN(4) {
	case 0:
		if l.tick > l.now && l.tick < math.MaxInt64 {
			l.now = min(l.tick, l.now+2000)
		}
	case 1:
		l.now += l.rng.Int64N(30)
	default:
		l.now += l.rng.Int64N(3)
	}
}

func (l *life) arrive() bool {
	r := l.readers[l.rng.IntN(len(l.readers))]
	if !r.started || r.full || r.next >= len(r.s.records) {
		return false
	}
	n := min(1+l.rng.IntN(5), len(r.s.records)-r.next)
	l.logf("arrive %v %d..%d", r.s.id, r.s.records[r.next].Offset, r.s.records[r.next+n-1].Offset)
	l.m.Arrive(r.s.id, r.s.records[r.next:r.next+n])
	r.next += n
	return true
}

// takeAsks puts questions on their way.
func (l *life) takeAsks(w *machine.Work) {
	ctx := context.Background()
	for _, q := range w.Loads {
		var found []statestore.Loaded
		l.ask("load", func() { found, _ = l.store.States(ctx, q.Addresses) }, func(m *machine.Machine) { m.Loaded(q.ID, found) })
	}
	for _, q := range w.MailLoads {
		var found []statestore.Mail
		l.ask("mail of "+q.Address.String(), func() { found, _ = l.store.Mail(ctx, q.Address, q.From, q.BytesMax) }, func(m *machine.Machine) { m.MailLoaded(q.ID, found) })
	}
	if q := w.TimerLoad; q != nil {
		var found []statestore.Timer
		l.ask("timers", func() { found, _ = l.store.Timers(ctx, q.After, q.Due, q.Limit) }, func(m *machine.Machine) { m.TimersLoaded(q.ID, found) })
	}
	for _, q := range w.Spills {
		var found []api.Address
		var next []byte
		l.ask("spills", func() { found, next, _ = l.store.SpilledAddresses(ctx, q.Function, q.Cursor, q.Limit) }, func(m *machine.Machine) { m.SpillsLoaded(q.ID, found, next) })
	}
	if q := w.Expired; q != nil {
		var found []api.Address
		l.ask("expired", func() { found, _ = l.store.ExpiredAddresses(ctx, q.Before, q.Limit) }, func(m *machine.Machine) { m.Expired(q.ID, found) })
	}
}

func (l *life) ask(name string, read func(), answer func(*machine.Machine)) {
	l.asks = append(l.asks, &ask{inc: l.inc, name: name, read: read, answer: answer})
}

// answerAsk lets the store read for one question, or tells the machine what it has read, which may be a while ago.
func (l *life) answerAsk() bool {
	if len(l.asks) == 0 {
		return false
	}
	at := l.rng.IntN(len(l.asks))
	q := l.asks[at]
	if !q.done {
		q.read()
		q.done = true
		if l.rng.IntN(2) == 0 {
			return true
		}
	}
	l.asks = append(l.asks[:at], l.asks[at+1:]...)
	if q.inc != l.inc {
		l.seen.stale++
	}
	l.logf("answer %s of incarnation %d", q.name, q.inc)
	q.answer(l.m)
	return true
}

func (l *life) answerCall() bool {
	if len(l.calls) == 0 {
		return false
	}
	at := l.rng.IntN(len(l.calls))
	f := l.calls[at]
	if !l.calm && l.rng.IntN(100) < l.faults.hang {
		return true // it takes its time
	}
	l.calls = append(l.calls[:at], l.calls[at+1:]...)
	if f.inc != l.inc {
		l.seen.stale++
		l.m.Replied(f.call.ID, l.w.answer(&f.call))
		return true
	}
	delete(l.busy, f.call.Target)
	if failure, failed := l.fails(&f.call); failed {
		l.logf("call %d of %v fails: %v", f.call.ID.N, f.call.Target, failure.Kind)
		l.m.Failed(f.call.ID, failure)
		return true
	}
	if !l.calm && l.rng.IntN(100) < l.faults.garbage {
		l.logf("call %d of %v answers garbage", f.call.ID.N, f.call.Target)
		l.m.Replied(f.call.ID, l.w.garbage(&f.call))
		return true
	}
	reply := l.w.answer(&f.call)
	l.logf("call %d of %v answers: missing %d, %d sends, %d delayed, %d outputs, %d mutations", f.call.ID.N, f.call.Target,
		len(reply.Missing), len(reply.Sends), len(reply.Delayed), len(reply.Outputs), len(reply.Mutations))
	if !reply.Incomplete {
		if err := l.shadow.replied(l.w, &f.call, f.built, l.told, l.steps); err != nil {
			l.failf("%v", err)
		}
	}
	l.m.Replied(f.call.ID, reply)
	if l.rng.IntN(20) == 0 { // an answer that comes twice
		l.m.Replied(f.call.ID, reply)
	}
	return true
}

// fails draws whether an attempt fails, and how.
func (l *life) fails(c *machine.Call) (machine.Failure, bool) {
	if l.calm {
		return machine.Failure{}, false
	}
	f := machine.Failure{Kind: machine.FailureKind(1 + l.rng.IntN(4)), Text: "on purpose", RetryAfter: []int64{0, 0, 5, 1 << 40}[l.rng.IntN(4)]}
	switch {
	case c.Target.Type == l.faults.down:
		f.Kind = machine.FailEndpoint
	case c.Target == l.faults.poison:
		f.Kind = machine.FailAnswer
	case l.rng.IntN(100) >= l.faults.call:
		return f, false
	}
	return f, true
}

// write brings the commit that is out to the store.
func (l *life) write() {
	c := l.commit
	if !l.calm && l.rng.IntN(100) < l.faults.commit {
		l.fault = memory.Fault(1 + l.rng.IntN(4))
	}
	fault := l.fault
	err := l.store.Commit(context.Background(), c.c)
	switch {
	case err == nil, fault == memory.FaultDone:
		c.written = true
	case errors.Is(err, statestore.ErrDoubt), errors.Is(err, statestore.ErrUnavailable):
	default:
		l.failf("commit %d is refused: %v", c.c.Number, err)
	}
	c.doubt = errors.Is(err, statestore.ErrDoubt)
	l.logf("commit %d is brought with fault %d: %v", c.c.Number, fault, err)
}

// commitStep moves the commit that is out one step on: written, read after doubt, confirmed.
func (l *life) commitStep() bool {
	c := l.commit
	switch {
	case c == nil:
		return false
	case c.doubt:
		l.seen.doubts++
		if l.rng.IntN(3) == 0 && !l.calm { // too long without an answer
			l.crash()
			return true
		}
		n, err := l.store.LastCommit(context.Background(), l.claim.Fence)
		if err != nil {
			l.failf("last commit: %v", err)
		}
		c.doubt, c.written = false, n == c.c.Number
	case !c.written:
		l.write()
	default:
		l.commit, l.durable = nil, c.shadow
		l.logf("committed %d", c.c.Number)
		l.m.Committed(c.c.Number)
	}
	return true
}
