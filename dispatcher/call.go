package dispatcher

import (
	"context"
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
		s := sending{call: &call}
		client, failure := d.resolve(&s)
		var reply *machine.Reply
		if failure == nil {
			reply, failure = d.attempt(client, &s)
		}
		d.tell([]outcome{{call: &call, reply: reply, failure: failure, took: time.Since(began)}})
	}()
}

// sending is a call on its way.
type sending struct {
	call  *machine.Call
	words *words // of its function
	told  bool   // its outcome
}

// outcome is how an attempt has ended: with a reply or a failure.
type outcome struct {
	call    *machine.Call
	reply   *machine.Reply
	failure *endpoint.Failure
	took    time.Duration
}

// tell tells the machine how calls have ended, all at once.
func (d *Dispatcher) tell(ended []outcome) {
	d.inbox.post(func(m *machine.Machine) {
		d.running.Add(-int64(len(ended))) // here, so that a drain that sees none has also seen what they brought
		for i := range ended {
			o := &ended[i]
			switch f := o.failure; {
			case f == nil:
				o.failure = refused(m.Replied(o.call.ID, o.reply))
			case f.Kind == endpoint.Canceled: // by a drain or the end: nothing is known, and nobody waits
			case f.Kind == endpoint.Unanswered || f.Kind == endpoint.NoBulk:
				m.Unanswered(o.call.ID, f.Kind == endpoint.NoBulk)
			default:
				m.Failed(o.call.ID, failureOf(f))
			}
			d.observe(o.call, o.reply, o.failure, o.took)
			o.call.States, o.call.Messages = nil, nil // of a bulk others may be out for long
		}
	})
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
		d.journal.callFailed(call, failure)
		d.log.Debug("call failed", "function", call.Function.String(), "attempt", call.Attempt, "kind", result, "error", failure.Text)
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
func (d *Dispatcher) attempt(client *endpoint.Client, s *sending) (*machine.Reply, *endpoint.Failure) {
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
	body, bulk, failure := client.Call(ctx, *buffer)
	if failure != nil {
		return nil, failure
	}
	defer client.Release(body)
	return s.reply(body, bulk)
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
	reply.BulkCalls = bulk
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
