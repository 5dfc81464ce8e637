package protocol_test

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api/protocol"
)

// typedValue is a value of 100 bytes.
func typedValue() *protocol.TypedValue {
	return &protocol.TypedValue{Typename: "example.types/visit", HasValue: true, Value: bytes.Repeat([]byte{7}, 100)}
}

func address(id string) *protocol.Address {
	return &protocol.Address{Namespace: "example", Type: "visits", Id: id}
}

// request is one message to an address with one state.
func request() *protocol.ToFunction {
	return &protocol.ToFunction{Request: &protocol.ToFunction_Invocation_{Invocation: &protocol.ToFunction_InvocationBatchRequest{
		Target:      address("user-12345"),
		State:       []*protocol.ToFunction_PersistedValue{{StateName: "seen", StateValue: typedValue()}},
		Invocations: []*protocol.ToFunction_Invocation{{Argument: typedValue()}},
	}}}
}

// reply is one state set, one message sent and one egress record.
func reply() *protocol.FromFunction {
	return &protocol.FromFunction{Response: &protocol.FromFunction_InvocationResult{InvocationResult: &protocol.FromFunction_InvocationResponse{
		StateMutations: []*protocol.FromFunction_PersistedValueMutation{{
			MutationType: protocol.FromFunction_PersistedValueMutation_MODIFY, StateName: "seen", StateValue: typedValue(),
		}},
		OutgoingMessages: []*protocol.FromFunction_Invocation{{Target: address("user-12345"), Argument: typedValue()}},
		OutgoingEgresses: []*protocol.FromFunction_EgressMessage{{EgressNamespace: "example", EgressType: "greetings", Argument: typedValue()}},
	}}}
}

func BenchmarkToFunction(b *testing.B) {
	b.Run("encode", func(b *testing.B) { benchmarkEncode(b, request()) })
	b.Run("build+encode", func(b *testing.B) {
		b.ReportAllocs()
		var buf []byte
		for b.Loop() {
			var err error
			if buf, err = (proto.MarshalOptions{}).MarshalAppend(buf[:0], request()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode", func(b *testing.B) {
		benchmarkDecode(b, request(), func() proto.Message { return &protocol.ToFunction{} })
	})
}

func BenchmarkFromFunction(b *testing.B) {
	b.Run("encode", func(b *testing.B) { benchmarkEncode(b, reply()) })
	b.Run("decode", func(b *testing.B) {
		benchmarkDecode(b, reply(), func() proto.Message { return &protocol.FromFunction{} })
	})
}

func benchmarkEncode(b *testing.B, m proto.Message) {
	b.ReportAllocs()
	b.SetBytes(int64(proto.Size(m)))
	var buf []byte
	for b.Loop() {
		var err error
		if buf, err = (proto.MarshalOptions{}).MarshalAppend(buf[:0], m); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkDecode(b *testing.B, m proto.Message, newMessage func() proto.Message) {
	encoded, err := proto.Marshal(m)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(encoded)))
	for b.Loop() {
		if err := proto.Unmarshal(encoded, newMessage()); err != nil {
			b.Fatal(err)
		}
	}
}
