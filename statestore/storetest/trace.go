package storetest

import (
	"math"
	"testing"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// testTraces: a trace is kept with whatever carries it, and what is in none stays so: in packs, spilled mail, timers and the outbox.
func testTraces(t *testing.T, f *Fixture) {
	o := f.own(t, "e")
	traced := func(m api.Message, n byte) api.Message {
		m.Trace = &api.Trace{ID: [16]byte{n, 15: 1}, Span: [8]byte{7: n}, Flags: n & 3}
		return m
	}
	x := at(counter, "x")
	pack, spilled := mails(x, 1, 2, 3), mails(x, 10, 11, 12)
	pack[1].Message, spilled[0].Message, spilled[2].Message = traced(pack[1].Message, 1), traced(spilled[0].Message, 2), traced(spilled[2].Message, 2)
	plain, delayed := timer(5, 20, x, ""), timer(5, 21, x, "token")
	delayed.Message = traced(delayed.Message, 3)
	out := outputs("e", o.claim.Lanes[0].Next, "one", "two")
	out.Outputs[0].Trace = traced(api.Message{}, 4).Trace
	o.commit(statestore.Commit{
		NextNumber: 50, Packs: []statestore.Pack{{Number: 1, Messages: pack}}, Mail: []statestore.MailChunk{{Address: x, Messages: spilled}},
		Timers: []statestore.Timer{plain, delayed}, Outputs: []statestore.OutputPack{out},
	})
	o = o.restart("e")
	same(t, "packs", []statestore.Pack{{Number: 1, Messages: pack}}, o.claim.Packs)
	same(t, "mail", spilled, readMail(t, o, x, 0, math.MaxInt32))
	expectTimers(t, o, plain, delayed)
	packs, err := o.store.Outputs(t.Context(), out.Lane, out.First, math.MaxInt32)
	if err != nil {
		t.Fatal(err)
	}
	var got []api.Output
	for _, p := range packs {
		got = append(got, p.Outputs...)
	}
	same(t, "outputs", out.Outputs, got)
	// What is counted of them is what they hold.
	sum := int64(0)
	for i := range spilled {
		sum += int64(spilled[i].Message.Size())
	}
	for _, s := range o.claim.Spilled {
		if s.Function == counter && s.Bytes != sum {
			t.Errorf("%d bytes of mail are spilled, want %d", s.Bytes, sum)
		}
	}
}
