package machine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// stuck is what a whole look tells.
func stuck(m *machine.Machine) []machine.Stuck {
	l := m.LookForStuck()
	for !m.GoOn(l) {
	}
	return m.Told(l)
}

// lines are what is stuck, without the texts.
func lines(all []machine.Stuck) (out []string) {
	for _, s := range all {
		line := fmt.Sprintf("%s on %s %s: %d since %d", s.Cause, s.Kind, s.Name, s.Count, s.Since)
		if !s.Address.IsZero() {
			line += fmt.Sprintf(", %s at message %d, %q", s.Address.ID, s.Message, s.LastError)
		}
		out = append(out, line)
	}
	return out
}

func (s *stage) play(lines ...string) {
	s.t.Helper()
	for _, line := range lines {
		s.command(line)
		s.work()
	}
}

func (s *stage) wantStuck(what string, want ...string) {
	s.t.Helper()
	if diff := cmp.Diff(want, lines(stuck(s.m))); diff != "" {
		s.t.Errorf("%s, at %d (-want +got):\n%s", what, s.now, diff)
	}
}

// TestStuck: each cause is told with the oldest address and its message, from the moment on at which it lasts too long, and not any more
// when it is over.
func TestStuck(t *testing.T) {
	s := &stage{t: t}
	s.play("new backoff=1000 failures=2 slots=4 dead=2", "function f", "function g", "function h", "route t f", "route u g", "route v h", "start",
		"begin t 0", "begin u 0", "begin v 0", "commit", "tick 100", "arrive t 0:a=1", "arrive u 0:b=1", "arrive v 0:c=1 1:d=1", "sync 1", "commit", "commit")
	s.wantStuck("calls are out")
	s.play("fail f/a answer", "fail g/b timeout", "fail h/c endpoint")
	s.wantStuck("attempts have failed just now")
	s.play("fail h/d endpoint")
	s.wantStuck("a breaker has opened", `endpoint_down on endpoint http://h: 2 since 1100, c at message 3, "endpoint"`)
	s.play("tick 4000", "tick 1500")
	for _, a := range []string{"f/a", "g/b"} { // they are tried again
		s.play("fail " + a + map[string]string{"f/a": " answer", "g/b": " timeout"}[a])
	}
	s.wantStuck("they have failed for long",
		`endpoint_down on endpoint http://h: 2 since 1100, c at message 3, "endpoint"`,
		`poisoned on address x/f: 1 since 1100, a at message 1, "answer"`,
		`times_out on address x/g: 1 since 1100, b at message 2, "timeout"`)
	for s.m.Overview().Endpoints[0].Open || len(s.calls) > 0 || len(stuck(s.m)) > 0 {
		for len(s.calls) > 0 {
			s.play("reply " + s.calls[0].Target.Type.Name + "/" + s.calls[0].Target.ID)
		}
		s.play("tick 1000")
	}
	s.play("commit", "arrive t 1:a=2", "sync 2", "commit", "commit", "tick 9999")
	s.wantStuck("a call is out")
	s.play("tick 1")
	s.wantStuck("a call is out for long", fmt.Sprintf(`times_out on address x/f: 1 since %d, a at message 5, ""`, s.now-10_000))
}

// TestStuckEndpoint: an endpoint is down since it has failed, however long one of its addresses had failed before for another reason; and when
// it answers again, a call to it that is still out is no longer told as one that waits for it.
func TestStuckEndpoint(t *testing.T) {
	s := &stage{t: t}
	s.play("new backoff=1000 failures=2 slots=9", "function f", "route t f", "start", "begin t 0", "commit", "arrive t 0:a=1 1:b=1", "sync 1", "commit", "commit", "fail f/a answer", "tick 9000")
	s.play("fail f/a endpoint", "tick 10", "fail f/b endpoint", "tick 100")
	s.wantStuck("it is down", `endpoint_down on endpoint http://f: 2 since 10000, a at message 1, "endpoint"`)
	if text := stuck(s.m)[0].Text; !strings.Contains(text, "2 addresses wait for it; it is tried by itself") {
		t.Errorf("it says %q", text)
	}
	for len(s.calls) == 0 {
		s.play("tick 100")
	}
	s.wantStuck("a probe is out", `endpoint_down on endpoint http://f: 2 since 10000, a at message 1, "endpoint"`)
	s.play("reply f/" + s.calls[0].Target.ID)
	for len(s.calls) == 0 {
		s.play("tick 100")
	}
	s.wantStuck("the other one is called again")
	s.play("tick 9900")
	s.wantStuck("its call is out")
	s.play("tick 100")
	if got := stuck(s.m); len(got) != 1 || got[0].Cause != machine.StuckTimesOut || got[0].Since != s.now-10_000 || !strings.Contains(got[0].Text, "may still be answered") {
		t.Errorf("it takes long: %+v", got)
	}
}

