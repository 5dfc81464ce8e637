//go:build unix

package chaos

import (
	"syscall"
	"time"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// crashActive kills the active gateway and starts it again, whatever else is broken; who works next is seen later.
func (a *arena) crashActive() {
	a.t.Helper()
	a.kill(a.active)
	a.start(a.active)
}

func (a *arena) kill(m *member) {
	a.t.Helper()
	if m == a.active {
		a.look()
	}
	m.up = false
	m.Kill()
	a.kills++
	a.tell("%s is killed", m.Name)
}

// killActive measures how long the standby takes.
func (a *arena) killActive() {
	a.t.Helper()
	kind := "kill -9, " + a.by()
	blow := time.Now()
	dead := a.active
	a.kill(dead)
	a.succeeded(kind, blow, time.Now())
	a.start(dead)
}

// killSuccessor kills the active gateway, and the next one before it has delivered much, if anything.
func (a *arena) killSuccessor() {
	a.t.Helper()
	first, second := a.active, a.standby
	a.kill(first)
	second.Until("active", func(r testgateway.Readiness) bool { a.check(); return testgateway.IsActive(r) })
	a.kill(second)
	a.start(first)
	a.start(second)
}

// killAndCut takes its connections from the successor, again and again, while it takes over.
func (a *arena) killAndCut(times int, every time.Duration) {
	a.t.Helper()
	dead := a.active
	a.kill(dead)
	for range times {
		a.pass(every)
		cut := a.standby.kafka.Cut()
		if a.standby.store != nil {
			cut += a.standby.store.Cut()
		}
		a.tell("cut %d connections of %s", cut, a.standby.Name)
	}
	a.start(dead)
}

func (a *arena) killStandby() {
	a.t.Helper()
	a.kill(a.standby)
	a.start(a.standby)
}

// killBoth measures a cold start: that of the process is part of it.
func (a *arena) killBoth() {
	a.t.Helper()
	blow := time.Now()
	a.kill(a.active)
	a.kill(a.standby)
	dead := time.Now()
	a.start(a.standby)
	a.start(a.active)
	a.took.add("kill -9 of both, and a start", a.out.untilMadeAfter(dead).Sub(blow))
}

// stopActive is an orderly stop: it ends with status 0, and the standby goes on at once.
func (a *arena) stopActive() {
	a.t.Helper()
	a.look()
	blow := time.Now()
	stopped := a.active
	stopped.up = false
	stopped.Stop()
	a.tell("%s has stopped", stopped.Name)
	a.succeeded("SIGTERM", blow, time.Now())
	a.start(stopped)
}

// nap freezes the active gateway for less than its lease.
func (a *arena) nap(d time.Duration) {
	a.t.Helper()
	a.active.Signal(syscall.SIGSTOP)
	a.pass(d)
	a.active.Signal(syscall.SIGCONT)
}

// stopMargin is how long after SIGSTOP a process may still have written.
const stopMargin = 20 * time.Millisecond

// freezeActive freezes the active gateway until the other one delivers. When it wakes it has commits and outputs on its way and may
// make none of them. Unless the other one is killed at that moment, and it is its turn again.
func (a *arena) freezeActive(killOther bool) {
	a.t.Helper()
	asleep := a.active
	blow := time.Now()
	asleep.Signal(syscall.SIGSTOP)
	a.tell("%s sleeps", asleep.Name)
	a.succeeded("SIGSTOP", blow, time.Now().Add(stopMargin))
	if killOther {
		a.active.Signal(syscall.SIGSTOP) // what the sleeper does when it wakes, nobody shall put right
	}
	asleep.Signal(syscall.SIGCONT)
	testgateway.Poll(a.t, asleep.Name+" to see that it was taken over", func() (bool, string) {
		a.check()
		r, err := asleep.Readiness()
		if err != nil {
			return false, err.Error()
		}
		return !testgateway.IsActive(r), r.String()
	})
	a.tell("%s is awake", asleep.Name)
	if killOther {
		dead := a.active
		dead.up = false
		dead.Kill()
		a.kills++
		a.tell("%s is killed in its sleep", dead.Name)
		a.start(dead)
	}
}

// hangFunctions lets calls hang.
func (a *arena) hangFunctions(d time.Duration) {
	a.t.Helper()
	if err := a.functions.Process.Signal(syscall.SIGSTOP); err != nil {
		a.t.Fatal(err)
	}
	a.pass(d)
	if err := a.functions.Process.Signal(syscall.SIGCONT); err != nil {
		a.t.Fatal(err)
	}
}
