package simulation_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/egress"
	"github.com/stategate/stategate/statestore"
)

// relay delivers one lane's outputs in one incarnation. What a cursor means the shipped code decides (egress.Standing).
type relay struct {
	inc    *incarnation
	lane   statestore.LaneID
	sink   *sink
	outbox bool
	cursor bool // exactly once

	state    relayState
	epoch    int // of its session at the sink
	stand    egress.Standing
	resumed  bool
	waiting  bool            // for a token
	doomed   bool            // its cursor is such that it must stand still
	delivery egress.Delivery // what he has decided
	decided  uint64          // an operator has decided for this number, and the cursor does not say so yet; 0: for none

	at    uint64     // first number that was not taken
	queue []numbered // a run without gaps; what is left out is read from the store
	room  int
	batch []numbered // taken and not delivered
	sent  int        // of batch, in the transaction that is open
	told  uint64     // delivered, as the machine knows
}

type relayState uint8

const (
	relayClosed relayState = iota
	relayOpen              // it has a session, and does not know the cursor
	relayReady
	relaySent   // a transaction is open, and all is sent
	relayHalted // until an operator decides
)

type numbered struct {
	number uint64
	output api.Output
	aside  bool
}

func (inc *incarnation) startRelays() {
	for _, lane := range inc.claim.Lanes {
		r := &relay{
			inc: inc, lane: lane.LaneID, sink: inc.sinks[lane.Egress], outbox: true, cursor: lane.Egress != egressLeast, room: inc.relayRoom,
			at: lane.Low, told: lane.Low,
			stand: egress.Standing{Claim: inc.claim.Token, Started: lane.Started, Low: lane.Low, Claimed: lane.Next, Known: lane.Next, Next: lane.Low},
		}
		inc.relays[lane.Egress] = r
	}
	none := statestore.LaneID{Egress: egressNone, Slot: egress.NoOutbox}
	inc.relays[egressNone] = &relay{
		inc: inc, lane: none, sink: inc.sinks[egressNone], room: 1 << 30, at: 1, told: 1, stand: egress.Standing{Claimed: 1, Known: 1, Next: 1},
	}
}

// busy reports whether it has something to deliver.
func (r *relay) busy() bool { return r.stand.Next < r.stand.Known }

// offer takes outputs that the machine has released: they must be durable, and continue the lane.
func (inc *incarnation) offer(p statestore.OutputPack) {
	r := inc.relays[p.Lane.Egress]
	if r == nil || r.lane != p.Lane {
		inc.failf("outputs", "outputs for a lane %v that nobody has", p.Lane)
	}
	if p.First != r.stand.Known {
		inc.failf("outputs", "lane %v goes on at %d, want %d", p.Lane, p.First, r.stand.Known)
	}
	for i, o := range p.Outputs {
		if id, _ := parseOutput(string(o.Value.Value)); !slices.Contains(inc.durable.addresses[o.Sender].log, id) {
			inc.failf("release", "output %s of %v leaves before its commit", o.Value.Value, o.Sender)
		}
		n := numbered{number: p.First + uint64(i), output: o}
		if end := r.at + uint64(len(r.queue)); end == n.number && len(r.queue) < r.room {
			r.queue = append(r.queue, n)
		}
	}
	r.stand.Known += uint64(len(p.Outputs))
	inc.bounds.released(&p)
	inc.judgeChoke()
}

// relayStep does one thing for one lane.
func (inc *incarnation) relayStep() bool {
	r := inc.relays[[]string{egressOnce, egressLane, egressLeast, egressNone}[inc.rng.IntN(4)]]
	switch {
	case r.waiting:
		return false
	case r.told < r.stand.Next && inc.rng.IntN(3) == 0:
		r.told = r.stand.Next
		inc.bounds.delivered(r.lane.Egress, r.told)
		inc.judgeChoke()
		inc.m.Delivered(r.lane, r.told)
	case !r.cursor:
		return r.sendAlone()
	case r.state == relayHalted:
		return r.decide()
	case r.state == relayClosed:
		return r.begin()
	case r.state == relayOpen && r.decided > 0:
		r.obey()
	case r.state == relayOpen:
		r.resume()
	case r.state == relaySent:
		r.commit()
	case !r.busy():
		return false
	default:
		r.deliver()
	}
	return true
}

// begin opens a session, if the lane is still its own.
func (r *relay) begin() bool {
	inc := r.inc
	if inc.away("the question of an egress who owns the lane") {
		return false
	}
	if !inc.owns("its egress") {
		return true
	}
	r.epoch = r.sink.session(inc.rng.IntN(2) == 0)
	r.state = relayOpen
	inc.tell("%v: session %d of %s", inc, r.epoch, r.lane.Egress)
	return true
}

