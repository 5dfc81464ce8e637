package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

func pauseOf(kind statestore.PauseKind, f api.FunctionType, id, ingress string) statestore.Pause {
	return statestore.Pause{Kind: kind, Address: at(f, id), Ingress: ingress, AtMS: -7, By: "ada@host"}
}

func act(number uint64, what string) statestore.Act {
	return statestore.Act{Number: number, AtMS: 1_700_000_000_123, By: "ada@host", What: what, On: "shop/counter/a\x00", Detail: "détail"}
}

// testPauses: what is paused is told at every claim until it has ended, each thing apart from every other, in the order of its key.
func testPauses(t *testing.T, f *Fixture) {
	o := f.own(t)
	same(t, "pauses of an empty store", []statestore.Pause{}, o.claim.Pauses)
	long := strings.Repeat("i", api.IDBytesMax)
	all := []statestore.Pause{
		pauseOf(statestore.PauseAddress, counter, "a", ""), pauseOf(statestore.PauseAddress, counter, "", ""), pauseOf(statestore.PauseAddress, counter, "a\x00", ""),
		pauseOf(statestore.PauseAddress, counter, long, ""), pauseOf(statestore.PauseAddress, counter, long[1:]+"j", ""),
		pauseOf(statestore.PauseFunction, counter, "", ""), pauseOf(statestore.PauseFunction, fn("shop/counter", ""), "", ""),
		pauseOf(statestore.PauseIngress, api.FunctionType{}, "", "shop/counter"), pauseOf(statestore.PauseIngress, api.FunctionType{}, "", strings.Repeat("n", 2*api.NameBytesMax+1)),
	}
	o.commit(statestore.Commit{Pauses: all[:5]})
	o.commit(statestore.Commit{Pauses: all[5:]})
	order := func(all []statestore.Pause) []statestore.Pause {
		return slices.SortedFunc(slices.Values(all), func(a, b statestore.Pause) int {
			return bytes.Compare(statestore.PauseKey(&a), statestore.PauseKey(&b))
		})
	}
	o = o.restart()
	exact(t, "pauses", order(all), o.claim.Pauses)

	ended := func(p statestore.Pause) statestore.Pause { p.Ended, p.By, p.AtMS = true, "", 0; return p }
	again := all[5]
	again.By, again.AtMS = "bob", math.MaxInt64
	o.commit(statestore.Commit{Pauses: []statestore.Pause{ended(all[1]), again, ended(all[1]), ended(pauseOf(statestore.PauseAddress, counter, "none", ""))}})
	brief := pauseOf(statestore.PauseFunction, fn("a", "brief"), "", "")
	o.commit(statestore.Commit{Pauses: []statestore.Pause{brief, ended(brief), ended(all[0]), all[0]}}) // the last word counts
	all[5] = again
	all = slices.Delete(all, 1, 2)
	o = o.restart()
	exact(t, "pauses", order(all), o.claim.Pauses)
}

// testProgressEnds: of a source whose progress has ended nothing is known, and of others everything.
func testProgressEnds(t *testing.T, f *Fixture) {
	o := f.own(t)
	progress := func(ingress string, partition int32) statestore.Progress {
		return statestore.Progress{Source: api.Source{Ingress: ingress, Topic: "t", Partition: partition}, Start: 5}
	}
	all := []statestore.Progress{progress("a", 0), progress("a", 1), progress("b", 0)}
	o.commit(statestore.Commit{Progress: all})
	none := api.Source{Ingress: "a", Topic: "t", Partition: 2}
	o.commit(statestore.Commit{Progress: all[2:], ProgressEnds: []api.Source{all[0].Source, none, all[0].Source}})
	o = o.restart()
	same(t, "progress", all[1:], o.claim.Progress)
	o.commit(statestore.Commit{ProgressEnds: []api.Source{all[1].Source, all[2].Source}})
	o.commit(statestore.Commit{Progress: all[1:2]}) // and it begins anew
	o = o.restart()
	same(t, "progress", all[1:2], o.claim.Progress)
}

