package kinesis

import (
	"time"

	"github.com/stategate/stategate/egress"
)

// traced tells of an output that has come to its end. Records of Kinesis have no headers: its trace ends here.
func (r *Relay) traced(it *item, began time.Time) {
	if r.cfg.Hooks.Traced != nil && it.output.Trace.Sampled() {
		r.cfg.Hooks.Traced(egress.Sent{
			Lane: r.lane, Number: it.number, Output: it.output, System: "aws_kinesis", Destination: it.place.stream, Began: began, Refused: it.reason,
		})
	}
}
