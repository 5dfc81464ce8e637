package kafka

import (
	"time"

	"github.com/stategate/stategate/egress"
)

// trace makes the header of an output that was judged that of its delivery.
func (r *Relay) trace(it *item) {
	if t := it.record.trace; t.Sampled() && t == it.output.Trace {
		it.record.trace = egress.Trace(r.lane, it.number, t)
	}
}

// traced tells of outputs below a number that Kafka has.
func (r *Relay) traced(part []item, below uint64, begun time.Time) {
	if r.cfg.Hooks.Traced == nil {
		return
	}
	for i := range part {
		if it := &part[i]; it.number < below && it.sends() && !it.lost && it.output.Trace.Sampled() {
			r.tell(it, begun)
		}
	}
}

// tracedAside tells of an output that is set aside from now on.
func (r *Relay) tracedAside(it *item) {
	if r.cfg.Hooks.Traced != nil && it.output.Trace.Sampled() {
		r.tell(it, time.Now())
	}
}

func (r *Relay) tell(it *item, began time.Time) {
	r.cfg.Hooks.Traced(egress.Sent{
		Lane: r.lane, Number: it.number, Output: it.output, System: "kafka", Destination: it.record.topic, Began: began, Refused: it.reason,
	})
}
