package storetest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/memory"
)

// writer makes random commits of the kind that a gateway makes.
type writer struct {
	rng       *rand.Rand
	number    uint64
	values    map[api.Address][]statestore.StateValue
	packs     map[uint64][]uint64 // numbers that are not finished
	finished  map[uint64][]uint64
	boxes     map[api.Address]uint64 // last number of spilled mail
	timers    []statestore.Timer
	next      map[string]uint64 // of lanes
	letters   []uint64          // dead ones of earlier commits
	acts      uint64
	addresses []api.Address
}

var modelEgresses = []string{"ns/a", "ns/b"}

func newWriter(seed uint64) *writer {
	w := &writer{
		rng: rand.New(rand.NewPCG(seed, 7)), number: 1, values: map[api.Address][]statestore.StateValue{}, packs: map[uint64][]uint64{},
		finished: map[uint64][]uint64{}, boxes: map[api.Address]uint64{}, next: map[string]uint64{},
	}
	for i := range 12 {
		w.addresses = append(w.addresses, at(fn("ns", fmt.Sprint("f", i%3)), []string{"", "a", "b\x00", strings.Repeat("x", 3000)}[i/3]))
	}
	for _, e := range modelEgresses {
		w.next[e] = 1
	}
	return w
}

func (w *writer) draw() uint64 { w.number++; return w.number - 1 }

func (w *writer) address() api.Address { return w.addresses[w.rng.IntN(len(w.addresses))] }

func (w *writer) text() string {
	sizes := []int{0, 1, 30, 500, 9000}
	return strings.Repeat(string(rune('a'+w.rng.IntN(26))), sizes[w.rng.IntN(len(sizes))])
}

func (w *writer) message() api.Message {
	m := message(w.address(), w.text())
	m.Caller = w.address()
	return m
}

func (w *writer) commit() statestore.Commit {
	var c statestore.Commit
	parts := []func(*statestore.Commit){w.progress, w.state, w.state, w.pack, w.mark, w.mark, w.trim, w.mail, w.timer, w.output, w.dead, w.operator}
	for _, part := range parts {
		if w.rng.IntN(2) == 0 {
			part(&c)
		}
	}
	c.NextNumber = w.number
	return c
}

func (w *writer) progress(c *statestore.Commit) {
	p := statestore.Progress{Source: api.Source{Ingress: "ns/in", Topic: "t", Partition: w.rng.Int32N(3)}, Partitions: w.rng.Int32N(4), Start: w.rng.Int64N(9)}
	r := statestore.Ranges{Watermark: w.rng.Int64N(100)}
	for range w.rng.IntN(5) {
		from := w.rng.Int64N(300)
		r.Add(from, from+w.rng.Int64N(9))
	}
	p.Targets = []statestore.TargetProgress{{Key: "ns/f0", Done: r}}
	c.Progress = append(c.Progress[:0], p)
	c.Functions = []statestore.FunctionSpec{{Function: w.address().Type, States: []statestore.StateSpec{{Name: "s", TTL: w.rng.Int64N(100), Expiration: statestore.ExpireAfterWrite}}}}
}

func (w *writer) state(c *statestore.Commit) {
	a := w.address()
	for _, s := range c.States {
		if s.Address == a {
			return
		}
	}
	values := slices.Clone(w.values[a])
	for i := range values {
		values[i].Changed = false
	}
	for range w.rng.IntN(3) + 1 {
		name := string(rune('a' + w.rng.IntN(4)))
		i, found := slices.BinarySearchFunc(values, name, func(v statestore.StateValue, name string) int { return strings.Compare(v.Name, name) })
		switch {
		case found && w.rng.IntN(3) == 0:
			values = slices.Delete(values, i, i+1)
		case found && w.rng.IntN(3) == 0:
			values[i].Touched++
		case found:
			values[i] = state(name, w.text())
		default:
			values = slices.Insert(values, i, state(name, w.text()))
		}
	}
	w.values[a] = values
	expires := int64(0)
	if len(values) > 0 && w.rng.IntN(2) == 0 {
		expires = w.rng.Int64N(1000) + 1
	}
	c.States = append(c.States, statestore.AddressState{Address: a, Values: values, Expires: expires})
}

func (w *writer) pack(c *statestore.Commit) {
	p := statestore.Pack{Number: w.number}
	for range w.rng.IntN(6) + 1 {
		n := w.draw()
		p.Messages = append(p.Messages, statestore.Mail{Number: n, Message: w.message()})
		w.packs[p.Number] = append(w.packs[p.Number], n)
	}
	c.Packs = append(c.Packs, p)
}

