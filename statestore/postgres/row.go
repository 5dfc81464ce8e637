package postgres

import (
	"encoding/binary"
	"errors"

	"github.com/stategate/stategate/api"
)

var errRow = errors.New("packed row is broken")

// out is a packed row that grows: varints, and bytes behind their length.
type out []byte

func (o *out) num(n uint64)   { *o = binary.AppendUvarint(*o, n) }
func (o *out) int(n int64)    { *o = binary.AppendVarint(*o, n) }
func (o *out) bytes(b []byte) { o.num(uint64(len(b))); *o = append(*o, b...) }
func (o *out) text(s string)  { o.num(uint64(len(s))); *o = append(*o, s...) }
func (o *out) nilable(b []byte) {
	if b == nil {
		o.num(0)
		return
	}
	o.num(uint64(len(b)) + 1)
	*o = append(*o, b...)
}

func (o *out) flag(b bool) {
	if b {
		o.num(1)
	} else {
		o.num(0)
	}
}

func (o *out) fn(f api.FunctionType) { o.text(f.Namespace); o.text(f.Name) }
func (o *out) address(a api.Address) { o.fn(a.Type); o.text(a.ID) }
func (o *out) value(v api.TypedValue) {
	o.text(v.TypeName)
	o.flag(v.HasValue)
	o.bytes(v.Value)
}

func (o *out) message(m *api.Message) { o.address(m.Target); o.address(m.Caller); o.value(m.Argument) }

// in is a packed row that is read. The first error ends it: what is read behind is zero.
type in struct {
	b   []byte
	err error
}

func (i *in) num() uint64 {
	n, k := binary.Uvarint(i.b)
	if k <= 0 {
		i.err, i.b = errRow, nil
		return 0
	}
	i.b = i.b[k:]
	return n
}

func (i *in) int() int64 {
	n, k := binary.Varint(i.b)
	if k <= 0 {
		i.err, i.b = errRow, nil
		return 0
	}
	i.b = i.b[k:]
	return n
}

// take answers bytes of the row itself.
func (i *in) take(n uint64) []byte {
	if n > uint64(len(i.b)) {
		i.err, i.b = errRow, nil
		return nil
	}
	b := i.b[:n:n]
	i.b = i.b[n:]
	return b
}

func (i *in) bytes() []byte {
	b := i.take(i.num())
	if len(b) == 0 {
		return nil
	}
	return b
}

// nilable tells nil from empty; it copies.
func (i *in) nilable() []byte {
	n := i.num()
	if n == 0 {
		return nil
	}
	return append([]byte{}, i.take(n-1)...)
}

func (i *in) text() string         { return string(i.take(i.num())) }
func (i *in) flag() bool           { return i.num() == 1 }
func (i *in) fn() api.FunctionType { return api.FunctionType{Namespace: i.text(), Name: i.text()} }
func (i *in) address() api.Address { return api.Address{Type: i.fn(), ID: i.text()} }
func (i *in) value() api.TypedValue {
	return api.TypedValue{TypeName: i.text(), HasValue: i.flag(), Value: i.bytes()}
}

func (i *in) message() api.Message {
	return api.Message{Target: i.address(), Caller: i.address(), Argument: i.value()}
}

// end is the outcome: all of the row was read, and nothing is left.
func (i *in) end() error {
	if i.err == nil && len(i.b) > 0 {
		return errRow
	}
	return i.err
}

// count bounds a number of things by what is left: each takes at least one byte.
func (i *in) count() int {
	n := i.num()
	if n > uint64(len(i.b)) {
		i.err, i.b = errRow, nil
		return 0
	}
	return int(n)
}
