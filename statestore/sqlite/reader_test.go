package sqlite

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// TestLoadInGroups: many addresses are loaded as each of them alone is, with large values, mailboxes and nothing at all among them, and
// with one that is asked for twice.
func TestLoadInGroups(t *testing.T) {
	s := open(t, Config{Path: fresh(t)})
	c := acquire(t, s, newMember())
	commit := &statestore.Commit{Fence: c.Fence, Number: 1, NextNumber: 1000}
	var all []api.Address
	for i := range 2*loadGroup + 5 {
		id := fmt.Sprint("user-", i)
		all = append(all, addr(id))
		if i%3 != 0 {
			commit.States = append(commit.States, state(id, bytes.Repeat([]byte{byte(i)}, 1+i%5*(statestore.StateApartAbove/4))))
		}
		if i%7 == 0 {
			m := statestore.Mail{Number: uint64(100 + i), Message: api.Message{Target: addr(id), Argument: api.TypedValue{TypeName: "t", HasValue: true, Value: []byte("x")}}}
			commit.Mail = append(commit.Mail, statestore.MailChunk{Address: addr(id), Messages: []statestore.Mail{m}})
		}
	}
	all = append(all, all[4], addr("nobody"))
	if err := s.Commit(t.Context(), commit); err != nil {
		t.Fatal(err)
	}
	got, err := s.States(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	states, boxes := 0, 0
	for i, a := range all {
		alone, err := s.States(t.Context(), []api.Address{a})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(alone[0], got[i]); diff != "" {
			t.Errorf("%v (-alone +among others):\n%s", a, diff)
		}
		states += len(got[i].Values)
		boxes += int(got[i].Spilled)
	}
	if states != len(commit.States)+1 || boxes != len(commit.Mail) {
		t.Errorf("%d states and %d spilled messages, want %d and %d", states, boxes, len(commit.States)+1, len(commit.Mail))
	}
}
