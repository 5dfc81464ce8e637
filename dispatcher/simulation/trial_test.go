package simulation_test

import (
	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
)

// trials count, from outside and never too little, how much of the budget wrong answers may have used up, for functions whose messages
// are set aside then. A message that is set aside sooner, or was not alone with its last wrong answers, is one too many.
type trials struct {
	of     map[api.Address]*trial
	silent map[string]int // failures of an endpoint in a row, as far as nobody doubts them
	guilty map[int]bool   // nodes that may be set aside
}

// trial is what is known of one address.
type trial struct {
	spent   int64
	wrongAt int64        // 0: the last attempt was no wrong answer
	had     map[int]bool // nodes of batches that may have had the whole budget
	alone   int          // wrong answers in a row to one message alone, since
}

// aloneWrong is how many wrong answers a message has alone before it is set aside.
const aloneWrong = 3

func (t *trials) begin() {
	*t = trials{of: map[api.Address]*trial{}, silent: map[string]int{}, guilty: map[int]bool{}}
}

func (t *trials) trial(a api.Address) *trial {
	if t.of[a] == nil {
		t.of[a] = &trial{had: map[int]bool{}}
	}
	return t.of[a]
}

// on reports whether an address may be on trial: then it stands with those that failed, also after a success.
func (t *trials) on(a api.Address) bool { return t.of[a] != nil && len(t.of[a].had) > 0 }

// harmless reports whether one more wrong answer leaves some of the budget, so that nothing is set aside for it.
func (inc *incarnation) harmless(f *flying) bool {
	cfg, _ := inc.cfg.Function(f.call.Target.Type)
	t := inc.trials.of[f.call.Target]
	return t == nil && inc.told-f.built < cfg.Budget || t != nil && len(t.had) == 0 && t.after(f, inc.told) < cfg.Budget
}

// after is how much of the budget is spent at most when the call has a wrong answer now.
func (t *trial) after(f *flying, now int64) int64 {
	spent := t.spent + now - f.built
	if t.wrongAt != 0 {
		spent += f.built - t.wrongAt
	}
	return spent
}

// tryFailed takes a failed attempt into account.
func (inc *incarnation) tryFailed(f *flying, kind machine.FailureKind) {
	inc.tryEndpoint(f, kind)
	if !inc.w.asides[f.call.Target.Type] {
		return
	}
	t, batch := inc.trials.trial(f.call.Target), len(f.call.Messages)
	switch {
	case kind == machine.FailTooLarge && batch > 1: // smaller batches follow
		return
	case kind == machine.FailEndpoint: // the function has its whole budget again
		delete(inc.trials.of, f.call.Target)
		return
	case kind != machine.FailAnswer && kind != machine.FailTooLarge: // that was no answer of the function
		t.wrongAt = 0
		return
	}
	if len(t.had) == 0 {
		t.spent = t.after(f, inc.told)
	}
	t.wrongAt = inc.told
	if cfg, _ := inc.cfg.Function(f.call.Target.Type); t.spent < cfg.Budget {
		return
	}
	for i := range f.call.Messages {
		t.had[inc.w.node(&f.call.Messages[i]).id] = true
	}
	if batch > 1 {
		return
	}
	if t.alone++; t.alone >= aloneWrong {
		inc.trials.guilty[inc.w.node(&f.call.Messages[0]).id] = true
	}
}

// tryEndpoint notes when an endpoint must have been found out of order: that begins all counts anew.
func (inc *incarnation) tryEndpoint(f *flying, kind machine.FailureKind) {
	cfg, _ := inc.cfg.Function(f.call.Target.Type)
	switch kind {
	case machine.FailTimeout:
		return
	case machine.FailEndpoint:
		inc.trials.silent[cfg.Endpoint]++
	default:
		inc.trials.silent[cfg.Endpoint] = 0
	}
	if inc.trials.silent[cfg.Endpoint] != inc.cfg.BreakerFailures {
		return
	}
	for a := range inc.trials.of {
		if other, _ := inc.cfg.Function(a.Type); other.Endpoint == cfg.Endpoint {
			delete(inc.trials.of, a)
		}
	}
}

// trySucceeded takes an answer into account that was taken.
func (inc *incarnation) trySucceeded(f *flying, incomplete bool) {
	inc.tryEndpoint(f, 0)
	t := inc.trials.of[f.call.Target]
	if t == nil || incomplete {
		return
	}
	t.alone, t.wrongAt = 0, 0
	for i := range f.call.Messages {
		inc.tryOver(inc.w.node(&f.call.Messages[i]))
	}
	if len(t.had) == 0 {
		t.spent = 0
	}
}

// tryOver takes a message out that has passed, or was set aside.
func (inc *incarnation) tryOver(n *node) {
	t := inc.trials.of[n.target]
	if t == nil || !t.had[n.id] {
		return
	}
	if delete(t.had, n.id); len(t.had) == 0 {
		delete(inc.trials.of, n.target)
	}
}

// checkTrial judges a message that is set aside.
func (inc *incarnation) checkTrial(d *api.DeadLetter, n *node) {
	if !inc.trials.guilty[n.id] {
		inc.failf("budget", "%v: message %s of %v is set aside, and has not had its budget: %s; %+v", inc, d.Value, n.target, d.Detail, inc.trials.of[n.target])
	}
	inc.tryOver(n)
}
