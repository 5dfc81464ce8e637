package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// walk answers what a walk tells.
func walk(t *testing.T, o *owner, w statestore.Walk) (states []statestore.AddressState, holding statestore.Holding) {
	t.Helper()
	told := 0
	w.Holding = func(h statestore.Holding) error {
		told++
		if len(states) > 0 {
			t.Error("walk told of addresses first")
		}
		holding = h
		return nil
	}
	w.Address = func(a statestore.AddressState) error { states = append(states, a); return nil }
	if err := o.store.Walk(t.Context(), w); err != nil {
		t.Fatalf("walk: %v", err)
	}
	if told != 1 {
		t.Errorf("walk told %d times what the store holds", told)
	}
	return states, holding
}

// withoutExpires takes out what a walk need not tell.
func withoutExpires(states []statestore.AddressState) []statestore.AddressState {
	for i := range states {
		states[i].Expires = 0
	}
	return states
}

// sortedStates are states as a walk tells them of what was written.
func sortedStates(written []statestore.AddressState) []statestore.AddressState {
	out := make([]statestore.AddressState, len(written))
	for i, s := range written {
		out[i] = statestore.AddressState{Address: s.Address, Values: stored(s.Values...)}
	}
	slices.SortFunc(out, func(a, b statestore.AddressState) int {
		return bytes.Compare(statestore.AddressKey(a.Address), statestore.AddressKey(b.Address))
	})
	return out
}

func functionsOf(addresses []api.Address) map[api.FunctionType]bool {
	m := map[api.FunctionType]bool{}
	for _, a := range addresses {
		m[a.Type] = true
	}
	return m
}

// population writes many addresses of several functions, and answers what was written.
func population(o *owner, n int) (written []statestore.AddressState) {
	for i := range n {
		a := at(fn("shop", fmt.Sprint("f", i%4)), fmt.Sprintf("%c/%d", 'a'+i%3, i))
		written = append(written, statestore.AddressState{Address: a, Values: []statestore.StateValue{state("n", fmt.Sprint(i)), state("o", "")}})
	}
	for some := range slices.Chunk(written, 700) {
		o.commit(statestore.Commit{States: some})
	}
	return written
}

func testWalk(t *testing.T, f *Fixture) {
	o := f.own(t)
	if states, holding := walk(t, o, statestore.Walk{}); len(states) != 0 || holding.Messages != 0 || len(holding.Functions) != 0 {
		t.Errorf("an empty store holds %v, %+v", states, holding)
	}
	written := population(o, 1700) // more than one page
	o.commit(write(written[5].Address))
	written = slices.Delete(written, 5, 6)
	o = o.restart()
	states, _ := walk(t, o, statestore.Walk{})
	same(t, "walk", sortedStates(written), withoutExpires(states))
}

// What is committed while a walk goes on is not seen: neither what is new, nor what is gone, nor what has changed.
func testWalkView(t *testing.T, f *Fixture) {
	o := f.own(t)
	written := population(o, 1300)
	large := statestore.AddressState{Address: at(fn("shop", "f9"), "large"), Values: []statestore.StateValue{state("n", strings.Repeat("l", 3*statestore.StateApartAbove))}}
	o.commit(statestore.Commit{States: []statestore.AddressState{large}})
	reader := f.open(t) // as another process
	change := func() {
		o.commit(write(written[0].Address))
		o.commit(write(large.Address, state("n", strings.Repeat("m", 3*statestore.StateApartAbove))))
		o.commit(write(written[1].Address, state("n", "changed")))
		o.commit(write(at(fn("shop", "f2"), "new"), state("n", "new")))
		o.commit(statestore.Commit{NextNumber: 9, Packs: []statestore.Pack{{Number: 8, Messages: []statestore.Mail{{Number: 8, Message: message(written[2].Address, "x")}}}}})
	}
	var states []statestore.AddressState
	err := reader.Walk(t.Context(), statestore.Walk{
		Holding: func(h statestore.Holding) error {
			if h.Messages != 0 {
				t.Errorf("%d messages wait", h.Messages)
			}
			change()
			return nil
		},
		Address: func(a statestore.AddressState) error {
			if len(states) == 600 {
				o.commit(write(written[1299].Address))
			}
			states = append(states, a)
			return nil
		},
	})
	if err != nil {
		t.Fatalf("walk: %v", err)
	}
	same(t, "walk", sortedStates(append(written, large)), withoutExpires(states))
	states, holding := walk(t, o, statestore.Walk{})
	if len(states) != 1300 || holding.Messages != 1 {
		t.Errorf("a later walk tells of %d addresses and %d messages", len(states), holding.Messages)
	}
}

