package statestore

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/stategate/stategate/api"
)

// Keys are bytes, never text: ids may hold NUL and anything else that UTF-8 allows. They are short enough for an entry of any
// store's index, however long and random the id is; what is too long is cut and ends with a digest of the whole. A key alone
// therefore does not tell its address: rows hold the address, too.

// KeyBytesMax is the longest key that the functions of this file make. PostgreSQL's index entries end at 2,704 bytes, so there
// is room for other columns of some 500 bytes beside one.
const KeyBytesMax = 1800

const (
	nameKeyMax  = api.NameBytesMax
	pairKeyMax  = 2*api.NameBytesMax + 1 // "namespace/name"
	digestBytes = sha256.Size
	longName    = 0xffff // in place of a length: a digest follows
)

// FunctionKey is a prefix of the AddressKey of all addresses of the function type, and of no other's.
func FunctionKey(f api.FunctionType) []byte { return appendFunctionKey(nil, f) }

func appendFunctionKey(b []byte, f api.FunctionType) []byte {
	return appendName(appendName(b, f.Namespace, nameKeyMax), f.Name, nameKeyMax)
}

// AddressKey identifies an address. Keys of one function type are in the order of the ids' bytes, as far as ids differ within
// their first 700 bytes.
func AddressKey(a api.Address) []byte {
	return AppendAddressKey(make([]byte, 0, min(4+len(a.Type.Namespace)+len(a.Type.Name)+len(a.ID), KeyBytesMax)), a)
}

// AppendAddressKey writes the key of an address behind other bytes.
func AppendAddressKey(b []byte, a api.Address) []byte {
	from := len(b)
	return appendCut(appendFunctionKey(b, a.Type), from, a.ID)
}

// TokenKey identifies the timers that any function with this id has sent with this token.
func TokenKey(senderID, token string) []byte {
	if 2+len(senderID)+len(token) < KeyBytesMax {
		return append(appendName(nil, senderID, KeyBytesMax), token...)
	}
	h := sha256.New()
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(senderID)))
	h.Write(length[:])
	h.Write([]byte(senderID))
	h.Write([]byte(token))
	return h.Sum([]byte{longName >> 8, longName & 0xff})
}

// NameKey identifies a state within its address. It is at most 130 bytes long, so that it fits into an index beside an
// AddressKey.
func NameKey(name string) []byte { return appendName(nil, name, 128) }

// SourceKey identifies a source.
func SourceKey(s api.Source) []byte {
	b := appendName(nil, s.Ingress, pairKeyMax)
	b = appendName(b, s.Topic, nameKeyMax)
	return binary.BigEndian.AppendUint32(b, uint32(s.Partition))
}

// EgressKey identifies an egress.
func EgressKey(egress string) []byte { return appendName(nil, egress, pairKeyMax) }

// PauseKey identifies what a pause is of. Keys sort by kind.
func PauseKey(p *Pause) []byte {
	b := []byte{byte(p.Kind)}
	switch p.Kind {
	case PauseAddress:
		return AppendAddressKey(b, p.Address)
	case PauseFunction:
		return appendFunctionKey(b, p.Address.Type)
	}
	return appendName(b, p.Ingress, pairKeyMax)
}

// NoteKey identifies a note.
func NoteKey(name string) []byte { return appendName(nil, name, pairKeyMax) }

// FiringKey sorts as timers fire: by due time, then by number.
func FiringKey(k TimerKey) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 16), uint64(k.Due)^1<<63)
	return binary.BigEndian.AppendUint64(b, k.Number)
}

var errFiringKey = errors.New("read a timer's key: not 16 bytes")

// DecodeFiringKey reads what FiringKey wrote.
func DecodeFiringKey(key []byte) (k TimerKey, err error) {
	if len(key) != 16 {
		return k, errFiringKey
	}
	return TimerKey{Due: int64(binary.BigEndian.Uint64(key) ^ 1<<63), Number: binary.BigEndian.Uint64(key[8:])}, nil
}

// KeyAfter is the first key behind all that begin with the prefix; nil when there is none.
func KeyAfter(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] != 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	return nil
}

// appendName writes a name that something follows: its length first, so that no two pairs of names give the same key.
func appendName(b []byte, name string, nameMax int) []byte {
	if len(name) <= nameMax {
		b = binary.BigEndian.AppendUint16(b, uint16(len(name)))
		return append(b, name...)
	}
	digest := sha256.Sum256([]byte(name))
	b = binary.BigEndian.AppendUint16(b, longName)
	return append(b, digest[:]...)
}

// appendCut writes the last part of a key. A key that was cut is exactly KeyBytesMax long and one that was not is shorter, so
// no id can pass for another one's digest. The key begins at from.
func appendCut(b []byte, from int, id string) []byte {
	if len(b)-from+len(id) < KeyBytesMax {
		return append(b, id...)
	}
	digest := sha256.Sum256([]byte(id))
	b = append(b, id[:KeyBytesMax-digestBytes-(len(b)-from)]...)
	return append(b, digest[:]...)
}
