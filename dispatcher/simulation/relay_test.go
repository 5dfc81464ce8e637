package simulation_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// sink is where outputs end. The cursor is kept with what was taken, as Kafka keeps it in the same transaction.
type sink struct {
	cursor  uint64
	taken   []taken
	refused map[string]bool
}

type taken struct {
	sender api.Address
	name   string
}

// relay delivers one lane's outputs in one incarnation.
type relay struct {
	lane    statestore.LaneID
	outbox  bool
	started bool
	waiting bool // for a token
	queue   []numbered
	next    uint64          // number of the next output that is offered
	refused map[uint64]bool // set aside, durably
	told    uint64
}

type numbered struct {
	number uint64
	output api.Output
}

func (l *life) startRelays() {
	l.relays = map[string]*relay{egressNone: {lane: statestore.LaneID{Egress: egressNone, Slot: -1}, started: true, next: 1, refused: map[uint64]bool{}}}
	for _, lane := range l.claim.Lanes {
		r := &relay{lane: lane.LaneID, outbox: true, started: lane.Started, next: lane.Next, refused: map[uint64]bool{}, told: lane.Low}
		l.relays[lane.Egress] = r
		if !lane.Started {
			r.waiting = true
			l.m.LaneStarted(lane.LaneID, l.when(func() { r.started, r.waiting = true, false }))
		}
		packs, err := l.store.Outputs(context.Background(), lane.LaneID, lane.Low, 1<<30)
		if err != nil {
			l.failf("outputs: %v", err)
		}
		for _, p := range packs {
			for i, o := range p.Outputs {
				r.queue = append(r.queue, numbered{p.First + uint64(i), o})
			}
			for _, n := range p.Refused {
				r.refused[n] = true
				o := p.Outputs[n-p.First]
				l.sinks[lane.Egress].refused[string(o.Value.Value)] = true
			}
		}
		if len(r.queue) > 0 && r.queue[len(r.queue)-1].number+1 != lane.Next {
			l.failf("lane %v ends at %d, its next is %d", lane.LaneID, r.queue[len(r.queue)-1].number, lane.Next)
		}
	}
}

// offer takes outputs that the machine has released: they must be durable, and continue the lane.
func (l *life) offer(p statestore.OutputPack) {
	r := l.relays[p.Lane.Egress]
	if r == nil || r.lane != p.Lane {
		l.failf("outputs for a lane %v that nobody has", p.Lane)
	}
	if p.First != r.next {
		l.failf("lane %v goes on at %d, want %d", p.Lane, p.First, r.next)
	}
	for i, o := range p.Outputs {
		if id, _ := parseOutput(string(o.Value.Value)); !slices.Contains(l.durable.addresses[o.Sender].log, id) {
			l.failf("output %s of %v leaves before its commit", o.Value.Value, o.Sender)
		}
		r.queue = append(r.queue, numbered{p.First + uint64(i), o})
	}
	r.next += uint64(len(p.Outputs))
}

// relayStep delivers some outputs of one lane, or tells the machine how far it is.
func (l *life) relayStep() bool {
	r := l.relays[[]string{egressOnce, egressLane, egressNone}[l.rng.IntN(3)]]
	if !r.started || r.waiting {
		return false
	}
	s := l.sinks[r.lane.Egress]
	if len(r.queue) == 0 || l.rng.IntN(3) == 0 {
		if r.told >= s.cursor || !r.outbox && len(r.queue) > 0 {
			return false
		}
		r.told = s.cursor
		below := s.cursor
		if !r.outbox {
			below = r.next
		}
		l.m.Delivered(r.lane, below)
		return true
	}
	for range 1 + l.rng.IntN(4) {
		if len(r.queue) == 0 || r.waiting {
			break
		}
		l.deliver(r, s)
	}
	return true
}

func (l *life) deliver(r *relay, s *sink) {
	n := r.queue[0]
	name := string(n.output.Value.Value)
	switch {
	case r.outbox && n.number < s.cursor: // delivered before a crash
		l.seen.skipped++
	case r.outbox && n.number > s.cursor:
		l.failf("lane %v: output %d after %d", r.lane, n.number, s.cursor-1)
	case r.refused[n.number]:
		s.cursor++
	case r.outbox && !l.calm && l.rng.IntN(100) < l.faults.refuse:
		r.waiting = true
		l.seen.refusals++
		dead := api.DeadLetter{
			Kind: api.DeadOutput, From: r.lane.Egress, Reason: "refused", Offset: int64(n.number), Address: n.output.Sender, Value: n.output.Value.Value,
		}
		l.m.Refused(r.lane, []api.DeadLetter{dead}, l.when(func() {
			r.waiting = false
			r.refused[n.number] = true
			s.refused[name] = true
		}))
		return
	default:
		s.cursor++
		s.taken = append(s.taken, taken{n.output.Sender, name})
	}
	r.queue = r.queue[1:]
}

func parseOutput(name string) (node, at int) {
	a, b, _ := strings.Cut(name, ".")
	node, err1 := strconv.Atoi(a)
	at, err2 := strconv.Atoi(b)
	if err1 != nil || err2 != nil {
		panic(fmt.Sprintf("output %q is none of this world's", name))
	}
	return node, at
}
