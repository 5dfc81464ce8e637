package storetest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

func write(a api.Address, values ...statestore.StateValue) statestore.Commit {
	return statestore.Commit{States: []statestore.AddressState{{Address: a, Values: values}}}
}

func testStates(t *testing.T, f *Fixture) {
	o := f.own(t)
	x, y := at(counter, "x"), at(counter, "y")
	o.commit(write(x, state("a", "1"), state("b", "")))
	o.commit(write(y, state("a", "2")))
	same(t, "states", []statestore.Loaded{{Values: stored(state("a", "2"))}, {}, {Values: stored(state("a", "1"), state("b", ""))}, {Values: stored(state("a", "2"))}},
		o.states(y, at(counter, "unknown"), x, y))
	touched := state("a", "1")
	touched.Touched, touched.Changed = 99, false
	o.commit(write(x, touched)) // b is gone
	o = o.restart()
	same(t, "states", stored(touched), o.states(x)[0].Values)
	o.commit(write(x)) // all are gone
	o.commit(write(x)) // and gone again
	o = o.restart()
	same(t, "states", []statestore.Loaded{{}, {Values: stored(state("a", "2"))}}, o.states(x, y))
	o.commit(write(x, state("a", "back")))
	same(t, "states", stored(state("a", "back")), o.states(x)[0].Values)
}

// Large values stand apart: they are kept when they did not change, replaced when they did, and removed when they are gone.
func testLargeStates(t *testing.T, f *Fixture) {
	o := f.own(t)
	x := at(counter, "x")
	large := func(name string, fill byte, size int) statestore.StateValue {
		return state(name, strings.Repeat(string(fill), size))
	}
	kept := func(v statestore.StateValue) statestore.StateValue {
		v.Changed = false
		return v
	}
	long := strings.Repeat("n", api.NameBytesMax)
	a, b, small := large(long+"a", 'a', 1<<20), large(long+"b", 'b', 100_000), state("small", "1")
	expect := func(when string, values ...statestore.StateValue) {
		t.Helper()
		for i := range 2 { // as it is remembered, and as another process finds it
			if i == 1 {
				o = o.restart()
			}
			got := o.states(x)[0].Values
			if len(got) != len(values) {
				t.Fatalf("%s: %d values, want %d", when, len(got), len(values))
			}
			for i, want := range values {
				if got[i].Name != want.Name || !bytes.Equal(got[i].Value, want.Value) || got[i].Touched != want.Touched || got[i].TypeName != want.TypeName {
					t.Errorf("%s: state %d is %.20q with %d bytes, want %.20q with %d", when, i, got[i].Name, len(got[i].Value), want.Name, len(want.Value))
				}
			}
		}
	}
	o.commit(write(x, a, b, small))
	expect("written", a, b, small)
	small = state("small", "2")
	b = large(long+"b", 'c', 100_000)
	o.commit(write(x, kept(a), b, small))
	expect("one changed", a, b, small)
	a.Touched = 77
	o.commit(write(x, kept(a), kept(b), kept(small)))
	expect("touched", a, b, small)
	o.commit(write(x, kept(b)))
	expect("one gone", b)
	b = large(long+"b", 'd', 10)
	o.commit(write(x, b))
	expect("small now", b)
	b = large(long+"b", 'e', 9000)
	o.commit(write(x, b))
	expect("large again", b)
	o.commit(write(x))
	expect("all gone")
	b = large(long+"b", 'f', 3)
	o.commit(write(x, b, state("z", "z")))
	expect("new after all were gone", b, state("z", "z"))
	for size := statestore.StateApartAbove - 2; size < statestore.StateApartAbove+3; size++ { // wherever the border is, neighbours survive it
		v := large("edge", byte('0'+size%10), size)
		o.commit(write(x, v, state("n", "1")))
		o.commit(write(x, kept(v), state("n", "2")))
		expect("edge", v, state("n", "2"))
	}
}

