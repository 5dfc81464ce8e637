package simulation_test

import (
	"fmt"
	"slices"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
)

// flying is a call that is out.
type flying struct {
	call  machine.Call
	built int64
	hangs bool
	again bool // it was answered, and the same answer comes again
	reply *machine.Reply
}

func (inc *incarnation) takeCall(c machine.Call) {
	if inc.busy[c.Target] {
		inc.failf("one call", "%v: two calls of %v at once", inc, c.Target)
	}
	inc.busy[c.Target] = true
	inc.tell("%v calls %s, attempt %d: %s", inc, name(c.Target), c.Attempt, arguments(&c))
	inc.checkCall(&c)
	if len(c.States) > 0 && !inc.heard[c.Target.Type] {
		inc.failf("state", "%v: a call of %v carries states, though its function has not said in this incarnation which it has", inc, c.Target)
	}
	for i := range c.Messages {
		delete(inc.prompt.due, inc.w.node(&c.Messages[i]).id)
		if inc.owner == inc {
			inc.judgeMessage(&c, &c.Messages[i])
		}
	}
	if err := inc.shadow.started(inc.w, &c, inc.told, inc.latest); err != nil && inc.owner == inc {
		inc.failf("state", "%v: %v", inc, err) // else it reads what the next owner has written, and nothing comes of it
	}
	inc.calls = append(inc.calls, &flying{call: c, built: inc.told})
}

func arguments(c *machine.Call) string {
	text := ""
	for i := range c.Messages {
		text += " " + string(c.Messages[i].Argument.Value)
	}
	return text[1:]
}

// judgeMessage finds messages that come to the wrong address, from the wrong sender or too early.
func (inc *incarnation) judgeMessage(c *machine.Call, m *api.Message) {
	n := inc.w.node(m)
	if n.target != c.Target {
		inc.failf("address", "node %d for %v is called at %v", n.id, n.target, c.Target)
	}
	if n.asks {
		inc.judgeCaller(n, m)
		return
	}
	if n.parent == nil {
		if !m.Caller.IsZero() {
			inc.failf("address", "record %d has the caller %v", n.id, m.Caller)
		}
		return
	}
	if m.Caller != n.parent.target {
		inc.failf("address", "node %d has the caller %v, want %v", n.id, m.Caller, n.parent.target)
	}
	sent, ok := inc.shadow.applied[n.parent.id]
	if !ok {
		inc.failf("once", "%v: node %d is called, but %d that sends it has not run", inc, n.id, n.parent.id)
	}
	for _, a := range n.parent.acts {
		if a.child == n && a.kind == actDelay && inc.latest < sent.now+a.delay { // by no clock was it due: it may have fired elsewhere
			inc.failf("early", "%v: node %d is called at %d, %d ms after it was sent: too early", inc, n.id, inc.latest, inc.latest-sent.now)
		}
	}
}

func (inc *incarnation) answerCall() bool {
	if inc.answerOrphan() {
		return true
	}
	if len(inc.calls) == 0 {
		return false
	}
	at := inc.rng.IntN(len(inc.calls))
	f := inc.calls[at]
	if f.again {
		inc.calls = append(inc.calls[:at], inc.calls[at+1:]...)
		inc.struck(faultCallTwice, inc)
		inc.tell("%v: the answer of %s comes again", inc, name(f.call.Target))
		inc.m.Replied(f.call.ID, f.reply)
		return true
	}
	if inc.endsUnanswered(f) {
		return true
	}
	if !f.hangs && inc.strikes(faultCallHangs) {
		f.hangs = true
		inc.tell("%v: the call of %s hangs", inc, name(f.call.Target))
		return true
	}
	over := inc.told >= f.built+f.call.Timeout
	if f.hangs && !over && !inc.calm {
		return false
	}
	inc.calls = append(inc.calls[:at], inc.calls[at+1:]...)
	delete(inc.busy, f.call.Target)
	inc.bulks.landed(&f.call, inc.endpoint(f.call.Target.Type), true)
	if failure, failed := inc.fails(f); failed {
		inc.tell("%v: the call of %s fails: %v", inc, name(f.call.Target), failure.Kind)
		inc.bounds.landed(&f.call)
		inc.prompt.failed[f.call.Target] = true
		inc.tryFailed(f, failure.Kind)
		inc.m.Failed(f.call.ID, failure)
		return true
	}
	if !inc.w.asides[f.call.Target.Type] && inc.strikes(faultCallGarbage) {
		inc.struck(faultCallGarbage, inc)
		inc.tell("%v: the call of %s answers garbage", inc, name(f.call.Target))
		inc.bounds.landed(&f.call)
		inc.prompt.failed[f.call.Target] = true
		inc.tryFailed(f, machine.FailAnswer)
		inc.m.Replied(f.call.ID, inc.announces(&f.call, inc.w.garbage(&f.call, inc.dice.fault(faultCallGarbage, 6))))
		return true
	}
	inc.reply(f)
	return true
}

