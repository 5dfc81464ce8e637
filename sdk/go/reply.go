package stategate

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// Replies are encoded by hand: an effect is written when it is asked for, and is no object in between. The fields of all messages here
// but two have numbers below 16, so that their tags are one byte.

// The repeated fields of an InvocationResponse.
const (
	mutationsField = 1
	messagesField  = 2
	delayedField   = 3
	egressesField  = 4
)

func appendTag(b []byte, number int) []byte { return append(b, byte(number<<3|2)) }

// appendHeader appends what stands before a message of a size, and makes room for it.
func appendHeader(b []byte, number, size int) []byte {
	b = slices.Grow(b, 1+protowire.SizeBytes(size))
	return protowire.AppendVarint(appendTag(b, number), uint64(size))
}

// appendText appends a field of text or bytes; one that is empty is left out, as protobuf does.
func appendText[T string | []byte](b []byte, number int, text T) []byte {
	if len(text) == 0 {
		return b
	}
	return append(protowire.AppendVarint(appendTag(b, number), uint64(len(text))), text...)
}

// sizeOf is the size of a field of text or bytes, or of a message where it may be left out.
func sizeOf(content int) int {
	if content == 0 {
		return 0
	}
	return 1 + protowire.SizeBytes(content)
}

func (a Address) size() int {
	return sizeOf(len(a.Namespace)) + sizeOf(len(a.Name)) + sizeOf(len(a.ID))
}

func (a Address) append(b []byte, number int) []byte {
	b = protowire.AppendVarint(appendTag(b, number), uint64(a.size()))
	return appendText(appendText(appendText(b, 1, a.Namespace), 2, a.Name), 3, a.ID)
}

func (v TypedValue) size() int { return sizeOf(len(v.TypeName)) + 2 + sizeOf(len(v.Value)) }

func (v TypedValue) append(b []byte, number int) []byte {
	b = protowire.AppendVarint(appendTag(b, number), uint64(v.size()))
	b = append(appendText(b, 1, v.TypeName), 2<<3, 1)
	return appendText(b, 3, v.Value)
}

// appendMessage appends the field of a message to an address.
func appendMessage(b []byte, to Address, v TypedValue) []byte {
	b = appendHeader(b, messagesField, 1+protowire.SizeBytes(to.size())+1+protowire.SizeBytes(v.size()))
	return v.append(to.append(b, 1), 2)
}

// appendDelayed appends the field of a delayed message.
func appendDelayed(b []byte, milliseconds int64, token string, to Address, v TypedValue) []byte {
	size := 1 + protowire.SizeBytes(to.size()) + 1 + protowire.SizeBytes(v.size()) + sizeOf(len(token))
	if milliseconds != 0 {
		size += 1 + protowire.SizeVarint(uint64(milliseconds))
	}
	b = appendHeader(b, delayedField, size)
	if milliseconds != 0 {
		b = protowire.AppendVarint(append(b, 1<<3), uint64(milliseconds))
	}
	return appendText(v.append(to.append(b, 2), 3), 11, token)
}

// appendCancellation appends the field of a cancellation.
func appendCancellation(b []byte, token string) []byte {
	b = appendHeader(b, delayedField, 2+sizeOf(len(token)))
	return appendText(append(b, 10<<3, 1), 11, token)
}

// appendEgress appends the field of a record for an egress.
func appendEgress(b []byte, namespace, name string, v TypedValue) []byte {
	size := sizeOf(len(namespace)) + sizeOf(len(name)) + 1 + protowire.SizeBytes(v.size())
	b = appendHeader(b, egressesField, size)
	return v.append(appendText(appendText(b, 1, namespace), 2, name), 3)
}

// mutationSize is that of the content of a mutation.
func mutationSize(name string, c *cell) int {
	if !c.set {
		return sizeOf(len(name))
	}
	return 2 + sizeOf(len(name)) + 1 + protowire.SizeBytes(c.value.size())
}

// appendMutation appends the field of a state that was set or deleted.
func appendMutation(b []byte, name string, c *cell) []byte {
	b = appendHeader(b, mutationsField, mutationSize(name, c))
	if !c.set {
		return appendText(b, 2, name)
	}
	return c.value.append(appendText(append(b, 1<<3, 1), 2, name), 3)
}

// appendReply appends the FromFunction with the effects of a batch.
func (b *batch) appendReply(reply []byte) []byte {
	size := 0
	for i := range b.cells {
		if b.cells[i].touched {
			size += 1 + protowire.SizeBytes(mutationSize(b.function.specs[i].StateName, &b.cells[i]))
		}
	}
	for _, effects := range b.effects {
		size += len(effects)
	}
	reply = protowire.AppendVarint(protowire.AppendTag(reply, 100, protowire.BytesType), uint64(size))
	for i := range b.cells {
		if b.cells[i].touched {
			reply = appendMutation(reply, b.function.specs[i].StateName, &b.cells[i])
		}
	}
	for _, effects := range b.effects {
		reply = append(reply, effects...)
	}
	return reply
}

// checkText refuses what is no UTF-8: it would take the rest of a reply with it.
func checkText(what, text string) error {
	if !utf8.ValidString(text) {
		return fmt.Errorf("%s %q is not UTF-8", what, text)
	}
	return nil
}
