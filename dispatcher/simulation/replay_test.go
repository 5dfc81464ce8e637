package simulation_test

import (
	"context"
	"math/rand/v2"
	"slices"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// Operators mend: they have dead letters replayed and change states (see edit_test.go), at any time but in the calm.

// streamMends is what menders draw from, with the number of the step.
const streamMends = 101

// mending is what an incarnation has been asked for.
type mending struct {
	replayed []uint64 // letters that no cut has ended yet
	acts     int      // of replays, discards and states that were set, that no cut holds yet
	edits    []*editing

	reads, forgotten bool // the old source
}

// mend is what they do in a step.
func (inc *incarnation) mend() {
	if inc.operators == 0 || inc.draining || inc.over || inc.calm || inc.owner != inc {
		return
	}
	rng := drawer(inc.seed, streamMends, uint64(inc.at))
	switch {
	case rng.IntN(1000) >= 2*inc.life.operators:
	case rng.IntN(8) == 0:
		inc.forgetIngress()
	case rng.IntN(2) == 0:
		inc.replay(rng)
	default:
		inc.edit(rng)
	}
}

// replay has some letters tried again, as the store has them: one after the other, each until it is durable.
func (inc *incarnation) replay(rng *rand.Rand) {
	if inc.discarding {
		return
	}
	found, err := inc.handle.DeadLetters(context.Background(), 0, 100)
	if err != nil {
		inc.failf("store", "dead letters: %v", err)
	}
	if len(found) == 0 {
		return
	}
	found = found[rng.IntN(len(found)):]
	found = found[:min(len(found), 1+rng.IntN(5))]
	token := inc.when(func() { inc.discarding = false })
	e := inc.m.Replay(found, nil, "operator", "some", token)
	inc.tell("%v: an operator has %d letters from %d on replayed: %+v", inc, len(found), found[0].Number, e)
	if inc.discarding = e.Done > 0; !inc.discarding {
		delete(inc.tokens, token)
	} else {
		inc.mending.acts++
	}
	if c := &inc.cfg; e.Full != "" && c.EventMessagesMax+c.EventBytesMax == 0 && c.KeptBytesMax+c.StoredBytesMax+c.OutboxBytesMax == 0 {
		inc.failf("replay", "%v finds no room for a replay, and has no bounds: %s", inc, e.Full)
	}
	if (e.Full == "") != (e.Taken == len(found)) || e.Done+len(e.Refused) != e.Taken {
		inc.failf("replay", "%v replays %d letters: %+v", inc, len(found), e)
	}
	refused := map[uint64]bool{}
	for _, r := range e.Refused {
		refused[r.Number] = true
	}
	for i := range found[:e.Taken] {
		d := &found[i]
		if inc.replayable(d) == refused[d.Number] {
			inc.failf("replay", "%v refuses %v to replay letter %+v", inc, refused[d.Number], d)
		}
		if !refused[d.Number] {
			inc.revive(d)
		}
	}
}

// replayable reports whether somebody can take what a letter holds.
func (inc *incarnation) replayable(d *api.DeadLetter) bool {
	switch d.Kind {
	case api.DeadMessage:
		return d.Address.Type != inc.lacks && slices.Contains(inc.w.types, d.Address.Type)
	case api.DeadOutput:
		return d.From != egressLost
	}
	return false // it has no address
}

// revive notes that what a letter holds is on its way again.
func (inc *incarnation) revive(d *api.DeadLetter) {
	inc.seen.replays++
	inc.replays[d.Number] = true
	inc.mending.replayed = append(inc.mending.replayed, d.Number)
	n := inc.deadNode(d)
	if n == nil {
		inc.shadow.anew[string(d.Value)] = true
		return
	}
	s := inc.shadow
	if s.ran(n) {
		inc.failf("replay", "%v replays node %d of %v, which has run", inc, n.id, n.target)
	}
	delete(s.aside, n.id)
	delete(s.skipped, n.id)
	s.kept[n.id], s.revived[n.id] = true, true
	delete(inc.trials.guilty, n.id)
	m := api.Message{Target: d.Address, Caller: d.Caller, Argument: api.TypedValue{TypeName: d.TypeName, Value: d.Value}}
	inc.bounds.waits(n, m.Size())
}

// takeMended holds a cut against what operators have asked for: a letter ends in the cut that its effect begins in, and what was done is
// noted in the same.
func (inc *incarnation) takeMended(c *statestore.Commit) {
	m, s := &inc.mending, inc.shadow
	for _, number := range m.replayed {
		if !slices.Contains(c.DeadEnds, number) {
			inc.failf("replay", "%v: commit %d does not end letter %d, which was replayed", inc, c.Number, number)
		}
		s.discarded[number] = false
	}
	acts := 0
	for _, a := range c.Acts {
		if a.Number != s.acts && inc.owner == inc {
			inc.failf("acts", "%v: commit %d holds act %d, want %d", inc, c.Number, a.Number, s.acts)
		}
		s.acts = a.Number + 1
		if slices.Contains([]string{"replay", "discard", "set state"}, a.What) {
			acts++
		}
	}
	if acts != m.acts && inc.owner == inc {
		inc.failf("acts", "%v: commit %d holds %d acts of replays, discards and states that were set, want %d", inc, c.Number, acts, m.acts)
	}
	m.replayed, m.acts = nil, 0
}

// checkActs: a new owner goes on numbering where the commits have come to.
func (l *life) checkActs(c *statestore.Claim) {
	if c.NextAct != l.durable.acts {
		l.failf("acts", "the next act is number %d by the claim, want %d", c.NextAct, l.durable.acts)
	}
}
