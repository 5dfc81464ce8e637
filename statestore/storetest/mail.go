package storetest

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

func mails(a api.Address, numbers ...uint64) []statestore.Mail {
	var out []statestore.Mail
	for _, n := range numbers {
		out = append(out, statestore.Mail{Number: n, Message: message(a, fmt.Sprint("message ", n))})
	}
	return out
}

func upTo(from, to uint64) (numbers []uint64) {
	for n := from; n <= to; n++ {
		numbers = append(numbers, n)
	}
	return numbers
}

func testPacks(t *testing.T, f *Fixture) {
	o := f.own(t)
	x, y := at(counter, "x"), at(fn("other", "f"), "x")
	mixed := append(mails(x, 1, 2), mails(y, 5)...)
	mixed[1].Message.Caller = y
	o.commit(statestore.Commit{NextNumber: 20, Packs: []statestore.Pack{{Number: 1, Messages: mixed}, {Number: 6, Messages: mails(x, 6, 7)}}})
	o.commit(statestore.Commit{Packs: []statestore.Pack{{Number: 8, Messages: mails(y, 8)}}, PackMarks: []statestore.PackMark{{Number: 1, Finished: []uint64{2}}}})
	o = o.restart()
	same(t, "packs", []statestore.Pack{{Number: 1, Messages: []statestore.Mail{mixed[0], mixed[2]}}, {Number: 6, Messages: mails(x, 6, 7)}, {Number: 8, Messages: mails(y, 8)}}, o.claim.Packs)
	same(t, "finished", map[uint64][]uint64{1: {2}}, o.claim.Finished)
	o.commit(statestore.Commit{PackMarks: []statestore.PackMark{{Number: 1, Finished: []uint64{1, 2}}, {Number: 6, Remove: true}}})
	o = o.restart()
	same(t, "packs", []statestore.Pack{{Number: 1, Messages: mixed[2:]}, {Number: 8, Messages: mails(y, 8)}}, o.claim.Packs)
	same(t, "finished", map[uint64][]uint64{1: {1, 2}}, o.claim.Finished)
	// Packed anew: the message leaves its pack and stands in a new one, in one commit.
	o.commit(statestore.Commit{PackMarks: []statestore.PackMark{{Number: 1, Remove: true}}, Packs: []statestore.Pack{{Number: 5, Messages: mixed[2:]}}})
	o = o.restart()
	same(t, "packs", []statestore.Pack{{Number: 5, Messages: mixed[2:]}, {Number: 8, Messages: mails(y, 8)}}, o.claim.Packs)
	same(t, "finished", map[uint64][]uint64{}, o.claim.Finished)
	// Its first message itself: the new pack has the number of the one that is removed.
	o.commit(statestore.Commit{PackMarks: []statestore.PackMark{{Number: 5, Remove: true}}, Packs: []statestore.Pack{{Number: 5, Messages: mixed[2:]}}})
	o.commit(statestore.Commit{PackMarks: []statestore.PackMark{{Number: 8, Remove: true}, {Number: 77, Remove: true}}})
	o = o.restart()
	same(t, "packs", []statestore.Pack{{Number: 5, Messages: mixed[2:]}}, o.claim.Packs)
}

// readMail reads all of a mailbox from a number on, page by page.
func readMail(t *testing.T, o *owner, a api.Address, from uint64, bytesMax int) []statestore.Mail {
	t.Helper()
	var all []statestore.Mail
	for {
		page, err := o.store.Mail(t.Context(), a, from, bytesMax)
		if err != nil {
			t.Fatalf("mail from %d: %v", from, err)
		}
		if len(page) == 0 {
			return all
		}
		sum := 0
		for i := range page[:len(page)-1] {
			sum += page[i].Message.Size()
		}
		if sum > max(bytesMax, 0) {
			t.Fatalf("mail from %d: %d bytes before the last message, at most %d were asked", from, sum, bytesMax)
		}
		for _, m := range page {
			if m.Number < from {
				t.Fatalf("mail from %d has number %d", from, m.Number)
			}
			from = m.Number + 1
		}
		all = append(all, page...)
	}
}

