//go:build unix

package chaos

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// Kinds of events: what a record asks the function "front" of its key to do.
const (
	kindAdd    = "add"    // add n to the account of the same id
	kindSet    = "set"    // set it to n
	kindChain  = "chain"  // add n, by way of two other functions
	kindFan    = "fan"    // add n to fanWidth other accounts
	kindDelay  = "delay"  // add n after n ms
	kindCancel = "cancel" // add n after an hour, and cancel that: it must never run
	kindRace   = "race"   // add n after n ms, and cancel that at about the same time: it may run once
	kindWeigh  = "weigh"  // add n, and keep n KiB of state; never drawn, for it fills disks
)

const (
	fanWidth     = 3
	fanAccounts  = 12
	cancelledFor = 3600_000 // ms
)

// event is the value of a record.
type event struct {
	op   string // no two events share it
	kind string
	n    int
	to   string // of a fan: what its accounts' names begin with
}

func (e event) String() string { return fmt.Sprintf("%s %s %d %s", e.op, e.kind, e.n, e.to) }

func parseEvent(text string) (e event, err error) {
	if _, err = fmt.Sscan(text, &e.op, &e.kind, &e.n, &e.to); err != nil {
		err = fmt.Errorf("event %q: %w", text, err)
	}
	return e, err
}

// orders are what an event of a key asks of accounts, by id. due is 0 where the order is not delayed.
func (e event) orders(key string, due int64) (ids []string, orders []order) {
	if e.kind != kindFan {
		return []string{key}, []order{{op: e.op, how: e.kind, n: e.n, due: due}}
	}
	for i := range fanWidth {
		ids = append(ids, fmt.Sprintf("%s-fan%d", e.to, (e.n+i)%fanAccounts))
		orders = append(orders, order{op: fmt.Sprintf("%s/%d", e.op, i), how: e.kind, n: e.n})
	}
	return ids, orders
}

// order is a message to an account.
type order struct {
	op, how string
	n       int
	due     int64 // when it may run at the earliest, Unix milliseconds
}

func (o order) String() string { return fmt.Sprintf("%s %s %d %d", o.op, o.how, o.n, o.due) }

func parseOrder(text string) (o order, err error) {
	if _, err = fmt.Sscan(text, &o.op, &o.how, &o.n, &o.due); err != nil {
		err = fmt.Errorf("order %q: %w", text, err)
	}
	return o, err
}

// apply is what an order makes of a balance.
func apply(how string, n, balance int) int {
	if how == kindSet {
		return n
	}
	return balance + n
}

// result is what an account says of an order that it has run: the value of an output.
type result struct {
	count    int // of orders, this one included
	op, how  string
	n        int
	old, new int
	wrong    string // what the account found wrong; one word or ""
}

func (r result) String() string {
	return strings.TrimSpace(fmt.Sprintf("%d %s %s %d %d %d %s", r.count, r.op, r.how, r.n, r.old, r.new, r.wrong))
}

func parseResult(text string) (r result, err error) {
	fields := strings.Fields(text)
	if len(fields) < 6 || len(fields) > 7 {
		return r, fmt.Errorf("result %q: %d fields", text, len(fields))
	}
	for _, f := range []struct {
		to   *int
		text string
	}{{&r.count, fields[0]}, {&r.n, fields[3]}, {&r.old, fields[4]}, {&r.new, fields[5]}} {
		if *f.to, err = strconv.Atoi(f.text); err != nil {
			return r, fmt.Errorf("result %q: %w", text, err)
		}
	}
	r.op, r.how = fields[1], fields[2]
	if len(fields) == 7 {
		r.wrong = fields[6]
	}
	return r, nil
}

// generationOps is after how many events a client turns to new keys, so that no history grows without bound.
const generationOps = 1500

// drawing makes the events of one client.
type drawing struct {
	rand   *rand.Rand
	client int
	drawn  int
}

// next draws an event and where it goes. A few keys live as long as the run, one of each generation is hot.
func (d *drawing) next() (topic, key string, e event) {
	generation := d.drawn / generationOps
	e = event{op: fmt.Sprintf("c%d-%d", d.client, d.drawn), to: fmt.Sprintf("g%d", generation)}
	d.drawn++
	switch p := d.rand.IntN(100); {
	case p < 20:
		key = fmt.Sprintf("g%d-hot", generation)
	case p < 30:
		key = fmt.Sprintf("old%d", d.rand.IntN(10))
	default:
		key = fmt.Sprintf("g%d-%d", generation, d.rand.IntN(40))
	}
	switch p := d.rand.IntN(100); {
	case p < 45:
		e.kind, e.n = kindAdd, 1+d.rand.IntN(100)
	case p < 55:
		e.kind, e.n = kindSet, d.rand.IntN(1000)
	case p < 67:
		e.kind, e.n = kindChain, 1+d.rand.IntN(100)
	case p < 77:
		e.kind, e.n = kindFan, 1+d.rand.IntN(100)
	case p < 87:
		e.kind, e.n = kindDelay, 50+d.rand.IntN(3000)
	case p < 93:
		e.kind, e.n = kindCancel, 1+d.rand.IntN(100)
	default:
		e.kind, e.n = kindRace, 20+d.rand.IntN(1000)
	}
	if topic = topicEvents; d.rand.IntN(4) == 0 {
		topic = topicPairs
	}
	return topic, key, e
}
