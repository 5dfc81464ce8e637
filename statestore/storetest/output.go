package storetest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

func outputs(egress string, first uint64, texts ...string) statestore.OutputPack {
	p := statestore.OutputPack{Lane: statestore.LaneID{Egress: egress}, First: first}
	for i, text := range texts {
		p.Outputs = append(p.Outputs, api.Output{Sender: at(counter, fmt.Sprint("sender ", i)), Value: value(text)})
	}
	return p
}

func packBytes(packs ...statestore.OutputPack) (sum int64) {
	for _, p := range packs {
		for i := range p.Outputs {
			sum += int64(p.Outputs[i].Size())
		}
	}
	return sum
}

// readOutputs reads a lane from a number on, page by page. Stores may cut packs differently: the outputs are answered by number.
func readOutputs(t *testing.T, o *owner, lane statestore.LaneID, from uint64, bytesMax int) (found map[uint64]string, refused []uint64) {
	t.Helper()
	found = map[uint64]string{}
	next := uint64(0)
	for {
		page, err := o.store.Outputs(t.Context(), lane, from, bytesMax)
		if err != nil {
			t.Fatalf("outputs from %d: %v", from, err)
		}
		if len(page) == 0 {
			return found, refused
		}
		if sum := packBytes(page[:len(page)-1]...); sum > int64(bytesMax) {
			t.Fatalf("outputs from %d: %d bytes before the last pack, at most %d were asked", from, sum, bytesMax)
		}
		if end := page[0].First + uint64(len(page[0].Outputs)); end <= from {
			t.Fatalf("outputs from %d: the first pack ends at %d", from, end)
		}
		for i, p := range page {
			if p.Lane != lane || next != 0 && p.First != next || i > 0 && p.First < from {
				t.Fatalf("outputs from %d: pack %d of lane %v begins at %d, want %d", from, i, p.Lane, p.First, next)
			}
			for j, v := range p.Outputs {
				found[p.First+uint64(j)] = v.Sender.String() + " " + string(v.Value.Value)
			}
			refused = append(refused, p.Refused...)
			next = p.First + uint64(len(p.Outputs))
		}
		from = next
	}
}

func texts(packs ...statestore.OutputPack) map[uint64]string {
	m := map[uint64]string{}
	for _, p := range packs {
		for j, v := range p.Outputs {
			m[p.First+uint64(j)] = v.Sender.String() + " " + string(v.Value.Value)
		}
	}
	return m
}

func expectLane(t *testing.T, o *owner, want statestore.Lane) {
	t.Helper()
	for _, l := range o.claim.Lanes {
		if l.LaneID == want.LaneID {
			same(t, "lane "+l.Egress, want, l)
			return
		}
	}
	t.Errorf("lane %s/%d is missing", want.Egress, want.Slot)
}

