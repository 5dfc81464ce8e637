package machine_test

import (
	"fmt"
	"testing"
)

// TestProbesTryTheUntried: while a breaker is open and addresses that failed stand in the queue all the time, those that were never
// called come to their turn as well: what crashes the endpoint may be the one that is tried first for ever.
func TestProbesTryTheUntried(t *testing.T) {
	s := &stage{t: t}
	for _, line := range []string{"new failures=1 probe=500 backoff=1 backoffmax=10", "function f", "route t f", "start", "begin t 0"} {
		s.command(line)
	}
	s.work()
	s.command("commit")
	const failed, untried = 5, 10
	for i := range failed {
		s.command(fmt.Sprintf("arrive t %d:failed%d=1", i, i))
	}
	tried := map[string]bool{}
	fail := func() {
		s.work()
		for len(s.calls) > 0 {
			a := s.calls[0].Target
			tried[a.ID] = true
			s.command("fail " + name(a) + " endpoint")
		}
		s.work()
	}
	fail()
	if len(tried) != failed {
		t.Fatalf("tried %v", tried)
	}
	for i := range untried {
		s.command(fmt.Sprintf("arrive t %d:untried%d=1", failed+i, i))
	}
	for probes := 0; len(tried) < failed+untried; probes++ {
		if probes > 20*untried {
			t.Fatalf("after %d probes only %v were tried", probes, tried)
		}
		s.command("tick 500")
		fail()
	}
}

// TestProbesTryTheUnanswered: the same of addresses that a bulk left without an answer.
func TestProbesTryTheUnanswered(t *testing.T) {
	s := &stage{t: t}
	play := func(format string, args ...any) {
		s.command(fmt.Sprintf(format, args...))
		s.work()
	}
	for _, line := range []string{"new failures=1 probe=500 backoff=1 backoffmax=10 young=1", "function f", "route t f", "start", "begin t 0"} {
		s.command(line)
	}
	s.work()
	play("commit")
	offset := 0
	arrive := func(id string) {
		s.command(fmt.Sprintf("arrive t %d:%s=1", offset, id))
		offset++
	}
	arrive("first")
	s.work()
	play("reply f/first bulk 100")
	arrive("first") // it is young: the others gather
	s.work()
	const failed, unanswered = 5, 10
	for i := range unanswered {
		arrive(fmt.Sprintf("bulk%d", i))
	}
	s.work()
	play("tick 20")
	play("reply f/first bulk 100")
	for i := range failed {
		arrive(fmt.Sprintf("failed%d", i))
		s.work()
		play("tick 20")
	}
	for i := range failed {
		play("fail f/failed%d endpoint", i)
	}
	for i := range unanswered {
		s.command(fmt.Sprintf("unanswered f/bulk%d", i))
	}
	tried := map[string]bool{}
	for probes := 0; len(tried) < failed+unanswered; probes++ {
		if probes > 20*unanswered {
			t.Fatalf("after %d probes only %v were tried", probes, tried)
		}
		s.work()
		for len(s.calls) > 0 {
			a := s.calls[0].Target
			tried[a.ID] = true
			play("fail %s endpoint", name(a))
		}
		s.command("tick 500")
	}
}