func testWalkSome(t *testing.T, f *Fixture) {
	o := f.own(t)
	written := population(o, 60)
	long := strings.Repeat("p", statestore.KeyBytesMax)
	for _, id := range []string{long, long + "q", long + "qq", long[1:] + "q", "\xc3", "a"} {
		written = append(written, statestore.AddressState{Address: at(fn("shop", "f1"), id), Values: []statestore.StateValue{state("n", "x")}})
		o.commit(write(at(fn("shop", "f1"), id), state("n", "x")))
	}
	f0, f1, none := fn("shop", "f0"), fn("shop", "f1"), fn("shop", "f")
	for _, w := range []statestore.Walk{
		{Functions: []api.FunctionType{f1}}, {Functions: []api.FunctionType{f1, f0, f1}}, {Functions: []api.FunctionType{none}},
		{IDPrefix: "b/"}, {IDPrefix: "b/1", Functions: []api.FunctionType{f0, f1}}, {IDPrefix: "zz"}, {IDPrefix: "a", Functions: []api.FunctionType{f1}},
		{IDPrefix: long + "q", Functions: []api.FunctionType{f1}}, {IDPrefix: long + "q"}, {IDPrefix: long[1:], Functions: []api.FunctionType{f1}},
	} {
		var want []statestore.AddressState
		for _, s := range written {
			if (len(w.Functions) == 0 || slices.Contains(w.Functions, s.Address.Type)) && strings.HasPrefix(s.Address.ID, w.IDPrefix) {
				want = append(want, s)
			}
		}
		states, _ := walk(t, o, w)
		same(t, fmt.Sprintf("walk of %v, ids with %.20q", w.Functions, w.IDPrefix), sortedStates(want), withoutExpires(states))
	}
}

// Large values stand apart: each must come to its own address and name.
func testWalkLarge(t *testing.T, f *Fixture) {
	o := f.own(t)
	var written []statestore.AddressState
	for i := range 40 {
		a := statestore.AddressState{Address: at(counter, fmt.Sprint(i))}
		for j := range i % 4 {
			size := 10
			if (i+j)%2 == 0 {
				size = statestore.StateApartAbove + 1 + i
			}
			a.Values = append(a.Values, state(fmt.Sprint("s", j), strings.Repeat(string(rune('a'+j)), size)))
		}
		if len(a.Values) > 0 {
			written = append(written, a)
		}
	}
	for i := range 300 { // together more than a page, although none is large
		a := statestore.AddressState{Address: at(fn("shop", "wide"), fmt.Sprint(i))}
		for j := range 5 {
			a.Values = append(a.Values, state(fmt.Sprint("s", j), strings.Repeat(string(rune('a'+j)), statestore.StateApartAbove)))
		}
		written = append(written, a)
	}
	o.commit(statestore.Commit{States: written})
	o = o.restart()
	states, _ := walk(t, o, statestore.Walk{})
	same(t, "walk", sortedStates(written), withoutExpires(states))
}

