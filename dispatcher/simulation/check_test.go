package simulation_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// restSteps is how long a life may take to come to rest once nothing goes wrong any more.
const restSteps = 30_000

// rest plays on until everything has come to rest, and what expires has expired.
func (l *life) rest() {
	for from := l.steps; !l.quiet(); {
		if l.steps-from > restSteps {
			l.failf("does not come to rest: %s", l.unrest())
		}
		l.play(16)
	}
	for _, ttl := range []int64{l.w.ttlW, l.w.ttlI} { // expired states are found, and what may be lazy is written
		l.now += ttl + ttl/10 + 1
	}
	for from := l.steps; l.unswept() || !l.quiet(); {
		if l.steps-from > restSteps {
			l.failf("expired states or delivered outputs are still stored: %s", l.unrest())
		}
		l.play(16)
	}
}

func (l *life) play(steps int) {
	for range steps {
		l.step()
	}
}

func (l *life) quiet() bool { return l.unrest() == "" }

// unrest says what has not come to its end.
func (l *life) unrest() string {
	for _, r := range l.readers {
		if r.next < len(r.s.records) {
			return fmt.Sprintf("%v stands at record %d of %d, full %v; %+v", r.s.id, r.next, len(r.s.records), r.full, l.m.Gauges())
		}
	}
	for _, f := range l.calls {
		if f.inc == l.inc {
			return fmt.Sprintf("a call of %v is out", f.call.Target)
		}
	}
	g := l.m.Gauges()
	switch timers, _ := l.store.Timers(context.Background(), statestore.TimerKey{Due: math.MinInt64}, math.MaxInt64, 1); {
	case len(timers) > 0:
		return fmt.Sprintf("timers wait: %+v at %d", timers, l.now)
	case l.commit != nil || !l.m.Clean():
		return "something is uncommitted"
	case g.MailMessages != 0 || g.MailBytes != 0:
		return fmt.Sprintf("%d messages wait, %d bytes in memory; %+v, reasons %v", g.MailMessages, g.MailBytes, g, l.m.Reasons())
	}
	for e, r := range l.relays {
		if len(r.queue) > 0 || g.OutboxBytes[e] != 0 {
			return fmt.Sprintf("egress %s has %d outputs, %d bytes", e, len(r.queue), g.OutboxBytes[e])
		}
	}
	return ""
}

// unswept reports whether the store still has what should have gone by now.
func (l *life) unswept() bool {
	for _, e := range []string{egressOnce, egressLane} {
		if packs, _ := l.store.Outputs(context.Background(), statestore.LaneID{Egress: e}, 0, 1); len(packs) > 0 {
			return true
		}
	}
	for a := range l.durable.addresses {
		found, _ := l.store.States(context.Background(), []api.Address{a})
		for _, v := range found[0].Values {
			if v.Name != stateLog {
				return true
			}
		}
	}
	return false
}

// check judges the whole life by what the store and the sinks hold in the end.
func (l *life) check() {
	claim, ok := l.store.TryAcquire(statestore.Member{ID: "judge"}, nil)
	if !ok {
		l.now++
		claim, _ = l.store.TryAcquire(statestore.Member{ID: "judge"}, nil)
	}
	l.checkLeftovers(claim)
	logs := l.checkLogs()
	ran := l.checkOnce(logs)
	l.checkPartitions(logs)
	l.checkSends(logs)
	l.checkOutputs(logs)
	l.checkDead(ran)
}

func (l *life) checkLeftovers(c *statestore.Claim) {
	if len(c.Packs) > 0 || len(c.Finished) > 0 || len(c.Spilled) > 0 {
		l.failf("left over: packs %+v, marks %v, spilled %+v", c.Packs, c.Finished, c.Spilled)
	}
	for _, lane := range c.Lanes {
		if lane.Low != lane.Next || lane.Bytes != 0 || !lane.Started || lane.Next != l.sinks[lane.Egress].cursor {
			l.failf("lane %+v is not at its end, %d", lane, l.sinks[lane.Egress].cursor)
		}
	}
	for _, s := range l.w.sources {
		at := slices.IndexFunc(c.Progress, func(p statestore.Progress) bool { return p.Source == s.id })
		if at < 0 {
			l.failf("%v has no progress", s.id)
		}
		p := c.Progress[at]
		if p.Position() != s.end {
			l.failf("%v is finished up to %d, want %d", s.id, p.Position(), s.end)
		}
		for _, t := range p.Targets {
			if len(t.Done.Above) > 0 {
				l.failf("%v: ranges %v above the watermark of %s", s.id, t.Done.Above, t.Key)
			}
		}
	}
}

