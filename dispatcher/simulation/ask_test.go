package simulation_test

import (
	"context"
	"slices"
	"strings"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// ask is a question to the store that is on its way.
type ask struct {
	number uint64 // of the incarnation
	name   string
	read   func() error // asks the store
	answer func(m *machine.Machine)
	done   bool // read
	at     int  // how many commits there were then
}

// takeAsks puts questions on their way.
func (inc *incarnation) takeAsks(w *machine.Work) {
	ctx, h := context.Background(), inc.handle
	for _, q := range w.Loads {
		var found []statestore.Loaded
		inc.ask("states", func() (err error) { found, err = h.States(ctx, q.Addresses); return }, func(m *machine.Machine) {
			if q.ID.Incarnation == inc.number {
				inc.bounds.loaded(q.Addresses)
				inc.prompt.loaded(q.Addresses, found)
			}
			m.Loaded(q.ID, found)
		})
		inc.checkLoad(&q)
	}
	for _, q := range w.MailLoads {
		var found []statestore.Mail
		inc.ask("mail of "+name(q.Address), func() (err error) { found, err = h.Mail(ctx, q.Address, q.From, q.BytesMax); return },
			func(m *machine.Machine) { m.MailLoaded(q.ID, found) })
	}
	if q := w.TimerLoad; q != nil {
		var found []statestore.Timer
		inc.ask("timers", func() (err error) { found, err = h.Timers(ctx, q.After, q.Due, q.Limit); return },
			func(m *machine.Machine) { m.TimersLoaded(q.ID, found) })
	}
	for _, q := range w.Spills {
		var found []api.Address
		var next []byte
		inc.ask("spilled addresses", func() (err error) { found, next, err = h.SpilledAddresses(ctx, q.Function, q.Cursor, q.Limit); return },
			func(m *machine.Machine) { m.SpillsLoaded(q.ID, found, next) })
	}
	if q := w.Expired; q != nil {
		var found []api.Address
		inc.ask("expired addresses", func() (err error) {
			found, err = h.ExpiredAddresses(ctx, q.Before, q.Limit)
			slices.SortFunc(found, compareAddresses) // their order is each store's own
			return
		},
			func(m *machine.Machine) { m.Expired(q.ID, found) })
	}
}

func (inc *incarnation) ask(name string, read func() error, answer func(*machine.Machine)) {
	inc.asks = append(inc.asks, &ask{number: inc.number, name: name, read: read, answer: answer})
}

// answerAsk lets the store read for one question, or tells the machine what it has read, which may be a while ago. A question that
// fails is asked again.
func (inc *incarnation) answerAsk() bool {
	if len(inc.asks) == 0 {
		return false
	}
	if inc.at < inc.slowUntil {
		inc.slow()
		return false
	}
	at := inc.rng.IntN(len(inc.asks))
	q := inc.asks[at]
	waits := inc.rng.IntN(2) == 0
	if !q.done {
		if inc.strikes(faultLoadFails) {
			inc.struck(faultLoadFails, inc)
			inc.tell("%v: the question for %s fails", inc, q.name)
			return true
		}
		inc.readAsk(q)
		if waits && !inc.off[faultLoadStale] {
			return true
		}
	}
	inc.asks = append(inc.asks[:at], inc.asks[at+1:]...)
	if q.at != inc.commits && !inc.calm {
		inc.struck(faultLoadStale, inc)
		inc.tell("%v: the answer for %s is %d commits old", inc, q.name, inc.commits-q.at)
	}
	inc.detail("%v: answer %s", inc, q.name)
	q.answer(inc.m)
	return true
}

func (l *life) readAsk(q *ask) {
	if err := q.read(); err != nil {
		l.failf("store", "%s: %v", q.name, err)
	}
	q.done, q.at = true, l.commits
}

func compareAddresses(a, b api.Address) int { return strings.Compare(a.String(), b.String()) }
