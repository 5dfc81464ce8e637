// Package egress says what an egress needs of the engine and what it owes it: outputs delivered in the order of their
// numbers, by the promise of its delivery semantic. It never delivers what is not committed; its subfolders adapt it to
// where results go.
package egress

import (
	"context"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// Engine is where outputs come from. It belongs to one incarnation.
type Engine interface {
	// Outputs reads committed outputs of the lane from number `from` on (statestore.Reader.Outputs).
	Outputs(ctx context.Context, lane statestore.LaneID, from uint64, bytesMax int) ([]statestore.OutputPack, error)
	// Owns asks the store whether this member still owns the lane: nil, statestore.ErrFenced, statestore.ErrUnavailable.
	Owns(ctx context.Context) error
	// Claimed asks the store whether it knows a claim (statestore.Reader.Claimed).
	Claimed(ctx context.Context, token string) (bool, error)
	// Started makes durable that the lane has written its first cursor. It returns when that is committed.
	Started(ctx context.Context, lane statestore.LaneID) error
	// Delivered says that all outputs with numbers below are delivered or set aside. Their rows are removed lazily.
	Delivered(lane statestore.LaneID, below uint64)
	// Refuse sets outputs aside for good as dead letters (Kind, From, Offset = number, Reason, Detail, Address, Value filled
	// by the relay; Number and AtMS by the engine). It returns when that is committed.
	Refuse(ctx context.Context, lane statestore.LaneID, dead []api.DeadLetter) error
}

// Relay delivers one lane's outputs.
type Relay interface {
	// Offer hands over outputs that have just been committed, in the order of their numbers, without gaps since the claim.
	// It never blocks: what does not fit into the relay's memory is dropped there and read back through Engine.Outputs.
	// (A lane of an egress that keeps no outbox has Slot NoOutbox; its relay must hold what it is offered, and the engine
	// slows the sources by what is not yet Delivered.)
	Offer(pack statestore.OutputPack)
	// Run delivers until ctx ends or the lane is lost (statestore.ErrFenced). It mends everything else by itself.
	Run(ctx context.Context) error
}

// NoOutbox is the slot of the lane of an egress that keeps no outbox rows: its numbers live as long as the incarnation.
const NoOutbox = -1

// Hooks observe an egress. Nil funcs are not called; they must be quick and safe for concurrent use.
type Hooks struct {
	// Deliveries counts outputs that were acknowledged (result "ok") or set aside (result "refused"). Delivered outputs that
	// a recovery skipped because the cursor says so are counted as "skipped", and what an operator has decided not to deliver as "left_out".
	Deliveries func(egress, result string, n int)
	// Pending is how much the relay knows of that is not delivered: outputs and the age of the oldest in seconds.
	Pending func(egress string, outputs int64, oldestSeconds float64)
	// Traced sees each output in a sampled trace when it has come to its end.
	Traced func(s Sent)
	// Degraded names a condition that operators must know of, under a stable key; Recovered ends it.
	Degraded  func(key, text string)
	Recovered func(key string)
}
