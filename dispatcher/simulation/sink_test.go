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
}

type taken struct {
	sender api.Address
	name   string
}

type transaction struct {
	epoch   int
	outputs []taken
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
	s.taken = append(s.taken, s.open.outputs...)
	s.cursor = c
	s.open = nil
	return nil
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
		s.taken = append(s.taken, s.ending.outputs...)
		s.cursor = s.endingCursor
	}
	s.ending = nil
}
