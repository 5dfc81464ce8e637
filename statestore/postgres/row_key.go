package postgres

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// addressKey is of one length, whatever the id: the shard, then a digest.
func addressKey(a api.Address) []byte {
	h := sha256.Sum256(encodeAddress(a))
	return append(binary.BigEndian.AppendUint16(nil, uint16(api.Shard(a.ID))), h[:]...)
}

func functionKey(f api.FunctionType) []byte { var o out; o.fn(f); return o }

// tokenKey is of one length, whatever the token.
func tokenKey(sender, token string) []byte {
	var o out
	o.text(sender)
	o.text(token)
	h := sha256.Sum256(o)
	return h[:]
}

func progressKey(s api.Source) []byte {
	var o out
	o.text(s.Ingress)
	o.text(s.Topic)
	o.int(int64(s.Partition))
	return o
}

// timerKey sorts like (due, number).
func timerKey(k statestore.TimerKey) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(k.Due)^1<<63)
	return binary.BigEndian.AppendUint64(b, k.Number)
}

func compareTimers(a, b statestore.TimerKey) int { return bytes.Compare(timerKey(a), timerKey(b)) }
