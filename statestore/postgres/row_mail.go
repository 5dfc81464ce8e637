package postgres

import (
	"encoding/binary"

	"github.com/stategate/stategate/statestore"
)

func encodeMails(ms []statestore.Mail) []byte {
	var o out
	o.num(uint64(len(ms)))
	for j := range ms {
		o.num(ms[j].Number)
		o.message(&ms[j].Message)
	}
	return o
}

func decodeMails(b []byte) (ms []statestore.Mail, err error) {
	i := in{b: b}
	for range i.count() {
		ms = append(ms, statestore.Mail{Number: i.num(), Message: i.message()})
	}
	return ms, i.end()
}

// sizeEntry is one message of a chunk, without the message.
type sizeEntry struct {
	number uint64
	size   int64
}

func encodeSizes(ms []statestore.Mail) []byte {
	var o out
	o.num(uint64(len(ms)))
	last := uint64(0)
	for j := range ms {
		o.num(ms[j].Number - last)
		o.num(uint64(ms[j].Message.Size()))
		last = ms[j].Number
	}
	return o
}

func decodeSizes(b []byte) (es []sizeEntry, err error) {
	i := in{b: b}
	last := uint64(0)
	for range i.count() {
		last += i.num()
		es = append(es, sizeEntry{last, int64(i.num())})
	}
	return es, i.end()
}

func encodeNumbers(ns []uint64) []byte {
	var o out
	o.num(uint64(len(ns)))
	last := uint64(0)
	for _, n := range ns {
		o.num(n - last)
		last = n
	}
	return o
}

func decodeNumbers(b []byte) (ns []uint64, err error) {
	i := in{b: b}
	last := uint64(0)
	for range i.count() {
		last += i.num()
		ns = append(ns, last)
	}
	return ns, i.end()
}

func encodeTimer(t *statestore.Timer) []byte {
	var o out
	o.text(t.Token)
	o.message(&t.Message)
	return o
}

func decodeTimer(key, b []byte) (t statestore.Timer, err error) {
	if len(key) != 16 {
		return t, errRow
	}
	t.Due, t.Number = int64(binary.BigEndian.Uint64(key)^1<<63), binary.BigEndian.Uint64(key[8:])
	i := in{b: b}
	t.Token, t.Message = i.text(), i.message()
	return t, i.end()
}
