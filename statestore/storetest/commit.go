package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// everything is a commit with all parts; number only varies the text.
func everything(number uint64) statestore.Commit {
	text := fmt.Sprintf("commit %d", number)
	a, b := at(counter, "every a"), at(counter, "every b")
	timer := statestore.Timer{TimerKey: statestore.TimerKey{Due: 5000, Number: 30}, Token: "token", Message: message(b, text)}
	timer.Message.Caller = a
	return statestore.Commit{
		NextNumber: 100,
		Progress: []statestore.Progress{{
			Source: api.Source{Ingress: "ns/ingress", Topic: "topic", Partition: 7}, TopicID: "id", Partitions: 9, Start: 3,
			Targets: []statestore.TargetProgress{{Key: "shop/counter", Done: statestore.Ranges{Watermark: 10, Above: []statestore.Range{{From: 12, To: 20}}}}},
		}},
		Functions:   []statestore.FunctionSpec{{Function: counter, States: []statestore.StateSpec{{Name: "n", TypeName: "test/text", Expiration: statestore.ExpireAfterInvoke, TTL: 1000}}}},
		States:      []statestore.AddressState{{Address: a, Values: []statestore.StateValue{state("n", text)}, Expires: 1500}},
		Packs:       []statestore.Pack{{Number: 10, Messages: []statestore.Mail{{Number: 10, Message: message(a, text)}, {Number: 12, Message: message(b, text)}}}},
		Mail:        []statestore.MailChunk{{Address: b, Messages: []statestore.Mail{{Number: 20, Message: message(b, text)}}}},
		Timers:      []statestore.Timer{timer},
		Outputs:     []statestore.OutputPack{outputs("ns/egress", 1, text, "second")},
		LaneStarts:  []statestore.LaneID{{Egress: "ns/egress"}},
		Refusals:    []statestore.Refusal{{Lane: statestore.LaneID{Egress: "ns/egress"}, Number: 2}},
		DeadLetters: []api.DeadLetter{dead(40)},
		Pauses:      []statestore.Pause{pauseOf(statestore.PauseAddress, counter, "every a", "")},
		Acts:        []statestore.Act{act(1, text)},
	}
}

func dead(number uint64) api.DeadLetter {
	return api.DeadLetter{
		Number: number, Kind: api.DeadRecord, From: "ns/ingress", Reason: "null key", Detail: "détail", AtMS: 77, Origin: "ingress ns/ingress",
		Source: api.Source{Ingress: "ns/ingress", Topic: "topic", Partition: 2}, Offset: 1 << 40, Address: at(counter, "dead"), Caller: at(fn("", "caller"), ""),
		TypeName: "test/text", Key: nil, Value: []byte{0, 1, 255}, Headers: []api.Header{{Key: "h", Value: []byte("v")}, {Key: "", Value: nil}, {Key: "empty", Value: []byte{}}},
	}
}

