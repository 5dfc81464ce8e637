package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// loadClaim reads what the store keeps, after the claim is committed. The lease is kept meanwhile: what is read may be much.
func (s *Store) loadClaim(ctx context.Context, claim *statestore.Claim) error {
	ctx, cancel := context.WithCancelCause(ctx)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		for rest(ctx, s.cfg.Lease/3) {
			if err := s.Renew(ctx, claim.Fence); errors.Is(err, statestore.ErrFenced) {
				cancel(err)
			}
		}
	}()
	err := s.readers.read(ctx, func(c *conn) error { return s.loadIn(ctx, c, claim) })
	if cause := context.Cause(ctx); errors.Is(cause, statestore.ErrFenced) {
		err = cause
	}
	cancel(nil)
	<-renewed
	if err != nil {
		return s.refusal("read what the store keeps", err)
	}
	return nil
}

// loadIn reads whole tables and may take its time.
func (s *Store) loadIn(ctx context.Context, c *conn, claim *statestore.Claim) error {
	for _, load := range []func(*conn, *statestore.Claim) error{loadProgress, loadFunctions, loadPacks, loadLanes, loadSpilled, loadDead, loadPauses, loadActs, s.loadCounts} {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := load(c, claim); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) loadCounts(c *conn, claim *statestore.Claim) error {
	r, err := c.one(`SELECT NOT EXISTS (SELECT 1 FROM state_large)`)
	if err == nil {
		s.noLarge.Store(r.flag(0))
	}
	return err
}

// loadDead counts what an index holds: the letters themselves are not read.
func loadDead(c *conn, claim *statestore.Claim) error {
	const ask = `SELECT origin, count(*), sum(bytes) FROM dead_letter GROUP BY origin ORDER BY origin`
	return c.query(ask, nil, func(r row) (bool, error) {
		claim.Dead = append(claim.Dead, statestore.DeadTotal{Origin: string(r.blob(0)), Letters: r.int(1), Bytes: r.int(2)})
		return true, nil
	})
}

func loadPauses(c *conn, claim *statestore.Claim) error {
	return c.query(`SELECT data FROM pause ORDER BY key`, nil, func(r row) (bool, error) {
		p, err := statestore.DecodePause(r.blob(0))
		claim.Pauses = append(claim.Pauses, p)
		return true, wrap("pause", err)
	})
}

func loadActs(c *conn, claim *statestore.Claim) error {
	r, err := c.one(`SELECT coalesce(max(number), 0) + 1 FROM act`)
	if err == nil {
		claim.NextAct = r.num(0)
	}
	return err
}

func loadProgress(c *conn, claim *statestore.Claim) error {
	return c.query(`SELECT data FROM progress ORDER BY key`, nil, func(r row) (bool, error) {
		p, err := statestore.DecodeProgress(r.blob(0))
		claim.Progress = append(claim.Progress, p)
		return true, wrap("progress", err)
	})
}

func loadFunctions(c *conn, claim *statestore.Claim) error {
	return c.query(`SELECT data FROM function_spec ORDER BY key`, nil, func(r row) (bool, error) {
		f, err := statestore.DecodeSpec(r.blob(0))
		claim.Functions = append(claim.Functions, f)
		return true, wrap("function spec", err)
	})
}

func loadPacks(c *conn, claim *statestore.Claim) error {
	claim.Finished = make(map[uint64][]uint64)
	err := c.query(`SELECT number, finished FROM pack_mark`, nil, func(r row) (bool, error) {
		finished, err := statestore.DecodeNumbers(r.blob(1))
		claim.Finished[r.num(0)] = finished
		return true, wrap("pack mark", err)
	})
	if err != nil {
		return err
	}
	return c.query(`SELECT number, data FROM pack ORDER BY number, part`, nil, func(r row) (bool, error) {
		messages, err := statestore.DecodeMails(r.blob(1))
		if n := len(claim.Packs); n == 0 || claim.Packs[n-1].Number != r.num(0) {
			claim.Packs = append(claim.Packs, statestore.Pack{Number: r.num(0)})
		}
		last := &claim.Packs[len(claim.Packs)-1]
		last.Messages = append(last.Messages, without(messages, claim.Finished[r.num(0)])...)
		return true, wrap("pack", err)
	})
}

// without takes the finished numbers out of messages; both are sorted.
func without(messages []statestore.Mail, finished []uint64) []statestore.Mail {
	return slices.DeleteFunc(messages, func(m statestore.Mail) bool {
		_, found := slices.BinarySearch(finished, m.Number)
		return found
	})
}

func loadLanes(c *conn, claim *statestore.Claim) error {
	const ask = `
SELECT l.egress, l.slot, l.next, l.started, coalesce(min(o.first), l.next), coalesce(sum(o.bytes), 0)
FROM lane l LEFT JOIN outbox o ON o.egress = l.egress AND o.slot = l.slot GROUP BY l.egress, l.slot ORDER BY l.egress, l.slot`
	return c.query(ask, nil, func(r row) (bool, error) {
		claim.Lanes = append(claim.Lanes, statestore.Lane{
			LaneID: statestore.LaneID{Egress: string(r.blob(0)), Slot: int(r.int(1))},
			Next:   r.num(2), Started: r.flag(3), Low: r.num(4), Bytes: r.int(5),
		})
		return true, nil
	})
}

// loadSpilled adds the chunks up for each function and takes out what is finished of the first chunk of a mailbox.
func loadSpilled(c *conn, claim *statestore.Claim) error {
	totals := make(map[api.FunctionType]*statestore.SpillTotal)
	const ask = `
SELECT b.address, b.low, sum(m.messages), sum(m.bytes),
  CASE WHEN min(m.first) < b.low THEN (SELECT sizes FROM mail WHERE key = b.key ORDER BY first LIMIT 1) END
FROM mailbox b CROSS JOIN mail m ON m.key = b.key GROUP BY b.key`
	err := c.query(ask, nil, func(r row) (bool, error) {
		a, err := statestore.DecodeAddress(r.blob(0))
		if err != nil {
			return false, wrap("mailbox", err)
		}
		box, err := bounds(r[1:])
		t := totals[a.Type]
		if t == nil {
			t = &statestore.SpillTotal{Function: a.Type}
			totals[a.Type] = t
		}
		t.Messages += box.Spilled
		t.Bytes += box.SpilledBytes
		return true, err
	})
	for _, t := range totals {
		claim.Spilled = append(claim.Spilled, *t)
	}
	slices.SortFunc(claim.Spilled, func(a, b statestore.SpillTotal) int {
		return cmp.Or(cmp.Compare(a.Function.Namespace, b.Function.Namespace), cmp.Compare(a.Function.Name, b.Function.Name))
	})
	return err
}

// bounds are those of a mailbox of which a row holds low, the sums of its chunks' messages and bytes, and, when its first
// chunk is begun, that chunk's sizes. First is set in that case only.
func bounds(r row) (l statestore.Loaded, err error) {
	l.Spilled, l.SpilledBytes = r.int(1), r.int(2)
	if r.isNull(3) {
		return l, nil
	}
	entries, err := statestore.DecodeSizes(r.blob(3))
	for _, e := range entries {
		if e.Number >= r.num(0) {
			l.First = e.Number
			break
		}
		l.Spilled--
		l.SpilledBytes -= e.Bytes
	}
	return l, wrap("chunk", err)
}

// wrap says what could not be decoded.
func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("decode stored %s: %w", what, err)
}
