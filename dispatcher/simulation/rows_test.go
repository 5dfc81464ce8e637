package simulation_test

import (
	"context"
	"fmt"

	"github.com/stategate/stategate/api"
)

// rowsSQL counts what a store keeps for nobody: rows that no answer of it shows, and that would gather for ever.
const rowsSQL = `SELECT 'packs ' || (SELECT count(*) FROM {s}.pack) || ', marks ' || (SELECT count(*) FROM {s}.pack_mark)
  || ', mailboxes ' || (SELECT count(*) FROM {s}.mailbox) || ', mail ' || (SELECT count(*) FROM {s}.mail) || ', timers ' || (SELECT count(*) FROM {s}.timer)
  || ', outputs ' || (SELECT count(*) FROM {s}.outbox) || ', refusals ' || (SELECT count(*) FROM {s}.refusal)
  || ', states ' || (SELECT count(*) FROM {s}.state) || ', large values ' || (SELECT count(*) FROM {s}.state_large)`

// checkRows looks at the tables themselves, where there are some.
func (l *life) checkRows(h handle) {
	var all []api.Address
	for _, t := range l.w.types {
		for _, id := range l.w.ids {
			all = append(all, api.Address{Type: t, ID: id})
		}
	}
	found, err := h.States(context.Background(), all)
	if err != nil {
		l.failf("store", "states: %v", err)
	}
	states, large := 0, 0
	for i := range found {
		if len(found[i].Values) > 0 {
			states++
		}
		for j := range found[i].Values {
			if found[i].Values[j].Apart() {
				large++
			}
		}
	}
	got, ok, err := l.deposit.ask(rowsSQL)
	if err != nil {
		l.failf("store", "count rows: %v", err)
	}
	want := fmt.Sprintf("packs 0, marks 0, mailboxes 0, mail 0, timers 0, outputs 0, refusals 0, states %d, large values %d", states, large)
	if ok && got != want {
		l.failf("left over", "the store has %s; want %s", got, want)
	}
}
