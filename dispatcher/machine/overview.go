package machine

import (
	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// Overview is what waits and what for, by what operators have names for: functions, endpoints, ingresses, origins of dead letters and
// bounds. It names no address.
type Overview struct {
	Functions map[api.FunctionType]FunctionWait // those for which something waits, and no others
	Endpoints []EndpointState
	Ingresses map[string]IngressState
	Dead      []statestore.DeadTotal
	Bounds    []Bound
	Overdue   int // addresses that have failed for longer than the budget of their call, and are not paused
}

// FunctionWait is what waits for one function type. Times are milliseconds.
type FunctionWait struct {
	KeptMessages int64 // that no source can replay, in memory and in the store
	KeptBytes    int64
	OldestMS     int64 // age of the oldest message at hand that waits or is in a call; of those from the store since they were read
	CallMS       int64 // age of the oldest call that is out
	Failing      int   // addresses whose last attempt failed
	Stuck        int   // of them, those that have used up the budget of their call
	FailingMS    int64 // for how long the one fails that has failed for longest
	Attempts     int   // of the one that has been tried most often
}

// EndpointState is one way to functions.
type EndpointState struct {
	Endpoint string // scheme, host and path
	Open     bool   // its breaker: only probes are sent
	Outages  int    // how often it has opened in this incarnation
	Calls    int    // that are out
	Queued   int    // addresses that wait for a slot, or for the breaker
}

// Why the partitions of an ingress wait. What is unfinished at its bound is how a source is slowed down to what functions can do; all
// others last until an operator does something.
const (
	PauseUnfinished  = "unfinished"
	PauseDeadLetters = "dead_letters"
	PauseKept        = "kept"
	PauseStored      = "stored"
	PauseOutbox      = "outbox"
	PauseOperator    = "operator"
)

// Pauses are all of them.
var Pauses = []string{PauseUnfinished, PauseDeadLetters, PauseKept, PauseStored, PauseOutbox, PauseOperator}

// IngressState is what becomes of the partitions of an ingress.
type IngressState struct {
	Partitions int
	Paused     map[string]int // of them, those that bring nothing for now, by what for
}

// Bound is how much of a bound is used. Of bounds that each function, egress, origin or source has for itself it is the one that is
// used most.
type Bound struct {
	Name  string
	Items bool // it counts things; else bytes
	Used  int64
	Limit int64
}

// Overview looks at everything at once. It costs time in proportion to the addresses that wait.
func (m *Machine) Overview() Overview {
	l := m.LookOver()
	for !m.GoOnOver(l) {
	}
	return m.Seen(l)
}

// OverviewLook is an Overview that is taken in parts.
type OverviewLook struct {
	look
	functions map[*function]*functionLook
	last      *function // most that stand one behind the other are of one function
	ofLast    *functionLook
	overdue   int
}

type functionLook struct {
	wait   FunctionWait
	queued int
}

// LookOver begins an Overview; GoOnOver goes on with it until that was all, and Seen is what it has seen.
func (m *Machine) LookOver() *OverviewLook {
	l := &OverviewLook{look: m.newLook(), functions: map[*function]*functionLook{}}
	m.lookAtCalls(&l.look, func(c *cell) { m.overlook(l, c) })
	return l
}

// GoOnOver looks at some more, and reports whether that was all.
func (m *Machine) GoOnOver(l *OverviewLook) (done bool) {
	return l.goOn(func(c *cell) { m.overlook(l, c) })
}

// Seen adds to what was seen of addresses what stands at once.
func (m *Machine) Seen(l *OverviewLook) Overview {
	o := Overview{Functions: map[api.FunctionType]FunctionWait{}, Ingresses: map[string]IngressState{}, Dead: m.DeadTotals(), Bounds: m.bounds(), Overdue: l.overdue}
	queued := map[*gate]int{}
	for f, seen := range l.functions {
		o.Functions[f.name] = seen.wait
		queued[f.gate] += seen.queued
	}
	for _, f := range m.functionList {
		if kept := f.kept + f.stored + f.strange; kept > 0 && f.name != OnceType {
			w := o.Functions[f.name]
			w.KeptMessages, w.KeptBytes = kept, f.keptBytes+f.storedBy+f.strangeBytes
			if f.strange > 0 {
				w.OldestMS = max(w.OldestMS, m.now-m.began)
			}
			o.Functions[f.name] = w
		}
	}
	for _, g := range m.gateList {
		o.Endpoints = append(o.Endpoints, EndpointState{Endpoint: g.key, Open: g.open, Outages: g.outages, Calls: g.inUse, Queued: queued[g]})
	}
	for _, s := range m.sourceList {
		in := o.Ingresses[s.id.Ingress]
		in.Partitions++
		if s.full {
			if in.Paused == nil {
				in.Paused = map[string]int{}
			}
			in.Paused[m.pauseOf(s)]++
		}
		o.Ingresses[s.id.Ingress] = in
	}
	return o
}

// overlook adds an address that waits to what is known of its function.
func (m *Machine) overlook(l *OverviewLook, c *cell) {
	waits := c.phase == ready || c.phase == calling || c.phase == backoff || c.phase == held
	if c.fn.name == OnceType || !waits { // it stands in a list that it is to be taken out of
		return
	}
	if l.last != c.fn {
		if l.last, l.ofLast = c.fn, l.functions[c.fn]; l.ofLast == nil {
			l.ofLast = &functionLook{}
			l.functions[c.fn] = l.ofLast
		}
	}
	if c.phase == ready {
		l.ofLast.queued++
	}
	w := &l.ofLast.wait
	if c.mail.len() > 0 {
		w.OldestMS = max(w.OldestMS, m.now-c.mail.front().arrived)
	}
	if c.phase == calling {
		w.CallMS = max(w.CallMS, m.now-c.callSince)
	}
	if c.failedSince != 0 { // also while it is tried again, or waits for the breaker
		w.Failing++
		w.Attempts = max(w.Attempts, c.attempts)
		w.FailingMS = max(w.FailingMS, m.now-c.failedSince)
		if m.stuck(c) {
			w.Stuck++
			if c.phase != held {
				l.overdue++
			}
		}
	}
}

// pauseOf is why a source is full: what only an operator can end before what ends by itself.
func (m *Machine) pauseOf(s *source) string {
	switch {
	case s.paused:
		return PauseOperator
	case m.deadFull(s.dead):
		return PauseDeadLetters
	case s.blocked:
		return PauseKept
	case m.choke && m.heavy:
		return PauseStored
	case m.choke:
		return PauseOutbox
	}
	return PauseUnfinished
}

// bounds are those that memory and store are kept within.
func (m *Machine) bounds() []Bound {
	c := &m.cfg
	var source, kept, stored, outbox, letters, letterBytes int64
	for _, s := range m.sourceList {
		source = max(source, int64(s.pendingBytes))
	}
	for _, f := range m.functionList {
		kept = max(kept, f.keptBytes+f.storedBy)
		stored += f.keptBytes + f.storedBy
	}
	for _, l := range m.laneList {
		outbox = max(outbox, l.bytes)
	}
	for _, d := range m.dead {
		letters, letterBytes = max(letters, d.letters), max(letterBytes, d.bytes)
	}
	var keys, keyBytes int64
	if t := m.onces.total; t != nil && t.phase != loading {
		keys, keyBytes = m.onceSums()
	}
	return []Bound{
		{"mailboxes", false, int64(m.mailBytes), int64(c.MailBytesMax)},
		{"states_in_use", false, int64(m.busyBytes), int64(c.BusyBytesMax)},
		{"calls", false, int64(m.calledBytes), int64(c.CallBytesMax)},
		{"state_cache", false, int64(m.restBytes), int64(c.CacheBytesMax)},
		{"effects", false, int64(m.effectBytes), int64(c.EffectBytesMax)},
		{"effects", true, int64(m.effects), int64(c.EffectsMax)},
		{"source", false, source, int64(c.SourceBytesMax)},
		{"kept", false, kept, c.KeptBytesMax},
		{"stored", false, stored, c.StoredBytesMax},
		{"outbox", false, outbox, c.OutboxBytesMax},
		{"dead_letters", false, letterBytes, c.DeadLetterBytesMax},
		{"dead_letters", true, letters, c.DeadLettersMax},
		{"timers", false, int64(m.timers.bytes), int64(c.TimerBytesMax)},
		{"timers", true, int64(len(m.timers.heap)), int64(c.TimersMax)},
		{"request_keys", false, keyBytes, c.OnceBytesMax},
		{"request_keys", true, keys, c.OnceMax},
	}
}
