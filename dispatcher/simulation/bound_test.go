package simulation_test

import (
	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// bounds counts from outside what an incarnation must hold within bounds: what came in, less what is known to have left. It may
// count too little (what fires, nobody sees), never too much.
type bounds struct {
	pending map[api.Source]map[int]bool // records' nodes that only the source can replay
	effects int                         // of calls, since the last cut
	mail    map[api.Address]map[int]int // unfinished messages that no chunk holds, by node: bytes
	whole   map[api.Address]bool        // loaded, and with messages ever since
	calling map[api.Address]map[int]bool
	outbox  map[string][]numberedSize // committed, not told as delivered
	bytes   map[string]int
	loads   int
	asked   map[api.FunctionType]int64       // when states were last asked for
	kept    map[api.FunctionType]map[int]int // unfinished messages that commits keep, by node: bytes
	dead    map[string]statestore.DeadTotal
	late    map[int]int64 // records' nodes: when they arrived
	overdue map[int]bool  // of them, those that should have been kept by the last cut
	timers  int           // sent since the last cut
	sent    int           // bytes of what calls sent since then
	sizes   map[int]int   // of records' nodes
	force   map[int]bool  // records' nodes that must be kept

	events map[uint64]sentEvent // by token: handed to the machine, and in no commit yet
	sends  int                  // of events, so far
	choked int                  // how many of them there were when an outbox reached its bound, which it has still; -1: none has
}

type numberedSize struct {
	number uint64
	bytes  int
}

func (b *bounds) begin(w *world, claim *statestore.Claim) {
	*b = bounds{
		events: map[uint64]sentEvent{}, choked: -1,
		kept: map[api.FunctionType]map[int]int{}, dead: map[string]statestore.DeadTotal{}, late: map[int]int64{}, overdue: map[int]bool{}, force: map[int]bool{}, sizes: map[int]int{},
		pending: map[api.Source]map[int]bool{}, mail: map[api.Address]map[int]int{}, whole: map[api.Address]bool{},
		calling: map[api.Address]map[int]bool{}, asked: map[api.FunctionType]int64{}, outbox: map[string][]numberedSize{}, bytes: map[string]int{},
	}
	for _, t := range claim.Dead {
		b.dead[t.Origin] = t
	}
	for i := range claim.Packs {
		for j := range claim.Packs[i].Messages {
			m := &claim.Packs[i].Messages[j].Message
			b.keep(w.node(m), m.Size())
		}
	}
}

func (b *bounds) keep(n *node, size int) {
	if b.kept[n.target.Type] == nil {
		b.kept[n.target.Type] = map[int]int{}
	}
	b.kept[n.target.Type][n.id] = size
}

func (b *bounds) unkeep(n *node) { delete(b.kept[n.target.Type], n.id) }

func sum(sizes map[int]int) (n int64) {
	for _, size := range sizes {
		n += int64(size)
	}
	return n
}

// countArrival notes records that a source brings.
func (inc *incarnation) countArrival(r *reader, records []api.Record) {
	b := &inc.bounds
	for i := range records {
		rec := &records[i]
		if rec.Dead != nil {
			continue
		}
		for _, route := range rec.Routes {
			n := inc.w.roots[string(rec.Value.Value)+" "+route.Target.String()]
			if n == nil || n.stray || n.twin || inc.shadow.ran(n) || inc.shadow.kept[n.id] || inc.shadow.aside[n.id] {
				continue
			}
			if n.target.Type == inc.lacks {
				inc.shadow.aside[n.id] = true
				continue
			}
			if b.pending[r.s.id] == nil {
				b.pending[r.s.id] = map[int]bool{}
			}
			if !b.pending[r.s.id][n.id] {
				b.late[n.id] = inc.told
			}
			b.pending[r.s.id][n.id] = true
			b.sizes[n.id] = (&api.Message{Target: n.target, Argument: rec.Value}).Size()
			b.waits(n, b.sizes[n.id])
		}
	}
}

// forced notes that all that a source has brought becomes messages, whatever the bounds: it cannot be replayed any more.
func (inc *incarnation) forced(source api.Source) {
	for id := range inc.bounds.pending[source] {
		inc.bounds.force[id] = true
	}
	delete(inc.bounds.pending, source)
}

// unpend notes that a node is not its source's alone any more.
func (inc *incarnation) unpend(n *node) {
	if n.parent == nil && !n.event {
		delete(inc.bounds.pending[inc.w.sources[n.source].id], n.id)
	}
}

func (s *shadow) ran(n *node) bool {
	_, ok := s.applied[n.id]
	return ok
}

func (b *bounds) waits(n *node, size int) {
	if b.mail[n.target] == nil {
		b.mail[n.target] = map[int]int{}
	}
	b.mail[n.target][n.id] = size
}

func (b *bounds) gone(n *node) {
	delete(b.mail[n.target], n.id)
	if len(b.mail[n.target]) == 0 {
		delete(b.whole, n.target)
	}
}

// countReply notes what a good answer brings and finishes.
func (inc *incarnation) countReply(f *flying, reply *machine.Reply) {
	b := &inc.bounds
	inc.prompt.replied(inc.w, &f.call, reply, inc.told)
	for i := range f.call.Messages {
		n := inc.w.node(&f.call.Messages[i])
		inc.unpend(n)
		b.gone(n)
		b.unkeep(n)
	}
	for i := range reply.Sends {
		s := &reply.Sends[i]
		if s.Target.Type == strayType {
			continue
		}
		m := api.Message{Target: s.Target, Caller: f.call.Target, Argument: s.Argument}
		if s.Target.Type == inc.lacks {
			inc.shadow.aside[inc.w.node(&m).id] = true
			continue
		}
		b.effects++
		b.sent += m.Size()
		b.waits(inc.w.node(&m), m.Size())
	}
	for i := range reply.Delayed {
		if !reply.Delayed[i].Cancel {
			b.effects++
			b.timers++
			d := &reply.Delayed[i]
			b.sent += (&api.Message{Target: d.Target, Caller: f.call.Target, Argument: d.Argument}).Size()
		}
	}
	for i := range reply.Outputs {
		if reply.Outputs[i].Egress != egressLost {
			b.effects++
			b.sent += (&api.Output{Sender: f.call.Target, Value: reply.Outputs[i].Value}).Size()
		}
	}
}

// takeKept notes what a cut keeps as messages, and judges what is left in memory.
func (inc *incarnation) takeKept(c *statestore.Commit) {
	b := &inc.bounds
	inc.prompt.cut(c)
	inc.bulks.cut(c)
	inc.takeDead(c)
	inc.takeSkipped(c)
	inc.takeMended(c)
	full := map[api.FunctionType]bool{} // since the cut before this one
	for t, sizes := range b.kept {
		full[t] = inc.cfg.KeptBytesMax > 0 && sum(sizes) >= inc.cfg.KeptBytesMax
	}
	keep := func(m *api.Message, number uint64, spilled bool) {
		n := inc.w.node(m)
		if full[n.target.Type] && n.parent == nil && !n.twin && !spilled && !inc.shadow.kept[n.id] && !b.force[n.id] {
			inc.boundf("kept-bound", "%v: commit %d keeps a record for %v, whose kept messages have reached their bound", inc, c.Number, n.target.Type)
		}
		b.keep(n, m.Size())
		inc.shadow.kept[n.id] = true
		inc.shadow.numbered(number)
		inc.shadow.numbers[number] = n.id + 1
		inc.unpend(n)
		if spilled {
			b.gone(n)
		}
	}
	for i := range c.Packs {
		for j := range c.Packs[i].Messages {
			m := &c.Packs[i].Messages[j]
			keep(&m.Message, m.Number, false)
		}
	}
	for i := range c.Mail {
		for j := range c.Mail[i].Messages {
			m := &c.Mail[i].Messages[j]
			keep(&m.Message, m.Number, true)
		}
	}
	for i := range c.Timers {
		inc.shadow.numbered(c.Timers[i].Number)
	}
	for _, number := range c.DeadEnds {
		if _, replayed := inc.shadow.discarded[number]; !replayed {
			inc.shadow.discarded[number] = true
		}
	}
	b.effects, b.timers, b.sent = 0, 0, 0
	inc.checkHeldBack(c)
	if limit := inc.cfg.MailBytesMax; limit > 0 {
		sum := 0
		for a, waiting := range b.mail {
			// Nobody can spill what arrives before the mailbox is known, also where it was known once and has left memory since.
			if !b.whole[a] || inc.m.View(a).Phase == "loading" {
				continue
			}
			for id, size := range waiting {
				if !b.calling[a][id] {
					sum += size
				}
			}
		}
		if sum > limit {
			inc.boundf("mail-bound", "%v: after commit %d mailboxes hold %d bytes in memory, their bound is %d", inc, c.Number, sum, limit)
		}
	}
}

// loaded notes addresses whose state and mailbox the machine knows now.
func (b *bounds) loaded(addresses []api.Address) {
	b.loads--
	for _, a := range addresses {
		if len(b.mail[a]) > 0 {
			b.whole[a] = true
		}
	}
}

func (b *bounds) landed(c *machine.Call) { delete(b.calling, c.Target) }

// released and delivered count an outbox.
func (b *bounds) released(p *statestore.OutputPack) {
	for i := range p.Outputs {
		size := p.Outputs[i].Size()
		b.outbox[p.Lane.Egress] = append(b.outbox[p.Lane.Egress], numberedSize{p.First + uint64(i), size})
		b.bytes[p.Lane.Egress] += size
	}
}

func (b *bounds) delivered(egress string, below uint64) {
	all := b.outbox[egress]
	for len(all) > 0 && all[0].number < below {
		b.bytes[egress] -= all[0].bytes
		all = all[1:]
	}
	b.outbox[egress] = all
}

// judgeChoke notes whether an outbox has reached its bound.
func (inc *incarnation) judgeChoke() {
	b, full := &inc.bounds, false
	for _, bytes := range b.bytes {
		full = full || inc.cfg.OutboxBytesMax > 0 && int64(bytes) >= inc.cfg.OutboxBytesMax
	}
	switch {
	case !full:
		b.choked = -1
	case b.choked < 0:
		b.choked = b.sends
	}
}

// checkLoad holds questions for states within their bounds.
func (inc *incarnation) checkLoad(q *machine.Load) {
	inc.bounds.loads++
	if limit := inc.cfg.LoadsMax; limit > 0 && inc.bounds.loads > limit {
		inc.boundf("load-bound", "%v: %d loads at once, their bound is %d", inc, inc.bounds.loads, limit)
	}
	if limit := inc.cfg.LoadBatch; limit > 0 && len(q.Addresses) > limit {
		inc.boundf("load-bound", "%v: a load of %d addresses, the bound is %d", inc, len(q.Addresses), limit)
	}
	states, asked := map[api.FunctionType]int{}, map[api.FunctionType]int{}
	for _, f := range inc.calls {
		for i := range f.call.States {
			if !f.again {
				states[f.call.Target.Type] += len(f.call.States[i].Value.Value)
			}
		}
	}
	for _, a := range q.Addresses {
		asked[a.Type]++
		inc.bulks.forgets(a) // it has left memory, else it were not asked for: what had been read back is spilled without a chunk
	}
	for t, n := range asked {
		patient := n == 1 && inc.told-inc.bounds.asked[t] >= 2000 // one may go on where the others would wait for ever
		if limit := inc.cfg.BusyBytesMax; limit > 0 && states[t] > limit && !patient {
			inc.boundf("busy-bound", "%v: a load of %d addresses of %v, while its calls hold %d bytes of states, the bound of all is %d", inc, n, t, states[t], limit)
		}
		inc.bounds.asked[t] = inc.told
	}
}

// checkCall holds a call that begins within its bounds.
func (inc *incarnation) checkCall(c *machine.Call) {
	if c.Target.Type == inc.lacks {
		inc.failf("address", "%v calls %v, which its module does not declare", inc, c.Target)
	}
	f, _ := inc.cfg.Function(c.Target.Type)
	if f.BatchMessages > 0 && len(c.Messages) > f.BatchMessages {
		inc.boundf("batch-bound", "call of %v carries %d messages", c.Target, len(c.Messages))
	}
	bytes := 0
	for i := range c.Messages {
		bytes += len(c.Messages[i].Argument.Value)
	}
	if f.BatchBytes > 0 && bytes > f.BatchBytes && len(c.Messages) > 1 {
		inc.boundf("batch-bound", "call of %v carries %d messages with %d bytes", c.Target, len(c.Messages), bytes)
	}
	if limit := inc.cfg.EffectsMax; limit > 0 && inc.bounds.effects >= limit {
		inc.boundf("effect-bound", "call of %v begins with %d uncommitted effects, their bound is %d", c.Target, inc.bounds.effects, limit)
	}
	if limit := inc.cfg.EffectBytesMax; limit > 0 && inc.bounds.sent >= limit {
		inc.boundf("effect-bound", "call of %v begins with %d bytes of uncommitted effects, their bound is %d", c.Target, inc.bounds.sent, limit)
	}
	ids := map[int]bool{}
	for i := range c.Messages {
		ids[inc.w.node(&c.Messages[i]).id] = true
	}
	inc.bounds.calling[c.Target] = ids
	inc.checkSlots(c, f.Endpoint)
}

// checkSlots finds endpoints that are called more often at once than they should. Probes of an open breaker are no part of
// the quarter that failed addresses have.
func (inc *incarnation) checkSlots(c *machine.Call, endpoint string) {
	all, failed, bytes := 1, 0, 0
	if c.Attempt > 1 {
		failed = 1
	}
	for _, f := range inc.calls {
		if other, _ := inc.cfg.Function(f.call.Target.Type); !f.again && other.Endpoint == endpoint {
			all++
			for i := range f.call.Messages {
				bytes += f.call.Messages[i].Size()
			}
			if f.call.Attempt > 1 {
				failed++
			}
		}
	}
	if all > inc.cfg.Slots || failed > max(1, inc.cfg.Slots/4) && inc.cfg.BreakerFailures == 1<<30 {
		inc.boundf("slot-bound", "%d calls of %s at once, %d of them for failed addresses; it has %d slots", all, endpoint, failed, inc.cfg.Slots)
	}
	if limit := inc.cfg.CallBytesMax; limit > 0 && bytes >= limit {
		inc.boundf("call-bound", "%v: a call of %s begins with %d bytes in calls that are out, their bound is %d", inc, endpoint, bytes, limit)
	}
}

// checkBounds judges what must have made the sources wait by now.
func (inc *incarnation) checkBounds(w *machine.Work) {
	if w.Commit != nil {
		limit := inc.cfg.SourceMessagesMax
		for _, r := range inc.readers {
			bytes := 0
			for id := range inc.bounds.pending[r.s.id] {
				bytes += inc.bounds.sizes[id]
			}
			if inc.cfg.SourceBytesMax > 0 && bytes >= inc.cfg.SourceBytesMax && !r.full {
				inc.boundf("source-bound", "%v: source %v has brought %d bytes that are neither finished nor kept, its bound is %d, and it is not full", inc, r.s.id, bytes, inc.cfg.SourceBytesMax)
			}
			if n := len(inc.bounds.pending[r.s.id]); limit > 0 && n >= limit && !r.full {
				inc.boundf("source-bound", "%v: source %v has brought %d messages that are neither finished nor kept, its bound is %d, and it is not full", inc, r.s.id, n, limit)
			}
		}
	}
	for _, r := range inc.readers {
		if w.Commit != nil && !r.full && inc.isFull(inc.bounds.dead[api.OriginIngress("sim/in")]) {
			inc.boundf("dead-bound", "%v: the dead letters of the ingress have reached their bound, and source %v is not full", inc, r.s.id)
		}
	}
	if limit := inc.cfg.OutboxBytesMax; limit > 0 && len(w.Outputs) > 0 {
		for e, bytes := range inc.bounds.bytes {
			for _, r := range inc.readers {
				if int64(bytes) >= limit && !r.full {
					inc.boundf("outbox-bound", "%v: %d bytes of outputs of %s wait, their bound is %d, and source %v is not full", inc, bytes, e, limit, r.s.id)
				}
			}
		}
	}
}

// boundf tells of a bound that is not kept. One that was taken over reads what others have written: what it counts means nothing.
func (inc *incarnation) boundf(checker, format string, args ...any) {
	if inc.owner == inc {
		inc.failf(checker, format, args...)
	}
}
