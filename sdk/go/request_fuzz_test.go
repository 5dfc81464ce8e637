package stategate

import (
	"bytes"
	"context"
	"errors"
	"math"
	"net/http"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/sdk/go/internal/protocol"
)

// FuzzRequest: a body is refused without an effect, or the function sees each of its messages once, in order, with the state that came
// with it, and the reply holds what the function asked for and nothing else.
func FuzzRequest(f *testing.F) {
	var seen []*protocol.TypedValue
	count := ValueSpec[int32]{Name: "seen", Type: Int}
	h := newHandler(f, Function{Type: "a.b/st", States: []State{count}, Call: func(_ context.Context, in *Invocation) error {
		a := in.Argument()
		seen = append(seen, &protocol.TypedValue{Typename: a.TypeName, HasValue: !a.absent, Value: a.Value})
		if _, ok := in.Caller(); ok {
			in.Reply(a)
		}
		n, _, err := count.Get(in)
		if n == math.MaxInt32 {
			return errors.New("full")
		}
		count.Set(in, n+1)
		return err
	}})
	f.Fuzz(func(t *testing.T, body []byte) {
		seen = nil
		r := post(t, h, body)
		b := text(t, r)
		var request protocol.ToFunction
		readable := proto.Unmarshal(body, &request) == nil
		in := request.GetInvocation()
		switch {
		case !readable || in.GetTarget() == nil:
			if r.StatusCode != http.StatusBadRequest || len(seen) > 0 {
				t.Fatalf("no request is answered with %d", r.StatusCode)
			}
			return
		case in.Target.Namespace != "a.b" || in.Target.Type != "st":
			if addressOf(in.Target).Function() != "a.b/st" && (r.StatusCode != http.StatusNotFound || len(seen) > 0) {
				t.Fatalf("a function that is not served is answered with %d", r.StatusCode)
			}
			return
		case r.StatusCode == http.StatusInternalServerError:
			return // the function, or an effect that cannot be carried
		case r.StatusCode != http.StatusOK:
			t.Fatalf("answered with %d: %s", r.StatusCode, b)
		}
		var reply protocol.FromFunction
		if err := proto.Unmarshal([]byte(b), &reply); err != nil {
			t.Fatalf("the reply does not parse: %v", err)
		}
		var state *protocol.TypedValue
		has := false
		for _, s := range in.State {
			if s.StateName == "seen" {
				state, has = s.StateValue, true
			}
		}
		if !has {
			if missing := reply.GetIncompleteInvocationContext().GetMissingValues(); len(missing) != 1 || missing[0].StateName != "seen" || len(seen) > 0 {
				t.Fatalf("the state is missing; answered with %v", &reply)
			}
			return
		}
		checkReply(t, in, reply.GetInvocationResult(), state, seen)
	})
}

func checkReply(t *testing.T, in *protocol.ToFunction_InvocationBatchRequest, got *protocol.FromFunction_InvocationResponse, state *protocol.TypedValue, seen []*protocol.TypedValue) {
	t.Helper()
	var want protocol.FromFunction_InvocationResponse
	for i, m := range in.Invocations {
		argument := m.Argument
		if argument == nil {
			argument = &protocol.TypedValue{}
		}
		if i >= len(seen) || seen[i].Typename != argument.Typename || seen[i].HasValue != argument.HasValue || !bytes.Equal(seen[i].Value, argument.Value) {
			t.Fatalf("message %d: the function saw %v of %v", i, seen, in)
		}
		if m.Caller != nil {
			want.OutgoingMessages = append(want.OutgoingMessages, &protocol.FromFunction_Invocation{Target: addressOf(m.Caller).wire(),
				Argument: &protocol.TypedValue{Typename: argument.Typename, HasValue: true, Value: argument.Value}})
		}
	}
	if len(seen) != len(in.Invocations) {
		t.Fatalf("the function saw %d messages of %d", len(seen), len(in.Invocations))
	}
	if len(seen) > 0 {
		n := int32(0)
		if state.GetHasValue() {
			var had protocol.IntWrapper
			if err := proto.Unmarshal(state.Value, &had); err != nil {
				t.Fatalf("a state that does not parse was taken: %v", err)
			}
			n = had.Value
		}
		want.StateMutations = []*protocol.FromFunction_PersistedValueMutation{{MutationType: protocol.FromFunction_PersistedValueMutation_MODIFY,
			StateName: "seen", StateValue: Int.Of(n + int32(len(seen))).wire()}}
	}
	if !proto.Equal(got, &want) {
		t.Fatalf("got %v\nwant %v", got, &want)
	}
}

