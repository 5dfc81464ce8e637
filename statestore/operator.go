package statestore

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"

	"github.com/stategate/stategate/api"
)

// Act is one thing that an operator has done, as the store keeps it.
type Act struct {
	Number uint64 // rising by one from 1 on; the engine numbers them from Claim.NextAct
	AtMS   int64  // Unix time in milliseconds
	By     string // who: the name of a token, or where the request came from
	What   string // short and stable: "replay", "discard", "skip", "pause" ...
	On     string // what it was done to, for people
	Detail string // for people; never a payload
}

// ActsKept is how many acts a store keeps: a commit that brings new ones removes those whose numbers are that far below the newest.
const ActsKept = 100_000

// PauseKind says what is paused.
type PauseKind uint8

const (
	PauseAddress  PauseKind = iota + 1 // no call to the address starts
	PauseFunction                      // no call to any address of the function type starts
	PauseIngress                       // none of its sources brings anything
)

// Pause is something that an operator has stopped until he lets it go on. What it is of is its key: Kind with the field of that kind.
type Pause struct {
	Kind    PauseKind
	Address api.Address // PauseAddress; of PauseFunction the type alone, with an empty id
	Ingress string      // PauseIngress: its id
	AtMS    int64       // Unix time in milliseconds; not part of the key
	By      string      // who; not part of the key
	Ended   bool        // in a commit: it is over, and its row is removed; one that is not there is no error
}

// MemberState is a gateway as the store knows it.
type MemberState struct {
	Member
	Epoch  uint64    // of its claim; 0 while it has none
	Active bool      // it owns the store, and its lease runs
	Until  time.Time // the end of its lease; zero: it has none, for it waits
}

// Version tells one value of a state from every other, so that whoever has read a value can say which one they want to change: 16
// hexadecimal digits.
func Version(typeName string, value []byte) string {
	h := sha256.New()
	for _, part := range [][]byte{[]byte(typeName), value} {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write(part)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