func testOutputs(t *testing.T, f *Fixture) {
	o := f.own(t, "ns/a", "ns/b")
	a, b := statestore.LaneID{Egress: "ns/a"}, statestore.LaneID{Egress: "ns/b"}
	a1, a2, b1 := outputs("ns/a", 1, "1", "2", "3"), outputs("ns/a", 4, "4"), outputs("ns/b", 1, "b1")
	o.commit(statestore.Commit{Outputs: []statestore.OutputPack{a1}})
	o.commit(statestore.Commit{Outputs: []statestore.OutputPack{a2, b1}})
	a3 := outputs("ns/a", 5, "5", "6")
	o.commit(statestore.Commit{Outputs: []statestore.OutputPack{a3}})
	o = o.restart("ns/a", "ns/b")
	expectLane(t, o, statestore.Lane{LaneID: a, Next: 7, Low: 1, Bytes: packBytes(a1, a2, a3)})
	expectLane(t, o, statestore.Lane{LaneID: b, Next: 2, Low: 1, Bytes: packBytes(b1)})
	for _, bytesMax := range []int{0, 250, 700, 1 << 20} {
		found, _ := readOutputs(t, o, a, 1, bytesMax)
		same(t, fmt.Sprint("outputs in pages of ", bytesMax), texts(a1, a2, a3), found)
	}
	found, _ := readOutputs(t, o, a, 5, 1<<20)
	same(t, "outputs from 5", texts(a3), found)
	found, _ = readOutputs(t, o, a, 2, 1<<20) // from inside a pack
	same(t, "outputs from 2", texts(a1, a2, a3), found)
	if packs, err := o.store.Outputs(t.Context(), a, 7, 1<<20); len(packs) != 0 || err != nil {
		t.Errorf("outputs behind the end: %v, %v", packs, err)
	}
	for _, trim := range []struct {
		below, low uint64
		left       []statestore.OutputPack
	}{{1, 1, []statestore.OutputPack{a1, a2, a3}}, {4, 4, []statestore.OutputPack{a2, a3}}, {6, 5, []statestore.OutputPack{a3}}, {7, 7, nil}, {2, 7, nil}} {
		o.commit(statestore.Commit{Trims: []statestore.Trim{{Lane: a, Below: trim.below}}})
		o = o.restart("ns/a", "ns/b")
		expectLane(t, o, statestore.Lane{LaneID: a, Next: 7, Low: trim.low, Bytes: packBytes(trim.left...)})
		found, _ = readOutputs(t, o, a, trim.low, 1<<20)
		same(t, fmt.Sprint("outputs after a trim below ", trim.below), texts(trim.left...), found)
	}
	o.commit(statestore.Commit{Outputs: []statestore.OutputPack{outputs("ns/a", 7, "7")}})
	o = o.restart("ns/a", "ns/b")
	expectLane(t, o, statestore.Lane{LaneID: a, Next: 8, Low: 7, Bytes: packBytes(outputs("ns/a", 7, "7"))})
	expectLane(t, o, statestore.Lane{LaneID: b, Next: 2, Low: 1, Bytes: packBytes(b1)})
}

// One commit brings more than one row takes, in several packs, with an output of 20 MiB.
func testLargeOutputs(t *testing.T, f *Fixture) {
	o := f.own(t, "ns/a")
	a := statestore.LaneID{Egress: "ns/a"}
	var all []string
	for i := range 30 {
		all = append(all, fmt.Sprint(i, " ", strings.Repeat("o", 300_000)))
	}
	all[17] = strings.Repeat("huge", 5<<20)
	one, two := outputs("ns/a", 1, all[:25]...), outputs("ns/a", 26, all[25:]...)
	o.commit(statestore.Commit{Outputs: []statestore.OutputPack{one, two}})
	o = o.restart("ns/a")
	expectLane(t, o, statestore.Lane{LaneID: a, Next: 31, Low: 1, Bytes: packBytes(one, two)})
	for _, bytesMax := range []int{0, 5 << 20} {
		found, _ := readOutputs(t, o, a, 1, bytesMax)
		if !cmp.Equal(texts(one, two), found) {
			t.Errorf("in pages of %d: %d outputs did not come back as they were", bytesMax, len(found))
		}
	}
	o.commit(statestore.Commit{Trims: []statestore.Trim{{Lane: a, Below: 26}}})
	found, _ := readOutputs(t, o, a, 26, 1<<30)
	for n, want := range texts(two) {
		if found[n] != want {
			t.Errorf("output %d is gone with a trim below 26", n)
		}
	}
}

