package machine

import "github.com/stategate/stategate/api"

// The machine carries traces and decides nothing by them: a message is in the trace that it came in, or that of the call which has sent
// it. Spans are made outside, and so are their ids. A call tells when its messages came, a commit whose effects it holds.

// tracedMax bounds the calls of one cut that are told with it: that a call has no span of its commit is no harm.
const tracedMax = 10_000

// trace notes a call whose effects the next cut holds.
func (m *Machine) trace(t *api.Trace) {
	if t.Sampled() && len(m.traced) < tracedMax {
		m.traced = append(m.traced, t)
	}
}

// tellArrival tells when the i-th message of a call came, the first time that it is in one.
func (c *Call) tellArrival(i int, msg *message) {
	if msg.waited {
		return
	}
	msg.waited = true
	if c.Arrived == nil {
		all := make(Arrivals, len(c.Messages))
		c.Arrived = &all
	}
	(*c.Arrived)[i] = msg.arrived
}
