package simulation_test

import (
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/memory"
)

// life plays one life of a member from a seed: the real machine on the real memory store, with everything around them in its
// hands. Each step is one thing that happens; which one is drawn.
type life struct {
	rng *rand.Rand
	w   *world
	cfg machine.Config

	store *memory.Store
	fault memory.Fault // of the next commit
	now   int64
	told  int64 // the time that the machine was told last
	steps int
	calm  bool // no more faults: from here on everything must come to rest

	// One incarnation.
	m       *machine.Machine
	claim   *statestore.Claim
	inc     uint64
	readers []*reader
	tick    int64
	tokens  map[uint64]func()
	token   uint64
	commit  *commit
	relays  map[string]*relay

	asks  []*ask    // questions on their way, some of earlier incarnations
	calls []*flying // calls that are out, some of earlier incarnations
	busy  map[api.Address]bool

	shadow, durable *shadow
	sinks           map[string]*sink
	faults          faults
	seen            coverage
	trace           *strings.Builder
}

// faults are how often things go wrong in this life, in percent.
type faults struct {
	crash, commit, call, garbage, hang, refuse int
	down                                       api.FunctionType // never answers before the calm
	poison                                     api.Address      // neither
}

// coverage counts what lives went through, so that a run that tests nothing is seen.
type coverage struct{ crashes, doubts, spills, skipped, refusals, timers, cancels, stale, calls, kept, trimmed int }

type commit struct {
	c       *statestore.Commit
	shadow  *shadow
	written bool
	doubt   bool
}

type ask struct {
	inc    uint64
	name   string
	read   func() // asks the store
	answer func(m *machine.Machine)
	done   bool // read
}

type flying struct {
	inc   uint64
	call  machine.Call
	built int64
}

// reader brings one source's records.
type reader struct {
	s       *source
	next    int // of s.records
	started bool
	full    bool
}

type lifeError struct{ text string }

func (l *life) failf(format string, args ...any) { panic(lifeError{fmt.Sprintf(format, args...)}) }

func (l *life) logf(format string, args ...any) {
	if l.trace != nil {
		fmt.Fprintf(l.trace, "%d @%d ", l.steps, l.now)
		fmt.Fprintf(l.trace, format+"\n", args...)
	}
}

func newLife(seed uint64, trace *strings.Builder) *life {
	rng := rand.New(rand.NewPCG(seed, 1))
	l := &life{
		rng: rng, w: newWorld(rng), now: 1_000_000, trace: trace,
		shadow: newShadow(), durable: newShadow(), sinks: map[string]*sink{},
	}
	for _, e := range []string{egressOnce, egressLane, egressNone} {
		l.sinks[e] = &sink{cursor: 1, refused: map[string]bool{}}
	}
	l.store = memory.New(memory.Config{
		Identity: "life", Lease: time.Nanosecond, Now: func() time.Time { return time.UnixMilli(l.now) },
		Faults: memory.Faults{Commit: func(*statestore.Commit) memory.Fault {
			f := l.fault
			l.fault = memory.FaultNone
			return f
		}},
	})
	pick := func(all ...int) int { return all[rng.IntN(len(all))] }
	l.faults = faults{
		crash: pick(0, 0, 1, 3, 8), commit: pick(0, 10, 30), call: pick(0, 10, 40), garbage: pick(0, 5, 20), hang: pick(0, 10, 30), refuse: pick(0, 0, 10),
	}
	if rng.IntN(3) == 0 {
		l.faults.down = l.w.types[rng.IntN(len(l.w.types))]
	}
	if rng.IntN(3) == 0 {
		l.faults.poison = api.Address{Type: l.w.types[rng.IntN(len(l.w.types))], ID: l.w.anyID()}
	}
	l.cfg = l.newConfig()
	return l
}