// broken ends a session: what became of its transaction only the cursor tells.
func (r *relay) broken(how string) {
	r.state, r.sent = relayClosed, 0
	r.inc.tell("%v: session %d of %s ends: %s", r.inc, r.epoch, r.lane.Egress, how)
}

// resume reads the cursor back and does what it means.
func (r *relay) resume() {
	inc := r.inc
	if inc.strikes(faultSinkCursor) {
		inc.struck(faultSinkCursor, inc)
		inc.tell("%v: the cursor of %s is not told", inc, r.lane.Egress)
		return
	}
	c := r.sink.cursor
	if inc.away("the question of an egress who owns the lane") || !inc.owns("its egress") {
		return
	}
	remembered := false
	if r.stand.Asks(c) {
		var err error
		if remembered, err = inc.handle.Claimed(context.Background(), c.Claim); err != nil {
			inc.failf("store", "claimed: %v", err)
		}
	}
	verdict := r.stand.Judge(c, remembered)
	inc.tell("%v: the cursor of %s is %d (found %v), next is %d", inc, r.lane.Egress, c.Next, c.Found, r.stand.Next)
	if r.sink.spoiled && verdict < egress.CursorLost && (verdict != egress.CursorBegins || r.stand.Started) {
		inc.failf("cursor", "%v: the cursor of %s is %+v, which means nothing, and its verdict %d: %+v", inc, r.lane.Egress, c, verdict, r.stand)
	}
	switch verdict {
	case egress.CursorBegins:
		if r.sink.begin(r.epoch) != nil {
			r.broken("fenced by the sink")
			return
		}
		if r.sink.spoiled {
			r.sink.jumps = nil // the cursor is gone, and the store had not heard of what was decided: nothing says that the lane has begun
		}
		r.state = relaySent
		return
	case egress.CursorStarts:
		r.markStarted()
	case egress.CursorMeets:
	case egress.CursorSkips:
		inc.seen.skipped += int(c.Next - r.stand.Next)
		r.skipTo(c.Next)
	default:
		if r.sink.spoiled {
			inc.struck(faultCursor, inc)
		} else if again := !r.stand.Started && len(r.sink.jumps) > 0; !r.doomed && !again {
			// again: whoever wrote what was decided was gone before the store knew that the lane is started, so it is decided once more
			inc.failf("cursor", "%v: the cursor of %s is %+v, and its verdict %d: %+v", inc, r.lane.Egress, c, verdict, r.stand)
		}
		r.state = relayHalted
		return
	}
	r.stand.Resumed = true
	r.resumed, r.state = r.stand.Started, relayReady
}

// markStarted makes durable that the first cursor is written.
func (r *relay) markStarted() {
	r.waiting = true
	r.inc.m.LaneStarted(r.lane, r.inc.when(func() { r.waiting, r.stand.Started, r.stand.Resumed, r.resumed = false, true, true, true }))
}

// fill takes a batch, from memory or from the store.
func (r *relay) fill() bool {
	inc := r.inc
	if len(r.batch) > 0 {
		return true
	}
	if len(r.queue) == 0 || r.queue[0].number > r.at {
		if inc.away("the question for outputs") {
			return false
		}
		packs, err := inc.handle.Outputs(context.Background(), r.lane, r.at, inc.relayBytes)
		if err != nil {
			inc.failf("store", "outputs: %v", err)
		}
		r.queue = nil
		for _, p := range packs {
			for i, o := range p.Outputs {
				n := p.First + uint64(i)
				if n == r.at+uint64(len(r.queue)) && n < r.stand.Known {
					r.queue = append(r.queue, numbered{n, o, slices.Contains(p.Refused, n)})
				}
			}
		}
		if len(r.queue) == 0 && inc.owner != inc {
			return false // whoever took over has delivered it: soon this one is told
		}
		if len(r.queue) == 0 {
			inc.failf("outputs", "output %d of %s is committed and not there; known are %d", r.at, r.lane.Egress, r.stand.Known)
		}
	}
	n := min(1+inc.rng.IntN(4), len(r.queue))
	r.batch = slices.Clone(r.queue[:n])
	r.queue = r.queue[n:]
	r.at += uint64(n)
	return true
}

