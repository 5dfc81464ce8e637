package testfunction

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api/protocol"
)

// batchOf is a call with one message of a value; before is the state, nil: known and unset.
func batchOf(name string, value string, before *protocol.TypedValue) *protocol.ToFunction_InvocationBatchRequest {
	return &protocol.ToFunction_InvocationBatchRequest{
		Target: &protocol.Address{Namespace: "test", Type: name, Id: "a"},
		State:  []*protocol.ToFunction_PersistedValue{{StateName: state, StateValue: before}},
		Invocations: []*protocol.ToFunction_Invocation{{
			Caller: &protocol.Address{Namespace: "x", Type: "y", Id: "z"}, Argument: &protocol.TypedValue{Typename: "test/event", HasValue: true, Value: []byte(value)},
		}},
	}
}

func TestLater(t *testing.T) {
	now := time.UnixMilli(1_000_000)
	for _, tt := range []struct {
		value string
		want  int64 // -1: an error
	}{{"after 20 x", 20}, {"at 1000500 x", 500}, {"at 999 x", 0}, {"soon 20 x", -1}, {"after", -1}, {"after x y", -1}} {
		out := &protocol.FromFunction_InvocationResponse{}
		err := later(batchOf("later", tt.value, nil), out, now)
		switch {
		case err != nil:
			if tt.want >= 0 {
				t.Errorf("%q: %v", tt.value, err)
			}
		case tt.want < 0:
			t.Errorf("%q is taken", tt.value)
		case len(out.DelayedInvocations) != 1 || out.DelayedInvocations[0].DelayInMs != tt.want || out.DelayedInvocations[0].Target.Type != "count":
			t.Errorf("%q: %v", tt.value, out)
		}
	}
}

// Each function counts on from what it wrote.
func TestLargeAndAsk(t *testing.T) {
	h := &Handler{StateBytes: 100}
	for _, name := range []string{"large", "ask"} {
		var before *protocol.TypedValue
		for n := range 3 {
			reply, err := h.answer(batchOf(name, "x", before))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			result := reply.GetInvocationResult()
			before = result.StateMutations[0].StateValue
			want := string(rune('1' + n))
			switch name {
			case "large":
				var record protocol.KafkaProducerRecord
				if err := proto.Unmarshal(result.OutgoingEgresses[0].Argument.Value, &record); err != nil {
					t.Fatal(err)
				}
				if string(record.ValueBytes) != want || record.Topic != "counts" || len(before.Value) != 100 {
					t.Errorf("large: %v, a state of %d bytes", &record, len(before.Value))
				}
			case "ask":
				if m := result.OutgoingMessages[0]; string(m.Argument.Value) != want || m.Target.Id != "z" {
					t.Errorf("ask: %v", m)
				}
			}
		}
	}
	unknown := batchOf("large", "x", nil)
	unknown.State = nil
	if reply, err := h.answer(unknown); err != nil || len(reply.GetIncompleteInvocationContext().GetMissingValues()) != 1 {
		t.Errorf("without its state: %v, %v", reply, err)
	}
}

func TestFan(t *testing.T) {
	reply, err := new(Handler).answer(batchOf("fan", "x", nil))
	if err != nil {
		t.Fatal(err)
	}
	sent := reply.GetInvocationResult().OutgoingMessages
	if len(sent) != FanOut || sent[0].Target.Id != "a-0" || sent[9].Target.Id != "a-9" || sent[9].Target.Type != "count" {
		t.Errorf("sent %v", sent)
	}
}
