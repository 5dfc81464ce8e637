package dispatcher

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/stategate/stategate/dispatcher/endpoint"
	"github.com/stategate/stategate/dispatcher/machine"
)

// startCalls makes attempts aside and tells the machine how they end: those of one bulk in one request.
func (d *Dispatcher) startCalls(calls []machine.Call) {
	for len(calls) > 0 {
		n := 1
		for bulk := calls[0].Bulk; bulk != 0 && n < len(calls) && calls[n].Bulk == bulk; {
			n++
		}
		d.running.Add(int64(n))
		d.wait.Add(1)
		if n == 1 {
			d.start(calls[0])
		} else {
			d.startBulk(slices.Clone(calls[:n])) // the work holds others, which need not stay as long
		}
		calls = calls[n:]
	}
}

func (d *Dispatcher) start(call machine.Call) {
	go func() {
		defer d.wait.Done()
		began := time.Now()
		s := sending{call: &call, span: d.calling(&call)}
		client, failure := d.resolve(&s)
		o := outcome{call: &call, failure: failure, span: s.span}
		if failure == nil {
			o = d.attempt(client, &s)
		}
		o.took = time.Since(began)
		d.tell([]outcome{o})
	}()
}

// sending is a call on its way.
type sending struct {
	call  *machine.Call
	words *words // of its function
	span  *Span  // nil: it is in no trace
	told  bool   // its outcome
}

// outcome is how an attempt has ended: with a reply or a failure.
type outcome struct {
	call    *machine.Call
	reply   *machine.Reply
	failure *endpoint.Failure
	span    *Span
	took    time.Duration
	room    int64 // that the reply takes of the pool's budget, until the machine has it; 0: it is small
}

// tell tells the machine how calls have ended, all at once.
func (d *Dispatcher) tell(ended []outcome) {
	for i := range ended {
		d.room.Add(ended[i].room)
	}
	d.inbox.post(func(m *machine.Machine) {
		for i := range ended {
			if o := &ended[i]; o.room > 0 && (len(d.large) > 0 || m.Saturated()) {
				d.large = append(d.large, *o)
			} else {
				d.ended(m, o)
			}
		}
	})
}

// tellLarge tells of the large replies that have waited for a commit, in the order in which they came, as far as there is room for what
// they bring. So memory holds what the machine may have uncommitted, one reply, and the budget of replies.
func (d *Dispatcher) tellLarge(m *machine.Machine) {
	n := 0
	for ; n < len(d.large) && !m.Saturated(); n++ {
		d.ended(m, &d.large[n])
		d.large[n] = outcome{}
	}
	if d.large = d.large[n:]; len(d.large) == 0 {
		d.large = nil
	}
}

// ended tells the machine how a call has ended. It is the loop's.
func (d *Dispatcher) ended(m *machine.Machine, o *outcome) {
	d.running.Add(-1) // here, so that a drain that sees none has also seen what they brought
	switch f := o.failure; {
	case f == nil:
		o.reply.Trace = o.span.trace()
		o.failure = refused(m.Replied(o.call.ID, o.reply))
	case f.Kind == endpoint.Canceled: // by a drain or the end: nothing is known, and nobody waits
	case f.Kind == endpoint.Unanswered || f.Kind == endpoint.NoBulk:
		m.Unanswered(o.call.ID, f.Kind == endpoint.NoBulk)
	default:
		m.Failed(o.call.ID, failureOf(f))
	}
	d.called(o)
	d.observe(o.call, o.reply, o.failure, o.took)
	if o.reply != nil {
		recycle(o.reply)
	}
	o.call.States, o.call.Messages, o.reply = nil, nil, nil // of a bulk others may be out for long
	if o.room > 0 {
		d.release(o.room)
	}
}

// release gives back room of replies that were told.
func (d *Dispatcher) release(room int64) {
	d.room.Add(-room)
	d.cfg.Pool.Release(room)
}

// refused is the failure when the machine has just found that it cannot use the call's reply, though it could be read.
func refused(f *machine.Failure) *endpoint.Failure {
	switch {
	case f == nil:
		return nil
	case f.Kind == machine.FailBusy:
		return &endpoint.Failure{Kind: endpoint.Busy, Status: 200, Text: f.Text}
	}
	return &endpoint.Failure{Kind: endpoint.BadReply, Status: 200, Text: f.Text}
}

