package postgres

import (
	"cmp"
	"fmt"
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
	moves := make(map[statestore.LaneID]laneMove)
	for i := range all {
		o := &all[i]
		chunks(len(o.Outputs), func(j int) int { return o.Outputs[j].Size() }, func(from, to, size int) {
			rows = append(rows, newOutputRow(o.Lane, number(o.First)+int64(from), o.Outputs[from:to], size))
		})
		m, seen := moves[o.Lane]
		if !seen {
			m.from = number(o.First)
		}
		m.to = number(o.First) + int64(len(o.Outputs))
		moves[o.Lane] = m
	}
	p.moveLanes(moves)
	slices.SortStableFunc(rows, func(a, b outputRow) int { return compareLanes(a.lane, b.lane) })
	chunks(len(rows), func(i int) int { return len(rows[i].data) }, func(from, to, size int) { p.outputRows(rows[from:to], size) })
}

// checkOutputs refuses outputs of which a later pack does not continue the one before it.
func checkOutputs(all []statestore.OutputPack) error {
	next := make(map[statestore.LaneID]uint64, 1)
	for i := range all {
		o := &all[i]
		if want, seen := next[o.Lane]; seen && want != o.First {
			return fmt.Errorf("outputs of lane %s/%d go on at %d behind %d", o.Lane.Egress, o.Lane.Slot, o.First, want-1)
		}
		next[o.Lane] = o.First + uint64(len(o.Outputs))
	}
	return nil
}

// laneMove is what a commit does to a lane's next number.
type laneMove struct{ from, to int64 }

// moveLanes moves the lanes' next numbers by compare-and-set: what does not continue its lane would be a gap that a relay never
// gets over, or would be sent twice. Like the fence it divides by zero when it misses. Lanes are few: each is a statement.
func (p *part) moveLanes(moves map[statestore.LaneID]laneMove) {
	for _, id := range slices.SortedFunc(maps.Keys(moves), compareLanes) {
		p.add(`WITH moved AS (UPDATE {s}.lane SET next = $4 WHERE egress = $1 AND slot = $2 AND next = $3 RETURNING 1) SELECT 1 / count(*) FROM moved`,
			0, []byte(id.Egress), int32(id.Slot), moves[id].from, moves[id].to)
	}
}

func newOutputRow(lane statestore.LaneID, first int64, run []api.Output, size int) outputRow {
	room := 0
	for i := range run {
		room += len(run[i].Sender.ID) + len(run[i].Value.Value) + 24 // the type is written where it changes
	}
	return outputRow{lane: lane, first: first, last: first + int64(len(run)) - 1, bytes: int64(size), data: statestore.AppendOutputs(make([]byte, 0, room), run)}
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

// trims are one statement per lane: lanes are few, and a range of one lane is read from the index as it stands. As long as no
// output was set aside since a claim found none, there is no refusal to look for.
func (p *part) trims(all []statestore.Trim) {
	for _, t := range all {
		egress, slot, below := []byte(t.Lane.Egress), int32(t.Lane.Slot), number(t.Below)
		p.add(`DELETE FROM {s}.outbox WHERE egress = $1 AND slot = $2 AND first < $3 AND last < $3`, 0, egress, slot, below)
		if p.store.noRefusal.Load() {
			continue
		}
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
		ids[i], numbers[i] = r.Lane, number(r.Number)
	}
	p.store.noRefusal.Store(false)
	egresses, slots := laneColumns(ids)
	p.add(`INSERT INTO {s}.refusal (egress, slot, number) SELECT * FROM unnest($1::bytea[], $2::int[], $3::bigint[])
ON CONFLICT (egress, slot, number) DO NOTHING`, 0, egresses, slots, numbers)
}
