package simulation_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// takeDead notes what a cut sets aside and discards, and holds both within their bounds.
func (inc *incarnation) takeDead(c *statestore.Commit) {
	b := &inc.bounds
	full := map[string]bool{} // since the cut before this one, whatever was discarded
	for origin, t := range b.dead {
		full[origin] = inc.isFull(t)
	}
	for _, number := range c.DeadEnds {
		d := inc.shadow.letters[number]
		full[d.Origin] = false
		b.countDead(&d, -1)
		if !inc.discards[number] && !inc.replays[number] {
			inc.failf("dead letters", "%v: commit %d ends letter %d, and nobody asked for that", inc, c.Number, number)
		}
	}
	for i := range c.DeadLetters {
		d := &c.DeadLetters[i]
		if full[d.Origin] && d.Kind != api.DeadRecord && d.Origin != api.OriginIngress("sim/in") {
			inc.boundf("dead-bound", "%v: commit %d sets %q aside for %s, whose dead letters were full", inc, c.Number, d.Value, d.Origin)
		}
		b.countDead(d, 1)
		inc.shadow.letters[d.Number] = *d
		if d.Kind == api.DeadMessage && d.Caller.Type == machine.ReplyType {
			inc.shadow.unheard[d.Caller.ID] = true
		}
		if n := inc.deadNode(d); n != nil && n.wrong {
			inc.tell("%v: message %s is set aside: %s", inc, d.Value, d.Detail)
			if d.Reason == "function keeps failing" {
				inc.checkTrial(d, n)
			}
			inc.unpend(n)
			b.gone(n)
			b.unkeep(n)
			inc.shadow.kept[n.id] = true
		}
	}
}

// deadNode is the node of a message that was set aside.
func (l *life) deadNode(d *api.DeadLetter) *node {
	if d.Kind != api.DeadMessage {
		return nil
	}
	return l.w.node(&api.Message{Target: d.Address, Argument: api.TypedValue{Value: d.Value}})
}

func (b *bounds) countDead(d *api.DeadLetter, n int64) {
	t := b.dead[d.Origin]
	t.Letters += n
	t.Bytes += n * int64(d.Size())
	b.dead[d.Origin] = t
}

func (l *life) isFull(t statestore.DeadTotal) bool {
	return l.cfg.DeadLettersMax > 0 && t.Letters >= l.cfg.DeadLettersMax || l.cfg.DeadLetterBytesMax > 0 && t.Bytes >= l.cfg.DeadLetterBytesMax
}

// deadFull reports whether an origin's dead letters may be full, with what is not committed yet.
func (inc *incarnation) deadFull(origin string) bool {
	for _, t := range inc.m.DeadTotals() {
		if t.Origin == origin {
			return inc.isFull(t)
		}
	}
	return false
}

// discard is what an operator does: one after the other, each until it is durable.
func (inc *incarnation) discard() bool {
	if inc.discarding || !inc.calm && inc.rng.IntN(8) > 0 {
		return false
	}
	found, err := inc.handle.DeadLetters(context.Background(), 0, 1+inc.rng.IntN(4))
	if err != nil {
		inc.failf("store", "dead letters: %v", err)
	}
	if len(found) == 0 {
		return false
	}
	d := found[inc.rng.IntN(len(found))]
	inc.tell("%v: an operator discards letter %d, %s", inc, d.Number, d.Value)
	inc.discarding = true
	inc.discards[d.Number] = true
	inc.mending.acts++
	inc.m.Discard([]api.DeadLetter{d}, "op", "one", inc.when(func() { inc.discarding = false }))
	return true
}

// allDead is all that was set aside for good: what the store has, and what was discarded.
func (l *life) allDead(h handle) []api.DeadLetter {
	dead, err := h.DeadLetters(context.Background(), 0, 1<<30)
	if err != nil {
		l.failf("store", "dead letters: %v", err)
	}
	for i := range dead {
		if _, ended := l.durable.discarded[dead[i].Number]; ended {
			l.failf("dead letters", "%q was discarded or replayed and is still there", dead[i].Value)
		}
	}
	for number, gone := range l.durable.discarded {
		if !gone {
			continue // it was replayed
		}
		dead = append(dead, l.durable.letters[number])
	}
	slices.SortFunc(dead, func(a, b api.DeadLetter) int { return int(int64(a.Number) - int64(b.Number)) })
	return dead
}

// checkDead: whatever nobody can take was set aside, once, and nothing else.
func (l *life) checkDead(ran map[int]bool, dead []api.DeadLetter) {
	want, may := map[string]int{}, map[string]int{}
	for _, n := range l.w.nodes {
		must, could := l.expected(n, ran)
		switch {
		case n.absent:
		case l.durable.aside[n.id], l.durable.skipped[n.id]:
			want[n.name(l.w)]++
		case !n.stray && !n.wrong:
			if could && l.mayLack(n) {
				may[n.name(l.w)]++
			}
		case must:
			want[n.name(l.w)]++
		case could:
			may[n.name(l.w)]++
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
	for i := range dead {
		name := string(dead[i].Value)
		if dead[i].Kind == api.DeadOutput && dead[i].From != egressLost { // judged with the outputs: once each
			want[name]++
		}
		if want[name]--; want[name] < 0 {
			if may[name]--; may[name] < 0 {
				l.failf("dead letters", "%q was set aside more often than it should: %+v", name, dead[i])
			}
			want[name] = 0
		}
		l.checkCause(&dead[i])
	}
	for name, n := range want {
		if n > 0 {
			l.failf("dead letters", "%q was not set aside", name)
		}
	}
}

// name is how a dead letter shows the node.
func (n *node) name(w *world) string {
	if n.event {
		return n.eventText()
	}
	if n.parent == nil {
		return fmt.Sprintf("r%d/%d", n.source, n.offset)
	}
	return "n" + strconv.Itoa(n.id)
}

// checkCause holds a message that was set aside against what happened to it.
func (l *life) checkCause(d *api.DeadLetter) {
	n := l.deadNode(d)
	if n == nil {
		return
	}
	caller, reason := api.Address{}, "unknown function"
	if n.parent != nil {
		caller = n.parent.target
	}
	if n.asks {
		caller = n.message().Caller
	}
	if n.wrong && !(l.lacked[n.target.Type] && d.Reason == reason) {
		reason = "function keeps failing"
	}
	if l.durable.skipped[n.id] {
		reason = skippedReason
	}
	if d.Address != n.target || d.Caller != caller || d.Reason != reason {
		l.failf("dead letters", "%q was set aside as %+v, want reason %q, address %v, caller %v", d.Value, d, reason, n.target, caller)
	}
	if d.Source != (api.Source{}) && (n.parent != nil || n.event || d.Source != l.w.sources[n.source].id || d.Offset != n.offset) {
		l.failf("dead letters", "%q was set aside as record %d of %v, want %d", d.Value, d.Offset, d.Source, n.offset)
	}
}
