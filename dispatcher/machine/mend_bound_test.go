package machine

import (
	"fmt"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/memory"
)

func boundedMachine(t *testing.T, cfg Config, specs ...statestore.StateSpec) (*Machine, *memory.Store) {
	store := memory.New(memory.Config{Identity: "adv", Lease: time.Nanosecond, Now: time.Now})
	claim, _ := store.TryAcquire(statestore.Member{ID: "m"}, nil)
	for _, f := range []api.FunctionType{busyWell, busyHangs} {
		claim.Functions = append(claim.Functions, statestore.FunctionSpec{Function: f, States: specs})
	}
	cfg.Function = func(t api.FunctionType) (Function, bool) {
		return Function{Endpoint: "http://" + t.Name, Timeout: 5000, Budget: 20_000}, true
	}
	cfg.TimerAhead = 1 << 40
	return New(cfg, claim, 1), store
}

// TestPausedStatesLeaveMemory: of addresses of a paused function that have left memory nothing holds the states.
func TestPausedStatesLeaveMemory(t *testing.T) {
	const state, each, busyMax = 1 << 20, 600, 16 << 20
	b := &busy{t: t, now: 1, large: make([]byte, state), hangs: true, done: map[string]int{}}
	b.m, b.store = boundedMachine(t, Config{SourceMessagesMax: 2 * each, BusyBytesMax: busyMax, CallBytesMax: 8 << 20, CacheBytesMax: 1 << 20}, statestore.StateSpec{Name: "s"})
	b.m.Pause(statestore.Pause{Kind: statestore.PauseFunction, Address: api.Address{Type: busyHangs}}, 0)
	src := api.Source{Ingress: "in", Topic: "hangs"}
	b.m.Started(statestore.Progress{Source: src}, 0)
	for i := range int64(each) {
		b.m.Arrive(src, []api.Record{{Offset: i, ID: fmt.Sprint("h", i), Routes: []api.Route{{Key: "h", Target: busyHangs}}}})
	}
	for range 5000 {
		b.m.Tick(b.now)
		b.play()
		b.now += 50
	}
	retained, stale := 0, 0
	for _, c := range b.m.functions[busyHangs].held.all() {
		for _, v := range c.values {
			retained += len(v.Value)
		}
		if c.phase != held {
			stale++
		}
	}
	t.Logf("held %d, stale %d, retained %d MiB, busy %d MiB, cells %d, stored %d", b.m.functions[busyHangs].held.len(), stale, retained>>20, b.m.busyBytes>>20, len(b.m.cells), b.m.functions[busyHangs].stored)
	if retained > 2*busyMax {
		t.Errorf("held cells keep %d MiB of states, bound %d", retained>>20, busyMax>>20)
	}
}

// TestPausedIsLoadedOnce: what keeps arriving at an address that is paused, and whose mail had to leave memory, does not have its states loaded
// anew with each message.
func TestPausedIsLoadedOnce(t *testing.T) {
	for _, pause := range []statestore.Pause{
		{Kind: statestore.PauseAddress, Address: api.Address{Type: busyHangs, ID: "h"}}, {Kind: statestore.PauseFunction, Address: api.Address{Type: busyHangs}},
	} {
		b := &busy{t: t, now: 1, large: make([]byte, 1<<20), hangs: true, done: map[string]int{}}
		b.m, b.store = boundedMachine(t, Config{MailBytesMax: 1 << 20, MailWindow: 64 << 10, HoldMax: 100}, statestore.StateSpec{Name: "s"})
		src := api.Source{Ingress: "in", Topic: "t"}
		b.m.Started(statestore.Progress{Source: src}, 0)
		b.m.Pause(pause, 0)
		for i := range int64(300) {
			b.m.Arrive(src, []api.Record{{Offset: i, ID: "h", Value: api.TypedValue{Value: make([]byte, 10<<10)}, Routes: []api.Route{{Key: "h", Target: busyHangs}}}})
			b.m.Tick(b.now)
			b.play()
			b.now += 50
		}
		if stored := b.m.functions[busyHangs].stored; stored < 100 || b.m.mailBytes > 1<<20 {
			t.Errorf("%v: %d messages are in the store alone, %d bytes in memory", pause.Kind, stored, b.m.mailBytes)
		}
		if b.loads != 1 {
			t.Errorf("%v: the states of the address were loaded %d times for 300 messages", pause.Kind, b.loads)
		}
	}
}

