package dispatcher

import (
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// Traces makes spans of what messages meet that are in a trace. Its funcs are set all or none; they must be quick and safe for concurrent
// use.
type Traces struct {
	// Calling begins the span of an attempt; nil: none of its messages is in a trace. Its request carries the span's trace, and what it causes
	// goes on in that. It runs beside the loop.
	Calling func(call *machine.Call) *Span
	// Called ends it. result is as of Hooks.Call, or "canceled"; status is that of the response where the attempt has failed, or 0. It runs on
	// the loop, and may neither keep nor change the call.
	Called func(call *machine.Call, span *Span, ended time.Time, result string, status int)
	// Committed tells of calls in sampled traces whose effects a commit holds how it has ended; result is as of Hooks.Commit.
	Committed func(traces []*api.Trace, number uint64, began time.Time, result string)
}

// Span is an attempt that is in a trace.
type Span struct {
	Trace *api.Trace // with the attempt's own span where it is sampled
	Began time.Time
}

func (s *Span) trace() *api.Trace {
	if s == nil {
		return nil
	}
	return s.Trace
}

func (d *Dispatcher) calling(call *machine.Call) *Span {
	if d.cfg.Hooks.Traces.Calling == nil {
		return nil
	}
	return d.cfg.Hooks.Traces.Calling(call)
}

func (d *Dispatcher) called(o *outcome) {
	if !o.span.trace().Sampled() {
		return
	}
	result, status := "ok", 0
	switch {
	case o.failure != nil:
		result, status = o.failure.Kind.String(), o.failure.Status
	case o.reply.Incomplete:
		result = "incomplete"
	}
	d.cfg.Hooks.Traces.Called(o.call, o.span, o.span.Began.Add(o.took), result, status)
}

// trace is the one that the request of a parcel carries: a request has one header, and several calls. It is that of the first call whose
// trace is sampled, if one is.
func (p *parcel) trace() *api.Trace {
	for i := range p.calls {
		if t := p.calls[i].span.trace(); t.Sampled() {
			return t
		}
	}
	return p.calls[0].span.trace()
}

func (d *Dispatcher) committed(c *statestore.Commit, began time.Time, err error) {
	if len(d.traced) > 0 && d.cfg.Hooks.Traces.Committed != nil {
		d.cfg.Hooks.Traces.Committed(d.traced, c.Number, began, commitResult(err))
	}
}
