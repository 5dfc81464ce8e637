package statestore

import "github.com/stategate/stategate/api"

// Act is one thing that an operator has done, as the store keeps it.
type Act struct {
	Number uint64 // rising by one from 1 on; the engine numbers them from Claim.NextAct
	AtMS   int64  // Unix time in milliseconds
	By     string // who: the name of a token, or where the request came from
	What   string // short and stable: "replay", "discard", "skip", "pause" ...
	On     string // what it was done to, for people
	Detail string // for people; never a payload
}

// ActsKept is how many acts a store keeps, at least: a commit that brings new ones removes those that are older.
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