func testHugeState(t *testing.T, f *Fixture) {
	o := f.own(t)
	x, y := at(counter, "x"), at(counter, "y")
	huge := state("huge", "")
	huge.Value = make([]byte, 20<<20)
	rng := rand.NewChaCha8([32]byte{1})
	_, _ = rng.Read(huge.Value)
	o.commit(statestore.Commit{States: []statestore.AddressState{{Address: x, Values: []statestore.StateValue{huge}}, {Address: y, Values: []statestore.StateValue{state("n", "1")}}}})
	o = o.restart()
	found := o.states(x, y)
	if !bytes.Equal(found[0].Values[0].Value, huge.Value) {
		t.Error("a value of 20 MiB did not come back")
	}
	same(t, "neighbour", stored(state("n", "1")), found[1].Values)
}

func testExpired(t *testing.T, f *Fixture) {
	o := f.own(t)
	put := func(id string, expires int64) {
		t.Helper()
		o.commit(statestore.Commit{States: []statestore.AddressState{{Address: at(counter, id), Values: []statestore.StateValue{state("n", id)}, Expires: expires}}})
	}
	for i, id := range []string{"a", "b", "c", "never"} {
		put(id, map[bool]int64{true: int64(100 * (i + 1))}[id != "never"])
	}
	expect := func(before int64, limit int, ids ...string) {
		t.Helper()
		found, err := o.store.ExpiredAddresses(t.Context(), before, limit)
		want := map[api.Address]bool{}
		for _, id := range ids {
			want[at(counter, id)] = true
		}
		got := map[api.Address]bool{}
		for _, a := range found {
			got[a] = true
		}
		check(t, fmt.Sprintf("expired before %d", before), want, got, err)
	}
	expect(100, 10)
	expect(101, 10, "a")
	expect(300, 10, "a", "b")
	expect(1<<62, 10, "a", "b", "c")
	if found, err := o.store.ExpiredAddresses(t.Context(), 1<<62, 2); len(found) != 2 || err != nil {
		t.Errorf("at most 2: %v, %v", found, err)
	}
	put("a", 1000) // refreshed
	put("b", 0)    // does not expire any more
	o.commit(write(at(counter, "c")))
	expect(1000, 10)
	o = o.restart()
	expect(1<<62, 10, "a")
}

func testManyStates(t *testing.T, f *Fixture) {
	o := f.own(t)
	var c statestore.Commit
	var addresses []api.Address
	for i := range 1200 {
		a := at(fn("shop", fmt.Sprint("f", i%3)), fmt.Sprint(i))
		addresses = append(addresses, a)
		if i%2 == 0 {
			c.States = append(c.States, statestore.AddressState{Address: a, Values: []statestore.StateValue{state("n", fmt.Sprint(i))}})
		}
	}
	o.commit(c)
	for i, l := range o.states(addresses...) {
		var want []statestore.StateValue
		if i%2 == 0 {
			want = stored(state("n", fmt.Sprint(i)))
		}
		same(t, fmt.Sprint("address ", i), want, l.Values)
	}
}

// oddIDs are ids that have broken stores before.
func oddIDs() []string {
	long := strings.Repeat("x", 2<<10)
	limit := strings.Repeat("é", api.IDBytesMax/2)
	return []string{
		"", "\x00", "\x00\x00", "a\x00", "a", "A", "a ", " a", "%", "_", "'", "\"", "\\", "\\x00", "/", ".", "..", "\n", "\r\n", "\u2028", "\ufeff", "\ufffd", "\U0010ffff", "é", "e\u0301",
		long, long + "1", long + "2", limit, limit[:len(limit)-2] + "ab", limit[:len(limit)-2] + "ba", strings.Repeat("\x00", api.IDBytesMax),
	}
}

func testIDs(t *testing.T, f *Fixture) {
	o := f.own(t)
	long := strings.Repeat("n", api.NameBytesMax)
	types := []api.FunctionType{counter, fn("a.b", "c"), fn("a", "b.c"), fn("a/b", "c"), fn("a", "b/c"), fn("", "c"), fn(long, long), fn(long, long[1:])}
	var addresses []api.Address
	for _, ft := range types {
		for _, id := range oddIDs() {
			addresses = append(addresses, at(ft, id))
		}
	}
	everywhere(t, o, addresses)
}

