package simulation_test

import (
	"math"
	"slices"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// check judges the whole life by what the store and the sinks hold in the end.
func (l *life) check() {
	h := l.owner.handle
	claim, err := h.take(statestore.Member{ID: "judge"}, nil)
	if err != nil {
		l.failf("store", "the judge takes the store: %v", err)
	}
	l.checkClaim(claim)
	l.checkLeftovers(claim)
	l.checkRows(h)
	logs := l.checkStates(h)
	dead := l.allDead(h)
	ran := l.checkOnce(logs, dead)
	l.checkPartitions(logs)
	l.checkClients(logs)
	l.checkSends(logs)
	l.checkOutputs(logs, dead)
	l.checkDead(ran, dead)
	l.checkEdits()
}

func (l *life) checkLeftovers(c *statestore.Claim) {
	if len(c.Packs) > 0 || len(c.Finished) > 0 || len(c.Spilled) > 0 {
		l.failf("left over", "left over: packs %+v, marks %v, spilled %+v", c.Packs, c.Finished, c.Spilled)
	}
	for _, lane := range c.Lanes {
		if lane.Low != lane.Next || lane.Bytes != 0 || !lane.Started && lane.Egress != egressLeast || lane.Egress != egressLeast && lane.Next != l.sinks[lane.Egress].cursor.Next {
			l.failf("left over", "lane %+v is not at its end, %+v", lane, l.sinks[lane.Egress].cursor)
		}
	}
	for _, s := range l.w.sources {
		at := slices.IndexFunc(c.Progress, func(p statestore.Progress) bool { return p.Source == s.id })
		if at < 0 {
			l.failf("left over", "%v has no progress", s.id)
		}
		p := c.Progress[at]
		if p.Position() != s.end {
			l.failf("left over", "%v is finished up to %d, want %d", s.id, p.Position(), s.end)
		}
		for _, t := range p.Targets {
			if len(t.Done.Above) > 0 {
				l.failf("left over", "%v: ranges %v above the watermark of %s", s.id, t.Done.Above, t.Key)
			}
		}
	}
}

// checkOnce finds messages that were lost or doubled, and cancelled ones that ran.
func (l *life) checkOnce(logs map[api.Address][]int, dead []api.DeadLetter) map[int]bool {
	aside := map[int]bool{}
	for i := range dead {
		if n := l.deadNode(&dead[i]); n != nil {
			aside[n.id] = true
		}
	}
	ran := map[int]bool{}
	for a, log := range logs {
		for _, id := range log {
			if n := l.w.nodes[id]; count(log, id) != n.times() || n.target != a {
				l.failf("once", "node %d runs %d times at %v, want %d", id, count(log, id), a, n.times())
			}
			ran[id] = true
		}
	}
	for _, n := range l.w.nodes {
		if n.stray || n.absent {
			continue
		}
		if ran[n.id] && aside[n.id] {
			l.failf("once", "node %d to %v ran, and was set aside", n.id, n.target)
		}
		if l.durable.skipped[n.id] && !aside[n.id] {
			l.failf("once", "node %d to %v was skipped by an operator, and is no dead letter", n.id, n.target)
		}
		if aside[n.id] && (l.durable.aside[n.id] || l.durable.skipped[n.id] || l.mayLack(n)) {
			continue
		}
		if n.wrong {
			if ran[n.id] {
				l.failf("once", "node %d to %v ran, though its function always fails on it", n.id, n.target)
			}
			continue
		}
		if n.parent == nil && !n.event {
			if !ran[n.id] {
				l.failf("once", "record %d of %v, node %d, was lost", n.offset, l.w.sources[n.source].id, n.id)
			}
			continue
		}
		must, may := l.expected(n, ran)
		if n.event {
			l.checkEvent(n, must, may, ran[n.id])
			continue
		}
		if must && !ran[n.id] {
			l.failf("once", "node %d to %v, sent by %d, was lost", n.id, n.target, n.parent.id)
		}
		if !may && ran[n.id] {
			l.failf("once", "node %d to %v ran, though it was never sent, or was cancelled", n.id, n.target)
		}
	}
	return ran
}

// mayLack reports whether a delayed message may have fired where nobody declared its function.
func (l *life) mayLack(n *node) bool {
	return l.lacked[n.target.Type] && n.parent != nil && slices.ContainsFunc(n.parent.acts, func(a act) bool { return a.child == n && a.kind == actDelay })
}

// expected says whether a sent message must have run, and whether it may.
func (l *life) expected(n *node, ran map[int]bool) (must, may bool) {
	if n.event {
		return n.fate == fateTaken, n.fate != fateNone
	}
	if n.parent == nil {
		return true, true
	}
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
	case end < due: // by no clock was it due when it was cancelled
		return false, false
	}
	return false, true // whichever came first
}

