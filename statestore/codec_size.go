package statestore

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// MailSize is one message of a chunk, without the message.
type MailSize struct {
	Number uint64
	Bytes  int64
}

// AppendSizes writes for each message of a chunk the step from the number before it and its size: what is finished of a chunk
// is counted without reading it.
func AppendSizes(b []byte, messages []Mail) []byte {
	b = append(b, formatOne)
	before := uint64(0)
	for i := range messages {
		b = protowire.AppendVarint(b, messages[i].Number-before)
		b = protowire.AppendVarint(b, uint64(messages[i].Message.Size()))
		before = messages[i].Number
	}
	return b
}

var errSizes = errors.New("sizes: read a stored row: numbers or sizes are broken")

// DecodeSizes reads what AppendSizes wrote.
func DecodeSizes(row []byte) ([]MailSize, error) {
	r := open(row)
	if r.err != nil {
		return nil, fmt.Errorf("sizes: %w", r.err)
	}
	var sizes []MailSize
	at := uint64(0)
	for rest := r.rest; len(rest) > 0; {
		step, n := protowire.ConsumeVarint(rest)
		if n < 0 || at+step < at {
			return nil, errSizes
		}
		size, m := protowire.ConsumeVarint(rest[n:])
		if m < 0 || int64(size) < 0 {
			return nil, errSizes
		}
		at += step
		sizes = append(sizes, MailSize{Number: at, Bytes: int64(size)})
		rest = rest[n+m:]
	}
	return sizes, nil
}
