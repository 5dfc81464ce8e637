package simulation_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
)

// client sends events from outside, one after the other: the next one when it knows what became of the one before, or that nobody will
// tell it. What has not happened it sends again.
type client struct {
	events []*node
	next   int

	inc    *incarnation // it waits for an answer of this one; nil: it does not wait
	token  uint64
	sealed bool // a commit holds the event, or what came of it
}

// fate is what the client of an event knows.
type fate uint8

const (
	fateNone  fate = iota // it was not sent, or has not happened
	fateMaybe             // it may have happened, or may yet
	fateTaken             // it was acknowledged
)

// addClients draws who sends events, and which.
func (w *world) addClients(rng *rand.Rand) {
	records := w.rng
	w.rng = rng
	defer func() { w.rng = records }()
	w.budget = max(w.budget, 0) + 30
	for range 1 + rng.IntN(3) {
		c := &client{}
		for range 1 + rng.IntN(20) {
			target := api.Address{Type: w.types[rng.IntN(len(w.types))], ID: w.anyID()}
			if rng.IntN(20) == 0 {
				target.Type = strayType
			}
			n := w.newNode(nil, target, 0)
			n.event, n.source, n.client, n.turn = true, -1, len(w.clients), len(c.events)
			n.stray = target.Type == strayType
			n.asks = n.id%2 == 0
			w.roots[n.eventText()+" "+target.Type.String()] = n
			c.events = append(c.events, n)
		}
		w.clients = append(w.clients, c)
	}
}

func (n *node) eventText() string { return "e" + strconv.Itoa(n.id) }

func (n *node) message() api.Message {
	m := api.Message{Target: n.target, Argument: typed("sim/event", n.eventText())}
	if n.asks {
		m.Caller = api.Address{Type: machine.ReplyType, ID: n.caller}
	}
	return m
}

// boundEvents draws the bounds of events, many of them tiny.
func boundEvents(cfg *machine.Config, rng *rand.Rand) {
	cfg.EventMessagesMax = []int{1, 2, 0}[rng.IntN(3)]
	cfg.EventBytesMax = []int{1, 500, 0, 0}[rng.IntN(4)]
}

// clients lets those act that send to an incarnation.
func (inc *incarnation) clients() {
	if len(inc.w.clients) == 0 {
		return
	}
	rng := drawer(inc.seed, streamClients, uint64(inc.at))
	for _, c := range inc.w.clients {
		switch {
		case c.inc == inc && !inc.calm && rng.IntN(30) == 0:
			inc.giveUp(c)
		case c.inc != nil || c.next == len(c.events) || inc.draining:
		case inc.calm || rng.IntN(5) == 0:
			inc.send(c)
		}
	}
}

// send brings a client's next event.
func (inc *incarnation) send(c *client) {
	n := c.events[c.next]
	inc.tell("%v: client %d sends %s to %s", inc, n.client, n.eventText(), name(n.target))
	c.inc, c.sealed = inc, false
	token := inc.when(nil)
	c.token = token
	inc.tokens[token] = func() { inc.acknowledge(c, n, token) }
	if n.asks {
		n.caller = fmt.Sprintf("%s-%d-%d", n.eventText(), inc.number, token)
	}
	inc.bounds.sends++
	inc.bounds.events[token] = sentEvent{n, inc.bounds.sends}
	refusal := inc.hand(n, token)
	if nobody := n.stray || n.target.Type == inc.lacks; nobody != (refusal != nil) {
		inc.failf("event", "%v: event %s for %v, whom the module declares: %v, is refused: %v", inc, n.eventText(), n.target, !nobody, refusal)
	}
	if refusal == nil {
		return
	}
	delete(inc.tokens, token)
	delete(inc.bounds.events, token)
	c.inc = nil
	if n.stray {
		c.next++
	}
}

// acknowledge is the answer that an event is durable. Its client may have given up.
func (inc *incarnation) acknowledge(c *client, n *node, token uint64) {
	if d := inc.durable; inc.owner == inc && !d.ran(n) && !d.kept[n.id] {
		inc.failf("release", "%v acknowledges event %s, and the store has neither it nor what came of it", inc, n.eventText())
	}
	if c.inc != inc || c.token != token {
		return
	}
	if !c.sealed {
		inc.failf("sealed", "%v acknowledges event %s, and no commit was said to hold it", inc, n.eventText())
	}
	inc.tell("%v: event %s is acknowledged", inc, n.eventText())
	inc.seen.acknowledged++
	c.knows(n, fateTaken)
}

func (c *client) knows(n *node, f fate) {
	n.fate = f
	c.inc = nil
	c.next++
}

