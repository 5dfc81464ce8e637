// Package machine decides: it is told facts and answers with work. It holds the mailboxes, calls one batch per address at a
// time, applies effects in memory at once and cuts commits that hold all of a moment or nothing of it.
//
// It never does I/O, starts a goroutine, takes a lock or asks what time it is: the same facts always give the same work, so
// that whole lives can be played from a seed. One goroutine owns a Machine.
package machine

import (
	"math"
	"math/rand/v2"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// Machine is the deterministic core of one incarnation of a member.
type Machine struct {
	cfg   Config
	rng   *rand.Rand
	now   int64
	began int64 // when it was built
	work  Work
	stats Stats
	ids   uint64
	looks uint32 // through all that waits

	calls []Call // empty; room for those of the next Work

	fence        statestore.Fence
	commitNumber uint64
	nextNumber   uint64

	cells        map[api.Address]*cell
	oldest       *cell // at rest
	newest       *cell
	restBytes    int
	busyBytes    int // states of cells that are not at rest
	functions    map[api.FunctionType]*function
	functionList []*function
	gates        map[string]*gate
	gateList     []*gate
	openGates    []*gate // whose breaker is open
	pump         []*gate // that may start calls
	pumped       []*gate // room for the next pump
	lates        []*gate // whose calls gather until a young request grows old
	backoffs     backoffHeap
	flights      map[uint64]flight
	mailBytes    int
	loadingBytes int     // of them in cells that are loading
	spillLooks   int     // how often all cells were looked through for what to spill; for tests
	calledBytes  int     // of the calls that are out
	cramped      []*gate // they wait for room for the bytes of their next call

	sources    map[api.Source]*source
	sourceList []*source
	pending    int                   // messages of all sources that only those can replay
	hopes      int                   // sources that are full, and not paused
	heavy      bool                  // the messages kept for all functions have reached their bound, when it was last looked at
	judged     []*source             // full or not any more, and Work has not said so
	choke      bool                  // a bound of the store is reached: all sources wait
	dead       map[string]*deadTotal // by origin
	trials     map[api.Address]trial // of cells that were forgotten
	trialBytes int
	lanes      map[string]*lane
	laneList   []*lane
	strangers  []statestore.Lane // of egresses that the module does not declare
	editing    []*cell           // that have edits
	edits      int               // that wait for their turn
	editBytes  int
	timers     timers
	pauses     pauses
	orders     orders
	mends      int // what operators have asked for since the last cut
	events     events
	replies    replies
	onces      onces

	loaders     []*function // those with addresses whose states are to be asked for, in their turn
	loads       map[uint64]stateLoad
	loadBytes   int   // that the loads which are out may bring, about
	shortSince  int64 // since when cells wait for room for their states; 0: none does
	spilling    bool  // a cut has spilled as much as one may, and the next goes on
	mailLoads   map[uint64]mailLoad
	askedBytes  int
	walks       map[uint64]*function
	walkers     int // pages of walks that are out, and cells that they found and that are loading
	unwatched   fifo[*function]
	squeezing   bool // the next cut spills what is stuck
	nextSqueeze int64
	expiring    bool // some known state expires
	sweeping    bool
	nextSweep   int64
	nextHold    int64

	// What the next cut will hold, beside what the lists below lead to.
	gen            uint64 // of the effects that gather now
	confirmedGen   uint64
	inflight       *cut
	dirtySince     int64 // 0: nothing is uncommitted that somebody may come to wait for
	lazySince      int64
	awaited        bool
	young          int // unfinished messages that descend from effects of this generation
	effects        int
	effectBytes    int
	dirtyCells     []*cell
	dirtyTails     []*cell
	dirtyTrims     []*cell
	dirtySources   []*source
	dirtyFunctions []*function
	dirtyPacks     []*pack
	unkept         []*message // sent or to be kept, and nowhere in the store yet
	cutMail        []statestore.MailChunk
	spilledNow     []spilledRun
	pinned         []*cell
	laneStarts     []statestore.LaneID
	refusals       []statestore.Refusal
	deadLetters    []api.DeadLetter
	deadEnds       []uint64
	progressEnds   []api.Source
	dropped        []statestore.Trim // outputs of strangers
	acts           []statestore.Act
	traced         []*api.Trace // of calls, up to tracedMax
	nextAct        uint64
	numbersBelow   uint64 // message numbers below are never drawn again: a commit that is durable says so
	tokens         []uint64
	edited         []Edited
}

// Stats counts what happened in this incarnation.
type Stats struct {
	Records, RecordsSkipped, Events, Replies, RepliesDropped, Calls, Invocations, CallsFailed, Unanswered, Commits, DeadLetters, TimersFired, Spilled, StaleAnswers int64
}

// New builds a machine on what the store keeps.
func New(cfg Config, claim *statestore.Claim, now int64) *Machine {
	cfg.defaults()
	m := &Machine{
		cfg: cfg, rng: rand.New(rand.NewPCG(cfg.Seed, cfg.Incarnation)), now: now,
		fence: claim.Fence, commitNumber: claim.Commit, nextNumber: max(claim.NextNumber, 1), gen: 1,
		cells: map[api.Address]*cell{}, functions: map[api.FunctionType]*function{}, gates: map[string]*gate{},
		flights: map[uint64]flight{}, sources: map[api.Source]*source{}, lanes: map[string]*lane{},
		dead: map[string]*deadTotal{}, trials: map[api.Address]trial{}, orders: orders{of: map[*cell][]order{}}, nextAct: max(claim.NextAct, 1),
		replies: replies{waiting: map[string]uint64{}, attempts: map[string]uint64{}}, onces: onces{waiting: map[string][]string{}},
		loads: map[uint64]stateLoad{}, mailLoads: map[uint64]mailLoad{}, walks: map[uint64]*function{},
		timers: timers{
			known: map[uint64]*timer{}, tokens: map[token]*timer{}, cancelled: map[token]ending{},
			until: now + cfg.TimerAhead, after: statestore.TimerKey{Due: math.MinInt64}, more: true,
		},
	}
	m.numbersBelow, m.began = m.nextNumber, now
	m.claimPauses(claim) // before there are functions and sources: they look at them
	m.claimDead(claim)
	m.claimFunctions(claim)
	m.claimSources(claim)
	m.claimLanes(claim)
	m.claimPacks(claim)
	m.nextHold = now + min(100, m.cfg.HoldMax)
	m.heavy = m.overStored()
	m.judgeStore()
	return m
}

func (m *Machine) claimFunctions(claim *statestore.Claim) {
	for _, f := range claim.Functions {
		m.function(f.Function).specs = f.States
		m.noteExpiring(f.States)
	}
	for _, s := range claim.Spilled {
		f := m.function(s.Function)
		f.stored, f.storedBy = s.Messages, s.Bytes
		if s.Messages > 0 {
			m.unwatch(f)
		}
	}
}

func (m *Machine) claimSources(claim *statestore.Claim) {
	for i := range claim.Progress {
		s := m.source(claim.Progress[i].Source)
		s.progress = claim.Progress[i].Clone()
		s.seen = s.progress.Position()
	}
}

// claimLanes takes lanes with their numbers. Lanes of egresses that the module does not declare any more are left alone, until an operator
// has them forgotten.
func (m *Machine) claimLanes(claim *statestore.Claim) {
	for _, kept := range claim.Lanes {
		e, ok := m.cfg.Egresses[kept.Egress]
		if !ok || !e.Outbox {
			m.strangers = append(m.strangers, kept)
			continue
		}
		l := &lane{id: kept.LaneID, outbox: true, next: max(kept.Next, 1), bytes: kept.Bytes, delivered: kept.Low, trimmed: kept.Low}
		l.claimed(kept.Bytes, m.now)
		m.addLane(l)
		l.started = kept.Started
	}
	for _, id := range sortedKeys(m.cfg.Egresses) {
		if m.lanes[id] == nil {
			slot := 0
			if !m.cfg.Egresses[id].Outbox {
				slot = noOutbox
			}
			m.addLane(&lane{id: statestore.LaneID{Egress: id, Slot: slot}, outbox: m.cfg.Egresses[id].Outbox, next: 1})
		}
	}
}

// noOutbox is the slot of lanes without stored outputs (egress.NoOutbox).
const noOutbox = -1

// claimPacks puts kept messages back into their mailboxes, in the order of their numbers. Messages for functions that the
// module does not declare any more stay where they are, and only there.
func (m *Machine) claimPacks(claim *statestore.Claim) {
	var all, strange []*message
	for _, kept := range claim.Packs {
		finished := claim.Finished[kept.Number]
		p := &pack{number: kept.Number, total: len(kept.Messages) + len(finished), finished: finished}
		for i := range kept.Messages {
			msg := &message{Message: kept.Messages[i].Message, number: kept.Messages[i].Number, pack: p, arrived: m.now}
			msg.size = msg.Size()
			if m.function(msg.Target.Type).declared {
				p.messages = append(p.messages, msg)
				all = append(all, msg)
			} else {
				p.strange++
				strange = append(strange, msg)
			}
		}
	}
	m.claimStrangers(strange)
	sortByNumber(all)
	for _, msg := range all {
		m.deliver(msg)
	}
}

func (m *Machine) nextID() uint64 {
	m.ids++
	return m.ids
}

func (m *Machine) id() ID { return ID{Incarnation: m.cfg.Incarnation, N: m.nextID()} }

// mine reports whether an answer belongs to this incarnation.
func (m *Machine) mine(id ID) bool {
	if id.Incarnation == m.cfg.Incarnation {
		return true
	}
	m.stats.StaleAnswers++
	return false
}
