package dispatcher

import (
	"errors"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

var (
	errWire = errors.New("it is no message of the protocol")
	errText = errors.New("a text in it is not UTF-8")
)

// key is a field's number and wire type as a tag holds them.
type key uint64

const (
	varint key = key(protowire.VarintType)
	packed key = key(protowire.BytesType) // its length stands before it
)

// fields reads the fields of one message, one after the other.
type fields struct {
	rest    []byte
	key     key    // of the last one
	varint  uint64 // its value, of a varint
	content []byte // its value, where the length stands before it
	err     error  // why there is none any more; nil at the end
}

// next reads a field. Those that are neither a varint nor of a length have no value.
func (f *fields) next() bool {
	if len(f.rest) == 0 || f.err != nil {
		return false
	}
	tag, n := uvarint(f.rest)
	number := tag >> 3
	if n < 0 || number < uint64(protowire.MinValidNumber) || number > uint64(protowire.MaxValidNumber) {
		return f.fail(errWire)
	}
	f.key, f.rest = key(tag), f.rest[n:]
	switch protowire.Type(tag & 7) {
	case protowire.VarintType:
		f.varint, n = uvarint(f.rest)
	case protowire.BytesType:
		var length uint64
		if length, n = uvarint(f.rest); n >= 0 && length > uint64(len(f.rest)-n) {
			n = -1
		}
		if n >= 0 {
			f.content = f.rest[n : n+int(length) : n+int(length)]
			n += int(length)
		}
	default:
		n = protowire.ConsumeFieldValue(protowire.Number(number), protowire.Type(tag&7), f.rest)
	}
	if n < 0 {
		return f.fail(errWire)
	}
	f.rest = f.rest[n:]
	return true
}

func (f *fields) fail(err error) bool {
	f.err = err
	return false
}

// end is err, or why the fields have ended.
func (f *fields) end(err error) error {
	if err != nil {
		return err
	}
	return f.err
}

// uvarint reads a varint; n is negative when there is none.
func uvarint(b []byte) (v uint64, n int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	return protowire.ConsumeVarint(b)
}

// check says whether a text is one.
func check(b []byte) error {
	if !utf8.Valid(b) {
		return errText
	}
	return nil
}

func text(b []byte) (string, error) { return string(b), check(b) }