func expectMail(t *testing.T, o *owner, a api.Address, want []statestore.Mail) {
	t.Helper()
	l := statestore.Loaded{Spilled: int64(len(want))}
	for i := range want {
		l.SpilledBytes += int64(want[i].Message.Size())
	}
	if len(want) > 0 {
		l.First, l.Last = want[0].Number, want[len(want)-1].Number
	}
	same(t, "bounds of the mailbox", l, o.states(a)[0])
	same(t, "mail", want, readMail(t, o, a, 0, 1<<20))
}

func testMail(t *testing.T, f *Fixture) {
	o := f.own(t)
	x, y := at(counter, "x"), at(counter, "y")
	all := mails(x, upTo(10, 40)...)
	o.commit(statestore.Commit{NextNumber: 100, Mail: []statestore.MailChunk{{Address: x, Messages: all[:15]}, {Address: y, Messages: mails(y, 50)}}})
	o.commit(statestore.Commit{Mail: []statestore.MailChunk{{Address: x, Messages: all[15:20]}, {Address: x, Messages: all[20:]}, {Address: y}}})
	expectMail(t, o, x, all)
	for _, below := range []uint64{0, 10, 11, 13, 25, 26, 29, 30, 39, 40} { // inside chunks and at their borders
		o.commit(statestore.Commit{MailTrims: []statestore.MailTrim{{Address: x, Below: below}}})
		want := all[max(below, 10)-10:]
		expectMail(t, o, x, want)
		if below%2 == 1 {
			o = o.restart()
			expectMail(t, o, x, want)
		}
	}
	o.commit(statestore.Commit{MailTrims: []statestore.MailTrim{{Address: x, Below: 12}}}) // never back
	expectMail(t, o, x, all[30:])
	// A trim and new mail in one commit: the trim comes first.
	o.commit(statestore.Commit{MailTrims: []statestore.MailTrim{{Address: x, Below: 60}}, Mail: []statestore.MailChunk{{Address: x, Messages: mails(x, 55, 61)}}})
	expectMail(t, o, x, mails(x, 55, 61))
	o.commit(statestore.Commit{MailTrims: []statestore.MailTrim{{Address: x, Below: 99}, {Address: at(counter, "unknown"), Below: 99}}})
	o = o.restart()
	expectMail(t, o, x, nil)
	expectMail(t, o, y, mails(y, 50))
	o.commit(statestore.Commit{Mail: []statestore.MailChunk{{Address: x, Messages: mails(x, 70, 71)}}})
	expectMail(t, o, x, mails(x, 70, 71))
}

func testMailPaging(t *testing.T, f *Fixture) {
	o := f.own(t)
	x := at(counter, "x")
	all := mails(x, upTo(1, 3000)...)
	for i := range all {
		if i%700 == 3 {
			all[i].Message.Argument.Value = []byte(strings.Repeat("L", 1<<20+i))
		}
	}
	o.commit(statestore.Commit{NextNumber: 4000, Mail: []statestore.MailChunk{{Address: x, Messages: all[:2500]}, {Address: x, Messages: all[2500:]}}})
	o = o.restart()
	for _, bytesMax := range []int{0, 1000, 300_000, 3 << 20, 1 << 30} {
		want := all
		switch { // small pages only where they meet the border of the chunks, a large message and the end: each may read a whole chunk
		case bytesMax == 0:
			want = all[2900:]
		case bytesMax == 1000:
			want = all[2480:]
		}
		same(t, fmt.Sprint("pages of ", bytesMax), want, readMail(t, o, x, want[0].Number, bytesMax))
	}
	same(t, "behind the end", []statestore.Mail{}, readMail(t, o, x, 3001, 1000))
	o.commit(statestore.Commit{MailTrims: []statestore.MailTrim{{Address: x, Below: 1501}}})
	expectMail(t, o, x, all[1500:])
}