// giveUp is a client that does not wait any longer: the event is taken back, or nobody knows.
func (inc *incarnation) giveUp(c *client) {
	n := c.events[c.next]
	back := inc.m.Withdraw(n.target.Type, c.token)
	inc.forget(c.token)
	inc.tell("%v: client %d waits no longer for %s, which is taken back: %v", inc, n.client, n.eventText(), back)
	if back {
		delete(inc.tokens, c.token)
		delete(inc.bounds.events, c.token)
		c.inc = nil
		inc.seen.withdrawn++
		return
	}
	c.knows(n, fateMaybe)
}

// hangUp tells the clients of an incarnation that is over what it knows of their events: those in no commit have not happened.
func (l *life) hangUp(inc *incarnation) {
	for _, c := range l.w.clients {
		if c.inc != inc {
			continue
		}
		n := c.events[c.next]
		if c.sealed {
			l.tell("%v is over: nobody knows what became of event %s", inc, n.eventText())
			l.seen.unknown++
			c.knows(n, fateMaybe)
			continue
		}
		l.tell("%v is over: event %s has not happened", inc, n.eventText())
		l.seen.resent++
		c.inc = nil
	}
}

// sentEvent is an event that was handed to a machine, and the how-manieth.
type sentEvent struct {
	node  *node
	order int
}

// takeSealed notes which events the commit that begins holds, and holds them within their bounds.
func (inc *incarnation) takeSealed(w *machine.Work) {
	b := &inc.bounds
	if len(w.Sealed) > 0 && w.Commit == nil {
		inc.failf("sealed", "%v: events are sealed in no commit", inc)
	}
	events, bytes, last := 0, 0, 0
	for _, token := range w.Sealed {
		if inc.sealEdit(token) {
			continue
		}
		e, ok := b.events[token]
		if !ok {
			inc.failf("sealed", "%v: event of token %d is sealed twice, or was taken back", inc, token)
		}
		delete(b.events, token)
		events++
		m := e.node.message()
		last = m.Size()
		bytes += last
		if !inc.shadow.ran(e.node) && !inc.shadow.skipped[e.node.id] {
			b.waits(e.node, m.Size())
		}
		if b.choked >= 0 && e.order > b.choked {
			inc.boundf("outbox-bound", "%v: event %s was taken while the outputs of an egress have reached their bound", inc, e.node.eventText())
		}
		for _, c := range inc.w.clients {
			if c.inc == inc && c.token == token {
				c.sealed = true
			}
		}
	}
	if limit := inc.cfg.EventMessagesMax; limit > 0 && events > limit {
		inc.boundf("event-bound", "%v: %d events were uncommitted, their bound is %d", inc, events, limit)
	}
	if limit := inc.cfg.EventBytesMax; limit > 0 && bytes-last >= limit {
		inc.boundf("event-bound", "%v: %d events of %d bytes were uncommitted, their bound is %d", inc, events, bytes, limit)
	}
}

// checkEventsPrompt finds events that wait although nothing is in their way.
func (inc *incarnation) checkEventsPrompt() {
	c := &inc.cfg
	if inc.commit != nil || c.KeptBytesMax > 0 || c.StoredBytesMax > 0 || c.OutboxBytesMax > 0 {
		return
	}
	for _, e := range inc.bounds.events {
		inc.boundf("prompt", "%v: event %s is in no commit, and none is out", inc, e.node.eventText())
	}
}

// waits says which client has not come to its end; "": none.
func (w *world) waits() string {
	for i, c := range w.clients {
		if c.next < len(c.events) {
			return fmt.Sprintf("client %d stands at event %d of %d, waiting: %v", i, c.next, len(c.events), c.inc != nil)
		}
	}
	return ""
}

// checkClients: events of one client reach one address in order.
func (l *life) checkClients(logs map[api.Address][]int) {
	for a, log := range logs {
		last := map[int]int{}
		for _, id := range log {
			n := l.w.nodes[id]
			if !n.event || l.durable.revived[id] {
				continue
			}
			if before, ok := last[n.client]; ok && n.turn < before {
				l.failf("order", "%v was called with event %d of client %d after %d", a, n.turn, n.client, before)
			}
			last[n.client] = n.turn
		}
	}
}

// checkEvent: what was acknowledged ran, and what has not happened did not.
func (l *life) checkEvent(n *node, must, may, ran bool) {
	if must && !ran {
		l.failf("once", "event %s of client %d was acknowledged, and lost", n.eventText(), n.client)
	}
	if !may && ran {
		l.failf("once", "event %s of client %d ran, and its client was told that it has not happened", n.eventText(), n.client)
	}
}
