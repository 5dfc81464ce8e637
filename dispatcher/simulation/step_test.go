package simulation_test

import (
	"math"

	"github.com/stategate/stategate/statestore"
)

// step is what goes wrong, one to three facts for one member, and the work that follows.
func (l *life) step() {
	l.dice.turn(l.at)
	l.trouble()
	inc := l.pick()
	if inc == nil {
		l.pass(nil)
		return
	}
	inc.clients()
	inc.operate()
	inc.mend()
	for range 1 + l.rng.IntN(3) {
		if inc.fact(); inc.over {
			return
		}
	}
	if l.rng.IntN(4) > 0 {
		inc.tellTime()
	}
	inc.work()
	if inc.draining {
		inc.drain()
	}
}

// pick is an incarnation that is awake.
func (l *life) pick() *incarnation {
	var awake []*incarnation
	for _, inc := range l.incs {
		if !inc.member.asleep() {
			awake = append(awake, inc)
		}
	}
	if len(awake) == 0 {
		return nil
	}
	return awake[l.rng.IntN(len(awake))]
}

// trouble is what happens to members, and around them.
func (l *life) trouble() {
	l.awaken()
	if len(l.late) > 0 && (l.calm || l.rng.IntN(12) == 0) {
		l.land(nil)
	}
	for _, e := range []string{egressOnce, egressLane} {
		if s := l.sinks[e]; s.ending != nil && (l.calm || l.rng.IntN(12) == 0) {
			s.land()
			l.tell("the end of a transaction of %s arrives late", e)
		}
	}
	for _, inc := range l.incs {
		for _, s := range l.w.sources {
			if !inc.draining && !inc.member.asleep() {
				inc.discover(s, true)
			}
		}
		if inc.answersRemotely() {
			break
		}
	}
	if l.strikes(faultForward) {
		by := int64(1+l.dice.fault(faultForward, 20)) * 500
		l.now += by
		l.struck(faultForward, l.owner)
		l.tell("time jumps by %d ms", by)
	}
	if l.owner == nil || l.owner.over || l.owner.member.asleep() {
		return
	}
	l.strike(l.owner)
}

// strike is what may befall an owner that is awake.
func (l *life) strike(inc *incarnation) {
	switch {
	case l.strikes(faultCrash):
		l.struck(faultCrash, inc)
		l.tell("%v dies", inc)
		l.kill(inc.member)
	case l.strikes(faultSleep):
		inc.member.wakeAt = l.at + 20 + l.dice.fault(faultSleep, 200)
		l.tell("%v falls asleep", inc)
	case !inc.draining && l.strikes(faultStop):
		l.struck(faultStop, inc)
		l.tell("%v is told to stop", inc)
		inc.draining = true
	case l.strikes(faultStoreSlow):
		inc.slowUntil = l.at + 5 + l.dice.fault(faultStoreSlow, 40)
		l.told[faultStoreSlow] = false
		l.tell("the store takes its time with %v", inc)
	case l.strikes(faultBack):
		inc.member.skew -= int64(1+l.dice.fault(faultBack, 20)) * 500
		l.struck(faultBack, inc)
		l.tell("the clock of %v is set back: it is off by %d ms", inc.member, inc.member.skew)
	case l.strikes(faultRewind):
		inc.rewind()
	case l.strikes(faultDecide):
		inc.decide()
	case l.strikes(faultCursor):
		inc.spoilCursor()
	}
}

// answersRemotely lets the store read for a member that sleeps: the answer waits for it.
func (inc *incarnation) answersRemotely() bool {
	if !inc.member.asleep() || len(inc.asks) == 0 || inc.rng.IntN(4) > 0 || inc.off[faultLoadStale] {
		return false
	}
	if q := inc.asks[inc.rng.IntN(len(inc.asks))]; !q.done {
		inc.readAsk(q)
	}
	return true
}

