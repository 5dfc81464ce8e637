package machine

import (
	"fmt"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// Dead letters are bounded for each origin: an ingress, a function, an egress. Nothing is dropped at the bound: who would set
// something aside waits until an operator has discarded some. An ingress brings no more records; an address goes on trying the
// call whose messages or reply would be set aside; a lane delivers nothing behind what its sink has refused; a delayed message to
// nobody is put off. What has arrived already is set aside all the same, so the bound may be passed by a batch of each source, or by
// one reply.

// deadTotal is how many dead letters of one origin there are, in the store and on their way to it.
type deadTotal struct {
	origin  string
	letters int64
	bytes   int64
	since   int64 // when they reached their bound; 0: they have not, or had already when they were claimed
}

// deadOf is the total of an origin. Origins are named by modules, not by replies, so there are few.
func (m *Machine) deadOf(origin string) *deadTotal {
	d := m.dead[origin]
	if d == nil {
		d = &deadTotal{origin: origin}
		m.dead[origin] = d
	}
	return d
}

// deadFull reports whether nothing more of the origin is to be set aside.
func (m *Machine) deadFull(d *deadTotal) bool {
	return d.letters >= m.cfg.DeadLettersMax || d.bytes >= m.cfg.DeadLetterBytesMax
}

func (m *Machine) claimDead(claim *statestore.Claim) {
	for _, kept := range claim.Dead {
		d := m.deadOf(kept.Origin)
		d.letters, d.bytes = kept.Letters, kept.Bytes
	}
}

// setAside makes a dead letter an effect of the next cut.
func (m *Machine) setAside(d api.DeadLetter, of *deadTotal) {
	d.Number = m.draw()
	d.AtMS = m.now
	d.Origin = of.origin
	full := m.deadFull(of)
	of.letters++
	of.bytes += int64(d.Size())
	m.deadLetters = append(m.deadLetters, d)
	m.unanswered(&d)
	m.stats.DeadLetters++
	m.effect(true)
	m.effectBytes += d.Size()
	if m.cfg.OnDeadLetter != nil {
		m.cfg.OnDeadLetter(&d)
	}
	if m.deadFull(of) {
		if !full {
			of.since = m.now
		}
		m.judgeFed(of)
	}
}

// judgeFed says Full or Room to the sources of an ingress.
func (m *Machine) judgeFed(d *deadTotal) {
	for _, s := range m.sourceList {
		if s.dead == d {
			m.judgeSource(s)
		}
	}
}

// aside is why a message can never be a call; no reason: it can.
func (m *Machine) aside(msg *api.Message) (reason, detail string) {
	if err := api.CheckAddress(msg.Target); err != nil {
		return "bad address", err.Error()
	}
	cfg, declared := m.functionConfig(msg.Target.Type)
	switch {
	case !declared, msg.Target.Type == OnceType:
		return "unknown function", fmt.Sprintf("no endpoint of the module serves %s", msg.Target.Type)
	case cfg.Refusal != "":
		return "unreachable function", cfg.Refusal
	}
	return "", ""
}

// deliverable sets a message aside that can never be a call, and reports whether it is one. It counts against the ingress that has
// brought it, or else the function that has sent it: names in a reply are any number.
func (m *Machine) deliverable(msg *api.Message, s *source, offset int64) bool {
	reason, detail := m.aside(msg)
	if reason == "" {
		return true
	}
	d := api.DeadLetter{
		Kind: api.DeadMessage, From: cutText(msg.Target.Type.String()), Reason: reason, Detail: cutText(detail),
		Address: msg.Target, Caller: msg.Caller, TypeName: msg.Argument.TypeName, Value: msg.Argument.Value, NoValue: !msg.Argument.HasValue,
	}
	if s != nil {
		d.Source, d.Offset = s.id, offset
		m.setAside(d, s.dead)
		return false
	}
	m.setAside(d, m.deadOf(originOf(msg)))
	return false
}

// originOf is whose dead letters count a message that no source has brought: its sender's. Nobody has sent a delayed one that came from
// outside; it was taken for a function that the module declared then.
func originOf(msg *api.Message) string {
	if msg.Caller.IsZero() {
		return api.OriginFunction(msg.Target.Type)
	}
	return api.OriginFunction(msg.Caller.Type)
}

// asides names the first of what a reply asks for that would be set aside; "": nothing would.
func (m *Machine) asides(reply *Reply) string {
	nobody := func(s *Send) string {
		if s.Target.Type == ReplyType { // one for which nobody waits is dropped
			return ""
		}
		if reason, _ := m.aside(&api.Message{Target: s.Target}); reason == "" {
			return ""
		}
		return "function " + cutText(s.Target.Type.String())
	}
	for i := range reply.Sends {
		if to := nobody(&reply.Sends[i]); to != "" {
			return to
		}
	}
	for i := range reply.Delayed {
		if reply.Delayed[i].Cancel {
			continue
		}
		if to := nobody(&reply.Delayed[i].Send); to != "" {
			return to
		}
	}
	for i := range reply.Outputs {
		if id := reply.Outputs[i].Egress; m.lanes[id] == nil {
			return "egress " + cutText(id)
		}
	}
	return ""
}

// deadRoom lets those go on who waited for room among the dead letters of an origin.
func (m *Machine) deadRoom(d *deadTotal) {
	m.judgeFed(d)
	for _, l := range m.laneList {
		if l.dead == d {
			m.refuse(l)
		}
	}
	var waiting []*cell
	for _, c := range m.backoffs {
		if c.crowded && c.fn.dead == d {
			waiting = append(waiting, c)
		}
	}
	for _, c := range waiting {
		c.crowded = false
		m.endBackoff(c)
	}
}

// Refused sets outputs aside that a sink will never take; at the bound of the egress's dead letters when there is room again, and the
// relay waits for its token.
func (m *Machine) Refused(id statestore.LaneID, dead []api.DeadLetter, token uint64) {
	l := m.lanes[id.Egress]
	if l == nil { // nobody relays what the module does not declare
		for _, d := range dead {
			m.setAside(d, m.deadOf(api.OriginEgress(id.Egress)))
		}
		m.waitFor(token)
		return
	}
	l.refused = dead // what it waited to set aside before is in it: a relay asks for one part at a time
	l.refusedTokens = append(l.refusedTokens, token)
	if !m.deadFull(l.dead) {
		m.refuse(l)
	}
}

// refuse sets aside what a lane has waiting for it.
func (m *Machine) refuse(l *lane) {
	for _, d := range l.refused {
		if l.outbox {
			m.refusals = append(m.refusals, statestore.Refusal{Lane: l.id, Number: uint64(d.Offset)})
		}
		m.setAside(d, l.dead)
	}
	for _, token := range l.refusedTokens {
		m.waitFor(token)
	}
	l.refused, l.refusedTokens = nil, nil
}
