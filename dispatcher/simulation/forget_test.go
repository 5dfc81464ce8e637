package simulation_test

import (
	"slices"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// oldSource is of an ingress that a module declared once: whoever has begun to read it is gone, and its position stays until an operator has
// it forgotten.
var oldSource = api.Source{Ingress: "sim/old", Topic: "t", Partition: 0}

// forgetIngress begins to read the old source where nobody knows it, and has it forgotten where a former owner did.
func (inc *incarnation) forgetIngress() {
	s := inc.shadow
	known := slices.ContainsFunc(inc.claim.Progress, func(p statestore.Progress) bool { return p.Source == oldSource }) && !inc.mending.forgotten
	if !known && !inc.mending.reads {
		found, why := inc.m.ForgetIngress(oldSource.Ingress, "operator", inc.token)
		if found || why != "" {
			inc.failf("forget", "%v knows something of an ingress that nobody has read: %s", inc, why)
		}
		inc.mending.reads, s.old = true, true
		inc.m.Started(statestore.Progress{Source: oldSource, Start: 7}, inc.when(func() {
			if inc.owner == inc && !inc.durable.old {
				inc.failf("forget", "%v says that it is durable where the old source is read from, and it is not", inc)
			}
		}))
		inc.tell("%v: %v is to be read from 7 on", inc, oldSource)
		return
	}
	token := inc.when(func() {
		if inc.owner == inc && inc.durable.old && !inc.mending.reads { // else it was begun anew meanwhile
			inc.failf("forget", "%v says that the old source is forgotten for good, and it is not", inc)
		}
	})
	found, why := inc.m.ForgetIngress(oldSource.Ingress, "operator", token)
	inc.tell("%v: an operator has %s forgotten, found %v: %s", inc, oldSource.Ingress, found, why)
	if !found || (why != "") != inc.mending.reads {
		inc.failf("forget", "%v reads %v: %v; forgotten: %v, %s", inc, oldSource, inc.mending.reads, found, why)
	}
	if why != "" {
		delete(inc.tokens, token)
		return
	}
	inc.mending.forgotten, s.old = true, false
	inc.seen.forgotten++
}

// checkForgotten: a claim knows of the old source what was committed.
func (l *life) checkForgotten(c *statestore.Claim) {
	if known := slices.ContainsFunc(c.Progress, func(p statestore.Progress) bool { return p.Source == oldSource }); known != l.durable.old {
		l.failf("forget", "the claim knows %v: %v, want %v", oldSource, known, l.durable.old)
	}
}