// What does not continue its lane is refused, with all that came with it: a relay never gets over a gap, and would send twice
// what is there twice.
func testGaps(t *testing.T, f *Fixture) {
	o := f.own(t, "ns/a", "ns/b")
	o.commit(statestore.Commit{Outputs: []statestore.OutputPack{outputs("ns/a", 1, "1", "2")}})
	x := at(counter, "x")
	b1 := outputs("ns/b", 1, "b1")
	for name, packs := range map[string][]statestore.OutputPack{
		"a gap":                {outputs("ns/a", 4, "4")},
		"again":                {outputs("ns/a", 2, "2", "3")},
		"a gap in the commit":  {outputs("ns/a", 3, "3"), outputs("ns/a", 5, "5")},
		"again in the commit":  {outputs("ns/a", 3, "3", "4"), outputs("ns/a", 4, "4")},
		"a lane that is not":   {outputs("ns/none", 1, "1")},
		"beside one that fits": {b1, outputs("ns/a", 4, "4")},
	} {
		c := statestore.Commit{Outputs: packs, States: []statestore.AddressState{{Address: x, Values: []statestore.StateValue{state("n", name)}}}}
		if err := o.store.Commit(t.Context(), o.fill(c)); !final(err) {
			t.Errorf("%s: %v, want a final error", name, err)
		}
	}
	same(t, "states", []statestore.Loaded{{}}, o.states(x))
	o.commit(statestore.Commit{Outputs: []statestore.OutputPack{outputs("ns/a", 3, "3"), b1, outputs("ns/a", 4, "4")}})
	found, _ := readOutputs(t, o, statestore.LaneID{Egress: "ns/a"}, 1, 1<<20)
	same(t, "outputs", texts(outputs("ns/a", 1, "1", "2"), outputs("ns/a", 3, "3"), outputs("ns/a", 4, "4")), found)
	o = o.restart()
	expectLane(t, o, statestore.Lane{LaneID: statestore.LaneID{Egress: "ns/b"}, Next: 2, Low: 1, Bytes: packBytes(b1)})
}

func testRefused(t *testing.T, f *Fixture) {
	o := f.own(t, "ns/a", "ns/b")
	a := statestore.LaneID{Egress: "ns/a"}
	o.commit(statestore.Commit{Outputs: []statestore.OutputPack{outputs("ns/a", 1, "1", "2", "3"), outputs("ns/b", 1, "1", "2", "3")}})
	o.commit(statestore.Commit{
		Outputs: []statestore.OutputPack{outputs("ns/a", 4, "4", "5")}, Refusals: []statestore.Refusal{{Lane: a, Number: 3}, {Lane: a, Number: 2}}, DeadLetters: []api.DeadLetter{dead(1)},
	})
	o.commit(statestore.Commit{Refusals: []statestore.Refusal{{Lane: a, Number: 2}, {Lane: a, Number: 5}}})
	o = o.restart("ns/a", "ns/b")
	_, refused := readOutputs(t, o, a, 1, 1<<20)
	same(t, "refused", []uint64{2, 3, 5}, refused)
	if _, refused := readOutputs(t, o, statestore.LaneID{Egress: "ns/b"}, 1, 1<<20); len(refused) != 0 {
		t.Errorf("refused in the other lane: %v", refused)
	}
	// Delivery may have come to the middle of a pack. It stays whole, and whoever reads it again must know of all its marks.
	o.commit(statestore.Commit{Trims: []statestore.Trim{{Lane: a, Below: 3}}})
	_, refused = readOutputs(t, o, a, 1, 1<<20)
	same(t, "refused, after a trim within the pack", []uint64{2, 3, 5}, refused)
	o.commit(statestore.Commit{Trims: []statestore.Trim{{Lane: a, Below: 4}}})
	if _, refused = readOutputs(t, o, a, 4, 1<<20); len(refused) != 1 || refused[0] != 5 {
		t.Errorf("refused after a trim: %v, want 5", refused)
	}
}

func testLanes(t *testing.T, f *Fixture) {
	long := strings.Repeat("n", 2*api.NameBytesMax+1)
	names := []string{"ns/a", "a.b/c", "a/b.c", "", long, long[1:]}
	o := f.own(t, names...)
	for _, n := range names {
		expectLane(t, o, statestore.Lane{LaneID: statestore.LaneID{Egress: n}, Next: 1, Low: 1})
	}
	o.commit(statestore.Commit{LaneStarts: []statestore.LaneID{{Egress: long}, {Egress: "ns/a"}}, Outputs: []statestore.OutputPack{outputs("ns/a", 1, "x", "y")}})
	o.commit(statestore.Commit{Trims: []statestore.Trim{{Lane: statestore.LaneID{Egress: "ns/a"}, Below: 3}}})
	o = o.restart("ns/new") // lanes outlive the module that named them
	if len(o.claim.Lanes) != len(names)+1 {
		t.Errorf("%d lanes, want %d", len(o.claim.Lanes), len(names)+1)
	}
	expectLane(t, o, statestore.Lane{LaneID: statestore.LaneID{Egress: "ns/a"}, Next: 3, Low: 3, Started: true})
	expectLane(t, o, statestore.Lane{LaneID: statestore.LaneID{Egress: long}, Next: 1, Low: 1, Started: true})
	expectLane(t, o, statestore.Lane{LaneID: statestore.LaneID{Egress: "a/b.c"}, Next: 1, Low: 1})
	expectLane(t, o, statestore.Lane{LaneID: statestore.LaneID{Egress: "ns/new"}, Next: 1, Low: 1})
}

