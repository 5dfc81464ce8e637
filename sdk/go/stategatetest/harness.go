// Package stategatetest tests functions without a gateway: a harness plays messages to them, keeps their states, shows their effects,
// and has a clock that moves when it is told to.
//
//	play := stategatetest.New(t, cart, stock)
//	effects := play.Call(stategate.To("shop/cart", "ada"), addItem.Of(AddItem{"pen", 2}))
//	play.Run()                      // delivers what was sent, until nothing waits
//	play.Advance(30 * time.Minute)  // delayed messages, and states that expire
//	items, ok := stategatetest.State(play, stategate.To("shop/cart", "ada"), items)
//
// Everything goes through the bytes of the protocol, as it does with a gateway.
package stategatetest

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	stategate "github.com/stategate/stategate/sdk/go"
	"github.com/stategate/stategate/sdk/go/internal/protocol"
)

// deliveriesMax is how many messages Run delivers before it takes them for a loop.
const deliveriesMax = 10_000

// Harness plays messages to functions. It is used by one goroutine.
type Harness struct {
	t       testing.TB
	handler *stategate.Handler
	served  map[string]bool
	now     time.Duration
	states  map[stategate.Address]map[string]*cell
	waiting []Sent
	timers  []timer
	numbers int

	// Egress holds all records so far, and Undelivered the messages to functions that the harness was not given.
	Egress      []Record
	Undelivered []Sent
}

type cell struct {
	value *protocol.TypedValue
	spec  *protocol.FromFunction_ExpirationSpec
	at    time.Duration // when it was written, or its address called where that counts
}

type timer struct {
	due    time.Duration
	number int
	sent   Sent
}

// Sent is a message that a function sent.
type Sent struct {
	From, To stategate.Address
	Value    stategate.TypedValue
	Delay    time.Duration // of a delayed message
	Token    string        // that takes it back
}

// Record is a value for an egress. Topic, Key and Payload are those of a record for Kafka, or the stream, partition key and value of one
// for Kinesis.
type Record struct {
	Egress  string
	Value   stategate.TypedValue
	Topic   string
	Key     []byte
	Payload []byte
}

// Effects is what functions asked for, in order.
type Effects struct {
	Sent      []Sent
	Delayed   []Sent
	Cancelled []string // tokens
	Egress    []Record
}

func (e *Effects) add(more Effects) {
	e.Sent = append(e.Sent, more.Sent...)
	e.Delayed = append(e.Delayed, more.Delayed...)
	e.Cancelled = append(e.Cancelled, more.Cancelled...)
	e.Egress = append(e.Egress, more.Egress...)
}