func (w *writer) mark(c *statestore.Commit) {
	for number, left := range w.packs { // any one of earlier commits
		if slices.ContainsFunc(c.Packs, func(p statestore.Pack) bool { return p.Number == number }) || slices.ContainsFunc(c.PackMarks, func(m statestore.PackMark) bool { return m.Number == number }) {
			continue
		}
		i := w.rng.IntN(len(left))
		w.finished[number] = append(w.finished[number], left[i])
		slices.Sort(w.finished[number])
		w.packs[number] = slices.Delete(left, i, i+1)
		m := statestore.PackMark{Number: number, Finished: slices.Clone(w.finished[number])}
		if len(w.packs[number]) == 0 {
			m = statestore.PackMark{Number: number, Remove: true}
			delete(w.packs, number)
		}
		c.PackMarks = append(c.PackMarks, m)
		return
	}
}

func (w *writer) trim(c *statestore.Commit) {
	a := w.address()
	c.MailTrims = append(c.MailTrims, statestore.MailTrim{Address: a, Below: w.boxes[a] - min(w.boxes[a], w.rng.Uint64N(8)) + 1})
}

func (w *writer) mail(c *statestore.Commit) {
	chunk := statestore.MailChunk{Address: w.address()}
	for range w.rng.IntN(8) + 1 {
		m := w.message()
		m.Target = chunk.Address
		chunk.Messages = append(chunk.Messages, statestore.Mail{Number: w.draw(), Message: m})
	}
	w.boxes[chunk.Address] = w.number - 1
	c.Mail = append(c.Mail, chunk)
}

func (w *writer) timer(c *statestore.Commit) {
	if len(w.timers) > 0 && w.rng.IntN(2) == 0 {
		t := w.timers[w.rng.IntN(len(w.timers))]
		if w.rng.IntN(2) == 0 {
			c.TimerEnds = append(c.TimerEnds, t.TimerKey)
		} else {
			c.Cancels = append(c.Cancels, statestore.Cancel{SenderID: t.Message.Caller.ID, Token: t.Token, Below: t.Number + w.rng.Uint64N(3)})
		}
	}
	t := statestore.Timer{TimerKey: statestore.TimerKey{Due: w.rng.Int64N(50), Number: w.draw()}, Token: []string{"", "t", "u"}[w.rng.IntN(3)], Message: w.message()}
	if len(c.Cancels) > 0 && c.Cancels[0].Token == "" {
		c.Cancels = nil // nobody cancels without a token
	}
	w.timers = append(w.timers, t)
	c.Timers = append(c.Timers, t)
}

func (w *writer) output(c *statestore.Commit) {
	e := modelEgresses[w.rng.IntN(2)]
	first := w.next[e]
	p := outputs(e, first, slices.Repeat([]string{w.text()}, w.rng.IntN(4)+1)...)
	w.next[e] += uint64(len(p.Outputs))
	c.Outputs = append(c.Outputs, p)
	switch lane := p.Lane; w.rng.IntN(4) {
	case 0:
		c.Trims = append(c.Trims, statestore.Trim{Lane: lane, Below: first - w.rng.Uint64N(min(first, 10))})
	case 1:
		c.Refusals = append(c.Refusals, statestore.Refusal{Lane: lane, Number: first})
	case 2:
		c.LaneStarts = append(c.LaneStarts, lane)
	}
}

func (w *writer) dead(c *statestore.Commit) {
	if len(w.letters) > 0 && w.rng.IntN(3) == 0 {
		c.DeadEnds = append(c.DeadEnds, w.letters[w.rng.IntN(len(w.letters))]) // or it is discarded already
	}
	d := dead(w.draw())
	d.Origin, d.Value = []string{"egress ns/a", "function ns/f0", "ingress ns/in"}[w.rng.IntN(3)], []byte(w.text())
	w.letters = append(w.letters, d.Number)
	c.DeadLetters = append(c.DeadLetters, d)
}

// operator is what operators do, now and then on what is not there.
func (w *writer) operator(c *statestore.Commit) {
	for range w.rng.IntN(3) {
		p := statestore.Pause{Kind: statestore.PauseKind(w.rng.IntN(3) + 1), AtMS: w.rng.Int64N(9), By: "ada", Ended: w.rng.IntN(2) == 0}
		switch p.Kind {
		case statestore.PauseAddress:
			p.Address = w.address()
		case statestore.PauseFunction:
			p.Address.Type = w.address().Type
		case statestore.PauseIngress:
			p.Ingress = "ns/in"
		}
		c.Pauses = append(c.Pauses, p)
		w.acts++
		c.Acts = append(c.Acts, statestore.Act{Number: w.acts, What: "pause", On: p.Address.String(), AtMS: p.AtMS})
	}
	s := api.Source{Ingress: "ns/in", Topic: "t", Partition: w.rng.Int32N(3)}
	if !slices.ContainsFunc(c.Progress, func(p statestore.Progress) bool { return p.Source == s }) && w.rng.IntN(4) == 0 {
		c.ProgressEnds = append(c.ProgressEnds, s)
	}
}