// checkLogs reads what every address says it was called with, and compares it with what it must say.
func (l *life) checkLogs() map[api.Address][]int {
	logs := map[api.Address][]int{}
	for _, t := range l.w.types {
		for _, id := range l.w.ids {
			a := api.Address{Type: t, ID: id}
			found, err := l.store.States(context.Background(), []api.Address{a})
			if err != nil {
				l.failf("states: %v", err)
			}
			for _, v := range found[0].Values {
				if v.Name == stateLog {
					logs[a] = decodeLog(v.Value)
				}
			}
			if !slices.Equal(logs[a], l.durable.addresses[a].log) {
				l.failf("%v has the log %v, want %v", a, logs[a], l.durable.addresses[a].log)
			}
		}
	}
	return logs
}

// checkOnce finds messages that were lost or doubled, and cancelled ones that ran.
func (l *life) checkOnce(logs map[api.Address][]int) map[int]bool {
	ran := map[int]bool{}
	for a, log := range logs {
		for _, id := range log {
			if n := l.w.nodes[id]; count(log, id) != n.times() || n.target != a {
				l.failf("node %d runs %d times at %v, want %d", id, count(log, id), a, n.times())
			}
			ran[id] = true
		}
	}
	for _, n := range l.w.nodes {
		if n.stray {
			continue
		}
		if n.parent == nil {
			if !ran[n.id] {
				l.failf("record %d of %v, node %d, was lost", n.offset, l.w.sources[n.source].id, n.id)
			}
			continue
		}
		must, may := l.expected(n, ran)
		if must && !ran[n.id] {
			l.failf("node %d to %v, sent by %d, was lost", n.id, n.target, n.parent.id)
		}
		if !may && ran[n.id] {
			l.failf("node %d to %v ran, though it was never sent, or was cancelled", n.id, n.target)
		}
	}
	return ran
}

// expected says whether a sent message must have run, and whether it may.
func (l *life) expected(n *node, ran map[int]bool) (must, may bool) {
	if !ran[n.parent.id] {
		return false, false
	}
	at := slices.IndexFunc(n.parent.acts, func(a act) bool { return a.child == n })
	a := n.parent.acts[at]
	if a.kind == actSend || a.token == "" {
		return true, true
	}
	due := l.durable.applied[n.parent.id].now + a.delay
	end, ended := l.tokenEnd(n.parent, at, a.token, ran)
	switch {
	case !ended:
		return true, true
	case end < due:
		return false, false
	}
	return false, true // whichever came first
}

// tokenEnd is when the token of a node's act was cancelled or used again by its sender id, if ever.
func (l *life) tokenEnd(n *node, at int, token string, ran map[int]bool) (now int64, ok bool) {
	first := [3]int{math.MaxInt}
	mine := l.place(n, at)
	for _, o := range l.w.nodes {
		if !ran[o.id] || o.target.ID != n.target.ID {
			continue
		}
		for i, a := range o.acts {
			if (a.kind != actDelay && a.kind != actCancel) || a.token != token {
				continue
			}
			if p := l.place(o, i); slices.Compare(p[:], mine[:]) > 0 && slices.Compare(p[:], first[:]) < 0 {
				first, now, ok = p, l.durable.applied[o.id].now, true
			}
		}
	}
	return now, ok
}

// place orders acts by when they came into memory.
func (l *life) place(n *node, at int) [3]int {
	app := l.durable.applied[n.id]
	return [3]int{app.step, app.order, at}
}

