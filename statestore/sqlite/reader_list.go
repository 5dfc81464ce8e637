package sqlite

import (
	"bytes"
	"context"
	"database/sql/driver"
	"slices"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// list runs one query on a reader; each says whether it needs more.
func (s *Store) list(ctx context.Context, action, sql string, args []driver.Value, each func(r row) (bool, error)) error {
	err := s.readers.read(ctx, func(c *conn) error {
		return c.query(sql, args, func(r row) (bool, error) {
			if err := ctx.Err(); err != nil {
				return false, err
			}
			return each(r)
		})
	})
	if err != nil {
		return s.refusal(action, err)
	}
	return nil
}

// Specs reads one row.
func (s *Store) Specs(ctx context.Context, function api.FunctionType) (out []statestore.StateSpec, err error) {
	err = s.list(ctx, "load specs", `SELECT data FROM function_spec WHERE key = ?`, args(statestore.FunctionKey(function)), func(r row) (bool, error) {
		f, err := statestore.DecodeSpec(r.blob(0))
		out = f.States
		return false, wrap("function spec", err)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Mail reads chunks until the bytes are exceeded.
func (s *Store) Mail(ctx context.Context, address api.Address, from uint64, bytesMax int) (out []statestore.Mail, err error) {
	const ask = `SELECT m.data, b.low FROM mailbox b CROSS JOIN mail m ON m.key = b.key WHERE b.key = ?1 AND m.first >= coalesce(
(SELECT first FROM mail WHERE key = ?1 AND first <= ?2 ORDER BY first DESC LIMIT 1), 0) ORDER BY m.first`
	sum := 0
	err = s.list(ctx, "load mail", ask, args(statestore.AddressKey(address), number(from)), func(r row) (bool, error) {
		messages, err := statestore.DecodeMails(r.blob(0))
		for _, m := range messages {
			if m.Number < max(from, r.num(1)) {
				continue
			}
			if sum > bytesMax {
				return false, nil
			}
			sum += m.Message.Size()
			out = append(out, m)
		}
		return sum <= bytesMax, wrap("mail", err)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// SpilledAddresses pages through the mailboxes of a function.
func (s *Store) SpilledAddresses(ctx context.Context, function api.FunctionType, cursor []byte, limit int) (out []api.Address, next []byte, err error) {
	if limit <= 0 {
		return nil, nil, nil
	}
	low := statestore.FunctionKey(function)
	high := statestore.KeyAfter(low)
	if bytes.Compare(cursor, low) >= 0 {
		low = append(slices.Clone(cursor), 0) // the first key behind it
	}
	var last []byte
	err = s.list(ctx, "list spilled addresses", `SELECT key, address FROM mailbox WHERE key >= ? AND key < ? ORDER BY key LIMIT ?`,
		args(low, high, int64(limit)+1), func(r row) (bool, error) {
			if len(out) == limit {
				next = last
				return false, nil
			}
			a, err := statestore.DecodeAddress(r.blob(1))
			out, last = append(out, a), r.blob(0)
			return true, wrap("mailbox", err)
		})
	if err != nil {
		return nil, nil, err
	}
	return out, next, nil
}

// Timers reads the window in the order of firing.
func (s *Store) Timers(ctx context.Context, after statestore.TimerKey, dueMS int64, limit int) (out []statestore.Timer, err error) {
	err = s.list(ctx, "load timers", `SELECT key, data FROM timer WHERE key > ? AND key < ? ORDER BY key LIMIT ?`,
		args(statestore.FiringKey(after), statestore.FiringKey(statestore.TimerKey{Due: dueMS}), int64(max(limit, 0))), func(r row) (bool, error) {
			var t statestore.Timer
			var err error
			if t.TimerKey, err = statestore.DecodeFiringKey(r.blob(0)); err == nil {
				err = statestore.DecodeTimerMessage(r.blob(1), &t)
			}
			out = append(out, t)
			return true, wrap("timer", err)
		})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ExpiredAddresses reads the oldest first.
func (s *Store) ExpiredAddresses(ctx context.Context, ms int64, limit int) (out []api.Address, err error) {
	err = s.list(ctx, "list expired addresses", `SELECT data FROM state WHERE expires > 0 AND expires < ? ORDER BY expires LIMIT ?`,
		args(ms, int64(max(limit, 0))), func(r row) (bool, error) {
			a, _, _, err := statestore.DecodeStates(r.blob(0))
			out = append(out, a)
			return true, wrap("state", err)
		})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Outputs reads packs until the bytes are exceeded.
func (s *Store) Outputs(ctx context.Context, lane statestore.LaneID, from uint64, bytesMax int) (out []statestore.OutputPack, err error) {
	const ask = `SELECT first, last, bytes, data FROM outbox WHERE egress = ?1 AND slot = ?2 AND last >= ?3 AND first >= coalesce(
(SELECT first FROM outbox WHERE egress = ?1 AND slot = ?2 AND first <= ?3 ORDER BY first DESC LIMIT 1), 0) ORDER BY first`
	const refused = `SELECT number FROM refusal WHERE egress = ? AND slot = ? AND number >= ? AND number <= ? ORDER BY number`
	egress, slot, sum := []byte(lane.Egress), int64(lane.Slot), int64(0)
	err = s.readers.read(ctx, func(c *conn) error {
		return c.query(ask, args(egress, slot, number(from)), func(r row) (bool, error) {
			if sum > int64(bytesMax) {
				return false, ctx.Err()
			}
			sum += r.int(2)
			outputs, err := statestore.DecodeOutputs(r.blob(3))
			if err != nil {
				return false, wrap("outputs", err)
			}
			pack := statestore.OutputPack{Lane: lane, First: r.num(0), Outputs: outputs}
			err = c.query(refused, args(egress, slot, r.int(0), r.int(1)), func(r row) (bool, error) {
				pack.Refused = append(pack.Refused, r.num(0))
				return true, nil
			})
			out = append(out, pack)
			return err == nil, err
		})
	})
	if err != nil {
		return nil, s.refusal("load outputs", err)
	}
	return out, nil
}

// Claimed looks for a token.
func (s *Store) Claimed(ctx context.Context, token string) (known bool, err error) {
	err = s.list(ctx, "look for a claim", `SELECT 1 FROM claim WHERE token = ?`, args(token), func(row) (bool, error) {
		known = true
		return false, nil
	})
	return known, err
}