func testDeadLetters(t *testing.T, f *Fixture) {
	o := f.own(t)
	var all []api.DeadLetter
	for n := range uint64(10) {
		d := dead(n*3 + 1)
		d.Kind = api.DeadLetterKind(n%3 + 1)
		all = append(all, d)
	}
	all[3].Key, all[3].Value, all[3].Headers = []byte{}, nil, nil
	all[4].Value = []byte(strings.Repeat("v", 2<<20))
	all[5] = api.DeadLetter{Number: all[5].Number, Kind: api.DeadMessage}
	o.commit(statestore.Commit{DeadLetters: []api.DeadLetter{all[1], all[0]}})
	o.commit(statestore.Commit{DeadLetters: all[2:]})
	o = o.restart()
	if got := o.claim.DeadLetters(); got != 10 {
		t.Errorf("%d dead letters, want 10", got)
	}
	var got []api.DeadLetter
	for after := uint64(0); ; {
		page, err := o.store.DeadLetters(t.Context(), after, 3)
		if err != nil || len(page) > 3 {
			t.Fatalf("%d dead letters, %v", len(page), err)
		}
		if len(page) == 0 {
			break
		}
		got = append(got, page...)
		after = page[len(page)-1].Number
	}
	exact(t, "dead letters", all, got)
}

// testDeadTotals: a claim counts what there is of each origin, in letters and bytes, and what was discarded is gone.
func testDeadTotals(t *testing.T, f *Fixture) {
	o := f.own(t)
	origins := []string{"egress ns/e", "function " + strings.Repeat("f", 1024), "ingress ns/in", "ingress ns/in\x00", "ingress ns/in2"}
	want := map[string]statestore.DeadTotal{}
	letters := map[uint64]api.DeadLetter{}
	add := func(n uint64, origin string, bytes int) {
		d := dead(n)
		d.Origin, d.Value = origin, []byte(strings.Repeat("v", bytes))
		letters[n] = d
		total := want[origin]
		want[origin] = statestore.DeadTotal{Origin: origin, Letters: total.Letters + 1, Bytes: total.Bytes + int64(d.Size())}
		o.commit(statestore.Commit{DeadLetters: []api.DeadLetter{d}})
	}
	discard := func(numbers ...uint64) {
		for _, n := range numbers {
			if d, ok := letters[n]; ok {
				delete(letters, n)
				total := want[d.Origin]
				want[d.Origin] = statestore.DeadTotal{Origin: d.Origin, Letters: total.Letters - 1, Bytes: total.Bytes - int64(d.Size())}
				if total.Letters == 1 {
					delete(want, d.Origin)
				}
			}
		}
		o.commit(statestore.Commit{DeadEnds: numbers})
	}
	judge := func(what string) {
		t.Helper()
		o = o.restart()
		var sorted []statestore.DeadTotal
		for _, origin := range slices.Sorted(maps.Keys(want)) {
			sorted = append(sorted, want[origin])
		}
		same(t, what, sorted, o.claim.Dead)
		var all []uint64
		found, err := o.store.DeadLetters(t.Context(), 0, 1000)
		for i := range found {
			all = append(all, found[i].Number)
		}
		check(t, what+": letters", slices.Sorted(maps.Keys(letters)), all, err)
	}
	for i := range uint64(30) {
		add(i+1, origins[i%5], int(i)*1000)
	}
	judge("totals")
	discard(7, 3, 9999, 7, 1<<63) // one twice, and two that are not there
	judge("totals without two")
	discard(3) // again
	for i := range uint64(6) {
		discard(i*5 + 1) // all of the first origin
	}
	judge("totals without an origin")
	add(1, origins[0], 5) // its number may be drawn anew: nothing of the old one is left
	judge("totals with a letter anew")
}
