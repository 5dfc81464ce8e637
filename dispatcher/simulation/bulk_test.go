package simulation_test

import (
	"slices"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// bulks is what is known from outside of the calls of one incarnation that travel together.
type bulks struct {
	takes    map[string]int                // by endpoint: calls of a bulk, as the machine was told last
	shunned  map[string]int64              // by endpoint: it has refused one, so there is none before this time
	open     map[string][]*sent            // by endpoint: requests with untried calls that the young ones are among
	born     map[uint64]int64              // when bulks were sent
	broken   map[string]int                // by endpoint: bulks in a row without any answer, but for those that were out together
	brokeAt  map[string]int64              // and when the last was
	answered map[uint64]bool               // bulks of which a call has ended by itself
	alone    map[api.Address]*machine.Call // a bulk left this call without an answer: it must come again as the same attempt, and alone
	apart    map[api.Address]bool          // the same, until it succeeds
	vague    map[api.Address]bool          // the same, with mail in the store: that may be forgotten with the rest
}

// sent is one request.
type sent struct {
	bulk  uint64
	calls int // without an answer
	one   uint64
	born  int64

	untried bool // it is one that others have to wait for, for certain
}

func newBulks() bulks {
	return bulks{takes: map[string]int{}, shunned: map[string]int64{}, open: map[string][]*sent{}, answered: map[uint64]bool{}, born: map[uint64]int64{}, broken: map[string]int{}, brokeAt: map[string]int64{}, alone: map[api.Address]*machine.Call{}, apart: map[api.Address]bool{}, vague: map[api.Address]bool{}}
}

// boundBulks draws the bounds of requests, and how many calls of a bulk each endpoint runs at once; most run none.
func (l *life) boundBulks(cfg *machine.Config) {
	rng := drawer(l.seed, streamBulks)
	some := func(all ...int) int { return all[rng.IntN(len(all))] }
	cfg.YoungRequests, cfg.YoungAge = some(1, 1, 2, 8), int64(some(1, 5, 20, 300))
	cfg.BulkMessages, cfg.BulkBytes = some(1, 3, 0, 0), some(1, 200, 0, 0)
	l.bulks = map[string]int{}
	for _, t := range l.w.types {
		f, _ := cfg.Function(t)
		if _, drawn := l.bulks[f.Endpoint]; !drawn {
			l.bulks[f.Endpoint] = some(0, 0, 2, 3, 50)
		}
	}
}

func (inc *incarnation) endpoint(t api.FunctionType) string {
	f, _ := inc.cfg.Function(t)
	return f.Endpoint
}

// checkBulks judges the requests of one Work: what travels together, how much of it, and whether it had to wait.
func (inc *incarnation) checkBulks(calls []machine.Call) {
	for len(calls) > 0 {
		n := 1
		for calls[0].Bulk != 0 && n < len(calls) && calls[n].Bulk == calls[0].Bulk {
			n++
		}
		inc.checkRequest(calls[:n])
		calls = calls[n:]
	}
}

func (inc *incarnation) checkRequest(calls []machine.Call) {
	b, c := &inc.bulks, &calls[0]
	endpoint := inc.endpoint(c.Target.Type)
	for i := range calls {
		if again := b.alone[calls[i].Target]; again != nil {
			if calls[i].Bulk != 0 || calls[i].Attempt != again.Attempt {
				inc.failf("bulk", "%v: attempt %d of %v comes after attempt %d, which a bulk left unanswered; in a bulk: %v", inc,
					calls[i].Attempt, c.Target, again.Attempt, calls[i].Bulk != 0)
			}
			delete(b.alone, calls[i].Target)
		}
	}
	takes := b.takes[endpoint]
	if c.Bulk != 0 {
		b.born[c.Bulk] = inc.told
		inc.checkTogether(calls, endpoint, takes)
	}
	if takes < 2 || inc.cfg.BreakerFailures < 1<<30 { // a probe goes out whatever waits
		return
	}
	r := &sent{bulk: c.Bulk, calls: len(calls), one: c.ID.N, born: inc.told, untried: !inc.tried(c) && !inc.w.asides[c.Target.Type]}
	filled := len(calls) == takes || inc.cfg.BulkMessages > 0 || inc.cfg.BulkBytes > 0 || inc.cfg.CallBytesMax > 0 || inc.cfg.Slots <= 4 // as far as may be
	if young := b.young(endpoint, inc.told-inc.cfg.YoungAge, true); r.untried && !filled && young >= inc.cfg.YoungRequests {
		inc.boundf("young-bound", "%v: a call of %v goes out while %d requests to %s are young, the bound is %d", inc, c.Target, young, endpoint, inc.cfg.YoungRequests)
	}
	b.open[endpoint] = append(b.open[endpoint], r)
}

// young counts the requests that are out since a time: all, or those that others must wait for.
func (b *bulks) young(endpoint string, since int64, untried bool) (n int) {
	for _, r := range b.open[endpoint] {
		if r.born > since && (r.untried || !untried) {
			n++
		}
	}
	return n
}

// cut notes which addresses may be forgotten from here on.
func (b *bulks) cut(c *statestore.Commit) {
	for i := range c.Mail {
		b.forgets(c.Mail[i].Address)
	}
}

// forgets notes that an address may be forgotten from here on, and with it how its last attempt ended.
func (b *bulks) forgets(a api.Address) {
	if b.apart[a] {
		delete(b.alone, a)
		delete(b.apart, a)
		b.vague[a] = true
	}
}

// tried reports whether the last attempt of a call's address came to nothing, so that it may go by itself.
func (inc *incarnation) tried(c *machine.Call) bool {
	return inc.bulks.apart[c.Target] || inc.bulks.vague[c.Target] || inc.prompt.failed[c.Target] || inc.trials.on(c.Target)
}

func (inc *incarnation) checkTogether(calls []machine.Call, endpoint string, takes int) {
	messages, bytes := 0, 0
	for i := range calls {
		c := &calls[i]
		switch {
		case inc.endpoint(c.Target.Type) != endpoint:
			inc.failf("bulk", "%v: one request for %v and %v, which live at two endpoints", inc, calls[0].Target, c.Target)
		case c.Attempt > 1 || inc.bulks.apart[c.Target]:
			inc.failf("bulk", "%v: attempt %d of %v, whose last one failed, travels with others", inc, c.Attempt, c.Target)
		case slices.ContainsFunc(inc.calls, func(f *flying) bool { return !f.again && f.call.Bulk == c.Bulk }):
			inc.failf("bulk", "%v: two requests have the number %d", inc, c.Bulk)
		}
		if limit := inc.cfg.BulkMessages; limit > 0 && messages >= limit || inc.cfg.BulkBytes > 0 && i > 0 && bytes >= inc.cfg.BulkBytes {
			inc.boundf("bulk-bound", "%v: a request holds %d messages and %d bytes, and one call more; the bounds are %d and %d", inc, messages, bytes, limit, inc.cfg.BulkBytes)
		}
		messages += len(c.Messages)
		for m := range c.Messages {
			bytes += len(c.Messages[m].Argument.Value)
		}
	}
	if len(calls) < 2 || len(calls) > takes {
		inc.failf("bulk", "%v: one request with %d calls for %s, which takes %d", inc, len(calls), endpoint, takes)
	}
}

// landed takes a call that has ended off its request; by itself: it was answered, or its own time is over.
func (b *bulks) landed(c *machine.Call, endpoint string, byItself bool) {
	if c.Bulk != 0 && byItself {
		b.answered[c.Bulk] = true
	}
	for i, r := range b.open[endpoint] {
		if r.bulk != 0 && r.bulk == c.Bulk || r.bulk == 0 && r.one == c.ID.N {
			if r.calls--; r.calls == 0 {
				b.open[endpoint] = slices.Delete(b.open[endpoint], i, i+1)
			}
			return
		}
	}
}

// announces is what a reply says of bulk calls now; the machine is told of it with that reply.
func (inc *incarnation) announces(c *machine.Call, reply *machine.Reply) *machine.Reply {
	endpoint := inc.endpoint(c.Target.Type)
	if inc.bulkStrikes(faultBulkAnew) {
		inc.struck(faultBulkAnew, inc)
		inc.life.bulks[endpoint] = []int{0, 2, 3, 50}[inc.dice.fault(faultBulkAnew, 4)]
	}
	if c.Bulk != 0 {
		inc.bulks.broken[endpoint] = 0
	}
	reply.BulkCalls = int32(inc.life.bulks[endpoint])
	if inc.bulks.takes[endpoint] = int(reply.BulkCalls); inc.told < inc.bulks.shunned[endpoint] {
		inc.bulks.takes[endpoint] = 0 // the first reply behind that time says it anew
	}
	return reply
}

// endsUnanswered draws whether the bulk that carries a call ends before it is answered.
func (inc *incarnation) endsUnanswered(f *flying) bool {
	if f.call.Bulk == 0 || f.again {
		return false
	}
	endpoint := inc.endpoint(f.call.Target.Type)
	switch {
	case !inc.bulks.answered[f.call.Bulk] && inc.bulkStrikes(faultBulkRefused):
		inc.struck(faultBulkRefused, inc)
		if inc.dice.fault(faultBulkRefused, 2) == 0 { // it has forgotten about them; else one of its instances has
			inc.life.bulks[endpoint] = 0
		}
		inc.endBulk(f.call.Bulk, endpoint, true)
	case inc.bulkStrikes(faultBulkCut):
		inc.struck(faultBulkCut, inc)
		inc.endBulk(f.call.Bulk, endpoint, false)
	default:
		return false
	}
	return true
}

// bulkStrikes is strikes, with 40 tries for a member that stops: a bulk is seldom out then, and the fault would as good as never strike.
func (inc *incarnation) bulkStrikes(f fault) bool {
	tries := 1
	if inc.draining {
		tries = 40
	}
	for range tries {
		if inc.strikes(f) {
			return true
		}
	}
	return false
}

// endBulk tells the machine that what is left of a bulk will have no answer.
func (inc *incarnation) endBulk(bulk uint64, endpoint string, refused bool) {
	inc.tell("%v: bulk %d ends, refused: %v", inc, bulk, refused)
	inc.bulks.takes[endpoint] = 0
	if b := &inc.bulks; !b.answered[bulk] && (b.brokeAt[endpoint] == 0 || b.born[bulk] > b.brokeAt[endpoint]) {
		b.brokeAt[endpoint] = inc.told
		b.broken[endpoint]++
		if refused || b.broken[endpoint] > 1 {
			pause := int64(5000)
			for n := b.broken[endpoint]; n > 2 || refused && n > 1; n-- {
				pause = min(2*pause, 300_000)
			}
			b.shunned[endpoint] = inc.told + pause
		}
	}
	for _, f := range slices.Clone(inc.calls) {
		if f.again || f.call.Bulk != bulk {
			continue
		}
		inc.calls = slices.DeleteFunc(inc.calls, func(o *flying) bool { return o == f })
		delete(inc.busy, f.call.Target)
		inc.tell("%v: the call of %s has no answer", inc, name(f.call.Target))
		inc.bounds.landed(&f.call)
		inc.bulks.landed(&f.call, endpoint, false)
		if inc.prompt.plain[f.call.Target] {
			inc.bulks.alone[f.call.Target], inc.bulks.apart[f.call.Target] = &f.call, true
		} else {
			inc.bulks.vague[f.call.Target] = true
		}
		inc.m.Unanswered(f.call.ID, refused)
	}
}

// gathers reports whether calls of an endpoint may wait although it has slots: for one of so many young requests, of which the machine
// must want to be told the age.
func (inc *incarnation) gathers(endpoint string) bool {
	b, c := &inc.bulks, &inc.cfg
	if b.takes[endpoint] < 2 || b.young(endpoint, inc.told-c.YoungAge, false) < c.YoungRequests {
		return false
	}
	last := int64(0)
	for _, r := range b.open[endpoint] {
		last = max(last, r.born)
	}
	if inc.tick > max(last+c.YoungAge, inc.told+1) {
		inc.boundf("tick", "%v: calls gather for %s until a request of %d is %d ms old, and the machine wants to be told the time at %d", inc, endpoint, last, c.YoungAge, inc.tick)
	}
	return true
}
