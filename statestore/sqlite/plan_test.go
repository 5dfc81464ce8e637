package sqlite

import (
	"database/sql/driver"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// wholeTables are what may be read from end to end: at a claim everything, and what has a row or two.
var wholeTables = []string{
	"SELECT data FROM progress", "SELECT data FROM pause", "SELECT data FROM function_spec", "SELECT number, finished FROM pack_mark", "SELECT number, data FROM pack", "SELECT data FROM pack",
	"\nSELECT l.egress, l.slot", "\nSELECT b.address, b.low", "SELECT NOT EXISTS (SELECT 1 FROM state_large)", "SELECT origin, count(*)", "SELECT coalesce(max(version_id), 0) FROM goose",
	"DELETE FROM member WHERE id <> ?", "SELECT identity FROM meta", "SELECT (SELECT count(*) FROM timer)",
}

// Every statement but those goes by key, however full the tables are: no plan scans a table or sorts what it has found.
func TestStatementsGoByKey(t *testing.T) {
	s := open(t, Config{Path: fresh(t), Readers: 1})
	m := newMember()
	c := acquire(t, s, m, "e")
	lane, a := statestore.LaneID{Egress: "e"}, addr("a")
	message := api.Message{Target: a, Caller: a}
	long := addr(strings.Repeat("i", statestore.KeyBytesMax+1))
	big := state("big", make([]byte, statestore.StateApartAbove+1))
	cuts := []statestore.Commit{{
		Progress: []statestore.Progress{{}}, Functions: []statestore.FunctionSpec{{}}, States: []statestore.AddressState{state("a", nil), big, {Address: a}, {Address: long, Values: state("a", nil).Values}},
		PackMarks: []statestore.PackMark{{Number: 1, Finished: []uint64{1}}, {Number: 2, Remove: true}}, Packs: []statestore.Pack{{Number: 3, Messages: []statestore.Mail{{Number: 3, Message: message}}}},
		Mail:      []statestore.MailChunk{{Address: a, Messages: []statestore.Mail{{Number: 4, Message: message}, {Number: 5, Message: message}}}},
		MailTrims: []statestore.MailTrim{{Address: a, Below: 5}}, TimerEnds: []statestore.TimerKey{{}}, Cancels: []statestore.Cancel{{}}, Timers: []statestore.Timer{{Message: message}},
		Outputs: []statestore.OutputPack{{Lane: lane, First: 1, Outputs: make([]api.Output, 1)}}, LaneStarts: []statestore.LaneID{lane}, Trims: []statestore.Trim{{Lane: lane}},
		Refusals: []statestore.Refusal{{Lane: lane, Number: 1}}, DeadLetters: []api.DeadLetter{{Number: 1}}, DeadEnds: []uint64{1},
		Pauses: []statestore.Pause{{Kind: statestore.PauseIngress}, {Kind: statestore.PauseIngress, Ended: true}}, ProgressEnds: []api.Source{{}}, Acts: []statestore.Act{{Number: statestore.ActsKept + 1}},
	}, {
		States: []statestore.AddressState{state("big", nil)}, MailTrims: []statestore.MailTrim{{Address: a, Below: 5}},
	}}
	ctx := t.Context()
	for i := range cuts {
		cuts[i].Fence, cuts[i].Number = c.Fence, uint64(i)+1
		if err := s.Commit(ctx, &cuts[i]); err != nil {
			t.Fatal(err)
		}
		_, e1 := s.States(ctx, append(make([]api.Address, loadGroup), a, big.Address)) // a whole group, and some
		_, e2 := s.Mail(ctx, a, 0, 1<<20)
		_, _, e3 := s.SpilledAddresses(ctx, counter, nil, 10)
		_, e4 := s.Timers(ctx, statestore.TimerKey{Due: math.MinInt64}, math.MaxInt64, 10)
		_, e5 := s.ExpiredAddresses(ctx, math.MaxInt64, 10)
		_, e6 := s.Outputs(ctx, lane, 0, 1<<20)
		_, e7 := s.DeadLetters(ctx, 0, 10)
		_, e8 := s.LastCommit(ctx, c.Fence)
		e9 := s.Walk(ctx, statestore.Walk{Holding: func(statestore.Holding) error { return nil }, Address: func(statestore.AddressState) error { return nil }})
		_, _, e10 := s.Addresses(ctx, counter, "", nil, 10)
		_, _, e11 := s.Addresses(ctx, counter, strings.Repeat("i", statestore.KeyBytesMax), nil, 10) // a key that was cut
		_, e12 := s.Acts(ctx, 0, 10)
		e13 := errors.Join(s.SetNote(ctx, "n", []byte("x")), s.SetNote(ctx, "n", nil))
		_, _, e14 := s.Note(ctx, "n")
		_, e15 := s.Members(ctx)
		_, e16 := s.Mailboxes(ctx, []api.Address{a})
		for _, err := range []error{e10, e11, e12, e13, e14, e15, e16, e1, e2, e3, e4, e5, e6, e7, e8, e9} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	c = acquire(t, s, m)
	if err := s.Release(ctx, c.Fence); err != nil {
		t.Fatal(err)
	}
	<-s.writer.turn
	defer func() { s.writer.turn <- struct{}{} }()
	reader := <-s.readers.slots
	defer func() { s.readers.slots <- reader }()
	seen := 0
	for _, conn := range []*conn{s.writer.conn, reader} {
		var all []string
		for text := range conn.stmts {
			if !strings.Contains(text, "COMMIT") && !strings.Contains(text, "BEGIN") {
				all = append(all, text)
			}
		}
		for _, text := range all {
			seen++
			checkPlan(t, conn, text)
		}
	}
	if seen < 59 {
		t.Errorf("only %d statements were looked at", seen)
	}
}

func checkPlan(t *testing.T, c *conn, text string) {
	t.Helper()
	for _, whole := range wholeTables {
		if strings.HasPrefix(text, whole) {
			return
		}
	}
	err := c.query(`EXPLAIN QUERY PLAN `+text, make([]driver.Value, loadGroup), func(r row) (bool, error) {
		step := r.text(3)
		if strings.HasPrefix(step, "SCAN") && !strings.Contains(step, " CONSTANT ROW") && step != "SCAN wanted" || strings.Contains(step, "TEMP B-TREE") || strings.Contains(step, "AUTOMATIC") {
			t.Errorf("%s\n\t%s", text, step)
		}
		return true, nil
	})
	if err != nil {
		t.Errorf("%s: %v", text, err)
	}
}
