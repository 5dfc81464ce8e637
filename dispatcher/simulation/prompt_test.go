package simulation_test

import (
	"maps"
	"slices"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// prompt counts from outside what must not wait: an address with a slot free for it, effects that somebody waits for or that are old
// enough, and whatever is due by the clock alone, of which the machine must have said when.
type prompt struct {
	plain   map[api.Address]bool // loaded, and none of its mail is in the store
	failed  map[api.Address]bool // its last attempt failed
	since   int64                // of the oldest effect of a call that is in no cut; 0: there is none
	awaited bool                 // somebody waits for one of them
	due     map[int]int64        // delayed nodes that nobody can cancel and that have not been called: when
}

func newPrompt() prompt {
	return prompt{plain: map[api.Address]bool{}, failed: map[api.Address]bool{}, due: map[int]int64{}}
}

func (p *prompt) loaded(addresses []api.Address, found []statestore.Loaded) {
	for i, a := range addresses {
		p.plain[a] = found[i].Spilled == 0
	}
}

// replied notes a good answer.
func (p *prompt) replied(w *world, c *machine.Call, reply *machine.Reply, now int64) {
	delete(p.failed, c.Target)
	if p.since == 0 {
		p.since = now
	}
	p.awaited = p.awaited || len(reply.Outputs) > 0
	for i := range reply.Delayed {
		if d := &reply.Delayed[i]; !d.Cancel && d.Token == "" && d.Target.Type != strayType {
			p.due[w.node(&api.Message{Target: d.Target, Argument: d.Argument}).id] = now + d.Delay
		}
	}
}

func (p *prompt) cut(c *statestore.Commit) {
	p.since, p.awaited = 0, false
	for i := range c.Mail {
		p.plain[c.Mail[i].Address] = false
	}
}

// checkPrompt judges what is left when the machine has said all that is to be done now.
func (inc *incarnation) checkPrompt() {
	p, c := &inc.prompt, &inc.cfg
	age := c.CommitAgeMax
	if inc.commit == nil && p.since > 0 && (p.awaited || inc.told-p.since >= age) {
		inc.boundf("prompt", "%v: effects of %d ms ago are in no commit, somebody waits: %v; none is out", inc, inc.told-p.since, p.awaited)
	}
	if inc.commit == nil && p.since > 0 && inc.tick > p.since+age {
		inc.boundf("tick", "%v: effects since %d want a commit after %d ms, and the machine wants to be told the time at %d", inc, p.since, age, inc.tick)
	}
	inc.checkSlotsUsed()
	inc.checkEventsPrompt()
	if c.EffectsMax > 0 || c.EffectBytesMax > 0 || len(inc.asks) > 0 { // timers wait for what they are behind
		return
	}
	for id, due := range p.due {
		if due > inc.told && inc.tick > due { // else it has fired
			inc.boundf("tick", "%v: node %d is due at %d, and the machine wants to be told the time at %d", inc, id, due, inc.tick)
		}
	}
}

// checkSlotsUsed finds addresses that wait although nothing is in their way. What an operator has tried now counts among those whose last
// attempt failed, and has their part of the slots. It judges only where neither a breaker nor the bounds of
// effects and of calls may be.
func (inc *incarnation) checkSlotsUsed() {
	c, p := &inc.cfg, &inc.prompt
	for a := range p.failed {
		if v := inc.m.View(a); v.NextAttempt > 0 && inc.tick > max(v.NextAttempt, inc.told+1) {
			inc.boundf("tick", "%v: %v is tried again at %d, and the machine wants to be told the time at %d", inc, a, v.NextAttempt, inc.tick)
		}
	}
	if inc.draining || c.EffectsMax > 0 || c.EffectBytesMax > 0 || c.CallBytesMax > 0 || c.BreakerFailures < 1<<30 {
		return
	}
	used := map[string]int{}
	for _, f := range inc.calls {
		if !f.again {
			t, _ := c.Function(f.call.Target.Type)
			used[t.Endpoint]++
		}
	}
	for a, waiting := range inc.bounds.mail {
		t, _ := c.Function(a.Type)
		if slices.ContainsFunc(slices.Collect(maps.Keys(waiting)), func(id int) bool { return inc.w.nodes[id].wrong }) {
			continue // it may be set aside by now: the next cut tells
		}
		if len(waiting) > 0 && inc.bounds.whole[a] && p.plain[a] && !p.failed[a] && !inc.bulks.vague[a] && !inc.trials.on(a) && !inc.busy[a] && !inc.shadow.stands(a) && used[t.Endpoint] < c.Slots && !inc.gathers(t.Endpoint) {
			inc.boundf("slot", "%v: %d messages wait for %v, and %d of %d slots of %s are used", inc, len(waiting), a, used[t.Endpoint], c.Slots, t.Endpoint)
		}
	}
}
