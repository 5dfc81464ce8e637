package postgres

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// pageRows is how many rows of unknown size one query of a byte-bounded answer asks for.
const pageRows = 64

// list runs a query on a reader.
func (s *Store) list(ctx context.Context, action, sql string, args []any, dest []any, each func() error) error {
	r, err := s.readers.Query(ctx, s.sql(sql), args...)
	if err == nil {
		_, err = pgx.ForEachRow(r, dest, each)
	}
	if err != nil {
		return refusal(action, err)
	}
	return nil
}

// Specs reads one row.
func (s *Store) Specs(ctx context.Context, function api.FunctionType) (out []statestore.StateSpec, err error) {
	var data []byte
	err = s.list(ctx, "load specs", `SELECT data FROM {s}.function_spec WHERE key = $1`, []any{statestore.FunctionKey(function)}, []any{&data}, func() error {
		f, err := statestore.DecodeSpec(data)
		out = f.States
		return wrap("function spec", err)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Mail reads chunks until the bytes are exceeded. The sum of what comes before decides in the server which rows are sent.
func (s *Store) Mail(ctx context.Context, address api.Address, from uint64, bytesMax int) ([]statestore.Mail, error) {
	const ask = `
SELECT data, low, page FROM (
  SELECT m.data, count(*) OVER () AS page, coalesce(b.low, 0) AS low, m.first, sum(m.bytes) OVER (ORDER BY m.first) - m.bytes AS before
  FROM (SELECT * FROM {s}.mail WHERE key = $1 AND last >= $2 ORDER BY first LIMIT $4) m
  LEFT JOIN {s}.mailbox b ON b.key = m.key) q
WHERE before <= $3 ORDER BY first`
	key, left := statestore.AddressKey(address), bytesMax
	var out []statestore.Mail
	for {
		used := 0
		var data []byte
		var n, low, page int64 // page: what there was; n: what the bytes let through
		full := false
		err := s.list(ctx, "load mail", ask, []any{key, number(from), int64(left), pageRows}, []any{&data, &low, &page}, func() error {
			n++
			messages, err := statestore.DecodeMails(data)
			for _, m := range messages {
				if m.Number < max(from, uint64(low)) {
					continue
				}
				if full = used > left; full {
					break
				}
				out, used = append(out, m), used+m.Message.Size()
			}
			return wrap("mail", err)
		})
		if err != nil {
			return nil, err
		}
		left -= used
		if full || left < 0 || n == page && page < pageRows {
			return out, nil
		}
		if len(out) > 0 {
			from = max(from, out[len(out)-1].Number+1)
		}
	}
}

// SpilledAddresses pages through the mailboxes of a function.
func (s *Store) SpilledAddresses(ctx context.Context, function api.FunctionType, cursor []byte, limit int) ([]api.Address, []byte, error) {
	if limit <= 0 {
		return nil, nil, nil
	}
	low := statestore.FunctionKey(function)
	high := statestore.KeyAfter(low)
	if bytes.Compare(cursor, low) >= 0 {
		low = append(slices.Clone(cursor), 0) // the first key behind it
	}
	var out []api.Address
	var key, data, last []byte
	more := false
	err := s.list(ctx, "list spilled addresses", `SELECT key, address FROM {s}.mailbox WHERE key >= $1 AND key < $2 ORDER BY key LIMIT $3`,
		[]any{low, high, limit + 1}, []any{&key, &data}, func() error {
			if more = len(out) == limit; more {
				return nil
			}
			a, err := statestore.DecodeAddress(data)
			out, last = append(out, a), key
			return wrap("mailbox", err)
		})
	if err != nil {
		return nil, nil, err
	}
	if !more {
		last = nil
	}
	return out, last, nil
}

// Timers reads the window in the order of firing.
func (s *Store) Timers(ctx context.Context, after statestore.TimerKey, dueMS int64, limit int) ([]statestore.Timer, error) {
	var out []statestore.Timer
	var key, data []byte
	err := s.list(ctx, "load timers", `SELECT key, data FROM {s}.timer WHERE key > $1 AND key < $2 ORDER BY key LIMIT $3`,
		[]any{statestore.FiringKey(after), statestore.FiringKey(statestore.TimerKey{Due: dueMS}), max(limit, 0)}, []any{&key, &data}, func() error {
			var t statestore.Timer
			var err error
			if t.TimerKey, err = statestore.DecodeFiringKey(key); err == nil {
				err = statestore.DecodeTimerMessage(data, &t)
			}
			out = append(out, t)
			return wrap("timer", err)
		})
	return out, err
}

// ExpiredAddresses reads the oldest first.
func (s *Store) ExpiredAddresses(ctx context.Context, ms int64, limit int) ([]api.Address, error) {
	var out []api.Address
	var data []byte
	err := s.list(ctx, "list expired addresses", `SELECT data FROM {s}.state WHERE expires > 0 AND expires < $1 ORDER BY expires LIMIT $2`,
		[]any{ms, max(limit, 0)}, []any{&data}, func() error {
			a, _, _, err := statestore.DecodeStates(data)
			out = append(out, a)
			return wrap("state", err)
		})
	return out, err
}

// Outputs reads packs until the bytes are exceeded.
func (s *Store) Outputs(ctx context.Context, lane statestore.LaneID, from uint64, bytesMax int) ([]statestore.OutputPack, error) {
	const ask = `
SELECT first, last, data, coalesce((SELECT array_agg(r.number ORDER BY r.number) FROM {s}.refusal r
  WHERE r.egress = $1 AND r.slot = $2 AND r.number >= q.first AND r.number <= q.last), '{}')
FROM (SELECT *, sum(bytes) OVER (ORDER BY first) - bytes AS before
      FROM (SELECT first, last, bytes, data FROM {s}.outbox WHERE egress = $1 AND slot = $2 AND first >= $3 ORDER BY first LIMIT $5) o) q
WHERE before <= $4 ORDER BY first`
	low, err := s.firstPack(ctx, lane, number(from))
	if err != nil {
		return nil, err
	}
	var out []statestore.OutputPack
	left := int64(bytesMax)
	for {
		n := 0
		var first, last int64
		var data []byte
		var refused []int64
		err := s.list(ctx, "load outputs", ask, []any{[]byte(lane.Egress), int32(lane.Slot), low, left, pageRows}, []any{&first, &last, &data, &refused}, func() error {
			n++
			outputs, err := statestore.DecodeOutputs(data)
			pack := statestore.OutputPack{Lane: lane, First: uint64(first), Outputs: outputs}
			for _, r := range refused {
				pack.Refused = append(pack.Refused, uint64(r))
			}
			for i := range outputs {
				left -= int64(outputs[i].Size())
			}
			out, low = append(out, pack), last+1
			return wrap("outputs", err)
		})
		if err != nil {
			return nil, err
		}
		if n < pageRows || left < 0 {
			return slices.Clip(out), nil
		}
	}
}

// firstPack is where the pack that holds `from` begins, or the first behind it.
func (s *Store) firstPack(ctx context.Context, lane statestore.LaneID, from int64) (int64, error) {
	low := from
	var first, last int64
	err := s.list(ctx, "load outputs", `SELECT first, last FROM {s}.outbox WHERE egress = $1 AND slot = $2 AND first <= $3 ORDER BY first DESC LIMIT 1`,
		[]any{[]byte(lane.Egress), int32(lane.Slot), from}, []any{&first, &last}, func() error {
			if last >= from {
				low = first
			}
			return nil
		})
	return low, err
}

// Claimed looks for a token. The server refuses to compare with what its text cannot hold; such a token was never drawn.
func (s *Store) Claimed(ctx context.Context, token string) (known bool, err error) {
	if !utf8.ValidString(token) || strings.ContainsRune(token, 0) {
		return false, nil
	}
	var one int
	err = s.list(ctx, "look for a claim", `SELECT 1 FROM {s}.claim WHERE token = $1`, []any{token}, []any{&one}, func() error {
		known = true
		return nil
	})
	return known, err
}
