package postgres

import (
	"slices"

	"github.com/stategate/stategate/statestore"
)

func (p *part) timerEnds(all []statestore.TimerKey) {
	if len(all) == 0 {
		return
	}
	rows := make([]keyed, len(all))
	for i := range all {
		rows[i] = keyed{key: timerKey(all[i])}
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
		tokens[i], below[i] = tokenKey(all[i].SenderID, all[i].Token), int64(all[i].Below)
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
	slices.SortFunc(sorted, func(a, b statestore.Timer) int { return compareTimers(a.TimerKey, b.TimerKey) })
	chunks(len(sorted), func(i int) int { return sorted[i].Message.Size() + len(sorted[i].Token) }, func(from, to, size int) {
		n := to - from
		keys, tokens, data, numbers := make([][]byte, n), make([][]byte, n), make([][]byte, n), make([]int64, n)
		for i := range n {
			t := &sorted[from+i]
			keys[i], data[i], numbers[i] = timerKey(t.TimerKey), encodeTimer(t), int64(t.Number)
			if t.Token != "" {
				tokens[i] = tokenKey(t.Message.Caller.ID, t.Token)
			}
		}
		p.add(`INSERT INTO {s}.timer (key, number, token, data) SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bytea[], $4::bytea[])`,
			size, keys, numbers, tokens, data)
	})
}
