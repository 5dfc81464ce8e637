package postgres

import (
	"cmp"
	"slices"

	"github.com/stategate/stategate/statestore"
)

func (p *part) timerEnds(all []statestore.TimerKey) {
	if len(all) == 0 {
		return
	}
	rows := make([]keyed, len(all))
	for i := range all {
		rows[i] = keyed{key: statestore.FiringKey(all[i])}
	}
	keys, _, _ := columns(settle(rows))
	p.add(`DELETE FROM {s}.timer WHERE key = ANY($1::bytea[])`, 0, keys)
}

// cancels find their timers one token after the other (OFFSET 0 keeps the planner from turning the join round) and remove them
// by key.
func (p *part) cancels(all []statestore.Cancel) {
	if len(all) == 0 {
		return
	}
	tokens, below := make([][]byte, len(all)), make([]int64, len(all))
	for i := range all {
		tokens[i], below[i] = statestore.TokenKey(all[i].SenderID, all[i].Token), number(all[i].Below)
	}
	p.add(`DELETE FROM {s}.timer WHERE key = ANY(ARRAY(
SELECT t.key FROM unnest($1::bytea[], $2::bigint[]) AS c(token, below)
CROSS JOIN LATERAL (SELECT key FROM {s}.timer WHERE token = c.token AND number < c.below OFFSET 0) t))`, 0, tokens, below)
}

func (p *part) timers(all []statestore.Timer) {
	if len(all) == 0 {
		return
	}
	sorted := slices.Clone(all)
	slices.SortFunc(sorted, func(a, b statestore.Timer) int {
		return cmp.Or(cmp.Compare(a.Due, b.Due), cmp.Compare(a.Number, b.Number))
	})
	chunks(len(sorted), func(i int) int { return sorted[i].Message.Size() + len(sorted[i].Token) }, func(from, to, size int) {
		n := to - from
		keys, tokens, data, numbers := make([][]byte, n), make([][]byte, n), make([][]byte, n), make([]int64, n)
		for i := range n {
			t := &sorted[from+i]
			keys[i], numbers[i] = statestore.FiringKey(t.TimerKey), number(t.Number)
			data[i] = p.row(func(b []byte) []byte { return statestore.AppendTimerMessage(b, t) })
			if t.Token != "" {
				tokens[i] = statestore.TokenKey(t.Message.Caller.ID, t.Token)
			}
		}
		p.add(`INSERT INTO {s}.timer (key, number, token, data) SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bytea[], $4::bytea[])`,
			size, keys, numbers, tokens, data)
	})
}
