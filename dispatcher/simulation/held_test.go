package simulation_test

import (
	"slices"

	"github.com/stategate/stategate/statestore"
)

// slack is what a record may hold its source up beyond the bound: until the machine looks again.
const slack = 2000

// checkHeldBack finds records that should not be in their source alone any more, when there is room to keep them.
func (inc *incarnation) checkHeldBack(c *statestore.Commit) {
	b := &inc.bounds
	if inc.cfg.HoldMax == 0 || inc.cfg.KeptBytesMax > 0 {
		return
	}
	for source, nodes := range b.pending {
		for id := range nodes {
			if inc.told-b.late[id] < inc.cfg.HoldMax+slack {
				continue
			}
			if b.overdue[id] {
				inc.boundf("hold-bound", "%v: commit %d leaves node %d in source %v alone, for %d ms by now", inc, c.Number, id, source, inc.told-b.late[id])
			}
			b.overdue[id] = true
		}
	}
}

// checkTimers holds timers in memory within their bound, when a commit has just been confirmed.
func (inc *incarnation) checkTimers() {
	limit, bytesMax := inc.cfg.TimersMax, inc.cfg.TimerBytesMax
	putOff := inc.cfg.DeadLettersMax > 0 || inc.cfg.DeadLetterBytesMax > 0 // some are sent again, which nobody sees
	if limit+bytesMax == 0 || putOff || inc.bounds.timers > 0 || slices.ContainsFunc(inc.asks, func(q *ask) bool { return q.name == "timers" }) {
		return
	}
	n, bytes := inc.m.Gauges().Timers, inc.m.Gauges().TimerBytes
	if limit > 0 && n > limit {
		inc.boundf("timer-bound", "%v: %d timers are in memory, their bound is %d", inc, n, limit)
	}
	if bytesMax > 0 && n > 1 && bytes > bytesMax {
		inc.boundf("timer-bound", "%v: %d timers in memory hold %d bytes, their bound is %d", inc, n, bytes, bytesMax)
	}
}

// checkCache holds what rests in memory within its bound, when nothing else is there.
func (l *life) checkCache() {
	inc, limit := l.owner, l.cfg.CacheBytesMax
	if limit == 0 || len(inc.asks) > 0 || inc.commit != nil {
		return
	}
	bytes, most := 0, 0
	for a := range l.durable.addresses {
		if inc.m.View(a).InMemory {
			weight := 400 + len(a.ID) + 2*len(l.durable.addresses[a].log)
			bytes, most = bytes+weight, max(most, weight)
		}
	}
	if bytes > limit+most {
		l.failf("cache-bound", "%v: addresses at rest hold %d bytes in memory, their bound is %d", inc, bytes, limit)
	}
}
