package machine

import (
	"fmt"

	"github.com/stategate/stategate/api"
)

// Replays: what was set aside goes where it was to go, behind all that waits there. The letter ends in the commit in which its message or
// output begins, so it happens once, whatever becomes of that commit. What fails again becomes another letter, with a number of its own.
//
// Whoever asks has read the letters from the store, and asks for none while an earlier replay or discard is not durable: what the store
// answers then is there.

// RefusedLetter is a dead letter that cannot be replayed as things stand.
type RefusedLetter struct {
	Number uint64
	Why    string
}

// Ended is what has become of dead letters that were to be replayed or discarded.
type Ended struct {
	Taken   int             // how many of them, from the first on, were looked at: there was no room for the others, and Full says why
	Done    int             // of those
	Refused []RefusedLetter // of those; they stay
	Full    string
}

// Discard tells that an operator wants dead letters to be gone, as the store has answered them, each of them once. The token is Done
// when they are. Who waited for room goes on at once.
func (m *Machine) Discard(letters []api.DeadLetter, by, on string, token uint64) Ended {
	for i := range letters {
		m.endLetter(&letters[i])
	}
	m.act(by, "discard", on, summary(letters, nil, nil))
	m.waitFor(token)
	return Ended{Taken: len(letters), Done: len(letters)}
}

// Replay tells that an operator wants dead letters to be tried again, as the store has answered them, each of them once, in their order.
// to is where a record goes that has no address; nil: nowhere. The token is Done when those are durable that are on their way again; when
// there is none, nothing has happened.
func (m *Machine) Replay(letters []api.DeadLetter, to *api.Address, by, on string, token uint64) (e Ended) {
	for ; e.Taken < len(letters); e.Taken++ {
		d := &letters[e.Taken]
		full, why := m.replay(d, to)
		if full != "" {
			e.Full = full
			break
		}
		if why != "" {
			e.Refused = append(e.Refused, RefusedLetter{d.Number, why})
			continue
		}
		m.endLetter(d)
		e.Done++
	}
	if e.Done > 0 {
		m.act(by, "replay", on, summary(letters[:e.Taken], e.Refused, to))
		m.waitFor(token)
	}
	return e
}

// endLetter takes a letter out of the store with the next cut.
func (m *Machine) endLetter(d *api.DeadLetter) {
	of := m.deadOf(d.Origin)
	full := m.deadFull(of)
	of.letters--
	of.bytes -= int64(d.Size())
	m.deadEnds = append(m.deadEnds, d.Number)
	if full && !m.deadFull(of) {
		of.since = 0
		m.deadRoom(of)
	}
}

// replay makes what was set aside an effect of the next cut, unless there is no room for it (full), or there will never be (why).
func (m *Machine) replay(d *api.DeadLetter, to *api.Address) (full, why string) {
	if to != nil && (d.Kind != api.DeadRecord || !d.Address.IsZero()) {
		return "", "it goes where it was to go: another address can only be said for a record that has none"
	}
	switch d.Kind {
	case api.DeadMessage:
		value := api.TypedValue{TypeName: d.TypeName, HasValue: !d.NoValue, Value: d.Value}
		return m.replayMessage(d, &message{Message: api.Message{Target: d.Address, Caller: d.Caller, Argument: value}})
	case api.DeadRecord:
		target := d.Address
		switch {
		case to != nil:
			target = *to
		case target.IsZero():
			return "", "it is a record for no address: say to which one it is to go"
		}
		if partial(d) {
			return "", "it is not kept as a whole: the record was larger than what is kept of one"
		}
		value := api.TypedValue{TypeName: d.TypeName, HasValue: d.Value != nil, Value: d.Value}
		return m.replayMessage(d, &message{Message: api.Message{Target: target, Argument: value}})
	case api.DeadOutput:
		return m.replayOutput(d)
	}
	return "", fmt.Sprintf("it is of %v, which this version does not know", d.Kind)
}

// partial reports whether a record may have been cut when it was set aside: ingresses keep ValueBytesMax of it.
func partial(d *api.DeadLetter) bool {
	kept := len(d.Key) + len(d.Value)
	for i := range d.Headers {
		kept += len(d.Headers[i].Key) + len(d.Headers[i].Value)
	}
	return kept >= api.ValueBytesMax
}

func (m *Machine) replayMessage(d *api.DeadLetter, msg *message) (full, why string) {
	if msg.Target.Type == ReplyType {
		return "", "what is sent to " + ReplyType.String() + " is handed to who waits outside, and nobody does"
	}
	if r := m.refuseEvent(&msg.Message); r != nil {
		return "", r.Detail
	}
	f := m.function(msg.Target.Type)
	switch {
	case m.overKept(f):
		return fmt.Sprintf("messages kept for %s have reached their bound", f.name), ""
	case m.eventsFull() || f.events.len() > 0: // those have waited longer
		return fullText, ""
	}
	if s := m.sources[d.Source]; s != nil {
		msg.origin, msg.offset = s, d.Offset
	}
	m.put(msg)
	m.events.bytes += msg.size
	return "", ""
}

const fullText = "too much waits to be stored or delivered"

func (m *Machine) replayOutput(d *api.DeadLetter) (full, why string) {
	l := m.lanes[d.From]
	switch {
	case l == nil:
		return "", fmt.Sprintf("the module declares no egress %q", d.From)
	case m.eventsFull():
		return fullText, ""
	case l.bytes >= m.cfg.OutboxBytesMax:
		return fmt.Sprintf("undelivered outputs of %s have reached their bound", d.From), ""
	}
	o := Output{Egress: d.From, Value: api.TypedValue{TypeName: d.TypeName, HasValue: !d.NoValue, Value: d.Value}}
	m.output(d.Address, &o, nil)
	m.events.bytes += len(d.Value)
	return "", ""
}

// summary words for an act which letters it was about. Numbers of those that stood one behind the other are a range.
func summary(letters []api.DeadLetter, refused []RefusedLetter, to *api.Address) string {
	if len(letters) == 1 {
		d := &letters[0]
		text := fmt.Sprintf("%v %d of %s, set aside for: %s", d.Kind, d.Number, d.From, d.Reason)
		if to != nil {
			text += fmt.Sprintf("; to %s/%s", to.Type, to.ID)
		}
		return text
	}
	stayed := func(d *api.DeadLetter) bool {
		for len(refused) > 0 && refused[0].Number < d.Number {
			refused = refused[1:]
		}
		return len(refused) > 0 && refused[0].Number == d.Number
	}
	const textMax = 1000
	text, end := counted(int64(len(letters)-len(refused)), "letter:", "letters:"), ""
	if len(refused) > 0 {
		end = fmt.Sprintf("; %d refused", len(refused))
	}
	for i := 0; i < len(letters); i++ {
		if stayed(&letters[i]) {
			continue
		}
		if len(text) > textMax {
			return text + fmt.Sprintf(" ... up to %d", letters[len(letters)-1].Number) + end
		}
		first := letters[i].Number
		for i+1 < len(letters) && !stayed(&letters[i+1]) {
			i++
		}
		text += fmt.Sprintf(" %d", first)
		if last := letters[i].Number; last > first {
			text += fmt.Sprintf("-%d", last)
		}
	}
	return text + end
}