// newConfig draws bounds, many of them tiny.
func (l *life) newConfig() machine.Config {
	some := func(all ...int) int { return all[l.rng.IntN(len(all))] }
	some64 := func(all ...int64) int64 { return all[l.rng.IntN(len(all))] }
	batch, bytes, endpoints := some(0, 1, 3), some(0, 1, 12), some(1, 2, 9)
	types := l.w.types
	return machine.Config{
		Seed: l.rng.Uint64(),
		Function: func(t api.FunctionType) (machine.Function, bool) {
			at := slices.Index(types, t)
			if at < 0 {
				return machine.Function{}, false
			}
			return machine.Function{Endpoint: fmt.Sprintf("http://%d", at%endpoints), BatchMessages: batch, BatchBytes: bytes, Budget: 200}, true
		},
		Egresses: map[string]machine.Egress{egressOnce: {Outbox: true}, egressLane: {Outbox: true}, egressNone: {}},
		Slots:    some(1, 2, 4, 50), CommitAgeMax: some64(1, 10, 100), LazyAgeMax: some64(1, 50, 500),
		BackoffMin: some64(1, 10), BackoffMax: some64(20, 100), ProbeInterval: some64(5, 50), BreakerFailures: some(1, 3, 1<<30), BreakerWindow: some64(1, 100),
		HoldMax: some64(1, 20, 200, 0), RangesMax: some(1, 3, 0),
		SourceMessagesMax: some(1, 5, 50, 0), SourceBytesMax: some(1, 2000, 0),
		MailBytesMax: some(300, 1000, 5000, 0), MailWindow: some(1, 500, 0), CacheBytesMax: some(1, 2000, 0),
		EffectsMax: some(1, 5, 0), EffectBytesMax: some(500, 0), OutboxBytesMax: some64(1, 3000, 0), KeptBytesMax: some64(1, 3000, 0), StoredBytesMax: some64(1, 6000, 0),
		LoadsMax: some(1, 2, 0), LoadBatch: some(1, 3, 0), TimerAhead: some64(2, 30, 300, 0), TimerBatch: some(1, 3, 0), TimersMax: some(1, 4, 0), SweepInterval: some64(10, 100),
	}
}

// playLife plays the life of a seed to its end and answers what was wrong.
func playLife(seed uint64, trace *strings.Builder) (seen coverage, err error) {
	l := newLife(seed, trace)
	defer func() {
		seen = l.seen
		switch r := recover().(type) {
		case nil:
		case lifeError:
			err = fmt.Errorf("step %d at %d: %s", l.steps, l.now, r.text)
		default:
			err = fmt.Errorf("step %d at %d: panic: %v\n%s", l.steps, l.now, r, debug.Stack())
		}
	}()
	l.start()
	for wild := 50 + l.rng.IntN(1500); l.steps < wild; {
		l.step()
	}
	l.calm = true
	l.logf("calm")
	l.rest()
	l.check()
	return l.seen, nil
}

// start begins an incarnation with what the store keeps.
func (l *life) start() {
	member := statestore.Member{ID: fmt.Sprint("member", l.rng.IntN(3))}
	claim, ok := l.store.TryAcquire(member, []string{egressOnce, egressLane})
	if !ok {
		l.now++
		if claim, ok = l.store.TryAcquire(member, []string{egressOnce, egressLane}); !ok {
			l.failf("the store is not given")
		}
	}
	l.inc++
	cfg := l.cfg
	cfg.Incarnation = l.inc
	l.logf("incarnation %d: commit %d, next number %d, %d packs, spilled %v", l.inc, claim.Commit, claim.NextNumber, len(claim.Packs), claim.Spilled)
	for _, p := range claim.Progress {
		l.logf("  progress %s", progress(p))
	}
	l.claim = claim
	l.m, l.told = machine.New(cfg, claim, l.now), l.now
	l.tokens, l.commit, l.busy = map[uint64]func(){}, nil, map[api.Address]bool{}
	l.shadow = l.durable.clone()
	l.readers = nil
	for _, s := range l.w.sources {
		r := &reader{s: s}
		l.readers = append(l.readers, r)
		if at := slices.IndexFunc(claim.Progress, func(p statestore.Progress) bool { return p.Source == s.id }); at >= 0 {
			r.started = true
			position := claim.Progress[at].Position()
			r.next, _ = slices.BinarySearchFunc(s.records, position, func(rec api.Record, p int64) int { return int(rec.Offset - p) })
			continue
		}
		l.m.Started(statestore.Progress{Source: s.id, Start: s.start}, l.when(func() { r.started = true }))
	}
	l.startRelays()
	l.work()
}

// when makes a token that runs f once it is durable.
func (l *life) when(f func()) uint64 {
	l.token++
	l.tokens[l.token] = f
	return l.token
}

// crash drops all that is in memory. A commit that was out is durable if it was written.
func (l *life) crash() {
	l.seen.crashes++
	if c := l.commit; c != nil && !c.written && l.rng.IntN(2) == 0 {
		l.write() // it still lands, or hangs, while nobody listens
	}
	if c := l.commit; c != nil && c.written {
		l.durable = c.shadow
	}
	l.logf("crash")
	l.start()
}