// everywhere uses each address as one in every place that has a key, and expects none to be taken for another.
func everywhere(t *testing.T, o *owner, addresses []api.Address) {
	t.Helper()
	c := statestore.Commit{NextNumber: 1}
	number := func() uint64 { c.NextNumber++; return c.NextNumber - 1 }
	for i, a := range addresses {
		text := fmt.Sprint("value ", i)
		c.States = append(c.States, statestore.AddressState{Address: a, Values: []statestore.StateValue{state("n", text), state("odd "+text, strings.Repeat("L", 9000)+text)}, Expires: int64(i + 1)})
		c.Mail = append(c.Mail, statestore.MailChunk{Address: a, Messages: []statestore.Mail{{Number: number(), Message: message(a, text)}}})
		m := message(a, text)
		m.Caller = a
		c.Timers = append(c.Timers, statestore.Timer{TimerKey: statestore.TimerKey{Due: int64(i), Number: number()}, Token: "t", Message: m})
	}
	o.commit(c)
	o = o.restart()
	for i, l := range o.states(addresses...) {
		want := statestore.Loaded{Values: stored(c.States[i].Values...), Spilled: 1, SpilledBytes: int64(c.Mail[i].Messages[0].Message.Size()), First: c.Mail[i].Messages[0].Number, Last: c.Mail[i].Messages[0].Number}
		same(t, fmt.Sprintf("address %d, id of %d bytes", i, len(addresses[i].ID)), want, l)
		mail, err := o.store.Mail(t.Context(), addresses[i], 0, 1<<20)
		check(t, "mail", c.Mail[i].Messages, mail, err)
	}
	timers, err := o.store.Timers(t.Context(), statestore.TimerKey{Due: -1}, 1<<62, len(addresses)+1)
	check(t, "timers", c.Timers, timers, err)
	expired, err := o.store.ExpiredAddresses(t.Context(), 1<<62, len(addresses)+1)
	check(t, "expired addresses", set(addresses), set(expired), err)
	found := map[api.Address]bool{}
	for a := range set(addresses) {
		if found[a] {
			continue
		}
		list, next, err := o.store.SpilledAddresses(t.Context(), a.Type, nil, len(addresses)+1)
		if err != nil || next != nil {
			t.Fatalf("spilled addresses: next %q, %v", next, err)
		}
		for _, b := range list {
			if b.Type != a.Type {
				t.Errorf("spilled addresses of %.40q name one of %.40q", a.Type, b.Type)
			}
			found[b] = true
		}
	}
	same(t, "spilled addresses", set(addresses), found)
	states, _ := walk(t, o, statestore.Walk{})
	same(t, "walk", sortedStates(c.States), withoutExpires(states))
	for f := range functionsOf(addresses) {
		states, _ := walk(t, o, statestore.Walk{Functions: []api.FunctionType{f}})
		same(t, fmt.Sprintf("walk of %.40q", f), sortedStates(slices.DeleteFunc(slices.Clone(c.States), func(s statestore.AddressState) bool { return s.Address.Type != f })), withoutExpires(states))
	}
}

func set(addresses []api.Address) map[api.Address]bool {
	m := make(map[api.Address]bool, len(addresses))
	for _, a := range addresses {
		m[a] = true
	}
	return m
}

// randomID is valid UTF-8 that no compression makes shorter, of exactly size bytes.
func randomID(rng *rand.Rand, size int) string {
	var b strings.Builder
	for b.Len() < size {
		r := rune(rng.Uint32N(0x110000))
		if 0xd800 <= r && r < 0xe000 || b.Len()+len(string(r)) > size {
			r = rune(rng.Uint32N(0x80))
		}
		b.WriteRune(r)
	}
	return b.String()
}

func testRandomIDs(t *testing.T, f *Fixture) {
	o := f.own(t)
	rng := rand.New(rand.NewPCG(1, 2))
	var addresses []api.Address
	for _, size := range []int{1, 10, 255, 256, 700, 1000, 1799, 1800, 2000, 2704, 8191, 8192, 40_000, api.IDBytesMax - 1, api.IDBytesMax} {
		id := randomID(rng, size)
		addresses = append(addresses, at(counter, id), at(fn(randomID(rng, api.NameBytesMax), randomID(rng, api.NameBytesMax)), id))
	}
	everywhere(t, o, addresses)
}
