package dispatcher

import (
	"context"
	"sync"
	"time"

	"github.com/stategate/stategate/dispatcher/endpoint"
	"github.com/stategate/stategate/dispatcher/machine"
)

// start makes one attempt aside and tells the machine how it ended.
func (d *Dispatcher) start(c *machine.Call) {
	d.running.Add(1)
	d.wait.Add(1)
	call := *c
	go func() {
		defer d.wait.Done()
		began := time.Now()
		reply, failure := d.attempt(&call)
		took := time.Since(began)
		d.inbox.post(func(m *machine.Machine) {
			d.running.Add(-1) // here, so that a drain that sees none has also seen what they brought
			switch {
			case failure == nil:
				failure = refused(m.Replied(call.ID, reply))
			case failure.Kind != endpoint.Canceled: // by a drain or the end: nothing is known, and nobody waits
				m.Failed(call.ID, failureOf(failure))
			}
			d.observe(&call, reply, failure, took)
		})
	}()
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

func (d *Dispatcher) attempt(call *machine.Call) (*machine.Reply, *endpoint.Failure) {
	f, ok := d.cfg.Function(call.Function)
	if !ok {
		return nil, &endpoint.Failure{Kind: endpoint.Status, Text: "the module does not declare the function"}
	}
	client, err := d.cfg.Pool.Client(f.Spec)
	if err != nil {
		return nil, &endpoint.Failure{Kind: endpoint.Unreachable, Text: err.Error()}
	}
	ctx, cancel := context.WithTimeout(d.callCtx, time.Duration(call.Timeout)*time.Millisecond)
	defer cancel()
	buffer := bodies.Get().(*[]byte)
	defer func() {
		if cap(*buffer) <= bodyKeptMax {
			bodies.Put(buffer)
		}
	}()
	*buffer = appendRequest((*buffer)[:0], call)
	body, bulk, failure := client.Call(ctx, *buffer)
	if failure != nil {
		return nil, failure
	}
	defer client.Release(body)
	reply, err := decodeReply(body, call, d.speakers.words(call.Function))
	if err == nil {
		reply.BulkCalls = bulk
		return reply, nil
	}
	return nil, &endpoint.Failure{Kind: endpoint.BadReply, Status: 200, Text: err.Error()}
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
