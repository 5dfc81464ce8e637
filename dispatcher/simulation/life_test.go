package simulation_test

import (
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// life plays one life of an application from a seed: members of the real machine on a real store, with everything around them in
// its hands. Each step is one thing that happens; which one is drawn. One goroutine plays it.
type life struct {
	seed    uint64
	rng     *rand.Rand // of the step
	dice    *dice
	config  *rand.Rand
	w       *world
	cfg     machine.Config
	rates   rates
	off     [faultKinds]bool
	down    api.FunctionType // never reached before the calm
	poison  api.Address      // always failed on before the calm
	deposit deposit

	at           int // number of the step
	wild         int // steps before the calm
	calm         bool
	now          int64 // how long the world has run, as no clock tells wrong
	latest       int64 // time that any machine was told
	lease        int64
	leaseUntil   int64
	relayRoom    int
	relayBytes   int
	members      []*member
	incs         []*incarnation // in memory, asleep or not
	incarnations uint64
	owner        *incarnation // of the store; nil: it was given back
	overlapped   bool         // a member delivered while another owned the store
	late         []late
	closing      []handle // of dead processes, while something of them is on its way
	commits      int      // that the store has made

	durable   *shadow           // what the store must hold
	lanes     map[string]uint64 // how far they have come, by the claims
	positions map[api.Source]int64
	sinks     map[string]*sink
	committed map[string]map[uint64]taken // outputs by lane and number, as commits have given them
	setAside  map[laneNumber]bool         // of them, by a commit too
	lacked    map[api.FunctionType]bool   // that some member's module did not declare
	discards  map[uint64]bool             // dead letters that an operator has asked to be gone
	operators int                         // how often they act, of a thousand steps
	fronts    map[api.Address]uint64      // numbers that they have seen last
	replays   map[uint64]bool             // dead letters that they have had replayed
	entries   int                         // that they have written into logs
	refusals  map[string]bool             // outputs that a sink has refused
	seen      coverage
	told      [faultKinds]bool // struck once, for kinds that last
	hits      int              // faults that took effect
	messages  int              // of calls that were answered

	story   *strings.Builder // nil: nobody wants to know
	details bool
	bulks   map[string]int // by endpoint: calls of a bulk that it runs at once now; below 2: it takes none
}

// coverage is what a life went through.
type coverage struct {
	table                                                                  table
	takeovers, spills, skipped, timers, cancels, kept, trimmed, dead, bare int
	acknowledged, withdrawn, unknown, resent, replies, unheard             int // events from outside
	paused, resumed, retried, skips, decided, replays, edits, editsWaited  int // by operators
	editsBehind, forgotten                                                 int
}

func (c *coverage) note(k *statestore.Commit) {
	c.spills += len(k.Mail)
	c.cancels += len(k.Cancels)
	c.timers += len(k.Timers)
	c.trimmed += len(k.MailTrims)
	c.dead += len(k.DeadLetters)
	for i := range k.Packs {
		c.kept += len(k.Packs[i].Messages)
	}
}

func (c *coverage) add(o *coverage) {
	c.table.add(&o.table)
	c.takeovers += o.takeovers
	c.spills += o.spills
	c.skipped += o.skipped
	c.decided += o.decided
	c.timers += o.timers
	c.cancels += o.cancels
	c.kept += o.kept
	c.trimmed += o.trimmed
	c.dead += o.dead
	c.bare += o.bare
	c.acknowledged += o.acknowledged
	c.withdrawn += o.withdrawn
	c.unknown += o.unknown
	c.resent += o.resent
	c.replies += o.replies
	c.unheard += o.unheard
	c.paused += o.paused
	c.resumed += o.resumed
	c.retried += o.retried
	c.skips += o.skips
	c.replays += o.replays
	c.edits += o.edits
	c.editsWaited += o.editsWaited
	c.editsBehind += o.editsBehind
	c.forgotten += o.forgotten
}

// failure is what a checker found.
type failure struct {
	checker string
	text    string
	step    int
}

func (f *failure) Error() string { return fmt.Sprintf("step %d: %s: %s", f.step, f.checker, f.text) }

func (l *life) failf(checker, format string, args ...any) {
	panic(&failure{checker, fmt.Sprintf(format, args...), l.at})
}

// tell is the story, for people.
func (l *life) tell(format string, args ...any) {
	if l.story != nil {
		fmt.Fprintf(l.story, "%5d @%-6d ", l.at, l.now-begins)
		fmt.Fprintf(l.story, format+"\n", args...)
	}
}

// detail is what only they want to know who mend something.
func (l *life) detail(format string, args ...any) {
	if l.details {
		l.tell(format, args...)
	}
}

// strikes draws whether a fault happens now.
func (l *life) strikes(f fault) bool {
	return !l.calm && !l.off[f] && l.rates[f] > 0 && l.dice.fault(f, 1000) < l.rates[f]
}

// struck counts a fault that took effect, once in each of the things that the struck one is about.
func (l *life) struck(f fault, inc *incarnation) {
	if l.calm {
		return
	}
	l.hits++
	for _, p := range inc.about() {
		l.seen.table[f][p]++
	}
}

// struckOnce counts one that lasts.
func (l *life) struckOnce(f fault, inc *incarnation) {
	if !l.told[f] {
		l.told[f] = true
		l.struck(f, inc)
	}
}

// begins is when lives begin, so that no time is 0.
const begins = 1_000_000

// plan is which life is played, and how.
type plan struct {
	seed       uint64
	backend    backend
	only       *shrunk // nil: all of it
	details    bool
	tell       bool
	clientless bool          // nobody sends events
	unattended bool          // there are no operators
	broken     func(l *life) // a checker that a test breaks on purpose
	opened     func(l *life) // what a test does with the store before the life begins
}

func newLife(p *plan) *life {
	l := &life{
		seed: p.seed, dice: newDice(p.seed), config: drawer(p.seed, streamConfig), w: newWorld(drawer(p.seed, streamWorld)),
		now: begins, latest: begins, rates: newRates(p.seed), durable: newShadow(), sinks: map[string]*sink{}, committed: map[string]map[uint64]taken{}, setAside: map[laneNumber]bool{}, refusals: map[string]bool{}, discards: map[uint64]bool{}, lacked: map[api.FunctionType]bool{},
		lanes: map[string]uint64{}, positions: map[api.Source]int64{}, fronts: map[api.Address]uint64{}, replays: map[uint64]bool{}, details: p.details,
	}
	if p.tell {
		l.story = &strings.Builder{}
	}
	l.rng = rand.New(l.dice.pcg)
	l.dice.turn(0)
	for _, e := range []string{egressOnce, egressLane, egressLeast, egressNone} {
		l.sinks[e] = &sink{next: 1}
	}
	l.wild = 100 + l.config.IntN(900)
	l.lease = []int64{30, 100, 300, 2000}[l.config.IntN(4)]
	l.relayRoom, l.relayBytes = []int{0, 2, 10, 1000}[l.config.IntN(4)], []int{1, 200, 1 << 20}[l.config.IntN(3)]
	if *clientsFlag && !p.clientless {
		l.w.addClients(drawer(p.seed, streamClients, 0))
	}
	anyType := l.w.types[l.config.IntN(len(l.w.types))]
	anyID := l.w.ids[l.config.IntN(1+l.config.IntN(len(l.w.ids)))]
	if p.only != nil {
		p.only.apply(l)
	}
	if !l.off[faultDown] && l.config.IntN(1000) < l.rates[faultDown] {
		l.down = anyType
	}
	if !l.off[faultPoison] && l.config.IntN(1000) < l.rates[faultPoison] {
		l.poison = api.Address{Type: anyType, ID: anyID}
	}
	if !l.off[faultAside] && l.config.IntN(1000) < l.rates[faultAside] {
		l.w.spoil(drawer(p.seed, streamSpoil))
	}
	l.cfg = l.newConfig()
	l.boundBulks(&l.cfg)
	if len(l.w.clients) > 0 {
		boundEvents(&l.cfg, drawer(p.seed, streamClients, 0, 1))
	}
	l.later()
	l.hire(p)
	if !*operatorsFlag || p.unattended {
		l.rates[faultCursor] = 0 // nobody would decide
	}
	return l
}

// later lets some sources appear in the middle of the life.
func (l *life) later() {
	for i, s := range l.w.sources {
		at := l.config.IntN(l.wild)
		if l.config.IntN(1000) < l.rates[faultPartition] && i > 0 && !l.off[faultPartition] {
			s.since = at
		}
	}
}

// newConfig draws bounds, many of them tiny.
func (l *life) newConfig() machine.Config {
	some := func(all ...int) int { return all[l.config.IntN(len(all))] }
	some64 := func(all ...int64) int64 { return all[l.config.IntN(len(all))] }
	batch, bytes, endpoints := some(0, 1, 3), some(0, 1, 12), some(1, 2, 9)
	types := l.w.types
	return machine.Config{
		Seed: l.config.Uint64(),
		Function: func(t api.FunctionType) (machine.Function, bool) {
			at := slices.Index(types, t)
			if at < 0 {
				return machine.Function{}, false
			}
			f := machine.Function{Endpoint: fmt.Sprintf("http://%d", at%endpoints), BatchMessages: batch, BatchBytes: bytes, Budget: 200}
			if l.w.asides[t] {
				f.OnFailure = machine.SetAside
			}
			return f, true
		},
		Egresses: map[string]machine.Egress{egressOnce: {Outbox: true}, egressLane: {Outbox: true}, egressLeast: {Outbox: true}, egressNone: {}},
		Slots:    some(1, 2, 4, 50), CommitAgeMax: some64(1, 10, 100), LazyAgeMax: some64(1, 50, 500),
		BackoffMin: some64(1, 10), BackoffMax: some64(20, 100), ProbeInterval: some64(5, 50), BreakerFailures: some(1, 3, 1<<30), BreakerWindow: some64(1, 100),
		HoldMax: some64(1, 20, 200, 0), RangesMax: some(1, 3, 0),
		SourceMessagesMax: some(1, 5, 50, 0), SourceBytesMax: some(1, 2000, 0),
		MailBytesMax: some(300, 1000, 5000, 0), MailWindow: some(1, 500, 0), CacheBytesMax: some(1, 2000, 0),
		EffectsMax: some(1, 5, 0), EffectBytesMax: some(500, 0), OutboxBytesMax: some64(1, 3000, 0), KeptBytesMax: some64(1, 3000, 0), StoredBytesMax: some64(1, 6000, 0),
		DeadLettersMax: some64(1, 3, 0, 0), DeadLetterBytesMax: some64(200, 0, 0, 0),
		LoadsMax: some(1, 2, 0), LoadBatch: some(1, 3, 0), TimerAhead: some64(2, 30, 300, 0), TimerBatch: some(1, 3, 0), TimersMax: some(1, 4, 0), SweepInterval: some64(10, 100),
		BusyBytesMax: some(1, 100, 0, 0), CallBytesMax: some(1, 500, 0, 0), TimerBytesMax: some(1, 1500, 0, 0),
	}
}

// play plays a life to its end and answers what was wrong with it.
func play(p *plan) (l *life, wrong *failure) {
	l = newLife(p)
	defer func() {
		l.end()
		switch r := recover().(type) {
		case nil:
		case *failure:
			wrong = r
		default:
			wrong = &failure{"panic", fmt.Sprintf("%v\n%s", r, debug.Stack()), l.at}
		}
	}()
	var err error
	if l.deposit, err = p.backend.open(); err != nil {
		l.failf("store", "open: %v", err)
	}
	if p.opened != nil {
		p.opened(l)
	}
	l.newMembers()
	for l.at = 1; l.at <= l.wild; l.at++ {
		if p.only == nil || p.only.has(l.at) {
			l.step()
			if p.broken != nil {
				p.broken(l)
			}
		}
	}
	l.calm = true
	l.deploy()
	l.tell("from here on nothing goes wrong any more")
	l.rest()
	l.check()
	l.epilogue()
	return l, nil
}

func (l *life) end() {
	for _, m := range l.members {
		if m.handle != nil {
			m.handle.close()
		}
	}
	for _, h := range l.closing {
		h.close()
	}
	if l.deposit != nil {
		l.deposit.close()
	}
}

// counts reports whether the life is worth being counted.
func (l *life) counts() bool { return l.messages >= 100 && l.hits >= 3 }
