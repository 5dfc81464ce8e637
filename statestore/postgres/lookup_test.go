package postgres

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// TestLoadInEveryMode: what a load finds, with the driver told to ask and to be answered in each of its ways, and with all parts of the
// question. One address is asked for twice.
func TestLoadInEveryMode(t *testing.T) {
	large := bytes.Repeat([]byte("l"), statestore.StateApartAbove+1)
	for _, mode := range []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"} {
		t.Run(mode, func(t *testing.T) {
			s := open(t, Config{URL: common(t).URL() + "&default_query_exec_mode=" + mode, Schema: fresh()})
			fence := acquire(t, s, newMember()).Fence
			both := state("both", large)
			both.Values = append(both.Values, statestore.StateValue{Name: "w", TypeName: "u", Value: []byte{0, 0xff, '\\'}, Touched: 9, Changed: true})
			mails := []statestore.Mail{mail(3, "both", "a"), mail(4, "both", "bb"), mail(7, "both", "ccc")}
			commits := []statestore.Commit{
				{States: []statestore.AddressState{state("small", []byte("s")), both}},
				{Mail: []statestore.MailChunk{{Address: addr("both"), Messages: mails}, {Address: addr("mail"), Messages: []statestore.Mail{mail(5, "mail", "x")}}}},
				{MailTrims: []statestore.MailTrim{{Address: addr("both"), Below: 4}}},
			}
			for i := range commits {
				commits[i].Fence, commits[i].Number, commits[i].NextNumber = fence, uint64(i+1), 10
				if err := s.Commit(t.Context(), &commits[i]); err != nil {
					t.Fatal(err)
				}
			}
			got, err := s.States(t.Context(), []api.Address{addr("small"), addr("none"), addr("both"), addr("mail"), addr("small"), addr("both")})
			if err != nil {
				t.Fatal(err)
			}
			small := statestore.Loaded{Values: []statestore.StateValue{{Name: "v", TypeName: "t", Value: []byte("s")}}}
			full := statestore.Loaded{
				Values:  []statestore.StateValue{{Name: "v", TypeName: "t", Value: large}, {Name: "w", TypeName: "u", Value: []byte{0, 0xff, '\\'}, Touched: 9}},
				Spilled: 2, SpilledBytes: int64(mails[1].Message.Size() + mails[2].Message.Size()), First: 4, Last: 7,
			}
			post := mail(5, "mail", "x").Message
			want := []statestore.Loaded{small, {}, full, {Spilled: 1, SpilledBytes: int64(post.Size()), First: 5, Last: 5}, small, full}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestLoadBesideOthers: what an owner knows that there is none of is not looked for. A value that is missing for that reason is looked
// for again, and who owns no more knows nothing.
func TestLoadBesideOthers(t *testing.T) {
	cfg := Config{URL: common(t).URL(), Schema: fresh()}
	s, other := open(t, cfg), open(t, cfg)
	fence := acquire(t, s, newMember()).Fence
	if !s.noLarge.Load() || !s.noMail.Load() {
		t.Fatal("the claim of an empty store has not told that it is")
	}
	large := bytes.Repeat([]byte("l"), statestore.StateApartAbove+1)
	err := other.Commit(t.Context(), &statestore.Commit{Fence: fence, Number: 1, NextNumber: 1, States: []statestore.AddressState{state("a", large)}})
	if err != nil {
		t.Fatal(err)
	}
	if got := loaded(t, s, "a").Values; len(got) != 1 || !bytes.Equal(got[0].Value, large) {
		t.Errorf("got %.100v, want the large value", got)
	}
	if err := s.Release(t.Context(), fence); err != nil {
		t.Fatal(err)
	}
	fence = acquire(t, other, newMember()).Fence
	c := &statestore.Commit{Fence: fence, Number: 1, NextNumber: 9, Mail: []statestore.MailChunk{{Address: addr("a"), Messages: []statestore.Mail{mail(3, "a", "x")}}}}
	if err := other.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if got := loaded(t, other, "a").Spilled; got != 1 {
		t.Errorf("the owner loads %d spilled messages, want 1", got)
	}
	if got := loaded(t, s, "a").Spilled; got != 1 {
		t.Errorf("who was the owner loads %d spilled messages, want 1", got)
	}
}

// TestLookupFinds: rows come in the order of the keys, or in any other.
func TestLookupFinds(t *testing.T) {
	var all []api.Address
	for i := range 100 {
		all = append(all, addr(fmt.Sprint("user-", (i*37)%100)))
	}
	for _, step := range []int{1, 3, 30, 99} { // through the keys: one by one, past some, in another order, backwards
		l := newLookup(all, make([]statestore.Loaded, len(all)))
		for i, at := 0, 0; i < 100; i, at = i+1, (at+step)%100 {
			key := bytes.Clone(l.wanted[at].key)
			if got, err := l.find(key); err != nil || got != at {
				t.Fatalf("step %d: key %d found at %d, %v", step, at, got, err)
			}
		}
		if _, err := l.find([]byte("another")); err == nil {
			t.Errorf("step %d: found what was not asked for", step)
		}
	}
}
