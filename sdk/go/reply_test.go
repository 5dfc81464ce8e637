package stategate

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stategate/stategate/sdk/go/internal/protocol"
)

// FuzzEffects: what a function asks for is written as generated code writes it, or fails the call.
func FuzzEffects(f *testing.F) {
	f.Add("a.b", "st", "k", "token", "x/y", []byte("v"), int64(5), true)
	f.Add("a.b", "st", "", "", "x/y", []byte{}, int64(0), false)
	f.Add("a/b", strings.Repeat("n", 127), strings.Repeat("i", 128), strings.Repeat("t", 20000), "x/ü", bytes.Repeat([]byte{0xff}, 16384), int64(1<<40), true)
	f.Add("", "st", "k", "t", "x/y", []byte("v"), int64(5), false)
	f.Add("a.b", "st", "\xff", "t", "x/y", []byte("v"), int64(5), false)
	f.Add("a.b", "st", "k", "\xff", "x/y", []byte("v"), int64(5), false)
	f.Add("a.b", "st", "k", "t", "\xff", []byte("v"), int64(-1), false)
	f.Fuzz(func(t *testing.T, namespace, name, id, token, typeName string, value []byte, delay int64, set bool) {
		to, v := Address{Namespace: namespace, Name: name, ID: id}, TypedValue{TypeName: typeName, Value: value}
		raw := ValueSpec[[]byte]{Name: "state-" + strings.Repeat("s", len(id)%200), Type: Type[[]byte]{Name: "a.b/raw",
			Encode: func(b []byte) ([]byte, error) { return b, nil }, Decode: func(b []byte) ([]byte, error) { return b, nil }}}
		delay = delay >> 21 // of milliseconds: a Duration holds no more
		h := newHandler(t, Function{Type: "a.b/st", States: []State{seen, raw}, Call: func(_ context.Context, in *Invocation) error {
			in.Send(to, v)
			in.SendAfter(time.Duration(delay)*time.Millisecond, to, v)
			in.SendAfterToken(time.Duration(delay)*time.Millisecond, token, to, v)
			in.Cancel(token)
			in.SendEgress(namespace+"/"+name, v)
			in.SendKafka("a.b/out", KafkaRecord{Topic: id, Key: value, Value: value})
			in.SendKinesis("a.b/out", KinesisRecord{Stream: id, PartitionKey: token, ExplicitHashKey: name, Value: value})
			if raw.Set(in, value); !set {
				raw.Delete(in)
			}
			return nil
		}})
		body := request(append(state("seen", nil), state(raw.Name, Bytes("a.b/raw").Of(value).wire())...), argument(String.Of("hi")))
		reply, err := h.Call(context.Background(), body)
		good := namespace != "" && name != "" && token != "" && id != "" && delay >= 0
		for _, text := range []string{namespace, name, id, token, typeName} {
			good = good && utf8.ValidString(text)
		}
		if i := strings.LastIndexByte(namespace+"/"+name, '/'); i == len(namespace+"/"+name)-1 || i == 0 {
			good = false // no egress
		}
		if !good {
			if err == nil {
				t.Fatalf("a reply of %x", reply)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if want := encoded(effectsOf(to, v, token, delay, raw.Name, set)); !bytes.Equal(reply, want) {
			t.Errorf("got  %x\nwant %x", reply, want)
		}
	})
}

// effectsOf is the reply of FuzzEffects in generated code.
func effectsOf(to Address, v TypedValue, token string, delay int64, stateName string, set bool) *protocol.FromFunction {
	mutation := &protocol.FromFunction_PersistedValueMutation{StateName: stateName}
	if set {
		mutation.MutationType = protocol.FromFunction_PersistedValueMutation_MODIFY
		mutation.StateValue = TypedValue{TypeName: "a.b/raw", Value: v.Value}.wire()
	}
	namespace, name := splitTypeName(to.Function())
	egress := func(namespace, name string, v TypedValue) *protocol.FromFunction_EgressMessage {
		return &protocol.FromFunction_EgressMessage{EgressNamespace: namespace, EgressType: name, Argument: v.wire()}
	}
	return &protocol.FromFunction{Response: &protocol.FromFunction_InvocationResult{InvocationResult: &protocol.FromFunction_InvocationResponse{
		StateMutations:   []*protocol.FromFunction_PersistedValueMutation{mutation},
		OutgoingMessages: []*protocol.FromFunction_Invocation{{Target: to.wire(), Argument: v.wire()}},
		DelayedInvocations: []*protocol.FromFunction_DelayedInvocation{
			{DelayInMs: delay, Target: to.wire(), Argument: v.wire()},
			{DelayInMs: delay, CancellationToken: token, Target: to.wire(), Argument: v.wire()},
			{IsCancellationRequest: true, CancellationToken: token},
		},
		OutgoingEgresses: []*protocol.FromFunction_EgressMessage{
			egress(namespace, name, v),
			egress("a.b", "out", TypedValue{TypeName: kafkaRecordType, Value: encoded(&protocol.KafkaProducerRecord{Topic: to.ID, Key: v.Value, ValueBytes: v.Value})}),
			egress("a.b", "out", TypedValue{TypeName: kinesisRecordType, Value: encoded(&protocol.KinesisEgressRecord{
				Stream: to.ID, PartitionKey: []byte(token), ExplicitHashKey: to.Name, ValueBytes: v.Value})}),
		},
	}}}
}