func testSpilledAddresses(t *testing.T, f *Fixture) {
	o := f.own(t)
	types := []api.FunctionType{fn("a", "b"), fn("a", "b\xff"), fn("a", "bc"), fn("ab", ""), fn("a.b", "c")}
	var c statestore.Commit
	want := map[api.FunctionType]map[api.Address]bool{}
	n := uint64(0)
	for _, ft := range types {
		want[ft] = map[api.Address]bool{}
		for i := range 25 {
			n++
			a := at(ft, fmt.Sprint("id ", i, strings.Repeat("x", i*200)))
			want[ft][a] = true
			c.Mail = append(c.Mail, statestore.MailChunk{Address: a, Messages: mails(a, n)})
		}
	}
	c.NextNumber = n + 1
	o.commit(c)
	for _, ft := range types {
		for _, limit := range []int{1, 7, 24, 25, 26} {
			got := map[api.Address]bool{}
			var cursor []byte
			for {
				page, next, err := o.store.SpilledAddresses(t.Context(), ft, cursor, limit)
				if err != nil || len(page) > limit {
					t.Fatalf("%d addresses, %v", len(page), err)
				}
				for _, a := range page {
					if got[a] {
						t.Errorf("%.40q twice", a)
					}
					got[a] = true
				}
				if cursor = next; next == nil {
					break
				}
			}
			same(t, fmt.Sprintf("addresses of %q in pages of %d", ft, limit), want[ft], got)
		}
	}
	gone := c.Mail[0].Address
	o.commit(statestore.Commit{MailTrims: []statestore.MailTrim{{Address: gone, Below: n + 1}}})
	delete(want[gone.Type], gone)
	o = o.restart()
	page, _, err := o.store.SpilledAddresses(t.Context(), gone.Type, nil, 100)
	check(t, "addresses after a trim", want[gone.Type], set(page), err)
}

// A bound may be above every number that a row can hold.
func testHighestBounds(t *testing.T, f *Fixture) {
	o := f.own(t, "ns/a")
	x, lane := at(counter, "x"), statestore.LaneID{Egress: "ns/a"}
	o.commit(statestore.Commit{NextNumber: 9, Mail: []statestore.MailChunk{{Address: x, Messages: mails(x, 1, 2)}}, Outputs: []statestore.OutputPack{outputs("ns/a", 1, "1")}, DeadLetters: []api.DeadLetter{dead(3)}})
	for _, n := range []uint64{math.MaxInt64, math.MaxInt64 + 1, math.MaxUint64} {
		found, err := o.store.Mail(t.Context(), x, n, 1<<20)
		check(t, "mail behind the end", []statestore.Mail{}, found, err)
		packs, err := o.store.Outputs(t.Context(), lane, n, 1<<20)
		check(t, "outputs behind the end", []statestore.OutputPack{}, packs, err)
		letters, err := o.store.DeadLetters(t.Context(), n, 10)
		check(t, "dead letters behind the end", []api.DeadLetter{}, letters, err)
	}
	o.commit(statestore.Commit{MailTrims: []statestore.MailTrim{{Address: x, Below: math.MaxUint64}}, Trims: []statestore.Trim{{Lane: lane, Below: math.MaxUint64}}})
	expectMail(t, o, x, nil)
	packs, err := o.store.Outputs(t.Context(), lane, 1, 1<<20)
	check(t, "outputs", []statestore.OutputPack{}, packs, err)
}

func testSpillTotals(t *testing.T, f *Fixture) {
	o := f.own(t)
	g := fn("a", "g")
	x, y, z := at(counter, "x"), at(counter, "y"), at(g, "x")
	o.commit(statestore.Commit{NextNumber: 100, Mail: []statestore.MailChunk{{Address: x, Messages: mails(x, 1, 2, 3)}, {Address: y, Messages: mails(y, 4)}, {Address: z, Messages: mails(z, 5, 6)}}})
	o.commit(statestore.Commit{MailTrims: []statestore.MailTrim{{Address: x, Below: 3}}, Mail: []statestore.MailChunk{{Address: z, Messages: mails(z, 7)}}})
	expect := func(want ...statestore.SpillTotal) {
		t.Helper()
		o = o.restart()
		key := func(s statestore.SpillTotal) string { return s.Function.String() }
		same(t, "totals", byKey(want, key), byKey(o.claim.Spilled, key))
	}
	total := func(ft api.FunctionType, messages ...statestore.Mail) statestore.SpillTotal {
		s := statestore.SpillTotal{Function: ft, Messages: int64(len(messages))}
		for i := range messages {
			s.Bytes += int64(messages[i].Message.Size())
		}
		return s
	}
	expect(total(counter, append(mails(x, 3), mails(y, 4)...)...), total(g, mails(z, 5, 6, 7)...))
	o.commit(statestore.Commit{MailTrims: []statestore.MailTrim{{Address: x, Below: 50}, {Address: y, Below: 50}}})
	expect(total(g, mails(z, 5, 6, 7)...))
}
