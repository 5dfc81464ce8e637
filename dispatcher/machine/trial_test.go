package machine_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// poisonRun plays one address whose function answers badly to every batch with a poisoned message in it, and nothing else but time.
type poisonRun struct {
	t      *testing.T
	m      *machine.Machine
	now    int64
	poison []int // of the messages, sorted
	calls  int   // after the budget of the first one
	spent  int64 // when it was
	leap   int64 // of the clock, while the first call is out
	passed []int // messages that took effect
	dead   []int
	cuts   []*statestore.Commit
}

func newPoisonRun(t *testing.T, messages int, poison ...int) *poisonRun {
	t.Helper()
	return newPoisonRunOf(t, 120_000, messages, poison...)
}

func newPoisonRunOf(t *testing.T, budget int64, messages int, poison ...int) *poisonRun {
	t.Helper()
	r := &poisonRun{t: t, now: 1000, poison: poison}
	cfg := machine.Config{Incarnation: 1, Seed: uint64(messages), SourceMessagesMax: messages + 1, Function: func(api.FunctionType) (machine.Function, bool) {
		return machine.Function{Endpoint: "x", Budget: budget, OnFailure: machine.SetAside}, true
	}}
	cfg.OnDeadLetter = func(d *api.DeadLetter) { r.dead = append(r.dead, int(d.Offset)) }
	r.m = machine.New(cfg, &statestore.Claim{Fence: statestore.Fence{Member: "m", Epoch: 1}, NextNumber: 1}, r.now)
	routes := []api.Route{{Key: "x/f", Target: functionType("f")}}
	records := make([]api.Record, messages)
	for i := range records {
		records[i] = api.Record{Offset: int64(i), ID: "a", Value: api.TypedValue{Value: []byte(fmt.Sprint(i))}, Routes: routes}
	}
	r.m.Arrive(sourceOf("t"), records)
	return r
}

// play goes on until all messages have passed or are set aside.
func (r *poisonRun) play(messages int) {
	r.t.Helper()
	for steps := 0; len(r.passed)+len(r.dead) < messages; steps++ {
		if steps > 100_000 {
			r.t.Fatalf("%d passed, %d set aside", len(r.passed), len(r.dead))
		}
		w := r.m.Work()
		if err := r.m.Invariants(); err != nil {
			r.t.Fatal(err)
		}
		if w.Commit != nil {
			r.cuts = append(r.cuts, w.Commit)
			r.m.Committed(w.Commit.Number)
		}
		for _, l := range w.Loads {
			r.m.Loaded(l.ID, make([]statestore.Loaded, len(l.Addresses)))
		}
		if l := w.TimerLoad; l != nil {
			r.m.TimersLoaded(l.ID, nil)
		}
		if len(w.Calls) == 0 && w.Commit == nil && len(w.Loads) == 0 {
			r.now = w.Tick
			r.m.Tick(r.now)
		}
		for i := range w.Calls {
			r.answer(&w.Calls[i])
		}
	}
}

func (r *poisonRun) answer(c *machine.Call) {
	var batch []int
	for _, m := range c.Messages {
		batch = append(batch, int(number(string(m.Argument.Value))))
	}
	if len(r.passed)+len(r.dead) != batch[0] {
		r.t.Fatalf("%d is called when %d have passed and %d are set aside", batch[0], len(r.passed), len(r.dead))
	}
	if r.spent != 0 || len(r.dead) > 0 {
		r.calls++
	}
	if !slices.ContainsFunc(batch, func(n int) bool { return slices.Contains(r.poison, n) }) {
		r.passed = append(r.passed, batch...)
		r.m.Replied(c.ID, &machine.Reply{})
		return
	}
	if r.leap > 0 {
		r.now, r.leap = r.now+r.leap, 0
		r.m.Tick(r.now)
	}
	before := c.Attempt
	r.m.Failed(c.ID, machine.Failure{Kind: machine.FailAnswer, Text: "no"})
	if v := r.m.View(c.Target); r.spent == 0 && before > 1 && v.Attempts == 0 {
		r.spent = r.now
	}
}