// checkEverything reads all parts of `everything` back.
func checkEverything(t *testing.T, o *owner, want statestore.Commit) {
	t.Helper()
	ctx := t.Context()
	c := o.claim
	same(t, "progress", want.Progress, c.Progress)
	same(t, "functions", want.Functions, c.Functions)
	same(t, "packs", want.Packs, c.Packs)
	a, b := want.States[0].Address, want.Mail[0].Address
	size := int64(want.Mail[0].Messages[0].Message.Size())
	same(t, "states", []statestore.Loaded{
		{Values: stored(want.States[0].Values...)}, {Spilled: 1, SpilledBytes: size, First: 20, Last: 20},
	}, o.states(a, b))
	same(t, "spilled", []statestore.SpillTotal{{Function: counter, Messages: 1, Bytes: size}}, c.Spilled)
	lane := statestore.LaneID{Egress: "ns/egress"}
	bytes := int64(want.Outputs[0].Outputs[0].Size() + want.Outputs[0].Outputs[1].Size())
	same(t, "lanes", []statestore.Lane{{LaneID: lane, Next: 3, Started: true, Low: 1, Bytes: bytes}}, c.Lanes)
	if c.NextNumber != 100 {
		t.Errorf("next number %d; want 100", c.NextNumber)
	}
	same(t, "totals of dead letters", []statestore.DeadTotal{{Origin: "ingress ns/ingress", Letters: 1, Bytes: int64(want.DeadLetters[0].Size())}}, c.Dead)
	mail, err := o.store.Mail(ctx, b, 0, 1<<20)
	check(t, "mail", want.Mail[0].Messages, mail, err)
	timers, err := o.store.Timers(ctx, statestore.TimerKey{Due: math.MinInt64}, math.MaxInt64, 10)
	check(t, "timers", want.Timers, timers, err)
	packs, err := o.store.Outputs(ctx, lane, 1, 1<<20)
	wantPacks := []statestore.OutputPack{want.Outputs[0]}
	wantPacks[0].Refused = []uint64{2}
	check(t, "outputs", wantPacks, packs, err)
	expired, err := o.store.ExpiredAddresses(ctx, 1501, 10)
	check(t, "expired addresses", []api.Address{a}, expired, err)
	spilled, _, err := o.store.SpilledAddresses(ctx, counter, nil, 10)
	check(t, "spilled addresses", []api.Address{b}, spilled, err)
	letters, err := o.store.DeadLetters(ctx, 0, 10)
	if err != nil {
		t.Errorf("dead letters: %v", err)
	}
	exact(t, "dead letters", want.DeadLetters, letters)
	same(t, "pauses", want.Pauses, c.Pauses)
	exact(t, "next act", uint64(2), c.NextAct)
	acts, err := o.store.Acts(ctx, 0, 10)
	check(t, "acts", want.Acts, acts, err)
	addresses, _, err := o.store.Addresses(ctx, counter, "", nil, 10)
	check(t, "addresses", []api.Address{a, b}, addresses, err)
}

// check compares an answer that may be an error.
func check(t *testing.T, what string, want, got any, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	same(t, what, want, got)
}

func testEverything(t *testing.T, f *Fixture) {
	o := f.own(t, "ns/egress")
	c := everything(1)
	o.commit(c)
	o = o.restart("ns/egress")
	checkEverything(t, o, c)
	o.commit(statestore.Commit{
		PackMarks: []statestore.PackMark{{Number: 10, Finished: []uint64{12}}},
		MailTrims: []statestore.MailTrim{{Address: at(counter, "every b"), Below: 21}},
		TimerEnds: []statestore.TimerKey{{Due: 5000, Number: 30}},
		Trims:     []statestore.Trim{{Lane: statestore.LaneID{Egress: "ns/egress"}, Below: 3}},
	})
	o = o.restart("ns/egress")
	want := c.Packs[0]
	want.Messages = want.Messages[:1]
	same(t, "packs", []statestore.Pack{want}, o.claim.Packs)
	same(t, "finished", map[uint64][]uint64{10: {12}}, o.claim.Finished)
	same(t, "spilled", []statestore.SpillTotal{}, o.claim.Spilled)
	same(t, "lanes", []statestore.Lane{{LaneID: statestore.LaneID{Egress: "ns/egress"}, Next: 3, Started: true, Low: 3}}, o.claim.Lanes)
	timers, err := o.store.Timers(t.Context(), statestore.TimerKey{Due: math.MinInt64}, math.MaxInt64, 10)
	check(t, "timers", []statestore.Timer{}, timers, err)
}

// A refused commit leaves nothing of any of its parts.
func testRefusedLeavesNothing(t *testing.T, f *Fixture) {
	o := f.own(t, "ns/egress")
	c := everything(1)
	c.Number = o.number + 2
	if err := o.store.Commit(t.Context(), o.fill(c)); !final(err) {
		t.Fatalf("commit with a wrong number: %v, want a final error", err)
	}
	o = o.restart("ns/egress")
	checkNothing(t, o)
	o.next = 1
	c = everything(1)
	o.commit(c)
	o = o.restart("ns/egress")
	checkEverything(t, o, c)
}

func checkNothing(t *testing.T, o *owner) {
	t.Helper()
	c := o.claim
	if c.NextNumber != 1 || c.NextAct != 1 || len(c.Pauses)+len(c.Progress)+len(c.Functions)+len(c.Packs)+len(c.Spilled)+len(c.Dead) != 0 {
		t.Errorf("something is left: %+v", c)
	}
	same(t, "lanes", []statestore.Lane{{LaneID: statestore.LaneID{Egress: "ns/egress"}, Next: 1, Low: 1}}, c.Lanes)
	same(t, "states", []statestore.Loaded{{}, {}}, o.states(at(counter, "every a"), at(counter, "every b")))
	timers, err := o.store.Timers(t.Context(), statestore.TimerKey{Due: math.MinInt64}, math.MaxInt64, 10)
	check(t, "timers", []statestore.Timer{}, timers, err)
	packs, err := o.store.Outputs(t.Context(), statestore.LaneID{Egress: "ns/egress"}, 1, 1<<20)
	check(t, "outputs", []statestore.OutputPack{}, packs, err)
}

