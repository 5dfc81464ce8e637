package machine_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
)

// TestWhatOperatorsSee: times and ages of a call, of a failure, of what waits and of what is not delivered.
func TestWhatOperatorsSee(t *testing.T) {
	s := &stage{t: t}
	play := func(lines ...string) {
		t.Helper()
		for _, line := range lines {
			s.command(line)
			s.work()
		}
	}
	view := func(id string, want machine.View) {
		t.Helper()
		want.InMemory = want.Phase != ""
		got := s.m.View(address(id))
		got.Front = machine.Front{} // has a test of its own
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s at %d (-want +got):\n%s", id, s.now, diff)
		}
	}
	gauges := func(want machine.Gauges) {
		t.Helper()
		got := s.m.Gauges()
		got.Stats, got.CachedBytes = machine.Stats{}, 0 // have tests of their own
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("at %d (-want +got):\n%s", s.now, diff)
		}
	}
	none := map[string]int64{"e": 0}
	play("new backoff=1000 age=5", "function f budget=100", "egress e", "route t f", "start", "begin t 0", "commit", "arrive t 0:a=1")
	view("f/a", machine.View{Phase: "calling", Mailbox: 1, Attempts: 1, CallSince: 1000})
	play("tick 7")
	view("f/a", machine.View{Phase: "calling", Mailbox: 1, Attempts: 1, CallSince: 1000})
	source := sourceOf("t")
	gauges(machine.Gauges{MailMessages: 1, MailBytes: 203, Calling: 1, CallBytes: 203, OutboxBytes: none, OutboxRecords: map[string]int64{}, OutboxOldestMS: map[string]int64{}, OldestMS: map[api.Source]int64{source: 7}})

	play("fail f/a answer")
	due := s.m.View(address("f/a")).NextAttempt
	if due < s.now+500 || due > s.now+1000 {
		t.Errorf("next attempt at %d", due)
	}
	view("f/a", machine.View{Phase: "backoff", Mailbox: 1, Attempts: 1, NextAttempt: due, FailingSince: 1007, LastError: "answer"})
	play("tick 100")
	view("f/a", machine.View{Phase: "backoff", Mailbox: 1, Attempts: 1, NextAttempt: due, FailingSince: 1007, LastError: "answer"})
	play("tick 1")
	view("f/a", machine.View{Phase: "backoff", Mailbox: 1, Attempts: 1, NextAttempt: due, FailingSince: 1007, LastError: "answer", Stuck: true})

	play("tick 1000", "reply f/a out e=1 out e=2 delay 50 f/b=1", "commit")
	view("f/b", machine.View{})
	view("f/a", machine.View{Phase: "idle"})
	const each = 203 // of an output, as of a message; a timer has 200 more, and the id of its sender
	play("tick 30")
	gauges(machine.Gauges{Timers: 1, TimerBytes: each + 201, OutboxBytes: map[string]int64{"e": 2 * each}, OutboxRecords: map[string]int64{"e": 2}, OutboxOldestMS: map[string]int64{"e": 30}, OldestMS: map[api.Source]int64{}})
	play("delivered e 2")
	gauges(machine.Gauges{Timers: 1, TimerBytes: each + 201, OutboxBytes: map[string]int64{"e": 2 * each}, OutboxRecords: map[string]int64{"e": 1}, OutboxOldestMS: map[string]int64{"e": 30}, OldestMS: map[api.Source]int64{}})
	play("delivered e 3", "tick 1000")
	view("f/b", machine.View{Phase: "calling", Mailbox: 1, Attempts: 1, CallSince: s.now})
	if g := s.m.Gauges(); g.OutboxRecords["e"] != 0 || g.OutboxBytes["e"] != 0 || g.OutboxOldestMS["e"] != 0 || g.Timers != 0 {
		t.Errorf("what is delivered is still there: %+v", g)
	}
}