// work takes what the machine wants done.
func (l *life) work() {
	w := l.m.Work()
	l.tick = w.Tick
	if w.Commit != nil {
		l.takeCommit(w.Commit)
	}
	for _, p := range w.Outputs {
		l.offer(p)
	}
	for _, token := range w.Done {
		f := l.tokens[token]
		if f == nil {
			l.failf("token %d is done twice or was never given", token)
		}
		delete(l.tokens, token)
		f()
	}
	if err := l.m.Invariants(); err != nil {
		l.failf("%v", err)
	}
	l.takeGates(&w)
	l.takeAsks(&w)
	for i := range w.Calls {
		l.takeCall(w.Calls[i])
	}
}

func (l *life) takeCommit(c *statestore.Commit) {
	if l.commit != nil {
		l.failf("commit %d while %d is out", c.Number, l.commit.c.Number)
	}
	l.logf("commit %d", c.Number)
	if l.trace != nil {
		tellCommit(func(format string, args ...any) { l.logf("  "+format, args...) }, c, l.now)
	}
	l.commit = &commit{c: c, shadow: l.shadow.clone()}
	l.seen.spills += len(c.Mail)
	l.seen.cancels += len(c.Cancels)
	l.seen.timers += len(c.Timers)
	l.seen.trimmed += len(c.MailTrims)
	for i := range c.Packs {
		l.seen.kept += len(c.Packs[i].Messages)
	}
}

func (l *life) takeGates(w *machine.Work) {
	for _, s := range w.Full {
		l.reader(s).full = true
		if slices.Contains(w.Room, s) {
			l.failf("source %v is full and has room", s)
		}
	}
	for _, s := range w.Room {
		l.reader(s).full = false
	}
}

func (l *life) reader(s api.Source) *reader {
	for _, r := range l.readers {
		if r.s.id == s {
			return r
		}
	}
	l.failf("no source %v", s)
	return nil
}

func (l *life) takeCall(c machine.Call) {
	if l.busy[c.Target] {
		l.failf("two calls of %v at once", c.Target)
	}
	l.busy[c.Target] = true
	l.seen.calls++
	l.logf("call %d of %v attempt %d: %d messages from %s", c.ID.N, c.Target, c.Attempt, len(c.Messages), c.Messages[0].Argument.Value)
	if f, _ := l.cfg.Function(c.Target.Type); len(c.Messages) > max(f.BatchMessages, 1) && f.BatchMessages > 0 {
		l.failf("call of %v carries %d messages", c.Target, len(c.Messages))
	}
	for i := range c.Messages {
		l.judgeMessage(&c, &c.Messages[i])
	}
	l.judgeSlots(&c)
	if err := l.shadow.started(l.w, &c, l.told); err != nil {
		l.failf("%v", err)
	}
	l.calls = append(l.calls, &flying{inc: l.inc, call: c, built: l.told})
}

// judgeSlots finds endpoints that are called more often at once than they should. Probes of an open breaker are no part of
// the quarter that failed addresses have.
func (l *life) judgeSlots(c *machine.Call) {
	endpoint := func(t api.FunctionType) string {
		f, _ := l.cfg.Function(t)
		return f.Endpoint
	}
	all, failed := 1, 0
	if c.Attempt > 1 {
		failed = 1
	}
	for _, f := range l.calls {
		if f.inc == l.inc && endpoint(f.call.Target.Type) == endpoint(c.Target.Type) {
			all++
			if f.call.Attempt > 1 {
				failed++
			}
		}
	}
	if all > l.cfg.Slots || failed > max(1, l.cfg.Slots/4) && l.cfg.BreakerFailures == 1<<30 {
		l.failf("%d calls of %s at once, %d of them for failed addresses; it has %d slots", all, endpoint(c.Target.Type), failed, l.cfg.Slots)
	}
}

// judgeMessage finds messages that come to the wrong address, from the wrong sender or too early.
func (l *life) judgeMessage(c *machine.Call, m *api.Message) {
	n := l.w.node(m)
	if n.target != c.Target {
		l.failf("node %d for %v is called at %v", n.id, n.target, c.Target)
	}
	if n.parent == nil {
		if !m.Caller.IsZero() {
			l.failf("record %d has the caller %v", n.id, m.Caller)
		}
		return
	}
	if m.Caller != n.parent.target {
		l.failf("node %d has the caller %v, want %v", n.id, m.Caller, n.parent.target)
	}
	sent, ok := l.shadow.applied[n.parent.id]
	if !ok {
		l.failf("node %d is called, but %d that sends it has not run", n.id, n.parent.id)
	}
	for _, a := range n.parent.acts {
		if a.child == n && a.kind == actDelay && l.told < sent.now+a.delay {
			l.failf("node %d is called at %d, %d ms after it was sent: too early", n.id, l.told, l.told-sent.now)
		}
	}
}