// A commit whose context has ended is not written, or in doubt; it never is half written.
func testCommitContext(t *testing.T, f *Fixture) {
	o := f.own(t, "ns/egress")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := everything(1)
	err := o.store.Commit(ctx, o.fill(c))
	if !errors.Is(err, statestore.ErrUnavailable) && !errors.Is(err, statestore.ErrDoubt) {
		t.Fatalf("commit with an ended context: %v, want ErrUnavailable or ErrDoubt", err)
	}
	n, err := o.store.LastCommit(t.Context(), o.claim.Fence)
	if err != nil {
		t.Fatal(err)
	}
	before := o.number
	o = o.restart("ns/egress")
	if n == before {
		checkNothing(t, o)
	} else {
		checkEverything(t, o, c)
	}
}

// The store must not keep what it was given, nor give what it keeps.
func testKeepsNothing(t *testing.T, f *Fixture) {
	o := f.own(t, "ns/egress")
	given := everything(1)
	o.commit(given)
	given.States[0].Values[0].Value[0] = 'X'
	given.Packs[0].Messages[0].Message.Argument.Value[0] = 'X'
	given.Outputs[0].Outputs[0].Value.Value[0] = 'X'
	given.DeadLetters[0].Value[0] = 'X'
	given.Progress[0].Targets[0].Done.Above[0].To = 99
	found := o.states(given.States[0].Address)
	found[0].Values[0].Value[0] = 'Y'
	o = o.restart("ns/egress")
	checkEverything(t, o, everything(1))
}

// Ten thousand rows, one of 20 MiB among them, in one commit.
func testLargeCommit(t *testing.T, f *Fixture) {
	o := f.own(t, "ns/egress")
	const rows = 10_000
	var c statestore.Commit
	big := bytes.Repeat([]byte("0123456789abcdef"), 20<<20/16)
	pack := statestore.Pack{Number: 1}
	for i := range rows {
		a := at(counter, fmt.Sprintf("id %d", i))
		c.States = append(c.States, statestore.AddressState{Address: a, Values: []statestore.StateValue{state("n", strings.Repeat("v", 100))}})
		pack.Messages = append(pack.Messages, statestore.Mail{Number: uint64(i + 1), Message: message(a, "kept")})
	}
	pack.Messages[rows/2].Message.Argument.Value = big
	c.Packs = []statestore.Pack{pack}
	c.NextNumber = rows + 1
	o.commit(c)
	o = o.restart("ns/egress")
	if len(o.claim.Packs) != 1 || len(o.claim.Packs[0].Messages) != rows {
		t.Fatalf("%d packs", len(o.claim.Packs))
	}
	if got := o.claim.Packs[0].Messages[rows/2].Message.Argument.Value; !bytes.Equal(got, big) {
		t.Errorf("the large message came back with %d bytes", len(got))
	}
	o.claim.Packs[0].Messages[rows/2].Message.Argument.Value = nil
	pack.Messages[rows/2].Message.Argument.Value = nil
	same(t, "pack", pack, o.claim.Packs[0])
	for from := 0; from < rows; from += 1000 {
		addresses := make([]api.Address, 1000)
		for i := range addresses {
			addresses[i] = c.States[from+i].Address
		}
		for i, l := range o.states(addresses...) {
			if len(l.Values) != 1 || len(l.Values[0].Value) != 100 {
				t.Fatalf("address %d: %+v", from+i, l)
			}
		}
	}
}

