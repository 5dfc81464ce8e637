package machine

import (
	"fmt"
	"maps"
	"slices"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// View is what an operator is shown of one address, as it is in memory. A zero View: it is not in memory.
type View struct {
	InMemory     bool
	Phase        string
	Mailbox      int64 // messages that wait or are in the call
	Spilled      int64 // of them, only in the store
	Strange      int64 // beside them: in the store, for a function that the module does not declare
	Unlisted     bool  // there may be such messages, and nobody knows: more addresses of the function have some than are remembered
	Attempts     int
	CallSince    int64 // Unix milliseconds; 0: no call is out
	NextAttempt  int64 // Unix milliseconds; 0: none is planned
	FailingSince int64 // Unix milliseconds; 0: the last attempt did not fail
	Stuck        bool  // the budget of the call is used up
	LastError    string

	Paused *statestore.Pause       // its own pause, or its function's; nil: it is not paused
	Front  Front                   // of its mailbox
	Values []statestore.StateValue // its states, when they are ahead of what is committed
	Ahead  bool                    // they are
}

// Front is the message that is called next, or is in the call with those behind it.
type Front struct {
	Number    uint64 // 0: nothing waits, or what waits is not known, or not by a number for good (a commit makes it known)
	Caller    api.Address
	TypeName  string
	Bytes     int
	ArrivedMS int64 // Unix milliseconds; of one that was read from the store: when. 0: not known
	Stored    bool  // it is in the store alone: the machine knows nothing but its number
}

// View looks at one address.
func (m *Machine) View(a api.Address) View {
	paused := m.pauseOver(a)
	c := m.cells[a]
	strange, unlisted := m.strangerOf(a)
	if c == nil {
		return View{Paused: paused, Strange: strange.messages, Unlisted: unlisted, Front: strange.front}
	}
	v := View{
		InMemory: true, Phase: c.phase.String(), Mailbox: c.mailLen(), Spilled: c.spill.count, Attempts: c.attempts,
		FailingSince: c.failedSince, Stuck: m.stuck(c), LastError: c.lastError, Paused: paused,
		Strange: strange.messages, Unlisted: unlisted, Front: strange.front,
	}
	if c.phase == calling {
		v.CallSince = c.callSince
	}
	if c.phase == backoff {
		v.NextAttempt = c.due
	}
	switch {
	case c.phase == loading || strange.messages > 0:
	case c.mail.len() > 0:
		msg := c.mail.front()
		v.Front = Front{Number: m.lasting(msg.number), Caller: msg.Caller, TypeName: msg.Argument.TypeName, Bytes: len(msg.Argument.Value), ArrivedMS: msg.arrived}
	case c.spill.count > 0:
		v.Front = Front{Number: m.lasting(c.spill.first), Stored: true}
	}
	if v.Ahead = m.ahead(c); v.Ahead {
		v.Values = slices.Clone(c.values)
	}
	return v
}

// lasting is the number of a message, 0 while the next owner could draw it again for another message: nobody is to ask for anything by it. It
// is known with the next commit, at the latest when the message is kept.
func (m *Machine) lasting(number uint64) uint64 {
	if number >= m.numbersBelow {
		return 0
	}
	return number
}

// pauseOver is the pause of an address, or else of its function.
func (m *Machine) pauseOver(a api.Address) *statestore.Pause {
	if p, ok := m.pauses.addresses[a]; ok {
		return &p
	}
	if p, ok := m.pauses.functions[a.Type]; ok {
		return &p
	}
	return nil
}

func (m *Machine) stuck(c *cell) bool {
	return c.failedSince != 0 && m.now-c.failedSince > c.fn.cfg.Budget
}

// Gauges are what is at hand right now.
type Gauges struct {
	Stats
	MailMessages   int64 // in memory and spilled
	MailBytes      int64 // in memory
	Calling        int
	Backoff        int
	CachedBytes    int
	Uncommitted    int
	EventsWaiting  int // messages from outside that have found no room
	Timers         int // due soon
	TimerBytes     int
	BusyBytes      int // states of addresses that are not at rest
	CallBytes      int // states and messages of the calls that are out
	OutboxBytes    map[string]int64
	OutboxRecords  map[string]int64
	OutboxOldestMS map[string]int64     // age of the oldest undelivered cut, milliseconds
	OldestMS       map[api.Source]int64 // age of the oldest unfinished record, milliseconds
}

// Gauges looks at everything. It costs time in proportion to what is in memory: ask seldom.
func (m *Machine) Gauges() Gauges {
	g := Gauges{
		Stats: m.stats, MailBytes: int64(m.mailBytes), Calling: len(m.flights), Backoff: len(m.backoffs), CachedBytes: m.restBytes,
		Uncommitted: m.effects, Timers: len(m.timers.heap), TimerBytes: m.timers.bytes, BusyBytes: m.busyBytes, CallBytes: m.calledBytes,
		OutboxBytes: map[string]int64{}, OutboxRecords: map[string]int64{}, OutboxOldestMS: map[string]int64{}, OldestMS: map[api.Source]int64{},
	}
	for _, f := range m.events.waiting.all() {
		g.EventsWaiting += f.events.len()
	}
	for _, f := range m.functionList {
		g.MailMessages += f.stored + f.kept
	}
	for _, s := range m.sourceList {
		g.MailMessages += int64(s.pending)
		if s.pending > 0 {
			g.OldestMS[s.id] = m.oldestOf(s)
		}
	}
	for _, l := range m.laneList {
		g.OutboxBytes[l.id.Egress] = l.bytes
		if l.delivered < l.next {
			g.OutboxRecords[l.id.Egress] = int64(l.next - max(l.delivered, 1))
		}
		if l.chunks.len() > 0 {
			g.OutboxOldestMS[l.id.Egress] = m.now - l.chunks.front().atMS
		}
	}
	return g
}

// DeadTotals counts the dead letters of each origin, with those that are not committed yet.
func (m *Machine) DeadTotals() (totals []statestore.DeadTotal) {
	for _, origin := range sortedKeys(m.dead) {
		if d := m.dead[origin]; d.letters > 0 {
			totals = append(totals, statestore.DeadTotal{Origin: origin, Letters: d.letters, Bytes: d.bytes})
		}
	}
	return totals
}

// Reason is a condition that operators must know of: a stable kind for counting and a text for people.
type Reason struct {
	Kind string
	Key  string // tells it from others, and stays the same while it lasts
	Text string
}

// Reasons lists what is not as it should be. It looks through all addresses that wait for those that are overdue (Overview.Overdue).
func (m *Machine) Reasons() []Reason { return m.ReasonsBeside(m.Overview().Overdue) }

// ReasonsBeside are the reasons where it is known how many addresses are overdue. It looks at none.
func (m *Machine) ReasonsBeside(overdue int) []Reason {
	out := m.pauseReasons()
	for _, g := range m.gateList {
		if g.open {
			out = append(out, Reason{"endpoint", "endpoint " + g.key, fmt.Sprintf("endpoint %s %s; its addresses show what was said", g.key, troubleOf(g.lastKind))})
		}
	}
	if overdue > 0 {
		out = append(out, Reason{"stuck", "stuck", counted(int64(overdue), "address has failed for longer than the budget of its call", "addresses have failed for longer than the budget of their call")})
	}
	for _, f := range m.functionList {
		if m.overKept(f) {
			out = append(out, Reason{"mailbox", "mailbox " + f.name.String(), fmt.Sprintf("messages kept for %s have reached their bound: sources that name it wait, and events for it", f.name)})
		}
	}
	if m.heavy {
		out = append(out, Reason{"mailbox", "mailboxes", "messages kept for all functions have reached their bound: sources and events wait"})
	}
	if t := m.onces.total; t != nil && t.phase != loading && m.onceFull() {
		out = append(out, Reason{"keys", "keys", "keys of requests that are remembered have reached their bound: requests with new ones are refused until some expire"})
	}
	for _, origin := range sortedKeys(m.dead) {
		if m.deadFull(m.dead[origin]) {
			out = append(out, Reason{"deadletters", "deadletters " + origin, fmt.Sprintf("dead letters of %s have reached their bound: it waits with what would be set aside until some are replayed or discarded", origin)})
		}
	}
	for _, l := range m.laneList {
		if l.bytes >= m.cfg.OutboxBytesMax {
			out = append(out, Reason{"outbox", "outbox " + l.id.Egress, fmt.Sprintf("undelivered outputs of %s have reached their bound: sources and events wait", l.id.Egress)})
		}
	}
	return out
}

// troubleOf words a failure without anything that a function has said, which may be a payload.
func troubleOf(k FailureKind) string {
	if k == FailTimeout {
		return "does not answer in time"
	}
	return "cannot be reached, or says that it is overloaded"
}

func sortedKeys[V any](in map[string]V) []string { return slices.Sorted(maps.Keys(in)) }

func sortByNumber(all []*message) {
	slices.SortFunc(all, func(a, b *message) int { return compare(a.number, b.number) })
}