// deliver begins a transaction and sends a batch.
func (r *relay) deliver() {
	inc := r.inc
	if !r.fill() || r.refuses() {
		return
	}
	if inc.strikes(faultSinkBegin) {
		inc.struck(faultSinkBegin, inc)
		r.broken("the connection is lost before a transaction begins")
		return
	}
	if r.sink.begin(r.epoch) != nil {
		r.broken("fenced by the sink")
		return
	}
	for i := range r.batch {
		n := &r.batch[i]
		if inc.strikes(faultSinkSend) {
			inc.struck(faultSinkSend, inc)
			r.broken("the connection is lost while outputs are sent")
			return
		}
		if n.aside {
			continue
		}
		if r.sink.send(r.epoch, taken{n.output.Sender, string(n.output.Value.Value), n.number}) != nil {
			r.broken("fenced by the sink")
			return
		}
	}
	r.state = relaySent
}

// refuses sets an output aside that the sink will never take, before anything behind it goes.
func (r *relay) refuses() bool {
	inc := r.inc
	for i := range r.batch {
		n := &r.batch[i]
		if n.aside || !r.outbox || !inc.strikes(faultSinkRefuse) {
			continue
		}
		inc.struck(faultSinkRefuse, inc)
		name := string(n.output.Value.Value)
		inc.tell("%v: %s refuses output %d, %s", inc, r.lane.Egress, n.number, name)
		r.waiting = true
		inc.refusals[name] = true
		dead := api.DeadLetter{
			Kind: api.DeadOutput, From: r.lane.Egress, Reason: "refused", Offset: int64(n.number), Address: n.output.Sender, Value: n.output.Value.Value,
		}
		inc.m.Refused(r.lane, []api.DeadLetter{dead}, inc.when(func() {
			r.waiting = false
			n.aside = true
		}))
		return true
	}
	return false
}

// commit ends the transaction, with the cursor behind the batch.
func (r *relay) commit() {
	inc := r.inc
	c := r.next()
	switch {
	case inc.strikes(faultSinkLost):
		inc.struck(faultSinkLost, inc)
		r.broken("the connection is lost, and the transaction is not committed")
		return
	case inc.strikes(faultSinkLate):
		inc.struck(faultSinkLate, inc)
		r.sink.late(r.epoch, c)
		r.broken("the connection is lost, and the transaction's end is on its way")
		return
	}
	silent := inc.strikes(faultSinkDone)
	if r.sink.commit(r.epoch, c) != nil {
		r.broken("fenced by the sink")
		return
	}
	if silent {
		inc.struck(faultSinkDone, inc)
		r.broken("the connection is lost, and the transaction is committed")
		return
	}
	if r.decided > 0 {
		r.obeyed()
		return
	}
	r.state = relayReady
	inc.tell("%v: %s has all below %d", inc, r.lane.Egress, c.Next)
	if !r.stand.Started { // the first cursor
		r.markStarted()
		return
	}
	r.batch, r.stand.Next = nil, c.Next
}

func (r *relay) next() egress.Cursor {
	c := egress.Cursor{Found: true, Next: r.stand.Next, Claim: r.inc.claim.Token}
	switch {
	case r.decided > 0:
		c.Next = r.decided
	case len(r.batch) > 0 && r.stand.Started:
		c.Next = r.batch[len(r.batch)-1].number + 1
	}
	return c
}

// sendAlone delivers without transactions: at least once, or, without an outbox, what comes through.
func (r *relay) sendAlone() bool {
	inc := r.inc
	if !r.busy() {
		return false
	}
	if !r.fill() || r.refuses() {
		return true
	}
	for len(r.batch) > 0 {
		n := &r.batch[0]
		t := taken{n.output.Sender, string(n.output.Value.Value), n.number}
		lost, done := inc.strikes(faultSinkLost), inc.strikes(faultSinkDone)
		if lost {
			inc.struck(faultSinkLost, inc)
		}
		if !n.aside && !lost {
			r.sink.taken = append(r.sink.taken, t)
		}
		if !lost && done && !n.aside {
			inc.struck(faultSinkDone, inc)
		}
		if (lost || done) && r.outbox {
			return true // it is sent again
		}
		r.stand.Next = n.number + 1
		r.batch = r.batch[1:]
	}
	return true
}

// cutSinks ends all sessions of an incarnation at once. The end of a transaction may be on its way.
func (inc *incarnation) cutSinks() {
	for _, e := range []string{egressOnce, egressLane} {
		if r := inc.relays[e]; r != nil && r.state == relaySent && inc.rng.IntN(3) == 0 {
			r.sink.late(r.epoch, r.next())
		}
	}
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
