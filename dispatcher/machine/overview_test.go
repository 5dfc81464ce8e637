package machine_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
)

// TestOverview: what waits is told by function, endpoint and ingress, with the reason, and is not told any more when it is over.
func TestOverview(t *testing.T) {
	s := &stage{t: t}
	play := func(lines ...string) {
		t.Helper()
		for _, line := range lines {
			s.command(line)
			s.work()
		}
	}
	function := func(name string, want machine.FunctionWait) {
		t.Helper()
		if diff := cmp.Diff(want, s.m.Overview().Functions[functionType(name)]); diff != "" {
			t.Errorf("%s at %d (-want +got):\n%s", name, s.now, diff)
		}
	}
	endpoint := func(want machine.EndpointState) {
		t.Helper()
		all := s.m.Overview().Endpoints
		at := slices.IndexFunc(all, func(e machine.EndpointState) bool { return e.Endpoint == want.Endpoint })
		if at < 0 || all[at] != want {
			t.Errorf("at %d %+v, want %+v", s.now, all, want)
		}
	}
	play("new backoff=1000 failures=2 slots=2 dead=2", "function f budget=100", "function g", "route t f", "start", "begin t 0", "commit", "arrive t 0:a=1 1:a=2 2:b=3 3:c=4", "tick 7")
	function("f", machine.FunctionWait{OldestMS: 7, CallMS: 7})
	endpoint(machine.EndpointState{Endpoint: "http://f", Calls: 2, Queued: 1})
	if got := s.m.Overview().Ingresses["in"]; got.Partitions != 1 || len(got.Paused) != 0 {
		t.Errorf("the ingress: %+v", got)
	}

	play("fail f/a endpoint", "fail f/b endpoint", "tick 150")
	// c was called when a failed, and one of the two that failed is the probe: it fails until it has succeeded.
	function("f", machine.FunctionWait{OldestMS: 157, CallMS: 150, Failing: 2, Stuck: 2, FailingMS: 150, Attempts: 2})
	if e := s.m.Overview().Endpoints[0]; !e.Open || e.Outages != 1 {
		t.Errorf("the breaker: %+v", e)
	}

	for s.m.Overview().Endpoints[0].Open || len(s.calls) > 0 {
		for len(s.calls) > 0 {
			play("reply " + s.calls[0].Target.Type.Name + "/" + s.calls[0].Target.ID)
		}
		play("tick 1000", "commit")
	}
	if o := s.m.Overview(); len(o.Functions) != 0 || o.Endpoints[0].Open {
		t.Errorf("when it is over: %+v", o)
	}

	play("arrive t 4:dead 5:dead", "event g/x=1 1")
	function("g", machine.FunctionWait{KeptMessages: 1, KeptBytes: s.m.Gauges().MailBytes})
	o := s.m.Overview()
	if diff := cmp.Diff(map[string]machine.IngressState{"in": {Partitions: 1, Paused: map[string]int{machine.PauseDeadLetters: 1}}}, o.Ingresses); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(o.Dead) != 1 || o.Dead[0].Origin != api.OriginIngress("in") || o.Dead[0].Letters != 2 {
		t.Errorf("dead letters: %+v", o.Dead)
	}
	letters := slices.IndexFunc(o.Bounds, func(b machine.Bound) bool { return b.Name == "dead_letters" && b.Items })
	if b := o.Bounds[letters]; b.Used != 2 || b.Limit != 2 {
		t.Errorf("the bound: %+v", b)
	}
	for _, b := range o.Bounds {
		if b.Limit <= 0 || b.Used < 0 {
			t.Errorf("a bound without a limit, or with less than nothing: %+v", b)
		}
	}
}

// TestStuckIsAReason: as many addresses are told as a reason as are counted for the metrics, wherever they wait: in back-off, for a
// breaker that is open, or in the call that tries again.
func TestStuckIsAReason(t *testing.T) {
	s := &stage{t: t}
	play := func(lines ...string) {
		t.Helper()
		for _, line := range lines {
			s.command(line)
			s.work()
		}
	}
	told := func(where, want string) {
		t.Helper()
		got := ""
		for _, r := range s.m.Reasons() {
			if r.Kind == "stuck" {
				got = r.Text
			}
		}
		if got != want {
			t.Errorf("%s: reason %q, want %q", where, got, want)
		}
	}
	all := "3 addresses have failed for longer than the budget of their call"
	play("new backoff=1000 failures=3 slots=4", "function f budget=100", "route t f", "start", "begin t 0", "commit",
		"arrive t 0:a=1 1:b=1 2:c=1", "fail f/a endpoint", "fail f/b endpoint", "fail f/c endpoint")
	told("none has used up its budget", "")
	play("tick 1000")
	for len(s.calls) > 0 { // the probes of this round; the next one stays out
		play("fail " + s.calls[0].Target.Type.Name + "/" + s.calls[0].Target.ID + " endpoint")
	}
	told("in back-off, and behind the breaker", all)
	play("tick 1000", "tick 1000")
	e, w := s.m.Overview().Endpoints[0], s.m.Overview().Functions[functionType("f")]
	if !e.Open || e.Calls == 0 || e.Queued == 0 || w.Stuck != 3 {
		t.Fatalf("some are tried while others wait for the breaker: %+v, %+v", e, w)
	}
	told("behind the breaker, and in calls", all)
	play("pause f 1")
	if w := s.m.Overview().Functions[functionType("f")]; w.Stuck != 3 {
		t.Errorf("a pause has changed how many have failed for long: %+v", w)
	}
	told("those in calls; the others are paused, which is a reason of its own", fmt.Sprintf("%d addresses have failed for longer than the budget of their call", len(s.calls)))
}
