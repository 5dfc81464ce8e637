package machine_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// called is a stage whose function f has been called for f/a, and knows these states.
func called(t *testing.T, states ...statestore.StateSpec) (*stage, machine.Call) {
	t.Helper()
	s := &stage{t: t}
	for _, line := range []string{"new", "function f", "route t f", "start", "begin t 0"} {
		s.command(line)
	}
	s.work()
	s.command("commit")
	s.work()
	s.command("arrive t 0:a=1")
	s.work()
	if len(states) > 0 {
		s.m.Replied(s.take(address("f/a")).ID, &machine.Reply{Incomplete: true, Missing: states})
		s.work()
	}
	return s, s.take(address("f/a"))
}

func (s *stage) failure() string { return s.m.View(address("f/a")).LastError }

// TestStatesOfOneAddressAreBounded: what is replaced or removed does not count, all else does.
func TestStatesOfOneAddressAreBounded(t *testing.T) {
	large := make([]byte, api.ValueBytesMax+1) // never written, so it takes no memory
	set := func(name string, n int) machine.Mutation {
		return machine.Mutation{Name: name, Value: api.TypedValue{HasValue: true, Value: large[:n]}}
	}
	const half = api.StateBytesMax / 2
	for _, test := range []struct {
		mutations []machine.Mutation
		want      string
	}{
		{[]machine.Mutation{set("a", half), set("b", half)}, ""},
		{[]machine.Mutation{set("a", half), set("b", half), set("c", 1)}, "at most 268435456"},
		{[]machine.Mutation{set("a", half), set("b", half), set("c", 1), {Name: "b", Delete: true}}, ""},
		{[]machine.Mutation{set("a", half), set("a", half), set("a", half), set("b", half)}, ""},
		{[]machine.Mutation{set("a", half), set("b", half), set("a", half), set("c", 1)}, "at most 268435456"},
		{[]machine.Mutation{set("a", api.ValueBytesMax+1)}, "at most 134217728"},
	} {
		s, call := called(t, statestore.StateSpec{Name: "a"}, statestore.StateSpec{Name: "b"}, statestore.StateSpec{Name: "c"})
		s.m.Replied(call.ID, &machine.Reply{Mutations: test.mutations})
		if got := s.failure(); (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("%d mutations: %q, want %q", len(test.mutations), got, test.want)
		}
	}
}

// TestStatesOfOneFunctionAreBounded: the last that fits is learned; with one more nothing of that reply is.
func TestStatesOfOneFunctionAreBounded(t *testing.T) {
	specs := make([]statestore.StateSpec, api.StatesPerFunction+1)
	for i := range specs {
		specs[i].Name = fmt.Sprint(i)
	}
	s, call := called(t)
	s.m.Replied(call.ID, &machine.Reply{Incomplete: true, Missing: specs})
	if got := s.failure(); !strings.Contains(got, "more than 1024 states") || len(s.m.Specs(functionType("f"))) > 0 {
		t.Errorf("failed with %q, learned %d", got, len(s.m.Specs(functionType("f"))))
	}
	s, call = called(t, specs[:len(specs)-1]...)
	if len(call.States) != api.StatesPerFunction {
		t.Errorf("the call carries %d states", len(call.States))
	}
	s.m.Replied(call.ID, &machine.Reply{Incomplete: true, Missing: specs[len(specs)-1:]})
	if got := s.failure(); !strings.Contains(got, "more than 1024 states") {
		t.Errorf("failed with %q", got)
	}
}

// TestStats: what is counted is what has happened in this incarnation, once each.
func TestStats(t *testing.T) {
	s := &stage{t: t}
	play := func(lines ...string) {
		t.Helper()
		for _, line := range lines {
			s.command(line)
			s.work()
		}
	}
	play("new", "function f", "route t f", "start", "begin t 0", "commit", "arrive t 0:a=1 1:a=2 2:b=3")
	play("restart", "arrive t 0:a=1 1:a=2 2:b=3 3:dead", "stale f/a", "fail f/a answer", "reply f/b delay 5 f/c=1 send g/x=1")
	play("tick 40", "commit", "commit", "reply f/a", "commit", "tick 10", "reply f/c", "commit", "arrive t 2:b=3 3:dead 4:a=4", "event f/d=5 1", "event nobody/d=5 2")
	want := machine.Stats{
		Records: 5, RecordsSkipped: 2, // the five that were new, the two that came again
		Events: 1,                                 // the other one was refused
		Calls:  3, Invocations: 4, CallsFailed: 1, // of b, of a with both messages, of c
		Commits: 5, DeadLetters: 2, TimersFired: 1, StaleAnswers: 1,
	}
	if diff := cmp.Diff(want, s.m.Gauges().Stats); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestClaimedOutboxEmptiesEvenly: what an earlier incarnation has left counts as delivered in proportion, to one output and one part in 64.
func TestClaimedOutboxEmptiesEvenly(t *testing.T) {
	for _, count := range []uint64{1, 3, 64, 1000, 1 << 40} {
		const bytes = 64_000_007
		id := statestore.LaneID{Egress: "e"}
		m := machine.New(machine.Config{
			Egresses: map[string]machine.Egress{"e": {Outbox: true}}, Function: func(api.FunctionType) (machine.Function, bool) { return machine.Function{}, false },
		}, &statestore.Claim{Lanes: []statestore.Lane{{LaneID: id, Next: 100 + count, Low: 100, Started: true, Bytes: bytes}}}, 1000)
		for eighth := range uint64(9) {
			below := 100 + count*eighth/8
			m.Delivered(id, below)
			got := float64(m.Gauges().OutboxBytes["e"]) / bytes
			left := float64(100+count-below) / float64(count)
			if math.Abs(got-left) > 1.0/64+1.0/float64(count) {
				t.Errorf("%d of %d outputs are left, and %.3f of the bytes", 100+count-below, count, got)
			}
		}
		if left := m.Gauges().OutboxBytes["e"]; left != 0 {
			t.Errorf("all of %d outputs are delivered, and %d bytes are left", count, left)
		}
	}
}
