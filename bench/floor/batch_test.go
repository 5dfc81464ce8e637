//go:build linux

package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/stategate/stategate/api/protocol"
)

// grouped is a batch of records of the keys, its calls made. Each third address has a state.
func grouped(keys []string, value func(i int) []byte) *batch {
	b := &batch{}
	for i, key := range keys {
		b.records = append(b.records, record{offset: int64(i), key: []byte(key), value: value(i)})
	}
	known := map[string]*address{}
	b.group(1, func(key []byte) *address {
		if known[string(key)] == nil {
			a := &address{id: key}
			if len(known)%3 == 0 {
				a.value, a.stored = []byte(strings.Repeat("s", len(known))), true
			}
			known[string(key)] = a
		}
		return known[string(key)]
	})
	return b
}

// What is encoded by hand is what the generated messages make of the same.
func TestEncode(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		var keys []string
		for range 1 + random.IntN(50) {
			keys = append(keys, strings.Repeat("k", random.IntN(20)*random.IntN(20)))
		}
		b := grouped(keys, func(i int) []byte { return []byte(strings.Repeat("v", i*i)) })
		want := &protocol.ToFunctions{}
		var order []string
		for _, key := range keys {
			if !slices.Contains(order, key) {
				order = append(order, key)
			}
		}
		for i, key := range order {
			call := &protocol.ToFunction_InvocationBatchRequest{Target: &protocol.Address{Namespace: "test", Type: "count", Id: key}}
			state := &protocol.ToFunction_PersistedValue{StateName: stateName}
			if i%3 == 0 {
				state.StateValue = &protocol.TypedValue{Typename: stateType, HasValue: true, Value: []byte(strings.Repeat("s", i))}
			}
			call.State = append(call.State, state)
			for _, r := range b.records {
				if string(r.key) == key {
					call.Invocations = append(call.Invocations, &protocol.ToFunction_Invocation{Argument: &protocol.TypedValue{Typename: eventType, HasValue: true, Value: r.value}})
				}
			}
			want.Calls = append(want.Calls, &protocol.ToFunctions_Call{Number: uint32(i + 1),
				ToFunction: &protocol.ToFunction{Request: &protocol.ToFunction_Invocation_{Invocation: call}}})
		}
		var got protocol.ToFunctions
		if err := proto.Unmarshal(b.encode(nil, functionType{"test", "count"}), &got); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if !proto.Equal(&got, want) {
			t.Fatalf("seed %d: want -, got +:\n%s", seed, cmp.Diff(want, &got, protocmp.Transform()))
		}
	}
}

// answer has n outputs to a topic, and the state "now".
func answer(number uint32, topic, key string, n int) *protocol.FromFunctions_Answer {
	response := &protocol.FromFunction_InvocationResponse{StateMutations: []*protocol.FromFunction_PersistedValueMutation{{
		MutationType: protocol.FromFunction_PersistedValueMutation_MODIFY, StateName: stateName,
		StateValue: &protocol.TypedValue{Typename: stateType, HasValue: true, Value: []byte("now")},
	}}}
	for i := range n {
		record, _ := proto.Marshal(&protocol.KafkaProducerRecord{Key: []byte(key), Topic: topic, ValueBytes: fmt.Append(nil, i)})
		response.OutgoingEgresses = append(response.OutgoingEgresses, &protocol.FromFunction_EgressMessage{
			EgressNamespace: "test", EgressType: "out", Argument: &protocol.TypedValue{Typename: outputType, HasValue: true, Value: record},
		})
	}
	return &protocol.FromFunctions_Answer{Number: number, Answer: &protocol.FromFunctions_Answer_FromFunction{
		FromFunction: &protocol.FromFunction{Response: &protocol.FromFunction_InvocationResult{InvocationResult: response}},
	}}
}

func encoded(answers ...*protocol.FromFunctions_Answer) []byte {
	b, _ := proto.Marshal(&protocol.FromFunctions{Answers: answers})
	return b
}

func TestDecode(t *testing.T) {
	b := grouped([]string{"a", "b", "c"}, func(int) []byte { return nil })
	if err := b.decode(encoded(answer(2, "x", "b", 2), answer(1, "x", "", 1), answer(3, "y", "c", 1))); err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := (row{count: b.count, outputs: b.outputs}).each(func(topic string, key, value []byte) {
		got = append(got, fmt.Sprintf("%s %s %s %v", topic, key, value, key == nil))
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"x b 0 false", "x b 1 false", "x  0 true", "y c 0 false"}, got); diff != "" {
		t.Errorf("outputs: want -, got +:\n%s", diff)
	}
	for i, insert := range []bool{false, true, true} { // the first has a row
		if c := b.calls[i]; string(c.value) != "now" || c.insert != insert {
			t.Errorf("call %d: state %q, insert %v", i+1, c.value, c.insert)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	failure := &protocol.FromFunctions_Answer{Number: 2, Answer: &protocol.FromFunctions_Answer_Failure{Failure: &protocol.FromFunctions_Failure{Status: 500, Reason: "no"}}}
	sends := answer(2, "x", "b", 0)
	sends.GetFromFunction().GetInvocationResult().OutgoingMessages = []*protocol.FromFunction_Invocation{{}}
	one := answer(1, "x", "a", 1)
	for want, body := range map[string][]byte{
		"1 of 2 calls":   encoded(one),
		"was answered":   encoded(one, one),
		"call 3":         encoded(one, answer(3, "x", "c", 1)),
		"a call failed":  encoded(one, failure),
		"effect 2":       encoded(one, sends),
		"of 2 calls are": encoded(one, answer(2, "x", "b", 1))[:200],
	} {
		b := grouped([]string{"a", "b"}, func(int) []byte { return nil })
		if err := b.decode(body); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
}

// FuzzDecode: what comes is taken whole or refused, and what is kept can be read.
func FuzzDecode(f *testing.F) {
	f.Add(encoded(answer(2, "x", "b", 2), answer(1, "x", "a", 1)))
	f.Add(encoded(answer(1, "", "", 0), answer(2, "y", "b", 1)))
	f.Fuzz(func(t *testing.T, body []byte) {
		b := grouped([]string{"a", "b"}, func(int) []byte { return nil })
		if b.decode(body) != nil {
			return
		}
		n := 0
		if err := (row{count: b.count, outputs: b.outputs}).each(func(string, []byte, []byte) { n++ }); err != nil || n != b.count {
			t.Errorf("%d of %d outputs: %v", n, b.count, err)
		}
	})
}