// TestUncommittedEditsAreBounded: while the store does not answer, edits wait as soon as too much is uncommitted; then they go on.
func TestUncommittedEditsAreBounded(t *testing.T) {
	m, _ := boundedMachine(t, Config{EffectBytesMax: 1 << 20}, statestore.StateSpec{Name: "s"})
	work := func() *statestore.Commit {
		var out *statestore.Commit
		for again := true; again; {
			w := m.Work()
			again = false
			for _, l := range w.Loads {
				m.Loaded(l.ID, make([]statestore.Loaded, len(l.Addresses)))
				again = true
			}
			if w.Commit != nil {
				out = w.Commit
			}
		}
		return out
	}
	m.Act("op", "x", "y", "", 0)
	if work() == nil {
		t.Fatal("no commit out")
	}
	for i := range 50 { // the store does not answer
		m.EditState(api.Address{Type: busyWell, ID: fmt.Sprint(i)}, Edit{State: "s", Value: api.TypedValue{TypeName: "t", HasValue: true, Value: make([]byte, 1<<20)}}, "op", uint64(i+1))
		work()
	}
	if m.effectBytes > 4<<20 {
		t.Errorf("%d MiB are uncommitted, bound 1 MiB; %d edits wait", m.effectBytes>>20, m.edits)
	}
	for done, first := 0, true; done < 50; first = false {
		m.Committed(m.commitNumber)
		before := m.edits
		c := work()
		if c == nil {
			t.Fatalf("%d edits are done, and no commit is out", done)
		}
		if done += len(c.States); !first && m.edits > 0 && before == m.edits {
			t.Fatalf("%d edits wait for ever", m.edits)
		}
	}
}

// TestUncommittedActsAreBounded: while the store does not answer, what operators ask for gathers up to a bound, also what changes nothing; when
// it does, they may go on.
func TestUncommittedActsAreBounded(t *testing.T) {
	m, _ := boundedMachine(t, Config{})
	m.Act("op", "x", "y", "", 0)
	m.Work()
	p := statestore.Pause{Kind: statestore.PauseFunction, Address: api.Address{Type: busyWell}, By: "op"}
	denied := 0
	for i := range 200_000 {
		p.Ended = i%2 == 1
		if m.Pause(p, uint64(i+1)) != nil {
			denied++
		}
		m.Work()
	}
	if len(m.acts) > mendsMax || len(m.tokens) > mendsMax {
		t.Errorf("%d acts and %d tokens gather while the store does not answer, %d denied", len(m.acts), len(m.tokens), denied)
	}
	if m.Act("op", "x", "y", "", 0) == nil {
		t.Error("an act elsewhere is noted beyond the bound")
	}
	m.Retry(api.Address{Type: busyWell, ID: "a"}, "op", 0, func(d *Denial) { denied = len(d.Remedy) })
	if denied == 0 || m.orders.waiting != 0 {
		t.Error("an order waits beyond the bound")
	}
	m.Committed(m.commitNumber)
	if m.Work(); m.Pause(p, 1) != nil {
		t.Error("the store has answered, and nothing can be paused")
	}
}

// TestOrdersRespectMailRoom: orders for spilled mailboxes read back no more mail than memory has room for, and each is given.
func TestOrdersRespectMailRoom(t *testing.T) {
	const each = 400
	b := &busy{t: t, now: 1, hangs: true, done: map[string]int{}}
	b.m, b.store = boundedMachine(t, Config{SourceMessagesMax: 2 * each, MailBytesMax: 4 << 20, MailWindow: 64 << 10, EffectBytesMax: 1 << 30})
	b.m.Pause(statestore.Pause{Kind: statestore.PauseFunction, Address: api.Address{Type: busySmall}}, 0)
	src := api.Source{Ingress: "in", Topic: "small"}
	b.m.Started(statestore.Progress{Source: src}, 0)
	for i := range int64(each) {
		b.m.Arrive(src, []api.Record{{Offset: i, ID: fmt.Sprint("s", i), Value: api.TypedValue{Value: make([]byte, 60<<10)}, Routes: []api.Route{{Key: "h", Target: busySmall}}}})
		b.m.Tick(b.now)
		b.play()
		b.now += 10
	}
	for range 100 {
		b.m.Tick(b.now)
		b.play()
		b.now += 50
	}
	for b.m.mailBytes > 5<<19 { // the mail leaves memory with commits, and is read back to a half of what it may have
		b.m.Sync(1)
		b.play()
		b.now += 50
		b.m.Tick(b.now)
		if b.now > 600_000 {
			t.Fatalf("%d bytes of mail stay in memory", b.m.mailBytes)
		}
	}
	before, given := b.m.mailBytes, 0
	for i := range each {
		b.m.Skip(api.Address{Type: busySmall, ID: fmt.Sprint("s", i)}, 1<<50, "op", 0, func(d *Denial) {
			if d != nil && !d.Nothing { // another message is at the front
				given++
			}
		})
	}
	most := 0
	for end := b.now + 600_000; given < each && b.now < end; b.now += 50 {
		b.m.Tick(b.now)
		w := b.m.Work()
		if len(w.MailLoads) > 1 {
			t.Fatalf("%d mailboxes are read at once", len(w.MailLoads))
		}
		for _, l := range w.Loads {
			found, _ := b.store.States(t.Context(), l.Addresses)
			b.m.Loaded(l.ID, found)
		}
		for _, l := range w.MailLoads {
			found, _ := b.store.Mail(t.Context(), l.Address, l.From, l.BytesMax)
			b.m.MailLoaded(l.ID, found)
			most = max(most, b.m.mailBytes)
		}
		if w.Commit != nil {
			_ = b.store.Commit(t.Context(), w.Commit)
			b.m.Committed(w.Commit.Number)
		}
	}
	t.Logf("before %d KiB, most %d KiB of %d KiB", before>>10, most>>10, 4<<10)
	if given != each {
		t.Errorf("%d of %d orders are given", given, each)
	}
	if most > 4<<20+64<<10 {
		t.Errorf("mail in memory came to %d KiB, bound %d KiB", most>>10, 4<<10)
	}
}

