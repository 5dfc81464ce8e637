package simulation_test

import "github.com/stategate/stategate/egress"

// epilogue does to the cursor of a lane what no life survives: its sink forgets it, or its store turns out to be an older copy, which knows
// nothing of what was delivered. Whoever takes the store then must let the lane stand still until an operator has decided.
func (l *life) epilogue() {
	draw := drawer(l.seed, streamEpilogue)
	lane := []string{egressOnce, egressLane}[draw.IntN(2)]
	s, what := l.sinks[lane], ""
	ahead := uint64(1 + draw.IntN(3))
	known := uint64(0) // outputs that are committed under the new claim before the cursor is read
	switch draw.IntN(4) {
	case 0:
		what = "is lost"
		s.cursor = egress.Cursor{}
	case 1:
		what = "was moved under a claim that the store does not know"
		s.cursor.Claim = "a claim that was made after the copy"
	case 2:
		what = "is above all that was committed"
		s.cursor.Next += ahead
	case 3: // the numbers of a store that went back are drawn again
		what = "is above all that was committed at the claim, and not above what was since"
		s.cursor.Next += ahead
		known = ahead + 1
	}
	l.tell("the cursor of %s %s", lane, what)
	m := l.owner.member
	l.leave(l.owner)
	l.owner = nil // the judge has taken the store: what is still on its way is fenced
	l.acquire(m)
	r := l.owner.relays[lane]
	r.doomed = true
	r.stand.Known += known
	if !r.begin() || r.epoch != s.epoch {
		l.failf("cursor", "%v does not begin a session of %s", l.owner, lane)
	}
	if r.resume(); r.state != relayHalted {
		l.failf("cursor", "the cursor of %s %s (%+v), and the lane goes on at %d of %d: %+v", lane, what, s.cursor, r.at, r.stand.Known, r.stand)
	}
}