// An error of whom it tells ends a walk, and so does the end of its context; the store goes on.
func testWalkEnds(t *testing.T, f *Fixture) {
	o := f.own(t)
	population(o, 1200)
	enough := errors.New("enough")
	err := o.store.Walk(t.Context(), statestore.Walk{Holding: func(statestore.Holding) error { return enough }, Address: func(statestore.AddressState) error { return nil }})
	exact(t, "error", true, err == enough)
	seen := 0
	err = o.store.Walk(t.Context(), statestore.Walk{Holding: func(statestore.Holding) error { return nil }, Address: func(statestore.AddressState) error {
		if seen++; seen == 700 {
			return enough
		}
		return nil
	}})
	if err != enough || seen != 700 {
		t.Errorf("after %d addresses: %v", seen, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	seen = 0
	err = o.store.Walk(ctx, statestore.Walk{Holding: func(statestore.Holding) error { return nil }, Address: func(statestore.AddressState) error {
		if seen++; seen == 2 {
			cancel()
		}
		return nil
	}})
	if !errors.Is(err, statestore.ErrUnavailable) || seen >= 1200 {
		t.Errorf("after %d addresses: %v", seen, err)
	}
	o.commit(write(at(counter, "x"), state("n", "1")))
	if states, _ := walk(t, o, statestore.Walk{}); len(states) != 1201 {
		t.Errorf("%d addresses", len(states))
	}
}

// testHolding counts what a store holds beside states.
func testHolding(t *testing.T, f *Fixture) {
	o := f.own(t, "ns/out")
	x := at(counter, "x")
	mails := func(from, n uint64) (out []statestore.Mail) {
		for i := range n {
			out = append(out, statestore.Mail{Number: from + i, Message: message(x, "m")})
		}
		return out
	}
	spec := statestore.FunctionSpec{Function: counter, States: []statestore.StateSpec{{Name: "n", TypeName: "test/text", Expiration: statestore.ExpireAfterInvoke, TTL: 5}}}
	other := statestore.FunctionSpec{Function: fn("a", "longer"), States: []statestore.StateSpec{{Name: "n"}}}
	lane := statestore.LaneID{Egress: "ns/out"}
	o.commit(statestore.Commit{
		NextNumber: 100, Functions: []statestore.FunctionSpec{spec, other}, Packs: []statestore.Pack{{Number: 1, Messages: mails(1, 5)}, {Number: 10, Messages: mails(10, 3)}},
		Mail:     []statestore.MailChunk{{Address: x, Messages: mails(20, 7)}},
		Timers:   []statestore.Timer{{TimerKey: statestore.TimerKey{Due: 5, Number: 30}, Message: message(x, "t")}, {TimerKey: statestore.TimerKey{Due: 6, Number: 31}, Message: message(x, "t")}},
		Outputs:  []statestore.OutputPack{outputs("ns/out", 1, "a", "b", "c")},
		Progress: []statestore.Progress{{Source: api.Source{Ingress: "ns/in", Topic: "t", Partition: 2}}}, DeadLetters: []api.DeadLetter{dead(40)},
	})
	_, holding := walk(t, o, statestore.Walk{})
	same(t, "holding", statestore.Holding{Functions: []statestore.FunctionSpec{spec, other}, Messages: 15, Timers: 2, Outputs: 3, DeadLetters: 1, Sources: 1}, byName(holding))
	o.commit(statestore.Commit{
		PackMarks: []statestore.PackMark{{Number: 1, Finished: []uint64{1, 3}}, {Number: 10, Remove: true}}, MailTrims: []statestore.MailTrim{{Address: x, Below: 22}},
		TimerEnds: []statestore.TimerKey{{Due: 5, Number: 30}}, Trims: []statestore.Trim{{Lane: lane, Below: 4}}, DeadEnds: []uint64{40},
	})
	_, holding = walk(t, o, statestore.Walk{Functions: []api.FunctionType{fn("no", "ne")}})
	same(t, "holding", statestore.Holding{Functions: []statestore.FunctionSpec{spec, other}, Messages: 8, Timers: 1, Sources: 1}, byName(holding))
}

// byName puts specs into the order in which the test names them: that of keys is the store's business.
func byName(h statestore.Holding) statestore.Holding {
	slices.SortFunc(h.Functions, func(a, b statestore.FunctionSpec) int {
		return strings.Compare(b.Function.Namespace, a.Function.Namespace)
	})
	return h
}
