package postgres

import (
	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

func (p *part) pauses(all []statestore.Pause) {
	if len(all) == 0 {
		return
	}
	rows := make([]keyed, len(all))
	for i := range all {
		rows[i].key = statestore.PauseKey(&all[i])
		if !all[i].Ended {
			rows[i].data = p.row(func(b []byte) []byte { return statestore.AppendPause(b, &all[i]) })
		}
	}
	var begun []keyed
	var ended [][]byte
	for _, r := range settle(rows) {
		if r.data == nil {
			ended = append(ended, r.key)
		} else {
			begun = append(begun, r)
		}
	}
	each(begun, func(keys, data [][]byte, _ []int64, size int) {
		p.add(`INSERT INTO {s}.pause (key, data) SELECT * FROM unnest($1::bytea[], $2::bytea[])
ON CONFLICT (key) DO UPDATE SET data = excluded.data`, size, keys, data)
	})
	if len(ended) > 0 {
		p.add(`DELETE FROM {s}.pause WHERE key = ANY($1::bytea[])`, 0, ended)
	}
}

func (p *part) progressEnds(all []api.Source) {
	if len(all) == 0 {
		return
	}
	rows := make([]keyed, len(all))
	for i := range all {
		rows[i].key = statestore.SourceKey(all[i])
	}
	keys, _, _ := columns(settle(rows))
	p.add(`DELETE FROM {s}.progress WHERE key = ANY($1::bytea[])`, 0, keys)
}

// acts are never written over: a number that is there already refuses the commit.
func (p *part) acts(all []statestore.Act) {
	if len(all) == 0 {
		return
	}
	rows, newest := make([]keyed, len(all)), uint64(0)
	for i := range all {
		rows[i] = keyed{number: number(all[i].Number), data: p.row(func(b []byte) []byte { return statestore.AppendAct(b, &all[i]) })}
		newest = max(newest, all[i].Number)
	}
	each(rows, func(_, data [][]byte, numbers []int64, size int) {
		p.add(`INSERT INTO {s}.act (number, data) SELECT * FROM unnest($1::bigint[], $2::bytea[])`, size, numbers, data)
	})
	if newest > statestore.ActsKept {
		p.add(`DELETE FROM {s}.act WHERE number <= $1`, 0, number(newest-statestore.ActsKept))
	}
}
