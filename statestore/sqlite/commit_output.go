package sqlite

import (
	"fmt"

	"github.com/stategate/stategate/statestore"
)

// outputs move the lane's next number by compare-and-set: what does not continue its lane would be a gap that a relay never
// gets over, or would be sent twice.
func (p *part) outputs(all []statestore.OutputPack) {
	for i := range all {
		o := &all[i]
		egress, slot, next := []byte(o.Lane.Egress), int64(o.Lane.Slot), number(o.First)+int64(len(o.Outputs))
		moved := p.exec(`UPDATE lane SET next = ? WHERE egress = ? AND slot = ? AND next = ?`, next, egress, slot, number(o.First))
		if p.err == nil && moved == 0 {
			p.err = fmt.Errorf("outputs of lane %s/%d begin at %d, which is not the lane's next", o.Lane.Egress, o.Lane.Slot, o.First)
		}
		chunks(len(o.Outputs), func(j int) int { return o.Outputs[j].Size() }, func(from, to, size int) {
			p.buf = statestore.AppendOutputs(p.buf[:0], o.Outputs[from:to])
			p.exec(`INSERT INTO outbox (egress, slot, first, last, bytes, data) VALUES (?, ?, ?, ?, ?, ?)`,
				egress, slot, number(o.First)+int64(from), number(o.First)+int64(to)-1, int64(size), p.buf)
		})
	}
}

func (p *part) laneStarts(all []statestore.LaneID) {
	for _, id := range all {
		p.exec(`INSERT INTO lane (egress, slot, next, started) VALUES (?, ?, 1, 1) ON CONFLICT (egress, slot) DO UPDATE SET started = 1`, []byte(id.Egress), int64(id.Slot))
	}
}

func (p *part) trims(all []statestore.Trim) {
	for _, t := range all {
		egress, slot, below := []byte(t.Lane.Egress), int64(t.Lane.Slot), number(t.Below)
		p.exec(`DELETE FROM outbox WHERE egress = ?1 AND slot = ?2 AND first < ?3 AND last < ?3`, egress, slot, below)
		p.exec(`DELETE FROM refusal WHERE egress = ?1 AND slot = ?2
AND number < min(?3, coalesce((SELECT min(first) FROM outbox WHERE egress = ?1 AND slot = ?2), ?3))`, egress, slot, below)
	}
}

func (p *part) refusals(all []statestore.Refusal) {
	for _, r := range all {
		p.exec(`INSERT INTO refusal (egress, slot, number) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, []byte(r.Lane.Egress), int64(r.Lane.Slot), number(r.Number))
	}
}
