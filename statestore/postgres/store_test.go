package postgres

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

var counter = api.FunctionType{Namespace: "shop", Name: "counter"}

func addr(id string) api.Address { return api.Address{Type: counter, ID: id} }

func mail(number uint64, id, text string) statestore.Mail {
	return statestore.Mail{Number: number, Message: api.Message{Target: addr(id), Argument: api.TypedValue{TypeName: "t", HasValue: true, Value: []byte(text)}}}
}

// state is an address with one value.
func state(id string, value []byte) statestore.AddressState {
	return statestore.AddressState{Address: addr(id), Values: []statestore.StateValue{{Name: "v", TypeName: "t", Value: value, Changed: true}}}
}

func loaded(t *testing.T, s *Store, id string) statestore.Loaded {
	t.Helper()
	l, err := s.States(t.Context(), []api.Address{addr(id)})
	if err != nil {
		t.Fatal(err)
	}
	return l[0]
}

func TestSpilledMailIsCountedExactly(t *testing.T) {
	s := open(t, Config{URL: common(t).URL(), Schema: fresh()})
	c := acquire(t, s, newMember())
	var all []statestore.Mail
	size := 0
	for n := uint64(1); n <= 10; n++ {
		all = append(all, mail(n, "a", strings.Repeat("x", int(n))))
	}
	err := s.Commit(t.Context(), &statestore.Commit{Fence: c.Fence, Number: 1, NextNumber: 11, Mail: []statestore.MailChunk{
		{Address: addr("a"), Messages: all[:4]}, {Address: addr("a"), Messages: all[4:]},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for below := uint64(1); below <= 12; below++ {
		err := s.Commit(t.Context(), &statestore.Commit{Fence: c.Fence, Number: below + 1, NextNumber: 11, MailTrims: []statestore.MailTrim{{Address: addr("a"), Below: below}}})
		if err != nil {
			t.Fatal(err)
		}
		want := statestore.Loaded{}
		size = 0
		for i := range all {
			if all[i].Number >= below {
				if want.Spilled == 0 {
					want.First = all[i].Number
				}
				want.Spilled, want.Last = want.Spilled+1, all[i].Number
				size += all[i].Message.Size()
			}
		}
		want.SpilledBytes = int64(size)
		if diff := cmp.Diff(want, loaded(t, s, "a")); diff != "" {
			t.Errorf("below %d: %s", below, diff)
		}
		got, err := s.Mail(t.Context(), addr("a"), 1, 1<<20)
		if err != nil || int64(len(got)) != want.Spilled {
			t.Errorf("below %d: got %d messages, %v; want %d", below, len(got), err, want.Spilled)
		}
		again := acquire(t, s, newMemberAs(c.Fence.Member))
		if c.Fence = again.Fence; want.Spilled > 0 {
			wantTotal := []statestore.SpillTotal{{Function: counter, Messages: want.Spilled, Bytes: want.SpilledBytes}}
			if diff := cmp.Diff(wantTotal, again.Spilled); diff != "" {
				t.Errorf("below %d: %s", below, diff)
			}
		} else if len(again.Spilled) != 0 {
			t.Errorf("below %d: spilled %v, want none", below, again.Spilled)
		}
	}
}

func newMemberAs(id string) statestore.Member {
	m := newMember()
	m.ID = id
	return m
}

func TestFenceMissesAfterTakeover(t *testing.T) {
	url, schema := common(t).URL(), fresh()
	a, b := open(t, Config{URL: url, Schema: schema}), open(t, Config{URL: url, Schema: schema})
	ca := acquire(t, a, newMember())
	if err := a.Commit(t.Context(), &statestore.Commit{Fence: ca.Fence, Number: 1, NextNumber: 7, States: []statestore.AddressState{state("x", []byte("1"))}}); err != nil {
		t.Fatal(err)
	}
	if err := a.Release(t.Context(), ca.Fence); err != nil {
		t.Fatal(err)
	}
	cb := acquire(t, b, newMember())
	if cb.NextNumber != 7 {
		t.Errorf("next number %d, want 7", cb.NextNumber)
	}
	err := a.Commit(t.Context(), &statestore.Commit{Fence: ca.Fence, Number: 2, NextNumber: 7, States: []statestore.AddressState{state("x", []byte("2"))}})
	if !errors.Is(err, statestore.ErrFenced) {
		t.Errorf("commit of the former owner: %v, want ErrFenced", err)
	}
	if err := a.Renew(t.Context(), ca.Fence); !errors.Is(err, statestore.ErrFenced) {
		t.Errorf("renewal of the former owner: %v, want ErrFenced", err)
	}
	if _, err := a.LastCommit(t.Context(), ca.Fence); !errors.Is(err, statestore.ErrFenced) {
		t.Errorf("last commit of the former owner: %v, want ErrFenced", err)
	}
	if got := string(loaded(t, b, "x").Values[0].Value); got != "1" {
		t.Errorf("value %q, want 1", got)
	}
}

func TestWrongNumberIsFinal(t *testing.T) {
	s := open(t, Config{URL: common(t).URL(), Schema: fresh()})
	c := acquire(t, s, newMember())
	for _, n := range []uint64{2, 9} {
		err := s.Commit(t.Context(), &statestore.Commit{Fence: c.Fence, Number: n, NextNumber: 1})
		if err == nil || errors.Is(err, statestore.ErrFenced) || errors.Is(err, statestore.ErrUnavailable) || errors.Is(err, statestore.ErrDoubt) {
			t.Errorf("commit %d: %v, want a final error", n, err)
		}
	}
	if err := s.Commit(t.Context(), &statestore.Commit{Fence: c.Fence, Number: 1, NextNumber: 1}); err != nil {
		t.Errorf("commit 1 after that: %v", err)
	}
}

// A commit of several round trips is one transaction as well, and is fenced like any.
func TestLargeCommitIsWhole(t *testing.T) {
	s := open(t, Config{URL: common(t).URL(), Schema: fresh()})
	c := acquire(t, s, newMember(), "shop/out")
	big := func(fill byte) *statestore.Commit {
		commit := &statestore.Commit{Fence: c.Fence, Number: 1, NextNumber: 100}
		for _, id := range []string{"a", "b", "c", "d"} {
			commit.States = append(commit.States, state(id, bytes.Repeat([]byte{fill}, 7<<20)))
		}
		for n := uint64(1); n < 5; n++ {
			m := mail(n, "m", strings.Repeat("y", 6<<20))
			commit.Packs = append(commit.Packs, statestore.Pack{Number: n, Messages: []statestore.Mail{m}})
		}
		return commit
	}
	wrong := big('w')
	wrong.Number = 3
	if err := s.Commit(t.Context(), wrong); err == nil {
		t.Fatal("a large commit with a wrong number succeeded")
	}
	if got := loaded(t, s, "a"); len(got.Values) != 0 {
		t.Fatalf("a refused commit left %d values", len(got.Values))
	}
	if err := s.Commit(t.Context(), big('r')); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"a", "d"} {
		if got := loaded(t, s, id).Values; len(got) != 1 || !bytes.Equal(got[0].Value, bytes.Repeat([]byte{'r'}, 7<<20)) {
			t.Errorf("%s: value did not come back", id)
		}
	}
	again := acquire(t, s, newMemberAs(c.Fence.Member))
	if len(again.Packs) != 4 || again.Commit != 1 {
		t.Errorf("got %d packs after commit %d, want 4 after 1", len(again.Packs), again.Commit)
	}
}

// The largest value that is allowed fits, and its commit has time for it.
func TestLargestValue(t *testing.T) {
	s := open(t, Config{URL: common(t).URL(), Schema: fresh()})
	c := acquire(t, s, newMember())
	value := make([]byte, api.ValueBytesMax)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(value)
	until(t, "it is committed", func() bool { // again when it took too long, as an owner does: it has more time then
		err := s.Commit(t.Context(), &statestore.Commit{Fence: c.Fence, Number: 1, NextNumber: 2, States: []statestore.AddressState{state("a", value)}})
		if err != nil && !errors.Is(err, statestore.ErrUnavailable) {
			t.Fatal(err)
		}
		return err == nil
	})
	if got := loaded(t, s, "a"); !bytes.Equal(got.Values[0].Value, value) {
		t.Error("the state did not come back")
	}
}

// The server counts a message that is still arriving as idleness of the transaction: a slow way must not end a large commit.
func TestSlowWayCarriesLargeCommit(t *testing.T) {
	var sent atomic.Int64
	url := relay(t, common(t), way{ask: func(b []byte) bool {
		if n := sent.Add(int64(len(b))); n > 4<<20 && n-int64(len(b)) <= 4<<20 {
			<-time.After(2500 * time.Millisecond) // in the middle of the first value; longer than the session may be idle
		}
		return true
	}})
	s := open(t, Config{URL: url, Schema: fresh(), Lease: 3 * time.Second, NoHint: true})
	c := acquire(t, s, newMember())
	value := bytes.Repeat([]byte("v"), 9<<20)
	if err := s.Commit(t.Context(), &statestore.Commit{Fence: c.Fence, Number: 1, NextNumber: 2, States: []statestore.AddressState{state("a", value), state("b", value)}}); err != nil {
		t.Fatal(err)
	}
	if sent.Load() < 18<<20 {
		t.Errorf("%d bytes came by: the way was not slow", sent.Load())
	}
}

// Large values live apart; what is not there any more must not come back with a later value.
func TestLargeValuesComeAndGo(t *testing.T) {
	s := open(t, Config{URL: common(t).URL(), Schema: fresh()})
	c := acquire(t, s, newMember())
	bigA, bigB := bytes.Repeat([]byte("A"), statestore.StateApartAbove+1), bytes.Repeat([]byte("B"), 5*statestore.StateApartAbove)
	v := func(name string, value []byte, changed bool) statestore.StateValue {
		return statestore.StateValue{Name: name, TypeName: "t", Value: value, Changed: changed}
	}
	steps := [][]statestore.StateValue{
		{v("a", []byte("small"), true), v("b", bigB, true)},
		{v("a", bigA, true), v("b", bigB, false)},
		{v("a", []byte("small"), true), v("b", bigB, false)},
		{v("b", bigA, true)},
		{v("b", []byte{}, true)},
		{v("a", bigA, true), v("b", bigB, true)},
		nil,
	}
	for i, values := range steps {
		err := s.Commit(t.Context(), &statestore.Commit{Fence: c.Fence, Number: uint64(i + 1), NextNumber: 1,
			States: []statestore.AddressState{{Address: addr("x"), Values: values}, state("other", bigB)}})
		if err != nil {
			t.Fatal(err)
		}
		got := loaded(t, s, "x").Values
		if len(got) != len(values) {
			t.Fatalf("step %d: %d values, want %d", i, len(got), len(values))
		}
		for j := range got {
			if got[j].Name != values[j].Name || !bytes.Equal(got[j].Value, values[j].Value) {
				t.Errorf("step %d: value %s is not what was written", i, values[j].Name)
			}
		}
	}
	var rows int
	if err := connect(t, common(t)).QueryRow(t.Context(), s.sql(`SELECT count(*) FROM {s}.state_large`)).Scan(&rows); err != nil || rows != 1 {
		t.Errorf("%d large rows are left, %v; want the other address's only", rows, err)
	}
}
