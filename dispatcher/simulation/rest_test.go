package simulation_test

import (
	"context"
	"fmt"
	"math"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// Nothing waits for ever once faults stop.

// restSteps is how long a life may take to come to rest then.
const restSteps = 30_000

// rest plays on until everything has come to rest, and what expires has expired.
func (l *life) rest() {
	for from := l.at; !l.quiet(); {
		if l.at-from > restSteps {
			l.failf("liveness", "does not come to rest: %s", l.unrest())
		}
		l.play(16)
	}
	for _, ttl := range []int64{l.w.ttlW, l.w.ttlI} { // expired states are found, and what may be lazy is written
		l.now += ttl + ttl/10 + 1
	}
	for from := l.at; l.unswept() != "" || !l.quiet(); {
		if l.at-from > restSteps {
			l.failf("liveness", "still stored: %s%s", l.unswept(), l.unrest())
		}
		l.play(16)
	}
	for from := l.at; (len(l.owner.asks) > 0 || l.owner.commit != nil) && l.at-from < 1000; { // a commit holds what it writes in memory
		l.play(1)
	}
	l.checkCache()
}

func (l *life) play(steps int) {
	for range steps {
		l.at++
		l.step()
	}
}

func (l *life) quiet() bool { return l.unrest() == "" }

// unrest says what has not come to its end.
func (l *life) unrest() string {
	inc := l.owner
	switch {
	case inc == nil || inc.over:
		return "nobody works on the store"
	case l.w.waits() != "":
		return l.w.waits()
	case len(l.incs) > 1:
		return fmt.Sprintf("%d members work on the store", len(l.incs))
	case inc.draining:
		return fmt.Sprintf("%v stops", inc)
	case len(inc.readers) < len(l.w.sources):
		return fmt.Sprintf("%d of %d sources are read", len(inc.readers), len(l.w.sources))
	case len(inc.calls) > 0:
		return fmt.Sprintf("a call of %v is out", inc.calls[0].call.Target)
	}
	for _, r := range inc.readers {
		if r.next < len(r.s.records) || !r.started {
			return fmt.Sprintf("%v stands at record %d of %d, full %v; %+v", r.s.id, r.next, len(r.s.records), r.full, inc.m.Gauges())
		}
	}
	g := inc.m.Gauges()
	switch timers, _ := inc.handle.Timers(context.Background(), statestore.TimerKey{Due: math.MinInt64}, math.MaxInt64, 1); {
	case len(timers) > 0:
		return fmt.Sprintf("timers wait: %+v, the machine was told %d", timers, inc.told)
	case inc.commit != nil || !inc.m.Clean():
		return "something is uncommitted"
	case g.MailMessages != 0 || g.MailBytes != 0:
		return fmt.Sprintf("%d messages wait, %d bytes in memory; %+v, reasons %v", g.MailMessages, g.MailBytes, g, inc.m.Reasons())
	}
	for e, r := range inc.relays {
		if r.busy() || g.OutboxBytes[e] != 0 || r.cursor && (!r.resumed || r.sink.spoiled || r.decided > 0) || len(r.batch) > 0 {
			return fmt.Sprintf("egress %s is delivered up to %d of %d, %d bytes wait", e, r.stand.Next, r.stand.Known, g.OutboxBytes[e])
		}
	}
	return ""
}

// unswept says what the store still has that should have gone by now.
func (l *life) unswept() string {
	h := l.owner.handle
	for _, e := range []string{egressOnce, egressLane, egressLeast} {
		if packs, _ := h.Outputs(context.Background(), statestore.LaneID{Egress: e}, 0, 1); len(packs) > 0 {
			return fmt.Sprintf("delivered outputs of %s from %d on", e, packs[0].First)
		}
	}
	var all []api.Address
	for _, t := range l.w.types {
		for _, id := range l.w.ids {
			all = append(all, api.Address{Type: t, ID: id})
		}
	}
	found, err := h.States(context.Background(), all)
	if err != nil {
		l.failf("store", "states: %v", err)
	}
	for i := range found {
		for _, v := range found[i].Values {
			if v.Name != stateLog {
				return fmt.Sprintf("state %s of %v, touched at %d; the machine was told %d", v.Name, all[i], v.Touched, l.owner.told)
			}
		}
	}
	return ""
}
