package simulation_test

import (
	"cmp"
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// Operators pause addresses, functions and the ingress, let them go on, have addresses tried now and skip messages, at any time.

// skippedReason is what dead letters say that operators have made.
const skippedReason = "skipped by an operator"

// operators are what an incarnation has been asked for.
type operators struct {
	asked   map[statestore.Pause]int // pauses by what they are of: the how-manieth that was asked for is the last one
	orders  int
	skips   []uint64             // numbers of messages that were skipped, whose dead letters no cut holds yet
	hurried map[api.Address]bool // that must be called now
}

func newOperators() operators {
	return operators{asked: map[statestore.Pause]int{}, hurried: map[api.Address]bool{}}
}

// hire draws how often operators act in a life, of a thousand steps.
func (l *life) hire(of *plan) {
	l.operators = []int{0, 5, 30, 100}[drawer(l.seed, streamOperators, 0).IntN(4)]
	if !*operatorsFlag || of.unattended {
		l.operators = 0
	}
}

// pausedOf is what a pause is of.
func pausedOf(p statestore.Pause) statestore.Pause {
	return statestore.Pause{Kind: p.Kind, Address: p.Address, Ingress: p.Ingress}
}

func pausedName(p statestore.Pause) string {
	switch p.Kind {
	case statestore.PauseAddress:
		return name(p.Address)
	case statestore.PauseFunction:
		return p.Address.Type.String()
	}
	return p.Ingress
}

// stands reports whether an address must not be called.
func (s *shadow) stands(a api.Address) bool {
	return s.paused[statestore.Pause{Kind: statestore.PauseAddress, Address: a}] || s.paused[statestore.Pause{Kind: statestore.PauseFunction, Address: api.Address{Type: a.Type}}]
}

// shut reports whether the ingress must not bring anything.
func (s *shadow) shut() bool {
	return s.paused[statestore.Pause{Kind: statestore.PauseIngress, Ingress: "sim/in"}]
}

// pauses lists what is paused.
func (s *shadow) pauses() []statestore.Pause {
	return slices.SortedFunc(maps.Keys(s.paused), func(a, b statestore.Pause) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), strings.Compare(a.Ingress, b.Ingress), compareAddresses(a.Address, b.Address))
	})
}

// operate is what operators do in a step. In the calm they let everything go on.
func (inc *incarnation) operate() {
	if inc.operators == 0 || inc.draining || inc.over {
		return
	}
	rng := drawer(inc.seed, streamOperators, uint64(inc.at))
	all := inc.shadow.pauses()
	switch {
	case inc.calm && inc.owner == inc:
		for _, p := range all {
			inc.pause(p, true)
		}
	case inc.calm:
	case len(all) > 0 && rng.IntN(20) == 0:
		inc.pause(all[rng.IntN(len(all))], true)
	case rng.IntN(1000) >= inc.life.operators:
	case rng.IntN(5) == 0:
		inc.pause(inc.pausable(rng), false)
	case rng.IntN(5) == 0:
		inc.pause(inc.pausable(rng), true)
	case rng.IntN(3) == 0:
		inc.retry(inc.w.someAddress(rng, inc.w.types))
	default:
		if types := inc.w.spare(); len(types) > 0 {
			inc.skip(rng, inc.w.someAddress(rng, types))
		}
	}
}

func (w *world) someAddress(rng *rand.Rand, types []api.FunctionType) api.Address {
	return api.Address{Type: types[rng.IntN(len(types))], ID: w.ids[rng.IntN(len(w.ids))]}
}

// pausable is something that may be paused.
func (inc *incarnation) pausable(rng *rand.Rand) statestore.Pause {
	switch a := inc.w.someAddress(rng, inc.w.types); rng.IntN(5) {
	case 0:
		return statestore.Pause{Kind: statestore.PauseIngress, Ingress: "sim/in"}
	case 1:
		return statestore.Pause{Kind: statestore.PauseFunction, Address: api.Address{Type: a.Type}}
	default:
		return statestore.Pause{Kind: statestore.PauseAddress, Address: a}
	}
}

