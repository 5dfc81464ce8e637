package statestore

import (
	"time"

	"github.com/stategate/stategate/api"
)

// Member is a running gateway as the others see it.
type Member struct {
	ID      string // UUID, new for each process
	Host    string
	PID     int
	Address string // where its admin side listens, for people
	Events  string // where it takes events by HTTP, for members that pass them on; "": nowhere
	Started time.Time
}

// Fence is what a member writes under: its row and the row's epoch at the time of its claim.
type Fence struct {
	Member string
	Epoch  uint64 // never falls; 1 is the first claim that there was of the store
}

// ClaimsKept is how many claims a store remembers the tokens of, at least. A cursor carries a token as old as the last output of
// its lane.
const ClaimsKept = 100_000

// Claim is what a store answers to the member that has become its owner.
type Claim struct {
	Fence      Fence
	Token      string // drawn at random for this claim; see Reader.Claimed
	Commit     uint64 // number of the row's last commit; the next one is Commit+1
	NextNumber uint64 // first message number that was never used; at least 1

	Progress  []Progress
	Functions []FunctionSpec
	Packs     []Pack              // what is left of them: finished messages are taken out (Pack.Number stays the stored one's)
	Finished  map[uint64][]uint64 // pack number -> finished numbers, as the store has them
	Lanes     []Lane
	Spilled   []SpillTotal
	Dead      []DeadTotal // sorted by origin
	Pauses    []Pause     // sorted by kind, then by what they are of
	NextAct   uint64      // number of the next act; at least 1
}

// Lane is the stored side of a lane.
type Lane struct {
	LaneID
	Next    uint64 // number of the next output; at least 1
	Started bool   // its first cursor was written
	Low     uint64 // number of the first output that is stored; Next when none is
	Bytes   int64  // stored outputs, in bytes
}

// SpillTotal is how much mail of one function type is spilled.
type SpillTotal struct {
	Function api.FunctionType
	Messages int64
	Bytes    int64
}

// DeadTotal is how many dead letters of one origin there are. Bytes counts them as api.DeadLetter.Size does.
type DeadTotal struct {
	Origin  string
	Letters int64
	Bytes   int64
}

// DeadLetters is how many dead letters there are in all.
func (c *Claim) DeadLetters() (n uint64) {
	for i := range c.Dead {
		n += uint64(c.Dead[i].Letters)
	}
	return n
}

// Loaded is what the store keeps for one address.
type Loaded struct {
	Values       []StateValue // sorted by name
	Spilled      int64        // number of spilled messages that are not finished
	SpilledBytes int64
	First        uint64 // number of the first of them
	Last         uint64 // number of the last of them
}
