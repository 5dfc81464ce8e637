package statestore

import (
	"errors"
	"fmt"

	"github.com/stategate/stategate/api"
)

// A message is written as what differs from the message before it; its first is compared with an empty one. Fields: 1 number
// minus the number before, 2 target, 3 caller, 4 type name, 5 value, 6 has_value, 8 trace.

// AppendMails writes messages, which must be in rising order of number.
func AppendMails(b []byte, messages []Mail) []byte {
	b = append(b, formatOne)
	var before Mail
	for i := range messages {
		m := &messages[i]
		b = appendNested(b, 1, func(b []byte) []byte {
			b = appendVarint(b, 1, m.Number-before.Number)
			return appendMessage(b, &m.Message, &before.Message)
		})
		before.Number, before.Message = m.Number, m.Message
	}
	return b
}

var errMailOrder = errors.New("read a stored row: messages are not in rising order of number")

// DecodeMails reads what AppendMails wrote. The answer shares nothing with row, so that one message that stays in memory does not
// hold all others.
func DecodeMails(row []byte) ([]Mail, error) {
	r := open(row)
	var messages []Mail
	var before Mail
	for r.next() {
		if r.tag != bytes1 {
			continue
		}
		m := reader{rest: r.data}
		message := before.Message
		message.Argument.Value, message.Argument.HasValue = nil, false
		step := uint64(0)
		for m.next() {
			if m.tag == varint1 {
				step = m.n
				continue
			}
			m.keep(decodeMessageField(&m, &message))
		}
		number := before.Number + step
		switch {
		case m.err != nil:
			return nil, m.err
		case number < before.Number || step == 0 && len(messages) > 0:
			return nil, errMailOrder
		}
		before = Mail{Number: number, Message: message}
		messages = append(messages, before)
	}
	if r.err != nil {
		return nil, fmt.Errorf("messages: %w", r.err)
	}
	return messages, nil
}

func appendMessage(b []byte, m, before *api.Message) []byte {
	b = appendAddressChange(b, 2, m.Target, &before.Target)
	b = appendAddressChange(b, 3, m.Caller, &before.Caller)
	b = appendChange(b, 4, m.Argument.TypeName, before.Argument.TypeName)
	b = appendBytes(b, 5, m.Argument.Value)
	b = appendBool(b, 6, m.Argument.HasValue)
	return appendTraceChange(b, 8, m.Trace, before.Trace)
}

func decodeMessageField(r *reader, m *api.Message) error {
	switch r.tag {
	case bytes2:
		return decodeAddress(r.data, &m.Target)
	case bytes3:
		return decodeAddress(r.data, &m.Caller)
	case bytes4:
		m.Argument.TypeName = string(r.data)
	case bytes5:
		m.Argument.Value = clone(r.data)
	case varint6:
		m.Argument.HasValue = r.n != 0
	case bytes8:
		return decodeTrace(r.data, &m.Trace)
	}
	return nil
}

// AppendTimerMessage writes what a timer holds beside its key: the message, and the token as field 7.
func AppendTimerMessage(b []byte, t *Timer) []byte {
	b = appendMessage(append(b, formatOne), &t.Message, &api.Message{})
	return appendText(b, 7, t.Token)
}

// DecodeTimerMessage reads what AppendTimerMessage wrote into Token and Message of t.
func DecodeTimerMessage(row []byte, t *Timer) error {
	r := open(row)
	t.Token, t.Message = "", api.Message{}
	for r.next() {
		if r.tag == bytes7 {
			t.Token = string(r.data)
			continue
		}
		r.keep(decodeMessageField(&r, &t.Message))
	}
	if r.err != nil {
		return fmt.Errorf("timer: %w", r.err)
	}
	return nil
}

// clone copies bytes and keeps an empty slice apart from nil.
func clone(b []byte) []byte {
	if b == nil {
		return nil
	}
	c := make([]byte, len(b))
	copy(c, b)
	return c
}
