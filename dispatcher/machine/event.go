package machine

import (
	"fmt"

	"github.com/stategate/stategate/api"
)

// Events come from outside and have no source that could bring them again: whoever sends one waits until a commit holds it, or what
// came of it. From then on it is a message like any other that functions send. Before that it lives in memory alone, so whoever sends
// it is told which of the two it is when this memory is dropped: Work.Sealed.
//
// An event that finds no room waits in the order of its function's events. Those that wait are in nobody's count: whoever calls Event
// bounds how many there are.
type events struct {
	waiting fifo[*function] // that have events without room
	sealed  []uint64        // tokens of those that the next cut holds
	bytes   int             // of them
}

// event waits for room.
type event struct {
	msg   api.Message
	token uint64
	later bool // it is a delayed message
	delay int64
	name  string // by which it can be cancelled
}

// Refusal says why a message from outside can never be a call.
type Refusal struct {
	Reason string // short and stable: "bad address", "bad value", "unknown function", "unreachable function"
	Detail string // for people
}

func (r *Refusal) Error() string { return r.Detail }

// refuseEvent says why a message from outside cannot be taken; nil: it can.
func (m *Machine) refuseEvent(msg *api.Message) *Refusal {
	if reason, detail := m.aside(msg); reason != "" {
		return &Refusal{reason, detail}
	}
	if !msg.Caller.IsZero() {
		if err := api.CheckAddress(msg.Caller); err != nil {
			return &Refusal{"bad address", fmt.Sprintf("caller: %v", err)}
		}
	}
	if err := api.CheckValue(msg.Argument); err != nil {
		return &Refusal{"bad value", err.Error()}
	}
	return nil
}

// Event brings a message from outside. The token is Done when it is durable; when it is refused nothing has happened.
func (m *Machine) Event(msg api.Message, token uint64) *Refusal {
	return m.event(event{msg: msg, token: token})
}

// Later brings a message that is delivered after a delay in milliseconds. With a name it replaces one of the same name that waits, and
// can be cancelled. For all else it is as Event.
func (m *Machine) Later(msg api.Message, delay int64, name string, token uint64) *Refusal {
	if delay < 0 || len(name) > api.TokenBytesMax {
		return &Refusal{"bad delay", fmt.Sprintf("delay of %d ms and a name of %d bytes: want none below 0, and a name of at most %d bytes", delay, len(name), api.TokenBytesMax)}
	}
	return m.event(event{msg: msg, token: token, later: true, delay: delay, name: name})
}

// CancelLater removes the delayed message from outside that has the name and was not delivered. The token is Done when that is durable.
func (m *Machine) CancelLater(name string, done uint64) {
	m.cancel(token{token: name})
	m.waitFor(done)
}

func (m *Machine) event(e event) *Refusal {
	if r := m.refuseEvent(&e.msg); r != nil {
		return r
	}
	m.bring(e, m.function(e.msg.Target.Type))
	return nil
}

// bring takes an event if there is room, and lets it wait among those of the function if not.
func (m *Machine) bring(e event, f *function) {
	if f.events.len() > 0 || m.eventsFull() || m.overKept(f) {
		if !f.eventful {
			f.eventful = true
			m.events.waiting.push(f)
		}
		f.events.push(e)
		return
	}
	m.acceptEvent(e)
}

// Withdraw takes back an event that waits for room. When it does not wait any more the answer is no: it is a message by now.
func (m *Machine) Withdraw(t api.FunctionType, token uint64) bool {
	f := m.functions[t]
	if f == nil {
		return false
	}
	var left []event
	for _, e := range f.events.all() {
		if e.token != token {
			left = append(left, e)
		}
	}
	if len(left) == f.events.len() {
		return false
	}
	f.events.set(left)
	return true
}

// eventsFull reports whether no event may come for any function: a bound of the store is reached, or too many are uncommitted.
func (m *Machine) eventsFull() bool {
	count, bytes := len(m.events.sealed), m.events.bytes
	if m.inflight != nil {
		count, bytes = count+len(m.inflight.sealed), bytes+m.inflight.sealedBytes
	}
	return m.choke || count >= m.cfg.EventMessagesMax || bytes >= m.cfg.EventBytesMax
}

// admitEvents takes events that have waited, one of each function in turn, as far as there is room. Room for one function is none for
// another, and none is made here.
func (m *Machine) admitEvents() {
	var blocked []*function
	for m.events.waiting.len() > 0 && !m.eventsFull() {
		f := m.events.waiting.pop()
		switch {
		case f.events.len() == 0: // all were taken back
			f.eventful = false
			continue
		case m.overKept(f):
			blocked = append(blocked, f)
			continue
		}
		m.acceptEvent(f.events.pop())
		if f.eventful = f.events.len() > 0; f.eventful {
			m.events.waiting.push(f)
		}
	}
	for _, f := range blocked {
		m.events.waiting.push(f)
	}
}

// acceptEvent makes an event a message: the next cut keeps it if it is still waiting.
func (m *Machine) acceptEvent(e event) {
	m.events.sealed = append(m.events.sealed, e.token)
	m.events.bytes += e.msg.Size()
	m.stats.Events++
	if e.later {
		if e.name != "" {
			m.cancel(token{token: e.name})
		}
		m.newTimer(m.after(e.delay), e.name, e.msg)
	} else {
		m.put(&message{Message: e.msg})
	}
	m.waitFor(e.token)
}
