//go:build unix

package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// sample is a small history that is right: what went in, what came out, and when each was sent.
type sample struct {
	inputs           []input
	accounts, audits map[string][]output
	calls            map[string]time.Duration
}

func newSample() *sample {
	s := &sample{accounts: map[string][]output{}, audits: map[string][]output{}, calls: map[string]time.Duration{}}
	for i, e := range []event{
		{"c0-0", kindAdd, 5, "g0"}, {"c0-1", kindSet, 7, "g0"}, {"c0-2", kindChain, 1, "g0"}, {"c0-3", kindAdd, 2, "g0"}, {"c0-4", kindCancel, 3, "g0"},
		{"c0-5", kindRace, 4, "g0"}, {"c0-6", kindDelay, 6, "g0"}, {"c0-7", kindFan, 1, "g0"}, {"c0-8", kindAdd, 9, "g0"}, {"c0-9", kindChain, 2, "g0"},
	} {
		source := "events/1"
		if i%2 == 0 {
			source = "pairs/1"
			s.audits["k"] = append(s.audits["k"], output{result: result{count: len(s.audits["k"]) + 1, op: e.op}})
		}
		s.inputs = append(s.inputs, input{e, "k", source, int64(i)})
		s.calls[e.op] = time.Duration(i) * time.Second
		ids, orders := e.orders("k", 0)
		for n, id := range ids {
			if e.kind != kindCancel && e.kind != kindRace {
				s.run(id, orders[n], s.calls[e.op]+10*time.Second)
			}
		}
	}
	return s
}

// run adds the output of an order.
func (s *sample) run(id string, o order, at time.Duration) {
	before := s.accounts[id]
	old := 0
	if len(before) > 0 {
		old = before[len(before)-1].new
	}
	s.accounts[id] = append(before, output{result: result{len(before) + 1, o.op, o.how, o.n, old, apply(o.how, o.n, old), ""}, at: at})
}

// again runs the orders of account k anew, in another order: each output is right for itself.
func (s *sample) again(ops ...string) {
	was := s.accounts["k"]
	s.accounts["k"] = nil
	for _, op := range ops {
		i := slices.IndexFunc(was, func(o output) bool { return o.op == op })
		s.run("k", order{op: op, how: was[i].how, n: was[i].n}, was[i].at)
	}
}

// judged is all that the judges say of outputs.
func (s *sample) judged() string {
	wrong := judgeOutputs(s.inputs, s.accounts, s.audits)
	for _, id := range slices.Sorted(maps.Keys(s.accounts)) {
		called := func(op string) (time.Duration, bool) { at, ok := s.calls[op]; return at, ok }
		if text := linearizable(s.accounts[id], called); text != "" {
			wrong = append(wrong, text)
		}
	}
	return strings.Join(wrong, "\n")
}