// testActs: acts are listed newest first and page by page; a number is given once; what is far below the newest goes.
func testActs(t *testing.T, f *Fixture) {
	o := f.own(t)
	exact(t, "next act of an empty store", uint64(1), o.claim.NextAct)
	list := func(before uint64, limit int) []statestore.Act {
		t.Helper()
		found, err := o.store.Acts(t.Context(), before, limit)
		if err != nil {
			t.Fatalf("acts: %v", err)
		}
		return found
	}
	same(t, "acts of an empty store", []statestore.Act{}, list(0, 10))
	one, two, three := act(1, "pause"), act(2, "resume"), statestore.Act{Number: 3}
	o.commit(statestore.Commit{Acts: []statestore.Act{one, two}})
	o.commit(statestore.Commit{Acts: []statestore.Act{three}})
	o = o.restart()
	exact(t, "next act", uint64(4), o.claim.NextAct)
	exact(t, "acts", []statestore.Act{three, two, one}, list(0, 10))
	exact(t, "the newest", []statestore.Act{three}, list(0, 1))
	exact(t, "those before", []statestore.Act{two}, list(3, 1))
	exact(t, "all before", []statestore.Act{two, one}, list(3, 1000))
	exact(t, "all before a number far above", []statestore.Act{three, two, one}, list(math.MaxUint64, 1000))
	same(t, "none before the first", []statestore.Act{}, list(1, 10))
	same(t, "none at all", []statestore.Act{}, list(0, 0))
	same(t, "less than none", []statestore.Act{}, list(0, -1))

	x := at(counter, "x")
	twice := statestore.Commit{Acts: []statestore.Act{act(3, "forged")}, States: []statestore.AddressState{{Address: x, Values: []statestore.StateValue{state("n", "1")}}}}
	if err := o.store.Commit(t.Context(), o.fill(twice)); !final(err) {
		t.Fatalf("an act with a number that was given: %v, want a final error", err)
	}
	same(t, "state of the refused commit", []statestore.Loaded{{}}, o.states(x))
	exact(t, "acts", []statestore.Act{three, two, one}, list(0, 10))

	// As though there had been so many between.
	far, farther := act(statestore.ActsKept+1, "far"), act(statestore.ActsKept+2, "farther")
	o.commit(statestore.Commit{Acts: []statestore.Act{far}})
	exact(t, "acts", []statestore.Act{far, three, two}, list(0, 10))
	o.commit(statestore.Commit{})
	exact(t, "acts after a commit without any", []statestore.Act{far, three, two}, list(0, 10))
	o.commit(statestore.Commit{Acts: []statestore.Act{farther}})
	exact(t, "acts", []statestore.Act{farther, far, three}, list(0, 10))
	o = o.restart()
	exact(t, "next act", uint64(statestore.ActsKept+3), o.claim.NextAct)
}

// testAddresses: every address with states or mail is listed once, whatever its id, in pages of any size, by prefix.
func testAddresses(t *testing.T, f *Fixture) {
	o := f.own(t)
	types := []api.FunctionType{fn("a", "b"), fn("a", "b\xff"), fn("a", "bc"), fn("ab", ""), fn("a.b", "c")}
	long := strings.Repeat("p", statestore.KeyBytesMax)
	written := map[api.Address]bool{}
	n := uint64(0)
	var c statestore.Commit
	add := func(a api.Address, kinds int) {
		written[a] = true
		if kinds&1 != 0 {
			c.States = append(c.States, statestore.AddressState{Address: a, Values: []statestore.StateValue{state("n", strings.Repeat("v", 100))}})
		}
		if kinds&2 != 0 {
			n++
			c.Mail = append(c.Mail, statestore.MailChunk{Address: a, Messages: mails(a, n)})
		}
	}
	for _, ft := range types {
		for i := range 24 {
			add(at(ft, fmt.Sprint("id ", i, strings.Repeat("x", i*300))), i%3+1)
		}
		for i, id := range []string{"", "\x00", "a\x00b", "é", "\xc3", long, long + "q", long + "qq", long[1:] + "q", "' OR ''='", "%", "id_"} {
			add(at(ft, id), i%3+1)
		}
	}
	c.NextNumber = n + 1
	o.commit(c)
	read := func(ft api.FunctionType, prefix string, limit int) (found []api.Address) {
		t.Helper()
		var cursor []byte
		for pages := 0; ; pages++ {
			page, next, err := o.store.Addresses(t.Context(), ft, prefix, cursor, limit)
			if err != nil || len(page) > limit || pages > 1000 {
				t.Fatalf("page %d: %d addresses, %v", pages, len(page), err)
			}
			found = append(found, page...)
			if next == nil {
				return found
			}
			if bytes.Compare(next, cursor) <= 0 {
				t.Fatalf("cursor %x behind %x", next, cursor)
			}
			cursor = next
		}
	}
	expect := func() {
		t.Helper()
		for _, ft := range append(types, fn("a", "none"), fn("", "")) {
			for _, prefix := range []string{"", "id", "id 1", "id 2x", "a", "a\x00", "\xc3", "é", "%", "_", "none", long, long[1:], long + "q", long + "qqq", strings.Repeat("p", 1<<17)} {
				var want []api.Address
				for a := range written {
					if a.Type == ft && strings.HasPrefix(a.ID, prefix) {
						want = append(want, a)
					}
				}
				slices.SortFunc(want, func(a, b api.Address) int { return bytes.Compare(statestore.AddressKey(a), statestore.AddressKey(b)) })
				for _, limit := range []int{1, 7, len(want), len(want) + 1, math.MaxInt} {
					if limit > 0 {
						same(t, fmt.Sprintf("addresses of %q with %.20q in pages of %d", ft, prefix, limit), want, read(ft, prefix, limit))
					}
				}
			}
		}
	}
	expect()
	for _, limit := range []int{0, -1, math.MinInt} {
		if page, next, err := o.store.Addresses(t.Context(), types[0], "", nil, limit); len(page) != 0 || next != nil || err != nil {
			t.Errorf("a page of %d: %v, %x, %v", limit, page, next, err)
		}
	}
	for _, cursor := range [][]byte{{}, {0}, {0xff}, statestore.AddressKey(at(fn("z", "z"), "z")), bytes.Repeat([]byte{0xff}, 5000)} { // whatever somebody has sent
		if _, _, err := o.store.Addresses(t.Context(), types[0], "", cursor, 10); err != nil {
			t.Errorf("cursor %.20x: %v", cursor, err)
		}
	}
	state, mail := c.States[0].Address, c.Mail[len(c.Mail)-1].Address // of the first, mail stays
	o.commit(statestore.Commit{States: []statestore.AddressState{{Address: state}, {Address: c.States[1].Address}}, MailTrims: []statestore.MailTrim{{Address: mail, Below: n + 1}}})
	for _, a := range []api.Address{state, c.States[1].Address, mail} {
		here := o.states(a)[0]
		if len(here.Values) == 0 && here.Spilled == 0 {
			delete(written, a)
		}
	}
	o = o.restart()
	expect()
}

