package storetest

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

func timer(due int64, number uint64, sender api.Address, token string) statestore.Timer {
	m := message(at(counter, "receiver"), fmt.Sprint("timer ", number))
	m.Caller = sender
	return statestore.Timer{TimerKey: statestore.TimerKey{Due: due, Number: number}, Token: token, Message: m}
}

func expectTimers(t *testing.T, o *owner, want ...statestore.Timer) {
	t.Helper()
	for _, limit := range []int{1, 3, 1000} {
		var all []statestore.Timer
		after := statestore.TimerKey{Due: math.MinInt64}
		for {
			page, err := o.store.Timers(t.Context(), after, math.MaxInt64, limit)
			if err != nil || len(page) > limit {
				t.Fatalf("%d timers, %v", len(page), err)
			}
			if len(page) == 0 {
				break
			}
			all = append(all, page...)
			after = page[len(page)-1].TimerKey
		}
		same(t, fmt.Sprint("timers in pages of ", limit), want, all)
	}
}

func testTimers(t *testing.T, f *Fixture) {
	o := f.own(t)
	s := at(counter, "sender")
	a, b, c, d := timer(100, 9, s, ""), timer(100, 10, s, "t"), timer(-5, 11, s, ""), timer(math.MaxInt64-1, 12, s, "")
	o.commit(statestore.Commit{NextNumber: 50, Timers: []statestore.Timer{b, d, a}})
	o.commit(statestore.Commit{Timers: []statestore.Timer{c}})
	o = o.restart()
	expectTimers(t, o, c, a, b, d)
	window := func(after statestore.TimerKey, due int64, want ...statestore.Timer) {
		t.Helper()
		got, err := o.store.Timers(t.Context(), after, due, 10)
		check(t, fmt.Sprintf("after %v before %d", after, due), want, got, err)
	}
	window(statestore.TimerKey{Due: math.MinInt64}, 100, c)
	window(statestore.TimerKey{Due: 100, Number: 9}, 101, b)
	window(statestore.TimerKey{Due: 99, Number: math.MaxUint64}, 101, a, b)
	window(statestore.TimerKey{Due: 100, Number: math.MaxUint64}, math.MaxInt64, d)
	window(statestore.TimerKey{Due: 50}, 100)
	o.commit(statestore.Commit{TimerEnds: []statestore.TimerKey{a.TimerKey, {Due: 1, Number: 1}, {Due: 100, Number: 12}}})
	o = o.restart()
	expectTimers(t, o, c, b, d)
	o.commit(statestore.Commit{TimerEnds: []statestore.TimerKey{b.TimerKey, c.TimerKey, d.TimerKey}})
	expectTimers(t, o)
}

func testCancels(t *testing.T, f *Fixture) {
	o := f.own(t)
	s, other, sameID := at(counter, "id"), at(counter, "other"), at(fn("another", "function"), "id")
	one, two, three, four, five := timer(10, 1, s, "t"), timer(10, 2, sameID, "t"), timer(10, 3, s, "u"), timer(10, 4, other, "t"), timer(10, 5, s, "")
	o.commit(statestore.Commit{NextNumber: 50, Timers: []statestore.Timer{one, two, three, four, five}})
	o.commit(statestore.Commit{Cancels: []statestore.Cancel{{SenderID: "id", Token: "t", Below: 1}, {SenderID: "nobody", Token: "t", Below: 50}, {SenderID: "id", Token: "T", Below: 50}}})
	expectTimers(t, o, one, two, three, four, five)
	// The token counts for any function with the id. What the same commit adds is newer than what it cancels.
	again := timer(10, 6, s, "t")
	o.commit(statestore.Commit{Cancels: []statestore.Cancel{{SenderID: "id", Token: "t", Below: 6}}, Timers: []statestore.Timer{again}})
	o = o.restart()
	expectTimers(t, o, three, four, five, again)
	o.commit(statestore.Commit{Cancels: []statestore.Cancel{{SenderID: "id", Token: "t", Below: math.MaxUint64}, {SenderID: "id", Token: "u", Below: 4}}})
	expectTimers(t, o, four, five) // no number is above the highest bound
	newer := timer(10, 9, s, "t")
	o.commit(statestore.Commit{Cancels: []statestore.Cancel{{SenderID: "id", Token: "t", Below: 10}}, Timers: []statestore.Timer{newer}}) // below is no matter: it comes first
	expectTimers(t, o, four, five, newer)
}

func testTokens(t *testing.T, f *Fixture) {
	o := f.own(t)
	long := strings.Repeat("t", api.TokenBytesMax)
	tokens := append(oddIDs()[1:], long, long[1:], long[2:]+"é")
	var all []statestore.Timer
	for i, token := range tokens {
		all = append(all, timer(10, uint64(i+1), at(counter, "s"), token))
	}
	for i, id := range oddIDs() { // and as ids of senders
		all = append(all, timer(20, uint64(i+1000), at(counter, id), "token"))
	}
	all = append(all, timer(30, 2000, at(counter, "ab"), "c"), timer(30, 2001, at(counter, "a"), "bc"), timer(30, 2002, at(counter, long), long))
	o.commit(statestore.Commit{NextNumber: 3000, Timers: all})
	o = o.restart()
	for len(all) > 0 {
		gone := all[len(all)/2]
		all = append(append([]statestore.Timer(nil), all[:len(all)/2]...), all[len(all)/2+1:]...)
		o.commit(statestore.Commit{Cancels: []statestore.Cancel{{SenderID: gone.Message.Caller.ID, Token: gone.Token, Below: 3000}}})
		found, err := o.store.Timers(t.Context(), statestore.TimerKey{}, math.MaxInt64, 1000)
		check(t, fmt.Sprintf("timers without token %.20q", gone.Token), all, found, err)
		if t.Failed() {
			return
		}
	}
}
