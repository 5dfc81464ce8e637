package kinesis

import (
	"bytes"
	"crypto/md5"
	"math/big"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// user is one record as its producer meant it.
type user struct {
	key    string
	hasKey bool
	data   []byte
}

// Layout of an aggregated record: the format of the Kinesis Producer Library, which packs many records into one and is on by
// default there, so that what StateFun's own egress has written looks like this.
var aggregateMagic = []byte{0xf3, 0x89, 0x9a, 0xc2}

const (
	fieldKeyTable  = 1 // of AggregatedRecord
	fieldHashTable = 2
	fieldRecords   = 3
	fieldKeyIndex  = 1 // of Record
	fieldHashIndex = 2
	fieldData      = 3
)

// hashRange is the part of all hash keys that a shard takes, both ends included.
type hashRange struct{ low, high *big.Int }

func newHashRange(low, high string) (r hashRange, ok bool) {
	var lowOK, highOK bool
	r.low, lowOK = new(big.Int).SetString(low, 10)
	r.high, highOK = new(big.Int).SetString(high, 10)
	return r, lowOK && highOK
}

// expand answers the records that one of the stream stands for, in order: itself, or what it packs. Of those the shard's own are
// taken only, as the libraries of AWS do: one that came here because the stream was resharded meanwhile has been written again
// by its producer, to where it belongs. The answer depends on nothing but the record and the shard.
func (r hashRange) expand(key *string, data []byte) []user {
	if inner, ok := unpack(data, r); ok {
		return inner
	}
	u := user{data: data}
	if key != nil {
		u.key, u.hasKey = *key, true
	}
	return []user{u}
}

// unpack reads an aggregated record; ok is false when it is none: the magic alone proves nothing, the digest does.
func unpack(b []byte, shard hashRange) (users []user, ok bool) {
	if len(b) <= len(aggregateMagic)+md5.Size || !bytes.HasPrefix(b, aggregateMagic) {
		return nil, false
	}
	body := b[len(aggregateMagic) : len(b)-md5.Size]
	if digest := md5.Sum(body); !bytes.Equal(digest[:], b[len(b)-md5.Size:]) {
		return nil, false
	}
	var keys, hashes []string
	var packed [][]byte
	ok = fields(body, func(n protowire.Number, value []byte, _ uint64) {
		switch n {
		case fieldKeyTable:
			keys = append(keys, string(value))
		case fieldHashTable:
			hashes = append(hashes, string(value))
		case fieldRecords:
			packed = append(packed, value)
		}
	})
	if !ok {
		return nil, false
	}
	users = make([]user, 0, len(packed))
	for _, p := range packed {
		var keyIndex, hashIndex uint64
		var data []byte
		hashed := false
		good := fields(p, func(n protowire.Number, value []byte, number uint64) {
			switch n {
			case fieldKeyIndex:
				keyIndex = number
			case fieldHashIndex:
				hashIndex, hashed = number, true
			case fieldData:
				data = value
			}
		})
		if !good || keyIndex >= uint64(len(keys)) || hashed && hashIndex >= uint64(len(hashes)) || !utf8.ValidString(keys[keyIndex]) {
			return nil, false
		}
		hash := hashOf(keys[keyIndex])
		if hashed {
			var isNumber bool
			if hash, isNumber = new(big.Int).SetString(hashes[hashIndex], 10); !isNumber {
				return nil, false
			}
		}
		if hash.Cmp(shard.low) >= 0 && hash.Cmp(shard.high) <= 0 {
			users = append(users, user{key: keys[keyIndex], hasKey: true, data: data})
		}
	}
	return users, true
}

// hashOf is where Kinesis puts a partition key.
func hashOf(key string) *big.Int {
	digest := md5.Sum([]byte(key))
	return new(big.Int).SetBytes(digest[:])
}

// fields walks through a message; false: it is none.
func fields(b []byte, each func(n protowire.Number, value []byte, number uint64)) bool {
	for len(b) > 0 {
		n, typ, size := protowire.ConsumeTag(b)
		if size < 0 {
			return false
		}
		b = b[size:]
		switch typ {
		case protowire.BytesType:
			value, size := protowire.ConsumeBytes(b)
			if size < 0 {
				return false
			}
			each(n, value, 0)
			b = b[size:]
		case protowire.VarintType:
			number, size := protowire.ConsumeVarint(b)
			if size < 0 {
				return false
			}
			each(n, nil, number)
			b = b[size:]
		default:
			size := protowire.ConsumeFieldValue(n, typ, b)
			if size < 0 {
				return false
			}
			b = b[size:]
		}
	}
	return true
}
