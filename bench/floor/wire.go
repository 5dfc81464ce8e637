package main

import (
	"encoding/binary"
	"math/bits"
)

// What the function's protocol needs of protobuf (docs/PROTOCOL.md has the messages). All field numbers that are written are below 16 but
// that of ToFunction's one field, so a tag is one byte.

const toFunctionInvocation = 100

func sizeVarint(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

// sizeBytes is a field of n bytes with a tag of one.
func sizeBytes(n int) int { return 1 + sizeVarint(uint64(n)) + n }

func appendTag(b []byte, number int, n int) []byte {
	return binary.AppendUvarint(append(b, byte(number<<3|2)), uint64(n))
}

func appendField[T string | []byte](b []byte, number int, content T) []byte {
	return append(appendTag(b, number, len(content)), content...)
}

func appendNumber(b []byte, number int, v uint64) []byte {
	return binary.AppendUvarint(append(b, byte(number<<3)), v)
}

// message is read field by field.
type message struct {
	rest   []byte
	number int
	value  uint64 // of a number
	bytes  []byte // of text, bytes and messages
	broken bool
}

// next moves to the next field; false: there is none, or the message is broken.
func (m *message) next() bool {
	if len(m.rest) == 0 || m.broken {
		return false
	}
	tag, n := binary.Uvarint(m.rest)
	if n <= 0 {
		m.broken = true
		return false
	}
	m.rest = m.rest[n:]
	m.number, m.value, m.bytes = int(tag>>3), 0, nil
	size := 0
	switch tag & 7 {
	case 0:
		if m.value, n = binary.Uvarint(m.rest); n > 0 {
			size = n
		}
	case 1:
		size = 8
	case 2:
		if length, n := binary.Uvarint(m.rest); n > 0 && length <= uint64(len(m.rest)-n) {
			size = n + int(length)
			m.bytes = m.rest[n:size]
		}
	case 5:
		size = 4
	}
	if size == 0 || size > len(m.rest) {
		m.broken = true
		return false
	}
	m.rest = m.rest[size:]
	return true
}