// tokenEnd is when the token of a node's act was cancelled or used again by its sender id, if ever, by the clock that was farthest.
func (l *life) tokenEnd(n *node, at int, token string, ran map[int]bool) (latest int64, ok bool) {
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
				first, latest, ok = p, l.durable.applied[o.id].latest, true
			}
		}
	}
	return latest, ok
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
			if n.parent != nil || n.event || l.durable.revived[id] {
				continue
			}
			if before, ok := last[n.source]; ok && (n.offset < before || n.offset == before && !n.twin) {
				l.failf("order", "%v was called with record %d of source %d after %d", a, n.offset, n.source, before)
			}
			last[n.source] = n.offset
		}
	}
}

// checkSends: messages from one sender reach one address in order; delayed ones in the order in which they are due,
// as long as all members' clocks agree, and none was put off because nobody declared its function.
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
			if n.parent == nil || l.durable.revived[id] {
				continue
			}
			at := slices.IndexFunc(n.parent.acts, func(c act) bool { return c.child == n })
			seq, from := l.place(n.parent, at), n.parent.target
			if n.parent.acts[at].kind == actSend {
				if before, ok := last[from]; ok && slices.Compare(before[:], seq[:]) > 0 {
					l.failf("order", "%v was called with node %d of %v too late", a, id, from)
				}
				last[from] = seq
				continue
			}
			p := place{l.durable.applied[n.parent.id].now + n.parent.acts[at].delay, seq}
			if before, ok := lastDelayed[from]; ok && !l.skewed() && !l.lacked[a.Type] && (before.due > p.due || before.due == p.due && slices.Compare(before.seq[:], p.seq[:]) > 0) {
				l.failf("order", "%v was called with the delayed node %d of %v too late", a, id, from)
			}
			lastDelayed[from] = p
		}
	}
}

// checkOutputs: each sender's outputs to each egress are there once, in the order of its calls. At least once may repeat them, without
// an outbox some are lost with a member's memory, and for both a member that slept may come between.
func (l *life) checkOutputs(logs map[api.Address][]int, dead []api.DeadLetter) {
	aside := map[string]bool{}
	for i := range dead {
		if d := &dead[i]; d.Kind == api.DeadOutput && d.From != egressLost {
			if aside[string(d.Value)] = true; !l.refusals[string(d.Value)] {
				l.failf("dead letters", "output %s was set aside, and no sink has refused it", d.Value)
			}
		}
	}
	for egress, s := range l.sinks {
		got := map[api.Address][]string{}
		for _, o := range s.taken {
			got[o.sender] = append(got[o.sender], o.name)
		}
		if egress == egressOnce || egress == egressLane {
			if l.checkLane(egress); len(s.jumps) > 0 {
				got = l.committedOf(egress)
			}
		}
		for a := range got {
			if len(logs[a]) == 0 {
				l.failf("outputs", "%v wrote %v to %s and was never called", a, got[a], egress)
			}
		}
		for a, log := range logs {
			var want []string
			for _, id := range log {
				for at, act := range l.w.nodes[id].acts {
					if name := outputName(l.w.nodes[id], at); act.kind == actOutput && act.egress == egress && (!aside[name] || egress == egressLeast) {
						want = append(want, name)
					}
				}
			}
			wrote := l.checkAnew(egress, a, got[a], &want, aside)
			l.checkOutputsOf(egress, a, wrote, want, aside)
		}
	}
}

// checkAnew takes outputs that were replayed out of both: they come behind what was committed before them. They are there once, too.
func (l *life) checkAnew(egress string, a api.Address, got []string, want *[]string, aside map[string]bool) []string {
	anew := func(name string) bool { return l.durable.anew[name] }
	for _, name := range *want {
		times := 0
		for _, have := range got {
			if have == name {
				times++
			}
		}
		lost := egress == egressNone && (l.incarnations > 1 || l.seen.table.any(faultSinkLost))
		if anew(name) && !aside[name] && (times == 0 && !lost || times > 1 && egress != egressLeast) {
			l.failf("outputs", "%v has %d times written %s to %s, which was replayed", a, times, name, egress)
		}
	}
	*want = slices.DeleteFunc(*want, anew)
	return slices.DeleteFunc(slices.Clone(got), anew)
}

func (l *life) checkOutputsOf(egress string, a api.Address, got, want []string, aside map[string]bool) {
	switch egress {
	case egressLeast:
		var first []string
		for _, name := range got {
			if !slices.Contains(first, name) {
				first = append(first, name)
			}
		}
		got = first
		want = slices.DeleteFunc(want, func(name string) bool { return aside[name] && !slices.Contains(got, name) })
	case egressNone:
		if l.incarnations > 1 || l.seen.table.any(faultSinkLost) {
			want = slices.DeleteFunc(want, func(name string) bool { return !slices.Contains(got, name) })
		}
	}
	if l.overlapped && (egress == egressLeast || egress == egressNone) {
		got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	}
	if !slices.Equal(got, want) {
		l.failf("outputs", "%v wrote %v to %s, want %v", a, got, egress, want)
	}
}

// skewed reports whether clocks of members have come to differ.
func (l *life) skewed() bool {
	return slices.ContainsFunc(l.members, func(m *member) bool { return m.skew != 0 })
}
