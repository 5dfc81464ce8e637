package dispatcher

import (
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
)

// A request is written by hand: its parts lie in memory already, and building the generated messages first costs several
// times as much. Field numbers are those of api/protocol/request_reply.proto; a test compares the two.

func lenSize(n int) int { return protowire.SizeBytes(n) }

// fieldSize is the size of a length-delimited field with a number below 16, its content included.
func fieldSize(n int) int { return 1 + lenSize(n) }

// textSize is the size of a string field, which is left out when empty.
func textSize(s string) int {
	if s == "" {
		return 0
	}
	return fieldSize(len(s))
}

func appendLen(b []byte, number protowire.Number, n int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.BytesType), uint64(n))
}

func appendText(b []byte, number protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return append(appendLen(b, number, len(s)), s...)
}

func addressSize(a *api.Address) int {
	return textSize(a.Type.Namespace) + textSize(a.Type.Name) + textSize(a.ID)
}

func appendAddress(b []byte, number protowire.Number, a *api.Address) []byte {
	b = appendLen(b, number, addressSize(a))
	b = appendText(b, 1, a.Type.Namespace)
	b = appendText(b, 2, a.Type.Name)
	return appendText(b, 3, a.ID)
}

func valueSize(v *api.TypedValue) int {
	n := textSize(v.TypeName)
	if v.HasValue {
		n += 2
	}
	if len(v.Value) > 0 {
		n += fieldSize(len(v.Value))
	}
	return n
}

func appendValue(b []byte, number protowire.Number, v *api.TypedValue) []byte {
	b = appendLen(b, number, valueSize(v))
	b = appendText(b, 1, v.TypeName)
	if v.HasValue {
		b = append(b, 2<<3, 1)
	}
	if len(v.Value) > 0 {
		b = append(appendLen(b, 3, len(v.Value)), v.Value...)
	}
	return b
}

func stateSize(s *machine.CallState) int {
	n := textSize(s.Name)
	if s.Set {
		n += fieldSize(valueSize(&s.Value))
	}
	return n
}

func invocationSize(m *api.Message) int {
	n := fieldSize(valueSize(&m.Argument))
	if !m.Caller.IsZero() { // a present but empty address would break SDKs
		n += fieldSize(addressSize(&m.Caller))
	}
	return n
}

// batchSize is the size of what a call asks: an InvocationBatchRequest.
func batchSize(c *machine.Call) int {
	size := fieldSize(addressSize(&c.Target))
	for i := range c.States {
		size += fieldSize(stateSize(&c.States[i]))
	}
	for i := range c.Messages {
		size += fieldSize(invocationSize(&c.Messages[i]))
	}
	return size
}

// requestSize is the size of a ToFunction around a batch.
func requestSize(batch int) int { return protowire.SizeTag(batchField) + protowire.SizeBytes(batch) }

// Field numbers of ToFunction, and of ToFunctions (api/protocol/bulk.proto).
const (
	batchField   = 100
	callsField   = 1
	numberField  = 1
	requestField = 2
)

// appendRequest writes the ToFunction of a call.
func appendRequest(b []byte, c *machine.Call) []byte { return appendBatch(b, c, batchSize(c)) }

// bulkCallSize is the size of a call in a ToFunctions.
func bulkCallSize(number, request int) int {
	return 1 + protowire.SizeVarint(uint64(number)) + fieldSize(request)
}

// appendBulk writes the ToFunctions of calls, numbered from 1.
func appendBulk(b []byte, calls []sending) []byte {
	sizes := make([]int, len(calls))
	whole := 0
	for i := range calls {
		sizes[i] = batchSize(calls[i].call)
		whole += fieldSize(bulkCallSize(i+1, requestSize(sizes[i])))
	}
	b = slices.Grow(b, whole)
	for i := range calls {
		request := requestSize(sizes[i])
		b = appendLen(b, callsField, bulkCallSize(i+1, request))
		b = protowire.AppendVarint(append(b, numberField<<3), uint64(i+1))
		b = appendBatch(appendLen(b, requestField, request), calls[i].call, sizes[i])
	}
	return b
}

// appendBatch writes a ToFunction whose batch has that size.
func appendBatch(b []byte, c *machine.Call, size int) []byte {
	b = appendLen(b, batchField, size)
	b = appendAddress(b, 1, &c.Target)
	for i := range c.States {
		s := &c.States[i]
		b = appendLen(b, 2, stateSize(s))
		b = appendText(b, 1, s.Name)
		if s.Set {
			b = appendValue(b, 2, &s.Value)
		}
	}
	for i := range c.Messages {
		m := &c.Messages[i]
		b = appendLen(b, 3, invocationSize(m))
		if !m.Caller.IsZero() {
			b = appendAddress(b, 1, &m.Caller)
		}
		b = appendValue(b, 2, &m.Argument)
	}
	return b
}
