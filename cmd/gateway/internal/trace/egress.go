package trace

import (
	"time"

	"github.com/stategate/stategate/egress"
)

// Sent makes the span of an output's delivery. Its place in the trace is the one that the record's header says.
func (t *Tracer) Sent(o egress.Sent) {
	s := &span{
		at: *egress.Trace(o.Lane, o.Number, o.Output.Trace), parent: o.Output.Trace.Span, name: "send", kind: producer, begin: o.Began, end: time.Now(), wrong: o.Refused,
		attributes: make([]attribute, 0, 9),
	}
	if o.System != "" {
		s.attributes = append(s.attributes, text("messaging.system", o.System))
	}
	if o.Destination != "" {
		s.name = "send " + cut(o.Destination)
		s.attributes = append(s.attributes, text("messaging.destination.name", o.Destination))
	}
	s.attributes = append(s.attributes, text("messaging.operation.type", "send"), text("messaging.operation.name", "send"), text(keyEgress, o.Lane.Egress),
		number("stategate.egress.output", int64(o.Number)), number("messaging.message.body.size", int64(len(o.Output.Value.Value))))
	s.attributes = append(s.attributes, address(o.Output.Sender)...)
	t.add(s)
}
