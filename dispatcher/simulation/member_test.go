package simulation_test

import (
	"context"
	"fmt"
	"slices"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// member is a gateway, which may be a new process after each death.
type member struct {
	name   string
	life   int // of its processes
	handle handle
	inc    *incarnation // nil: it waits for the store, or is dead

	lacks api.FunctionType // that the module of its process does not declare; zero: none

	dead    bool
	wakeAt  int // asleep until this step; 0: awake
	skew    int64
	orphans []orphan // answers to its earlier incarnations that are still on their way
}

// orphan is an answer to a call or a question of an incarnation that is over.
type orphan struct {
	call *flying
	ask  *ask
}

func (m *member) String() string { return fmt.Sprintf("%s%d", m.name, m.life) }

func (m *member) asleep() bool { return m.wakeAt > 0 }

func (l *life) newMembers() {
	for i := range 2 + l.config.IntN(2) {
		m := &member{name: string(rune('A' + i)), dead: true}
		l.members = append(l.members, m)
	}
	l.boot(l.members[0])
	l.acquire(l.members[0])
}

// boot begins a process.
func (l *life) boot(m *member) {
	m.life++
	m.dead, m.wakeAt, m.lacks = false, 0, api.FunctionType{}
	if all := l.w.spare(); len(all) > 0 && l.strikes(faultModule) {
		m.lacks = all[l.dice.fault(faultModule, len(all))]
	}
	h, err := l.deposit.handle()
	if err != nil {
		l.failf("store", "open: %v", err)
	}
	m.handle = h
}

// acquire takes the store. What its former owner has on its way arrives before, or is fenced.
func (l *life) acquire(m *member) {
	if len(l.late) > 0 && l.rng.IntN(2) == 0 {
		l.land(nil) // the claim waits for it
	}
	former := l.owner
	claim, err := m.handle.take(statestore.Member{ID: m.String()}, []string{egressOnce, egressLane, egressLeast})
	if err != nil {
		l.failf("store", "%v takes the store: %v", m, err)
	}
	l.incarnations++
	l.leaseUntil = l.now + l.lease
	if former != nil && former.member.asleep() {
		former.overtaken = true
	}
	l.overlapped = l.overlapped || len(l.incs) > 0
	l.seen.takeovers++
	l.checkClaim(claim)
	l.checkStates(m.handle)
	l.owner = l.newIncarnation(m, claim)
	l.tell("%v takes the store: incarnation %d, epoch after %d commits", m, l.incarnations, claim.Commit)
	if l.strikes(faultCrash) { // the claim is made, and whoever made it is gone
		l.owner.phases = []phase{phaseOpening}
		l.struck(faultCrash, l.owner)
		l.owner.over = true
		l.kill(m)
		return
	}
	m.inc = l.owner
	m.inc.begin()
}

// awaken lets members begin, wait, wake and take over.
func (l *life) awaken() {
	for _, m := range l.members {
		switch {
		case m.dead && (l.calm || l.rng.IntN(12) == 0):
			l.boot(m)
			l.tell("%v begins and waits", m)
		case m.dead:
		case m.asleep():
			if l.at >= m.wakeAt || l.calm {
				l.wake(m)
			}
		case m.inc == nil && l.free() && l.rng.IntN(4) == 0:
			l.acquire(m)
		}
	}
}

// free reports whether a waiting member may take the store.
func (l *life) free() bool {
	if l.calm && l.owner != nil && !l.owner.over {
		return false // it renews in time
	}
	return l.owner == nil || l.now >= l.leaseUntil
}

// deploy gives every process the whole module again, as the end of a life needs it.
func (l *life) deploy() {
	for _, m := range l.members {
		if m.inc != nil && m.inc.lacks != (api.FunctionType{}) {
			l.tell("%v ends: it lacks %v", m, m.lacks)
			l.kill(m)
		}
		m.lacks = api.FunctionType{}
	}
}

func (l *life) wake(m *member) {
	m.wakeAt = 0
	if m.inc == nil {
		l.tell("%v wakes", m)
		return
	}
	l.tell("%v wakes, owner %v", m, l.owner)
	if m.inc.overtaken {
		l.struck(faultSleep, m.inc)
	}
}

// kill ends a process at once. Of what it has sent some may still arrive.
func (l *life) kill(m *member) {
	inc := m.inc
	if inc != nil {
		if c := inc.commit; c != nil && !c.applied && !c.doubt && !c.late {
			switch l.rng.IntN(4) {
			case 0:
				_ = l.bring(inc, c)
			case 1:
				l.late = append(l.late, late{inc, c})
			}
		}
		inc.cutSinks()
		l.leave(inc)
	}
	if slices.ContainsFunc(l.late, func(c late) bool { return c.from.handle == m.handle }) {
		l.closing = append(l.closing, m.handle) // its connections end with it; what they have carried does not
	} else {
		m.handle.close()
	}
	m.handle, m.dead = nil, true
}

// leave ends an incarnation: what is on its way for it becomes nobody's.
func (l *life) leave(inc *incarnation) {
	inc.over = true
	l.hangUp(inc)
	m := inc.member
	m.inc = nil
	for _, f := range inc.calls {
		m.orphans = append(m.orphans, orphan{call: f})
	}
	for _, q := range inc.asks {
		m.orphans = append(m.orphans, orphan{ask: q})
	}
	if n := len(m.orphans) - 20; n > 0 {
		m.orphans = m.orphans[n:]
	}
	l.incs = slices.DeleteFunc(l.incs, func(o *incarnation) bool { return o == inc })
}

// lose is what a member does that is told that another has taken over: it drops its memory and waits.
func (l *life) lose(inc *incarnation, by string) {
	l.tell("%v is told by %s that it has lost the store: it drops its memory and waits", inc, by)
	if l.owner == inc {
		l.failf("fence", "%v is told by %s that it has lost the store, and nobody took over", inc, by)
	}
	if !inc.overtaken {
		l.struck(faultFenced, inc)
	}
	inc.cutSinks()
	l.leave(inc)
}

// stop is the end of a drain, whole or cut short: ownership is given back and the process ends.
func (l *life) stop(inc *incarnation, how string) {
	l.tell("%v %s", inc, how)
	m := inc.member
	if c := inc.commit; c != nil && !c.applied && !c.doubt && !c.late && l.rng.IntN(2) == 0 {
		l.late = append(l.late, late{inc, c}) // its time was over before there was an answer
	}
	inc.cutSinks()
	l.leave(inc)
	if len(l.late) > 0 && l.rng.IntN(2) == 0 {
		l.land(nil)
	}
	if !l.strikes(faultStoreAway) { // else the others wait for the lease
		if err := m.handle.Release(context.Background(), inc.claim.Fence); err != nil {
			l.failf("store", "release: %v", err)
		}
		if l.owner == inc {
			l.owner = nil
		}
	} else {
		l.struck(faultStoreAway, inc)
	}
	l.kill(m)
}