// rewind begins to read a source again where its committed position is, as a new session of a consumer may.
func (inc *incarnation) rewind() {
	if len(inc.readers) == 0 {
		return
	}
	r := inc.readers[inc.dice.fault(faultRewind, len(inc.readers))]
	if !r.started || r.next == r.from || inc.draining {
		return
	}
	to := r.from + inc.dice.fault(faultRewind, r.next-r.from)
	inc.struck(faultRewind, inc)
	inc.tell("%v: %v brings its records again from %d on", inc, r.s.id, r.s.records[to].Offset)
	r.next = to
}

// decide writes another position down for a source, as an operator may: the one that it has come to. What it has brought and not
// finished must live on as messages.
func (inc *incarnation) decide() {
	if len(inc.readers) == 0 || inc.draining {
		return
	}
	r := inc.readers[inc.dice.fault(faultDecide, len(inc.readers))]
	if !r.started {
		return
	}
	if r.next < r.s.most { // what was brought before may be finished, and is not to be brought again
		return
	}
	inc.struck(faultDecide, inc)
	at := r.s.end
	if r.next < len(r.s.records) {
		at = r.s.records[r.next].Offset
	}
	inc.tell("%v: %v is to be read from %d on", inc, r.s.id, at)
	inc.forced(r.s.id)
	r.started, r.from = false, r.next
	inc.m.Started(statestore.Progress{Source: r.s.id, Start: at}, inc.when(func() { r.started = true }))
}

// fact lets one thing happen; what cannot happen now is drawn again.
func (inc *incarnation) fact() {
	for range 20 {
		happened := false
		switch k := inc.rng.IntN(100); {
		case k < 20:
			happened = inc.arrive()
		case k < 44:
			happened = inc.answerAsk()
		case k < 68:
			happened = inc.answerCall()
		case k < 80:
			happened = inc.commitStep()
		case k < 90:
			happened = inc.relayStep()
		case k < 93:
			happened = inc.renew()
		case k < 95:
			happened = inc.discard()
		default:
			inc.pass(inc)
			happened = true
		}
		if happened || inc.over {
			return
		}
	}
	inc.pass(inc)
}

// pass lets time pass: a little, or up to when the machine wants to be told.
func (l *life) pass(inc *incarnation) {
	switch l.rng.IntN(4) {
	case 0:
		if inc != nil && inc.tick > inc.told && inc.tick < math.MaxInt64 {
			l.now += min(inc.tick-inc.told, 2000)
		} else {
			l.now += l.rng.Int64N(100)
		}
	case 1:
		l.now += l.rng.Int64N(30)
	default:
		l.now += l.rng.Int64N(3)
	}
}

func (inc *incarnation) arrive() bool {
	if len(inc.readers) == 0 || inc.draining {
		return false
	}
	r := inc.readers[inc.rng.IntN(len(inc.readers))]
	if !r.started || r.full || r.next >= len(r.s.records) {
		return false
	}
	n := min(1+inc.rng.IntN(5), len(r.s.records)-r.next)
	batch := r.s.records[r.next : r.next+n]
	inc.tell("%v: %v brings %d..%d", inc, r.s.id, batch[0].Offset, batch[n-1].Offset)
	inc.countArrival(r, batch)
	inc.m.Arrive(r.s.id, batch)
	r.next += n
	r.s.most = max(r.s.most, r.next)
	return true
}

// drain goes through the end of a member in order: calls, deliveries, the last commit.
func (inc *incarnation) drain() {
	switch {
	case inc.strikes(faultCut):
		inc.struck(faultCut, inc)
		inc.stop(inc, "runs out of time to stop")
	case inc.synced:
	case inc.running() || !inc.m.Clean() && !inc.clean:
	default:
		inc.clean = true
		for _, n := range inc.m.Gauges().OutboxRecords {
			if n > 0 {
				return
			}
		}
		inc.synced = true
		inc.m.Sync(inc.when(func() { inc.ended = true }))
	}
	if inc.ended && !inc.over {
		inc.stop(inc, "stops in order")
	}
}

func (inc *incarnation) running() bool {
	for _, f := range inc.calls {
		if !f.again {
			return true
		}
	}
	return false
}