// reply is a good answer.
func (inc *incarnation) reply(f *flying) {
	reply := inc.announces(&f.call, inc.w.answer(&f.call))
	inc.tell("%v: the call of %s answers%s", inc, name(f.call.Target), effects(reply))
	inc.bounds.landed(&f.call)
	if failure := inc.m.Replied(f.call.ID, reply); failure != nil {
		inc.prompt.failed[f.call.Target] = true
		inc.tell("%v: the answer is not taken: %s", inc, failure.Text)
		if failure.Kind != machine.FailBusy || !inc.sendsToNobody(reply) || !inc.deadFull(api.OriginFunction(f.call.Target.Type)) {
			inc.failf("reply", "%v does not take a good answer of %v: %+v", inc, f.call.Target, failure)
		}
		inc.tryFailed(f, failure.Kind)
		return
	}
	inc.heard[f.call.Target.Type] = true
	inc.trySucceeded(f, reply.Incomplete)
	if !reply.Incomplete {
		delete(inc.bulks.apart, f.call.Target)
		delete(inc.bulks.vague, f.call.Target)
		inc.messages += len(f.call.Messages)
		if err := inc.shadow.replied(inc.w, &f.call, f.built, inc.told, inc.latest, inc.at); err != nil && inc.owner == inc {
			inc.failf("once", "%v: %v", inc, err)
		}
		inc.countReply(f, withoutAnswers(reply))
	}
	if inc.strikes(faultCallTwice) {
		if inc.rng.IntN(2) == 0 {
			inc.struck(faultCallTwice, inc)
			inc.m.Replied(f.call.ID, reply)
			return
		}
		inc.calls = append(inc.calls, &flying{call: f.call, again: true, reply: reply})
	}
}

func effects(r *machine.Reply) string {
	if r.Incomplete {
		return fmt.Sprintf(": it misses %d states", len(r.Missing))
	}
	text := ""
	for i := range r.Sends {
		text += fmt.Sprintf(" %s=%s", name(r.Sends[i].Target), r.Sends[i].Argument.Value)
	}
	for i := range r.Delayed {
		if d := &r.Delayed[i]; d.Cancel {
			text += " cancels " + d.Token
		} else {
			text += fmt.Sprintf(" %s=%s+%d%s", name(d.Target), d.Argument.Value, d.Delay, as(d.Token))
		}
	}
	for i := range r.Outputs {
		text += fmt.Sprintf(" %s:%s", r.Outputs[i].Egress, r.Outputs[i].Value.Value)
	}
	return text
}

// answerOrphan lets an answer arrive that an earlier incarnation of the member waited for.
func (inc *incarnation) answerOrphan() bool {
	m := inc.member
	if len(m.orphans) == 0 || inc.rng.IntN(4) > 0 {
		return false
	}
	at := inc.rng.IntN(len(m.orphans))
	o := m.orphans[at]
	m.orphans = append(m.orphans[:at], m.orphans[at+1:]...)
	if inc.off[faultCallStale] {
		return true
	}
	if o.ask != nil {
		if !o.ask.done {
			return true // it was never asked
		}
		inc.detail("%v: an answer for an earlier incarnation: %s", inc, o.ask.name)
		o.ask.answer(inc.m)
		return true
	}
	inc.struck(faultCallStale, inc)
	inc.tell("%v: %s answers a call of an earlier incarnation", inc, name(o.call.call.Target))
	inc.m.Replied(o.call.call.ID, inc.w.answer(&o.call.call))
	return true
}

// fails draws whether an attempt fails, and how.
func (inc *incarnation) fails(f *flying) (machine.Failure, bool) {
	text := machine.Failure{Text: "on purpose"}
	say := func(k fault, kind machine.FailureKind) (machine.Failure, bool) {
		inc.struck(k, inc)
		text.Kind, text.RetryAfter = kind, []int64{0, 0, 5, 1 << 40}[inc.dice.fault(k, 4)]
		return text, true
	}
	wrong := slices.ContainsFunc(f.call.Messages, func(m api.Message) bool { return inc.w.node(&m).wrong })
	aside := inc.w.asides[f.call.Target.Type] // whose wrong answers to other messages must not use up the budget, or they would be set aside
	switch {
	case wrong && inc.calm:
		return say(faultAside, machine.FailAnswer)
	case inc.calm:
	case f.hangs:
		return say(faultCallHangs, machine.FailTimeout)
	case f.call.Target.Type == inc.down:
		return say(faultDown, machine.FailEndpoint)
	case f.call.Target == inc.poison && !aside:
		return say(faultPoison, machine.FailAnswer)
	case inc.strikes(faultCallEndpoint):
		return say(faultCallEndpoint, machine.FailEndpoint)
	case inc.strikes(faultCallTimeout):
		return say(faultCallTimeout, machine.FailTimeout)
	case wrong:
		return say(faultAside, machine.FailAnswer)
	case aside && inc.harmless(f) && inc.strikes(faultCallAnswer):
		return say(faultCallAnswer, machine.FailAnswer)
	case aside && len(f.call.Messages) == 1:
	case inc.strikes(faultCallTooLarge):
		return say(faultCallTooLarge, machine.FailTooLarge)
	case !aside && inc.strikes(faultCallAnswer):
		return say(faultCallAnswer, machine.FailAnswer)
	}
	return text, false
}

// sendsToNobody reports whether something of a reply must be set aside.
func (inc *incarnation) sendsToNobody(r *machine.Reply) bool {
	nobody := func(t api.FunctionType) bool { return t == strayType || t == inc.lacks }
	return slices.ContainsFunc(r.Sends, func(s machine.Send) bool { return nobody(s.Target.Type) }) ||
		slices.ContainsFunc(r.Delayed, func(d machine.Delayed) bool { return !d.Cancel && nobody(d.Target.Type) }) ||
		slices.ContainsFunc(r.Outputs, func(o machine.Output) bool { return o.Egress == egressLost })
}
