package sqlite

import (
	"encoding/binary"

	"github.com/stategate/stategate/statestore"
)

// sizeEntry is one message of a chunk, without the message.
type sizeEntry struct {
	number uint64
	size   int64
}

const sizesFormat = 1

// appendSizes writes, behind a format byte, for each message the step from the number before it and its size.
func appendSizes(b []byte, all []statestore.Mail) []byte {
	b = append(b, sizesFormat)
	before := uint64(0)
	for i := range all {
		b = binary.AppendUvarint(b, all[i].Number-before)
		b = binary.AppendUvarint(b, uint64(all[i].Message.Size()))
		before = all[i].Number
	}
	return b
}

func decodeSizes(b []byte) (all []sizeEntry, err error) {
	switch {
	case len(b) == 0:
		return nil, errRow
	case b[0] != sizesFormat:
		return nil, statestore.ErrNewer
	}
	b = b[1:]
	number := uint64(0)
	for len(b) > 0 {
		step, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, errRow
		}
		size, m := binary.Uvarint(b[n:])
		if m <= 0 {
			return nil, errRow
		}
		b = b[n+m:]
		number += step
		all = append(all, sizeEntry{number, int64(size)})
	}
	return all, nil
}
