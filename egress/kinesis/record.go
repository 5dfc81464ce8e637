package kinesis

import (
	"fmt"
	"math/big"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/api/protocol"
)

// item is one output on its way.
type item struct {
	number uint64
	output *api.Output
	aside  bool // a dead letter says so in the store: nothing is to be sent

	place  place
	data   []byte
	reason string // why it is refused for good
	detail string

	alone bool // it was in a call that Kinesis refused as a whole
	tries int
	done  bool // acknowledged or set aside
}

// place is where a record goes. Of those with the same stream and key each waits for the one before, wherever the hash leads: readers
// tell the records of a key by the key alone.
type place struct{ stream, key, hash string }

// Reasons of dead letters. They are stable: operators count by them.
const (
	reasonType    = "wrong type"
	reasonParse   = "unreadable record"
	reasonStream  = "invalid stream"
	reasonKey     = "invalid partition key"
	reasonHash    = "invalid explicit hash key"
	reasonLarge   = "record too large"
	reasonMissing = "missing stream"
	reasonRefused = "refused by Kinesis"
)

// Limits of Kinesis.
const (
	streamNameMax  = 128
	keyLengthMax   = 256      // characters
	recordBytesMax = 10 << 20 // with the key; a stream that was not told otherwise takes 1 MiB
)

// hashes is how many hash keys there are.
var hashes = new(big.Int).Lsh(big.NewInt(1), 128)

// judge reads the record from the output, or says why there is none.
func (it *item) judge() {
	v := &it.output.Value
	if v.TypeName != protocol.TypeKinesisEgressRecord {
		it.refuse(reasonType, fmt.Sprintf("type %q: a Kinesis egress takes %q", short(v.TypeName), protocol.TypeKinesisEgressRecord))
		return
	}
	var r protocol.KinesisEgressRecord
	if err := proto.Unmarshal(v.Value, &r); err != nil {
		it.refuse(reasonParse, err.Error())
		return
	}
	stream, key, hash := string(r.GetStream()), string(r.GetPartitionKey()), string(r.GetExplicitHashKey())
	number, isHash := hashNumber(hash)
	size := len(r.GetValueBytes()) + len(key)
	switch n := utf8.RuneCountInString(key); {
	case !isStreamName(stream):
		it.refuse(reasonStream, fmt.Sprintf("stream %q: want 1 to %d letters, digits, '_', '.' or '-'", short(stream), streamNameMax))
	case !utf8.ValidString(key):
		it.refuse(reasonKey, "partition key is not UTF-8")
	case n < 1 || n > keyLengthMax:
		it.refuse(reasonKey, fmt.Sprintf("partition key of %d characters: want 1 to %d", n, keyLengthMax))
	case hash != "" && !isHash:
		it.refuse(reasonHash, fmt.Sprintf("explicit hash key %q: want a decimal number below 2^128", short(hash)))
	case size > recordBytesMax:
		it.refuse(reasonLarge, fmt.Sprintf("record of %d bytes for stream %s: Kinesis takes at most %d", size, stream, recordBytesMax))
	default:
		it.place, it.data = place{stream, key, number}, r.GetValueBytes()
		if it.data == nil {
			it.data = []byte{}
		}
	}
}

func isStreamName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return len(s) > 0 && len(s) <= streamNameMax
}

// hashNumber answers a hash key in the only form that Kinesis takes: without zeros in front, as the Kinesis Producer Library writes it,
// too. ok is false when it is none.
func hashNumber(s string) (number string, ok bool) {
	const longest = 39 // digits of 2^128
	if len(s) > longest {
		return "", false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return "", false
		}
	}
	n, ok := new(big.Int).SetString(s, 10)
	if !ok || n.Cmp(hashes) >= 0 {
		return "", false
	}
	return n.String(), true
}

// refuse marks the output as one that is to be set aside. What it asked to be sent is forgotten.
func (it *item) refuse(reason, detail string) {
	it.data, it.reason, it.detail = nil, reason, detail
}

func (it *item) size() int { return len(it.data) + len(it.place.key) }

// dead is the output's dead letter.
func (it *item) dead(egress string) api.DeadLetter {
	return api.DeadLetter{
		Kind: api.DeadOutput, From: egress, Reason: it.reason, Detail: it.detail, Offset: int64(it.number),
		Address: it.output.Sender, TypeName: it.output.Value.TypeName, Value: it.output.Value.Value,
	}
}

// short cuts hostile text.
func short(s string) string {
	const most = 300
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