// TestStuckByItself: what will be set aside without anybody's doing is told so, and about when.
func TestStuckByItself(t *testing.T) {
	s := &stage{t: t}
	s.play("new backoff=1000 slots=9", "function f onfailure=deadletter budget=20000", "function g", "route t f", "route u g", "start", "begin t 0", "begin u 0", "commit",
		"arrive t 0:a=1", "arrive u 0:b=1", "fail f/a answer", "fail g/b answer", "tick 5000")
	told := map[string]machine.Stuck{}
	for _, one := range stuck(s.m) {
		told[one.Address.ID] = one
	}
	if a, b := told["a"], told["b"]; len(told) != 2 || !a.ByItself || !strings.Contains(a.Text, "set aside by itself in about 15 s") || b.ByItself || !strings.Contains(b.Text, "called again until it is mended") {
		t.Errorf("told: %+v", told)
	}
	aside := func() bool {
		return slices.ContainsFunc(s.m.DeadTotals(), func(d statestore.DeadTotal) bool { return d.Origin == "ingress in" || d.Origin == "function x/f" })
	}
	for !aside() && s.now < 100_000 {
		for len(s.calls) > 0 {
			s.play("fail " + s.calls[0].Target.Type.Name + "/" + s.calls[0].Target.ID + " answer")
		}
		s.play("tick 1000")
	}
	if took := s.now - 1000; took < 19_000 || took > 45_000 {
		t.Errorf("it is set aside after %d ms", took)
	}
}

// TestStuckBehindSlots: who waits for a slot is one line for the endpoint.
func TestStuckBehindSlots(t *testing.T) {
	s := &stage{t: t}
	s.play("new slots=1", "function f", "route t f", "start", "begin t 0", "commit", "tick 50", "arrive t 0:a=1 1:b=1 2:c=1", "tick 4999")
	s.wantStuck("they wait")
	s.play("tick 1")
	s.wantStuck("another owner could draw the number again", `endpoint_busy on endpoint http://f: 2 since 1050, b at message 0, ""`)
	s.play("sync 1", "commit", "commit")
	s.wantStuck("they wait for long", `endpoint_busy on endpoint http://f: 2 since 1050, b at message 2, ""`)
}

// TestStuckIsGrouped: of the addresses that one function fails on the oldest are told one by one, the others by their number.
func TestStuckIsGrouped(t *testing.T) {
	s := &stage{t: t}
	s.play("new backoff=100000 slots=100", "function f", "route t f", "start", "begin t 0", "commit", "tick 1000")
	for i := range 25 {
		s.play(fmt.Sprintf("arrive t %d:k%02d=1", i, i), fmt.Sprintf("fail f/k%02d answer", i), "tick 10")
	}
	s.play("tick 10000")
	got := stuck(s.m)
	if len(got) != 11 {
		t.Fatalf("got %d lines: %v", len(got), lines(got))
	}
	for i, want := range got[:10] {
		if want.Address.ID != fmt.Sprintf("k%02d", i) || want.Since != int64(2000+10*i) || want.Kind != machine.OnAddress {
			t.Errorf("line %d is %+v", i, want)
		}
	}
	if more := got[10]; more.Kind != machine.OnFunction || more.Count != 15 || !more.Address.IsZero() || !strings.Contains(more.Text, "15 more") {
		t.Errorf("the others are %+v", more)
	}
}

