package machine

import "github.com/stategate/stategate/api"

// ReplyType is the function type of those outside who wait for a reply: nobody serves it, and what is sent to it is handed to whoever
// waits. It is the caller of their messages, so a function answers them as it answers any other.
var ReplyType = api.FunctionType{Namespace: "io.stategate", Name: "reply"}

// Answer is a reply for whoever waits under the token.
type Answer struct {
	Token   uint64
	Value   api.TypedValue
	Outcome Outcome // of an event under a key; else Replied or DeadLettered
	Reason  string  // of DeadLettered
}

// replies are who waits outside, and what the next cut holds for them. Who waits is known to this memory alone: when it is dropped,
// nobody waits any more.
type replies struct {
	waiting  map[string]uint64 // token by id of the reply's address
	attempts map[string]uint64 // token by nonce of an attempt under a key: only the key's record answers it
	answers  []Answer          // of the cut that gathers
}

// Ask brings a message from outside whose sender waits for a reply: the first message to the address (ReplyType, id) that a commit
// holds is in Work.Answers under the token. For all else it is as Event. An id is used once, and cannot be guessed.
func (m *Machine) Ask(msg api.Message, id string, token uint64) *Refusal {
	msg.Caller = api.Address{Type: ReplyType, ID: id}
	if r := m.Event(msg, token); r != nil {
		return r
	}
	m.replies.waiting[id] = token
	return nil
}

// unanswered tells whoever waits outside that the message is set aside: nobody will answer it. A key's record waits on, for the letter may
// be replayed.
func (m *Machine) unanswered(d *api.DeadLetter) {
	if d.Kind != api.DeadMessage || d.Caller.Type != ReplyType {
		return
	}
	if token, ok := m.replies.waiting[d.Caller.ID]; ok {
		delete(m.replies.waiting, d.Caller.ID)
		m.replies.answers = append(m.replies.answers, Answer{Token: token, Outcome: DeadLettered, Reason: d.Reason})
	}
}

// Forget tells that nobody waits for the reply any more. One that comes later is dropped.
func (m *Machine) Forget(id string) { delete(m.replies.waiting, id) }

// reply takes a message to somebody outside. The first one wins; what nobody waits for is counted and dropped, for whoever waited is
// gone, or has never been.
func (m *Machine) reply(s *Send, trace *api.Trace) {
	if m.replyOnce(s, trace) {
		return
	}
	token, ok := m.replies.waiting[s.Target.ID]
	if !ok {
		m.stats.RepliesDropped++
		return
	}
	delete(m.replies.waiting, s.Target.ID)
	m.stats.Replies++
	m.effects++
	m.effectBytes += len(s.Argument.Value) + len(s.Argument.TypeName)
	m.replies.answers = append(m.replies.answers, Answer{Token: token, Value: s.Argument})
	m.effect(true)
}