// pause begins a pause, or ends it.
func (inc *incarnation) pause(p statestore.Pause, ended bool) {
	key := pausedOf(p)
	p = key
	p.By, p.Ended = "operator", ended
	o := &inc.operator
	o.orders++
	order := o.orders
	token := inc.when(func() {
		if o.asked[key] == order && inc.owner == inc && inc.durable.paused[key] == ended {
			inc.failf("paused", "%v says that the pause of %s is durable, ended %v, and for the store it is %v", inc, pausedName(p), ended, inc.durable.paused[key])
		}
	})
	denial := inc.m.Pause(p, token)
	nobody := !ended && p.Kind != statestore.PauseIngress && p.Address.Type == inc.lacks
	if nobody != (denial != nil) {
		inc.failf("paused", "%v denies the pause of %s: %v; the module declares it: %v", inc, pausedName(p), denial, !nobody)
	}
	if denial != nil {
		delete(inc.tokens, token)
		return
	}
	inc.tell("%v: an operator pauses %s, ended %v", inc, pausedName(p), ended)
	o.asked[key] = order
	if inc.shadow.paused[key] != ended {
		return
	}
	if ended {
		delete(inc.shadow.paused, key)
		inc.seen.resumed++
		return
	}
	inc.shadow.paused[key] = true
	inc.seen.paused++
}

// checkPaused holds what is called and brought against what is paused.
func (inc *incarnation) checkPaused(w *machine.Work) {
	for i := range w.Calls {
		if a := w.Calls[i].Target; inc.shadow.stands(a) {
			inc.failf("paused", "%v calls %s, which is paused", inc, name(a))
		}
	}
	for _, r := range inc.readers {
		if inc.shadow.shut() && !r.full && r.started {
			inc.failf("paused", "%v: the ingress is paused, and source %v is not full", inc, r.s.id)
		}
	}
}

// checkPauses holds what a new owner is told of pauses against what was committed.
func (l *life) checkPauses(c *statestore.Claim) {
	told := map[statestore.Pause]bool{}
	for _, p := range c.Pauses {
		told[pausedOf(p)] = true
	}
	if !maps.Equal(told, l.durable.paused) {
		l.failf("paused", "the claim says that %v are paused, want %v", told, l.durable.pauses())
	}
}

// retry has an address tried now.
func (inc *incarnation) retry(a api.Address) {
	v := inc.m.View(a)
	token := inc.when(func() {})
	inc.m.Retry(a, "operator", token, func(d *machine.Denial) {
		inc.tell("%v: an operator has %s tried, denied: %v", inc, name(a), d)
		if d != nil {
			delete(inc.tokens, token)
			if v.Phase == "backoff" || d.Nothing && v.Phase == "paused" {
				inc.failf("retry", "%v: %s is not tried: %s; it was %+v", inc, name(a), d.Detail, v)
			}
			return
		}
		now := inc.m.View(a)
		if inc.shadow.stands(a) || a.Type == inc.lacks || now.Phase != "ready" {
			inc.failf("retry", "%v is to try %s now, which is %+v", inc, name(a), now)
		}
		inc.seen.retried++
		inc.operator.hurried[a] = true
		inc.bulks.vague[a] = true // it goes out alone and at once, like one whose last attempt failed
	})
}

// checkRetried finds addresses that an operator wanted to be tried and that are not, although nothing is in their way.
func (inc *incarnation) checkRetried() {
	c, out := &inc.cfg, map[string]int{}
	for _, f := range inc.calls {
		if !f.again {
			out[inc.endpoint(f.call.Target.Type)]++
		}
	}
	for a := range inc.operator.hurried {
		free := !inc.draining && c.EffectsMax == 0 && c.EffectBytesMax == 0 && c.CallBytesMax == 0 && c.BreakerFailures == 1<<30 &&
			c.MailBytesMax == 0 && c.BusyBytesMax == 0 // else its mail may have to leave memory
		if free && !inc.busy[a] && out[inc.endpoint(a.Type)] < max(1, c.Slots/4) {
			inc.boundf("retry", "%v: %s was to be tried now, and is not called", inc, name(a))
		}
	}
	clear(inc.operator.hurried)
}

