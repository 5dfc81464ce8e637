package statestore

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stategate/stategate/api"
)

// traceRowBytes is the length of a trace in a row: its id, the span and the flags.
const traceRowBytes = 16 + 8 + 1

var errTrace = errors.New("read a stored row: a trace of a wrong length")

// appendTraceChange writes a trace that is not the one before it, and an empty field for none: what one call has caused is in one trace,
// and most rows have none at all.
func appendTraceChange(b []byte, n protowire.Number, t, before *api.Trace) []byte {
	switch {
	case t == before, t != nil && before != nil && *t == *before:
		return b
	case t == nil:
		return appendBytes(b, n, []byte{})
	}
	b = append(protowire.AppendVarint(b, uint64(bytesTag(n))), traceRowBytes)
	b = append(append(b, t.ID[:]...), t.Span[:]...)
	return append(b, t.Flags)
}

func decodeTrace(data []byte, t **api.Trace) error {
	switch len(data) {
	case 0:
		*t = nil
	case traceRowBytes:
		*t = &api.Trace{ID: [16]byte(data), Span: [8]byte(data[16:]), Flags: data[24]}
	default:
		return errTrace
	}
	return nil
}
