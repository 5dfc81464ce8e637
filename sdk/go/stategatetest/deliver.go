package stategatetest

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	stategate "github.com/stategate/stategate/sdk/go"
	"github.com/stategate/stategate/sdk/go/internal/protocol"
	"google.golang.org/protobuf/proto"
)

// Run delivers what waits, and what that sends, until nothing waits, and answers all effects. 10,000 messages are taken for a loop.
func (h *Harness) Run() (effects Effects) {
	h.t.Helper()
	for range deliveriesMax {
		if len(h.waiting) == 0 {
			return effects
		}
		m := h.waiting[0]
		h.waiting = h.waiting[1:]
		if !h.served[m.To.Function()] {
			h.Undelivered = append(h.Undelivered, m)
			continue
		}
		effects.add(h.CallFrom(m.From, m.To, m.Value))
	}
	h.t.Fatalf("%d messages were delivered and there are more: do two functions send to each other for ever?", deliveriesMax)
	return effects
}

// Advance delivers what waits, then moves the clock, and delivers each delayed message at its time.
func (h *Harness) Advance(by time.Duration) (effects Effects) {
	h.t.Helper()
	until := h.now + by
	effects = h.Run()
	for {
		h.sortTimers()
		if len(h.timers) == 0 || h.timers[0].due > until {
			h.now = until
			return effects
		}
		first := h.timers[0]
		h.timers = h.timers[1:]
		h.now = max(h.now, first.due)
		h.waiting = append(h.waiting, first.sent)
		effects.add(h.Run())
	}
}

// Pending are the delayed messages that have not left, the next one first.
func (h *Harness) Pending() []Sent {
	h.sortTimers()
	pending := make([]Sent, len(h.timers))
	for i := range h.timers {
		pending[i] = h.timers[i].sent
	}
	return pending
}

func (h *Harness) sortTimers() {
	slices.SortFunc(h.timers, func(a, b timer) int { return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.number, b.number)) })
}

// cancel takes back what waits under a token, which belongs to the id of the sender.
func (h *Harness) cancel(id, token string) {
	h.timers = slices.DeleteFunc(h.timers, func(t timer) bool { return t.sent.Token == token && t.sent.From.ID == id })
}

// State is a state of an address; ok is false when it is unset or expired.
func State[T any](h *Harness, of stategate.Address, spec stategate.ValueSpec[T]) (value T, ok bool) {
	h.t.Helper()
	c := h.states[of][spec.Name]
	if c == nil || h.expired(c) {
		return value, false
	}
	value, err := spec.Type.From(typedValue(c.value))
	if err != nil {
		h.t.Fatalf("state %q of %s: %v", spec.Name, of, err)
	}
	return value, true
}

// SetState sets a state, as though it had been written now.
func SetState[T any](h *Harness, of stategate.Address, spec stategate.ValueSpec[T], value T) {
	h.t.Helper()
	data, err := spec.Type.Encode(value)
	if err != nil {
		h.t.Fatalf("state %q of %s: %v", spec.Name, of, err)
	}
	if h.states[of] == nil {
		h.states[of] = map[string]*cell{}
	}
	h.states[of][spec.Name] = &cell{&protocol.TypedValue{Typename: spec.Type.Name, HasValue: true, Value: data}, nil, h.now}
}

const (
	kafkaType   = "type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord"
	kinesisType = "type.googleapis.com/io.statefun.sdk.egress.KinesisEgressRecord"
)

func record(e *protocol.FromFunction_EgressMessage) Record {
	r := Record{Egress: e.GetEgressNamespace() + "/" + e.GetEgressType(), Value: typedValue(e.GetArgument())}
	switch r.Value.TypeName {
	case kafkaType:
		var k protocol.KafkaProducerRecord
		if proto.Unmarshal(r.Value.Value, &k) == nil {
			r.Topic, r.Key, r.Payload = k.GetTopic(), k.GetKey(), k.GetValueBytes()
		}
	case kinesisType:
		var k protocol.KinesisEgressRecord
		if proto.Unmarshal(r.Value.Value, &k) == nil {
			r.Topic, r.Key, r.Payload = k.GetStream(), k.GetPartitionKey(), k.GetValueBytes()
		}
	}
	return r
}

func (r Record) String() string {
	if r.Topic == "" {
		return fmt.Sprintf("%s: %s", r.Egress, r.Value.TypeName)
	}
	return fmt.Sprintf("%s: %s %q=%q", r.Egress, r.Topic, r.Key, r.Payload)
}

func typedValue(v *protocol.TypedValue) stategate.TypedValue {
	return stategate.TypedValue{TypeName: v.GetTypename(), Value: v.GetValue()}
}

func address(a *protocol.Address) stategate.Address {
	return stategate.Address{Namespace: a.GetNamespace(), Name: a.GetType(), ID: a.GetId()}
}

func wireAddress(a stategate.Address) *protocol.Address {
	return &protocol.Address{Namespace: a.Namespace, Type: a.Name, Id: a.ID}
}
