package dispatcher

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/dispatcher/machine"
)

func wireAddress(a api.Address) *protocol.Address {
	return &protocol.Address{Namespace: a.Type.Namespace, Type: a.Type.Name, Id: a.ID}
}

func wireValue(v api.TypedValue) *protocol.TypedValue {
	return &protocol.TypedValue{Typename: v.TypeName, HasValue: v.HasValue, Value: v.Value}
}

// generated builds a request through the generated messages.
func generated(t testing.TB, c *machine.Call) []byte {
	t.Helper()
	request := &protocol.ToFunction_InvocationBatchRequest{Target: wireAddress(c.Target)}
	for _, s := range c.States {
		v := &protocol.ToFunction_PersistedValue{StateName: s.Name}
		if s.Set {
			v.StateValue = wireValue(s.Value)
		}
		request.State = append(request.State, v)
	}
	for _, m := range c.Messages {
		i := &protocol.ToFunction_Invocation{Argument: wireValue(m.Argument)}
		if !m.Caller.IsZero() {
			i.Caller = wireAddress(m.Caller)
		}
		request.Invocations = append(request.Invocations, i)
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(&protocol.ToFunction{Request: &protocol.ToFunction_Invocation_{Invocation: request}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRequestIsTheGeneratedOne(t *testing.T) {
	large := bytes.Repeat([]byte{7}, 200_000)
	counter := api.FunctionType{Namespace: "a.b", Name: "st"}
	caller := api.Address{Type: api.FunctionType{Namespace: "x", Name: "y"}, ID: "z"}
	text := api.TypedValue{TypeName: protocol.TypeString, HasValue: true, Value: []byte("\x0a\x02hi")}
	calls := []*machine.Call{
		{Target: api.Address{Type: counter, ID: "k"}, Messages: []api.Message{{Argument: text}}},
		{Target: api.Address{Type: counter, ID: "k"}, States: []machine.CallState{{Name: "seen"}}, Messages: []api.Message{{Argument: text}}},
		{Target: api.Address{Type: counter}, States: []machine.CallState{
			{Name: "empty", Set: true, Value: api.TypedValue{TypeName: "t/empty", HasValue: true}},
			{Name: "large", Set: true, Value: api.TypedValue{TypeName: "t/large", HasValue: true, Value: large}},
			{Name: "", Set: true},
		}, Messages: []api.Message{{Argument: text, Caller: caller}, {Argument: api.TypedValue{}}, {Caller: api.Address{ID: "only"}, Argument: api.TypedValue{TypeName: "é/\x00"}}}},
	}
	for _, c := range calls {
		got, want := appendRequest([]byte("before")[:6:6], c), generated(t, c)
		if !bytes.Equal(got[6:], want) {
			t.Errorf("request of %v:\n got %x\nwant %x", c.Target, short(string(got[6:])), short(string(want)))
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	value := api.TypedValue{TypeName: "bench/value", HasValue: true, Value: make([]byte, 100)}
	call := &machine.Call{Target: api.Address{Type: api.FunctionType{Namespace: "bench", Name: "count"}, ID: "key-1234"},
		States: []machine.CallState{{Name: "seen", Set: true, Value: value}}, Messages: []api.Message{{Argument: value}}}
	b.Run("by hand", func(b *testing.B) {
		b.ReportAllocs()
		var buffer []byte
		for b.Loop() {
			buffer = appendRequest(buffer[:0], call)
		}
	})
	b.Run("generated", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			generated(b, call)
		}
	})
}
