package main

import (
	"encoding/binary"
	"fmt"
)

// What this program knows of its function.
const (
	eventType  = "test/event"
	stateName  = "n"
	stateType  = "io.statefun.types/long"
	outputType = "type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord"
)

type functionType struct{ namespace, name string }

// address is one key with its state as of its last call. Memory runs ahead of the store and is thrown away with its life.
type address struct {
	id     []byte
	value  []byte // replaced and never changed: a batch on its way to the store keeps the one of its own time
	stored bool   // the store has a row, or will have one before it sees the next batch
	batch  int    // the last one that it was called in
	call   int    // its call in that batch
}

// call is one of a batch: an address with its records.
type call struct {
	*address
	first, last int    // of its records; the others are linked by batch.next
	value       []byte // after the call
	insert      bool   // the address has no row
	answered    bool
}

// batch is what becomes one transaction.
type batch struct {
	records   []record
	next      []int // by record: the next of the same address, 0: none
	calls     []call
	positions []int64 // by partition, after this batch
	outputs   []byte  // packed
	count     int     // of outputs
}

// group makes one call per address, its records in order.
func (b *batch) group(number int, find func(key []byte) *address) {
	b.next = make([]int, len(b.records))
	b.calls = make([]call, 0, len(b.records))
	for i := range b.records {
		a := find(b.records[i].key)
		if a.batch != number {
			a.batch, a.call = number, len(b.calls)
			b.calls = append(b.calls, call{address: a, first: i, last: i})
			continue
		}
		c := &b.calls[a.call]
		b.next[c.last], c.last = i, i
	}
}

// encode appends the body of a bulk request. Sizes come before what they are the size of, so each call is measured first.
func (b *batch) encode(body []byte, f functionType) []byte {
	for i := range b.calls {
		c := &b.calls[i]
		target := sizeBytes(len(f.namespace)) + sizeBytes(len(f.name)) + sizeBytes(len(c.id))
		typed, state := 0, sizeBytes(len(stateName))
		if before := c.address.value; before != nil {
			typed = sizeBytes(len(stateType)) + 2 + sizeBytes(len(before))
			state += sizeBytes(typed)
		}
		invocation := sizeBytes(target) + sizeBytes(state)
		for at := c.first; ; at = b.next[at] {
			invocation += sizeBytes(sizeBytes(argumentSize(b.records[at].value)))
			if at == c.last {
				break
			}
		}
		toFunction := 2 + sizeVarint(uint64(invocation)) + invocation
		number := uint64(i + 1)
		body = appendTag(body, 1, 1+sizeVarint(number)+sizeBytes(toFunction))
		body = appendNumber(body, 1, number)
		body = appendTag(body, 2, toFunction)
		body = binary.AppendUvarint(binary.AppendUvarint(body, toFunctionInvocation<<3|2), uint64(invocation))
		body = appendTag(body, 1, target)
		body = appendField(appendField(appendField(body, 1, f.namespace), 2, f.name), 3, c.id)
		body = appendField(appendTag(body, 2, state), 1, stateName)
		if typed > 0 {
			body = appendTyped(appendTag(body, 2, typed), stateType, c.address.value)
		}
		for at := c.first; ; at = b.next[at] {
			argument := argumentSize(b.records[at].value)
			body = appendTag(appendTag(body, 3, sizeBytes(argument)), 2, argument)
			body = appendTyped(body, eventType, b.records[at].value)
			if at == c.last {
				break
			}
		}
	}
	return body
}

func argumentSize(value []byte) int { return sizeBytes(len(eventType)) + 2 + sizeBytes(len(value)) }

// appendTyped appends the content of a TypedValue.
func appendTyped(b []byte, name string, value []byte) []byte {
	return appendField(appendNumber(appendField(b, 1, name), 2, 1), 3, value)
}

