package sqlite

import (
	"encoding/binary"
	"errors"

	"github.com/stategate/stategate/statestore"
)

var errRow = errors.New("packed row is broken")

// timerKey sorts like (due, number).
func timerKey(k statestore.TimerKey) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 16), uint64(k.Due)^1<<63)
	return binary.BigEndian.AppendUint64(b, k.Number)
}

func decodeTimerKey(key []byte) (k statestore.TimerKey, err error) {
	if len(key) != 16 {
		return k, errRow
	}
	return statestore.TimerKey{Due: int64(binary.BigEndian.Uint64(key) ^ 1<<63), Number: binary.BigEndian.Uint64(key[8:])}, nil
}
