package statestore

import "github.com/stategate/stategate/api"

// Commit is one consistent cut: everything that changed since the cut before it. Every part may be empty. Within one commit
// the parts take effect in the order of the fields.
type Commit struct {
	Fence      Fence
	Number     uint64 // the member's last commit plus one
	NextNumber uint64 // first message number that this cut has not used; never falls

	Progress    []Progress     // whole new value per source
	Functions   []FunctionSpec // whole new value per function type
	States      []AddressState // whole new value per address
	PackMarks   []PackMark     // what is finished in packs of earlier commits
	Packs       []Pack         // messages that wait at the cut and stay in memory
	MailTrims   []MailTrim     // spilled messages that are finished
	Mail        []MailChunk    // messages that only the store holds from now on (or that memory holds a copy of)
	TimerEnds   []TimerKey     // timers that fired
	Cancels     []Cancel       // before Timers: what they remove is older than what Timers adds
	Timers      []Timer        // new timers
	Outputs     []OutputPack   // new outputs of lanes, from each lane's Next on
	LaneStarts  []LaneID       // lanes that have written their first cursor
	Trims       []Trim         // outputs that are delivered
	Refusals    []Refusal      // outputs that were set aside; their dead letters are in DeadLetters
	DeadLetters []api.DeadLetter
	DeadEnds    []uint64 // numbers of dead letters of earlier commits that are gone; one that is not there is no error

	// What operators do.
	Pauses       []Pause      // that begin or end
	ProgressEnds []api.Source // sources of which nothing is known any more; one that is not there is no error. None is in Progress
	Acts         []Act        // in order of number, without gaps since Claim.NextAct
}

// AddressState is all states of one address. No values: the address has no state any more and its row is removed.
type AddressState struct {
	Address api.Address
	Values  []StateValue // sorted by name
	Expires int64        // coarse Unix time in ms at which the first of the values has expired; 0: none expires
}

// StateValue is one state of an address.
type StateValue struct {
	Name     string
	TypeName string
	Value    []byte
	Touched  int64 // Unix time in ms of the access that its expiration counts from
	Changed  bool  // in a commit: the value is new since the address's last commit (large ones are stored apart)
}

// FunctionSpec is what is known of a function type's states.
type FunctionSpec struct {
	Function api.FunctionType
	States   []StateSpec // in the order in which they became known
}

// StateSpec is one state that a function type has declared.
type StateSpec struct {
	Name       string
	TypeName   string // "" when the SDK did not say
	Expiration Expiration
	TTL        int64 // milliseconds; 0 with ExpireNever
}

// Expiration says what an expiring state's time is counted from.
type Expiration uint8

const (
	ExpireNever       Expiration = iota
	ExpireAfterWrite             // since it was written
	ExpireAfterInvoke            // since a call was built for its address
)

// Mail is one message that is kept, with its number.
type Mail struct {
	Number  uint64
	Message api.Message
}

// Pack is the messages of one commit that wait and stay in memory. Its Number is that of its first message. Messages are in
// rising order of number. A store may hold a pack in one row.
type Pack struct {
	Number   uint64
	Messages []Mail
}

// PackMark changes a pack of an earlier commit: Finished are the numbers of all its messages that are finished by now (also
// those of earlier marks), sorted; Remove says that none is left.
type PackMark struct {
	Number   uint64 // of the pack
	Finished []uint64
	Remove   bool
}

// MailChunk is a run of messages of one address, in rising order of number, above all that are stored for it.
type MailChunk struct {
	Address  api.Address
	Messages []Mail
}

// MailTrim finishes an address's spilled messages with numbers below Below.
type MailTrim struct {
	Address api.Address
	Below   uint64
}

// TimerKey is a timer's place in the order of firing.
type TimerKey struct {
	Due    int64  // Unix time in milliseconds
	Number uint64 // of the message, drawn when it was sent
}

// Timer is a delayed message. It belongs to its sender's shard.
type Timer struct {
	TimerKey
	Token   string      // "" when it cannot be cancelled
	Message api.Message // Caller is the sender
}

// Cancel removes the timers that any function with this id has sent with this token and a number below Below.
type Cancel struct {
	SenderID string
	Token    string
	Below    uint64
}

// LaneID names a lane: one ordered stream of outputs of an egress.
type LaneID struct {
	Egress string
	Slot   int
}

// OutputPack is consecutive outputs of one lane; First is the number of the first. Refused holds the numbers of those that
// were set aside (only in what Outputs answers), sorted.
type OutputPack struct {
	Lane    LaneID
	First   uint64
	Outputs []api.Output
	Refused []uint64
}

// Trim forgets a lane's outputs with numbers below Below. Whole packs only: a pack that also holds later ones stays.
type Trim struct {
	Lane  LaneID
	Below uint64
}

// Refusal marks one output of a lane as set aside.
type Refusal struct {
	Lane   LaneID
	Number uint64
}