// testAddressPages: a page is bounded in bytes, however long the ids are and however many are asked for.
func testAddressPages(t *testing.T, f *Fixture) {
	o := f.own(t)
	var c statestore.Commit
	for i := range 100 {
		c.States = append(c.States, write(at(counter, fmt.Sprintf("%050000d", i)), state("n", "1")).States...)
	}
	o.commit(c)
	found := 0
	var cursor []byte
	for {
		page, next, err := o.store.Addresses(t.Context(), counter, "", cursor, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) > 25 {
			t.Fatalf("a page of %d addresses with ids of 50,000 bytes", len(page))
		}
		found += len(page)
		if cursor = next; next == nil {
			break
		}
	}
	if found != 100 {
		t.Errorf("%d addresses, want 100", found)
	}
}

// testDeadPages: a page of dead letters is bounded in bytes, has one letter at least, and none is passed over.
func testDeadPages(t *testing.T, f *Fixture) {
	o := f.own(t)
	sizes := []int{10, statestore.DeadPageBytes / 2, statestore.DeadPageBytes / 3, 3 * statestore.DeadPageBytes, 10, 20, 0, statestore.DeadPageBytes, 5}
	var all []api.DeadLetter
	for i, size := range sizes {
		d := dead(uint64(10 + i))
		d.Value = bytes.Repeat([]byte{byte(i)}, size)
		all = append(all, d)
		o.commit(statestore.Commit{DeadLetters: []api.DeadLetter{d}})
	}
	var pages []int
	var after uint64
	var got []api.DeadLetter
	for {
		page, err := o.store.DeadLetters(t.Context(), after, 1000)
		if err != nil {
			t.Fatalf("dead letters: %v", err)
		}
		if len(page) == 0 {
			break
		}
		pages, got, after = append(pages, len(page)), append(got, page...), page[len(page)-1].Number
	}
	exact(t, "pages", []int{3, 1, 3, 1, 1}, pages)
	exact(t, "dead letters", all, got)

	for n := range uint64(12) {
		d := dead(100 + n)
		d.Value = make([]byte, statestore.DeadPageBytes-d.Size()-len(d.Value))
		o.commit(statestore.Commit{DeadLetters: []api.DeadLetter{d}})
	}
	var before, behind runtime.MemStats
	runtime.ReadMemStats(&before)
	page, err := o.store.DeadLetters(t.Context(), 99, 1000)
	runtime.ReadMemStats(&behind)
	if err != nil || len(page) != 1 || page[0].Number != 100 {
		t.Fatalf("a page of %d, %v", len(page), err)
	}
	if used := behind.TotalAlloc - before.TotalAlloc; used > 6*statestore.DeadPageBytes {
		t.Errorf("%d MiB of memory for a page of 8", used>>20)
	}
}

