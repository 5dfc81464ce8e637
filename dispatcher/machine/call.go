package machine

import (
	"fmt"
	"slices"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// flight is a call that is out.
type flight struct {
	cell    *cell
	gate    *gate
	retry   bool                   // it holds one of the slots for failed addresses
	request *request               // nil: it is alone, and holds up nobody
	specs   []statestore.StateSpec // of the states that it carries; learning makes a new slice
	built   int64                  // when: what AFTER_INVOKE counts from
	bytes   int                    // of its states and messages
}

// startCall builds the request of a cell's next batch. States are judged for expiration now.
func (m *Machine) startCall(c *cell, g *gate, retry bool, r *request) {
	c.phase, c.crowded, c.hurried = calling, false, false
	c.batch = m.batchOf(c)
	m.expire(c)
	specs := c.fn.carried()
	call := Call{
		ID: m.id(), Function: c.fn.name, Target: c.address,
		Attempt: c.attempts + 1, Timeout: c.fn.cfg.Timeout,
	}
	call.States, call.Messages = callRoom(len(specs), c.batch)
	for i, spec := range specs {
		call.States[i].Name = spec.Name
		if v, ok := findValue(c.values, spec.Name); ok {
			call.States[i].Set = true
			call.States[i].Value = api.TypedValue{TypeName: c.values[v].TypeName, HasValue: true, Value: c.values[v].Value}
		}
	}
	bytes := c.weight
	for i := range call.Messages {
		msg := c.mail.at(i)
		call.Messages[i] = msg.Message
		bytes += msg.size
		if msg.Trace.Sampled() {
			call.tellArrival(i, msg)
		}
	}
	m.calledBytes += bytes
	g.bytes += bytes
	c.attempts++
	c.call, c.callSince = call.ID.N, m.now
	g.inUse++
	if retry {
		g.inRetry++
	}
	if r != nil {
		r.open++
	}
	m.flights[call.ID.N] = flight{cell: c, gate: g, retry: retry, request: r, specs: specs, built: m.now, bytes: bytes}
	if m.work.Calls == nil {
		m.work.Calls, m.calls = m.calls, nil
	}
	m.work.Calls = append(m.work.Calls, call)
}

// callRoom makes room for a call's states and messages. Most have few of each: one piece of memory for both.
func callRoom(states, messages int) ([]CallState, []api.Message) {
	if messages != 1 || states > 2 {
		return make([]CallState, states), make([]api.Message, messages)
	}
	if states <= 1 {
		few := new(struct {
			states   [1]CallState
			messages [1]api.Message
		})
		return few.states[:states], few.messages[:]
	}
	few := new(struct {
		states   [2]CallState
		messages [1]api.Message
	})
	return few.states[:], few.messages[:]
}

// batchOf is how many messages go into the next call: bounded in number and bytes, and as many as before when the last
// attempt failed, so that a function sees the same batch again.
func (m *Machine) batchOf(c *cell) int {
	limit := c.fn.cfg.BatchMessages
	if c.batchLimit > 0 {
		limit = min(limit, c.batchLimit)
	}
	if half := c.trialLimit(); half > 0 {
		limit = min(limit, half)
	}
	n, bytes := 0, 0
	for n < c.mail.len() && n < limit {
		bytes += len(c.mail.at(n).Argument.Value)
		if n > 0 && bytes > c.fn.cfg.BatchBytes {
			break
		}
		n++
	}
	return n
}

// land takes a call that has ended off its slot. ok is false when nobody waits for it any more.
func (m *Machine) land(id ID) (flight, bool) {
	f, ok := m.flights[id.N]
	if !ok || id.Incarnation != m.cfg.Incarnation {
		m.stats.StaleAnswers++
		return f, false
	}
	delete(m.flights, id.N)
	f.gate.inUse--
	m.calledBytes -= f.bytes
	f.gate.bytes -= f.bytes
	m.uncramp()
	if f.retry {
		f.gate.inRetry--
	}
	m.landed(f.gate, f.request)
	m.pumpLater(f.gate)
	f.cell.call = 0
	return f, true
}

// Failed tells that an attempt failed.
func (m *Machine) Failed(id ID, failure Failure) {
	f, ok := m.land(id)
	if !ok {
		return
	}
	f.request.answer()
	m.failed(f, failure)
}

func (m *Machine) failed(f flight, failure Failure) {
	c := f.cell
	m.stats.CallsFailed++
	m.blame(f.gate, failure)
	if failure.Kind == FailTooLarge {
		if c.batch > 1 {
			c.batchLimit, c.cautious = c.batch/2, true
			c.attempts--
			m.makeReady(c)
			return
		}
		failure.Kind = FailAnswer
	}
	c.batchLimit = c.batch // the next attempt carries the same messages
	if c.fn.cfg.OnFailure == SetAside && m.judge(c, failure) {
		return
	}
	m.retryLater(c, failure)
}

// Replied tells what a function answered. A reply that cannot be used fails as a whole, with the failure that is answered.
func (m *Machine) Replied(id ID, reply *Reply) *Failure {
	f, ok := m.land(id)
	if !ok {
		return nil
	}
	m.announced(f, int(reply.BulkCalls))
	if failure := m.unusable(f, reply); failure != nil {
		m.failed(f, *failure)
		return failure
	}
	f.cell.fn.heard = true
	if reply.Incomplete {
		m.incomplete(f)
	} else {
		m.finished(f, reply)
	}
	return nil
}

// unusable says why a reply is as good as none, before any of it is applied.
func (m *Machine) unusable(f flight, reply *Reply) *Failure {
	if reply.Incomplete {
		if err := m.misses(f, reply.Missing); err != nil {
			return &Failure{Kind: FailAnswer, Text: "function " + err.Error()}
		}
		return nil
	}
	if err := m.check(f.cell, reply); err != nil {
		return &Failure{Kind: FailAnswer, Text: err.Error()}
	}
	if dead := f.cell.fn.dead; m.deadFull(dead) {
		if to := m.asides(reply); to != "" {
			f.cell.crowded = true
			return &Failure{Kind: FailBusy, Text: "the reply has something for " + to + " that would be set aside, and the dead letters of the function have reached their bound"}
		}
	}
	return nil
}

// finished applies a good reply.
func (m *Machine) finished(f flight, reply *Reply) {
	c := f.cell
	m.succeeded(f.gate)
	m.stats.Calls++
	m.stats.Invocations += int64(c.batch)
	m.apply(f, reply)
	m.trace(reply.Trace)
	c.attempts, c.failedSince, c.lastError, c.alone = 0, 0, "", false
	c.loosen()
	for range c.batch {
		msg := c.mail.pop()
		m.mailBytes -= msg.size
		m.finishOf(c, msg)
	}
	c.batch = 0
	c.succeeded()
	m.proceed(c)
}

// loosen lets batches grow again after a success; slowly where a 413 taught the limit, for the next one may teach it again.
func (c *cell) loosen() {
	switch {
	case c.batchLimit == 0:
		return
	case c.cautious:
		c.batchLimit += max(1, c.batchLimit/16)
	default:
		c.batchLimit *= 2
	}
	if c.batchLimit >= c.fn.cfg.BatchMessages {
		c.batchLimit, c.cautious = 0, false
	}
}

// proceed is what a cell does when its call is over.
func (m *Machine) proceed(c *cell) {
	c.phase = idle
	m.refill(c)
	if c.mail.len() > 0 {
		m.makeReady(c)
		return
	}
	m.rest(c)
}

// misses registers the states that the function misses. A function that asks for what it was just sent would ask for ever: that is
// a failure.
func (m *Machine) misses(f flight, missing []statestore.StateSpec) error {
	if err := m.learn(f.cell.fn, missing); err != nil {
		return err
	}
	news := slices.ContainsFunc(missing, func(want statestore.StateSpec) bool {
		return !slices.ContainsFunc(f.specs, func(had statestore.StateSpec) bool { return had.Name == want.Name })
	})
	if !news {
		return fmt.Errorf("asks for states that the call has carried")
	}
	return nil
}

// incomplete calls again with the same messages, and with the states that were missing.
func (m *Machine) incomplete(f flight) {
	c := f.cell
	m.succeeded(f.gate)
	c.attempts--
	c.batchLimit = c.batch
	m.makeReady(c)
}

// check finds what makes a reply unusable, before any of it is applied.
func (m *Machine) check(c *cell, reply *Reply) error {
	if err := checkMutations(c, reply.Mutations); err != nil {
		return fmt.Errorf("reply %w", err)
	}
	for i := range reply.Sends {
		if err := api.CheckValue(reply.Sends[i].Argument); err != nil {
			return fmt.Errorf("reply sends a message: %w", err)
		}
	}
	for i := range reply.Delayed {
		d := &reply.Delayed[i]
		switch {
		case d.Delay < 0:
			return fmt.Errorf("reply sends a message with a delay of %d ms", d.Delay)
		case d.Cancel && d.Token == "":
			return fmt.Errorf("reply cancels a delayed message without a token")
		case len(d.Token) > api.TokenBytesMax:
			return fmt.Errorf("cancellation token of %d bytes: at most %d are allowed", len(d.Token), api.TokenBytesMax)
		}
		if err := api.CheckValue(d.Argument); err != nil {
			return fmt.Errorf("reply sends a delayed message: %w", err)
		}
	}
	for i := range reply.Outputs {
		if err := api.CheckValue(reply.Outputs[i].Value); err != nil {
			return fmt.Errorf("reply writes to egress %q: %w", reply.Outputs[i].Egress, err)
		}
	}
	return nil
}

// apply takes a reply's effects into memory, in StateFun's order: messages, delayed ones and cancellations, egress, state.
func (m *Machine) apply(f flight, reply *Reply) {
	c := f.cell
	m.effect(false)
	for i := range reply.Sends {
		m.send(c.address, reply.Sends[i], reply.Trace)
	}
	for i := range reply.Delayed {
		m.delay(c.address, &reply.Delayed[i], reply.Trace)
	}
	for i := range reply.Outputs {
		m.output(c.address, &reply.Outputs[i], reply.Trace)
	}
	m.mutate(c, reply.Mutations, f.built)
}

// send delivers a message at once; the next cut keeps it if it is still waiting.
func (m *Machine) send(from api.Address, s Send, trace *api.Trace) {
	if s.Target.Type == ReplyType {
		m.reply(&s, trace)
		return
	}
	msg := &message{Message: api.Message{Target: s.Target, Caller: from, Argument: s.Argument, Trace: trace}}
	if !m.deliverable(&msg.Message, nil, 0) {
		return
	}
	m.put(msg)
}

// put makes a message that nobody can bring again an effect of the next cut, and delivers it.
func (m *Machine) put(msg *message) {
	msg.number, msg.gen, msg.arrived = m.draw(), m.gen, m.now
	msg.size = msg.Size()
	m.young++
	m.effects++
	m.effectBytes += msg.size
	m.unkept = append(m.unkept, msg)
	m.deliver(msg)
}
