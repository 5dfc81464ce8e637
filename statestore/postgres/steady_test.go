package postgres

import (
	"fmt"
	"testing"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// What is finished leaves no row behind, in any table: a store that runs for years is as large as what waits in it.
func TestFinishedLeavesNoRow(t *testing.T) {
	srv := common(t)
	s := open(t, Config{URL: srv.URL(), Schema: fresh()})
	c := acquire(t, s, newMember(), "shop/out")
	admin := connect(t, srv)
	rows := func() (n int64) {
		t.Helper()
		for _, table := range []string{"member", "lease", "ownership", "claim", "progress", "function_spec", "state", "state_large", "pack", "pack_mark", "mailbox", "mail", "timer", "lane", "outbox", "refusal", "dead_letter", "pause", "note", "waiting"} {
			var k int64
			if err := admin.QueryRow(t.Context(), s.sql(`SELECT count(*) FROM {s}.`+table)).Scan(&k); err != nil {
				t.Fatal(err)
			}
			n += k
		}
		return n
	}
	number := uint64(0)
	commit := func(c2 statestore.Commit) {
		t.Helper()
		number++
		c2.Fence, c2.Number, c2.NextNumber = c.Fence, number, 10*number
		if err := s.Commit(t.Context(), &c2); err != nil {
			t.Fatal(err)
		}
	}
	lane := statestore.LaneID{Egress: "shop/out"}
	before := int64(0)
	for round := range uint64(40) {
		n := round*10 + 1
		id := fmt.Sprint("box-", round)
		pause := statestore.Pause{Kind: statestore.PauseAddress, Address: addr(id)}
		over, forgotten := pause, api.Source{Ingress: id}
		over.Ended = true
		sender := mail(n, id, "x").Message
		sender.Caller = addr(id)
		commit(statestore.Commit{
			Progress: []statestore.Progress{{Source: api.Source{Ingress: "in", Topic: "t"}, Start: int64(n)}, {Source: forgotten}},
			Pauses:   []statestore.Pause{pause},
			States:   []statestore.AddressState{state(id, make([]byte, statestore.StateApartAbove*int(round%3)))},
			Packs:    []statestore.Pack{{Number: n, Messages: []statestore.Mail{mail(n, id, "x"), mail(n+1, id, "y")}}},
			Mail:     []statestore.MailChunk{{Address: addr(id), Messages: []statestore.Mail{mail(n+2, id, "z"), mail(n+3, id, "z")}}},
			Timers: []statestore.Timer{
				{TimerKey: statestore.TimerKey{Due: int64(n), Number: n + 4}, Token: "t", Message: sender}, {TimerKey: statestore.TimerKey{Due: int64(n), Number: n + 5}, Message: sender},
			},
			Outputs:  []statestore.OutputPack{{Lane: lane, First: round*2 + 1, Outputs: []api.Output{{Sender: addr(id)}, {Sender: addr(id)}}}},
			Refusals: []statestore.Refusal{{Lane: lane, Number: round*2 + 2}},
		})
		commit(statestore.Commit{
			PackMarks: []statestore.PackMark{{Number: n, Finished: []uint64{n + 1}}}, MailTrims: []statestore.MailTrim{{Address: addr(id), Below: n + 3}},
			Cancels: []statestore.Cancel{{SenderID: id, Token: "t", Below: n + 9}}, Trims: []statestore.Trim{{Lane: lane, Below: round*2 + 2}},
			Pauses: []statestore.Pause{over}, ProgressEnds: []api.Source{forgotten},
		})
		commit(statestore.Commit{
			States:    []statestore.AddressState{{Address: addr(id)}},
			PackMarks: []statestore.PackMark{{Number: n, Remove: true}}, MailTrims: []statestore.MailTrim{{Address: addr(id), Below: n + 9}, {Address: addr("unknown"), Below: 9}},
			TimerEnds: []statestore.TimerKey{{Due: int64(n), Number: n + 5}}, Trims: []statestore.Trim{{Lane: lane, Below: round*2 + 3}},
		})
		switch got := rows(); {
		case round == 0:
			before = got
		case got != before:
			t.Fatalf("%d rows after round %d, %d after the first", got, round, before)
		}
	}
}
