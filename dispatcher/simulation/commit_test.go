package simulation_test

import (
	"context"
	"errors"

	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// commit is one that is out.
type commit struct {
	c       *statestore.Commit
	shadow  *shadow // what the states are when it is made
	applied bool    // the store has it
	brought bool    // and has said so
	late    bool    // it is on its way, or was
	doubt   bool
}

func (inc *incarnation) takeCommit(c *statestore.Commit) {
	if inc.commit != nil {
		inc.failf("commit", "%v makes commit %d while %d is out", inc, c.Number, inc.commit.c.Number)
	}
	inc.tell("%v: commit %d", inc, c.Number)
	if inc.details {
		tellCommit(func(format string, args ...any) { inc.detail("  "+format, args...) }, c, inc.told)
	}
	inc.takeKept(c)
	inc.commit = &commit{c: c, shadow: inc.shadow.clone()}
	inc.seen.note(c)
}

// commitStep moves the commit that is out one step on, as the committing loop does: brought, asked for after doubt, confirmed.
func (inc *incarnation) commitStep() bool {
	c := inc.commit
	switch {
	case c == nil:
		return false
	case inc.at < inc.slowUntil:
		inc.slow()
		return false
	case c.doubt:
		inc.askCommit(c)
	case !c.brought:
		inc.bringCommit(c)
	default:
		inc.commit = nil
		inc.detail("%v: commit %d is confirmed", inc, c.c.Number)
		inc.m.Committed(c.c.Number)
		inc.checkTimers()
	}
	return true
}

func (inc *incarnation) bringCommit(c *commit) {
	n := c.c.Number
	switch {
	case inc.strikes(faultCommitRefused):
		inc.struck(faultCommitRefused, inc)
		inc.tell("%v: commit %d is not made: the store is away", inc, n)
		return
	case inc.strikes(faultCommitLost):
		inc.struck(faultCommitLost, inc)
		inc.tell("%v: commit %d is in doubt: it did not reach the store", inc, n)
		c.doubt = true
		return
	case inc.strikes(faultCommitLate):
		inc.struck(faultCommitLate, inc)
		inc.tell("%v: commit %d is in doubt: it is still on its way", inc, n)
		inc.late = append(inc.late, late{inc, c})
		c.doubt, c.late = true, true
		return
	}
	silent := inc.strikes(faultCommitDone)
	err := inc.bring(inc, c)
	switch {
	case silent:
		if err == nil {
			inc.struck(faultCommitDone, inc)
		}
		inc.tell("%v: commit %d is in doubt: its answer is lost (%v)", inc, n, outcome(err))
		c.doubt = true
	case errors.Is(err, statestore.ErrFenced):
		if len(c.c.Outputs) == 0 { // no lane is in the way: the fence alone stops it
			inc.seen.bare++
		}
		inc.lose(inc, "its commit")
	default:
		c.brought = true
		if inc.strikes(faultCommitTwice) {
			inc.late = append(inc.late, late{inc, c})
		}
	}
}

// askCommit reads after doubt. The read waits for what is on its way.
func (inc *incarnation) askCommit(c *commit) {
	if inc.away("the question for the last commit") {
		return
	}
	inc.land(inc)
	last, err := inc.handle.LastCommit(context.Background(), inc.claim.Fence)
	if errors.Is(err, statestore.ErrFenced) {
		inc.lose(inc, "the question for its last commit")
		return
	}
	if err != nil {
		inc.failf("store", "last commit: %v", err)
	}
	verdict := machine.AfterDoubt(c.c.Number, last)
	inc.tell("%v: the store's last commit is %d", inc, last)
	c.doubt = false
	switch verdict {
	case machine.CommitMissed: // it is made again
	case machine.CommitDone:
		c.brought = true
	default:
		inc.failf("doubt", "%v has commit %d in doubt and is told that its last one is %d: verdict %d", inc, c.c.Number, last, verdict)
	}
	if c.brought != c.applied {
		inc.failf("doubt", "%v takes commit %d for made (%v), and for the store it is %v", inc, c.c.Number, c.brought, c.applied)
	}
}

// away draws whether a question to the store is left without an answer: then it is asked again later.
func (inc *incarnation) away(what string) bool {
	if inc.at < inc.slowUntil {
		inc.slow()
		return true
	}
	if !inc.strikes(faultStoreAway) {
		return false
	}
	inc.struck(faultStoreAway, inc)
	inc.tell("%v: %s is not answered", inc, what)
	return true
}

func (inc *incarnation) slow() { inc.struckOnce(faultStoreSlow, inc) }

// renew prolongs the lease. It is a courtesy to those who wait.
func (inc *incarnation) renew() bool {
	if inc.now-inc.renewed < inc.lease/3 || inc.away("the renewal of the lease") {
		return false
	}
	inc.renewed = inc.now
	_ = inc.owns("the renewal of its lease")
	return true
}

// owns asks the store whether the member still owns it.
func (inc *incarnation) owns(why string) bool {
	err := inc.handle.Renew(context.Background(), inc.claim.Fence)
	switch {
	case errors.Is(err, statestore.ErrFenced):
		inc.lose(inc, why)
		return false
	case err != nil:
		inc.failf("store", "renew: %v", err)
	case inc.owner != inc:
		inc.failf("fence", "%v may renew its lease, and %v owns the store", inc, inc.owner)
	}
	inc.leaseUntil = inc.now + inc.lease
	return true
}
