package egress

import (
	"context"
	"errors"
	"fmt"
)

// Decider is a relay whose lane may stand still until an operator decides, for nobody else knows what was delivered.
type Decider interface {
	// Halted says why the lane stands still, "" while it does not.
	Halted() string
	// Check says why a decision would not be taken now, as Decide does.
	Check(d Decision) error
	// Decide lets the lane go on, and says from which output on. It returns when the sink keeps the decision. Errors are ErrNotHalted,
	// ErrDeciding and *NoOutput; after any other one the decision may still be carried out.
	Decide(ctx context.Context, d Decision) (next uint64, err error)
}

var (
	// ErrNotHalted: the lane delivers, so there is nothing to decide.
	ErrNotHalted = errors.New("the lane does not stand still")
	// ErrDeciding: something else was decided, which is not carried out yet.
	ErrDeciding = errors.New("something else was decided and is being carried out")
)

// Decision is what an operator says is to be delivered of a lane that stands still. The zero value is none.
type Decision struct {
	Deliver Delivery
	From    uint64 // DeliverFrom: number of the first output
}

// Delivery is what is delivered of the outputs that the store has.
type Delivery uint8

const (
	DeliverStored Delivery = iota + 1 // all that are stored: some may be there twice then
	DeliverNew                        // only those that come from now on: some may be missing then
	DeliverFrom                       // those from a number on, for who knows the last one that was delivered
)

func (d Decision) String() string {
	switch d.Deliver {
	case DeliverStored:
		return "all that is stored"
	case DeliverNew:
		return "only what is new"
	case DeliverFrom:
		return fmt.Sprintf("from output %d on", d.From)
	}
	return "nothing is decided"
}

// NoOutput says that a decision is for an output that cannot be the next one.
type NoOutput struct {
	From       uint64
	Next, Most uint64 // what can be: from the first one that is stored to the one that comes next
}

func (n *NoOutput) Error() string {
	return fmt.Sprintf("output %d cannot be the next one: the store has those from %d on, and the next that is committed is %d", n.From, n.Next, n.Most)
}

// Decide says from which output on a decision lets the lane go on. What this claim has seen delivered is not delivered again.
func (s *Standing) Decide(d Decision) (next uint64, err error) {
	switch d.Deliver {
	case DeliverStored:
		return s.Next, nil
	case DeliverNew:
		return s.Known, nil
	case DeliverFrom:
		if d.From < s.Next || d.From > s.Known {
			return 0, &NoOutput{d.From, s.Next, s.Known}
		}
		return d.From, nil
	}
	return 0, errors.New("nothing is decided")
}
