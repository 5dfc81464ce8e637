package statestore

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// The codec writes the packed content of rows, the same for all stores. Each row begins with a format byte; behind it are
// fields in protobuf's wire format, of which readers skip those that they do not know. So a field can be added any time, and
// another format byte is needed only when the meaning of what is there changes.
//
// Decoders take any bytes: they answer an error, never panic, and allocate in proportion to what they are given.

const formatOne = 1

// errFormat: the row was written by a version that knows more than this one.
func errFormat(got byte) error {
	return fmt.Errorf("stored row has format %d, this version reads %d: %w", got, formatOne, ErrNewer)
}

var errEmptyRow = errors.New("stored row is empty")

// tag of a field: its number and its wire type.
type tag uint64

func varintTag(n protowire.Number) tag { return tag(n)<<3 | tag(protowire.VarintType) }
func bytesTag(n protowire.Number) tag  { return tag(n)<<3 | tag(protowire.BytesType) }

// Tags of the first fields, as constants so that a switch over them is a jump.
const (
	varint1 tag = 1<<3 | 0
	varint2 tag = 2<<3 | 0
	varint3 tag = 3<<3 | 0
	varint4 tag = 4<<3 | 0
	varint5 tag = 5<<3 | 0
	varint6 tag = 6<<3 | 0
	bytes1  tag = 1<<3 | 2
	bytes2  tag = 2<<3 | 2
	bytes3  tag = 3<<3 | 2
	bytes4  tag = 4<<3 | 2
	bytes5  tag = 5<<3 | 2
	bytes7  tag = 7<<3 | 2
	bytes8  tag = 8<<3 | 2
	bytes10 tag = 10<<3 | 2
	bytes11 tag = 11<<3 | 2
	bytes12 tag = 12<<3 | 2
	bytes13 tag = 13<<3 | 2
	bytes14 tag = 14<<3 | 2
	bytes15 tag = 15<<3 | 2
	bytes16 tag = 16<<3 | 2
	bytes17 tag = 17<<3 | 2

	varint18 tag = 18<<3 | 0
)

// reader walks over fields. After next answered true, tag says which field it is, and n or data hold its value.
type reader struct {
	rest []byte
	tag  tag
	n    uint64
	data []byte
	err  error
}

// open checks the format byte of a row.
func open(row []byte) reader {
	switch {
	case len(row) == 0:
		return reader{err: errEmptyRow}
	case row[0] != formatOne:
		return reader{err: errFormat(row[0])}
	}
	return reader{rest: row[1:]}
}

func (r *reader) next() bool {
	if r.err != nil || len(r.rest) == 0 {
		return false
	}
	num, typ, n := protowire.ConsumeTag(r.rest)
	if n < 0 {
		return r.fail(n)
	}
	r.rest = r.rest[n:]
	r.tag = tag(num)<<3 | tag(typ)
	r.n, r.data = 0, nil
	switch typ {
	case protowire.VarintType:
		r.n, n = protowire.ConsumeVarint(r.rest)
	case protowire.BytesType:
		r.data, n = protowire.ConsumeBytes(r.rest)
	default:
		n = protowire.ConsumeFieldValue(num, typ, r.rest)
	}
	if n < 0 {
		return r.fail(n)
	}
	r.rest = r.rest[n:]
	return true
}

func (r *reader) fail(code int) bool {
	r.err = fmt.Errorf("read a stored row: %w", protowire.ParseError(code))
	return false
}

// keep notes the first error of a nested value.
func (r *reader) keep(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *reader) zigzag() int64 { return protowire.DecodeZigZag(r.n) }

func appendVarint(b []byte, n protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendVarint(b, uint64(varintTag(n))), v)
}

// appendNumber leaves a zero out.
func appendNumber(b []byte, n protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return appendVarint(b, n, v)
}

func appendZigzag(b []byte, n protowire.Number, v int64) []byte {
	return appendNumber(b, n, protowire.EncodeZigZag(v))
}

// appendText leaves an empty string out.
func appendText(b []byte, n protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendVarint(b, uint64(bytesTag(n))), s)
}

// appendBytes leaves nil out and writes an empty slice.
func appendBytes(b []byte, n protowire.Number, v []byte) []byte {
	if v == nil {
		return b
	}
	return protowire.AppendBytes(protowire.AppendVarint(b, uint64(bytesTag(n))), v)
}

// appendNested writes what f appends as the field's value. The length is filled in behind it, in as many bytes as it needs.
func appendNested(b []byte, n protowire.Number, f func([]byte) []byte) []byte {
	b = protowire.AppendVarint(b, uint64(bytesTag(n)))
	start := len(b)
	b = append(b, 0)
	b = f(b)
	size := len(b) - start - 1
	if size < 0x80 {
		b[start] = byte(size)
		return b
	}
	width := protowire.SizeVarint(uint64(size))
	var room [9]byte
	b = append(b, room[:width-1]...)
	copy(b[start+width:], b[start+1:start+1+size])
	protowire.AppendVarint(b[:start], uint64(size))
	return b
}

// appendBool leaves false out.
func appendBool(b []byte, n protowire.Number, v bool) []byte {
	if !v {
		return b
	}
	return appendVarint(b, n, 1)
}
