package dispatcher

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/dispatcher/machine"
)

// FuzzRequest: the request that is written by hand is the one that protobuf writes, whatever names and values a call holds. The call
// comes from the bytes of a ToFunction, so that the vectors of testdata/protocol are seeds.
func FuzzRequest(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		var wire protocol.ToFunction
		if proto.Unmarshal(b, &wire) != nil || wire.GetInvocation() == nil {
			return
		}
		call := callOf(wire.GetInvocation())
		got, want := appendRequest(nil, call), generated(t, call)
		if !bytes.Equal(got, want) {
			t.Fatalf("request of %+v:\n got %x\nwant %x", call, got, want)
		}
		var read protocol.ToFunction
		if err := proto.Unmarshal(got, &read); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(call, callOf(read.GetInvocation())); diff != "" {
			t.Fatalf("what was written is read differently (-want +got):\n%s", diff)
		}
	})
}

func callOf(wire *protocol.ToFunction_InvocationBatchRequest) *machine.Call {
	call := &machine.Call{Target: addressOf(wire.Target)}
	for _, s := range wire.State {
		state := machine.CallState{Name: s.StateName, Set: s.StateValue != nil}
		if state.Set {
			state.Value = plain(s.StateValue)
		}
		call.States = append(call.States, state)
	}
	for _, i := range wire.Invocations {
		call.Messages = append(call.Messages, api.Message{Caller: addressOf(i.Caller), Argument: plain(i.Argument)})
	}
	return call
}

// plain is a value whose empty bytes are nil: the wire of proto3 does not tell them apart.
func plain(v *protocol.TypedValue) api.TypedValue {
	out := valueOf(v)
	if len(out.Value) == 0 {
		out.Value = nil
	}
	return out
}
