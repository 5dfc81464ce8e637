package dev

import (
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/cmd/gateway/internal/app"
	"github.com/stategate/stategate/cmd/gateway/internal/module"
	"github.com/stategate/stategate/dispatcher/endpoint"
	"github.com/stategate/stategate/dispatcher/machine"
	egresslog "github.com/stategate/stategate/egress/log"
)

// steps shows what happens to a record, a line for each step: it comes in, a function is called, states change, messages go on, and
// results leave. What leaves is shown when it has left; all else when it happens, which may be before its commit.
type steps struct {
	out   *screen
	topic func(name string)  // is told of each topic that something is written to
	later map[string]outcome // egresses whose records are seen when they have left
}

// outcome says what shows the records of an egress.
type outcome uint8

const (
	seenInKafka outcome = iota + 1
	seenInLog
)

func newSteps(out *screen, m *module.Module, topic func(name string)) *steps {
	s := &steps{out: out, topic: topic, later: map[string]outcome{}}
	for i := range m.KafkaEgresses {
		s.later[m.KafkaEgresses[i].ID] = seenInKafka
	}
	for i := range m.LogEgresses {
		s.later[m.LogEgresses[i].ID] = seenInLog
	}
	return s
}

// hooks adds what is shown to what is measured.
func (s *steps) hooks(h app.Hooks) app.Hooks {
	h.Arrived, h.Sent, h.Output = s.arrived, s.sent, s.output
	h.Dispatcher.Answered = s.answered
	counted := h.Dispatcher.DeadLetter
	h.Dispatcher.DeadLetter = func(d *api.DeadLetter) {
		if counted != nil {
			counted(d)
		}
		s.out.step(bad, "aside", "%s %s: %s: %s", d.Kind, egresslog.Bytes([]byte(d.From)), d.Reason, egresslog.Bytes([]byte(d.Detail)))
	}
	return h
}

func name(a api.Address) string { return egresslog.Bytes([]byte(a.String())) }

func text(v api.TypedValue) string { return egresslog.TextOf(v).Value }

func (s *steps) arrived(source api.Source, records []api.Record) {
	for i := range records {
		r := &records[i]
		s.out.step(came, "in", "%s %s: %s", source.Topic, egresslog.Bytes([]byte(r.ID)), text(r.Value))
	}
}

func (s *steps) sent(m *api.Message) {
	s.out.step(came, "in", "%s: %s", name(m.Target), text(m.Argument))
}

func (s *steps) output(egress string, _ api.Address, v egresslog.Text) {
	if v.Topic != "" {
		s.out.step(left, "out", "%s %s %s: %s", egress, v.Topic, v.Key, v.Value)
		return
	}
	s.out.step(left, "out", "%s: %s", egress, v.Value)
}

func (s *steps) answered(call *machine.Call, reply *machine.Reply, failure *endpoint.Failure, took time.Duration) {
	took = took.Round(100 * time.Microsecond)
	if failure != nil {
		if call.Attempt&(call.Attempt-1) != 0 {
			return // tries 1, 2, 4, 8 ... are shown: a function that keeps failing hides nothing else
		}
		s.out.step(bad, "fail", "%s: %s: %s (try %d, %v)", name(call.Target), failure.Kind, egresslog.Bytes([]byte(failure.Text)), call.Attempt, took)
		return
	}
	if reply.Incomplete {
		for i := range reply.Missing {
			s.out.step(dim, "learn", "%s has a state %s (%s)", call.Function, egresslog.Bytes([]byte(reply.Missing[i].Name)), egresslog.Bytes([]byte(reply.Missing[i].TypeName)))
		}
		return
	}
	for i := range call.Messages {
		m := &call.Messages[i]
		by := ""
		if !m.Caller.IsZero() {
			by = " by " + name(m.Caller)
		}
		s.out.step(called, "call", "%s%s: %s (%v)", name(m.Target), by, text(m.Argument), took)
	}
	s.effects(name(call.Target), reply)
}

// effects shows what a reply asks for.
func (s *steps) effects(who string, reply *machine.Reply) {
	for i := range reply.Mutations {
		m := &reply.Mutations[i]
		if m.Delete {
			s.out.step(kept, "state", "%s %s is removed", who, egresslog.Bytes([]byte(m.Name)))
			continue
		}
		s.out.step(kept, "state", "%s %s = %s", who, egresslog.Bytes([]byte(m.Name)), text(m.Value))
	}
	for i := range reply.Sends {
		m := &reply.Sends[i]
		s.out.step(went, "send", "%s -> %s: %s", who, name(m.Target), text(m.Argument))
	}
	for i := range reply.Delayed {
		m := &reply.Delayed[i]
		if m.Cancel {
			s.out.step(went, "cancel", "%s takes back %s", who, egresslog.Bytes([]byte(m.Token)))
			continue
		}
		s.out.step(went, "later", "%s -> %s in %v: %s", who, name(m.Target), time.Duration(m.Delay)*time.Millisecond, text(m.Argument))
	}
	for i := range reply.Outputs {
		o := &reply.Outputs[i]
		v := egresslog.TextOf(o.Value)
		switch s.later[o.Egress] {
		case seenInKafka:
			if o.Value.TypeName == protocol.TypeKafkaProducerRecord && v.Topic != "" {
				s.topic(v.Topic)
			}
		case seenInLog:
		default:
			s.out.step(left, "out", "%s %s %s %s: %s", who, egresslog.Bytes([]byte(o.Egress)), egresslog.Bytes([]byte(v.Topic)), v.Key, v.Value)
		}
	}
}
