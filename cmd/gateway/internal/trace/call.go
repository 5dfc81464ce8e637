package trace

import (
	"strconv"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher"
	"github.com/stategate/stategate/dispatcher/machine"
)

// Dispatcher are the hooks of one incarnation's dispatcher. endpoint tells where a function is called; host "": nobody knows.
func (t *Tracer) Dispatcher(endpoint func(api.FunctionType) (host string, port int)) dispatcher.Traces {
	known := map[api.FunctionType]place{} // the loop's own
	called := func(call *machine.Call, began *dispatcher.Span, ended time.Time, result string, status int) {
		at, ok := known[call.Function]
		if !ok {
			at.host, at.port = endpoint(call.Function)
			if len(known) < placesMax {
				known[call.Function] = at
			}
		}
		t.called(call, began, ended, result, status, at)
	}
	return dispatcher.Traces{Calling: t.calling, Called: called, Committed: t.committed}
}

// place is where a function is called.
type place struct {
	host string
	port int
}

const placesMax = 10_000 // that are remembered: names may come from messages

// lead is the message whose trace a call goes on in: the first that is in a sampled one, else the first that is in one; -1: none is.
func lead(messages []api.Message) int {
	first := -1
	for i := range messages {
		switch in := messages[i].Trace; {
		case in.Sampled():
			return i
		case in != nil && first < 0:
			first = i
		}
	}
	return first
}

// calling begins an attempt, which ends the waiting of its messages.
func (t *Tracer) calling(call *machine.Call) *dispatcher.Span {
	i := lead(call.Messages)
	if i < 0 {
		return nil
	}
	s := &dispatcher.Span{Trace: call.Messages[i].Trace, Began: time.Now()}
	if s.Trace.Sampled() {
		s.Trace = child(s.Trace)
	}
	if call.Arrived != nil {
		for i, at := range *call.Arrived {
			if at != 0 {
				t.waited(call.Target, call.Messages[i].Trace, time.UnixMilli(at), s)
			}
		}
	}
	return s
}

// waited is the time of a message in its mailbox. Where the call is in another trace a link leads there.
func (t *Tracer) waited(target api.Address, in *api.Trace, from time.Time, call *dispatcher.Span) {
	s := &span{at: *child(in), parent: in.Span, name: "wait", kind: internal, begin: from, end: call.Began, attributes: address(target)}
	if s.begin.After(s.end) { // the machine counts milliseconds, and its clock never goes back
		s.begin = s.end
	}
	if call.Trace.ID != in.ID {
		s.links = []api.Trace{*call.Trace}
	}
	t.add(s)
}

// called ends an attempt.
func (t *Tracer) called(call *machine.Call, began *dispatcher.Span, ended time.Time, result string, status int, at place) {
	of := lead(call.Messages)
	s := &span{
		at: *began.Trace, parent: call.Messages[of].Trace.Span, name: "call " + cut(call.Function.String()), kind: client, begin: began.Began, end: ended,
		attributes: make([]attribute, 0, 9),
	}
	s.attributes = append(s.attributes, text(keyFunction, call.Function.String()), text(keyID, call.Target.ID), text("http.request.method", "POST"),
		number("stategate.call.attempt", int64(call.Attempt)), number("stategate.call.messages", int64(len(call.Messages))))
	if at.host != "" {
		s.attributes = append(s.attributes, text("server.address", at.host), number("server.port", int64(at.port)))
	}
	if status != 0 {
		s.attributes = append(s.attributes, number("http.response.status_code", int64(status)))
	}
	switch result {
	case "ok":
	case "incomplete":
		s.attributes = append(s.attributes, text("stategate.call.result", result))
	case "status":
		s.wrong = strconv.Itoa(status)
	default:
		s.wrong = result
	}
	for i := range call.Messages {
		if in := call.Messages[i].Trace; i != of && in.Sampled() && len(s.links) < linksMax {
			s.links = append(s.links, *in)
		}
	}
	t.add(s)
}

// committed makes a span in the trace of each call.
func (t *Tracer) committed(calls []*api.Trace, commit uint64, began time.Time, result string) {
	ended := time.Now()
	for _, call := range calls {
		s := &span{at: *child(call), parent: call.Span, name: "commit", kind: internal, begin: began, end: ended, attributes: []attribute{number("stategate.commit.number", int64(commit))}}
		if result != "ok" {
			s.wrong = result
		}
		t.add(s)
	}
}