// TestNamesOfOrdersDoNotGather: of a function that nobody has heard of nothing waits, and asking for it makes none.
func TestNamesOfOrdersDoNotGather(t *testing.T) {
	m, _ := boundedMachine(t, Config{}, statestore.StateSpec{Name: "s"})
	before := len(m.functions)
	for i := range 1000 {
		m.Retry(api.Address{Type: api.FunctionType{Namespace: "x", Name: fmt.Sprint("typo", i)}, ID: "a"}, "op", 0, func(*Denial) {})
		w := m.Work()
		for _, l := range w.Loads {
			m.Loaded(l.ID, make([]statestore.Loaded, len(l.Addresses)))
		}
	}
	if n := len(m.functions) - before; n > 0 {
		t.Errorf("%d functions, %d gates gather", n, len(m.gates))
	}
}

// TestNumberAfterTakeover: a number that an operator has been shown names no other message after a takeover, and one that could is not shown.
func TestNumberAfterTakeover(t *testing.T) {
	m, store := boundedMachine(t, Config{})
	a := api.Address{Type: busyWell, ID: "a"}
	one, two := api.Source{Ingress: "in", Topic: "one"}, api.Source{Ingress: "in", Topic: "two"}
	routes := []api.Route{{Key: "k", Target: busyWell}}
	bring := func(m *Machine, s api.Source, text string) {
		m.Arrive(s, []api.Record{{Offset: 0, ID: "a", Value: api.TypedValue{TypeName: "t", HasValue: true, Value: []byte(text)}, Routes: routes}})
	}
	turn := func(m *Machine) (letters []api.DeadLetter) {
		for again := true; again; {
			w := m.Work()
			again = len(w.Loads) > 0 || w.Commit != nil || len(w.Calls) > 0
			for _, l := range w.Loads {
				m.Loaded(l.ID, make([]statestore.Loaded, len(l.Addresses)))
			}
			for i := range w.Calls {
				m.Failed(w.Calls[i].ID, Failure{Kind: FailAnswer, Text: "bad"})
			}
			if w.Commit != nil {
				letters = append(letters, w.Commit.DeadLetters...)
				if err := store.Commit(t.Context(), w.Commit); err != nil {
					t.Fatal(err)
				}
				m.Committed(w.Commit.Number)
			}
		}
		return letters
	}
	m.Started(statestore.Progress{Source: one}, 0)
	m.Started(statestore.Progress{Source: two}, 0)
	turn(m)
	bring(m, one, "bad")
	turn(m)
	if n := m.View(a).Front.Number; n != 0 {
		t.Errorf("number %d is shown, and no commit says that it is drawn", n)
	}
	seen := m.cells[a].mail.front().number
	claim, ok := store.TryAcquire(statestore.Member{ID: "n"}, nil)
	if !ok {
		t.Fatal("not given")
	}
	cfg := m.cfg
	cfg.Incarnation++
	n := New(cfg, claim, 2)
	bring(n, two, "good")
	bring(n, one, "bad")
	turn(n)
	n.Skip(a, seen, "op", 0, func(d *Denial) { t.Logf("skip %d: %+v", seen, d) })
	for _, d := range turn(n) {
		if string(d.Value) == "good" {
			t.Errorf("the operator has seen %q as message %d, and %q is skipped", "bad", seen, d.Value)
		}
	}
}
