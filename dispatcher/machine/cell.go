package machine

import (
	"sort"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// message is a message on its way, with what keeps it alive through a crash: its source (until kept), a pack, or a spilled
// chunk; a send that is younger than the last cut has nothing yet and needs nothing, its cause would be repeated.
type message struct {
	api.Message
	number uint64
	size   int
	gen    uint64 // of the effect that sent it; 0 for records

	source  *source // not nil: only the source can replay it
	origin  *source // the source that has brought it, as long as this member remembers
	offset  int64
	arrived int64

	pack     *pack // not nil: it is in this pack
	target   int32
	spilled  bool // it is in the store's mail
	finished bool
	waited   bool // a call has told when it arrived; of messages in a sampled trace
}

// phase is what a cell waits for.
type phase uint8

const (
	loading phase = iota // its state; messages gather
	idle                 // a message
	ready                // a slot of its endpoint
	calling              // an answer
	backoff              // the time of its next attempt
	held                 // the end of its pause, or its function's
)

func (p phase) String() string {
	return [...]string{"loading", "idle", "ready", "calling", "backoff", "paused"}[p]
}

// cell is one address in memory.
//
// Its mailbox is in order of number: mail, then what only the store has (spill), then tail. While spill is not empty
// everything that arrives goes to tail, and each cut writes tail to the store and drops it.
type cell struct {
	address api.Address
	fn      *function
	phase   phase

	values []statestore.StateValue // sorted by name; never changed in place once a commit holds the slice
	weight int                     // bytes of values
	dirty  bool                    // values changed since the last cut

	mail       fifo[*message]
	tail       []*message
	spill      spill
	keptTo     uint64 // messages up to this number need no source any more
	trim       uint64 // spilled messages below are finished, and the store has not been told
	batch      int    // messages of mail that are in the call
	batchLimit int    // 0: the function's; else what the last attempt carried, or what a 413 left
	cautious   bool   // a 413 taught the limit: it grows slowly
	walked     bool   // a walk found it, and it is loading
	inspected  bool   // a sweep asked for it: expired values go as soon as it is loaded

	edits []*edit // that wait for their turn

	trial       trial
	crowded     bool // it waits for room among the dead letters of its function
	attempts    int
	loadedAt    int64 // when its states, or mail of it, were last read
	failedSince int64 // 0: the last attempt did not fail
	failKind    FailureKind
	lastError   string
	call        uint64 // number of the call that is out
	callSince   int64
	due         int64 // backoff: when to try again
	timerIndex  int   // place in the heap of back-offs, -1 when not there
	queued      bool  // it stands in a queue of its gate
	hurried     bool  // an operator wants it to be the next one there
	unread      bool  // an order for it waits until its spilled mail may be read
	listed      bool  // it stands in the list of its function's held ones
	alone       bool  // a bulk left it without an answer: its calls go by themselves until one succeeds

	cutAs uint64 // the last cut that holds its values

	pins int // cuts that hold changes of it, and loads that were asked for it; 0: it may be forgotten

	looked uint32 // the look that has seen it last

	older, newer *cell // cells at rest, least recently used first
	resting      bool
}

// spill is the part of a mailbox that is only in the store.
type spill struct {
	count       int64
	bytes       int64
	first, last uint64
	confirmed   uint64 // what is stored up to this number is committed, so that a load sees it
	loading     bool
}

// mailLen is how many messages wait, wherever they are.
func (c *cell) mailLen() int64 { return int64(c.mail.len()+len(c.tail)) + c.spill.count }

// cell answers the address's cell; a new one is loaded first.
func (m *Machine) cell(a api.Address) *cell {
	if c := m.cells[a]; c != nil {
		m.wake(c)
		return c
	}
	c := &cell{address: a, fn: m.function(a.Type), timerIndex: -1}
	m.takeTrial(c)
	m.cells[a] = c
	c.pins++ // until it is loaded
	m.toLoad(c)
	return c
}

// deliver puts a message into its mailbox.
func (m *Machine) deliver(msg *message) {
	c := m.cell(msg.Target)
	m.mailBytes += msg.size
	if c.phase == loading {
		m.loadingBytes += msg.size
	}
	if c.phase == loading || c.spill.count == 0 {
		c.mail.push(msg)
	} else {
		m.pushTail(c, msg)
	}
	c.fn.keptCount(msg, 1)
	switch {
	case c.phase != idle:
	case c.mail.len() > 0:
		m.makeReady(c)
	default:
		m.settle(c)
	}
}

// finish takes a message out of the world: where it was kept is told with the next cut.
func (m *Machine) finish(msg *message) {
	m.finishOf(m.cells[msg.Target], msg)
}

// finishOf is finish of a message whose cell is at hand; there may be none.
func (m *Machine) finishOf(c *cell, msg *message) {
	if msg.finished {
		return
	}
	msg.finished = true
	msg.Argument = api.TypedValue{} // lists that are swept later still hold the message
	if msg.gen != 0 && msg.gen == m.gen {
		m.young--
	}
	if c != nil {
		c.fn.keptCount(msg, -1)
	}
	switch {
	case msg.source != nil:
		m.leaveSource(msg)
	case msg.pack != nil:
		m.finishInPack(msg)
	case msg.spilled:
		m.trimMail(c, msg.number+1)
	}
}

// leaveSource marks the message's record finished for its target. It is called when the message's effects are in memory, or
// when the next cut will hold the message itself.
func (m *Machine) leaveSource(msg *message) {
	s := msg.source
	msg.source = nil
	s.pending--
	m.pending--
	s.pendingBytes -= msg.size
	s.progress.Targets[msg.target].Done.Add(msg.offset, msg.offset+1)
	m.touchSource(s)
	m.judgeSource(s)
}

// keepThrough makes every message of the cell up to a number independent of its source. Earlier messages are kept with it,
// always: were a later one kept and an earlier one only in the source, a crash would turn them round.
func (m *Machine) keepThrough(c *cell, number uint64) {
	for _, all := range [][]*message{c.mail.all(), c.tail} {
		from := sort.Search(len(all), func(i int) bool { return all[i].number > c.keptTo })
		for _, msg := range all[from:] {
			if msg.number > number {
				break
			}
			m.keep(msg)
		}
	}
	c.keptTo = max(c.keptTo, number)
}

// keep makes one message independent of its source: the next cut writes it.
func (m *Machine) keep(msg *message) {
	if msg.source == nil {
		return
	}
	m.leaveSource(msg)
	m.unkept = append(m.unkept, msg)
	m.cells[msg.Target].fn.keptCount(msg, 1)
}

// draw is the next message number.
func (m *Machine) draw() uint64 {
	n := m.nextNumber
	m.nextNumber++
	return n
}