func testDoubt(t *testing.T, f *Fixture) {
	if f.Doubt == nil {
		t.Skip("the store's own tests do this")
	}
	o := f.own(t, "ns/egress")
	c := everything(1)
	for _, written := range []bool{false, true} {
		f.Doubt(t, o.store, written)
		if err := o.store.Commit(t.Context(), o.fill(c)); !errors.Is(err, statestore.ErrDoubt) {
			t.Fatalf("commit: %v, want ErrDoubt", err)
		}
		n, err := o.store.LastCommit(t.Context(), o.claim.Fence)
		if err != nil {
			t.Fatal(err)
		}
		want := o.number
		if written {
			want++
		}
		if n != want {
			t.Errorf("written %v: last commit %d, want %d", written, n, want)
		}
	}
	o = o.restart("ns/egress")
	checkEverything(t, o, c)
}

func testNextNumber(t *testing.T, f *Fixture) {
	o := f.own(t)
	for _, n := range []uint64{5, 5, 1 << 40} {
		o.commit(statestore.Commit{NextNumber: n})
		o = o.restart()
		if o.claim.NextNumber != n {
			t.Errorf("next number %d, want %d", o.claim.NextNumber, n)
		}
	}
}

func testProgress(t *testing.T, f *Fixture) {
	o := f.own(t)
	source := func(ingress, topic string, partition int32) statestore.Progress {
		return statestore.Progress{Source: api.Source{Ingress: ingress, Topic: topic, Partition: partition}, Start: 5}
	}
	long := strings.Repeat("n", 2*api.NameBytesMax+1)
	all := []statestore.Progress{
		source("a", "b/c", 0), source("a", "b/c", 1), source("a/b", "c", 0), source("a", "bc", 0), source("ab", "c", 0), source(long, strings.Repeat("t", 249), math.MaxInt32),
	}
	o.commit(statestore.Commit{Progress: all})
	changed := source("a", "b/c", 1)
	changed.TopicID, changed.Partitions, changed.Start = "topic id", math.MaxInt32, -2
	changed.Targets = []statestore.TargetProgress{{Key: "x/y", Done: statestore.Ranges{Watermark: 7}}, {Key: "x/y#2", Done: statestore.Ranges{Watermark: 1, Above: []statestore.Range{{From: 3, To: 4}, {From: 9, To: math.MaxInt64}}}}}
	all[1] = changed
	o.commit(statestore.Commit{Progress: []statestore.Progress{changed}})
	o = o.restart()
	key := func(p statestore.Progress) string { return string(statestore.SourceKey(p.Source)) }
	same(t, "progress", byKey(all, key), byKey(o.claim.Progress, key))
}

func byKey[T any](all []T, key func(T) string) map[string]T {
	m := make(map[string]T, len(all))
	for _, v := range all {
		m[key(v)] = v
	}
	return m
}

func testFunctions(t *testing.T, f *Fixture) {
	o := f.own(t)
	long := strings.Repeat("n", api.NameBytesMax)
	spec := func(ft api.FunctionType, states ...statestore.StateSpec) statestore.FunctionSpec {
		return statestore.FunctionSpec{Function: ft, States: states}
	}
	many := make([]statestore.StateSpec, api.StatesPerFunction)
	for i := range many {
		many[i] = statestore.StateSpec{Name: fmt.Sprintf("%s%d", long[:500], i), TypeName: "t", Expiration: statestore.ExpireAfterWrite, TTL: int64(i)}
	}
	all := []statestore.FunctionSpec{
		spec(fn("a.b", "c")), spec(fn("a", "b.c")), spec(fn("a/b", "c")), spec(fn("a", "b/c")), spec(fn("", "abc")),
		spec(fn(long, long), many...), spec(counter, statestore.StateSpec{Name: "b"}, statestore.StateSpec{Name: "a"}),
	}
	o.commit(statestore.Commit{Functions: all})
	all[0] = spec(fn("a.b", "c"), statestore.StateSpec{Name: "é\x00", TypeName: "t", Expiration: statestore.ExpireAfterInvoke, TTL: math.MaxInt64})
	o.commit(statestore.Commit{Functions: all[:1]})
	reader := f.open(t) // of a member that owns nothing
	for _, want := range append(all, spec(fn("un", "known")), spec(fn("", ""))) {
		got, err := reader.Specs(t.Context(), want.Function)
		if err != nil {
			t.Errorf("specs of %.40v: %v", want.Function, err)
		}
		same(t, "specs", want.States, got)
	}
	o = o.restart()
	key := func(s statestore.FunctionSpec) string { return string(statestore.FunctionKey(s.Function)) }
	same(t, "functions", byKey(all, key), byKey(o.claim.Functions, key))
}
