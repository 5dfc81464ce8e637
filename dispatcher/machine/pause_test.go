package machine_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// played plays lines, each with the work that follows, and answers what the machine wanted done.
func (s *stage) played(lines ...string) string {
	s.t.Helper()
	told := ""
	for _, line := range lines {
		s.command(line)
		told += s.work()
	}
	return told
}

// TestPausesBound: at most so many pauses are in force; what is paused can be resumed, and paused again, at the bound; one of a function
// is one, however many addresses it stops.
func TestPausesBound(t *testing.T) {
	s := &stage{t: t}
	s.played("new", "function f", "function g", "start")
	for i := range machine.PausesMax {
		p := statestore.Pause{Kind: statestore.PauseAddress, Address: api.Address{Type: functionType("f"), ID: fmt.Sprint(i)}}
		if d := s.m.Pause(p, 0); d != nil {
			t.Fatalf("pause %d: %+v", i, d)
		}
	}
	if c := s.m.Work().Commit; c == nil || len(c.Pauses) != machine.PausesMax || len(c.Acts) != machine.PausesMax {
		t.Fatal("the commit does not hold them")
	} else if err := s.store.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	} else {
		s.m.Committed(c.Number)
	}
	for _, line := range []string{"pause f/more 1", "pause g 2", "pause ingress in 3"} {
		if told := s.played(line); !strings.Contains(told, "denied") {
			t.Errorf("%s beyond the bound: %s", line, told)
		}
	}
	told := s.played("pause f/5 4", "commit", "resume f/5 5", "commit", "pause g 6", "commit")
	if strings.Contains(told, "denied") || !strings.Contains(told, "done 6") {
		t.Errorf("at the bound: %s", told)
	}
	s.played("restart")
	if all := s.m.Paused(); len(all) != machine.PausesMax || all[len(all)-1].Kind != statestore.PauseFunction {
		t.Errorf("after a restart %d are paused", len(all))
	}
	if n := len(s.m.Reasons()); n != 2 { // one for the function, one for all addresses
		t.Errorf("%d reasons: %+v", n, s.m.Reasons())
	}
}

// TestPausedAndResumedInOneCut: of what is paused and resumed again and again before a commit, the last word alone is written.
func TestPausedAndResumedInOneCut(t *testing.T) {
	s := &stage{t: t}
	s.played("new", "function f", "start")
	s.played("pause f 1") // its commit is out
	for range 3 {
		s.command("resume f 2")
		s.command("pause f/a 3")
		s.command("pause f 4")
		s.command("resume f/a 5")
	}
	told := s.played("commit")
	if want := "  pause of f/\n  no pause of f/a\n"; !strings.Contains(told, want) || strings.Count(told, "pause of") != 2 {
		t.Errorf("the commit holds\n%s", told)
	}
}

// TestPausedManyGoOnInOrder: more addresses than any queue is looked through for, some of them failing, wait while their function is paused and
// are called in the order in which they came to wait.
func TestPausedManyGoOnInOrder(t *testing.T) {
	s := &stage{t: t}
	s.played("new slots=1 backoff=100 backoffmax=100 records=10000", "function f", "function g", "route t f", "start", "begin t 0", "commit", "arrive t 0:first=1")
	const many = 1500
	line := "arrive t"
	for i := range many {
		line += fmt.Sprintf(" %d:a%d=1", i+1, i)
	}
	s.played(line, "pause f 1", "commit", "fail f/first answer", "tick 1000")
	if len(s.calls) > 0 {
		t.Fatalf("a paused function is called: %v", s.calls)
	}
	o := s.m.Overview().Functions[functionType("f")]
	if o.OldestMS != 1000 || o.Failing != 1 {
		t.Errorf("what waits is told as %+v", o)
	}
	s.played("event g/x=1 7")
	if len(s.calls) != 1 {
		t.Errorf("others are not called: %v", s.calls)
	}
	s.played("reply g/x", "resume f 2")
	for i := range 100 {
		if len(s.calls) != 1 {
			t.Fatalf("call %d: %v are out", i, s.calls)
		}
		if id := s.calls[0].Target.ID; i > 1 && id != fmt.Sprintf("a%d", i-1) { // the one that had failed goes first
			t.Fatalf("call %d is of %s", i, id)
		}
		s.played("reply " + name(s.calls[0].Target))
	}
}

