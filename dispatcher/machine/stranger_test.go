package machine_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// abandoned is what is kept in packs of a size: messages for addresses of g, which nobody declares any more, in turn; one of f in each pack.
func abandoned(addresses, messages, size int, value string) *statestore.Claim {
	c := &statestore.Claim{NextNumber: uint64(2*messages) + 1}
	for n := 0; n < messages; {
		p := statestore.Pack{Number: uint64(n + 1)}
		for range min(size, messages-n) {
			to := api.Address{Type: functionType("g"), ID: fmt.Sprintf("user-%07d", n%addresses)}
			if len(p.Messages) == size/2 {
				to.Type = functionType("f")
			}
			n++
			m := api.Message{Target: to, Argument: api.TypedValue{TypeName: strings.Clone("example/value"), HasValue: true, Value: []byte(strings.Clone(value))}}
			p.Messages = append(p.Messages, statestore.Mail{Number: uint64(n), Message: m})
		}
		c.Packs = append(c.Packs, p)
	}
	return c
}

// heapOf is how much more memory is in use with what f makes than before.
func heapOf[T any](f func() T) (made T, bytes int) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	made = f()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return made, int(after.HeapAlloc) - int(before.HeapAlloc)
}

// TestStrangersAreBounded: messages for a function that the module does not declare take no memory, wherever they stand and whatever they
// carry, and their addresses take some MiB at most; what is told of them stays what is there.
func TestStrangersAreBounded(t *testing.T) {
	for name, c := range map[string]struct{ addresses, messages, size int }{
		"many messages of some addresses": {100, 200_000, 1000},
		"one of each of many addresses":   {200_000, 200_000, 1000},
		"small packs":                     {100, 50_000, 10},
	} {
		t.Run(name, func(t *testing.T) {
			m, bytes := heapOf(func() *machine.Machine {
				return machine.New(machine.Config{Function: func(t api.FunctionType) (machine.Function, bool) {
					return machine.Function{Endpoint: "http://" + t.Name}, t == functionType("f")
				}}, abandoned(c.addresses, c.messages, c.size, strings.Repeat("v", 1000)), 1000)
			})
			packs := c.messages / c.size
			t.Logf("%d bytes, %d per message for nobody", bytes, bytes/(c.messages-packs))
			if limit := 6<<20 + 2048*packs; bytes > limit { // those of f are there with their values
				t.Errorf("they take %d bytes, want %d at most", bytes, limit)
			}
			w := m.Overview().Functions[functionType("g")]
			if w.KeptMessages != int64(c.messages-packs) {
				t.Errorf("%d messages are told, want %d", w.KeptMessages, c.messages-packs)
			}
			runtime.KeepAlive(m)
		})
	}
}

// TestMoreStrangersThanAreListed: beyond what is remembered addresses are only counted, and what is said of them says so.
func TestMoreStrangersThanAreListed(t *testing.T) {
	const all = 40_000
	m := machine.New(machine.Config{Function: func(t api.FunctionType) (machine.Function, bool) { return machine.Function{}, false }}, abandoned(all, 2*all, 1000, "v"), 1000)
	listed, next := gather(m, "g", "", nil, all)
	if len(listed) < 10_000 || len(listed) >= all || next != nil {
		t.Fatalf("%d of %d addresses are listed", len(listed), all)
	}
	var of *machine.Stuck
	for i, s := range stuck(m) {
		if s.Name == functionType("g").String() {
			of = &stuck(m)[i]
		}
	}
	want := fmt.Sprintf("; of their addresses the oldest %d are listed, and %d more are not", len(listed), all-40-len(listed)) // 40 ids are of f alone
	if of == nil || of.Count != 2*all-80 || !strings.HasSuffix(of.Text, want) {
		t.Errorf("stuck tells %+v, want one that ends with %q", of, want)
	}
	if v := m.View(address("g/" + listed[0])); v.Strange != 2 || v.Unlisted || v.Front.Number != 1 {
		t.Errorf("the first: %+v", v)
	}
	if v := m.View(address("g/user-0039999")); v.Strange != 0 || !v.Unlisted {
		t.Errorf("the last: %+v", v)
	}
	if v := m.View(address("h/user-0039999")); v.Unlisted {
		t.Errorf("one of another function: %+v", v)
	}
	long := api.Address{Type: functionType("g"), ID: strings.Repeat("x", api.IDBytesMax)}
	c := &statestore.Claim{}
	for n := range uint64(200) {
		long.ID = fmt.Sprintf("%d%s", n, long.ID[4:])
		c.Packs = append(c.Packs, statestore.Pack{Number: n + 1, Messages: []statestore.Mail{{Number: n + 1, Message: api.Message{Target: long}}}})
	}
	m = machine.New(machine.Config{Function: func(t api.FunctionType) (machine.Function, bool) { return machine.Function{}, false }}, c, 1000)
	if listed, _ := gather(m, "g", "", nil, all); len(listed) != 63 {
		t.Errorf("%d addresses with ids of 64 KiB are listed, want as many as have room in 4 MiB", len(listed))
	}
}

// TestPackOfStrangers: a pack whose other messages are finished stays for the sake of those that nobody takes, and is not written anew:
// they are in the store alone. When the function is declared again they are called, each once and in order, and then the pack goes.
func TestPackOfStrangers(t *testing.T) {
	s := &stage{t: t}
	s.play("new slots=100", "function f", "function g", "start", "commit", "event f/first=x 99")
	for i := range 20 { // while a commit is out
		to := fmt.Sprintf("f/%d=x", i)
		if i == 3 || i == 7 {
			to = fmt.Sprintf("g/a=%d", i)
		}
		s.play(fmt.Sprintf("event %s %d", to, i+1))
	}
	s.play("commit")
	if s.commit == nil || len(s.commit.Packs) != 1 || len(s.commit.Packs[0].Messages) != 20 {
		t.Fatalf("they are not in one pack: %+v", s.commit)
	}
	s.play("reply f/first", "commit", "commit", "undeclare g", "restart", "tick 10")
	for i := range 20 {
		if i == 3 || i == 7 {
			continue
		}
		s.play(fmt.Sprintf("reply f/%d", i), "tick 20")
		if s.commit != nil {
			s.play("commit")
		}
	}
	if v := s.m.View(address("g/a")); v.Strange != 2 || v.Front.Number != 5 {
		t.Errorf("it is shown as %+v", v)
	}
	s.play("function g", "restart", "tick 10")
	if v := s.m.View(address("g/a")); v.Mailbox != 2 || v.Strange != 0 {
		t.Errorf("it is declared again: %+v", v)
	}
	if len(s.calls) != 1 || len(s.calls[0].Messages) != 2 || string(s.calls[0].Messages[0].Argument.Value) != "3" || string(s.calls[0].Messages[1].Argument.Value) != "7" {
		t.Fatalf("called are %+v", s.calls)
	}
	s.play("reply g/a", "tick 20", "commit", "restart")
	if v := s.m.View(address("g/a")); v.Mailbox != 0 || v.Strange != 0 {
		t.Errorf("it has been called: %+v", v)
	}
}
