package egress

import (
	"testing"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// TestTrace: each delivery has a span of its own, which is the same again whenever it is asked for; what is sampled out has none.
func TestTrace(t *testing.T) {
	call := &api.Trace{ID: [16]byte{1}, Span: [8]byte{2}, Flags: api.TraceSampled | api.TraceRandom}
	seen := map[[8]byte]bool{call.Span: true, {}: true}
	for _, egress := range []string{"a/b", "a/c", ""} {
		for slot := -1; slot < 3; slot++ {
			lane := statestore.LaneID{Egress: egress, Slot: slot}
			for number := range uint64(2000) {
				got := Trace(lane, number, call)
				if got.ID != call.ID || got.Flags != call.Flags {
					t.Fatalf("%v, output %d: in %v, want the trace of %v", lane, number, got, call)
				}
				if seen[got.Span] {
					t.Fatalf("%v, output %d: span %x is another one's", lane, number, got.Span)
				}
				seen[got.Span] = true
				if again := Trace(lane, number, call); *again != *got {
					t.Fatalf("%v, output %d: %v and then %v", lane, number, got, again)
				}
			}
		}
	}
	// It was written so before a crash, and must be the same behind it.
	if got := Trace(statestore.LaneID{Egress: "a/b", Slot: 3}, 7, call).String(); got != traceStays {
		t.Errorf("the delivery is in %s, was in %s", got, traceStays)
	}
	out := &api.Trace{ID: [16]byte{1}, Span: [8]byte{2}}
	if Trace(statestore.LaneID{}, 1, out) != out || Trace(statestore.LaneID{}, 1, nil) != nil {
		t.Error("what is sampled out, or in no trace, has a span")
	}
}

const traceStays = "00-01000000000000000000000000000000-c164e6b06029adcf-03"