// New makes a harness for functions. Functions that cannot be served fail the test.
func New(t testing.TB, functions ...stategate.Function) *Harness {
	t.Helper()
	handler, err := stategate.NewHandler(stategate.Config{Functions: functions, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	h := &Harness{t: t, handler: handler, served: map[string]bool{}, states: map[stategate.Address]map[string]*cell{}}
	for _, f := range functions {
		h.served[f.Type] = true
	}
	return h
}

// Call calls a function with messages from an ingress: several are one batch. What it sends waits for Run. A call that fails fails the test.
func (h *Harness) Call(to stategate.Address, values ...stategate.TypedValue) Effects {
	h.t.Helper()
	effects, err := h.Try(nil, to, values...)
	if err != nil {
		h.t.Fatal(err)
	}
	return effects
}

// CallFrom is Call with messages that another function sent.
func (h *Harness) CallFrom(caller, to stategate.Address, values ...stategate.TypedValue) Effects {
	h.t.Helper()
	effects, err := h.Try(&caller, to, values...)
	if err != nil {
		h.t.Fatal(err)
	}
	return effects
}

// Try is Call where a failure is expected: none of the effects of a call that failed happen. A nil caller is an ingress.
func (h *Harness) Try(caller *stategate.Address, to stategate.Address, values ...stategate.TypedValue) (Effects, error) {
	if !h.served[to.Function()] {
		return Effects{}, fmt.Errorf("function %s is none of the harness's", to.Function())
	}
	batch := &protocol.ToFunction_InvocationBatchRequest{Target: wireAddress(to)}
	for _, v := range values {
		m := &protocol.ToFunction_Invocation{Argument: &protocol.TypedValue{Typename: v.TypeName, HasValue: true, Value: v.Value}}
		if caller != nil {
			m.Caller = wireAddress(*caller)
		}
		batch.Invocations = append(batch.Invocations, m)
	}
	reply, err := h.exchange(batch)
	if err != nil {
		return Effects{}, err
	}
	specs := map[string]*protocol.FromFunction_ExpirationSpec{}
	if missing := reply.GetIncompleteInvocationContext().GetMissingValues(); len(missing) > 0 {
		for _, spec := range missing {
			specs[spec.GetStateName()] = spec.GetExpirationSpec()
			batch.State = append(batch.State, h.show(to, spec))
		}
		if reply, err = h.exchange(batch); err != nil {
			return Effects{}, err
		}
	}
	return h.apply(to, specs, reply.GetInvocationResult()), nil
}

func (h *Harness) exchange(batch *protocol.ToFunction_InvocationBatchRequest) (*protocol.FromFunction, error) {
	body, err := proto.Marshal(&protocol.ToFunction{Request: &protocol.ToFunction_Invocation_{Invocation: batch}})
	if err != nil {
		return nil, err
	}
	answer, err := h.handler.Call(context.Background(), body)
	if err != nil {
		return nil, err
	}
	var reply protocol.FromFunction
	return &reply, proto.Unmarshal(answer, &reply)
}

// show is a state as a function is shown it.
func (h *Harness) show(to stategate.Address, spec *protocol.FromFunction_PersistedValueSpec) *protocol.ToFunction_PersistedValue {
	shown := &protocol.ToFunction_PersistedValue{StateName: spec.GetStateName()}
	if c := h.states[to][spec.GetStateName()]; c != nil {
		c.spec = spec.GetExpirationSpec()
		if !h.expired(c) {
			shown.StateValue = c.value
			if c.spec.GetMode() == protocol.FromFunction_ExpirationSpec_AFTER_INVOKE {
				c.at = h.now
			}
		}
	}
	return shown
}

func (h *Harness) expired(c *cell) bool {
	after := time.Duration(c.spec.GetExpireAfterMillis()) * time.Millisecond
	return c.spec.GetMode() != protocol.FromFunction_ExpirationSpec_NONE && c.at+after <= h.now
}

func (h *Harness) apply(from stategate.Address, specs map[string]*protocol.FromFunction_ExpirationSpec, result *protocol.FromFunction_InvocationResponse) (effects Effects) {
	for _, m := range result.GetOutgoingMessages() {
		effects.Sent = append(effects.Sent, Sent{From: from, To: address(m.GetTarget()), Value: typedValue(m.GetArgument())})
	}
	h.waiting = append(h.waiting, effects.Sent...)
	for _, d := range result.GetDelayedInvocations() {
		token := d.GetCancellationToken()
		if token != "" { // also when it is used again
			h.cancel(from.ID, token)
		}
		if d.GetIsCancellationRequest() {
			effects.Cancelled = append(effects.Cancelled, token)
			continue
		}
		sent := Sent{From: from, To: address(d.GetTarget()), Value: typedValue(d.GetArgument()), Delay: time.Duration(d.GetDelayInMs()) * time.Millisecond, Token: token}
		effects.Delayed = append(effects.Delayed, sent)
		h.numbers++
		h.timers = append(h.timers, timer{h.now + sent.Delay, h.numbers, sent})
	}
	for _, e := range result.GetOutgoingEgresses() {
		effects.Egress = append(effects.Egress, record(e))
	}
	h.Egress = append(h.Egress, effects.Egress...)
	for _, m := range result.GetStateMutations() {
		if h.states[from] == nil {
			h.states[from] = map[string]*cell{}
		}
		if m.GetMutationType() == protocol.FromFunction_PersistedValueMutation_DELETE {
			delete(h.states[from], m.GetStateName())
			continue
		}
		h.states[from][m.GetStateName()] = &cell{m.GetStateValue(), specs[m.GetStateName()], h.now}
	}
	return effects
}
