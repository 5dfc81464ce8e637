package dispatcher

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/dispatcher/machine"
)

// everything is a reply of n effects of each kind.
func everything(n int) *wireResult {
	r := &wireResult{}
	for range n {
		value := &protocol.TypedValue{Typename: "t/x", HasValue: true, Value: []byte("value")}
		target := &protocol.Address{Namespace: "a", Type: "b", Id: "c"}
		r.StateMutations = append(r.StateMutations, &wireMutation{MutationType: protocol.FromFunction_PersistedValueMutation_MODIFY, StateName: "s", StateValue: value})
		r.OutgoingMessages = append(r.OutgoingMessages, &protocol.FromFunction_Invocation{Target: target, Argument: value})
		r.DelayedInvocations = append(r.DelayedInvocations, &protocol.FromFunction_DelayedInvocation{DelayInMs: 1, CancellationToken: "token", Target: target, Argument: value})
		r.OutgoingEgresses = append(r.OutgoingEgresses, &protocol.FromFunction_EgressMessage{EgressNamespace: "a", EgressType: "out", Argument: value})
	}
	return r
}

// TestRecycledReplyHoldsNothing: of a reply that was told nothing lives on in its room, up to the room's end, nor in that of one that could
// not be read, and the room of a large one is given back.
func TestRecycledReplyHoldsNothing(t *testing.T) {
	call, w := &machine.Call{Target: api.Address{Type: counter, ID: "k"}}, newWords()
	for n := range effectsKeptMax + 3 {
		whole := onWire(t, resultOf(everything(n)))
		unlike := appendLen(nil, 101, 0) // the other alternative counts: the effects before it do not
		for name, body := range map[string][]byte{"read": whole, "without effects": append(bytes.Clone(whole), unlike...)} {
			reply, err := decodeReply(body, call, w)
			if err != nil {
				t.Fatal(err)
			}
			empty(reply) // as recycle does; the reply stays this test's
			sends, delayed, outputs, mutations := cap(reply.Sends), cap(reply.Delayed), cap(reply.Outputs), cap(reply.Mutations)
			if most := max(sends, delayed, outputs, mutations); most > effectsKeptMax {
				t.Errorf("%s: of %d effects there is room for %d, want at most %d", name, n, most, effectsKeptMax)
			}
			if len(reply.Sends)+len(reply.Delayed)+len(reply.Outputs)+len(reply.Mutations) != 0 || reply.Incomplete {
				t.Errorf("%s: %d effects are still there", name, n)
			}
			room := machine.Reply{Sends: reply.Sends[:sends], Delayed: reply.Delayed[:delayed], Outputs: reply.Outputs[:outputs], Mutations: reply.Mutations[:mutations]}
			clean := machine.Reply{Sends: make([]machine.Send, sends), Delayed: make([]machine.Delayed, delayed), Outputs: make([]machine.Output, outputs), Mutations: make([]machine.Mutation, mutations)}
			if diff := cmp.Diff(clean, room, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s: of %d effects there is left (-want +got):\n%s", name, n, diff)
			}
		}
	}
}

// TestRepliesThatWasteNothing: of a reply that changes its mind again and again each change costs what a small reply costs, however large
// what it has said first is.
func TestRepliesThatWasteNothing(t *testing.T) {
	call, w := &machine.Call{Target: api.Address{Type: counter, ID: "k"}}, newWords()
	body := onWire(t, resultOf(everything(effectsKeptMax+1)))
	for range 3 {
		body = appendLen(appendLen(body, 101, 0), 100, 0)
	}
	reply, err := decodeReply(body, call, w)
	if err != nil {
		t.Fatal(err)
	}
	if most := max(cap(reply.Sends), cap(reply.Delayed), cap(reply.Outputs), cap(reply.Mutations)); most > effectsKeptMax {
		t.Errorf("there is room for %d effects that do not count: to clear it each time takes as long as to read them", most)
	}
}

// TestMachineCopiesReplies: what a machine makes of a reply is the same when the reply is another one from then on.
func TestMachineCopiesReplies(t *testing.T) {
	wire := everything(3)
	for i, s := range wire.StateMutations {
		s.StateName = string(rune('s' + i))
	}
	for _, s := range wire.OutgoingMessages[1:] {
		s.Target = &protocol.Address{Namespace: "a.b", Type: "st", Id: "other"} // declared
	}
	call, w := &machine.Call{Target: api.Address{Type: counter, ID: "k"}}, newWords()
	read := func() *machine.Reply {
		reply, err := decodeReply(onWire(t, resultOf(wire)), call, w)
		if err != nil {
			t.Fatal(err)
		}
		return reply
	}
	want := playReply(t, read(), func(*machine.Reply) {})
	got := playReply(t, read(), func(r *machine.Reply) {
		junk := api.TypedValue{TypeName: "junk", HasValue: true, Value: []byte("junk")}
		for i := range r.Sends {
			r.Sends[i] = machine.Send{Target: api.Address{ID: "junk"}, Argument: junk}
		}
		for i := range r.Delayed {
			r.Delayed[i] = machine.Delayed{Send: machine.Send{Target: api.Address{ID: "junk"}, Argument: junk}, Delay: 99, Token: "junk"}
		}
		for i := range r.Outputs {
			r.Outputs[i] = machine.Output{Egress: "junk/junk", Value: junk}
		}
		for i := range r.Mutations {
			r.Mutations[i] = machine.Mutation{Name: "junk", Value: junk}
		}
		*r = machine.Reply{}
	})
	if len(want) == 0 {
		t.Fatal("nothing was committed")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestRecycledReplyPinsNothing: the room of a reply for one effect, which more of them have outgrown, holds none either.
func TestRecycledReplyPinsNothing(t *testing.T) {
	r := &roomy{}
	r.Sends, r.Outputs, r.Mutations = r.sends[:0], r.outputs[:0], r.mutations[:0]
	d := decoder{call: &machine.Call{Target: api.Address{Type: counter, ID: "k"}}, words: newWords(), reply: &r.Reply}
	if err := d.response(onWire(t, resultOf(everything(2)))); err != nil || d.problem != nil {
		t.Fatal(err, d.problem)
	}
	if len(r.Sends) != 2 || len(r.Outputs) != 2 || len(r.Mutations) != 2 {
		t.Fatalf("read %d sends, %d outputs, %d mutations", len(r.Sends), len(r.Outputs), len(r.Mutations))
	}
	if r.sends[0].Argument.Value != nil || r.outputs[0].Value.Value != nil || r.mutations[0].Value.Value != nil {
		t.Error("a value lives on in the room for one")
	}
}
