//go:build unix

package sdktest

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/stategate/stategate/api/protocol"
)

// TestGoSDK plays what the Go SDK's handler was seen to answer, byte for byte, to the very requests that it was seen to get: state
// is told, set to zero, and deleted, with delayed messages to itself.
func TestGoSDK(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	// A function that nobody has registered, at first: the application is older than the module.
	s.handler.script("k", text(http.StatusInternalServerError, "unknown function type a.b/st"), text(http.StatusNotFound, "404 page not found"),
		raw(vector(t, "reply", "incomplete")), raw(vector(t, "reply", "modify-and-delayed")), raw(vector(t, "reply", "delete-and-delayed")),
		raw(vector(t, "reply", "no-effects")))
	s.hi(t, "k", "hi")
	calls := s.settled(t, "k", 6)
	for i := range 3 {
		same(t, "nothing is known", calls[i], vector(t, "request", "no-state"))
	}
	same(t, "the state is unset", calls[3], vector(t, "request", "state-unset"))
	none, zero := &persisted{StateName: "seen"}, &persisted{StateName: "seen", StateValue: value(protocol.TypeInt, "")}
	delayed := &protocol.ToFunction_Invocation{Caller: to("a.b", "st", "k"), Argument: stringValue(t, "x")}
	for i, want := range map[int]*persisted{4: zero, 5: none} {
		batch := &protocol.ToFunction_InvocationBatchRequest{Target: to("a.b", "st", "k"), State: []*persisted{want}, Invocations: []*protocol.ToFunction_Invocation{delayed}}
		if d := cmp.Diff(batch, calls[i].batch, protocmp.Transform()); d != "" {
			t.Errorf("call %d (-want +got): %s", i+1, d)
		}
	}
	s.state(t, "k", "seen", unset)
	// States without an expiration, as this SDK and Python's say it: 12 00.
	s.handler.script("plain", raw(vector(t, "reply", "incomplete-empty-expiration")), result(t, &effects{StateMutations: []*mutation{set("seen", value(protocol.TypeInt, ""))}}))
	s.send(t, "other", "plain", "")
	s.handler.await(t, "plain", 2)
	s.send(t, "other", "plain", "")
	for i, want := range []*persisted{none, zero} {
		got := s.handler.await(t, "plain", i+2)[i+1].batch.State
		if d := cmp.Diff([]*persisted{want}, got, protocmp.Transform()); d != "" {
			t.Errorf("a state that does not expire, in call %d (-want +got): %s", i+2, d)
		}
	}
}

// Go's server finds the protocol's content type by itself, for replies begin with the bytes of their field.
func TestGoSDKContentType(t *testing.T) {
	for _, v := range vectors(t, "reply") {
		if b := unhex(t, v.Hex); len(b) > 0 && (b[0] == 0xa2 || b[0] == 0xaa) && sniffed(b) != "application/octet-stream" {
			t.Errorf("%s: Go's server says %q", v.Name, sniffed(b))
		}
	}
}