// TestPoisonIsFoundQuickly: once the budget is spent, wherever one message at fault stands among a thousand, it is found by halving, in
// about as many calls as the number has bits, and within a second; nothing but it is set aside, and the rest passes in order.
func TestPoisonIsFoundQuickly(t *testing.T) {
	for _, at := range []int{0, 1, 2, 499, 500, 501, 777, 998, 999} {
		r := newPoisonRun(t, 1000, at)
		r.play(1000)
		if !slices.Equal(r.dead, []int{at}) || len(r.passed) != 999 || !slices.IsSorted(r.passed) {
			t.Errorf("%d: set aside %v, passed %d", at, r.dead, len(r.passed))
		}
		const bits = 10
		if most := bits + 3 + bits + 1; r.calls > most { // halves, alone, the rest in growing batches
			t.Errorf("%d: %d calls after the budget, want at most %d", at, r.calls, most)
		}
		if budget := int64(120_000); r.spent < budget || r.spent > budget+3000 || r.now-r.spent > 1000 {
			t.Errorf("%d: the budget was spent at %d ms, all was over %d ms later", at, r.spent, r.now-r.spent)
		}
	}
}

// TestClockLeaps: when the clock is set forward while a call is out, or the machine sleeps, a function that answers badly for a moment
// has at least half of its budget left.
func TestClockLeaps(t *testing.T) {
	const hour = 3_600_000
	r := newPoisonRun(t, 1, 0)
	began := r.now
	r.leap = hour
	r.play(1)
	if took := r.now - began - hour; !slices.Equal(r.dead, []int{0}) || took < 60_000 || took > 65_000 {
		t.Errorf("set aside %v after %d ms of wrong answers", r.dead, took)
	}
}

// TestManyPoisoned: those at fault in one batch do not each take a budget.
func TestManyPoisoned(t *testing.T) {
	var poison []int
	for i := 3; i < 1000; i += 7 {
		poison = append(poison, i)
	}
	r := newPoisonRun(t, 1000, poison...)
	r.play(1000)
	if !slices.Equal(r.dead, poison) || !slices.IsSorted(r.passed) {
		t.Errorf("set aside %d, want %d; passed %d", len(r.dead), len(poison), len(r.passed))
	}
	if took := r.now - r.spent; took > int64(len(poison))*100 {
		t.Errorf("%d messages took %d ms after the budget of the first", len(poison), took)
	}
	all := make([]int, 50)
	for i := range all {
		all[i] = i
	}
	r = newPoisonRun(t, 50, all...)
	r.play(50)
	if !slices.Equal(r.dead, all) {
		t.Errorf("set aside %v", r.dead)
	}
}

// TestConvictionIsOneCut: the commit that holds a dead letter is the one that finishes its message, and no state is in it; whether the
// message is still its source's, or was kept because that took long.
func TestConvictionIsOneCut(t *testing.T) {
	for _, budget := range []int64{100, 120_000} {
		r := newPoisonRunOf(t, budget, 10, 4)
		r.play(10)
		letters := 0
		for _, c := range append(r.cuts, r.m.Work().Commit) {
			if c == nil {
				continue
			}
			letters += len(c.DeadLetters)
			if done := finishes(c, 4, budget > 10_000); done && letters == 0 || !done && len(c.DeadLetters) > 0 || len(c.States) > 0 {
				t.Errorf("budget %d: commit %d has %d letters, finishes the message: %v, states %v", budget, c.Number, len(c.DeadLetters), done, c.States)
			}
		}
		if letters != 1 {
			t.Errorf("budget %d: %d letters are committed", budget, letters)
		}
	}
}

// finishes reports whether a commit finishes the record at an offset, or the message that it was kept as.
func finishes(c *statestore.Commit, offset int64, kept bool) bool {
	if kept {
		return slices.ContainsFunc(c.PackMarks, func(m statestore.PackMark) bool { return m.Remove || slices.Contains(m.Finished, uint64(offset)+1) })
	}
	return slices.ContainsFunc(c.Progress, func(p statestore.Progress) bool { return p.Targets[0].Done.Contains(offset) })
}