// TestFront: what is at the front, and states that are ahead of the store.
func TestFront(t *testing.T) {
	s := &stage{t: t}
	front := func(want machine.Front) {
		t.Helper()
		if diff := cmp.Diff(want, s.m.View(address("f/a")).Front); diff != "" {
			t.Errorf("at %d (-want +got):\n%s", s.now, diff)
		}
	}
	ahead := func(want string) {
		t.Helper()
		v := s.m.View(address("f/a"))
		got := ""
		for _, value := range v.Values {
			got += value.Name + "=" + string(value.Value) + " "
		}
		if got != want || v.Ahead != (want != "") {
			t.Errorf("states ahead of the store are %q (%v), want %q", got, v.Ahead, want)
		}
	}
	s.played("new mail=1000 mailwindow=300 backoff=100000 manual=mail", "function f batch=1", "function g", "start")
	front(machine.Front{})
	s.played("event g/x=go 1", "commit", "reply g/x send f/a=hello", "commit")
	front(machine.Front{Caller: address("g/x"), TypeName: "v", Bytes: 5, ArrivedMS: 1000}) // another owner could draw its number again
	s.played("sync 3", "commit")
	front(machine.Front{Number: 2, Caller: address("g/x"), TypeName: "v", Bytes: 5, ArrivedMS: 1000})
	s.played("reply f/a missing n", "reply f/a set n=1")
	front(machine.Front{})
	ahead("n=1 ")
	for s.commit != nil {
		s.played("commit")
	}
	if s.played("tick 1000", "commit"); s.commit != nil {
		t.Fatalf("commit %d is out", s.commit.Number)
	}
	ahead("")

	// Six more, and the first is in a call: paused, spilled, and forgotten by a restart but for a message that arrives.
	for i := range 6 {
		s.played(fmt.Sprintf("event f/a=%d %d", i, 10+i))
	}
	const number = 3
	s.played("pause f/a 20", "fail f/a answer", "sync 21")
	for s.commit != nil {
		s.played("commit")
	}
	s.played("restart")
	s.command("event f/a=more 30")
	front(machine.Front{})
	s.work()
	front(machine.Front{Number: number, Stored: true})
	if v := s.m.View(address("f/a")); v.Paused == nil || v.Paused.By != "op" || v.Paused.AtMS != s.now {
		t.Errorf("it is paused as %+v", v.Paused)
	}
}

// TestOrdersBound: while the store does not answer, so many orders wait and no more; when it does, each is given.
func TestOrdersBound(t *testing.T) {
	s := &stage{t: t}
	s.played("new manual=load", "function f", "start", "event f/known=go 99", "answer load")
	const most = 1000
	done, denied := 0, 0
	for i := range most + 5 {
		s.m.Retry(api.Address{Type: functionType("f"), ID: fmt.Sprint(i % 7)}, "op", 0, func(d *machine.Denial) {
			if d == nil || d.Nothing {
				done++
			} else {
				denied++
			}
		})
	}
	s.work()
	if done != 0 || denied != 5 {
		t.Fatalf("while the store is away %d are done and %d denied", done, denied)
	}
	s.played("answer load")
	if done != most || denied != 5 {
		t.Errorf("when it has answered %d are done and %d denied", done, denied)
	}
	if told := s.played("retry f/x 1", "answer load"); !strings.Contains(told, "nothing for 1") {
		t.Errorf("the next one: %s", told)
	}
}
