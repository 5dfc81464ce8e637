package simulation_test

import (
	"errors"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/egress"
)

// sink is where outputs end, as Kafka keeps them: sessions fence each other by their epoch, and what a transaction carries is there
// for readers together with the cursor, or not at all.
type sink struct {
	epoch        int
	open         *transaction
	ending       *transaction // its commit is on its way
	endingCursor egress.Cursor
	cursor       egress.Cursor
	taken        []taken // by readers at read_committed
	next         uint64  // all below have come to their end, whatever the cursor says
	spoiled      bool    // the cursor is none that it was given
	jumps        []jump
}

type taken struct {
	sender api.Address
	name   string
	number uint64 // in the lane
}

type transaction struct {
	epoch   int
	outputs []taken
	decided egress.Delivery // it moves the cursor to where an operator has decided; 0: nobody has
}

var errSession = errors.New("another session began")

// session begins one. What earlier ones left open is aborted; a commit that is on its way either comes first or never.
func (s *sink) session(endingFirst bool) int {
	if s.ending != nil && endingFirst {
		s.land()
	}
	s.epoch++
	s.open, s.ending = nil, nil
	return s.epoch
}

func (s *sink) begin(epoch int) error {
	if epoch != s.epoch {
		return errSession
	}
	s.open = &transaction{epoch: epoch}
	return nil
}

func (s *sink) send(epoch int, t taken) error {
	if epoch != s.epoch {
		return errSession
	}
	s.open.outputs = append(s.open.outputs, t)
	return nil
}

// commit makes the open transaction's outputs and the cursor visible.
func (s *sink) commit(epoch int, c egress.Cursor) error {
	if epoch != s.epoch {
		return errSession
	}
	s.end(s.open, c)
	s.open = nil
	return nil
}

// end makes a transaction visible.
func (s *sink) end(t *transaction, c egress.Cursor) {
	if t.decided > 0 && c.Next != s.next {
		s.jumps = append(s.jumps, jump{len(s.taken), s.next, c.Next, t.decided})
	}
	s.taken = append(s.taken, t.outputs...)
	s.cursor, s.next, s.spoiled = c, c.Next, false
}

// late leaves the commit of the open transaction on its way.
func (s *sink) late(epoch int, c egress.Cursor) {
	if epoch == s.epoch && s.open != nil {
		s.ending, s.endingCursor = s.open, c
		s.open = nil
	}
}

// land lets it arrive.
func (s *sink) land() {
	if s.ending != nil && s.ending.epoch == s.epoch {
		s.end(s.ending, s.endingCursor)
	}
	s.ending = nil
}
