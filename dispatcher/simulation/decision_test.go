package simulation_test

import (
	"cmp"
	"maps"
	"slices"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/egress"
)

// A sink that has lost the cursor of a lane, or has one that is not of this store's past, makes the lane stand still until an operator
// decides. From then on some outputs may be there twice, or missing: which ones follows from what he has decided, and nothing else is.

// jump is a decision as the sink has it: outputs below from had come to their end, and it goes on with to.
type jump struct {
	at       int // so many outputs had been taken
	from, to uint64
	deliver  egress.Delivery
}

// laneNumber is the place of an output.
type laneNumber struct {
	lane   string
	number uint64
}

// spoilCursor has a sink forget a lane's cursor, or hold one of a claim that the store does not know.
func (inc *incarnation) spoilCursor() {
	lane := []string{egressOnce, egressLane}[inc.dice.fault(faultCursor, 2)]
	s, r := inc.sinks[lane], inc.relays[lane]
	if r == nil || !s.cursor.Found || s.spoiled || r.state == relaySent {
		return
	}
	s.spoiled = true
	if inc.dice.fault(faultCursor, 2) == 0 {
		s.cursor = egress.Cursor{}
		inc.tell("the cursor of %s is lost", lane)
	} else {
		s.cursor.Claim = "a claim that nobody has made"
		inc.tell("the cursor of %s was moved under a claim that the store does not know", lane)
	}
	if r.state == relayOpen || r.state == relayReady {
		r.broken("its cursor is not what it was")
	}
}

// decide is what an operator does with a lane that stands still, sooner or later.
func (r *relay) decide() bool {
	inc := r.inc
	rng := drawer(inc.seed, streamDecisions, uint64(inc.at))
	if !inc.calm && rng.IntN(5) > 0 {
		return false
	}
	d := egress.Decision{Deliver: []egress.Delivery{egress.DeliverStored, egress.DeliverNew, egress.DeliverFrom}[rng.IntN(3)]}
	d.From = r.stand.Next + rng.Uint64N(r.stand.Known-r.stand.Next+1)
	next, err := r.stand.Decide(d)
	if err != nil {
		inc.failf("cursor", "%v: %s cannot be decided: %v, of %+v", inc, r.lane.Egress, err, r.stand)
	}
	inc.tell("%v: an operator decides that %s delivers %v: it goes on with %d", inc, r.lane.Egress, d, next)
	inc.seen.decided++
	r.decided, r.delivery, r.state = next, d.Deliver, relayClosed
	return true
}

// obey begins the transaction that writes the cursor where an operator has decided. It carries nothing else.
func (r *relay) obey() {
	inc := r.inc
	if inc.away("the question of an egress who owns the lane") || !inc.owns("its egress") {
		return
	}
	if r.sink.begin(r.epoch) != nil {
		r.broken("fenced by the sink")
		return
	}
	r.sink.open.decided = r.delivery
	r.state = relaySent
}

// obeyed goes on where the cursor is now.
func (r *relay) obeyed() {
	r.skipTo(r.decided)
	r.decided, r.state = 0, relayReady
	if !r.stand.Started {
		r.markStarted()
		return
	}
	r.stand.Resumed, r.resumed = true, true
}

// skipTo leaves out what is below a number.
func (r *relay) skipTo(next uint64) {
	r.batch = slices.DeleteFunc(r.batch, func(n numbered) bool { return n.number < next })
	for len(r.queue) > 0 && r.queue[0].number < next {
		r.queue = r.queue[1:]
	}
	r.at = max(r.at, next)
	r.stand.Next = next
}

// commitOutputs notes what stands in a lane for good, and what of it was set aside: that is no output of this number any more, also when it
// is replayed under another one.
func (l *life) commitOutputs(c *commit) {
	for i := range c.c.DeadLetters {
		if d := &c.c.DeadLetters[i]; d.Kind == api.DeadOutput && d.From != egressLost {
			l.setAside[laneNumber{d.From, uint64(d.Offset)}] = true
		}
	}
	for _, p := range c.c.Outputs {
		all := l.committed[p.Lane.Egress]
		if all == nil {
			all = map[uint64]taken{}
			l.committed[p.Lane.Egress] = all
		}
		for i, o := range p.Outputs {
			n := p.First + uint64(i)
			if before, ok := all[n]; ok {
				l.failf("outputs", "number %d of %s is given to %s, and was %s's", n, p.Lane.Egress, o.Value.Value, before.name)
			}
			all[n] = taken{o.Sender, string(o.Value.Value), n}
		}
	}
}

// checkLane: what readers have got of an exactly-once lane is its outputs in their order, without those that were set aside; what an
// operator has decided moves the place in it, and nothing else does.
func (l *life) checkLane(lane string) {
	s := l.sinks[lane]
	next, jumps := uint64(1), s.jumps
	come := func(to uint64, why string) {
		for ; next < to; next++ {
			if !l.setAside[laneNumber{lane, next}] {
				l.failf("outputs", "output %d of %s, %s, is missing before %s; decisions %+v", next, lane, l.committed[lane][next].name, why, s.jumps)
			}
		}
	}
	for at := 0; ; at++ {
		for ; len(jumps) > 0 && jumps[0].at == at; jumps = jumps[1:] {
			j := jumps[0]
			come(j.from, "a decision")
			if j.deliver == egress.DeliverStored && j.to > j.from || j.deliver == egress.DeliverNew && j.to < j.from {
				l.failf("outputs", "%s goes on with %d of which it had come to %d, and an operator has decided for %v: all that is stored leaves out nothing, and what is new doubles nothing",
					lane, j.to, j.from, egress.Decision{Deliver: j.deliver})
			}
			next = j.to
		}
		if at == len(s.taken) {
			break
		}
		o := s.taken[at]
		if o.number < next || o != l.committed[lane][o.number] {
			l.failf("outputs", "readers of %s got %s as output %d, and %d is next; decisions %+v", lane, o.name, o.number, next, s.jumps)
		}
		come(o.number, o.name)
		next = o.number + 1
	}
	come(s.cursor.Next, "the cursor")
}

// committedOf are the outputs of a lane by their senders, in their order, without those that were set aside.
func (l *life) committedOf(lane string) map[api.Address][]string {
	out := map[api.Address][]string{}
	for _, o := range slices.SortedFunc(maps.Values(l.committed[lane]), func(a, b taken) int { return cmp.Compare(a.number, b.number) }) {
		if !l.setAside[laneNumber{lane, o.number}] {
			out[o.sender] = append(out[o.sender], o.name)
		}
	}
	return out
}
