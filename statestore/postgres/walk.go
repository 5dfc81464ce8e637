package postgres

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/stategate/stategate/statestore"
)

const (
	walkRows     = 500     // of a page
	walkBytesMax = 4 << 20 // of a page's rows, or one row
)

// walkSettings let whoever is told take its time: the bounds of other sessions would end the transaction.
func walkSettings() settings {
	return settings{
		"statement_timeout": "0", "idle_in_transaction_session_timeout": "0", "tcp_user_timeout": "0",
	}.and(planSettings())
}

// Walk reads in one transaction, on a connection of its own, page by page. As long as it lasts the server cannot clean up after
// what is committed meanwhile.
func (s *Store) Walk(ctx context.Context, w statestore.Walk) error {
	conn, err := s.dial(ctx, "stategate walk", walkSettings())
	if err != nil {
		return refusal("walk over the states", err)
	}
	defer s.hangUp(conn)
	var told error // by one of w's functions
	err = pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		h, err := s.holding(ctx, tx)
		if err != nil {
			return err
		}
		if told = w.Holding(h); told != nil {
			return told
		}
		for _, span := range w.Spans() {
			p := pages{store: s, tx: tx, span: span}
			for more := true; more; {
				if more, err = p.next(ctx, func(a statestore.AddressState) error {
					if w.Wants(a.Address) {
						told = w.Address(a)
					}
					return told
				}); err != nil {
					return err
				}
			}
		}
		return nil
	})
	switch {
	case told != nil:
		return told
	case err != nil:
		return refusal("walk over the states", err)
	}
	return nil
}

// pages is a walk over one span; its Low moves.
type pages struct {
	store *Store
	tx    pgx.Tx
	span  statestore.Span
	page  []walked
	each  func(statestore.AddressState) error
}

// walked is an address of a page, maybe without its large values.
type walked struct {
	key   []byte
	state statestore.AddressState
	apart []int
}

// pageSQL answers a page. The sum of what comes before decides in the server which rows are sent.
const pageSQL = `
SELECT key, data FROM (
  SELECT key, data, sum(octet_length(data)) OVER (ORDER BY key) - octet_length(data) AS before
  FROM (SELECT key, data FROM {s}.state WHERE key >= $1 AND key < $2 ORDER BY key LIMIT $3) page) q
WHERE before <= $4 ORDER BY key`

// pageLargeSQL answers a page's large values, in the page's order.
const pageLargeSQL = `SELECT key, name, value FROM {s}.state_large WHERE key >= $1 AND key <= $2 ORDER BY key, name`

// next tells one page.
func (p *pages) next(ctx context.Context, each func(statestore.AddressState) error) (more bool, err error) {
	p.page, p.each = nil, each
	large := false
	rows, err := p.tx.Query(ctx, p.store.sql(pageSQL), p.span.Low, p.span.High, walkRows, walkBytesMax)
	if err != nil {
		return false, err
	}
	var key, data []byte
	_, err = pgx.ForEachRow(rows, []any{&key, &data}, func() error {
		row := walked{key: key}
		var err error
		row.state.Address, row.state.Values, row.apart, err = statestore.DecodeStates(data)
		large = large || len(row.apart) > 0
		p.page = append(p.page, row)
		return wrap("state", err)
	})
	if err != nil || len(p.page) == 0 {
		return false, err
	}
	last := p.page[len(p.page)-1].key
	if large {
		err = p.fill(ctx, p.page[0].key, last)
	}
	if err == nil {
		err = p.tell(len(p.page))
	}
	p.span.Low = append(slices.Clone(last), 0) // the first key behind it
	return err == nil, err
}

// tell tells the first n addresses that are left of the page, and forgets them.
func (p *pages) tell(n int) error {
	for i := range n {
		row := &p.page[i]
		if len(row.apart) > 0 {
			return fmt.Errorf("state %q of an address: its large value is missing", row.state.Values[row.apart[0]].Name)
		}
		if err := p.each(row.state); err != nil {
			return err
		}
		p.page[i] = walked{}
	}
	p.page = p.page[n:]
	return nil
}

// fill reads the page's large values, in the order of the page, and tells each address before the next one's values are read.
func (p *pages) fill(ctx context.Context, low, high []byte) error {
	rows, err := p.tx.Query(ctx, p.store.sql(pageLargeSQL), low, high)
	if err != nil {
		return err
	}
	var key, name, value []byte
	_, err = pgx.ForEachRow(rows, []any{&key, &name, &value}, func() error {
		n := 0
		for n < len(p.page) && bytes.Compare(p.page[n].key, key) < 0 {
			n++
		}
		if err := p.tell(n); err != nil {
			return err
		}
		if len(p.page) == 0 || !bytes.Equal(p.page[0].key, key) {
			return nil
		}
		row := &p.page[0]
		i := slices.IndexFunc(row.apart, func(i int) bool { return bytes.Equal(statestore.NameKey(row.state.Values[i].Name), name) })
		if i < 0 {
			return nil
		}
		row.state.Values[row.apart[i]].Value = value
		row.apart = slices.Delete(row.apart, i, i+1)
		return nil
	})
	return err
}

func (s *Store) holding(ctx context.Context, tx pgx.Tx) (h statestore.Holding, err error) {
	var claim statestore.Claim
	if err := s.loadFunctions(ctx, tx, &claim); err != nil {
		return h, err
	}
	h.Functions = claim.Functions
	if err := s.loadSpilled(ctx, tx, &claim); err != nil {
		return h, err
	}
	for i := range claim.Spilled {
		h.Messages += claim.Spilled[i].Messages
	}
	var data []byte
	err = rows(ctx, tx, s.sql(`SELECT data FROM {s}.pack`), []any{&data}, func() error {
		messages, err := statestore.DecodeMails(data)
		h.Messages += int64(len(messages))
		return wrap("pack", err)
	})
	if err != nil {
		return h, err
	}
	err = rows(ctx, tx, s.sql(`SELECT finished FROM {s}.pack_mark`), []any{&data}, func() error {
		finished, err := statestore.DecodeNumbers(data)
		h.Messages -= int64(len(finished))
		return wrap("pack mark", err)
	})
	if err != nil {
		return h, err
	}
	const counts = `SELECT (SELECT count(*) FROM {s}.timer), (SELECT coalesce(sum(last - first + 1), 0)::bigint FROM {s}.outbox),
(SELECT count(*) FROM {s}.dead_letter), (SELECT count(*) FROM {s}.progress)`
	err = tx.QueryRow(ctx, s.sql(counts)).Scan(&h.Timers, &h.Outputs, &h.DeadLetters, &h.Sources)
	return h, err
}
