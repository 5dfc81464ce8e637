package postgres

import (
	"fmt"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// The planner's statistics say "empty" of tables that are not (they were, when they were looked at last): every statement over
// queues must go by key all the same. A plan that scans takes 30 s and more here.
func TestFullQueuesStayQuick(t *testing.T) {
	srv := common(t)
	s := open(t, Config{URL: srv.URL(), Schema: fresh()})
	admin := connect(t, srv)
	for _, table := range []string{"timer", "mail", "mailbox", "pack", "pack_mark", "outbox", "refusal", "state", "state_large", "dead_letter", "lane"} {
		if _, err := admin.Exec(t.Context(), s.sql(`ALTER TABLE {s}.`+table+` SET (autovacuum_enabled = off)`)); err != nil {
			t.Fatal(err)
		}
		if _, err := admin.Exec(t.Context(), s.sql(`VACUUM ANALYZE {s}.`+table)); err != nil {
			t.Fatal(err)
		}
	}
	c := acquire(t, s, newMember(), "shop/out")
	lane := statestore.LaneID{Egress: "shop/out"}
	number := uint64(0)
	commit := func(name string, bound time.Duration, c2 statestore.Commit) {
		t.Helper()
		number++
		c2.Fence, c2.Number, c2.NextNumber = c.Fence, number, 1
		start := time.Now()
		if err := s.Commit(t.Context(), &c2); err != nil {
			t.Fatal(err)
		}
		took := time.Since(start)
		t.Logf("%s: %v", name, took.Round(100*time.Microsecond))
		if took > bound {
			t.Errorf("%s took %v, bound %v", name, took, bound)
		}
	}
	const boxes, each = 10000, 5
	for part := range 10 {
		fill := statestore.Commit{}
		for i := range boxes / 10 {
			id := fmt.Sprint("box-", part*1000+i)
			for k := range uint64(each) {
				m1, m2 := mail(1000*k+1, id, "x"), mail(1000*k+500, id, "x")
				fill.Mail = append(fill.Mail, statestore.MailChunk{Address: addr(id), Messages: []statestore.Mail{m1, m2}})
			}
			for k := range 5 {
				n := uint64(part*5000 + i*5 + k + 1)
				fill.Timers = append(fill.Timers, statestore.Timer{TimerKey: statestore.TimerKey{Due: int64(n), Number: n}, Token: fmt.Sprint("t", n),
					Message: api.Message{Target: addr("x"), Caller: addr("sender")}})
				fill.Packs = append(fill.Packs, statestore.Pack{Number: n, Messages: []statestore.Mail{mail(n, "p", "x")}})
				fill.Outputs = append(fill.Outputs, statestore.OutputPack{Lane: lane, First: n, Outputs: []api.Output{{Sender: addr("a")}}})
			}
		}
		commit("fill", 10*time.Second, fill)
	}
	const bound = 2 * time.Second // some 50 ms on a quiet machine
	var c3 statestore.Commit
	for i := range uint64(1000) {
		c3.TimerEnds = append(c3.TimerEnds, statestore.TimerKey{Due: int64(20000 + i), Number: 20000 + i})
	}
	commit("1000 timer ends", bound, c3)
	c3 = statestore.Commit{}
	for i := range uint64(1000) {
		c3.Cancels = append(c3.Cancels, statestore.Cancel{SenderID: "sender", Token: fmt.Sprint("t", 30000+i), Below: 1 << 60})
	}
	commit("1000 cancels", bound, c3)
	for _, below := range []uint64{1, 501, 1400, 5000} {
		c3 = statestore.Commit{}
		for i := range 1000 {
			c3.MailTrims = append(c3.MailTrims, statestore.MailTrim{Address: addr(fmt.Sprint("box-", i*7)), Below: below})
		}
		commit(fmt.Sprint("1000 mail trims below ", below), bound, c3)
	}
	c3 = statestore.Commit{}
	for i := range uint64(1000) {
		c3.PackMarks = append(c3.PackMarks, statestore.PackMark{Number: 10000 + i, Remove: true}, statestore.PackMark{Number: 20000 + i, Finished: []uint64{20000 + i}})
		c3.Refusals = append(c3.Refusals, statestore.Refusal{Lane: lane, Number: 40000 + i})
	}
	commit("2000 pack marks, 1000 refusals", bound, c3)
	commit("a trim of 1000 packs", bound, statestore.Commit{Trims: []statestore.Trim{{Lane: lane, Below: 1001}}})
	commit("a trim of 10 packs", bound, statestore.Commit{Trims: []statestore.Trim{{Lane: lane, Below: 1011}}})

	read := func(name string, do func() (int, error), want int) {
		t.Helper()
		start := time.Now()
		n, err := do()
		took := time.Since(start)
		t.Logf("%s: %v", name, took.Round(100*time.Microsecond))
		if err != nil || n != want || took > bound {
			t.Errorf("%s: %d in %v, %v; want %d within %v", name, n, took, err, want, bound)
		}
	}
	read("1000 addresses", func() (int, error) {
		ask := make([]api.Address, 1000)
		for i := range ask {
			ask[i] = addr(fmt.Sprint("box-", i*9))
		}
		l, err := s.States(t.Context(), ask)
		n := 0
		for i := range l {
			n += int(l[i].Spilled)
		}
		return n, err
	}, (1000-112)*2*each) // 112 of them were trimmed above
	read("mail of one address", func() (int, error) { m, err := s.Mail(t.Context(), addr("box-1"), 1, 1<<20); return len(m), err }, 2*each)
	read("100 timers", func() (int, error) {
		l, err := s.Timers(t.Context(), statestore.TimerKey{}, 1<<40, 100)
		return len(l), err
	}, 100)
	read("spilled addresses", func() (int, error) {
		l, _, err := s.SpilledAddresses(t.Context(), counter, nil, 100)
		return len(l), err
	}, 100)
	read("outputs", func() (int, error) { l, err := s.Outputs(t.Context(), lane, 45000, 100*200-1); return len(l), err }, 100)
	start := time.Now()
	again := acquire(t, s, newMemberAs(c.Fence.Member))
	took := time.Since(start)
	t.Logf("claim: %v", took.Round(time.Millisecond))
	if took > 5*time.Second || len(again.Packs) != 49000 || len(again.Spilled) != 1 || again.Spilled[0].Messages != 90000 || again.Lanes[0].Low != 1011 {
		t.Errorf("claim in %v: %d packs, spilled %+v, lanes %+v", took, len(again.Packs), again.Spilled, again.Lanes)
	}
}
