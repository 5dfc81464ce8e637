package simulation_test

import (
	"fmt"
	"slices"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// incarnation is one life of a member's memory: the real machine, and all that works for it.
type incarnation struct {
	*life
	member *member
	number uint64
	handle handle
	claim  *statestore.Claim
	m      *machine.Machine
	clock  *machine.Clock
	lacks  api.FunctionType // that its module does not declare
	clean  bool             // its machine was drained

	told    int64 // the time that the machine was told last
	tick    int64
	readers []*reader
	tokens  map[uint64]func()
	askers  map[uint64]asker // by token
	token   uint64
	commit  *commit
	relays  map[string]*relay
	asks    []*ask
	calls   []*flying
	busy    map[api.Address]bool
	heard   map[api.FunctionType]bool // they have answered
	shadow  *shadow                   // what the states must be in its memory
	bounds  bounds
	trials  trials
	prompt  prompt
	bulks   bulks

	operator operators
	mending  mending

	discarding bool // an operator waits
	slowUntil  int  // the store takes its time until this step
	draining   bool // it stops in order
	synced     bool // it waits for nothing but the last commit
	ended      bool // and that is made
	renewed    int64
	overtaken  bool // while it slept
	over       bool
	phases     []phase // instead of what it is about: it has not begun
}

// reader brings one source's records.
type reader struct {
	s       *source
	next    int // of s.records
	from    int // where it began in this incarnation
	started bool
	full    bool
}

func (inc *incarnation) String() string {
	if inc == nil {
		return "nobody"
	}
	return fmt.Sprintf("%v/%d", inc.member, inc.number)
}

func (l *life) newIncarnation(m *member, claim *statestore.Claim) *incarnation {
	inc := &incarnation{
		life: l, member: m, number: l.incarnations, handle: m.handle, claim: claim,
		tokens: map[uint64]func(){}, askers: map[uint64]asker{}, busy: map[api.Address]bool{}, heard: map[api.FunctionType]bool{}, shadow: l.durable.clone(), relays: map[string]*relay{}, renewed: l.now,
	}
	inc.bounds.begin(l.w, claim)
	inc.trials.begin()
	inc.prompt = newPrompt()
	inc.bulks = newBulks()
	inc.operator = newOperators()
	return inc
}

// begin makes the machine on what the store keeps.
func (inc *incarnation) begin() {
	l := inc.life
	l.incs = append(l.incs, inc)
	cfg := l.cfg
	cfg.Incarnation = inc.number
	cfg.OnDeadLetter = inc.noteSkipped
	if inc.lacks = inc.member.lacks; inc.lacks != (api.FunctionType{}) {
		whole := cfg.Function
		cfg.Function = func(t api.FunctionType) (machine.Function, bool) {
			if t == inc.lacks {
				return machine.Function{}, false
			}
			return whole(t)
		}
		l.lacked[inc.lacks] = true
		l.tell("the module of %v does not declare %v", inc, inc.lacks)
	}
	inc.clock = machine.NewClock(l.now+inc.member.skew, l.now)
	inc.told = inc.clock.Tell(l.now+inc.member.skew, l.now)
	l.latest = max(l.latest, inc.told)
	for _, p := range inc.claim.Progress {
		l.detail("  progress %s", progress(p))
	}
	inc.m = machine.New(cfg, inc.claim, inc.told)
	for _, s := range l.w.sources {
		inc.discover(s, false)
	}
	inc.startRelays()
	if inc.lacks != (api.FunctionType{}) {
		inc.phases = []phase{phaseOpening}
		l.struck(faultModule, inc)
		inc.phases = nil
	}
	inc.work()
}

// discover begins to read a source, if it is there by now.
func (inc *incarnation) discover(s *source, midlife bool) {
	if s.since > inc.at || slices.ContainsFunc(inc.readers, func(r *reader) bool { return r.s == s }) {
		return
	}
	r := &reader{s: s}
	inc.readers = append(inc.readers, r)
	if at := slices.IndexFunc(inc.claim.Progress, func(p statestore.Progress) bool { return p.Source == s.id }); at >= 0 {
		r.started = true
		r.seek(inc.claim.Progress[at].Position())
		return
	}
	if midlife {
		inc.struck(faultPartition, inc)
		inc.tell("%v finds partition %v", inc, s.id)
	}
	inc.m.Started(statestore.Progress{Source: s.id, Start: s.start}, inc.when(func() { r.started = true }))
}

func (r *reader) seek(position int64) {
	r.next, _ = slices.BinarySearchFunc(r.s.records, position, func(rec api.Record, p int64) int { return int(rec.Offset - p) })
	r.from = r.next
}

// when makes a token that runs f once it is durable.
func (inc *incarnation) when(f func()) uint64 {
	inc.token++
	inc.tokens[inc.token] = f
	return inc.token
}

// tellTime tells the machine the time, by the clock of its member.
func (inc *incarnation) tellTime() {
	inc.told = inc.clock.Tell(inc.now+inc.member.skew, inc.now)
	inc.latest = max(inc.latest, inc.told)
	inc.m.Tick(inc.told)
}

// about is what the incarnation is about right now.
func (inc *incarnation) about() (all []phase) {
	if inc == nil {
		return []phase{phaseOpening} // there is no owner: somebody will begin
	}
	if inc.phases != nil {
		return inc.phases
	}
	opening := false
	for _, r := range inc.readers {
		opening = opening || !r.started
	}
	delivering := false
	for _, r := range inc.relays {
		opening = opening || r.cursor && !r.resumed
		delivering = delivering || r.busy() || r.cursor && r.state != relayReady
	}
	for p, is := range map[phase]bool{
		phaseOpening: opening, phaseLoading: len(inc.asks) > 0, phaseCalling: len(inc.calls) > 0, phaseDelivering: delivering,
		phaseCommitting: inc.commit != nil, phaseDoubt: inc.commit != nil && inc.commit.doubt, phaseDraining: inc.draining,
	} {
		if is {
			all = append(all, p)
		}
	}
	if len(all) == 0 {
		all = append(all, phaseIdle)
	}
	return all
}

// work takes what the machine wants done.
func (inc *incarnation) work() {
	edits := inc.dueEdits()
	full := inc.m.Saturated() // they come behind the commit then, if there can be one
	if !full {
		inc.decideEdits(edits)
	}
	w := inc.m.Work()
	inc.tick = w.Tick
	inc.takeSealed(&w)
	if w.Commit != nil {
		inc.takeCommit(w.Commit)
		if full {
			inc.decideEdits(edits)
			inc.seen.editsBehind += len(edits)
		}
	}
	for _, p := range w.Outputs {
		inc.offer(p)
	}
	for _, token := range w.Done {
		f := inc.tokens[token]
		if f == nil {
			inc.failf("token", "token %d is done twice or was never given", token)
		}
		delete(inc.tokens, token)
		f()
	}
	inc.takeAnswers(&w)
	inc.takeEdited(&w)
	if inc.at%4 == 0 && inc.owner == inc { // one that was taken over has read what it has not written
		if err := inc.inside(); err != nil {
			inc.failf("invariant", "%v: %v", inc, err)
		}
	}
	inc.takeGates(&w)
	inc.takeAsks(&w)
	if !inc.draining {
		inc.checkBulks(w.Calls)
	}
	for i := range w.Calls {
		if inc.draining { // calls that have not started stay where they are
			inc.checkCall(&w.Calls[i])
			continue
		}
		inc.takeCall(w.Calls[i])
	}
	inc.checkPaused(&w)
	inc.checkRetried()
	inc.checkBounds(&w)
	inc.checkPrompt()
}

func (inc *incarnation) takeGates(w *machine.Work) {
	old := func(s api.Source) bool { return s == oldSource } // it brings nothing
	w.Full, w.Room = slices.DeleteFunc(w.Full, old), slices.DeleteFunc(w.Room, old)
	for _, s := range w.Full {
		inc.reader(s).full = true
		if slices.Contains(w.Room, s) {
			inc.failf("source-bound", "source %v is full and has room", s)
		}
	}
	for _, s := range w.Room {
		inc.reader(s).full = false
	}
}

func (inc *incarnation) reader(s api.Source) *reader {
	for _, r := range inc.readers {
		if r.s.id == s {
			return r
		}
	}
	inc.failf("source-bound", "no source %v", s)
	return nil
}

// inside asks the machine for its own books, which a checker from outside does not need.
func (inc *incarnation) inside() error {
	if !*insideFlag {
		return nil
	}
	return inc.m.Invariants()
}