// decode takes the effects of all calls from the body of the response.
func (b *batch) decode(body []byte) error {
	answered := 0
	var topic []byte // of the output before
	all := message{rest: body}
	for all.next() {
		if all.number != 1 {
			continue
		}
		var c *call
		var reply []byte
		answer := message{rest: all.bytes}
		for answer.next() {
			switch answer.number {
			case 1:
				if n := answer.value; n == 0 || n > uint64(len(b.calls)) || b.calls[n-1].answered {
					return fmt.Errorf("answer to call %d: there is none, or it was answered", n)
				}
				c = &b.calls[answer.value-1]
			case 2:
				reply = answer.bytes
			case 3:
				return fmt.Errorf("a call failed: %q", answer.bytes)
			}
		}
		if c == nil || answer.broken {
			return fmt.Errorf("an answer cannot be decoded")
		}
		c.answered = true
		answered++
		var err error
		if topic, err = b.take(c, reply, topic); err != nil {
			return fmt.Errorf("answer for %q: %w", c.id, err)
		}
	}
	if all.broken || answered < len(b.calls) {
		return fmt.Errorf("%d of %d calls are answered", answered, len(b.calls))
	}
	return nil
}

// take takes the effects of one call: its state, and its outputs as they are kept.
func (b *batch) take(c *call, reply, topic []byte) ([]byte, error) {
	from := message{rest: reply}
	for from.next() {
		if from.number != 100 {
			return topic, fmt.Errorf("no result but field %d", from.number)
		}
		effects := message{rest: from.bytes}
		for effects.next() {
			switch effects.number {
			case 1:
				name, _, value, ok := effect(effects.bytes)
				if !ok || string(name) != stateName {
					return topic, fmt.Errorf("it changes state %q", name)
				}
				c.value = append([]byte{}, value...)
			case 4:
				_, kind, output, ok := effect(effects.bytes)
				if !ok || string(kind) != outputType {
					return topic, fmt.Errorf("it writes %q", kind)
				}
				topic = b.keep(output, topic)
			default:
				return topic, fmt.Errorf("effect %d is unknown", effects.number)
			}
		}
		if effects.broken {
			return topic, fmt.Errorf("effects cannot be decoded")
		}
	}
	if from.broken {
		return topic, fmt.Errorf("it cannot be decoded")
	}
	c.insert = !c.stored && c.value != nil
	return topic, nil
}

// effect is what a change of a state and an output have in common: a name and a typed value.
func effect(b []byte) (name, kind, value []byte, ok bool) {
	m := message{rest: b}
	for m.next() {
		switch m.number {
		case 2:
			name = m.bytes
		case 3:
			typed := message{rest: m.bytes}
			for typed.next() {
				switch typed.number {
				case 1:
					kind = typed.bytes
				case 3:
					value = typed.bytes
				}
			}
			if typed.broken {
				return nil, nil, nil, false
			}
		}
	}
	return name, kind, value, !m.broken
}

// keep packs an output: topic, key and value, each behind its length; no topic stands for that of the output before.
func (b *batch) keep(output, topic []byte) []byte {
	var key, value, to []byte
	m := message{rest: output}
	for m.next() {
		switch m.number {
		case 1:
			key = m.bytes
		case 2:
			value = m.bytes
		case 3:
			to = m.bytes
		}
	}
	written := to
	if string(to) == string(topic) {
		written = nil
	}
	for _, part := range [][]byte{written, key, value} {
		b.outputs = append(binary.AppendUvarint(b.outputs, uint64(len(part))), part...)
	}
	b.count++
	return to
}

// row is the outputs of one batch: they are numbered, without a gap, and kept until they are delivered.
type row struct {
	last    int64 // number of the last output
	count   int
	outputs []byte
}

// each tells the outputs of a row. Their bytes are the row's.
func (r row) each(f func(topic string, key, value []byte)) error {
	var topic string
	rest := r.outputs
	for range r.count {
		var parts [3][]byte
		for i := range parts {
			size, n := binary.Uvarint(rest)
			if n <= 0 || size > uint64(len(rest)-n) {
				return fmt.Errorf("outputs up to number %d cannot be decoded", r.last)
			}
			parts[i], rest = rest[n:n+int(size)], rest[n+int(size):]
		}
		if len(parts[0]) > 0 {
			topic = string(parts[0])
		}
		if len(parts[1]) == 0 {
			parts[1] = nil
		}
		f(topic, parts[1], parts[2])
	}
	return nil
}