// frontOf is the number of the message at the front of an address, as an operator would see it: 0, there is none.
func (inc *incarnation) frontOf(a api.Address, v *machine.View) uint64 {
	if v.InMemory {
		return v.Front.Number
	}
	found, err := inc.handle.Mail(context.Background(), a, 0, 1)
	if err != nil {
		inc.failf("store", "mail: %v", err)
	}
	if len(found) == 0 {
		return 0
	}
	return found[0].Number
}

// skip sets the message at the front of an address aside, or asks for one that is there no longer, or not yet.
func (inc *incarnation) skip(rng *rand.Rand, a api.Address) {
	v := inc.m.View(a)
	number := inc.frontOf(a, &v)
	known := v.InMemory && number != 0 && !v.Front.Stored
	wrong := rng.IntN(4)
	switch wrong {
	case 0:
		number++
	case 1:
		number = inc.life.fronts[a]
	}
	inc.life.fronts[a] = v.Front.Number
	full := inc.deadFull(api.OriginFunction(a.Type))
	token := inc.when(func() {})
	inc.m.Skip(a, number, "operator", token, func(d *machine.Denial) {
		inc.tell("%v: an operator skips message %d of %s, denied: %v", inc, number, name(a), d)
		waits := known && v.Phase != "calling" && v.Front.Number == number && !full && a.Type != inc.lacks
		switch {
		case d != nil && waits:
			inc.failf("skip", "%v does not skip message %d of %s: %s; it was %+v", inc, number, name(a), d.Detail, v)
		case d == nil && (known && !waits || a.Type == inc.lacks):
			inc.failf("skip", "%v skips message %d of %s, which was %+v", inc, number, name(a), v)
		}
		if d != nil {
			delete(inc.tokens, token)
			return
		}
		inc.operator.skips = append(inc.operator.skips, number)
	})
}

// noteSkipped takes a message out of the model that an operator has skipped, when it becomes a dead letter.
func (inc *incarnation) noteSkipped(d *api.DeadLetter) {
	n := inc.deadNode(d)
	if n == nil || d.Reason != skippedReason {
		return
	}
	if inc.owner == inc && (inc.shadow.ran(n) || inc.shadow.skipped[n.id]) {
		inc.failf("skip", "%v skips node %d of %v, which ran or was skipped before", inc, n.id, n.target)
	}
	inc.seen.skips++
	inc.shadow.skipped[n.id], inc.shadow.kept[n.id] = true, true
	inc.unpend(n)
	inc.bounds.gone(n)
	inc.bounds.unkeep(n)
	inc.tryOver(n)
	if t := inc.trials.of[n.target]; t != nil {
		t.alone = 0
	}
	delete(inc.prompt.due, n.id)
}

// takeSkipped holds the dead letters of a cut against what operators have asked for.
func (inc *incarnation) takeSkipped(c *statestore.Commit) {
	for i := range c.DeadLetters {
		d := &c.DeadLetters[i]
		if d.Reason != skippedReason {
			continue
		}
		o := &inc.operator
		if len(o.skips) == 0 {
			inc.failf("skip", "%v: commit %d sets %q aside as skipped, and nobody asked for that", inc, c.Number, d.Value)
		}
		number := o.skips[0]
		o.skips = o.skips[1:]
		if n := inc.deadNode(d); inc.shadow.numbers[number] != 0 && n != nil && inc.shadow.numbers[number] != n.id+1 {
			inc.failf("skip", "%v: commit %d sets %q aside as message %d, which is node %d", inc, c.Number, d.Value, number, inc.shadow.numbers[number]-1)
		}
	}
	if len(inc.operator.skips) > 0 {
		inc.failf("skip", "%v: commit %d holds no dead letter of the skipped messages %v", inc, c.Number, inc.operator.skips)
	}
}