// TestStuckGoesOnInParts: a look that is interrupted by everything that can happen counts each address once, and misses none that fails
// all the time.
func TestStuckGoesOnInParts(t *testing.T) {
	const addresses = 25_000
	m := downWith(addresses)
	l := m.LookForStuck()
	turns := 1
	for now := int64(3_000); !m.GoOn(l); now += 700 { // some are tried meanwhile, and fail again
		turns++
		m.Tick(now)
		settle(m)
	}
	found := m.Told(l)
	if turns < 3 || len(found) != 1 || found[0].Count > addresses || found[0].Count < addresses*99/100 {
		t.Errorf("after %d turns: %+v", turns, found)
	}
	if again := stuck(m); len(again) != 1 || again[0].Count != addresses || again[0].Since != found[0].Since {
		t.Errorf("undisturbed: %+v, before %+v", again, found)
	}
}

// TestStuckPauses: what an operator has paused is told until it is resumed.
func TestStuckPauses(t *testing.T) {
	s := &stage{t: t}
	s.play("new", "function f", "function g", "route t f", "start", "begin t 0", "commit", "tick 70", "pause f/a 1", "commit", "tick 10", "pause g 2", "commit",
		"tick 10", "pause ingress in 3", "commit", "event f/a=1 4", "commit")
	got := stuck(s.m)
	want := []string{`paused on address x/f: 1 since 1070, a at message 1, ""`, "paused on function x/g: 1 since 1080", "paused on ingress in: 1 since 1090"}
	if diff := cmp.Diff(want, lines(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !strings.Contains(got[0].Text, "1 message waits") {
		t.Errorf("the address: %q", got[0].Text)
	}
	if want := "no address of it is called until it is resumed"; !strings.HasSuffix(got[1].Text, want) {
		t.Errorf("the function, of which nothing waits: %q", got[1].Text)
	}
	s.play("event g/x=1 8", "commit", "event g/y=1 9", "commit")
	if want := "until it is resumed; 2 addresses in memory wait"; !strings.HasSuffix(stuck(s.m)[1].Text, want) {
		t.Errorf("the function: %q", stuck(s.m)[1].Text)
	}
	s.play("resume f/a 5", "resume g 6", "resume ingress in 7", "commit", "reply g/x", "reply g/y", "commit")
	s.wantStuck("all is resumed")
	const shown = 10
	for i := range shown + 5 {
		s.play(fmt.Sprintf("pause f/p%02d %d", i, 100+i), "commit", "tick 10")
	}
	got = stuck(s.m)
	if last := got[len(got)-1]; len(got) != shown+1 || got[0].Address.ID != "p00" || last.Count != 5 || !last.Address.IsZero() || last.Since != got[shown-1].Since+10 {
		t.Errorf("many: %q", lines(got))
	}
}

// TestStuckBounds: bounds are told when they are nearly reached, dead letters with their origin, and functions that are not declared any
// more with what waits for them.
func TestStuckBounds(t *testing.T) {
	s := &stage{t: t}
	s.play("new dead=2", "function f", "function g", "route t f", "start", "begin t 0", "commit", "arrive t 0:dead 1:dead", "event g/x=1 1", "commit", "commit")
	s.wantStuck("dead letters are full", "dead_letters_full on ingress in: 2 since 1000")
	s.play("undeclare g", "restart")
	s.wantStuck("a function is gone", "undeclared on function x/g: 1 since 1000", "dead_letters_full on ingress in: 2 since 0")
	s.play("pause g 9", "commit")
	for _, told := range stuck(s.m) { // what waits of it is counted the same, whether it is paused or not declared
		if told.Cause == machine.StuckPaused && told.Text != "paused by ada: no address of it is called until it is resumed; 1 message is in the store alone" {
			t.Errorf("paused: %q", told.Text)
		}
	}

	m := machine.New(machine.Config{
		Function:       func(api.FunctionType) (machine.Function, bool) { return machine.Function{Endpoint: "http://f"}, true },
		Egresses:       map[string]machine.Egress{"e": {Outbox: true}, "other": {Outbox: true}},
		OutboxBytesMax: 1000, StoredBytesMax: 1_000_000, KeptBytesMax: 100_000,
	}, &statestore.Claim{
		Lanes:   []statestore.Lane{{LaneID: statestore.LaneID{Egress: "gone"}, Next: 9, Low: 7, Bytes: 20}, {LaneID: statestore.LaneID{Egress: "e"}, Next: 5, Low: 1, Bytes: 950}, {LaneID: statestore.LaneID{Egress: "other"}, Next: 5, Low: 1, Bytes: 949, Started: true}},
		Spilled: []statestore.SpillTotal{{Function: functionType("f"), Messages: 3, Bytes: 95_000}},
	}, 1)
	if diff := cmp.Diff([]string{"bound_reached on egress e: 950 since 0", "bound_reached on function x/f: 95000 since 0"}, lines(stuck(m))); diff != "" {
		t.Errorf("bounds (-want +got):\n%s", diff)
	}
	lanes := m.Lanes()
	if len(lanes) != 3 || !lanes[2].Strange || lanes[2].Next != 9 || lanes[2].Delivered != 7 || lanes[0].Strange || lanes[0].Started || !lanes[1].Started || lanes[0].Next != 5 || lanes[0].Delivered != 1 || lanes[0].Bytes != 950 {
		t.Errorf("lanes: %+v", lanes)
	}
	if fs := m.Functions(); !slices.ContainsFunc(fs, func(f machine.FunctionState) bool {
		return f.Name == functionType("f") && f.Declared && f.Endpoint == "http://f"
	}) {
		t.Errorf("functions: %+v", fs)
	}
}

// TestSources: partitions are told with what is unfinished, the age of it, and why they wait.
func TestSources(t *testing.T) {
	s := &stage{t: t}
	s.play("new dead=1", "function f", "route t f", "start", "begin t 0", "commit", "arrive t 0:a=1", "tick 30", "arrive t 1:b=1 2:dead", "tick 5")
	want := []machine.SourceState{{ID: api.Source{Ingress: "in", Topic: "t"}, Unfinished: 2, OldestMS: 35, WaitsFor: machine.PauseDeadLetters}}
	if diff := cmp.Diff(want, s.m.Sources("in")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if other := s.m.Sources("other"); len(other) != 0 {
		t.Errorf("of another ingress: %+v", other)
	}
}

// TestStuckForStates: that no states can be loaded, for those in use fill their room, is told while it lasts.
func TestStuckForStates(t *testing.T) {
	m := machine.New(machine.Config{
		Function:     func(api.FunctionType) (machine.Function, bool) { return machine.Function{Endpoint: "http://f"}, true },
		BusyBytesMax: 1000, TimerAhead: 1 << 40,
	}, &statestore.Claim{}, 1)
	var calls []machine.Call
	work := func() {
		for again := true; again; {
			w := m.Work()
			again = len(w.Loads) > 0 || w.Commit != nil
			for _, l := range w.Loads {
				found := make([]statestore.Loaded, len(l.Addresses))
				for i := range found {
					found[i].Values = []statestore.StateValue{{Name: "large", Value: make([]byte, 2000)}}
				}
				m.Loaded(l.ID, found)
			}
			if l := w.TimerLoad; l != nil {
				m.TimersLoaded(l.ID, nil)
			}
			if w.Commit != nil {
				m.Committed(w.Commit.Number)
			}
			calls = append(calls, w.Calls...)
		}
	}
	at := int64(1)
	for _, id := range []string{"a", "b"} {
		if r := m.Event(api.Message{Target: api.Address{Type: functionType("f"), ID: id}}, 0); r != nil {
			t.Fatal(r)
		}
		work()
	}
	if len(calls) != 1 || len(stuck(m)) != 0 {
		t.Fatalf("%d calls are out, stuck is %v", len(calls), stuck(m))
	}
	for len(stuck(m)) == 0 && at < 5_000 {
		at += 100
		m.Tick(at)
	}
	if got := stuck(m); len(got) != 1 || got[0].Cause != machine.StuckBound || got[0].Name != "states_in_use" || got[0].Since == 0 || got[0].Count < 2000 {
		t.Errorf("at %d: %+v", at, got)
	}
}
