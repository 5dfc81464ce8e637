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
	long   int // characters of a key too long for Kinesis that it packs: it is no record, and not taken apart. 0: there is none
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

// Limits of Kinesis.
const (
	keyLengthMax  = 256 // characters of a partition key
	hashDigitsMax = 39  // of a hash key: of 2^128
)

// hashRange is the part of all hash keys that a shard takes, both ends included.
type hashRange struct{ low, high *big.Int }

func newHashRange(low, high string) (r hashRange, ok bool) {
	var lowOK, highOK bool
	r.low, lowOK = new(big.Int).SetString(low, 10)
	r.high, highOK = new(big.Int).SetString(high, 10)
	return r, lowOK && highOK
}

// holds reports whether a hash key is among those of the shard.
func (r hashRange) holds(hash *big.Int) bool { return hash.Cmp(r.low) >= 0 && hash.Cmp(r.high) <= 0 }

// expand answers the records that one of the stream stands for, in order: itself, or what it packs. Of those the shard's own are
// taken only, as the libraries of AWS do: one that came here because the stream was resharded meanwhile has been written again
// by its producer, to where it belongs. The answer depends on nothing but the record and the shard.
func (r hashRange) expand(key *string, data []byte) []user {
	inner, long, ok := unpack(data, r)
	if ok && long == 0 {
		return inner
	}
	u := user{data: data, long: long}
	if key != nil {
		u.key, u.hasKey = *key, true
	}
	return []user{u}
}

// unpack reads an aggregated record; ok is false when it is none: the magic alone proves nothing, the digest does. long is not 0 when
// a packed record has a key that no record of Kinesis can have, of so many characters.
func unpack(b []byte, shard hashRange) (users []user, long int, ok bool) {
	if len(b) <= len(aggregateMagic)+md5.Size || !bytes.HasPrefix(b, aggregateMagic) {
		return nil, 0, false
	}
	body := b[len(aggregateMagic) : len(b)-md5.Size]
	if digest := md5.Sum(body); !bytes.Equal(digest[:], b[len(b)-md5.Size:]) {
		return nil, 0, false
	}
	var keys []packedKey
	var hashes []packedHash
	var packed [][]byte
	ok = fields(body, func(n protowire.Number, value []byte, _ uint64) {
		switch n {
		case fieldKeyTable:
			keys = append(keys, newPackedKey(value, shard))
		case fieldHashTable:
			hashes = append(hashes, newPackedHash(value, shard))
		case fieldRecords:
			packed = append(packed, value)
		}
	})
	if !ok {
		return nil, 0, false
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
		if !good || keyIndex >= uint64(len(keys)) || hashed && hashIndex >= uint64(len(hashes)) {
			return nil, 0, false
		}
		key := &keys[keyIndex]
		here := key.here
		if hashed {
			here = hashes[hashIndex].here
		}
		if !key.good || hashed && !hashes[hashIndex].good {
			return nil, 0, false
		}
		long = max(long, key.long)
		if here && long == 0 {
			users = append(users, user{key: key.text, hasKey: true, data: data})
		}
	}
	return users, long, true
}

// Entries of the tables of an aggregated record. Any number of packed records may name one, so all that is asked of it is found out
// once, and its text is shared: what a record costs is bounded by its own size.
type (
	packedKey struct {
		text string // "" when it is long
		good bool   // it is text
		here bool   // the shard holds it
		long int    // its characters, when these are too many; else 0
	}
	packedHash struct{ good, here bool }
)

func newPackedKey(b []byte, shard hashRange) packedKey {
	if !utf8.Valid(b) {
		return packedKey{}
	}
	if n := utf8.RuneCount(b); n > keyLengthMax {
		return packedKey{good: true, long: n}
	}
	text := string(b)
	return packedKey{text: text, good: true, here: shard.holds(hashOf(text))}
}

// newPackedHash reads no number longer than a hash key can be: reading one takes time that grows with the square of its length.
func newPackedHash(b []byte, shard hashRange) packedHash {
	if len(b) > hashDigitsMax {
		return packedHash{}
	}
	hash, good := new(big.Int).SetString(string(b), 10)
	return packedHash{good: good, here: good && shard.holds(hash)}
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