// testModel gives the same random commits to the store and to the model, and compares what they answer.
func testModel(t *testing.T, f *Fixture) {
	w := newWriter(42)
	model := (&Fixture{Open: func(*testing.T) statestore.Store { return nil }}).ownWith(t, memory.New(memory.Config{}), newMember(), modelEgresses...)
	o := f.own(t, modelEgresses...)
	for i := range 150 {
		c := w.commit()
		o.commit(c)
		model.commit(c)
		if i%5 == 4 {
			compare(t, w, model, o)
		}
		if i%15 == 14 {
			o = o.restart(modelEgresses...)
			model = model.fixture.ownWith(t, model.store, model.member, modelEgresses...)
			want, got := *model.claim, *o.claim
			want.Fence, want.Commit, got.Fence, got.Commit = statestore.Fence{}, 0, statestore.Fence{}, 0
			want.Token, got.Token = "", ""
			order := func(c *statestore.Claim) {
				slices.SortFunc(c.Functions, func(a, b statestore.FunctionSpec) int {
					return strings.Compare(a.Function.String(), b.Function.String())
				})
				slices.SortFunc(c.Spilled, func(a, b statestore.SpillTotal) int { return strings.Compare(a.Function.String(), b.Function.String()) })
				slices.SortFunc(c.Progress, func(a, b statestore.Progress) int { return int(a.Source.Partition - b.Source.Partition) })
				slices.SortFunc(c.Lanes, func(a, b statestore.Lane) int { return strings.Compare(a.Egress, b.Egress) })
			}
			order(&want)
			order(&got)
			same(t, "claim", want, got)
		}
		if t.Failed() {
			t.Fatalf("after commit %d", i)
		}
	}
}

func compare(t *testing.T, w *writer, model, o *owner) {
	t.Helper()
	ctx := t.Context()
	same(t, "states", model.states(w.addresses...), o.states(w.addresses...))
	for _, a := range w.addresses {
		from := w.rng.Uint64N(w.number)
		same(t, "mail of "+a.String(), readMail(t, model, a, from, 1<<20), readMail(t, o, a, from, w.rng.IntN(30_000)))
	}
	want, _ := model.store.Timers(ctx, statestore.TimerKey{Due: math.MinInt64}, math.MaxInt64, 1<<20)
	expectTimers(t, o, want...)
	for _, e := range modelEgresses {
		lane := statestore.LaneID{Egress: e}
		from := w.rng.Uint64N(w.next[e] + 1)
		wantTexts, wantRefused := readOutputs(t, model, lane, from, 1<<20)
		gotTexts, gotRefused := readOutputs(t, o, lane, from, w.rng.IntN(5000))
		same(t, "outputs", wantTexts, gotTexts)
		same(t, "refused", wantRefused, gotRefused)
	}
	before := w.rng.Int64N(1000)
	wantExpired, _ := model.store.ExpiredAddresses(ctx, before, 1000)
	expired, err := o.store.ExpiredAddresses(ctx, before, 1000)
	check(t, "expired", set(wantExpired), set(expired), err)
	for _, a := range w.addresses[:3] {
		wantSpilled, _, _ := model.store.SpilledAddresses(ctx, a.Type, nil, 100)
		spilled, _, err := o.store.SpilledAddresses(ctx, a.Type, nil, 100)
		check(t, "spilled", set(wantSpilled), set(spilled), err)
	}
	for _, f := range w.addresses[:3] {
		wantAddresses, _, _ := model.store.Addresses(ctx, f.Type, "x", nil, 100)
		addresses, _, err := o.store.Addresses(ctx, f.Type, "x", nil, 100)
		check(t, "addresses", wantAddresses, addresses, err)
	}
	number := w.rng.Uint64N(w.acts + 2)
	wantActs, _ := model.store.Acts(ctx, number, 7)
	acts, err := o.store.Acts(ctx, number, 7)
	check(t, "acts", wantActs, acts, err)
	wantStates, wantHolding := walk(t, model, statestore.Walk{})
	states, holding := walk(t, o, statestore.Walk{})
	same(t, "walk", withoutExpires(wantStates), withoutExpires(states))
	same(t, "holding", wantHolding, holding)
	wantDead, _ := model.store.DeadLetters(ctx, 0, 1000)
	letters, err := o.store.DeadLetters(ctx, 0, 1000)
	check(t, "dead letters", wantDead, letters, err)
}