// checkPartitions: records of one partition reach one address in order.
func (l *life) checkPartitions(logs map[api.Address][]int) {
	for a, log := range logs {
		last := map[int]int64{}
		for _, id := range log {
			n := l.w.nodes[id]
			if n.parent != nil {
				continue
			}
			if before, ok := last[n.source]; ok && (n.offset < before || n.offset == before && !n.twin) {
				l.failf("%v was called with record %d of source %d after %d", a, n.offset, n.source, before)
			}
			last[n.source] = n.offset
		}
	}
}

// checkSends: messages from one sender reach one address in order; delayed ones in the order in which they are due.
func (l *life) checkSends(logs map[api.Address][]int) {
	type place struct {
		due int64
		seq [3]int
	}
	for a, log := range logs {
		last := map[api.Address][3]int{}
		lastDelayed := map[api.Address]place{}
		for _, id := range log {
			n := l.w.nodes[id]
			if n.parent == nil {
				continue
			}
			at := slices.IndexFunc(n.parent.acts, func(c act) bool { return c.child == n })
			seq, from := l.place(n.parent, at), n.parent.target
			if n.parent.acts[at].kind == actSend {
				if before, ok := last[from]; ok && slices.Compare(before[:], seq[:]) > 0 {
					l.failf("%v was called with node %d of %v too late", a, id, from)
				}
				last[from] = seq
				continue
			}
			p := place{l.durable.applied[n.parent.id].now + n.parent.acts[at].delay, seq}
			if before, ok := lastDelayed[from]; ok && (before.due > p.due || before.due == p.due && slices.Compare(before.seq[:], p.seq[:]) > 0) {
				l.failf("%v was called with the delayed node %d of %v too late", a, id, from)
			}
			lastDelayed[from] = p
		}
	}
}

// checkOutputs: each sender's outputs to each egress are there once, in the order of its calls.
func (l *life) checkOutputs(logs map[api.Address][]int) {
	for egress, s := range l.sinks {
		got := map[api.Address][]string{}
		for _, o := range s.taken {
			got[o.sender] = append(got[o.sender], o.name)
		}
		for a, log := range logs {
			var want []string
			for _, id := range log {
				for at, act := range l.w.nodes[id].acts {
					if name := outputName(l.w.nodes[id], at); act.kind == actOutput && act.egress == egress && !s.refused[name] {
						want = append(want, name)
					}
				}
			}
			if egress == egressNone && l.seen.crashes > 0 { // some may be lost, none doubled, none out of order
				want = slices.DeleteFunc(want, func(name string) bool { return !slices.Contains(got[a], name) })
			}
			if !slices.Equal(got[a], want) {
				l.failf("%v wrote %v to %s, want %v", a, got[a], egress, want)
			}
		}
	}
}

// checkDead: whatever nobody can take was set aside, once.
func (l *life) checkDead(ran map[int]bool) {
	want := map[string]int{}
	for _, n := range l.w.nodes {
		switch {
		case n.stray && n.parent == nil:
			want[fmt.Sprintf("r%d/%d", n.source, n.offset)]++
		case n.stray && ran[n.parent.id]:
			want["n"+strconv.Itoa(n.id)]++
		}
		for at, a := range n.acts {
			if ran[n.id] && a.kind == actOutput && a.egress == egressLost {
				want[outputName(n, at)]++
			}
		}
	}
	for _, s := range l.w.sources {
		for i := range s.records {
			if d := s.records[i].Dead; d != nil {
				want[string(d.Value)]++
			}
		}
	}
	for _, s := range l.sinks {
		for name := range s.refused {
			want[name]++
		}
	}
	dead, _ := l.store.DeadLetters(context.Background(), 0, 1<<30)
	for i := range dead {
		name := string(dead[i].Value)
		if want[name]--; want[name] < 0 {
			l.failf("%q was set aside more often than it should: %+v", name, dead[i])
		}
	}
	for name, n := range want {
		if n > 0 {
			l.failf("%q was not set aside", name)
		}
	}
}