// Judges are trusted once they have found what they are for.
func TestJudges(t *testing.T) {
	right := []string{"c0-0", "c0-1", "c0-2", "c0-3", "c0-6", "c0-8", "c0-9"}
	for _, c := range []struct {
		name  string
		spoil func(s *sample)
		want  string // "": nothing is wrong
	}{
		{"right", func(*sample) {}, ""},
		{"the cancellation lost the race", func(s *sample) { s.run("k", order{op: "c0-5", how: kindRace, n: 4}, time.Minute) }, ""},
		{"the chain was overtaken", func(s *sample) { s.again("c0-0", "c0-1", "c0-3", "c0-2", "c0-6", "c0-8", "c0-9") }, ""},
		{"an output is lost", func(s *sample) { s.accounts["k"] = slices.Delete(s.accounts["k"], 2, 3) }, "order c0-2 (chain) of k ran 0 times"},
		{"an output came twice", func(s *sample) { s.accounts["k"] = slices.Insert(s.accounts["k"], 3, s.accounts["k"][2]) }, "ran 2 times"},
		{"an order ran twice", func(s *sample) { s.again(append(right, "c0-3")...) }, "order c0-3 (add) of k ran 2 times"},
		{"a race ran twice", func(s *sample) {
			s.run("k", order{op: "c0-5", how: kindRace, n: 4}, time.Minute)
			s.run("k", order{op: "c0-5", how: kindRace, n: 4}, time.Minute)
		}, "order c0-5 (race) of k ran 2 times"},
		{"a cancelled one ran", func(s *sample) { s.run("k", order{op: "c0-4", how: kindCancel, n: 3}, time.Minute) }, "was cancelled, and ran 1 times"},
		{"nobody asked", func(s *sample) { s.run("k", order{op: "c9-0", how: kindAdd, n: 3}, time.Minute) }, "nobody has given this order"},
		{"for another", func(s *sample) { s.run("j", order{op: "c0-5", how: kindRace, n: 4}, time.Minute) }, "the order is for k"},
		{"another amount", func(s *sample) { s.accounts["k"][0].n = 4 }, "the order is c0-0 add 5"},
		{"out of order", func(s *sample) { s.again("c0-1", "c0-0", "c0-2", "c0-3", "c0-6", "c0-8", "c0-9") }, ""}, // two partitions
		{"out of order in a partition", func(s *sample) { s.again("c0-8", "c0-0", "c0-1", "c0-2", "c0-3", "c0-6", "c0-9") }, "a later one of pairs/1 k has overtaken it"},
		{"outputs out of order", func(s *sample) { slices.Reverse(s.accounts["k"]) }, "the count is not 1"},
		{"a state was rolled back", func(s *sample) { s.accounts["k"][3].old = 7; s.accounts["k"][3].new = 9 }, "the balance was 8"},
		{"in two partitions", func(s *sample) { s.accounts["k"][3].partition = 2 }, "it is in partition 2"},
		{"early", func(s *sample) { s.accounts["k"][4].wrong = "early-by-3ms" }, "early-by-3ms"},
		{"an audit is lost", func(s *sample) { s.audits["k"] = s.audits["k"][:4] }, "audit k: got 4 outputs, want 5"},
		{"audits out of order", func(s *sample) { s.audits["k"][1].op, s.audits["k"][2].op = s.audits["k"][2].op, s.audits["k"][1].op }, "from output 2 on"},
		{"an audit came twice", func(s *sample) { s.audits["k"] = append(s.audits["k"], s.audits["k"][4]) }, "count 5 of output 6"},
		{"the past was changed", func(s *sample) { // c0-9 was sent after c0-8 had come out, and ran before it
			s.calls["c0-9"] = time.Hour
			s.accounts["k"][5].at, s.accounts["k"][6].at = time.Minute, 2*time.Hour
			s.again("c0-0", "c0-1", "c0-2", "c0-3", "c0-6", "c0-9", "c0-8")
		}, "not linearizable"},
	} {
		s := newSample()
		c.spoil(s)
		if got := s.judged(); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// An account finds out by itself when a message comes early or a state expires at the wrong time.
func TestExpiryIsChecked(t *testing.T) {
	now := time.UnixMilli(100_000_000)
	ms := now.UnixMilli()
	for _, c := range []struct {
		state  balance
		recent string
		want   string
	}{
		{balance{}, "", ""},
		{balance{1, 1, ms - 100}, fmt.Sprint(ms - 100), ""},
		{balance{1, 1, ms - recentFor.Milliseconds()}, "", ""},
		{balance{1, 1, ms - recentFor.Milliseconds() - 1000}, fmt.Sprint(ms - recentFor.Milliseconds() - 1000), ""},
		{balance{1, 1, ms - recentFor.Milliseconds() + 1}, "", "expired-after-1999ms"},
		{balance{1, 1, ms - 100_000}, fmt.Sprint(ms - 100_000), "not-expired-after-100000ms"},
		{balance{1, 1, ms - 100}, fmt.Sprint(ms - 90), "torn-state"},
		{balance{}, fmt.Sprint(ms), "torn-state"},
	} {
		if got := checkExpiry(c.state, c.recent, now); got != c.want {
			t.Errorf("%v, %q: got %q, want %q", c.state, c.recent, got, c.want)
		}
	}
}

// The same seed is the same plan and the same events.
func TestPlanIsOfTheSeed(t *testing.T) {
	all := slices.Concat(common, onPostgres)
	names := func(seed uint64) (out []string) {
		kills := 0
		for _, s := range planOf(newRand(seed), all[:3], all, 100) {
			out = append(out, fmt.Sprint(s.name, s.seed, s.locked))
			kills += s.kills
		}
		if kills < 100 {
			t.Errorf("seed %d: %d kills, want 100", seed, kills)
		}
		for _, b := range all {
			if !slices.ContainsFunc(out, func(s string) bool { return strings.HasPrefix(s, b.name) }) {
				t.Errorf("seed %d: a long plan without %q", seed, b.name)
			}
		}
		d := drawing{rand: newRand(seed), client: 1}
		for range 100 {
			topic, key, e := d.next()
			out = append(out, topic+key+e.String())
		}
		return out
	}
	if !slices.Equal(names(7), names(7)) {
		t.Error("one seed, two plans")
	}
	if slices.Equal(names(7), names(8)) {
		t.Error("two seeds, one plan")
	}
}