// testMembers: the owner is told apart from those that wait, and one whose lease has ended is still told of.
func testMembers(t *testing.T, f *Fixture) {
	reader := f.open(t)
	members := func() []statestore.MemberState {
		t.Helper()
		found, err := reader.Members(t.Context())
		if err != nil {
			t.Fatalf("members: %v", err)
		}
		for i := range found {
			found[i].Started = found[i].Started.UTC()
		}
		return found
	}
	same(t, "members of an empty store", []statestore.MemberState{}, members())
	o := f.own(t)
	told := members()
	if len(told) != 1 || !told[0].Active || told[0].Epoch != o.claim.Fence.Epoch {
		t.Fatalf("members %+v, want the owner", told)
	}
	if left := time.Until(told[0].Until); left > f.Lease+time.Minute || left < -time.Minute {
		t.Errorf("its lease ends in %v, it is %v long", left, f.Lease)
	}
	same(t, "owner", o.member, told[0].Member)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	waiter := newMember()
	done := acquireAside(ctx, f.open(t), waiter)
	waits := func() bool {
		return slices.ContainsFunc(members(), func(m statestore.MemberState) bool {
			return m.Member == waiter && !m.Active && m.Epoch == 0 && m.Until.IsZero()
		})
	}
	keep := func(until func() bool) bool {
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); pause(t, f.Lease/10) {
			if err := o.store.Renew(t.Context(), o.claim.Fence); err != nil {
				t.Fatalf("renew: %v", err)
			}
			if until() {
				return true
			}
		}
		return false
	}
	if !f.OwnerAlone && !keep(waits) {
		t.Errorf("members %+v, want %s to wait", members(), waiter.ID)
	}
	notYet(t, done, "while another member renews its lease")
	cancel()
	if c := <-done; !errors.Is(c.err, context.Canceled) {
		t.Fatalf("acquire: %v", c.err)
	}
	if !keep(func() bool { return !waits() }) {
		t.Errorf("members %+v: the second has left", members())
	}
	for deadline := time.Now().Add(patience); members()[0].Active; pause(t, f.Lease/10) {
		if time.Now().After(deadline) {
			t.Fatal("the lease does not end")
		}
	}
	told = members()
	if len(told) != 1 || told[0].Member != o.member {
		t.Errorf("members %+v, want the one whose lease has ended", told)
	}
	o.leave()
	same(t, "members after the release", []statestore.MemberState{}, members())
}

// testNotes: anybody writes notes, under any name, and the last one counts.
func testNotes(t *testing.T, f *Fixture) {
	a, b := f.open(t), f.open(t) // neither owns the store
	expect := func(s statestore.Store, name string, want []byte) int64 {
		t.Helper()
		data, at, err := s.Note(t.Context(), name)
		if err != nil {
			t.Fatalf("note %.20q: %v", name, err)
		}
		if !bytes.Equal(data, want) || (data == nil) != (want == nil) || (at == 0) != (want == nil) {
			t.Errorf("note %.20q: %.40q of %d, want %.40q", name, data, at, want)
		}
		return at
	}
	set := func(s statestore.Store, name string, data []byte) {
		t.Helper()
		if err := s.SetNote(t.Context(), name, data); err != nil {
			t.Fatalf("set note %.20q: %v", name, err)
		}
	}
	names := []string{"", "a", "a\x00", "\xff", "' OR ''='", strings.Repeat("n", 5000)}
	for i, name := range names {
		expect(a, name, nil)
		set(a, name, []byte{0, byte(i), 255})
	}
	for i, name := range names {
		at := expect(b, name, []byte{0, byte(i), 255})
		if age := time.Since(time.UnixMilli(at)); age.Abs() > time.Hour {
			t.Errorf("note %.20q was written %v ago", name, age)
		}
	}
	big := bytes.Repeat([]byte("b"), statestore.NoteBytesMax)
	set(b, "a", big)
	expect(a, "a", big)
	if err := b.SetNote(t.Context(), "a", append(big, 'b')); !errors.Is(err, statestore.ErrNoteTooLong) {
		t.Errorf("a note that is too long: %v", err)
	}
	expect(a, "a", big)
	for _, none := range [][]byte{nil, {}} {
		set(a, "a", none)
		expect(b, "a", nil)
		set(b, "a", []byte("again"))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.SetNote(ctx, "a", nil); !errors.Is(err, statestore.ErrUnavailable) {
		t.Errorf("set a note in an ended context: %v, want ErrUnavailable", err)
	}
	expect(a, "a", []byte("again"))
}
