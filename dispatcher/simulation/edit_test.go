package simulation_test

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// editsFrom is where entries of a log begin that operators have written: nodes are below.
const editsFrom = 1 << 15

// editing is a state that an operator changes.
type editing struct {
	address api.Address
	token   uint64
	state   string
	base    []int // of a log: what the operator has seen
	log     []int // and what he makes of it
	mark    mark
	waited  bool
	decided bool
	refused bool
	sealed  bool // a commit holds it
	outcome machine.EditOutcome
}

// edit changes a state: the log, if it is as the operator has seen it, in memory or in the store; or a state that expires, whatever it is.
func (inc *incarnation) edit(rng *rand.Rand) {
	e := &editing{address: inc.w.someAddress(rng, inc.w.types), state: stateLog}
	ask := machine.Edit{State: stateLog}
	switch rng.IntN(5) {
	case 0:
		e.state = []string{stateWrite, stateInvoke}[rng.IntN(2)]
		e.mark = mark{set: rng.IntN(2) == 0, node: rng.IntN(len(inc.w.nodes))}
		ask.State, ask.Delete = e.state, !e.mark.set
		ask.Value = typed(typeMark, inc.w.nodes[e.mark.node].mark())
	case 1:
		e.base = inc.durable.addresses[e.address].log
	default:
		e.base = inc.shadow.addresses[e.address].log
	}
	if e.state == stateLog {
		inc.life.entries++
		e.log = append(slices.Clone(e.base), editsFrom+inc.life.entries)
		version := logVersion(e.base)
		ask.Value, ask.If = encodeLog(e.log), &version
	}
	inc.token++
	e.token = inc.token
	known := slices.ContainsFunc(inc.m.Specs(e.address.Type), func(s statestore.StateSpec) bool { return s.Name == e.state })
	e.decided, e.refused = !known, !known
	if e.refused {
		e.outcome = machine.EditRefused
	}
	inc.tell("%v: an operator makes %s of %s %v (set %v), seen was %v", inc, e.state, name(e.address), e.log, e.mark.set, e.base)
	inc.mending.edits = append(inc.mending.edits, e)
	inc.m.EditState(e.address, ask, "operator", e.token)
}

func encodeLog(log []int) api.TypedValue {
	value := api.TypedValue{TypeName: typeLog, HasValue: true}
	for _, id := range log {
		value.Value = binary.BigEndian.AppendUint16(value.Value, uint16(id))
	}
	return value
}

func logVersion(log []int) string {
	if len(log) == 0 {
		return ""
	}
	v := encodeLog(log)
	return statestore.Version(v.TypeName, v.Value)
}

// dueEdits are those that the machine is about to make: everything whose turn it is.
func (inc *incarnation) dueEdits() (due []*editing) {
	for _, e := range inc.mending.edits {
		if e.decided {
			continue
		}
		switch v := inc.m.View(e.address); v.Phase {
		case "":
			inc.failf("edit", "%v has an edit of %s, and does not have it in memory", inc, name(e.address))
		case "calling", "loading":
			e.waited = true
			continue
		}
		due = append(due, e)
	}
	return due
}

// decideEdits applies edits to the model.
func (inc *incarnation) decideEdits(due []*editing) {
	for _, e := range due {
		e.decided = true
		a := inc.shadow.addresses[e.address]
		e.mark.touched = inc.told
		switch {
		case e.state == stateWrite:
			a.write = e.mark
		case e.state == stateInvoke:
			a.invoke = e.mark
		case !slices.Equal(a.log, e.base):
			e.outcome = machine.EditChanged
		default:
			a.log = e.log
		}
		if e.state == stateLog && e.outcome == machine.EditDone || e.mark.set {
			inc.mending.acts++
		}
		inc.shadow.addresses[e.address] = a
	}
}

// sealEdit notes that the commit which begins holds an edit; it answers whether the token is of one.
func (inc *incarnation) sealEdit(token uint64) bool {
	for _, e := range inc.mending.edits {
		if e.token != token {
			continue
		}
		if e.sealed || e.refused || !e.decided {
			inc.failf("sealed", "%v: the edit of %s of %s is sealed: %+v", inc, e.state, name(e.address), e)
		}
		e.sealed = true
		return true
	}
	return false
}

// takeEdited holds what an operator is told of an edit against what must have become of it.
func (inc *incarnation) takeEdited(w *machine.Work) {
	for _, got := range w.Edited {
		at := slices.IndexFunc(inc.mending.edits, func(e *editing) bool { return e.token == got.Token })
		if at < 0 {
			inc.failf("edit", "%v tells token %d of an edit, which waits for none", inc, got.Token)
		}
		e := inc.mending.edits[at]
		inc.mending.edits = slices.Delete(inc.mending.edits, at, at+1)
		inc.tell("%v: the edit of %s of %s is told: %+v", inc, e.state, name(e.address), got)
		if e.sealed != (got.Outcome == machine.EditDone) { // else who is cut off is told that it has not happened
			inc.failf("sealed", "%v: the edit of %s of %s has the outcome %d, and a commit was said to hold it: %v", inc, e.state, name(e.address), got.Outcome, e.sealed)
		}
		if inc.owner != inc {
			continue
		}
		deleted := e.state != stateLog && !e.mark.set && !e.refused // whether it had expired is for the machine to say
		if want := e.outcome; got.Outcome != want && !(deleted && got.Outcome == machine.EditNothing) || !e.decided {
			inc.failf("edit", "%v: the edit of %s of %s has the outcome %d, want %d (decided %v)", inc, e.state, name(e.address), got.Outcome, want, e.decided)
		}
		if got.Outcome != machine.EditDone {
			continue
		}
		inc.seen.edits++
		if e.waited {
			inc.seen.editsWaited++
		}
		if e.state != stateLog {
			continue
		}
		if got.Version != logVersion(e.log) {
			inc.failf("edit", "%v: the edit of %s makes version %s, want %s", inc, name(e.address), got.Version, logVersion(e.log))
		}
		if entry := e.log[len(e.log)-1]; !slices.Contains(inc.durable.addresses[e.address].log, entry) {
			inc.failf("edit", "%v tells that entry %d of %s is durable, and it is not", inc, entry, name(e.address))
		}
	}
}

// checkEdits: nobody who has asked waits for ever.
func (l *life) checkEdits() {
	for _, e := range l.owner.mending.edits {
		l.failf("edit", "the edit of %s of %s was never answered", e.state, name(e.address))
	}
}

// withoutEdits is a log with the nodes alone.
func withoutEdits(log []int) []int {
	return slices.DeleteFunc(slices.Clone(log), func(id int) bool { return id >= editsFrom })
}