// FuzzTypes: a value of any bytes is refused by a built-in type, or comes back from what the type writes.
func FuzzTypes(f *testing.F) {
	f.Fuzz(func(t *testing.T, value []byte) {
		sameAsProtobuf(t, Bool, value, func(m *protocol.BooleanWrapper) bool { return m.Value }, func(v bool) proto.Message { return &protocol.BooleanWrapper{Value: v} })
		sameAsProtobuf(t, Int, value, func(m *protocol.IntWrapper) int32 { return m.Value }, func(v int32) proto.Message { return &protocol.IntWrapper{Value: v} })
		sameAsProtobuf(t, Long, value, func(m *protocol.LongWrapper) int64 { return m.Value }, func(v int64) proto.Message { return &protocol.LongWrapper{Value: v} })
		sameAsProtobuf(t, Float, value, func(m *protocol.FloatWrapper) float32 { return m.Value }, func(v float32) proto.Message { return &protocol.FloatWrapper{Value: v} })
		sameAsProtobuf(t, Double, value, func(m *protocol.DoubleWrapper) float64 { return m.Value }, func(v float64) proto.Message { return &protocol.DoubleWrapper{Value: v} })
		sameAsProtobuf(t, String, value, func(m *protocol.StringWrapper) string { return m.Value }, func(v string) proto.Message { return &protocol.StringWrapper{Value: v} })
		comesBack(t, Bool, value)
		comesBack(t, Int, value)
		comesBack(t, Long, value)
		comesBack(t, Float, value)
		comesBack(t, Double, value)
		comesBack(t, String, value)
		if b, err := Bytes("a/b").From(TypedValue{TypeName: "a/b", Value: value}); err != nil || !bytes.Equal(b, value) {
			t.Errorf("bytes: got %x, %v", b, err)
		}
	})
}

// sameAsProtobuf checks a built-in type, whose common forms are written and read by hand, against the code that is generated for it.
func sameAsProtobuf[T comparable, M proto.Message](t *testing.T, typ Type[T], value []byte, unwrap func(M) T, wrap func(T) proto.Message) {
	t.Helper()
	m := newMessage[M]()
	wantErr := proto.Unmarshal(value, m)
	got, err := typ.Decode(value)
	if want := unwrap(m); (err == nil) != (wantErr == nil) || err == nil && got != want && want == want { // NaN differs from itself
		t.Errorf("%s: %x is read as %v, %v; want %v, %v", typ.Name, value, got, err, want, wantErr)
	}
	if err != nil {
		return
	}
	encoded, err := typ.Encode(got)
	if want, wantErr := proto.Marshal(wrap(got)); err != nil || wantErr != nil || !bytes.Equal(encoded, want) {
		t.Errorf("%s: %v is written as %x, %v; want %x, %v", typ.Name, got, encoded, err, want, wantErr)
	}
}

func comesBack[T comparable](t *testing.T, typ Type[T], value []byte) {
	t.Helper()
	for _, wrong := range []TypedValue{{TypeName: "a/b", Value: value}, {TypeName: typ.Name, Value: value, absent: true}} {
		if v, err := typ.From(wrong); err == nil {
			t.Errorf("%s: took %+v for %v", typ.Name, wrong, v)
		}
	}
	first, err := typ.From(TypedValue{TypeName: typ.Name, Value: value})
	if err != nil {
		return
	}
	encoded := typ.Of(first)
	second, err := typ.From(encoded)
	if err != nil || first != second && first == first { // NaN differs from itself
		t.Errorf("%s: %v comes back as %v, %v", typ.Name, first, second, err)
	}
	if again := typ.Of(second); !bytes.Equal(again.Value, encoded.Value) {
		t.Errorf("%s: %v is written as %x, then as %x", typ.Name, first, encoded.Value, again.Value)
	}
}
