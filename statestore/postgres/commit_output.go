package postgres

import (
	"cmp"
	"maps"
	"slices"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

func compareLanes(a, b statestore.LaneID) int {
	if c := cmp.Compare(a.Egress, b.Egress); c != 0 {
		return c
	}
	return cmp.Compare(a.Slot, b.Slot)
}

// laneColumns are the key columns of lanes.
func laneColumns(ids []statestore.LaneID) (egresses [][]byte, slots []int32) {
	egresses, slots = make([][]byte, len(ids)), make([]int32, len(ids))
	for i, id := range ids {
		egresses[i], slots[i] = []byte(id.Egress), int32(id.Slot)
	}
	return egresses, slots
}

// outputRow is a row of the outbox on its way.
type outputRow struct {
	lane               statestore.LaneID
	first, last, bytes int64
	data               []byte
}

func (p *part) outputs(all []statestore.OutputPack) {
	if len(all) == 0 {
		return
	}
	var rows []outputRow
	next := make(map[statestore.LaneID]int64)
	for i := range all {
		o := &all[i]
		chunks(len(o.Outputs), func(j int) int { return o.Outputs[j].Size() }, func(from, to, size int) {
			rows = append(rows, newOutputRow(o.Lane, int64(o.First)+int64(from), o.Outputs[from:to], size))
		})
		next[o.Lane] = max(next[o.Lane], int64(o.First)+int64(len(o.Outputs)))
	}
	ids := slices.SortedFunc(maps.Keys(next), compareLanes)
	nexts := make([]int64, len(ids))
	for i, id := range ids {
		nexts[i] = next[id]
	}
	egresses, slots := laneColumns(ids)
	p.add(`INSERT INTO {s}.lane (egress, slot, next, started) SELECT egress, slot, next, false FROM unnest($1::bytea[], $2::int[], $3::bigint[]) AS t(egress, slot, next)
ON CONFLICT (egress, slot) DO UPDATE SET next = excluded.next`, 0, egresses, slots, nexts)
	slices.SortStableFunc(rows, func(a, b outputRow) int { return compareLanes(a.lane, b.lane) })
	chunks(len(rows), func(i int) int { return len(rows[i].data) }, func(from, to, size int) { p.outputRows(rows[from:to], size) })
}

func newOutputRow(lane statestore.LaneID, first int64, run []api.Output, size int) outputRow {
	return outputRow{lane: lane, first: first, last: first + int64(len(run)) - 1, bytes: int64(size), data: encodeOutputs(run)}
}

func (p *part) outputRows(rows []outputRow, size int) {
	n := len(rows)
	ids, data := make([]statestore.LaneID, n), make([][]byte, n)
	first, last, bytes := make([]int64, n), make([]int64, n), make([]int64, n)
	for i, r := range rows {
		ids[i], data[i], first[i], last[i], bytes[i] = r.lane, r.data, r.first, r.last, r.bytes
	}
	egresses, slots := laneColumns(ids)
	p.add(`INSERT INTO {s}.outbox (egress, slot, first, last, bytes, data)
SELECT * FROM unnest($1::bytea[], $2::int[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[])`,
		size, egresses, slots, first, last, bytes, data)
}

func (p *part) laneStarts(all []statestore.LaneID) {
	if len(all) == 0 {
		return
	}
	ids := slices.Clone(all)
	slices.SortFunc(ids, compareLanes)
	egresses, slots := laneColumns(slices.Compact(ids))
	p.add(`INSERT INTO {s}.lane (egress, slot, next, started) SELECT egress, slot, 1, true FROM unnest($1::bytea[], $2::int[]) AS t(egress, slot)
ON CONFLICT (egress, slot) DO UPDATE SET started = true`, 0, egresses, slots)
}

// trims are one statement per lane: lanes are few, and a range of one lane is read from the index as it stands.
func (p *part) trims(all []statestore.Trim) {
	for _, t := range all {
		egress, slot, below := []byte(t.Lane.Egress), int32(t.Lane.Slot), int64(t.Below)
		p.add(`DELETE FROM {s}.outbox WHERE egress = $1 AND slot = $2 AND first < $3 AND last < $3`, 0, egress, slot, below)
		p.add(`DELETE FROM {s}.refusal WHERE egress = $1 AND slot = $2 AND number < $3
AND number < coalesce((SELECT min(first) FROM {s}.outbox WHERE egress = $1 AND slot = $2), $3)`, 0, egress, slot, below)
	}
}

func (p *part) refusals(all []statestore.Refusal) {
	if len(all) == 0 {
		return
	}
	ids, numbers := make([]statestore.LaneID, len(all)), make([]int64, len(all))
	for i, r := range all {
		ids[i], numbers[i] = r.Lane, int64(r.Number)
	}
	egresses, slots := laneColumns(ids)
	p.add(`INSERT INTO {s}.refusal (egress, slot, number) SELECT * FROM unnest($1::bytea[], $2::int[], $3::bigint[])
ON CONFLICT (egress, slot, number) DO NOTHING`, 0, egresses, slots, numbers)
}