// observe tells how a call has ended.
func (d *Dispatcher) observe(call *machine.Call, reply *machine.Reply, failure *endpoint.Failure, took time.Duration) {
	result := "ok"
	switch {
	case failure != nil && failure.Kind == endpoint.Canceled:
		return
	case failure != nil:
		result = failure.Kind.String()
		if failure.Kind == endpoint.Unanswered || failure.Kind == endpoint.NoBulk {
			f, _ := d.cfg.Function(call.Function)
			d.journal.leftAlone(f.Endpoint, call, failure)
		} else {
			d.journal.callFailed(call, failure)
		}
		d.log.Debug("call failed", "function", call.Function.String(), "id", call.Target.ID, "attempt", call.Attempt, "kind", result, "error", failure.Text)
	case reply.Incomplete:
		result = "incomplete"
	}
	if d.cfg.Hooks.Call != nil {
		d.cfg.Hooks.Call(call.Function, result, took)
	}
	if d.cfg.Hooks.Answered != nil {
		d.cfg.Hooks.Answered(call, reply, failure, took)
	}
}

// bodies are request buffers between two calls.
var bodies = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

// bodyKeptMax bounds the buffers that are kept: a large one would stay for ever.
const bodyKeptMax = 64 << 10

// resolve answers where a call goes.
func (d *Dispatcher) resolve(s *sending) (*endpoint.Client, *endpoint.Failure) {
	f, ok := d.cfg.Function(s.call.Function)
	if !ok {
		return nil, &endpoint.Failure{Kind: endpoint.Status, Text: "the module does not declare the function"}
	}
	client, err := d.cfg.Pool.Client(f.Spec)
	if err != nil {
		return nil, &endpoint.Failure{Kind: endpoint.Unreachable, Text: err.Error()}
	}
	s.words = d.speakers.words(s.call.Function)
	return client, nil
}

// attempt sends a call alone.
func (d *Dispatcher) attempt(client *endpoint.Client, s *sending) outcome {
	ctx, cancel := context.WithTimeout(d.callCtx, time.Duration(s.call.Timeout)*time.Millisecond)
	defer cancel()
	buffer := bodies.Get().(*[]byte)
	defer func() {
		if cap(*buffer) <= bodyKeptMax {
			bodies.Put(buffer)
		}
	}()
	*buffer = appendRequest((*buffer)[:0], s.call)
	d.sends(1)
	body, bulk, failure := client.CallTraced(ctx, *buffer, s.span.trace())
	if failure != nil {
		return outcome{call: s.call, failure: failure, span: s.span}
	}
	return d.read(s, body, bulk, endpoint.Room(body))
}

// read makes the outcome of what the function answered. Of a reply that cannot be used nothing is kept.
func (d *Dispatcher) read(s *sending, body []byte, bulk int, room int64) outcome {
	reply, failure := s.reply(body, bulk)
	if failure != nil {
		d.cfg.Pool.Release(room)
		room = 0
	}
	return outcome{call: s.call, reply: reply, failure: failure, span: s.span, room: room}
}

func (d *Dispatcher) sends(calls int) {
	if d.cfg.Hooks.Bulk != nil {
		d.cfg.Hooks.Bulk(calls)
	}
}

// reply reads what the function answered, and what its endpoint said of bulk calls beside it.
func (s *sending) reply(body []byte, bulk int) (*machine.Reply, *endpoint.Failure) {
	reply, err := decodeReply(body, s.call, s.words)
	if err != nil {
		return nil, &endpoint.Failure{Kind: endpoint.BadReply, Status: 200, Text: err.Error()}
	}
	reply.BulkCalls = int32(min(bulk, math.MaxInt32))
	return reply, nil
}

// failureOf translates what happened into whose fault it is.
func failureOf(f *endpoint.Failure) machine.Failure {
	out := machine.Failure{RetryAfter: f.RetryAfter.Milliseconds(), Text: f.Text, Kind: machine.FailAnswer}
	switch {
	case f.Kind.Endpoint():
		out.Kind = machine.FailEndpoint
	case f.Kind == endpoint.Timeout:
		out.Kind = machine.FailTimeout
	case f.Kind == endpoint.TooLarge:
		out.Kind = machine.FailTooLarge
	case f.Kind == endpoint.Busy:
		out.Kind = machine.FailBusy
	}
	return out
}
