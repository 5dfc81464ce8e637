package sqlite

import (
	"context"

	"github.com/stategate/stategate/statestore"
)

// Walk reads in one transaction. The log beside the file grows as long as it lasts, by what is committed meanwhile.
func (s *Store) Walk(ctx context.Context, w statestore.Walk) error {
	var told error // by one of w's functions
	err := s.readers.read(ctx, func(c *conn) error {
		h, err := holding(ctx, c)
		if err != nil {
			return err
		}
		if told = w.Holding(h); told != nil {
			return told
		}
		for _, span := range w.Spans() {
			err := c.query(`SELECT key, data FROM state WHERE key >= ? AND key < ? ORDER BY key`, args(span.Low, span.High), func(r row) (bool, error) {
				a, err := walked(c, r)
				switch {
				case err != nil:
					return false, err
				case w.Wants(a.Address):
					told = w.Address(a)
				}
				if told != nil {
					return false, told
				}
				return true, ctx.Err()
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	switch {
	case told != nil:
		return told
	case err != nil:
		return s.refusal("walk over the states", err)
	}
	return nil
}

// walked is the address of a row with its values.
func walked(c *conn, r row) (a statestore.AddressState, err error) {
	var apart []int
	if a.Address, a.Values, apart, err = statestore.DecodeStates(r.blob(1)); err != nil {
		return a, wrap("state", err)
	}
	return a, loadLarge(c, r.blob(0), a.Values, apart)
}

func holding(ctx context.Context, c *conn) (h statestore.Holding, err error) {
	var claim statestore.Claim
	if err := loadFunctions(c, &claim); err != nil {
		return h, err
	}
	h.Functions = claim.Functions
	if err := loadSpilled(c, &claim); err != nil {
		return h, err
	}
	for i := range claim.Spilled {
		h.Messages += claim.Spilled[i].Messages
	}
	err = c.query(`SELECT data FROM pack`, nil, func(r row) (bool, error) {
		messages, err := statestore.DecodeMails(r.blob(0))
		h.Messages += int64(len(messages))
		if err == nil {
			err = ctx.Err()
		}
		return true, wrap("pack", err)
	})
	if err != nil {
		return h, err
	}
	err = c.query(`SELECT number, finished FROM pack_mark`, nil, func(r row) (bool, error) {
		finished, err := statestore.DecodeNumbers(r.blob(1))
		h.Messages -= int64(len(finished))
		return true, wrap("pack mark", err)
	})
	if err != nil {
		return h, err
	}
	r, err := c.one(`SELECT (SELECT count(*) FROM timer), (SELECT coalesce(sum(last - first + 1), 0) FROM outbox), (SELECT count(*) FROM dead_letter), (SELECT count(*) FROM progress)`)
	if err == nil {
		h.Timers, h.Outputs, h.DeadLetters, h.Sources = r.int(0), r.int(1), r.int(2), r.int(3)
	}
	return h, err
}
